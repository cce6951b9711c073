// SPDX-License-Identifier: GPL-3.0-only
//! The volumes that prevent a snapshot of a guest.
//!
//! PVE decides by the storage's plugin and the volume's format, and refuses the whole guest for one
//! volume without snapshots (`has_feature` in `PVE/QemuConfig.pm` and `PVE/LXC/Config.pm`,
//! `volume_has_feature` in `PVE/Storage/*Plugin.pm`, the same in PVE 8 and 9). If both do not decide, the result is
//! [`SnapshotSupport::Unknown`], and the caller can query PVE (`GET …/feature?feature=snapshot`).

use crate::guest::{GuestConfig, Volume, VolumeLocation};
use crate::storage::StorageUsage;

/// Whether PVE can snapshot a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotSupport {
    /// It can.
    Yes,
    /// It cannot.
    No,
    /// Only PVE knows: the storage's type is not visible or belongs to a third-party plugin, or the volume
    /// has an unusual name.
    Unknown,
}

/// The volumes of a guest that prevent or may prevent a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotBlockers<'a> {
    /// PVE cannot snapshot these, because of their storage or format.
    certain: Vec<&'a Volume>,
    /// Only PVE knows whether it can snapshot these.
    possible: Vec<&'a Volume>,
}

impl<'a> SnapshotBlockers<'a> {
    /// Checks all volumes on storages. For bind mounts and devices see [`GuestConfig::unsupported_volumes`].
    pub fn new(config: &'a GuestConfig, storages: &[StorageUsage]) -> Self {
        let mut blockers = Self {
            certain: Vec::new(),
            possible: Vec::new(),
        };
        for volume in &config.volumes {
            match support(volume, storages) {
                SnapshotSupport::Yes => {}
                SnapshotSupport::No => blockers.certain.push(volume),
                SnapshotSupport::Unknown => blockers.possible.push(volume),
            }
        }
        blockers
    }

    /// Whether PVE must be queried: the configuration alone does not decide.
    pub fn needs_query(&self) -> bool {
        self.certain.is_empty() && !self.possible.is_empty()
    }

    /// The volumes that prevent a snapshot, such as `scsi0: bulk:100/vm-100-disk-0.raw`; empty if PVE can take one.
    ///
    /// `reply` is PVE's reply to the query; without one, the possible blockers are left out.
    pub fn names(&self, reply: Option<bool>) -> Vec<String> {
        let volumes = match reply {
            _ if !self.certain.is_empty() => &self.certain,
            Some(false) => &self.possible,
            Some(true) | None => return Vec::new(),
        };
        volumes.iter().map(ToString::to_string).collect()
    }
}

/// Whether PVE can snapshot the volume. A storage has the same type on all nodes, so any of its entries serves.
fn support(volume: &Volume, storages: &[StorageUsage]) -> SnapshotSupport {
    match &volume.location {
        VolumeLocation::Path(_) => SnapshotSupport::Yes,
        VolumeLocation::Storage { storage, volume } => {
            let usage = storages.iter().find(|usage| usage.storage == *storage);
            let plugin = usage.map_or("", |usage| usage.kind.as_str());
            volume_support(plugin, volume)
        }
    }
}

/// Whether PVE can snapshot a volume, by its storage's type (`plugintype`) and its name.
///
/// The name is such as `100/vm-100-disk-0.qcow2`. A raw disk on LVM has no snapshots; one in the format qcow2 has them
/// since PVE 9 (`snapshot-as-volume-chain`) and is a raw disk with an unusual name before.
pub fn volume_support(plugin: &str, volume: &str) -> SnapshotSupport {
    let name = volume.rsplit('/').next().unwrap_or(volume);
    // Other rules apply to base images of templates.
    if name.starts_with("base") {
        return SnapshotSupport::Unknown;
    }
    let format = name.rsplit_once('.').map(|(_, extension)| extension);
    match (plugin, format) {
        ("dir" | "nfs" | "cifs" | "glusterfs" | "cephfs", Some("qcow2"))
        | ("btrfs", Some("qcow2" | "raw" | "subvol"))
        | ("zfspool" | "zfs" | "rbd" | "lvmthin", _) => SnapshotSupport::Yes,
        ("dir" | "nfs" | "cifs" | "glusterfs" | "cephfs", Some("raw" | "vmdk" | "subvol"))
        | ("btrfs", Some("vmdk"))
        | ("lvm", None)
        | ("iscsi" | "iscsidirect", _) => SnapshotSupport::No,
        _ => SnapshotSupport::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::GuestKind;

    #[test]
    fn storage_type_and_volume_format_decide() {
        use SnapshotSupport::{No, Unknown, Yes};
        for (plugin, volume, expected) in [
            ("dir", "100/vm-100-disk-0.qcow2", Yes),
            ("dir", "100/vm-100-disk-0.raw", No),
            ("nfs", "100/vm-100-disk-0.vmdk", No),
            (
                "nfs",
                "9000/base-9000-disk-0.qcow2/100/vm-100-disk-0.qcow2",
                Yes,
            ),
            ("dir", "9000/base-9000-disk-0.qcow2", Unknown),
            ("dir", "100/vm-100-disk-0", Unknown),
            // Recorded: read.guests.feature-ct-dir, read.guests.feature-ct-yes.
            ("dir", "202/subvol-202-disk-0.subvol", No),
            ("btrfs", "200/subvol-200-disk-0.subvol", Yes),
            ("btrfs", "100/vm-100-disk-0.raw", Yes),
            ("btrfs", "100/vm-100-disk-0.vmdk", No),
            ("lvm", "vm-100-disk-0", No),
            ("lvm", "vm-100-disk-0.qcow2", Unknown),
            ("lvmthin", "vm-100-disk-0", Yes),
            ("zfspool", "subvol-100-disk-0", Yes),
            ("zfs", "vm-100-disk-0", Yes),
            ("rbd", "vm-100-disk-0", Yes),
            ("iscsi", "0.0.0.scsi-1", No),
            ("linstor", "pm-1", Unknown),
            ("", "100/vm-100-disk-0.raw", Unknown),
        ] {
            assert_eq!(
                volume_support(plugin, volume),
                expected,
                "{plugin} {volume}"
            );
        }
    }

    #[test]
    fn pve_is_queried_only_if_the_configuration_does_not_decide() {
        let storage = |name: &str, kind: &str| StorageUsage {
            node: "pve1".to_owned(),
            storage: name.to_owned(),
            kind: kind.to_owned(),
            shared: false,
            content: Vec::new(),
            total: 1,
            used: 0,
            status: "available".to_owned(),
        };
        let storages = [
            storage("bulk", "dir"),
            storage("tank", "zfspool"),
            storage("san", "custom"),
        ];
        let blockers = |entries: &[(&str, &str)], reply: Option<bool>| {
            let config = GuestConfig::parse(GuestKind::Qemu, entries.iter().copied());
            let blockers = SnapshotBlockers::new(&config, &storages);
            (blockers.needs_query(), blockers.names(reply))
        };
        let tank = ("scsi0", "tank:vm-100-disk-0");
        let raw = ("scsi1", "bulk:100/vm-100-disk-1.raw");
        let custom = ("scsi2", "san:pm-1");
        let hidden = ("tpmstate0", "hidden:vm-100-disk-2");
        let none: Vec<String> = Vec::new();
        assert_eq!(blockers(&[tank], None), (false, none.clone()));
        assert_eq!(
            blockers(&[tank, raw, custom], None),
            (false, vec!["scsi1: bulk:100/vm-100-disk-1.raw".to_owned()])
        );
        assert_eq!(blockers(&[tank, custom], None), (true, none.clone()));
        assert_eq!(blockers(&[tank, custom], Some(true)), (true, none));
        assert_eq!(
            blockers(&[tank, custom, hidden], Some(false)),
            (
                true,
                vec![
                    "scsi2: san:pm-1".to_owned(),
                    "tpmstate0: hidden:vm-100-disk-2".to_owned()
                ]
            )
        );
    }
}
