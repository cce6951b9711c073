// SPDX-License-Identifier: GPL-3.0-only
//! Why a storage with disks of selected guests is not listed in `/cluster/resources`.
//!
//! PVE omits a storage that the login may not audit, that is disabled, that is restricted to other nodes, or
//! that was removed (`PVE/API2/Cluster.pm`, `storage_check_enabled` in `PVE/Storage.pm`). `GET
//! /access/permissions` shows the first reason, `GET /storage` the others.

use std::collections::BTreeMap;

use autosnap_core::select::Inventory;
use pve_client::{Client, StorageDefinition};

/// Why a storage is not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlisted {
    /// The login lacks `Datastore.Audit` on it.
    NotPermitted,
    /// It is disabled.
    Disabled,
    /// It is restricted to other nodes.
    OtherNodes,
    /// No storage has this name.
    Removed,
    /// The reason cannot be read.
    Unknown,
}

/// Those of the `used` storages, each with a node, that are not listed on the node.
pub(super) async fn read_unlisted<'a>(
    client: &Client,
    inventory: &Inventory,
    used: impl Iterator<Item = (&'a str, &'a str)>,
) -> BTreeMap<(String, String), Unlisted> {
    let is_listed = |storage: &str, node: &str| {
        let mut usages = inventory.storages.iter();
        usages.any(|usage| usage.storage == storage && usage.node == node)
    };
    let mut unlisted: BTreeMap<(String, String), Unlisted> = used
        .filter(|(storage, node)| !is_listed(storage, node))
        .map(|(storage, node)| ((storage.to_owned(), node.to_owned()), Unlisted::Unknown))
        .collect();
    if unlisted.is_empty() {
        return unlisted;
    }
    let definitions = client.storages().await.ok();
    let mut permitted: BTreeMap<String, Option<bool>> = BTreeMap::new();
    for ((storage, node), why) in &mut unlisted {
        if !permitted.contains_key(storage) {
            permitted.insert(storage.clone(), may_audit(client, storage).await);
        }
        *why = match (permitted[storage], &definitions) {
            (Some(false), _) => Unlisted::NotPermitted,
            (Some(true), Some(definitions)) => why_unlisted(definitions, storage, node),
            (Some(true), None) | (None, _) => Unlisted::Unknown,
        };
    }
    unlisted
}

/// Whether PVE grants `Datastore.Audit`; `None` if that cannot be read.
async fn may_audit(client: &Client, storage: &str) -> Option<bool> {
    let path = format!("/storage/{storage}");
    let permissions = client.permissions(Some(&path)).await.ok()?;
    Some(permissions.has_entry(&path, "Datastore.Audit"))
}

fn why_unlisted(definitions: &[StorageDefinition], storage: &str, node: &str) -> Unlisted {
    let definition = definitions.iter().find(|one| one.storage == storage);
    match definition {
        None => Unlisted::Removed,
        Some(definition) if definition.disabled => Unlisted::Disabled,
        Some(definition) if !definition.is_for(node) => Unlisted::OtherNodes,
        Some(_) => Unlisted::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_that_is_not_listed_is_disabled_restricted_or_removed() {
        let definitions: Vec<StorageDefinition> = serde_json::from_str(
            r#"[{"storage":"off","type":"nfs","disable":1},{"storage":"far","type":"dir","nodes":"pve2,pve3"},
                {"storage":"here","type":"dir"}]"#,
        )
        .unwrap();
        for (storage, expected) in [
            ("off", Unlisted::Disabled),
            ("far", Unlisted::OtherNodes),
            ("here", Unlisted::Unknown),
            ("gone", Unlisted::Removed),
        ] {
            assert_eq!(why_unlisted(&definitions, storage, "pve1"), expected);
        }
    }
}
