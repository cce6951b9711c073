// SPDX-License-Identifier: GPL-3.0-only
//! The storage limit of a run, which keeps snapshots from filling a storage.
//!
//! One listing of `/cluster/resources` decides for the whole run. The space that a snapshot will need is not
//! estimated: most storages do not report it.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::guest::GuestConfig;

/// A storage of a node, as `/cluster/resources` lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageUsage {
    /// The node that reports it; a shared storage is listed once for every node.
    pub node: String,
    /// The storage's ID.
    pub storage: String,
    /// The plug-in, such as `zfspool` or `dir` (`plugintype`).
    pub kind: String,
    /// Whether all nodes see the same data.
    pub shared: bool,
    /// The types of content: `images`, `rootdir`, `backup`, ….
    pub content: Vec<String>,
    /// Its size in bytes (`maxdisk`); 0 if PVE reports none.
    pub total: u64,
    /// Used bytes (`disk`).
    pub used: u64,
    /// PVE's status: `available`, or `unknown` while the node sends no statistics.
    pub status: String,
}

/// The highest usage of a storage, in percent, at which its guests still get a snapshot: 1 to 100.
///
/// A limit of 100 refuses no guest, because some storages (thick LVM) are always full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct StorageLimit(u8);

/// An invalid storage limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid storage limit {0}: must be a percentage between 1 and 100")]
pub struct StorageLimitError(u8);

/// The result of checking a storage against the limit. Percentages are `used * 100 / total`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StorageVerdict {
    /// The usage is within the limit.
    Ok {
        /// The usage in percent.
        percent: f64,
    },
    /// The usage is above the limit.
    Full {
        /// The usage in percent.
        percent: f64,
        /// The limit in percent.
        limit: StorageLimit,
    },
    /// PVE reports no size; this blocks no guest.
    NotCheckable {
        /// The reason, for messages.
        reason: &'static str,
    },
}

/// A storage above the limit that a guest has a volume on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FullStorage {
    /// The guest's node.
    pub node: String,
    /// The storage's ID.
    pub storage: String,
    /// The usage in percent.
    pub percent: f64,
    /// The limit in percent.
    pub limit: StorageLimit,
}

/// A storage with a volume of a guest that cannot be checked against the limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UncheckedStorage {
    /// The guest's node.
    pub node: String,
    /// The storage's ID.
    pub storage: String,
    /// The reason, for messages.
    pub reason: Cow<'static, str>,
}

impl StorageLimit {
    /// Checks that the percentage is between 1 and 100.
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

impl TryFrom<u8> for StorageLimit {
    type Error = StorageLimitError;

    fn try_from(percent: u8) -> Result<Self, StorageLimitError> {
        Self::new(percent)
    }
}

impl From<StorageLimit> for u8 {
    fn from(limit: StorageLimit) -> Self {
        limit.0
    }
}

impl Default for StorageLimit {
    /// 95 percent, as in the C# tool.
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
        let Self {
            node,
            storage,
            reason,
        } = self;
        write!(
            formatter,
            "storage {storage} on node {node}: limit not checked: {reason}"
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

    /// The usage in percent, unless PVE reports no size.
    #[expect(
        clippy::cast_precision_loss,
        reason = "53 bits of a size are enough for a displayed percentage"
    )]
    pub fn percent(&self) -> Option<f64> {
        (self.total > 0).then(|| self.used as f64 * 100.0 / self.total as f64)
    }

    /// Checks the storage against the limit. Usage equal to the limit is allowed, as in the C# tool since 2.2.
    ///
    /// The comparison uses integers, so that rounding never decides.
    pub fn verdict(&self, limit: StorageLimit) -> StorageVerdict {
        let Some(percent) = self.percent() else {
            let reason = if self.status == "available" {
                "PVE reports no size"
            } else {
                "PVE has no statistics from its node"
            };
            return StorageVerdict::NotCheckable { reason };
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

/// The storages for the table of a `snap`, sorted by node, then storage.
///
/// Listed are those that can hold guests on the given nodes, and those in `refusing` with any content.
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

/// The storages with volumes of the guest that cannot be checked against the limit.
///
/// PVE does not list them, or reports no size. Empty if the limit refuses no guest.
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
        let reason = match usage.map(|usage| usage.verdict(limit)) {
            None => "the node has no such storage, or this login may not see it (Datastore.Audit)",
            Some(StorageVerdict::NotCheckable { reason }) => reason,
            Some(StorageVerdict::Ok { .. } | StorageVerdict::Full { .. }) => return None,
        };
        Some(UncheckedStorage {
            node: node.to_owned(),
            storage: storage.to_owned(),
            reason: Cow::Borrowed(reason),
        })
    });
    unchecked.collect()
}

/// The storages above the limit that a guest on this node has volumes on, sorted by name.
///
/// A storage that cannot be checked against the limit blocks no guest: see [`unchecked_storages`].
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
                .contains("between 1 and 100")
        );
    }

    #[test]
    fn usage_up_to_the_limit_is_allowed() {
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
        let reason = "PVE reports no size";
        assert_eq!(
            storage.verdict(limit(1)),
            StorageVerdict::NotCheckable { reason }
        );
        storage.status = "unknown".to_owned();
        let reason = "PVE has no statistics from its node";
        assert_eq!(
            storage.verdict(limit(1)),
            StorageVerdict::NotCheckable { reason }
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
            names(&[&refusing("pve1")]),
            ["pve1/b", "pve1/backups", "pve1/ct", "pve2/a"]
        );
        assert_eq!(names(&[&refusing("pve2")]), names(&[]));
    }

    #[test]
    fn only_storages_of_the_guest_on_its_node_block_it() {
        let storages = [
            usage("pve1", "full", 99, 100),
            usage("pve1", "free", 10, 100),
            usage("pve1", "sizeless", 99, 0),
            usage("pve1", "foreign", 99, 100),
            usage("pve2", "free", 99, 100),
        ];
        let config = GuestConfig::parse(
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

    #[test]
    fn storages_without_a_known_size_are_unchecked_if_the_limit_can_refuse() {
        let storages = [
            usage("pve1", "free", 10, 100),
            usage("pve1", "full", 99, 100),
            usage("pve1", "sizeless", 99, 0),
            usage("pve2", "elsewhere", 10, 100),
        ];
        let config = GuestConfig::parse(
            GuestKind::Qemu,
            [
                ("scsi0", "free:vm-100-disk-0"),
                ("scsi1", "full:vm-100-disk-1"),
                ("scsi2", "sizeless:vm-100-disk-2"),
                ("scsi3", "elsewhere:vm-100-disk-3"),
            ],
        );
        let texts = |percent| -> Vec<String> {
            let unchecked = unchecked_storages(&storages, "pve1", &config, limit(percent));
            unchecked.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            texts(99),
            [
                "storage elsewhere on node pve1: limit not checked: the node has no such storage, or this login may not \
                 see it (Datastore.Audit)",
                "storage sizeless on node pve1: limit not checked: PVE reports no size",
            ]
        );
        assert!(texts(100).is_empty());
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
