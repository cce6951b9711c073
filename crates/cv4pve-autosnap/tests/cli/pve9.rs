// SPDX-License-Identifier: GPL-3.0-only
//! The commands against PVE 9, whose listings, logs and privileges differ from PVE 8.

use pve_sim::release::Release;
use pve_sim::simulator::Options;

use crate::harness::Lab;
use crate::world::{World, credentials, ct, name, vm};

/// A PVE 9 cluster with three guests.
fn lab() -> Lab {
    let world = World::new([
        vm(100, "web01").taken("daily", &[1, 2, 3]),
        vm(101, "db01").on("pve2").stopped(),
        ct(200, "dns").taken("daily", &[1]),
    ]);
    Lab::with(Options {
        release: Release::V9,
        ..Options::new(world.to_json(), credentials())
    })
}

#[test]
fn snap_creates_and_removes_on_pve_9() {
    let lab = lab();
    lab.run("--vmid=@all snap --label=daily --keep=2 --state")
        .assert_status(0);
    let mut changes = lab.changes();
    changes.sort();
    assert_eq!(
        changes,
        [
            "create 100 autodaily<now>".to_owned(),
            "create 101 autodaily<now>".to_owned(),
            "create 200 autodaily<now>".to_owned(),
            format!("delete 100 {}", name("daily", 1)),
            format!("delete 100 {}", name("daily", 2)),
        ]
    );
}

#[test]
fn clean_removes_only_surplus_snapshots_on_pve_9() {
    let lab = lab();
    lab.run("--vmid=@all clean --label=daily --keep=1")
        .assert_status(0);
    let mut changes = lab.changes();
    changes.sort();
    assert_eq!(
        changes,
        [
            format!("delete 100 {}", name("daily", 1)),
            format!("delete 100 {}", name("daily", 2)),
        ]
    );
}

#[test]
fn status_lists_all_snapshots_on_pve_9() {
    let lab = lab();
    let output = lab.run("--vmid=@all status --output=Json");
    output.assert_status(0);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(rows.len(), 4, "{}", output.stdout);
    assert!(lab.changes().is_empty());
}

/// `check` accepts the four privileges, although the roles of PVE 9 differ.
#[test]
fn check_succeeds_on_pve_9() {
    let lab = lab();
    let output = lab.run("--vmid=@all check");
    output.assert_status(0);
    assert!(output.stdout.contains("9.2"), "{}", output.stdout);
    assert!(lab.changes().is_empty());
}
