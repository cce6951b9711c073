// SPDX-License-Identifier: GPL-3.0-only
//! Snapshots that PVE left incomplete: which are reported, and in which order.

use serde_json::{Value, json};

use crate::harness::Lab;
use crate::world::{World, day, name, vm};

fn half_removed(number: i64) -> Value {
    json!({"name": name("daily", number), "snaptime": day(number), "description": "cv4pve-autosnap",
        "snapstate": "delete"})
}

#[test]
fn a_retried_stuck_removal_is_not_reported_as_kept() {
    let world = World::new([vm(100, "web01").snapshot_with(half_removed(1))]);
    let clean = "--vmid=100 clean --label=daily --keep=0";
    for dry_run in ["", " --dry-run"] {
        let lab = Lab::new(&world);
        let output = lab.run(&format!("{clean} --retry-stuck-removal{dry_run}"));
        output
            .assert_status(0)
            .assert_out("Remove snapshot: autodaily240101000000");
        output.assert_not_printed("neither counted nor removed");
    }
    let lab = Lab::new(&world);
    lab.run(clean).assert_out("neither counted nor removed");
}

#[test]
fn incomplete_snapshots_are_reported_in_order_of_time() {
    let guest = [4, 1, 3, 2]
        .into_iter()
        .fold(vm(100, "web01"), |guest, number| {
            guest.snapshot_with(half_removed(number))
        });
    let lab = Lab::new(&World::new([guest]));
    let output = lab.run("--vmid=100 clean --label=daily --keep=0");
    let reported = output.assert_status(0).lines("Snapshot ");
    let names: Vec<&str> = reported
        .iter()
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    let expected: Vec<String> = (1..=4).map(|number| name("daily", number)).collect();
    assert_eq!(names, expected);
}
