// SPDX-License-Identifier: GPL-3.0-only
//! Tasks that outlive `--timeout`: the run continues with other guests, polls the task again, and
//! reports a failure only if it still runs at the end.

use crate::harness::Lab;
use crate::paused_run::{PausingHook, Run};
use crate::world::{World, name, vm};

const SNAP: &str = "--vmid=100,101 --timeout=1 snap --label=daily --keep=1";

/// Two guests; tasks of this kind of the first guest take an hour.
fn lab(kind: &str) -> Lab {
    let world = World::new([vm(100, "big").taken("daily", &[1, 2]), vm(101, "small")]);
    let fault = format!(
        r#"{{"tasks": [{{"vmid": 100, "kind": "{kind}", "effect": {{"duration": 3600}}}}]}}"#
    );
    Lab::with_faults(&world, &fault)
}

/// A run whose first guest is late, paused in the `snap-create-pre` hook of the second guest.
fn while_the_second_begins<'a>(hook: &PausingHook, lab: &'a Lab, args: &str) -> Run<'a> {
    let mut run = hook.start(lab, args);
    run.go_to("snap-create-pre 101");
    run
}

fn posts_of(lab: &Lab, vmid: u32) -> usize {
    let path = format!("/{vmid}/snapshot");
    let writes = lab.writes();
    writes.iter().filter(|write| write.contains(&path)).count()
}

/// A creation that ends after the timeout, while another guest is worked on, succeeds: its removals
/// follow, the report has a note, and the hooks are called once, after the task has ended.
#[test]
fn a_creation_that_ends_after_the_timeout_succeeds() {
    let lab = lab("qmsnapshot");
    let hook = PausingHook::new(&lab);
    let mut run = while_the_second_begins(&hook, &lab, SNAP);
    lab.simulator.advance(3600.0);
    assert_eq!(
        run.resume_to_the_end(),
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
        .assert_out("Create snapshot: autodaily<now>\nWaiting: the task has not ended within 1s\n")
        .assert_out("Checked again after ")
        .assert_out("\n  took longer than --timeout\n");
    assert_eq!(lab.snapshots(100), ["autodaily<now>"]);
    assert_eq!(posts_of(&lab, 100), 3, "one creation, two removals");
}

/// The same for a removal; the next removal follows.
#[test]
fn a_removal_that_ends_after_the_timeout_succeeds() {
    let lab = lab("qmdelsnapshot");
    let hook = PausingHook::new(&lab);
    let mut run = while_the_second_begins(&hook, &lab, SNAP);
    lab.simulator.advance(3600.0);
    lab.set_faults("{}");
    assert_eq!(
        run.resume_to_the_end(),
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

/// A task that still runs at the end fails the guest, and nothing else is requested for the guest.
#[test]
fn a_task_that_still_runs_at_the_end_is_a_failure() {
    for (kind, phases, posts) in [
        ("qmsnapshot", &["snap-create-abort 100"][..], 1),
        (
            "qmdelsnapshot",
            &["snap-remove-abort 100", "snap-create-post 100"][..],
            2,
        ),
    ] {
        let lab = lab(kind);
        let hook = PausingHook::new(&lab);
        let mut run = while_the_second_begins(&hook, &lab, SNAP);
        let reached = run.resume_to_the_end();
        let expected = [&["snap-create-post 101"][..], phases, &["snap-job-end"]].concat();
        assert_eq!(reached, expected, "{kind}");
        run.ended()
            .assert_status(1)
            .assert_out("increase the timeout! (the task has not ended within 1s)")
            .assert_out("  the task is still running in PVE\n")
            .assert_out("guests: 1 done, 0 skipped, 1 with errors");
        assert_eq!(posts_of(&lab, 100), posts, "{kind}");
    }
}

/// An interrupted run polls the late task again, reports its result, and starts nothing.
#[test]
fn an_interrupted_run_reports_the_result_of_a_late_task() {
    for ended in [true, false] {
        let lab = lab("qmsnapshot");
        let hook = PausingHook::new(&lab);
        let mut run = while_the_second_begins(&hook, &lab, SNAP);
        if ended {
            lab.simulator.advance(3600.0);
        }
        run.signal("INT");
        run.wait_for_stderr("interrupted");
        let reached = run.resume_to_the_end();
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

/// If `--removal-budget` is used up when a late creation ends, its removals are left to the next
/// run.
#[test]
fn a_late_creation_respects_the_removal_budget() {
    let lab = lab("qmsnapshot");
    let hook = PausingHook::new(&lab);
    let args = format!("{SNAP} --removal-budget=1s");
    let mut run = hook.start(&lab, &args);
    run.go_to("snap-create-pre 101");
    lab.simulator.advance(3600.0);
    run.finish()
        .assert_status(0)
        .assert_out("Left to the next run: 2 removals, the time for removals was used up");
    assert_eq!(posts_of(&lab, 100), 1);
}

/// Even if all tasks of a guest, or all its creations, end only after the run, its snapshots do not
/// pile up: the next run starts with the overdue removals.
#[test]
fn snapshots_do_not_pile_up_when_all_tasks_are_late() {
    for (kind, nights) in [(r#""kind": "qmsnapshot", "#, 4), ("", 6)] {
        let world = World::new([vm(100, "big").taken("daily", &[1, 2])]);
        let fault = format!(r#"{{"tasks": [{{{kind}"effect": {{"duration": 1800}}}}]}}"#);
        let lab = Lab::with_faults(&world, &fault);
        let mut created = 0;
        for night in 0..nights {
            let dry_run = lab.run("--vmid=100 --timeout=1 snap --label=daily --keep=2 --dry-run");
            let output = lab.run("--vmid=100 --timeout=1 snap --label=daily --keep=2");
            output.assert_status(1);
            lab.simulator.advance(3600.0);
            let left = lab.snapshots(100);
            assert!(left.len() <= 3, "night {night}: {left:?}\n{output}");
            created = lab
                .changes()
                .iter()
                .filter(|change| change.starts_with("create"))
                .count();
            if night > 0 && !kind.is_empty() {
                let note = "The last snapshot took longer than --timeout: 1 removal of that run comes before the new snapshot";
                dry_run.assert_out(note);
                output.assert_out(note);
                assert_eq!(left.len(), 3, "night {night}: {left:?}");
            }
        }
        assert!(created * 2 >= nights, "{created} in {nights} nights");
    }
}

/// A guest with snapshots of this many days and `--keep=2`, whose last run ended before its
/// creation, so that its removals are overdue.
fn overdue_lab(days: i64) -> Lab {
    let days: Vec<_> = (1..=days).collect();
    let world = World::new([vm(100, "big").taken("daily", &days)]);
    let fault = r#"{"tasks": [{"kind": "qmsnapshot", "effect": {"duration": 1800}}]}"#;
    let lab = Lab::with_faults(&world, fault);
    lab.run(&format!("{NEXT} --timeout=1")).assert_status(1);
    lab.simulator.advance(3600.0);
    lab.set_faults("{}");
    assert_eq!(lab.snapshots(100).len(), days.len() + 1);
    lab
}

const NEXT: &str = "--vmid=100 snap --label=daily --keep=2";

/// The changes after the late creation: the day of each removed snapshot, and 0 for a creation.
fn changed_days(lab: &Lab) -> Vec<i64> {
    let changes = lab.changes();
    let later = changes.iter().skip(1);
    later
        .map(|change| {
            let is_day = |day: &i64| *change == format!("delete 100 {}", name("daily", *day));
            (1..=31).find(is_day).unwrap_or(0)
        })
        .collect()
}

/// Overdue removals before the new snapshot leave `--keep` snapshots, and count for
/// `--max-removals-per-guest` together with the removals after it.
#[test]
fn overdue_removals_leave_keep_snapshots_and_count_for_the_limit() {
    for (limit, expected) in [
        (20, &[1, 2, 3, 4, 0, 5][..]),
        (5, &[1, 2, 3, 4, 0, 5]),
        (4, &[1, 2, 3, 4, 0]),
        (2, &[1, 2, 0]),
    ] {
        let lab = overdue_lab(5);
        let output = lab.run(&format!(
            "{NEXT} --timeout=1 --max-removals-per-guest={limit}"
        ));
        output.assert_status(0);
        assert_eq!(changed_days(&lab), expected, "{limit}: {output}");
        let gone = expected.len() - 1;
        assert_eq!(lab.snapshots(100).len(), 7 - gone, "{output}");
    }
}

/// If the creation then fails, `--keep` snapshots are left.
#[test]
fn a_failed_creation_after_overdue_removals_leaves_keep_snapshots() {
    let lab = overdue_lab(3);
    lab.set_faults(r#"{"tasks": [{"kind": "qmsnapshot", "effect": {"fail": "no space left"}}]}"#);
    for _ in 0..2 {
        lab.run(&format!("{NEXT} --timeout=1")).assert_status(1);
        assert_eq!(changed_days(&lab), [1, 2]);
        assert_eq!(lab.snapshots(100).len(), 2);
    }
}

/// A guest whose overdue removal fails, or is refused by a hook, still gets its snapshot; nothing
/// else is removed.
#[test]
fn a_guest_whose_overdue_removal_fails_gets_its_snapshot() {
    let lab = overdue_lab(3);
    lab.script(
        "fail.sh",
        "#!/bin/sh\n[ $CV4PVE_AUTOSNAP_PHASE != snap-remove-pre ]\n",
    );
    lab.run(&format!(
        "{NEXT} --timeout=1 --script=fail.sh --hook-failure=skip-guest"
    ))
    .assert_status(1)
    .assert_out("1 snapshot created, 0 removed");
    assert_eq!(changed_days(&lab), [0]);

    let lab = overdue_lab(3);
    lab.set_faults(r#"{"tasks": [{"kind": "qmdelsnapshot", "effect": {"fail": "busy"}}]}"#);
    lab.run(&format!("{NEXT} --timeout=1"))
        .assert_status(1)
        .assert_out("1 snapshot created, 0 removed");
    assert_eq!(lab.snapshots(100).len(), 5);
}

/// If an overdue removal met a lock and the removal budget is used up at the retry, its abort hook
/// is called before the hooks of the new snapshot, also if the creation fails.
#[test]
fn an_overdue_removal_out_of_budget_is_aborted_before_the_creation() {
    let locked =
        r#"{"kind": "qmdelsnapshot", "times": 1, "effect": {"fail": "VM is locked (snapshot)"}}"#;
    let full = r#"{"kind": "qmsnapshot", "effect": {"fail": "no space left"}}"#;
    for (faults, status, closing) in [
        (locked.to_owned(), 0, "snap-create-post"),
        (format!("{locked}, {full}"), 1, "snap-create-abort"),
    ] {
        let lab = overdue_lab(3);
        lab.set_faults(&format!(r#"{{"tasks": [{faults}]}}"#));
        lab.script(
            "note.sh",
            "#!/bin/sh\necho $CV4PVE_AUTOSNAP_PHASE >> phases.txt\n",
        );
        lab.run(&format!(
            "{NEXT} --timeout=1 --removal-budget=1s --script=note.sh"
        ))
        .assert_status(status);
        let phases = std::fs::read_to_string(lab.folder().join("phases.txt")).unwrap();
        let expected = format!(
            "snap-job-start snap-remove-pre snap-remove-abort snap-create-pre {closing} snap-job-end"
        );
        assert_eq!(
            phases.split_whitespace().collect::<Vec<_>>().join(" "),
            expected
        );
    }
}

/// A run that is interrupted during an overdue removal finishes it and starts nothing else.
#[test]
fn an_interrupted_run_starts_nothing_after_an_overdue_removal() {
    let lab = overdue_lab(3);
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(&lab, &format!("{NEXT} --timeout=1"));
    run.go_to("snap-remove-pre 100");
    run.signal("INT");
    run.wait_for_stderr("interrupted");
    let reached = run.resume_to_the_end();
    assert_eq!(reached, ["snap-remove-post 100", "snap-job-end"]);
    run.ended()
        .assert_status(130)
        .assert_out("left to the next run: 2 removals")
        .assert_out("0 snapshots created, 1 removed");
    assert_eq!(changed_days(&lab), [1]);
}

/// Without a late snapshot a guest with more snapshots than `--keep` gets its new one first; if
/// that fails nothing is removed.
#[test]
fn a_backlog_without_a_late_snapshot_is_removed_after_the_new_one() {
    let world = World::new([vm(100, "web01").taken("daily", &[1, 2, 3, 4])]);
    let fault = r#"{"tasks": [{"kind": "qmsnapshot", "effect": {"fail": "no space left"}}]}"#;
    let lab = Lab::with_faults(&world, fault);
    lab.run("--vmid=100 snap --label=daily --keep=2")
        .assert_status(1);
    assert_eq!(lab.changes(), [] as [&str; 0]);
}

#[test]
fn the_default_timeout_is_ten_minutes() {
    let lab = lab("qmsnapshot");
    lab.run("--vmid=101 snap --label=daily --keep=1")
        .assert_status(0)
        .assert_out("Timeout:          600 sec.\n");
}
