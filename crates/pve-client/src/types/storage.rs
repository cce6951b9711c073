// SPDX-License-Identifier: GPL-3.0-only
//! Storages: their usage on one node (`GET /nodes/{node}/storage`, `PVE/API2/Storage/Status.pm`) and their
//! configuration (`GET /storage`, `PVE/API2/Storage/Config.pm`).

use serde::{Deserialize, Deserializer};

use super::lenient;

/// A storage on a node, with its usage.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeStorage {
    /// The storage's ID.
    pub storage: String,
    /// The plugin, such as `dir`, `zfspool`, `rbd`.
    pub plugin: String,
    /// The kinds of content: `images`, `rootdir`, `backup`, …
    pub content: Vec<String>,
    /// Whether it is available.
    pub active: bool,
    /// Whether it is enabled in the configuration.
    pub enabled: bool,
    /// Whether all nodes share its contents.
    pub shared: bool,
    /// Bytes in use; absent while the storage is not available.
    pub used: Option<u64>,
    /// Bytes in total; absent while the storage is not available.
    pub total: Option<u64>,
    /// Bytes that are free.
    pub available: Option<u64>,
}

/// The configuration of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageDefinition {
    /// The storage's ID.
    pub storage: String,
    /// Whether it is disabled.
    pub disabled: bool,
    /// The nodes to which it is restricted; empty for all nodes.
    pub nodes: Vec<String>,
}

impl StorageDefinition {
    /// Whether it is configured for this node.
    pub fn is_for(&self, node: &str) -> bool {
        self.nodes.is_empty() || self.nodes.iter().any(|name| name == node)
    }
}

impl<'de> Deserialize<'de> for StorageDefinition {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(default, deserialize_with = "lenient::text")]
            storage: Option<String>,
            #[serde(default, deserialize_with = "lenient::boolean")]
            disable: bool,
            #[serde(default, deserialize_with = "lenient::text")]
            nodes: Option<String>,
        }
        let wire = Wire::deserialize(input)?;
        let storage = wire
            .storage
            .ok_or_else(|| serde::de::Error::missing_field("storage"))?;
        Ok(Self {
            storage,
            disabled: wire.disable,
            nodes: split_list(wire.nodes.as_deref()),
        })
    }
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default, deserialize_with = "lenient::text")]
    storage: Option<String>,
    #[serde(default, rename = "type", deserialize_with = "lenient::text")]
    plugin: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    content: Option<String>,
    #[serde(default, deserialize_with = "lenient::boolean")]
    active: bool,
    #[serde(default, deserialize_with = "lenient::optional_boolean")]
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "lenient::boolean")]
    shared: bool,
    #[serde(default, deserialize_with = "lenient::unsigned")]
    used: Option<u64>,
    #[serde(default, deserialize_with = "lenient::unsigned")]
    total: Option<u64>,
    #[serde(default, deserialize_with = "lenient::unsigned")]
    avail: Option<u64>,
}

impl<'de> Deserialize<'de> for NodeStorage {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(input)?;
        let storage = wire
            .storage
            .ok_or_else(|| serde::de::Error::missing_field("storage"))?;
        Ok(Self {
            storage,
            plugin: wire.plugin.unwrap_or_default(),
            content: split_list(wire.content.as_deref()),
            active: wire.active,
            enabled: wire.enabled.unwrap_or(true),
            shared: wire.shared,
            used: wire.used,
            total: wire.total,
            available: wire.avail,
        })
    }
}

/// Splits a list at its commas, sorted because PVE sends it in random order.
pub(super) fn split_list(text: Option<&str>) -> Vec<String> {
    let parts = text.unwrap_or_default().split(',').map(str::trim);
    let mut parts: Vec<String> = parts
        .filter(|part| !part.is_empty())
        .map(Into::into)
        .collect();
    parts.sort_unstable();
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_parsed_and_absent_if_unavailable() {
        let list: lenient::List<NodeStorage> = serde_json::from_str(
            r#"[{"storage":"tank","used":18219008,"total":"8589934592","shared":0,"type":"btrfs",
                 "content":"rootdir,images","avail":8023343104,"active":1,"enabled":1},
                {"storage":"nfs","type":"nfs","content":"images","active":0,"shared":"1"}, {"type":"x"}]"#,
        )
        .unwrap();
        let [tank, nfs] = list.0.as_slice() else {
            panic!("{list:?}")
        };
        assert_eq!(
            (tank.used, tank.total),
            (Some(18_219_008), Some(8_589_934_592))
        );
        assert_eq!(tank.content, ["images", "rootdir"]);
        assert_eq!(
            (nfs.active, nfs.enabled, nfs.shared, nfs.used),
            (false, true, true, None)
        );
    }
}
