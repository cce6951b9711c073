// SPDX-License-Identifier: GPL-3.0-only
//! The benchmark itself works: one tiny run of every kind of case, without a word about time.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder with the programs of this build; builds them if they are not there yet.
fn programs() -> PathBuf {
    let bench = Path::new(env!("CARGO_BIN_EXE_autosnap-bench"));
    let folder = bench.parent().expect("the program lies in a folder");
    let is_there = |name: &str| folder.join(name).is_file();
    if !(is_there("cv4pve-autosnap") && is_there("pve-sim")) {
        let target = folder
            .parent()
            .expect("profiles lie below the target folder");
        let built = Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "--package=autosnap",
                "--package=pve-sim",
            ])
            .arg("--target-dir")
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(built.is_ok_and(|status| status.success()));
    }
    folder.to_owned()
}

#[test]
fn a_quick_run_fills_the_table() {
    let folder = programs();
    let output = Command::new(env!("CARGO_BIN_EXE_autosnap-bench"))
        .arg("--quick")
        .arg("--program")
        .arg(folder.join("cv4pve-autosnap"))
        .arg("--simulator")
        .arg(folder.join("pve-sim"))
        .output()
        .expect("the benchmark was built");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let table = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<Vec<&str>> = table
        .lines()
        .skip(2)
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let ways: Vec<(&str, &str)> = lines.iter().map(|cells| (cells[1], cells[2])).collect();
    let sample = "one at a time (3 guests, scaled)";
    let expected = [
        ("quick-snap", "defaults"),
        ("quick-snap", sample),
        ("quick-snap", "C# pattern (3 guests, scaled)"),
        ("quick-dry-run", "defaults"),
        ("quick-status", "defaults"),
        ("quick-version", "defaults"),
    ];
    assert_eq!(ways, expected, "{table}");
    let requests = |line: usize| lines[line][7].parse::<u32>().expect("a number of requests");
    // Version, resources, configuration and snapshots of nine guests, the age of the figures of three
    // nodes, privileges and quorum.
    assert_eq!(requests(3), 2 + 2 * 9 + 3 + 2, "{table}");
    assert_eq!(requests(4), 2 + 9, "{table}");
    // Version, three kinds of resources; each guest: three reads, two changes, two tasks of three
    // looks each; all of them on connections of their own.
    assert_eq!((lines[2][7], lines[2][10]), ("37", "37"), "{table}");
}

#[test]
fn an_unknown_case_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_autosnap-bench"))
        .args(["--case=7", "--program=/bin/true", "--simulator=/bin/true"])
        .output()
        .expect("the benchmark was built");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no case is called '7'"), "{said}");
}
