// SPDX-License-Identifier: GPL-3.0-only
//! Disks whose storage or format does not support snapshots: plan, run and `check` agree.

use serde_json::{Value, json};

use crate::harness::Lab;
use crate::world::{Guest, World, ct, vm};

fn storage(name: &str, kind: &str) -> Value {
    json!({"storage": name, "type": kind, "content": ["images", "rootdir"]})
}

fn with_storages(guests: impl IntoIterator<Item = Guest>) -> World {
    World::new(guests)
        .storage(storage("bulk", "dir"))
        .storage(storage("share", "nfs"))
        .storage(storage("pool", "btrfs"))
        .storage(storage("thick", "lvm"))
        .storage(storage("thin", "lvmthin"))
        .storage(storage("ceph", "rbd"))
        .storage(storage("target", "iscsi"))
}

/// A third-party storage, with or without snapshots.
fn custom(name: &str, snapshots: bool) -> Value {
    json!({"storage": name, "type": "linstor", "content": ["images"], "snapshots": {"raw": snapshots}})
}

fn feature_requests(lab: &Lab) -> Vec<String> {
    let requests = lab.simulator.journal().requests();
    let mut guests: Vec<String> = requests
        .iter()
        .filter_map(|request| request.path.split_once("/feature"))
        .map(|(guest, _)| guest.rsplit('/').next().unwrap().to_owned())
        .collect();
    guests.sort();
    guests
}

/// A guest that PVE cannot snapshot is skipped by the plan, the run and `check`, which name disk
/// and storage; it costs no request.
#[test]
fn a_guest_with_a_disk_without_snapshots_is_skipped() {
    let world = with_storages([
        vm(100, "raw").set("scsi0", "bulk:100/vm-100-disk-0.raw,size=8G"),
        vm(101, "qcow2").set("scsi0", "bulk:101/vm-101-disk-0.qcow2,size=8G"),
        vm(102, "tpm").set(
            "tpmstate0",
            "share:102/vm-102-disk-1.raw,size=4M,version=v2.0",
        ),
        vm(103, "thick").set("virtio1", "thick:vm-103-disk-0,size=8G"),
        vm(104, "thin").set("virtio1", "thin:vm-104-disk-0,size=8G"),
        vm(105, "btrfs").set("scsi0", "pool:105/vm-105-disk-0.raw,size=8G"),
        vm(106, "ceph").set("scsi0", "ceph:vm-106-disk-0,size=8G"),
        vm(107, "cdrom").set("ide2", "bulk:iso/debian.iso,media=cdrom"),
        vm(108, "backupless").set("scsi1", "bulk:108/vm-108-disk-1.raw,backup=0,size=8G"),
        vm(109, "iscsi").set("scsi1", "target:0.0.0.scsi-1,size=8G"),
        ct(200, "dir").set("rootfs", "bulk:200/vm-200-disk-0.raw,size=8G"),
        ct(201, "subvol").set("rootfs", "bulk:201/subvol-201-disk-0.subvol,size=0T"),
        ct(202, "btrfs").set("rootfs", "pool:202/subvol-202-disk-0.subvol,size=0T"),
    ]);
    let skipped = [
        ("100", "scsi0: bulk:100/vm-100-disk-0.raw"),
        ("102", "tpmstate0: share:102/vm-102-disk-1.raw"),
        ("103", "virtio1: thick:vm-103-disk-0"),
        ("108", "scsi1: bulk:108/vm-108-disk-1.raw"),
        ("109", "scsi1: target:0.0.0.scsi-1"),
        ("200", "rootfs: bulk:200/vm-200-disk-0.raw"),
        ("201", "rootfs: bulk:201/subvol-201-disk-0.subvol"),
    ];
    let lab = Lab::new(&world);
    let dry = lab.run("--vmid=@all snap --label=daily --keep=1 --dry-run");
    dry.assert_status(0);
    let check = lab.run("--vmid=@all check --label=daily --keep=1");
    check.assert_status(0);
    let run = lab.run("--vmid=@all snap --label=daily --keep=1");
    run.assert_status(0);
    let reason = " Proxmox VE cannot snapshot it, storage or format without snapshots: ";
    for (vmid, disk) in skipped {
        for output in [&dry, &run] {
            output.assert_out(&format!("{reason}{disk}\n"));
        }
        check.assert_out(&format!(
            " {vmid} on node pve1: skipped, as Proxmox VE cannot snapshot it; its storage or format does not support snapshots: {disk}\n"
        ));
    }
    for output in [&dry, &run] {
        assert_eq!(output.lines("Skip ").len(), skipped.len(), "{output}");
        assert_eq!(
            output.lines("Create snapshot").len(),
            13 - skipped.len(),
            "{output}"
        );
    }
    assert_eq!(lab.changes().len(), 13 - skipped.len());
    assert_eq!(
        lab.writes().len(),
        13 - skipped.len(),
        "no request for skipped guests"
    );
    assert_eq!(feature_requests(&lab), [] as [&str; 0]);
}

/// If type and format do not determine it, the run asks PVE, once for each such guest.
#[test]
fn the_feature_is_requested_if_the_storage_type_does_not_determine_it() {
    let world = with_storages([
        vm(100, "zfs"),
        vm(101, "able").set("scsi1", "able:vm-101-disk-1,size=8G"),
        vm(102, "unable").set("scsi1", "unable:vm-102-disk-1,size=8G"),
        vm(103, "raw")
            .set("scsi0", "bulk:103/vm-103-disk-0.raw,size=8G")
            .set("scsi1", "unable:vm-103-disk-1,size=8G"),
        vm(104, "chain").set("scsi0", "thick:vm-104-disk-0.qcow2,size=8G"),
    ])
    .storage(custom("able", true))
    .storage(custom("unable", false));
    let lab = Lab::new(&world);
    lab.run("--vmid=@all snap --label=daily --keep=1")
        .assert_status(0)
        .assert_out("without snapshots: scsi1: unable:vm-102-disk-1\n")
        .assert_out("without snapshots: scsi0: bulk:103/vm-103-disk-0.raw\n")
        .assert_out("without snapshots: scsi0: thick:vm-104-disk-0.qcow2\n");
    let mut changes = lab.changes();
    changes.sort();
    assert_eq!(
        changes,
        ["create 100 autodaily<now>", "create 101 autodaily<now>"]
    );
    assert_eq!(feature_requests(&lab), ["101", "102", "104"]);
}

/// A login without Datastore.Audit sees no storage types, so the feature is requested for each
/// guest.
#[test]
fn the_feature_is_requested_if_the_login_sees_no_storage() {
    let mut world = with_storages([
        vm(100, "raw").set("scsi0", "bulk:100/vm-100-disk-0.raw,size=8G"),
        vm(101, "zfs"),
    ])
    .to_json();
    world["roles"]["SnapRunner"] = json!(["VM.Audit", "VM.Snapshot"]);
    let options = pve_sim::simulator::Options::new(world, crate::world::credentials());
    let lab = Lab::with(options);
    lab.run("--vmid=@all snap --label=daily --keep=1")
        .assert_status(0)
        .assert_out("without snapshots: scsi0: bulk:100/vm-100-disk-0.raw\n");
    assert_eq!(lab.changes(), ["create 101 autodaily<now>"]);
    assert_eq!(feature_requests(&lab), ["100", "101"]);
}

/// If the request for the feature fails, the run tries the creation, as before.
#[test]
fn without_a_reply_the_creation_decides() {
    let faults = r#"{"requests": [{"method": "GET", "path": "/nodes/*/qemu/*/feature",
        "effect": {"answer": {"status": 500, "reason": "internal error"}}}]}"#;
    let world = with_storages([
        vm(101, "able").set("scsi1", "able:vm-101-disk-1,size=8G"),
        vm(102, "unable").set("scsi1", "unable:vm-102-disk-1,size=8G"),
    ])
    .storage(custom("able", true))
    .storage(custom("unable", false));
    let lab = Lab::with_faults(&world, faults);
    lab.run("--vmid=@all snap --label=daily --keep=1")
        .assert_status(1)
        .assert_out("Error in task: snapshot feature is not available");
    assert_eq!(lab.changes(), ["create 101 autodaily<now>"]);
}

/// `clean` removes older snapshots of such a guest.
#[test]
fn clean_removes_old_snapshots_of_guests_that_cannot_be_snapshotted() {
    let world = with_storages([vm(100, "raw")
        .set("scsi0", "bulk:100/vm-100-disk-0.raw,size=8G")
        .taken("daily", &[1, 2])]);
    let lab = Lab::new(&world);
    lab.run("--vmid=100 clean --label=daily --keep=1")
        .assert_status(0);
    assert_eq!(lab.changes(), ["delete 100 autodaily240101000000"]);
}
