// SPDX-License-Identifier: GPL-3.0-only
//! The rule for guests that cannot be migrated once they have snapshots.
//!
//! PVE copies a disk on a local storage with its snapshots only where the storage can send them, and
//! never while the guest runs (`scan_local_volumes` in `PVE/QemuMigrate.pm`, `phase1` in
//! `PVE/LXC/Migrate.pm`): `online storage migration not possible if non-replicated snapshot exists`,
//! `non-migratable snapshot exists`. Disks on shared storages are not copied at all.

use autosnap_core::guest::{Guest, GuestKind, GuestStatus, Volume, VolumeLocation};
use autosnap_core::storage::StorageUsage;

use super::guests::{is_replicated, read_guests};
use crate::check::finding::{Finding, MigrationBlock};
use crate::check::reading::{ClusterReading, Details};

/// Checks the guests of a `snap`. In a cluster of one node nothing is migrated.
pub(super) fn check(cluster: &ClusterReading) -> Option<Finding> {
    if cluster.inventory.nodes.len() < 2 {
        return None;
    }
    let blocked: Vec<MigrationBlock> = read_guests(cluster)
        .filter_map(|(guest, details)| blocked(guest, details, cluster))
        .collect();
    (!blocked.is_empty()).then_some(Finding::BlocksMigration(blocked))
}

fn blocked(guest: &Guest, details: &Details, cluster: &ClusterReading) -> Option<MigrationBlock> {
    let plugins: Vec<(&str, &Volume)> = details
        .config
        .volumes
        .iter()
        .filter_map(|volume| {
            let storage = local_storage(guest, volume, &cluster.inventory.storages)?;
            Some((storage.kind.as_str(), volume))
        })
        .collect();
    let offline = plugins
        .iter()
        .any(|(plugin, volume)| !sends_snapshots(guest.kind, plugin, volume));
    // Containers are stopped for the migration.
    let online = guest.kind == GuestKind::Qemu
        && guest.status == GuestStatus::Running
        && !plugins.is_empty()
        && !is_replicated(cluster, guest.vmid);
    (offline || online).then_some(MigrationBlock {
        vmid: guest.vmid,
        kind: guest.kind,
        only_online: !offline,
    })
}

/// The storage of a volume, if it is local to the node.
fn local_storage<'a>(
    guest: &Guest,
    volume: &Volume,
    storages: &'a [StorageUsage],
) -> Option<&'a StorageUsage> {
    let name = volume.storage()?;
    storages
        .iter()
        .find(|usage| usage.node == guest.node && usage.storage == name && !usage.shared)
}

/// Whether the volume of a guest that does not run is copied with its snapshots.
fn sends_snapshots(kind: GuestKind, plugin: &str, volume: &Volume) -> bool {
    let VolumeLocation::Storage { volume, .. } = &volume.location else {
        return false;
    };
    let format = volume.rsplit_once('.').map(|(_, format)| format);
    match (kind, plugin, format) {
        (_, "zfspool", _)
        | (GuestKind::Lxc, "btrfs", _)
        | (GuestKind::Qemu, "btrfs", Some("raw")) => true,
        // The snapshots are inside the file; on LVM they are a chain of volumes.
        (GuestKind::Qemu, plugin, Some("qcow2")) => plugin != "lvm",
        (GuestKind::Qemu | GuestKind::Lxc, _, _) => false,
    }
}
