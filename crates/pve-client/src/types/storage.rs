// SPDX-License-Identifier: GPL-3.0-only
//! Storages: with their usage, as one node sees them (`GET /nodes/{node}/storage`,
//! `PVE/API2/Storage/Status.pm`), and as they are configured (`GET /storage`,
//! `PVE/API2/Storage/Config.pm`).

use serde::{Deserialize, Deserializer};

use super::loose;

/// A storage of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeStorage {
    /// The storage's ID.
    pub storage: String,
    /// The plugin, such as `dir`, `zfspool`, `rbd`.
    pub plugin: String,
    /// What may be stored there: `images`, `rootdir`, `backup`, …
    pub content: Vec<String>,
    /// Whether it answers at the moment.
    pub active: bool,
    /// Whether it is switched on in the configuration.
    pub enabled: bool,
    /// Whether all nodes see the same contents.
    pub shared: bool,
    /// Bytes in use; absent while the storage does not answer.
    pub used: Option<u64>,
    /// Bytes in total; absent while the storage does not answer.
    pub total: Option<u64>,
    /// Bytes that can still be written.
    pub available: Option<u64>,
}

/// A storage as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageDefinition {
    /// The storage's ID.
    pub storage: String,
    /// Whether it is switched off.
    pub disabled: bool,
    /// The nodes it is restricted to; empty for all.
    pub nodes: Vec<String>,
}

impl StorageDefinition {
    /// Whether it is meant for this node.
    pub fn is_for(&self, node: &str) -> bool {
        self.nodes.is_empty() || self.nodes.iter().any(|name| name == node)
    }
}

impl<'de> Deserialize<'de> for StorageDefinition {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(default, deserialize_with = "loose::text")]
            storage: Option<String>,
            #[serde(default, deserialize_with = "loose::boolean")]
            disable: bool,
            #[serde(default, deserialize_with = "loose::text")]
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
    #[serde(default, deserialize_with = "loose::text")]
    storage: Option<String>,
    #[serde(default, rename = "type", deserialize_with = "loose::text")]
    plugin: Option<String>,
    #[serde(default, deserialize_with = "loose::text")]
    content: Option<String>,
    #[serde(default, deserialize_with = "loose::boolean")]
    active: bool,
    #[serde(default, deserialize_with = "loose::optional_boolean")]
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "loose::boolean")]
    shared: bool,
    #[serde(default, deserialize_with = "loose::unsigned")]
    used: Option<u64>,
    #[serde(default, deserialize_with = "loose::unsigned")]
    total: Option<u64>,
    #[serde(default, deserialize_with = "loose::unsigned")]
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

/// The parts of a list with commas, sorted: PVE sends them in random order.
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
    fn usage_is_read_and_a_dead_storage_has_none() {
        let list: loose::List<NodeStorage> = serde_json::from_str(
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
