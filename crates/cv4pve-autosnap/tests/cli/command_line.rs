// SPDX-License-Identifier: GPL-3.0-only
//! Damaged and contradictory command lines: they are refused, and nothing changes.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::harness::Lab;
use crate::world::{World, vm};

fn lab() -> Lab {
    Lab::new(&World::new([
        vm(100, "web01").taken("daily", &[1, 2, 3]),
        vm(101, "web02").taken("daily", &[1, 2, 3]).stopped(),
    ]))
}

/// `--label $UNSET --dry-run` is an error, not a run with the label `--dry-run`.
#[test]
fn an_empty_variable_before_dry_run_is_an_error() {
    let lab = lab();
    for line in [
        "--vmid=100 snap --keep=9 --label --dry-run",
        "--vmid=100 clean --label=daily --keep=0 --script --dry-run",
        "--dry-run --label=daily --keep=1 snap --vmid --dry-run",
        "--vmid=100 snap --keep=9 --label=daily --timestamp-format --dry-run",
    ] {
        lab.run(line)
            .assert_status(2)
            .assert_err("'--dry-run' follows, which is not a value")
            .assert_err("=\"$VARIABLE\"");
    }
    for line in [
        "--vmid=100 snap --keep=9 --label=--dry-run",
        "--vmid=100 snap --keep=9 --label=daily--dry-run",
        "--vmid=100 snap --keep=9 --label=daily --timestamp-format=--dry-run",
        "--vmid=100 snap --keep=9 --label=--help",
        "--vmid=100 snap --keep=9 --label=daily --username=x --password=y--dry-run",
    ] {
        lab.run(line)
            .assert_status(2)
            .assert_err("is or contains an option; nothing was done");
    }
    lab.run("--vmid=100 snap --keep=9 --label --help")
        .assert_status(0)
        .assert_out("Usage:");
    lab.run("--vmid=100 snap --label=daily --keep=1 --dry-run false")
        .assert_status(2)
        .assert_err("contradicts itself");
    lab.assert_unchanged();
}

/// No damaged line that contains `--dry-run` changes anything.
#[test]
fn a_damaged_line_with_dry_run_changes_nothing() {
    let lab = lab();
    let args = [
        "--vmid=@all",
        "clean",
        "--label=daily",
        "--keep=0",
        "--dry-run",
        "--script",
        "--label",
        "--vmid",
        "--keep",
        "false",
        "--dry-run=false",
        "",
    ];
    let lines = prop::sample::subsequence(args.to_vec(), 5..args.len()).prop_shuffle();
    let mut runner = TestRunner::deterministic();
    for _ in 0..40 {
        let mut line = lines.new_tree(&mut runner).unwrap().current();
        if !line.contains(&"--dry-run") {
            line.push("--dry-run");
        }
        lab.call(line.iter().copied());
        assert_eq!(lab.changes(), [] as [&str; 0], "{line:?}");
    }
}

/// Two different values on the command line are an error.
#[test]
fn two_values_for_one_option_are_refused() {
    let lab = lab();
    for (line, named) in [
        (
            "--vmid=101 --vmid=102 snap --label=d --keep=1",
            "--vmid=101 and --vmid=102",
        ),
        (
            "--vmid=100 clean --label=daily --keep=2 --keep=0",
            "--keep=2 and --keep=0",
        ),
        (
            "--vmid=100 clean --label=daily --label=d --keep=1",
            "--label=daily and --label=d",
        ),
        (
            "--vmid=100 snap --label=d --keep=1 --state=false --state",
            "--state=false and --state=true",
        ),
    ] {
        lab.run(line).assert_status(2).assert_err(named);
    }
    lab.run("--vmid=101 --vmid=102 snap --label=d --keep=1")
        .assert_err("hint: several values are one list, separated by commas: --vmid=ONE,TWO");
    lab.file("twice.conf", "--keep=2\n# why not\n--keep=0\n");
    lab.run("--vmid=100 clean --label=daily @twice.conf")
        .assert_status(2)
        .assert_err(
            "given twice with different values: line 1 of twice.conf, line 3 of twice.conf",
        );
    lab.assert_unchanged();
}

/// The command line overrides a file, a file those that it includes, in any position; of
/// two files on one line the later one counts.
#[test]
fn the_outer_source_wins() {
    let lab = lab();
    lab.file("inner.conf", "--keep=0 --label=daily");
    lab.file("outer.conf", "--vmid=100 --keep=2 @inner.conf");
    lab.file("other.conf", "--keep=3");
    for (line, removals) in [
        ("@outer.conf clean --dry-run", 1),
        ("clean --keep=1 @outer.conf --dry-run", 2),
        ("@outer.conf @other.conf clean --dry-run", 0),
        ("@other.conf @outer.conf clean --dry-run", 1),
    ] {
        let output = lab.run(line);
        output.assert_status(0);
        assert_eq!(
            output.lines("Remove snapshot").len(),
            removals,
            "{line}: {output}"
        );
    }
    lab.assert_unchanged();
}

/// `--dry-run` wins, whichever source sets it.
#[test]
fn a_dry_run_of_any_source_wins() {
    let lab = lab();
    lab.file("dry.conf", "--vmid=100 --label=daily --keep=0 --dry-run");
    lab.run("@dry.conf clean --dry-run=false").assert_status(0);
    lab.run("--vmid=100 --dry-run=false clean --label=daily --keep=0 --dry-run")
        .assert_status(0);
    lab.assert_unchanged();
}

/// `--only-running` narrows a `clean` and a `status`, typed or in a file.
#[test]
fn only_running_applies_to_clean_and_status() {
    let lab = lab();
    let output = lab.run("--vmid=@all status --only-running --output=Csv");
    output.assert_status(0).assert_out("web01");
    output.assert_not_printed("web02");
    lab.run("--vmid=@all clean --label=daily --keep=2 --only-running")
        .assert_status(0)
        .assert_out("Skip VM '--only-running' parameter used!");
    assert_eq!(lab.changes(), ["delete 100 autodaily240101000000"]);
    lab.file(
        "job.conf",
        "--vmid=@all --label=daily --keep=0\n--only-running\n",
    );
    lab.run("@job.conf clean --keep=1").assert_status(0);
    assert_eq!(lab.snapshots(100).len(), 1);
    assert_eq!(lab.snapshots(101).len(), 3);
}

/// An option without effect is refused when it was typed, and reported by `check` when it is in a
/// parameter file.
#[test]
fn options_without_effect_are_refused_or_named() {
    let lab = lab();
    for (line, option) in [
        (
            "--vmid=@all clean --label=daily --keep=0 --state",
            "--state",
        ),
        ("--vmid=@all status --keep=3", "--keep"),
        ("--vmid=@all status --script=x", "--script"),
        ("fingerprint", "--api-token"),
    ] {
        lab.run(line)
            .assert_status(2)
            .assert_err("does not use")
            .assert_err(option);
    }
    lab.file(
        "job.conf",
        "--vmid=@all --label=daily --keep=1 --state --only-running",
    );
    for command in ["clean --dry-run", "status"] {
        lab.run(&format!("@job.conf {command}")).assert_status(0);
    }
    lab.run("@job.conf check")
        .assert_out("clean with this parameter file does not use --state")
        .assert_out("status with this parameter file does not use --state");
    lab.assert_unchanged();
}
