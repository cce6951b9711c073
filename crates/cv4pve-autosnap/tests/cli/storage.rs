// SPDX-License-Identifier: GPL-3.0-only
//! The storage check of `snap`: the table, the skipped guests, and when it is disabled.

use insta::assert_snapshot;
use serde_json::json;

use crate::harness::Lab;
use crate::world::{GIB, World, ct, vm};

fn cluster() -> World {
    World::new([
        vm(100, "ok"),
        vm(101, "full").set("scsi1", "nearly:vm-101-disk-0,size=8G"),
        vm(102, "cdrom").set("ide2", "nearly:iso/debian.iso,media=cdrom"),
        vm(103, "efi").set("efidisk0", "nearly:vm-103-disk-1,size=4M"),
        ct(200, "mount").set("mp0", "nearly:subvol-200-disk-1,mp=/mnt,size=8G"),
        ct(201, "sizeless").set("mp0", "unknown:subvol-201-disk-1,mp=/mnt,size=8G"),
    ])
    .storage(json!({"storage": "nearly", "type": "zfspool", "content": ["rootdir", "images"],
        "total": 100 * GIB, "used": 96 * GIB, "nodes": ["pve1"]}))
    .storage(json!({"storage": "unknown", "type": "btrfs", "content": ["rootdir"], "total": 0, "used": 0, "nodes": ["pve1"]}))
    .storage(json!({"storage": "elsewhere", "type": "zfspool", "content": ["images"], "nodes": ["pve2"]}))
}

#[test]
fn guests_on_a_storage_above_the_limit_are_skipped_as_failures() {
    let lab = Lab::new(&cluster());
    assert_snapshot!(lab.run("--vmid=@all --max-parallel=1 snap --label=daily --keep=1"), @r#"
    exit status 1
    --- stdout ---
    ACTION Snap
    PVE Version:      8.4.21
    VMs:              @all
    Label:            daily
    Keep:             1
    State:            False
    Only running:     False
    Timeout:          600 sec.
    Timestamp format: yyMMddHHmmss
    Max % Storage :   95%
                      Storage      Type     Valid   Used %    Disk Size  Disk Usage
               pve1/local-zfs   zfspool        Ok        25     1.07 TB   268.44 GB
                  pve1/nearly   zfspool        Ko        96   107.37 GB   103.08 GB
                 pve1/unknown     btrfs       n/a         0         0 B         0 B
    ----- VM 100 qemu running ----- ok
    Create snapshot: autodaily<now>
    VM execution <time>
    ----- VM 101 qemu running ----- full
    Skip VM problem storage space out of 95% (--max-perc-storage=100 never skips)
    Error: storage nearly on node pve1 is 96.0% full, the limit is 95%
    ----- VM 102 qemu running ----- cdrom
    Create snapshot: autodaily<now>
    VM execution <time>
    ----- VM 103 qemu running ----- efi
    Skip VM problem storage space out of 95% (--max-perc-storage=100 never skips)
    Error: storage nearly on node pve1 is 96.0% full, the limit is 95%
    ----- VM 200 lxc running ----- mount
    Skip VM problem storage space out of 95% (--max-perc-storage=100 never skips)
    Error: storage nearly on node pve1 is 96.0% full, the limit is 95%
    ----- VM 201 lxc running ----- sizeless
    Warning: storage unknown on node pve1: limit not checked: PVE reports no size
    Create snapshot: autodaily<now>
    VM execution <time>
    3 snapshots created, 0 removed; guests: 3 done, 0 skipped, 3 with errors; took <time>
    FAILED VM 101 full on pve1: storage nearly on node pve1 is 96.0% full, the limit is 95%
    FAILED VM 103 efi on pve1: storage nearly on node pve1 is 96.0% full, the limit is 95%
    FAILED CT 200 mount on pve1: storage nearly on node pve1 is 96.0% full, the limit is 95%
    Total execution <time>
    "#);
}

#[test]
fn the_limit_is_an_option() {
    for (limit, created) in [(96, 6), (95, 3), (25, 3), (24, 0), (100, 6)] {
        let lab = Lab::new(&cluster());
        lab.run(&format!(
            "--vmid=@all --max-perc-storage={limit} snap --label=daily --keep=1"
        ))
        .assert_status(i32::from(created < 6));
        assert_eq!(lab.changes().len(), created, "{limit} %");
    }
}

#[test]
fn clean_works_on_a_full_storage() {
    let world = World::new([vm(100, "full")
        .set("scsi1", "nearly:vm-100-disk-1,size=8G")
        .taken("daily", &[1, 2])])
    .storage(json!({"storage": "nearly", "type": "zfspool", "content": ["images"], "total": 100, "used": 99}));
    let lab = Lab::new(&world);
    let output = lab.run("--vmid=100 clean --label=daily --keep=1");
    output.assert_status(0);
    assert!(!output.stdout.contains("Storage"), "{output}");
    assert_eq!(lab.changes(), ["delete 100 autodaily240101000000"]);
}

#[test]
fn old_snapshots_of_a_skipped_guest_are_kept() {
    let world = World::new([vm(100, "full")
        .set("scsi1", "nearly:vm-100-disk-1,size=8G")
        .taken("daily", &[1, 2])])
    .storage(json!({"storage": "nearly", "type": "zfspool", "content": ["images"], "total": 100, "used": 99}));
    let lab = Lab::new(&world);
    lab.run("--vmid=100 snap --label=daily --keep=1")
        .assert_status(1);
    lab.assert_unchanged();
}

#[test]
fn before_version_6_one_line_reports_that_storages_are_not_checked() {
    let lab = Lab::new(&cluster().version("5.4-13"));
    let output = lab.run("--vmid=@all snap --label=daily --keep=1");
    output
        .assert_status(0)
        .assert_out("The Proxmox VE version 5.4-13 does not verify the storage % usage!\n");
    assert_eq!(lab.changes().len(), 6);
}

#[test]
fn a_login_that_sees_no_storage_gets_the_missing_privilege() {
    let mut world = cluster().to_json();
    world["roles"]["SnapRunner"] = json!(["VM.Audit", "VM.Snapshot"]);
    let lab = Lab::with(pve_sim::simulator::Options::new(
        world,
        crate::world::credentials(),
    ));
    lab.run("--vmid=100 snap --label=daily --keep=1")
        .assert_status(0)
        .assert_out("----- POSSIBLE PROBLEM PERMISSION 'Datastore.Audit' -----\n");
}

/// `--max-perc-storage=100` skips no guest, not even on a storage used above its size, and prints
/// no warning.
#[test]
fn a_limit_of_100_never_skips() {
    let world = cluster()
        .storage(json!({"storage": "thick", "type": "lvm", "content": ["images"], "total": 100, "used": 101}));
    let lab = Lab::new(&world);
    let output = lab.run("--vmid=@all --max-perc-storage=100 snap --label=daily --keep=1");
    output
        .assert_status(0)
        .assert_not_printed("limit not checked");
    assert_eq!(lab.changes().len(), 6);
}

/// A storage that causes a skip is in the table, even if it may not hold disks any more.
#[test]
fn a_storage_that_causes_a_skip_is_in_the_table() {
    let world = World::new([vm(100, "full").set("scsi1", "old:vm-100-disk-1,size=8G")])
        .storage(json!({"storage": "old", "type": "zfspool", "content": ["backup"], "total": 100 * GIB, "used": 99 * GIB}))
        .storage(json!({"storage": "backups", "type": "dir", "content": ["backup"], "total": 100 * GIB, "used": 99 * GIB}));
    let lab = Lab::new(&world);
    let output = lab.run("--vmid=100 snap --label=daily --keep=1");
    output
        .assert_status(1)
        .assert_out("pve1/old   zfspool        Ko        99")
        .assert_out(
            "Skip VM problem storage space out of 95% (--max-perc-storage=100 never skips)\n",
        )
        .assert_not_printed("pve1/backups");
    lab.assert_unchanged();
}

/// Guests that Proxmox VE cannot snapshot are counted as not covered, in the summary, the dry run
/// and JSON.
#[test]
fn guests_that_cannot_be_snapshotted_are_not_covered() {
    let world = World::new([
        vm(100, "web01"),
        ct(200, "bind").set("mp0", "/srv,mp=/srv"),
        vm(300, "template").set("template", 1),
    ]);
    for options in ["", "--dry-run"] {
        let lab = Lab::new(&world);
        let line = format!("--vmid=@all snap --label=daily --keep=1 {options}");
        lab.run(&line)
            .assert_status(0)
            .assert_out("\nnot covered: 1 (CT 200 bind)\n");
        let lab = Lab::new(&world);
        let json = lab.run(&format!("{line} --output=Json")).json();
        assert_eq!(json["not_covered"], 1);
    }
    let lab = Lab::new(&world);
    lab.run("--vmid=100 snap --label=daily --keep=1")
        .assert_status(0)
        .assert_not_printed("not covered");
}
