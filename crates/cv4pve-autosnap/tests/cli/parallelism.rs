// SPDX-License-Identifier: GPL-3.0-only
//! How many guests run in parallel, in which order, and the head of the report about it.

use crate::harness::{Lab, Output};
use crate::paused_run::PausingHook;
use crate::world::{World, vm};

/// Two guests on each of two nodes; the last guests have most snapshots to remove.
fn lab() -> Lab {
    Lab::new(&World::new([
        vm(100, "a1").taken("daily", &[1]),
        vm(101, "a2").taken("daily", &[1, 2, 3]),
        vm(200, "b1").on("pve2").taken("daily", &[1, 2, 3, 4]),
        vm(201, "b2").on("pve2").taken("daily", &[1]),
    ]))
}

fn one_at_a_time(output: &Output) -> Option<&str> {
    output.lines("One at a time:").first().copied()
}

/// With a hook and without `--max-parallel`, the hook calls of one guest are never mixed with those
/// of another.
#[test]
fn a_hook_is_called_for_one_guest_at_a_time() {
    let lab = lab();
    let script = lab.script(
        "hook.sh",
        "#!/bin/sh\necho \"$CV4PVE_AUTOSNAP_VMID\" >>calls\n",
    );
    let hook = format!("--script={}", script.display());
    let output = lab.call(["--vmid=@all", "snap", "--label=daily", "--keep=1", &hook]);
    assert_eq!(
        one_at_a_time(output.assert_status(0)),
        Some("One at a time:    for --script; more with --max-parallel")
    );
    let calls = std::fs::read_to_string(lab.folder().join("calls")).unwrap();
    let mut guests: Vec<&str> = calls.lines().filter(|line| !line.is_empty()).collect();
    guests.dedup();
    assert_eq!(guests, ["100", "101", "200", "201"]);
}

/// `--max-parallel` allows parallel hooks of two guests.
#[test]
fn hooks_run_in_parallel_with_max_parallel() {
    let lab = lab();
    let hook = PausingHook::new(&lab);
    let args = "--vmid=101,200 --max-parallel=2 snap --label=daily --keep=9";
    let mut run = hook.start(&lab, args);
    assert_eq!(run.reached(), "snap-job-start");
    run.resume();
    let mut both = [run.reached(), run.reached()];
    both.sort_unstable();
    assert_eq!(both, ["snap-create-pre 101", "snap-create-pre 200"]);
    run.resume();
    let output = run.finish();
    assert_eq!(one_at_a_time(output.assert_status(0)), None);
}

/// With `--state` and without `--max-parallel` guests run one at a time in the order of the plan.
#[test]
fn ram_is_saved_for_one_guest_at_a_time() {
    let lab = lab();
    let output = lab.run("--vmid=@all snap --label=daily --keep=9 --state");
    assert_eq!(
        one_at_a_time(output.assert_status(0)),
        Some("One at a time:    for --state; more with --max-parallel")
    );
    let guests = ["100", "101", "200", "201"];
    let created = guests.map(|vmid| format!("create {vmid} autodaily<now>"));
    assert_eq!(lab.changes(), created);
    let mut tasks: Vec<_> = lab.simulator.journal().tasks();
    tasks.sort_by(|one, other| one.moment.at.total_cmp(&other.moment.at));
    let ends = tasks.windows(2);
    assert!(
        ends.clone()
            .all(|pair| pair[1].moment.at - pair[1].seconds >= pair[0].moment.at)
    );
    assert_eq!(ends.count(), 3);

    let output = lab.run("--vmid=@all --max-parallel=8 snap --label=weekly --keep=9 --state");
    assert_eq!(one_at_a_time(output.assert_status(0)), None);
    let output = lab.run("--vmid=@all snap --label=weekly --keep=9 --dry-run");
    assert_eq!(one_at_a_time(output.assert_status(0)), None);
}

/// With `--removal-budget` the guests with most removals go first, so that different guests are
/// postponed in each run.
#[test]
fn with_a_removal_budget_the_guest_with_most_removals_is_first() {
    let lab = lab();
    lab.run("--vmid=@all --max-parallel=1 clean --label=daily --keep=1 --removal-budget=1h")
        .assert_status(0);
    let first = lab.changes()[0].clone();
    assert_eq!(first, "delete 200 autodaily240101000000");
}

#[test]
fn max_parallel_ram_allows_several_ram_snapshots_in_parallel() {
    let lab = Lab::new(&World::new([vm(100, "web01"), vm(101, "web02")]));
    let hook = PausingHook::new(&lab);
    let args =
        "--vmid=@all snap --label=ram --keep=1 --state --max-parallel=2 --max-parallel-ram=2";
    let mut run = hook.start(&lab, args);
    assert_eq!(run.reached().trim_end(), "snap-job-start");
    run.resume();
    // The second hook starts before the first one is resumed.
    let mut reached = [run.reached(), run.reached()];
    reached.sort_unstable();
    assert_eq!(reached, ["snap-create-pre 100", "snap-create-pre 101"]);
    run.resume();
    run.finish().assert_status(0);
}
