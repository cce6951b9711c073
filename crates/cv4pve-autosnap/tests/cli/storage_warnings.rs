// SPDX-License-Identifier: GPL-3.0-only
//! Storages whose limit cannot be checked are a warning, and guests that their snapshots prevent
//! from migrating are reported by `check`.

use pve_sim::simulator::Options;
use serde_json::{Value, json};

use crate::harness::Lab;
use crate::world::{GIB, World, credentials, ct, vm};

const SNAP: &str = "snap --label=daily --keep=3";
const NOT_LISTED: &str = "Warning: storage local-zfs on node pve1: limit not checked: the node has no such storage, or this login may not see it (Datastore.Audit)";
const SIZELESS: &str =
    "Warning: storage sizeless on node pve1: limit not checked: PVE reports no size";

fn world() -> World {
    World::new([
        vm(100, "web01"),
        ct(105, "dns").set("mp0", "sizeless:subvol-105-disk-1,mp=/mnt,size=8G"),
    ])
    .storage(json!({"storage": "sizeless", "type": "btrfs", "content": ["rootdir"], "total": 0, "used": 0}))
}

fn warnings_of(report: &Value, vmid: u64) -> Vec<&str> {
    let guests = report["guests"].as_array().unwrap();
    let guest = guests.iter().find(|guest| guest["vmid"] == vmid).unwrap();
    let warnings = guest["warnings"].as_array().unwrap();
    warnings.iter().map(|text| text.as_str().unwrap()).collect()
}

/// Without `Datastore.Audit` no storage is listed; the snapshots are created, with a warning.
#[test]
fn a_storage_that_is_not_listed_is_a_warning_for_each_guest() {
    let mut world = world().to_json();
    world["roles"]["SnapRunner"] = json!(["Pool.Audit", "VM.Audit", "VM.Snapshot"]);
    let lab = Lab::with(Options::new(world, credentials()));
    for dry_run in [" --dry-run", ""] {
        let output = lab.run(&format!("--vmid=@all {SNAP}{dry_run}"));
        output.assert_status(0);
        assert_eq!(output.lines(NOT_LISTED).len(), 2, "{output}");
    }
    let report = lab.run("--vmid=@all snap --label=json --keep=3 --output=Json --dry-run");
    let report = report.json();
    assert_eq!(warnings_of(&report, 100), [NOT_LISTED]);
    assert_eq!(warnings_of(&report, 105).len(), 2);
}

/// A storage that is listed without figures is a warning for the guests that have disks on it.
#[test]
fn a_storage_without_figures_is_a_warning() {
    let lab = Lab::new(&world());
    let output = lab.run(&format!("--vmid=@all {SNAP}"));
    output.assert_status(0).assert_out(SIZELESS);
    assert_eq!(output.lines("Warning: ").len(), 1, "{output}");
    let report = lab.run("--vmid=@all snap --label=json --keep=3 --output=Json --dry-run");
    let report = report.json();
    assert_eq!(warnings_of(&report, 100), [] as [&str; 0]);
    assert_eq!(warnings_of(&report, 105), [SIZELESS]);
    lab.run("--vmid=@all check").assert_out(
        "storage sizeless on node pve1: limit not checked: PVE reports no size; guests: 105",
    );
    lab.run("--vmid=@all clean --label=daily --keep=0")
        .assert_status(0)
        .assert_not_printed("limit not checked");
}

/// Guests that PVE migrates with their snapshots are not reported; the hint is about one guest.
#[test]
fn check_reports_only_guests_that_snapshots_prevent_from_migrating() {
    let world = World::new([
        vm(100, "runs"),
        vm(101, "stopped").stopped(),
        vm(102, "shared").set("scsi0", "ceph:vm-102-disk-0,size=8G"),
        vm(103, "thin").stopped().set("scsi0", "thin:vm-103-disk-0,size=8G"),
        ct(105, "dns"),
        ct(106, "thin").set("rootfs", "thin:vm-106-disk-0,size=8G"),
    ])
    .storage(json!({"storage": "ceph", "type": "rbd", "shared": true, "content": ["images"], "total": 100 * GIB, "used": GIB}))
    .storage(json!({"storage": "thin", "type": "lvmthin", "content": ["images", "rootdir"], "total": 100 * GIB, "used": GIB}));
    let lab = Lab::new(&world);
    let check = lab.run("--vmid=@all check");
    check
        .assert_out(
            "Proxmox VE does not migrate these guests with snapshots on local storages: VM 100 (while it runs), VM 103, CT 106\n",
        )
        // For one guest only: with the selection of the job the command would remove the snapshots
        // of all guests.
        .assert_out("remove the snapshots of that guest only: clean --vmid=100 --keep=0");
    assert_eq!(check.stdout.matches("--keep=0").count(), 1, "{check}");
    lab.run("--vmid=101,102,105 check")
        .assert_not_printed("does not migrate");
}
