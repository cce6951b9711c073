// SPDX-License-Identifier: GPL-3.0-only
//! A reply that names the task of an earlier request for the same guest: a cache between the program and PVE may send
//! it.

use crate::harness::Lab;
use crate::world::{World, ct, vm};

/// The message about a reply with the task of an earlier request.
const EARLIER: &str = "the reply names the task of an earlier request";

/// A lab after a run whose last task began an hour ago.
fn lab_after(world: &World, earlier: &str) -> Lab {
    let lab = Lab::new(world);
    set_clock(&lab, -3600.0);
    lab.run(earlier);
    set_clock(&lab, 0.0);
    lab
}

fn set_clock(lab: &Lab, offset: f64) {
    lab.simulator
        .world(|world| world.nodes.get_mut("pve1").unwrap().clock_offset = offset);
}

/// The reply to the second removal names the task of the first one, which succeeded: the removal is
/// not reported as done, and nothing is removed after it.
#[test]
fn an_earlier_task_does_not_confirm_a_removal() {
    let faults =
        r#"{"requests": [{"method": "DELETE", "when": {"nth": 2}, "effect": "other_task"}]}"#;
    let world = World::new([vm(100, "web01").taken("daily", &[1, 2, 3])]);
    let lab = Lab::with_faults(&world, faults);
    let output = lab.run("--vmid=100 --timeout=1 snap --label=daily --keep=1 --output=Json");
    output.assert_status(1);
    assert_eq!(
        lab.changes(),
        [
            "create 100 autodaily<now>",
            "delete 100 autodaily240101000000"
        ]
    );
    let report = output.json();
    let guest = &report["guests"][0];
    assert_eq!(
        guest["removed"],
        serde_json::json!(["autodaily240101000000"])
    );
    assert_eq!(guest["failures"][0]["effect"], "unknown", "{output}");
    let message = guest["failures"][0]["message"].as_str().unwrap();
    assert!(message.contains(EARLIER), "{message}");
}

/// The reply to a creation names the successful task of an earlier run for the same guest: no
/// snapshot is reported as created, and no old one is removed.
#[test]
fn a_task_of_an_earlier_run_does_not_confirm_a_creation() {
    for guest in [vm(100, "web01"), ct(100, "proxy")] {
        let world = World::new([guest.taken("daily", &[1, 2])]);
        let lab = lab_after(&world, "--vmid=100 snap --label=other --keep=9");
        lab.set_faults(r#"{"requests": [{"method": "POST", "effect": "other_task"}]}"#);
        for keep in [1, 9] {
            let args = format!("--vmid=100 --timeout=1 snap --label=daily --keep={keep}");
            lab.run(&args)
                .assert_status(1)
                .assert_out(EARLIER)
                .assert_out("0 snapshots created, 0 removed");
        }
        assert_eq!(lab.changes(), ["create 100 autoother<now>"]);
    }
}

#[test]
fn a_task_of_an_earlier_run_does_not_confirm_a_removal() {
    let world = World::new([vm(100, "web01").taken("daily", &[1, 2, 3])]);
    let lab = lab_after(&world, "--vmid=100 clean --label=daily --keep=2");
    lab.set_faults(r#"{"requests": [{"method": "DELETE", "effect": "other_task"}]}"#);
    lab.run("--vmid=100 --timeout=1 clean --label=daily --keep=0")
        .assert_status(1)
        .assert_out(EARLIER)
        .assert_out("0 removed");
    assert_eq!(lab.changes(), ["delete 100 autodaily240101000000"]);
}

/// If the reply names an earlier task that failed because of a lock, the request is not retried:
/// PVE may have executed it.
#[test]
fn a_failed_task_of_an_earlier_run_does_not_cause_a_retry() {
    let lab = Lab::with_faults(
        &World::new([ct(100, "proxy").taken("daily", &[1, 2])]),
        r#"{"tasks": [{"effect": {"fail": "CT is locked (backup)"}}]}"#,
    );
    set_clock(&lab, -3600.0);
    lab.run("--vmid=100 snap --label=daily --keep=1")
        .assert_status(1);
    set_clock(&lab, 0.0);
    let earlier = lab.simulator.world(|world| {
        let mut ended = world.tasks.finished("pve1");
        ended.next().unwrap().upid.to_string()
    });
    for handled in [true, false] {
        lab.set_faults(&format!(
            r#"{{"requests": [{{"method": "POST", "effect": {{"answer": {{"status": 200, "reason": "OK",
                "handled": {handled}, "body": {{"data": "{earlier}"}}}}}}}}]}}"#
        ));
        let before = lab.writes().len();
        lab.run("--vmid=100 --timeout=3 snap --label=weekly --keep=1 --wait-locked=20")
            .assert_status(i32::from(!handled))
            .assert_out(if handled {
                "1 snapshot created"
            } else {
                EARLIER
            });
        assert_eq!(lab.writes().len(), before + 1, "nothing is sent twice");
    }
    assert_eq!(lab.changes(), ["create 100 autoweekly<now>"]);
}
