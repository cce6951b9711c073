// SPDX-License-Identifier: GPL-3.0-only
//! Injected faults: requests lost before or after they took effect, and tasks aborted midway.

use std::io::ErrorKind;

use crate::common::{call, create_snapshot, data, exit_status, remove_snapshot, serve, snapshots};
use pve_sim::faults::FaultPlan;
use pve_sim::simulator::Simulator;
use serde_json::{Value, json};

const WEB: &str = "/nodes/pve1/qemu/100";
const SNAPSHOTS: &str = "/nodes/pve1/qemu/100/snapshot";

fn with_request_fault(effect: &Value) -> Simulator {
    let plan = json!({"requests": [{"method": "POST", "times": 1, "effect": effect}]});
    serve(|options| options.faults = FaultPlan::parse(&plan.to_string()).expect("a plan"))
}

fn with_task_fault(kind: &str, effect: &Value) -> Simulator {
    let plan = json!({"tasks": [{"kind": kind, "times": 1, "effect": effect}]});
    serve(|options| options.faults = FaultPlan::parse(&plan.to_string()).expect("a plan"))
}

fn has_snapshot(simulator: &Simulator) -> bool {
    snapshots(simulator, WEB) == [("one".to_owned(), None)]
}

#[test]
fn dropped_requests_take_effect_according_to_the_fault() {
    for (effect, happened) in [
        (json!("refuse"), false),
        (json!("drop_before"), false),
        (json!("drop_after"), true),
        (json!("cut_answer"), true),
    ] {
        let simulator = with_request_fault(&effect);
        let response = call(&simulator, "POST", SNAPSHOTS, "snapname=one");
        let kind = response.expect_err("no response").kind();
        let expected = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
        assert!(expected.contains(&kind), "{effect}: {kind:?}");
        assert_eq!(has_snapshot(&simulator), happened, "{effect}");
        let requests = simulator.journal().requests();
        assert!(requests[0].fault.is_some(), "{effect} is in the journal");
        // The fault applies once; the second attempt succeeds.
        assert_eq!(
            call(&simulator, "POST", SNAPSHOTS, "snapname=two")
                .expect("one")
                .status,
            200
        );
    }
}

#[test]
fn canned_responses_replace_real_ones() {
    let effect = json!({"answer": {"status": 599, "reason": "Too many redirections"}});
    let simulator = with_request_fault(&effect);
    let response = call(&simulator, "POST", SNAPSHOTS, "snapname=one").expect("a response");
    assert_eq!(
        (response.status, response.reason.as_str()),
        (599, "Too many redirections")
    );
    assert!(!has_snapshot(&simulator));
    let simulator = with_request_fault(&json!("start_failed"));
    let response = call(&simulator, "POST", SNAPSHOTS, "snapname=one").expect("a response");
    assert_eq!(
        (response.status, response.reason.as_str()),
        (500, "got no worker upid - start worker failed")
    );
    assert!(!has_snapshot(&simulator));
}

#[test]
fn a_request_can_take_a_node_offline() {
    let simulator = with_request_fault(&json!({"lose_node": {"node": "pve2"}}));
    assert_eq!(create_snapshot(&simulator, WEB, "snapname=one"), "OK");
    let response = call(&simulator, "GET", "/nodes/pve2/qemu/102/config", "").expect("a response");
    assert_eq!(response.status, 595);
}

#[test]
fn an_aborted_creation_leaves_the_state_that_pve_leaves() {
    for (step, left) in [
        ("lock", None),
        ("volumes", Some("prepare")),
        ("commit", Some("prepare")),
    ] {
        let simulator = with_task_fault("qmsnapshot", &json!({"abort_at": step}));
        assert_eq!(
            create_snapshot(&simulator, WEB, "snapname=one"),
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
fn an_aborted_removal_leaves_lock_and_mark() {
    for (step, lock, state) in [
        ("lock", None, None),
        ("delete_state", Some("snapshot-delete"), None),
        ("volumes", Some("snapshot-delete"), Some("delete")),
        ("cleanup", Some("snapshot-delete"), Some("delete")),
    ] {
        let simulator = with_task_fault("qmdelsnapshot", &json!({"abort_at": step}));
        assert_eq!(create_snapshot(&simulator, WEB, "snapname=one"), "OK");
        let gone = remove_snapshot(&simulator, WEB, "one");
        assert_eq!(gone, "unexpected status", "{step}");
        let config = data(&simulator, "GET", &format!("{WEB}/config"), "");
        assert_eq!(config["lock"].as_str(), lock, "{step}");
        let expected = [("one".to_owned(), state.map(str::to_owned))];
        assert_eq!(snapshots(&simulator, WEB), expected, "{step}");
        if let Some(lock) = lock {
            let again = remove_snapshot(&simulator, WEB, "one?force=1");
            assert_eq!(again, format!("VM is locked ({lock})"), "{step}");
        }
    }
}

#[test]
fn task_faults_fail_warn_and_delay() {
    let simulator = with_task_fault("qmsnapshot", &json!({"fail": "no space left on device"}));
    assert_eq!(
        create_snapshot(&simulator, WEB, "snapname=one"),
        "no space left on device"
    );
    let simulator = with_task_fault("qmsnapshot", &json!({"warn": 2}));
    assert_eq!(
        create_snapshot(&simulator, WEB, "snapname=one"),
        "WARNINGS: 2"
    );
    assert!(has_snapshot(&simulator));
    let simulator = with_task_fault("qmsnapshot", &json!({"duration": 50.0}));
    let upid = data(&simulator, "POST", SNAPSHOTS, "snapname=one");
    let upid = upid.as_str().expect("a UPID");
    assert_eq!(exit_status(&simulator, upid), None);
    simulator.advance(51.0);
    assert_eq!(exit_status(&simulator, upid).as_deref(), Some("OK"));
}

#[test]
fn a_held_request_continues_after_release() {
    let simulator = with_request_fault(&json!("hold"));
    std::thread::scope(|scope| {
        let held = scope.spawn(|| create_snapshot(&simulator, WEB, "snapname=one"));
        let applied = || simulator.world(|world| world.faults.applied_to_requests()[0]);
        while applied() == 0 && !held.is_finished() {
            std::thread::yield_now();
        }
        // Other requests are not held.
        assert!(!has_snapshot(&simulator));
        assert_eq!(create_snapshot(&simulator, WEB, "snapname=other"), "OK");
        assert!(!held.is_finished());
        simulator.release();
        assert_eq!(held.join().expect("a response"), "OK");
    });
    let names: Vec<String> = snapshots(&simulator, WEB)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["one", "other"]);
}
