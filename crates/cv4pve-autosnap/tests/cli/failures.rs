// SPDX-License-Identifier: GPL-3.0-only
//! Failures during a run: lost replies, tasks that die, and what an administrator must resolve. The
//! report states what is known, and no request that changes something is repeated unless PVE
//! reported that it started nothing.

use insta::assert_snapshot;

use crate::harness::{Lab, Output, until};
use crate::paused_run::PausingHook;
use crate::world::{World, ct, vm};

const SNAP: &str = "--vmid=100 --timeout=1 snap --label=daily --keep=1";

/// A lab with these faults.
fn lab(faults: &str) -> Lab {
    Lab::with_faults(&World::new([vm(100, "web01").taken("daily", &[1])]), faults)
}

/// The lines between the guest's header and the totals.
fn block(output: &Output) -> String {
    let lines = output
        .stdout
        .lines()
        .skip_while(|line| !line.starts_with("----- VM"));
    let block = lines
        .skip(1)
        .take_while(|line| !line.contains(" created, "));
    block.collect::<Vec<_>>().join("\n")
}

fn posts(lab: &Lab) -> usize {
    lab.writes()
        .iter()
        .filter(|write| write.starts_with("POST"))
        .count()
}

#[test]
fn the_effect_of_a_lost_reply_is_found() {
    let lab = lab(r#"{"requests": [{"method": "POST", "effect": "drop_after"}]}"#);
    let output = lab.run(SNAP);
    assert_snapshot!(block(output.assert_status(0)), @r#"
    Create snapshot: autodaily<now>
      the answer was lost; PVE shows that it was done
    Remove snapshot: autodaily240101000000
    VM execution <time>
    "#);
    assert_eq!(posts(&lab), 1);
    assert_eq!(lab.changes().len(), 2);
}

#[test]
fn a_request_that_left_no_trace_is_not_repeated() {
    let lab = lab(r#"{"requests": [{"method": "POST", "effect": "drop_before"}]}"#);
    let output = lab.run(SNAP);
    assert_snapshot!(block(output.assert_status(1)), @r#"
    Create snapshot: autodaily<now>
    Error: no complete reply from 127.0.0.1:<port> to POST /nodes/pve1/qemu/100/snapshot: the connection was closed before the reply; there is no snapshot autodaily<now> now
      it is not known whether it was done
      hint: check snapshot autodaily<now> and the tasks of guest 100 on node pve1
    "#);
    assert_eq!(posts(&lab), 1);
    assert_eq!(lab.changes(), [] as [&str; 0]);
}

#[test]
fn a_request_whose_worker_could_not_start_is_retried() {
    let lab = lab(r#"{"requests": [{"method": "POST", "times": 2, "effect": "start_failed"}]}"#);
    lab.run(SNAP).assert_status(0);
    assert_eq!(posts(&lab), 3);
    assert_eq!(lab.changes().len(), 2);
}

#[test]
fn a_task_that_dies_is_reported_with_the_repair() {
    for (kind, expected_changes) in [("qmsnapshot", 0), ("qmdelsnapshot", 1)] {
        let lab = lab(&format!(
            r#"{{"tasks": [{{"kind": "{kind}", "effect": {{"abort_at": "volumes"}}}}]}}"#
        ));
        let output = lab.run(SNAP);
        output
            .assert_status(1)
            .assert_out("  the snapshot is incomplete\n")
            .assert_out("as root on pve1: qm unlock 100");
        let mut changes = lab.changes();
        changes.retain(|change| !change.starts_with("Configure"));
        assert_eq!(changes.len(), expected_changes, "{output}");
    }
}

#[test]
fn a_task_whose_worker_vanished_is_settled_by_the_snapshots() {
    let lab = lab(r#"{"tasks": [{"kind": "qmsnapshot", "effect": "vanish"}]}"#);
    lab.run(SNAP).assert_status(1);
    assert_eq!(lab.changes(), [] as [&str; 0]);
}

#[test]
fn a_snapshot_that_replication_needs_stays_unless_forced() {
    let world = World::new([vm(100, "web01")
        .taken("daily", &[1, 2])
        .with("replication_job", "100-0")]);
    let lab = Lab::new(&world);
    let output = lab.run("--vmid=100 clean --label=daily --keep=1");
    output
        .assert_status(1)
        .assert_out("needed by replication job '100-0'")
        .assert_out("hint: replication still needs it");
    assert_eq!(lab.changes(), [] as [&str; 0]);
    lab.run("--vmid=100 clean --label=daily --keep=1 --force-remove")
        .assert_status(0);
    assert_eq!(lab.changes(), ["delete 100 autodaily240101000000"]);
}

#[test]
fn a_node_that_is_lost_during_the_run_fails_its_guests_only() {
    let lab = Lab::new(&World::new([vm(100, "near"), ct(200, "far").on("pve2")]));
    let lost = r#"{"requests": [{"method": "POST", "path": "/nodes/pve2/**", "times": 1, "effect": {"lose_node": {"node": "pve2"}}}]}"#;
    lab.set_faults(lost);
    lab.run("--vmid=@all --max-parallel=1 --timeout=1 snap --label=daily --keep=1")
        .assert_status(1)
        .assert_out("FAILED CT 200 far on pve2: ");
    assert_eq!(lab.changes(), ["create 100 autodaily<now>"]);
}

#[test]
fn a_guest_that_is_unlocked_in_time_gets_its_snapshot() {
    let lab = lab(
        r#"{"tasks": [{"kind": "qmsnapshot", "times": 1, "effect": {"fail": "VM is locked (backup)"}}]}"#,
    );
    let output = lab.run("--vmid=100 snap --label=daily --keep=1 --wait-locked=20s");
    let block = block(output.assert_status(0));
    assert!(
        block.contains("Waiting: VM is locked (backup)\nTrying again after "),
        "{block}"
    );
    assert_eq!(lab.changes().len(), 2);
}

/// A run of three removals; the guest gets locked before the second one.
fn locked_before_the_second_removal(wait: &str, and_then: impl Fn(&Lab)) -> (Lab, Output) {
    let lab = Lab::new(&World::new(
        [vm(100, "web01").taken("daily", &[1, 2, 3, 4])],
    ));
    let hook = PausingHook::new(&lab);
    let args = format!("--vmid=100 clean --label=daily --keep=1 --wait-locked={wait}");
    let mut run = hook.start(&lab, &args);
    for _ in 0..2 {
        run.go_to("snap-remove-pre 100");
        if lab.changes().is_empty() {
            run.resume();
        }
    }
    let lock = Some("backup".to_owned());
    lab.simulator
        .world(|world| world.guests.get_mut(&100).unwrap().lock = lock);
    run.resume();
    // The second removal was sent and refused for the lock.
    until("the second removal is requested", || {
        lab.writes().len() >= 2
    });
    and_then(&lab);
    let output = run.finish();
    (lab, output)
}

#[test]
fn a_guest_that_is_unlocked_between_two_removals_is_finished_and_counted() {
    let (lab, output) = locked_before_the_second_removal("60s", |lab| {
        lab.simulator
            .world(|world| world.guests.get_mut(&100).unwrap().lock = None);
    });
    output
        .assert_status(0)
        .assert_out("Waiting: VM is locked (backup)\nTrying again after ")
        .assert_out("\n0 snapshots created, 3 removed; guests: 1 done, 0 skipped; took <time>\n");
    assert_eq!(lab.changes().len(), 3);
    assert_eq!(lab.snapshots(100), ["autodaily240104000000"]);
}

#[test]
fn removals_done_before_a_lock_are_not_counted_as_postponed() {
    let (lab, output) = locked_before_the_second_removal("1s", |_| {});
    output
        .assert_status(1)
        .assert_out("Left to the next run: 1 removal, ")
        .assert_out(
            "\n0 snapshots created, 1 removed; guests: 0 done, 0 skipped, 1 with errors; took <time>\n",
        );
    assert_eq!(lab.changes(), ["delete 100 autodaily240101000000"]);
}

#[test]
fn a_snapshot_removed_during_a_hook_is_counted_before_the_next_removal() {
    let lab = Lab::new(&World::new(
        [vm(100, "web01").taken("daily", &[1, 2, 3, 4])],
    ));
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(&lab, "--vmid=100 clean --label=daily --keep=2");
    run.go_to("snap-remove-pre 100");
    lab.simulator.world(|world| {
        let guest = world.guests.get_mut(&100).unwrap();
        guest
            .snapshots
            .retain(|name, _| name < &"autodaily240103".to_owned());
    });
    run.resume_to_the_end();
    run.ended().assert_status(0).assert_out(
        "Not removed: autodaily240101000000, it is kept: the guest's snapshots have changed",
    );
    assert_eq!(lab.changes(), [] as [&str; 0]);
    assert_eq!(lab.snapshots(100).len(), 2);
}

#[test]
fn a_failed_task_of_another_run_is_not_mistaken_for_ours() {
    let lab = lab(
        r#"{"tasks": [{"kind": "qmsnapshot", "times": 1, "effect": {"fail": "VM is locked (backup)"}}]}"#,
    );
    lab.run("--vmid=100 snap --label=hourly --keep=1")
        .assert_status(1);
    let lost = r#"{"requests": [{"method": "POST", "effect": "drop_before"}]}"#;
    lab.set_faults(lost);
    lab.run("--vmid=100 --timeout=1 snap --label=daily --keep=1 --wait-locked=20s")
        .assert_status(1)
        .assert_out("it is not known whether it was done");
    assert_eq!(posts(&lab), 2, "one for each run");
}
