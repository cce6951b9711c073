// SPDX-License-Identifier: GPL-3.0-only
//! The limit of removals per guest (`--max-removals-per-guest`): it limits each run, reports what
//! is left, and every snapshot is removed in the end.

use crate::harness::{Lab, Output};
use crate::world::{World, ct, day, name, vm};

/// All days of January.
fn january() -> Vec<i64> {
    (1..=31).collect()
}

/// A guest with a backlog of 31 snapshots, one with two, and one with snapshots of another label
/// only.
fn lab() -> Lab {
    Lab::new(&World::new([
        vm(100, "web01").taken("daily", &january()),
        ct(200, "proxy").taken("daily", &[1, 2]),
        vm(300, "db").taken("weekly", &january()),
    ]))
}

fn run(lab: &Lab, args: &str) -> Output {
    lab.run(&format!("--vmid=@all --max-parallel=1 {args}"))
}

fn removed(lab: &Lab, vmid: u32) -> Vec<String> {
    let changes = lab.changes_of(vmid).into_iter();
    changes
        .filter(|change| change.starts_with("delete "))
        .collect()
}

/// The journal entries for the removals of these days.
fn removals(days: std::ops::RangeInclusive<i64>) -> Vec<String> {
    days.map(|day| format!("delete 100 {}", name("daily", day)))
        .collect()
}

const LEFT: &str = "11 snapshots are left to the next runs, because a run removes at most 20 of a guest (VM 100: 11); \
                    --max-removals-per-guest=N removes more in one run";
const NOTE: &str = "11 removals left to the next runs: 20 removals at most in one run (--max-removals-per-guest)\n";

/// A run removes at most 20 snapshots of a guest, the oldest first; it warns of the rest, which the
/// next run removes.
#[test]
fn a_backlog_is_removed_in_several_runs() {
    let lab = lab();
    let output = run(&lab, "snap --label=daily --keep=1");
    output
        .assert_status(0)
        .assert_out(&format!("WARNING: {LEFT}\n"))
        .assert_out(&format!("----- VM 100 qemu running ----- web01\n{NOTE}"));
    assert_eq!(output.stderr, "", "{output}");
    assert_eq!(removed(&lab, 100), removals(1..=20));
    assert_eq!(removed(&lab, 200).len(), 2);
    let output = run(&lab, "snap --label=daily --keep=1");
    output
        .assert_status(0)
        .assert_not_printed("left to the next");
    assert_eq!(removed(&lab, 100)[..31], removals(1..=31));
    assert_eq!(lab.snapshots(100), ["autodaily<now>"]);
    assert_eq!(lab.snapshots(300).len(), 32, "31 weekly ones and a new one");
}

/// `clean` has the same limit, which `--max-removals-per-guest` changes; `--keep=0` has no limit.
#[test]
fn clean_is_limited_unless_it_removes_all() {
    let lab = lab();
    run(&lab, "clean --label=daily --keep=1 --max-removals-per-guest=2")
        .assert_status(0)
        .assert_out("28 snapshots are left to the next runs, because a run removes at most 2 of a guest (VM 100: 28)");
    assert_eq!(removed(&lab, 100), removals(1..=2));
    run(
        &lab,
        "clean --label=daily --keep=0 --max-removals-per-guest=2",
    )
    .assert_status(0)
    .assert_not_printed("left to the next");
    assert_eq!(removed(&lab, 100), removals(1..=31));
    for wrong in ["0", "1", "-1", "all"] {
        let line = format!("clean --label=daily --keep=1 --max-removals-per-guest={wrong}");
        run(&lab, &line).assert_status(2);
    }
}

/// The dry run has the plan of the run, its JSON has the numbers, and `check` lists the guests over
/// the limit.
#[test]
fn the_plan_and_check_report_what_is_left() {
    let lab = lab();
    let output = run(&lab, "snap --label=daily --keep=1 --dry-run");
    output
        .assert_status(0)
        .assert_out(&format!("WARNING: {LEFT}\n"))
        .assert_out(NOTE);
    let planned = output.lines("Remove snapshot: autodaily2401");
    assert_eq!(planned.len(), 22, "{output}");
    let json = run(&lab, "snap --label=daily --keep=1 --dry-run --output=Json").json();
    assert_eq!(json["over_limit"], 11);
    assert_eq!(json["exit_status"], 0);
    assert_eq!(json["warnings"][0], LEFT);
    let guest = &json["guests"][0];
    assert_eq!(
        (&guest["vmid"], &guest["over_limit"]),
        (&100.into(), &11.into())
    );
    assert_eq!(guest["remove"].as_array().unwrap().len(), 20);
    assert_eq!(json["guests"][1]["over_limit"], 0);
    run(&lab, "check --label=daily --keep=1")
        .assert_status(0)
        .assert_out(&format!("WARNING: {LEFT}\n"));
    lab.assert_unchanged();
}

/// The C# tool never removes names in this format, so a backlog of years is removed in several
/// runs.
#[test]
fn a_backlog_of_the_csharp_tool_is_removed_in_several_runs() {
    let weekdays = [
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
    ];
    let old = january()
        .into_iter()
        .fold(vm(100, "web01"), |guest, number| {
            let weekday = weekdays[usize::try_from(number - 1).unwrap() % 7];
            let name = format!("autodaily202401{number:02}_{weekday}");
            guest.snapshot(&name, day(number), "cv4pve-autosnap")
        });
    let lab = Lab::new(&World::new([old]));
    let line = "clean --label=daily --keep=3 --timestamp-format=yyyyMMdd_dddd";
    run(&lab, line).assert_status(0).assert_out("(VM 100: 8)");
    assert_eq!(removed(&lab, 100).len(), 20);
    run(&lab, line)
        .assert_status(0)
        .assert_not_printed("left to the next");
    assert_eq!(
        lab.snapshots(100),
        [
            "autodaily20240129_Monday",
            "autodaily20240130_Tuesday",
            "autodaily20240131_Wednesday"
        ]
    );
}

/// Removals postponed by `--removal-budget` or after a failure are reported apart from those over
/// the limit.
#[test]
fn postponed_removals_are_reported_apart_from_the_limit() {
    let lab = lab();
    run(&lab, "snap --label=daily --keep=1 --removal-budget=0s")
        .assert_status(0)
        .assert_out("Left to the next run: 20 removals, the time for removals was used up\n")
        .assert_out(NOTE);
    assert_eq!(removed(&lab, 100), [] as [&str; 0]);
    let lab = Lab::with_faults(
        &World::new([vm(100, "web01").taken("daily", &january())]),
        r#"{"tasks": [{"kind": "qmdelsnapshot", "when": {"nth": 3}, "effect": {"fail": "broken"}}]}"#,
    );
    run(&lab, "snap --label=daily --keep=1")
        .assert_status(1)
        .assert_out("Left to the next run: 17 removals, an earlier one failed\n")
        .assert_out(NOTE);
}
