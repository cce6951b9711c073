// SPDX-License-Identifier: GPL-3.0-only
//! Which stream has what: `--quiet`, the line of an error on stdout, an empty stderr of runs that succeed.

use std::process::Stdio;

use crate::harness::Lab;
use crate::world::{World, vm};

const SNAP: &str = "snap --label=daily --keep=1";

fn lab() -> Lab {
    Lab::new(
        &World::of([
            vm(100, "web01").taken("daily", &[1]),
            vm(101, "busy").set("lock", "backup"),
            vm(102, "far").on("pve3"),
            vm(103, "away").on("pve3"),
        ])
        .offline_node("pve3"),
    )
}

/// W10: nothing on success, else the summary with each failure and its hint, one line for an offline node.
#[test]
fn quiet_prints_failures_only() {
    let lab = lab();
    for form in ["", " -o Json"] {
        let output = lab.run(&format!("--vmid=100 {SNAP} --dry-run --quiet{form}"));
        output.assert_status(0);
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    }
    let output = lab.run(&format!("--vmid=@all {SNAP} --dry-run --quiet"));
    output
        .assert_status(1)
        .assert_out("would create 1, remove 1; 0 skipped, 3 would fail\n")
        .assert_out("Error: node pve3 is offline or not reachable: VM 102, VM 103\n")
        .assert_out("Error: VM 101 busy on pve1: VM is locked (backup)\n  hint: ")
        .assert_not_said("-----");
    let report = lab.run(&format!("--vmid=@all {SNAP} --dry-run --quiet -o Json"));
    assert_eq!(report.json()["exit_status"], 1);
}

/// C6: what stops the run is the last line on stdout, too, unless both streams are one file.
#[test]
fn the_line_of_an_error_ends_stdout() {
    let lab = lab();
    for words in [
        "--vmid=@all,-web99 clean --label=daily --keep=1",
        "snap --lable=x",
    ] {
        let output = lab.run(words);
        output.assert_status(2);
        let last = output.stdout.lines().last().unwrap_or_default();
        assert!(last.starts_with("ERROR: "), "{output}");
        assert_eq!(output.lines("ERROR: ").len(), 1, "{output}");
    }
    let both = std::fs::File::create(lab.folder().join("both")).unwrap();
    let mut command = lab.command();
    command
        .args(["snap", "--lable=x"])
        .stdout(both.try_clone().unwrap())
        .stderr(Stdio::from(both));
    assert_eq!(command.status().unwrap().code(), Some(2));
    let both = std::fs::read_to_string(lab.folder().join("both")).unwrap();
    assert_eq!(both.matches("ERROR: ").count(), 1, "{both}");
}
