// SPDX-License-Identifier: GPL-3.0-only
//! Storages: content, nodes and usage.
//!
//! Usage is only a number. A snapshot adds a share of each disk when it is created and subtracts it
//! when it is removed, so that a client's check for full storages can be tested.

use std::collections::{BTreeMap, BTreeSet};

/// How much of a disk a new snapshot uses, in percent.
pub const SNAPSHOT_PERCENT: u64 = 2;

/// Usage of a storage on a node, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Its size.
    pub total: u64,
    /// Used bytes.
    pub used: u64,
}

/// A storage definition as in `storage.cfg`, with its usage.
#[derive(Debug, Clone)]
pub struct Storage {
    /// Its name.
    pub id: String,
    /// Its type: `dir`, `btrfs`, `zfspool`, `rbd`, ...
    pub kind: String,
    /// Allowed content: `images`, `rootdir`, `iso`, ...
    pub content: Vec<String>,
    /// Whether all nodes share it.
    pub shared: bool,
    /// Whether `disable` is set.
    pub disabled: bool,
    /// The nodes that have it; `None`: all.
    pub nodes: Option<Vec<String>>,
    /// The nodes on which it does not respond.
    pub unreachable_from: BTreeSet<String>,
    /// Other values of the definition, such as `path`.
    pub options: BTreeMap<String, String>,
    /// Which image formats can be snapshotted.
    pub snapshot_formats: BTreeMap<String, bool>,
    /// Usage on nodes without an entry in `usage_by_node`.
    pub usage: Usage,
    /// Usage on single nodes.
    pub usage_by_node: BTreeMap<String, Usage>,
}

impl Storage {
    /// Whether its definition includes the node.
    pub fn belongs_to(&self, node: &str) -> bool {
        self.nodes
            .as_ref()
            .is_none_or(|nodes| nodes.iter().any(|name| name == node))
    }

    /// Whether it exists and is enabled on a node.
    pub fn is_on(&self, node: &str) -> bool {
        !self.disabled && self.belongs_to(node)
    }

    /// Whether it exists, is enabled and responds on a node.
    pub fn is_active_on(&self, node: &str) -> bool {
        self.is_on(node) && !self.unreachable_from.contains(node)
    }

    /// Activates it on a node (`activate_storage` in `PVE/Storage.pm`), or returns PVE's error
    /// text.
    pub fn activate(&self, node: &str) -> Result<(), String> {
        let id = &self.id;
        if self.disabled {
            return Err(format!("storage '{id}' is disabled"));
        }
        if !self.belongs_to(node) {
            return Err(format!("storage '{id}' is not available on node '{node}'"));
        }
        if self.is_active_on(node) {
            return Ok(());
        }
        Err(match (self.kind.as_str(), self.options.get("path")) {
            ("dir" | "btrfs", Some(path)) => format!(
                "unable to activate storage '{id}' - directory '{path}' does not exist or is unreachable"
            ),
            _ => format!("storage '{id}' is not online"),
        })
    }

    /// Whether each snapshot of an image is a separate file or volume (PVE 9).
    pub fn has_volume_chains(&self) -> bool {
        has_volume_chains(&self.options)
    }

    /// Whether images of that format can be snapshotted
    /// (`PVE/Storage/*Plugin.pm`: `volume_has_feature`).
    pub fn can_snapshot(&self, format: &str) -> bool {
        self.snapshot_formats.get(format).copied().unwrap_or(false)
    }

    /// The usage as seen by a node.
    pub fn usage_on(&self, node: &str) -> Usage {
        self.usage_by_node.get(node).copied().unwrap_or(self.usage)
    }

    /// Adds `bytes` to the usage, up to the size of the storage.
    pub fn occupy(&mut self, node: &str, bytes: u64) {
        let usage = self.usage_mut(node);
        usage.used = usage.used.saturating_add(bytes).min(usage.total);
    }

    /// Subtracts `bytes` from the usage.
    pub fn release(&mut self, node: &str, bytes: u64) {
        let usage = self.usage_mut(node);
        usage.used = usage.used.saturating_sub(bytes);
    }

    /// The usage for changes; shared storages have one for all nodes.
    pub fn usage_mut(&mut self, node: &str) -> &mut Usage {
        if self.shared {
            self.usage_by_node.clear();
            return &mut self.usage;
        }
        let usage = self.usage;
        self.usage_by_node.entry(node.to_owned()).or_insert(usage)
    }

    /// The default of PVE's storage plugins: `qcow2` and similar formats for directories, raw
    /// volumes for other types.
    pub fn default_snapshot_formats(kind: &str, volume_chains: bool) -> BTreeMap<String, bool> {
        let formats: &[&str] = match kind {
            "lvm" if volume_chains => &["qcow2"],
            "dir" | "nfs" | "cifs" | "glusterfs" | "cephfs" => &["qcow2"],
            "btrfs" => &["qcow2", "raw", "subvol"],
            "zfspool" | "rbd" => &["raw", "subvol"],
            "lvmthin" | "zfs" => &["raw"],
            _ => &[],
        };
        formats
            .iter()
            .map(|format| ((*format).to_owned(), true))
            .collect()
    }
}

/// Whether a storage's options enable a separate file or volume per snapshot.
pub(crate) fn has_volume_chains(options: &BTreeMap<String, String>) -> bool {
    let option = options.get("snapshot-as-volume-chain");
    option.is_some_and(|value| value == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(shared: bool) -> Storage {
        Storage {
            id: "tank".to_owned(),
            kind: "btrfs".to_owned(),
            content: vec!["images".to_owned()],
            shared,
            disabled: false,
            nodes: Some(vec!["pve1".to_owned()]),
            unreachable_from: BTreeSet::new(),
            options: BTreeMap::new(),
            snapshot_formats: Storage::default_snapshot_formats("btrfs", false),
            usage: Usage {
                total: 100,
                used: 10,
            },
            usage_by_node: BTreeMap::new(),
        }
    }

    #[test]
    fn usage_is_kept_per_node_unless_shared() {
        let mut local = storage(false);
        local.occupy("pve1", 5);
        assert_eq!(local.usage_on("pve1").used, 15);
        assert_eq!(local.usage_on("pve2").used, 10);
        let mut shared = storage(true);
        shared.occupy("pve1", 500);
        assert_eq!(shared.usage_on("pve2").used, 100);
        shared.release("pve2", 40);
        assert_eq!(shared.usage_on("pve1").used, 60);
    }

    #[test]
    fn storages_are_limited_to_nodes_and_formats() {
        let one = storage(false);
        assert!(one.is_on("pve1") && !one.is_on("pve2"));
        assert!(one.can_snapshot("raw") && !one.can_snapshot("vmdk"));
    }
}
