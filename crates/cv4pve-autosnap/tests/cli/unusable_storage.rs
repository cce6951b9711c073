// SPDX-License-Identifier: GPL-3.0-only
//! Disks on storages that PVE cannot use, because they were removed, disabled or restricted to
//! other nodes: PVE fails to snapshot these guests, and plan, run and `check` agree.

use serde_json::{Value, json};

use crate::harness::Lab;
use crate::world::{World, credentials, ct, vm};

fn storage(name: &str, kind: &str) -> Value {
    json!({"storage": name, "type": kind, "content": ["images", "rootdir"]})
}

/// A guest for each kind of unusable storage, and one with usable storages only.
fn world() -> World {
    let mut off = storage("off", "zfspool");
    off["disable"] = json!(true);
    let mut far = storage("far", "dir");
    far["nodes"] = json!(["pve2"]);
    World::new([
        vm(100, "web"),
        vm(101, "removed").set("scsi1", "gone:vm-101-disk-1,size=1G"),
        vm(102, "disabled").set("scsi1", "off:vm-102-disk-1,size=1G"),
        vm(103, "restricted").set("scsi1", "far:103/vm-103-disk-1.qcow2,size=1G"),
        ct(200, "removed-ct").set("mp0", "gone:subvol-200-disk-1,mp=/x,size=1G"),
        ct(201, "disabled-ct").set("mp0", "off:subvol-201-disk-1,mp=/x,size=1G"),
    ])
    .storage(off)
    .storage(far)
}

const ERRORS: [(&str, &str); 5] = [
    ("VM 101", "storage 'gone' does not exist"),
    ("VM 102", "storage 'off' is disabled"),
    ("VM 103", "storage 'far' is not available on node 'pve1'"),
    ("CT 200", "storage 'gone' does not exist"),
    ("CT 201", "storage 'off' is disabled"),
];

const SNAP: &str = "--vmid=@all snap --label=daily --keep=1";

/// A guest with a disk on an unusable storage is a failure in the dry run, the run and `check`,
/// with the text of PVE's error; no request is sent for it.
#[test]
fn a_disk_on_an_unusable_storage_is_a_failure() {
    let lab = Lab::new(&world());
    let dry = lab.run(&format!("{SNAP} --dry-run"));
    dry.assert_status(1);
    let check = lab.run("--vmid=@all check --label=daily --keep=1");
    check.assert_status(1);
    let run = lab.run(SNAP);
    run.assert_status(1);
    for (guest, error) in ERRORS {
        let refused = format!("Proxmox VE would refuse it: {error}");
        for output in [&dry, &run] {
            output.assert_out(&refused);
        }
        check.assert_out(&format!(
            "PROBLEM: {guest} on node pve1: PVE would refuse the snapshot: {error}\n"
        ));
    }
    check
        .assert_not_printed("storage gone")
        .assert_not_printed("a dry run exits with");
    assert_eq!(lab.changes(), ["create 100 autodaily<now>"]);
    assert_eq!(lab.writes().len(), 1, "no request for the other guests");
}

/// The configured storages are read once in a run, and only if a disk is on an unlisted storage.
#[test]
fn configured_storages_are_read_once_and_only_if_needed() {
    for (selection, expected) in [("100", 0), ("100,102,201", 1)] {
        let lab = Lab::new(&world());
        lab.run(&format!("{SNAP} --vmid={selection}").replace("--vmid=@all ", ""));
        let requests = lab.simulator.journal().requests();
        let reads = requests
            .iter()
            .filter(|one| one.path.ends_with("/storage") && !one.path.contains("/nodes/"));
        assert_eq!(reads.count(), expected, "--vmid={selection}");
    }
}

/// Without `Datastore.Audit` PVE does not show that a storage is disabled, but shows whether it
/// exists; the rest is reported by PVE's task with the same text.
#[test]
fn an_invisible_unusable_storage_is_reported_by_the_task() {
    let mut world = world().to_json();
    world["roles"]["SnapRunner"] = json!(["VM.Audit", "VM.Snapshot"]);
    let lab = Lab::with(pve_sim::simulator::Options::new(world, credentials()));
    lab.run(SNAP)
        .assert_status(1)
        .assert_out("Proxmox VE would refuse it: storage 'gone' does not exist")
        .assert_out("Error in task: storage 'off' is disabled")
        .assert_out("Error in task: storage 'far' is not available on node 'pve1'");
    assert_eq!(lab.changes(), ["create 100 autodaily<now>"]);
    lab.run("--vmid=101,200 check --label=daily --keep=1")
        .assert_status(1)
        .assert_out("PROBLEM: VM 101 on node pve1: PVE would refuse the snapshot: storage 'gone' does not exist")
        .assert_out("PROBLEM: CT 200 on node pve1: PVE would refuse the snapshot: storage 'gone' does not exist");
}
