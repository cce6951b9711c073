// SPDX-License-Identifier: GPL-3.0-only
//! Guests that cannot be migrated because of snapshots, and replicated guests.

use pve_client::ReplicationJob;

use super::*;
use crate::check::finding::MigrationBlock;

#[test]
fn guests_that_snapshots_block_from_migration_or_replication_are_notes() {
    let both = vec![
        (guest(100), Some(details(&[DISK]))),
        (guest(101), Some(details(&[DISK]))),
    ];
    let mut cluster = cluster(both);
    cluster.inventory.nodes.push(NodeInfo {
        name: "pve2".to_owned(),
        online: true,
    });
    let job = |vmid, disabled| ReplicationJob {
        vmid,
        target: None,
        disabled,
    };
    cluster.replication = vec![job(100, false), job(101, true), job(999, false)];
    let found = check(cluster, &["blocks-migration", "replicated"]);
    let vmid = |number| Vmid::new(number).unwrap();
    let expected = MigrationBlock {
        vmid: vmid(101),
        kind: GuestKind::Qemu,
        only_online: true,
    };
    let [
        Finding::BlocksMigration(blocked),
        Finding::Replicated(replicated),
    ] = found.as_slice()
    else {
        panic!("{found:?}");
    };
    assert_eq!(blocked, &[expected]);
    assert_eq!(replicated, &[vmid(100)]);
}

#[test]
fn only_guests_that_cannot_be_migrated_with_snapshots_are_listed() {
    use GuestKind::{Lxc, Qemu};
    const NEVER: Option<bool> = None;
    const ONLINE: Option<bool> = Some(true);
    const ALWAYS: Option<bool> = Some(false);
    for (kind, runs, disk, expected) in [
        (Qemu, true, "tank:vm-100-disk-0", ONLINE),
        (Qemu, false, "tank:vm-100-disk-0", NEVER),
        (Qemu, true, "thin:vm-100-disk-0", ALWAYS),
        (Qemu, false, "thin:vm-100-disk-0", ALWAYS),
        (Qemu, true, "files:100/vm-100-disk-0.qcow2", ONLINE),
        (Qemu, false, "files:100/vm-100-disk-0.qcow2", NEVER),
        (Qemu, true, "ceph:vm-100-disk-0", NEVER),
        (Qemu, true, "files:100/vm-100-disk-0.raw", NEVER),
        (Qemu, true, "unlisted:vm-100-disk-0", NEVER),
        (Lxc, true, "tank:subvol-100-disk-0", NEVER),
        (Lxc, true, "thin:vm-100-disk-0", ALWAYS),
        (Lxc, false, "ceph:vm-100-disk-0", NEVER),
    ] {
        let mut owner = guest(100);
        owner.kind = kind;
        if !runs {
            owner.status = GuestStatus::Stopped;
        }
        let key = if kind == Qemu { "scsi0" } else { "rootfs" };
        let mut details = details(&[]);
        details.config = GuestConfig::parse(kind, [(key, disk)]);
        let mut ceph = storage("ceph", "rbd", 10);
        ceph.shared = true;
        let storages = vec![
            storage("tank", "zfspool", 10),
            storage("thin", "lvmthin", 10),
            storage("files", "dir", 10),
            ceph,
        ];
        let mut cluster = cluster_on(vec![(owner, Some(details))], storages);
        cluster.inventory.nodes.push(NodeInfo {
            name: "pve2".to_owned(),
            online: true,
        });
        let blocked = findings(&settings("@all"), cluster)
            .into_iter()
            .find_map(|one| match one {
                Finding::BlocksMigration(guests) => Some(guests[0].only_online),
                _ => None,
            });
        assert_eq!(blocked, expected, "{kind} {disk} running: {runs}");
    }
}
