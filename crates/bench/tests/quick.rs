// SPDX-License-Identifier: GPL-3.0-only
//! Runs every kind of case once in a small world; does not check times.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder with the built programs; builds them if they are missing.
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
                "--package=cv4pve-autosnap",
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
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let table = String::from_utf8_lossy(&output.stdout);
    let (table, retention) = table.split_once("\n\n").expect("two tables");
    assert_eq!(retention.lines().count(), 2 + 4, "{retention}");
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
    // Version, resources, configuration and snapshots of nine guests, the age of the figures of
    // three nodes, privileges and quorum.
    assert_eq!(requests(3), 2 + 2 * 9 + 3 + 2, "{table}");
    assert_eq!(requests(4), 2 + 9, "{table}");
    // Version and three types of resources; per guest: three reads, two changes, and three polls
    // for each of the two tasks. Every request uses a new connection.
    assert_eq!((lines[2][7], lines[2][10]), ("37", "37"), "{table}");
}

#[test]
fn an_unknown_case_is_an_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_autosnap-bench"))
        .args(["--case=7", "--program=/bin/true", "--simulator=/bin/true"])
        .output()
        .expect("the benchmark was built");
    assert!(!output.status.success());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("unknown case '7'"), "{stderr}");
}
