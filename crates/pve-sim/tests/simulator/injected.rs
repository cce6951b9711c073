// SPDX-License-Identifier: GPL-3.0-only
//! Ordered faults, seen through the wire: requests that are lost before or
//! after they took effect, and tasks that die half way.

use std::io::ErrorKind;

use crate::common::{call, data, exit_of, serve, snapshots, task};
use pve_sim::faults::FaultPlan;
use pve_sim::simulator::Simulator;
use serde_json::{Value, json};

const WEB: &str = "/nodes/pve1/qemu/100";
const CREATE: &str = "/nodes/pve1/qemu/100/snapshot";

fn with_request_fault(effect: &Value) -> Simulator {
    let plan = json!({"requests": [{"method": "POST", "times": 1, "effect": effect}]});
    serve(|options| options.faults = FaultPlan::parse(&plan.to_string()).expect("a plan"))
}

fn with_task_fault(kind: &str, effect: &Value) -> Simulator {
    let plan = json!({"tasks": [{"kind": kind, "times": 1, "effect": effect}]});
    serve(|options| options.faults = FaultPlan::parse(&plan.to_string()).expect("a plan"))
}

fn taken(simulator: &Simulator) -> bool {
    snapshots(simulator, WEB) == [("one".to_owned(), None)]
}

#[test]
fn lost_requests_have_happened_or_not_as_ordered() {
    for (effect, happened) in [
        (json!("refuse"), false),
        (json!("drop_before"), false),
        (json!("drop_after"), true),
        (json!("cut_answer"), true),
    ] {
        let simulator = with_request_fault(&effect);
        let answer = call(&simulator, "POST", CREATE, "snapname=one");
        let kind = answer.expect_err("no answer").kind();
        let expected = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
        assert!(expected.contains(&kind), "{effect}: {kind:?}");
        assert_eq!(taken(&simulator), happened, "{effect}");
        let requests = simulator.journal().requests();
        assert!(requests[0].fault.is_some(), "{effect} is in the journal");
        // The second attempt is let through.
        assert_eq!(
            call(&simulator, "POST", CREATE, "snapname=two")
                .expect("one")
                .status,
            200
        );
    }
}

#[test]
fn ordered_answers_replace_the_real_ones() {
    let effect = json!({"answer": {"status": 599, "reason": "Too many redirections"}});
    let simulator = with_request_fault(&effect);
    let answer = call(&simulator, "POST", CREATE, "snapname=one").expect("an answer");
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (599, "Too many redirections")
    );
    assert!(!taken(&simulator));
    let simulator = with_request_fault(&json!("start_failed"));
    let answer = call(&simulator, "POST", CREATE, "snapname=one").expect("an answer");
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (500, "got no worker upid - start worker failed")
    );
    assert!(!taken(&simulator));
}

#[test]
fn a_node_can_be_lost_by_a_request() {
    let simulator = with_request_fault(&json!({"lose_node": {"node": "pve2"}}));
    assert_eq!(task(&simulator, "POST", CREATE, "snapname=one"), "OK");
    let answer = call(&simulator, "GET", "/nodes/pve2/qemu/102/config", "").expect("an answer");
    assert_eq!(answer.status, 595);
}

#[test]
fn a_creation_that_dies_half_way_leaves_what_pve_leaves() {
    for (step, left) in [
        ("lock", None),
        ("volumes", Some("prepare")),
        ("commit", Some("prepare")),
    ] {
        let simulator = with_task_fault("qmsnapshot", &json!({"abort_at": step}));
        assert_eq!(
            task(&simulator, "POST", CREATE, "snapname=one"),
            "unexpected status",
            "{step}"
        );
        let config = data(&simulator, "GET", &format!("{WEB}/config"), "");
        assert_eq!(config["lock"].as_str(), left.map(|_| "snapshot"), "{step}");
        assert_eq!(config["parent"], Value::Null, "{step}");
        let found = snapshots(&simulator, WEB);
        let expected: Vec<_> = left
            .map(|state| ("one".to_owned(), Some(state.to_owned())))
            .into_iter()
            .collect();
        assert_eq!(found, expected, "{step}");
        assert!(simulator.journal().mutations().is_empty(), "{step}");
    }
}

#[test]
fn a_removal_that_dies_half_way_stays_locked_and_marked() {
    for (step, lock, state) in [
        ("lock", None, None),
        ("delete_state", Some("snapshot-delete"), None),
        ("volumes", Some("snapshot-delete"), Some("delete")),
        ("cleanup", Some("snapshot-delete"), Some("delete")),
    ] {
        let simulator = with_task_fault("qmdelsnapshot", &json!({"abort_at": step}));
        assert_eq!(task(&simulator, "POST", CREATE, "snapname=one"), "OK");
        let gone = task(&simulator, "DELETE", &format!("{CREATE}/one"), "");
        assert_eq!(gone, "unexpected status", "{step}");
        let config = data(&simulator, "GET", &format!("{WEB}/config"), "");
        assert_eq!(config["lock"].as_str(), lock, "{step}");
        let expected = [("one".to_owned(), state.map(str::to_owned))];
        assert_eq!(snapshots(&simulator, WEB), expected, "{step}");
        if let Some(lock) = lock {
            let again = task(&simulator, "DELETE", &format!("{CREATE}/one?force=1"), "");
            assert_eq!(again, format!("VM is locked ({lock})"), "{step}");
        }
    }
}

#[test]
fn tasks_fail_warn_and_take_longer_as_ordered() {
    let simulator = with_task_fault("qmsnapshot", &json!({"fail": "no space left on device"}));
    assert_eq!(
        task(&simulator, "POST", CREATE, "snapname=one"),
        "no space left on device"
    );
    let simulator = with_task_fault("qmsnapshot", &json!({"warn": 2}));
    assert_eq!(
        task(&simulator, "POST", CREATE, "snapname=one"),
        "WARNINGS: 2"
    );
    assert!(taken(&simulator));
    let simulator = with_task_fault("qmsnapshot", &json!({"duration": 50.0}));
    let upid = data(&simulator, "POST", CREATE, "snapname=one");
    let upid = upid.as_str().expect("a UPID");
    assert_eq!(exit_of(&simulator, upid), None);
    simulator.advance(51.0);
    assert_eq!(exit_of(&simulator, upid).as_deref(), Some("OK"));
}

#[test]
fn a_held_request_is_handled_when_it_is_released() {
    let simulator = with_request_fault(&json!("hold"));
    std::thread::scope(|scope| {
        let held = scope.spawn(|| task(&simulator, "POST", CREATE, "snapname=one"));
        let applied = || simulator.world(|world| world.faults.applied_to_requests()[0]);
        while applied() == 0 && !held.is_finished() {
            std::thread::yield_now();
        }
        // Others are not held up, and what they do comes first.
        assert!(!taken(&simulator));
        assert_eq!(task(&simulator, "POST", CREATE, "snapname=other"), "OK");
        assert!(!held.is_finished());
        simulator.release();
        assert_eq!(held.join().expect("an answer"), "OK");
    });
    let names: Vec<String> = snapshots(&simulator, WEB)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["one", "other"]);
}
