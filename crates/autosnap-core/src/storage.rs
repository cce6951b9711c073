// SPDX-License-Identifier: GPL-3.0-only
//! The guard against filling a storage with snapshots: `--max-perc-storage`.
//!
//! One reading of `/cluster/resources` decides for the whole run. How much a snapshot will need is
//! not predicted: on most storages nobody can know.

use std::fmt;

use crate::guest::GuestConfig;

/// A storage of a node, as `/cluster/resources` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageUsage {
    /// The node that reports it; a shared storage is listed once for every node.
    pub node: String,
    /// The storage's ID.
    pub storage: String,
    /// The plug-in, such as `zfspool` or `dir` (`plugintype`).
    pub kind: String,
    /// Whether all nodes see the same data.
    pub shared: bool,
    /// What it may hold: `images`, `rootdir`, `backup`, ….
    pub content: Vec<String>,
    /// Its size in bytes (`maxdisk`); 0 if PVE reports none.
    pub total: u64,
    /// Used bytes (`disk`).
    pub used: u64,
    /// PVE's word: `available`, or `unknown` while the node sends no statistics.
    pub status: String,
}

/// The highest usage, in per cent, at which a guest on a storage still gets a snapshot: 1 to 100, where 100
/// refuses nobody, because some storages (thick LVM) are always full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StorageLimit(u8);

/// A limit outside of 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a limit for storages: give a percentage from 1 to 100, such as 95")]
pub struct StorageLimitError(u8);

/// What the limit says about a storage. Percentages are `used * 100 / total`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StorageVerdict {
    /// Used no more than the limit allows.
    Ok {
        /// Used per cent.
        percent: f64,
    },
    /// Used more than the limit allows.
    Full {
        /// Used per cent.
        percent: f64,
        /// The limit in per cent.
        limit: StorageLimit,
    },
    /// PVE gives no size, so that nothing can be said; this blocks no guest.
    NotCheckable {
        /// Why there is no size, in words.
        why: &'static str,
    },
}

/// A storage above the limit that a guest has a volume on.
#[derive(Clone, Debug, PartialEq)]
pub struct FullStorage {
    /// The guest's node.
    pub node: String,
    /// The storage's ID.
    pub storage: String,
    /// Used per cent.
    pub percent: f64,
    /// The limit in per cent.
    pub limit: StorageLimit,
}

/// A storage with a volume of a guest that cannot be checked against the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UncheckedStorage {
    /// The guest's node.
    pub node: String,
    /// The storage's ID.
    pub storage: String,
    /// Why, for messages.
    pub why: &'static str,
}

impl StorageLimit {
    /// Takes a percentage for a limit.
    pub fn new(percent: u8) -> Result<Self, StorageLimitError> {
        if (1..=100).contains(&percent) {
            Ok(Self(percent))
        } else {
            Err(StorageLimitError(percent))
        }
    }

    /// The percentage.
    pub fn get(self) -> u8 {
        self.0
    }

    /// Whether the limit can refuse a guest.
    pub fn can_refuse(self) -> bool {
        self.0 < 100
    }
}

impl Default for StorageLimit {
    /// 95 per cent, as in the C# tool.
    fn default() -> Self {
        Self(95)
    }
}

impl fmt::Display for StorageLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}%", self.0)
    }
}

impl fmt::Display for FullStorage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            node,
            storage,
            percent,
            limit,
        } = self;
        write!(
            formatter,
            "storage {storage} on node {node} is {percent:.1}% full, the limit is {limit}"
        )
    }
}

impl fmt::Display for UncheckedStorage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, storage, why } = self;
        write!(
            formatter,
            "storage {storage} on node {node}: limit not checked: {why}"
        )
    }
}

impl StorageUsage {
    /// Whether guests can have their disks here: content `images` (QEMU) or `rootdir` (LXC).
    pub fn holds_guests(&self) -> bool {
        self.content
            .iter()
            .any(|content| content == "images" || content == "rootdir")
    }

    /// Used per cent, unless PVE gives no size.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a percentage for people needs no more than 53 bits of a size"
    )]
    pub fn percent(&self) -> Option<f64> {
        (self.total > 0).then(|| self.used as f64 * 100.0 / self.total as f64)
    }

    /// Holds the storage against the limit. Usage equal to the limit is fine, as in the C# tool
    /// since 2.2.
    ///
    /// The comparison is made in whole numbers: rounding decides about no snapshot.
    pub fn verdict(&self, limit: StorageLimit) -> StorageVerdict {
        let Some(percent) = self.percent() else {
            let why = if self.status == "available" {
                "PVE reports no size"
            } else {
                "PVE has no statistics from its node"
            };
            return StorageVerdict::NotCheckable { why };
        };
        if !limit.can_refuse()
            || u128::from(self.used) * 100 <= u128::from(self.total) * u128::from(limit.0)
        {
            StorageVerdict::Ok { percent }
        } else {
            StorageVerdict::Full { percent, limit }
        }
    }
}

/// The storages for the table of a `snap`, sorted by node, then storage: those that can hold guests on
/// the given nodes, and those that refuse a guest, whatever their content is now.
pub fn listed<'a>(
    storages: &'a [StorageUsage],
    nodes: &[&str],
    refusing: &[&FullStorage],
) -> Vec<&'a StorageUsage> {
    let refuses = |usage: &StorageUsage| {
        let mut refusing = refusing.iter();
        refusing.any(|full| full.node == usage.node && full.storage == usage.storage)
    };
    let mut listed: Vec<&StorageUsage> = storages
        .iter()
        .filter(|usage| {
            usage.holds_guests() && nodes.contains(&usage.node.as_str()) || refuses(usage)
        })
        .collect();
    listed.sort_by(|one, other| (&one.node, &one.storage).cmp(&(&other.node, &other.storage)));
    listed
}

/// The storages with volumes of a guest on this node that cannot be checked against the limit, because PVE
/// does not list them or reports no size. None if the limit refuses nobody.
pub fn unchecked_storages(
    storages: &[StorageUsage],
    node: &str,
    config: &GuestConfig,
    limit: StorageLimit,
) -> Vec<UncheckedStorage> {
    if !limit.can_refuse() {
        return Vec::new();
    }
    let unchecked = config.storages().filter_map(|storage| {
        let mut usages = storages.iter();
        let usage = usages.find(|usage| usage.node == node && usage.storage == storage);
        let why = match usage.map(|usage| usage.verdict(limit)) {
            None => "the node has no such storage, or this login may not see it (Datastore.Audit)",
            Some(StorageVerdict::NotCheckable { why }) => why,
            Some(StorageVerdict::Ok { .. } | StorageVerdict::Full { .. }) => return None,
        };
        Some(UncheckedStorage {
            node: node.to_owned(),
            storage: storage.to_owned(),
            why,
        })
    });
    unchecked.collect()
}

/// The storages above the limit that a guest of this node has volumes on, by name.
///
/// A storage that cannot be checked against the limit blocks nothing: see [`unchecked_storages`].
pub fn full_storages(
    storages: &[StorageUsage],
    node: &str,
    config: &GuestConfig,
    limit: StorageLimit,
) -> Vec<FullStorage> {
    config
        .storages()
        .filter_map(|storage| {
            storages
                .iter()
                .find(|usage| usage.node == node && usage.storage == storage)
        })
        .filter_map(|usage| match usage.verdict(limit) {
            StorageVerdict::Full { percent, limit } => Some(FullStorage {
                node: node.to_owned(),
                storage: usage.storage.clone(),
                percent,
                limit,
            }),
            StorageVerdict::Ok { .. } | StorageVerdict::NotCheckable { .. } => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::guest::GuestKind;

    fn usage(node: &str, storage: &str, used: u64, total: u64) -> StorageUsage {
        StorageUsage {
            node: node.to_owned(),
            storage: storage.to_owned(),
            kind: "dir".to_owned(),
            shared: false,
            content: vec!["images".to_owned(), "rootdir".to_owned()],
            total,
            used,
            status: "available".to_owned(),
        }
    }

    fn limit(percent: u8) -> StorageLimit {
        StorageLimit::new(percent).unwrap()
    }

    #[test]
    fn a_limit_is_a_percentage() {
        for (percent, valid) in [(0, false), (1, true), (95, true), (100, true), (101, false)] {
            assert_eq!(StorageLimit::new(percent).is_ok(), valid, "{percent}");
        }
        assert_eq!(StorageLimit::default().get(), 95);
        assert!(
            StorageLimit::new(0)
                .unwrap_err()
                .to_string()
                .contains("from 1 to 100")
        );
    }

    #[test]
    fn usage_up_to_the_limit_is_fine() {
        for (used, total, percent, full) in [
            (0, 1000, 95, false),
            (950, 1000, 95, false),
            (951, 1000, 95, true),
            (1000, 1000, 100, false),
            (1001, 1000, 100, false),
            (u64::MAX, 1, 100, false),
            (1001, 1000, 99, true),
            (1, 100, 1, false),
            (2, 100, 1, true),
            (u64::MAX - 1, u64::MAX, 99, true),
            (u64::MAX, u64::MAX, 100, false),
        ] {
            let verdict = usage("pve1", "tank", used, total).verdict(limit(percent));
            let is_full = matches!(verdict, StorageVerdict::Full { .. });
            assert_eq!(
                is_full, full,
                "{used} of {total}, limit {percent}: {verdict:?}"
            );
        }
    }

    #[test]
    fn a_storage_without_a_size_cannot_be_checked() {
        let mut storage = usage("pve1", "iscsi", 0, 0);
        let why = "PVE reports no size";
        assert_eq!(
            storage.verdict(limit(1)),
            StorageVerdict::NotCheckable { why }
        );
        storage.status = "unknown".to_owned();
        let why = "PVE has no statistics from its node";
        assert_eq!(
            storage.verdict(limit(1)),
            StorageVerdict::NotCheckable { why }
        );
        assert_eq!(storage.percent(), None);
    }

    #[test]
    fn the_table_lists_what_can_hold_guests_on_the_given_nodes() {
        let mut backups = usage("pve1", "backups", 1, 2);
        backups.content = vec!["backup".to_owned(), "iso".to_owned()];
        let mut containers = usage("pve1", "ct", 1, 2);
        containers.content = vec!["rootdir".to_owned()];
        let storages = [
            usage("pve2", "a", 1, 2),
            usage("pve1", "b", 1, 2),
            backups,
            containers,
            usage("pve3", "c", 1, 2),
        ];
        let names = |refusing: &[&FullStorage]| -> Vec<String> {
            listed(&storages, &["pve2", "pve1"], refusing)
                .into_iter()
                .map(|usage| format!("{}/{}", usage.node, usage.storage))
                .collect()
        };
        assert_eq!(names(&[]), ["pve1/b", "pve1/ct", "pve2/a"]);
        let refusing = |node: &str| FullStorage {
            node: node.to_owned(),
            storage: "backups".to_owned(),
            percent: 99.0,
            limit: limit(95),
        };
        assert_eq!(
            names(&[&refusing("pve1"), &refusing("pve2")]),
            ["pve1/b", "pve1/backups", "pve1/ct", "pve2/a"]
        );
    }

    #[test]
    fn a_guest_is_held_up_by_its_own_storages_on_its_own_node_only() {
        let storages = [
            usage("pve1", "full", 99, 100),
            usage("pve1", "free", 10, 100),
            usage("pve1", "sizeless", 99, 0),
            usage("pve1", "foreign", 99, 100),
            usage("pve2", "free", 99, 100),
        ];
        let config = GuestConfig::read(
            GuestKind::Qemu,
            [
                ("scsi0", "free:vm-100-disk-0"),
                ("scsi1", "full:vm-100-disk-1"),
                ("scsi2", "full:vm-100-disk-2"),
                ("scsi3", "sizeless:vm-100-disk-3"),
                ("scsi4", "unlisted:vm-100-disk-4"),
                ("scsi5", "/dev/sdb"),
            ],
        );
        let full = full_storages(&storages, "pve1", &config, limit(95));
        let texts: Vec<String> = full.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            ["storage full on node pve1 is 99.0% full, the limit is 95%"]
        );
    }

    proptest! {
        #[test]
        fn a_higher_limit_never_blocks_more(used: u64, total: u64, low in 1u8..=100, high in 1u8..=100) {
            let (low, high) = (low.min(high), low.max(high));
            let is_full = |percent| {
                let verdict = usage("n", "s", used, total).verdict(limit(percent));
                matches!(verdict, StorageVerdict::Full { .. })
            };
            prop_assert!(is_full(low) || !is_full(high));
        }
    }
}
