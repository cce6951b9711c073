// SPDX-License-Identifier: GPL-3.0-only
//! Tasks that outlive `--timeout`: others go first, the guest is looked at again, and only what still
//! runs at the end has failed.

use crate::gate::{Gate, Run};
use crate::harness::Lab;
use crate::world::{World, vm};

const SNAP: &str = "--vmid=100,101 --timeout=1 snap --label=daily --keep=1";

/// Two guests; tasks of that kind at the first one take an hour.
fn lab(kind: &str) -> Lab {
    let world = World::of([vm(100, "big").taken("daily", &[1, 2]), vm(101, "small")]);
    let fault = format!(
        r#"{{"tasks": [{{"vmid": 100, "kind": "{kind}", "effect": {{"duration": 3600}}}}]}}"#
    );
    Lab::with_faults(&world, &fault)
}

/// A run whose first guest is late, stopped in the opening hook of the second one.
fn while_the_second_begins<'a>(gate: &Gate, lab: &'a Lab, words: &str) -> Run<'a> {
    let mut run = gate.start(lab, words);
    run.go_to("snap-create-pre 101");
    run
}

fn posts_of(lab: &Lab, vmid: u32) -> usize {
    let path = format!("/{vmid}/snapshot");
    let writes = lab.writes();
    writes.iter().filter(|write| write.contains(&path)).count()
}

/// C11: a creation that ends well after the time-out, while another guest has its turn, is done, with its
/// removals and a note; the hooks are called once, at the real end.
#[test]
fn a_creation_that_ends_after_the_time_out_is_done() {
    let lab = lab("qmsnapshot");
    let gate = Gate::new(&lab);
    let mut run = while_the_second_begins(&gate, &lab, SNAP);
    lab.simulator.advance(3600.0);
    assert_eq!(
        run.go_on_to_the_end(),
        [
            "snap-create-post 101",
            "snap-remove-pre 100",
            "snap-remove-post 100",
            "snap-remove-pre 100",
            "snap-remove-post 100",
            "snap-create-post 100",
            "snap-job-end"
        ]
    );
    let output = run.ended();
    output.assert_status(0).assert_out("2 done, 0 skipped");
    output
        .assert_out("Create snapshot: autodaily<now>\nWaiting: the task has not ended within 1 s\n")
        .assert_out("Looked at again after ")
        .assert_out("\n  took longer than --timeout\n");
    assert_eq!(lab.snapshots(100), ["autodaily<now>"]);
    assert_eq!(posts_of(&lab, 100), 3, "one creation, two removals");
}

/// C11: the same for a removal, which is followed by the next one.
#[test]
fn a_removal_that_ends_after_the_time_out_is_done() {
    let lab = lab("qmdelsnapshot");
    let gate = Gate::new(&lab);
    let mut run = while_the_second_begins(&gate, &lab, SNAP);
    lab.simulator.advance(3600.0);
    lab.set_faults("{}");
    assert_eq!(
        run.go_on_to_the_end(),
        [
            "snap-create-post 101",
            "snap-remove-post 100",
            "snap-remove-pre 100",
            "snap-remove-post 100",
            "snap-create-post 100",
            "snap-job-end"
        ]
    );
    let output = run.ended();
    output
        .assert_status(0)
        .assert_out("  took longer than --timeout\n");
    assert_eq!(lab.snapshots(100), ["autodaily<now>"]);
    assert_eq!(posts_of(&lab, 100), 3);
}

/// C11: what still runs at the end has failed, and nothing more was asked for of the guest.
#[test]
fn a_task_that_still_runs_at_the_end_has_failed() {
    for (kind, phases, posts) in [
        ("qmsnapshot", &["snap-create-abort 100"][..], 1),
        (
            "qmdelsnapshot",
            &["snap-remove-abort 100", "snap-create-post 100"][..],
            2,
        ),
    ] {
        let lab = lab(kind);
        let gate = Gate::new(&lab);
        let mut run = while_the_second_begins(&gate, &lab, SNAP);
        let reached = run.go_on_to_the_end();
        let expected = [&["snap-create-post 101"][..], phases, &["snap-job-end"]].concat();
        assert_eq!(reached, expected, "{kind}");
        run.ended()
            .assert_status(1)
            .assert_out("increase the timeout! (the task has not ended within 1 s)")
            .assert_out("  the task goes on in PVE\n")
            .assert_out("guests: 1 done, 0 skipped, 1 with errors");
        assert_eq!(posts_of(&lab, 100), posts, "{kind}");
    }
}

/// C11: a run that is asked to stop looks a last time, tells what was done, and begins nothing.
#[test]
fn an_interrupted_run_tells_how_a_late_task_has_ended() {
    for ended in [true, false] {
        let lab = lab("qmsnapshot");
        let gate = Gate::new(&lab);
        let mut run = while_the_second_begins(&gate, &lab, SNAP);
        if ended {
            lab.simulator.advance(3600.0);
        }
        run.signal("INT");
        run.heard("interrupted");
        let reached = run.go_on_to_the_end();
        let last = if ended {
            "snap-create-post 100"
        } else {
            "snap-create-abort 100"
        };
        assert_eq!(reached, ["snap-create-post 101", last, "snap-job-end"]);
        let output = run.ended();
        output.assert_status(130);
        let created = if ended { "2 snapshots" } else { "1 snapshot" };
        output.assert_out(&format!("{created} created, 0 removed"));
        assert_eq!(posts_of(&lab, 100), 1);
    }
}

/// C11: removals whose time is over when the late creation has ended are left to the next run.
#[test]
fn a_late_creation_keeps_to_the_budget_for_removals() {
    let lab = lab("qmsnapshot");
    let gate = Gate::new(&lab);
    let words = format!("{SNAP} --removal-budget=1s");
    let mut run = gate.start(&lab, &words);
    run.go_to("snap-create-pre 101");
    lab.simulator.advance(3600.0);
    run.finish()
        .assert_status(0)
        .assert_out("Left to the next run: 2 removals, the time for removals was used up");
    assert_eq!(posts_of(&lab, 100), 1);
}

/// C11: ten minutes are the default.
#[test]
fn the_default_time_out_is_ten_minutes() {
    let lab = lab("qmsnapshot");
    lab.run("--vmid=101 snap --label=daily --keep=1")
        .assert_status(0)
        .assert_out("Timeout:          600 sec.\n");
}
