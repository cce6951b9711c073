// SPDX-License-Identifier: GPL-3.0-only
//! Replies that are not what was requested: the UPID of another task, listings that are no listings.

use crate::harness::Lab;
use crate::world::{World, ct, vm};

/// A reply with another task does not show whether the request was carried out.
const OTHER_TASK: &str = "names another task than the one requested";

/// Both guests have two snapshots, and a task of guest 101 has just succeeded.
fn lab_with_a_finished_task() -> Lab {
    let lab = Lab::new(&World::of([
        vm(100, "web01").taken("daily", &[1, 2]),
        vm(101, "web02"),
        ct(200, "proxy").taken("daily", &[1, 2]),
    ]));
    lab.run("--vmid=101 snap --label=other --keep=9")
        .assert_status(0);
    lab
}

/// D1: the reply to a creation names a task of another guest, which has succeeded.
#[test]
fn a_creation_answered_with_the_task_of_another_guest_removes_nothing() {
    for vmid in [100, 200] {
        let lab = lab_with_a_finished_task();
        lab.set_faults(r#"{"requests": [{"method": "POST", "effect": "other_task"}]}"#);
        let words = format!("--vmid={vmid} --timeout=1 snap --label=daily --keep=1");
        lab.run(&words)
            .assert_status(1)
            .assert_out(OTHER_TASK)
            .assert_out("it is not known whether it was done");
        assert_eq!(lab.changes_of(vmid), [] as [&str; 0]);
        let posts = lab.writes();
        let posts = posts
            .iter()
            .filter(|line| line.contains(&format!("/{vmid}/")));
        assert_eq!(posts.count(), 1, "nothing is sent twice");
    }
}

/// D1: the reply to a removal names a task of another guest, which has succeeded.
#[test]
fn a_removal_answered_with_the_task_of_another_guest_is_not_reported_as_done() {
    let lab = lab_with_a_finished_task();
    lab.set_faults(r#"{"requests": [{"method": "DELETE", "effect": "other_task"}]}"#);
    let output = lab.run("--vmid=100 --timeout=1 clean --label=daily --keep=0");
    output
        .assert_status(1)
        .assert_out(OTHER_TASK)
        .assert_not_said("2 removed");
    assert_eq!(lab.changes_of(100), [] as [&str; 0]);
    assert_eq!(lab.snapshots(100).len(), 2);
}

/// D1: the request was carried out, and only its reply was exchanged: the truth is looked up.
#[test]
fn a_creation_whose_reply_was_exchanged_is_found() {
    for upid in [
        "UPID:pve2:0000ABCD:00001234:65920080:qmsnapshot:100:backup@pve!auto:",
        "UPID:pve1:0000ABCD:00001234:65920080:qmdelsnapshot:100:backup@pve!auto:",
        "UPID:pve1:0000ABCD:00001234:65920080:qmsnapshot:1000:backup@pve!auto:",
        "UPID:pve1:0000ABCD:00001234:65920080:qmsnapshot:100:root@pam:",
    ] {
        let lab = lab_with_a_finished_task();
        lab.set_faults(&format!(
            r#"{{"requests": [{{"method": "POST", "effect":
                {{"answer": {{"status": 200, "reason": "OK", "handled": true, "body": {{"data": "{upid}"}}}}}}}}]}}"#
        ));
        lab.run("--vmid=100 --timeout=20 snap --label=daily --keep=1")
            .assert_status(0)
            .assert_out("the answer was lost; PVE shows that it was done");
        assert_eq!(lab.changes_of(100).len(), 3, "{upid}");
    }
}
