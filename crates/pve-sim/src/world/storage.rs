// SPDX-License-Identifier: GPL-3.0-only
//! Storages: what they hold, on which nodes, how full they are.
//!
//! Usage is bookkeeping only. A snapshot claims a share of each disk when it is
//! taken and gives it back when it is removed, so that a guard against full
//! storages has something to see.

use std::collections::{BTreeMap, BTreeSet};

/// The share of a disk that a fresh snapshot occupies, in percent.
pub const SNAPSHOT_PERCENT: u64 = 2;

/// Bytes of one storage on one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Its size.
    pub total: u64,
    /// What is occupied.
    pub used: u64,
}

/// A storage definition as in `storage.cfg`, with its usage.
#[derive(Debug, Clone)]
pub struct Storage {
    /// Its name.
    pub id: String,
    /// Its type: `dir`, `btrfs`, `zfspool`, `rbd`, ...
    pub kind: String,
    /// What it may hold: `images`, `rootdir`, `iso`, ...
    pub content: Vec<String>,
    /// The same on all nodes.
    pub shared: bool,
    /// Switched off by `disable`.
    pub disabled: bool,
    /// The nodes it exists on; none: all.
    pub nodes: Option<Vec<String>>,
    /// The nodes on which it does not answer.
    pub unreachable_from: BTreeSet<String>,
    /// Further lines of the definition, such as `path`.
    pub options: BTreeMap<String, String>,
    /// Which image formats can be snapshotted.
    pub snapshot_formats: BTreeMap<String, bool>,
    /// Usage of a node that has none of its own below.
    pub usage: Usage,
    /// Usage by node, as far as it differs.
    pub usage_by_node: BTreeMap<String, Usage>,
}

impl Storage {
    /// Whether its definition names the node, or no node at all.
    pub fn belongs_to(&self, node: &str) -> bool {
        self.nodes
            .as_ref()
            .is_none_or(|nodes| nodes.iter().any(|name| name == node))
    }

    /// Whether it exists and is enabled on a node.
    pub fn is_on(&self, node: &str) -> bool {
        !self.disabled && self.belongs_to(node)
    }

    /// Whether it exists, is enabled and answers on a node.
    pub fn is_active_on(&self, node: &str) -> bool {
        self.is_on(node) && !self.unreachable_from.contains(node)
    }

    /// Makes it ready for use on a node (`activate_storage` in `PVE/Storage.pm`), or says in PVE's
    /// words why that fails.
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

    /// Whether each snapshot of an image is a file or volume of its own (PVE 9).
    pub fn has_volume_chains(&self) -> bool {
        has_volume_chains(&self.options)
    }

    /// Whether images of that format can be snapshotted
    /// (`PVE/Storage/*Plugin.pm`: `volume_has_feature`).
    pub fn can_snapshot(&self, format: &str) -> bool {
        self.snapshot_formats.get(format).copied().unwrap_or(false)
    }

    /// The usage as that node sees it.
    pub fn usage_on(&self, node: &str) -> Usage {
        self.usage_by_node.get(node).copied().unwrap_or(self.usage)
    }

    /// Occupies `bytes` more, up to the size of the storage.
    pub fn occupy(&mut self, node: &str, bytes: u64) {
        let usage = self.usage_mut(node);
        usage.used = usage.used.saturating_add(bytes).min(usage.total);
    }

    /// Gives `bytes` back.
    pub fn release(&mut self, node: &str, bytes: u64) {
        let usage = self.usage_mut(node);
        usage.used = usage.used.saturating_sub(bytes);
    }

    /// The usage to change: one for all nodes when shared.
    pub fn usage_mut(&mut self, node: &str) -> &mut Usage {
        if self.shared {
            self.usage_by_node.clear();
            return &mut self.usage;
        }
        let usage = self.usage;
        self.usage_by_node.entry(node.to_owned()).or_insert(usage)
    }

    /// `qcow2` and the like for directories, raw volumes for the others: what
    /// the plugins of PVE support when the world says nothing.
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

/// Whether a storage's definition wants each snapshot to be a file or volume of its own.
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
    fn nodes_and_formats_limit_it() {
        let one = storage(false);
        assert!(one.is_on("pve1") && !one.is_on("pve2"));
        assert!(one.can_snapshot("raw") && !one.can_snapshot("vmdk"));
    }
}
