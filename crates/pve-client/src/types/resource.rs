// SPDX-License-Identifier: GPL-3.0-only
//! The resources of the cluster that the login may audit: `GET /cluster/resources` (`PVE/API2/Cluster.pm`,
//! `PVE/API2Tools.pm`).
//!
//! The list may be up to ten seconds old. Guests of an offline node, and of a node whose `pvestatd` has sent
//! nothing for five minutes, have neither a name nor statistics.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::guest::GuestKind;
use super::lenient;

/// An entry of the list.
#[derive(Clone, Debug, PartialEq)]
pub enum Resource {
    /// A virtual machine or a container.
    Guest(GuestResource),
    /// A node of the cluster; every login may see it.
    Node(NodeResource),
    /// A storage on one node.
    Storage(StorageResource),
    /// A pool, by its ID; the ID of a nested pool contains slashes.
    Pool(String),
    /// Another type, such as `sdn`.
    Other(String),
}

/// A guest in the list of resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestResource {
    /// The guest's ID, unique in the cluster.
    pub vmid: u32,
    /// Virtual machine or container.
    pub kind: GuestKind,
    /// Its node.
    pub node: String,
    /// Its name; absent while the node sends no statistics. A VM without one is called `VM 111`.
    pub name: Option<String>,
    /// `running`, `stopped`, or `unknown` while the node sends no statistics.
    pub status: String,
    /// Whether it is a template.
    pub template: bool,
    /// Its tags as PVE sends them, separated by `;`.
    pub tags: Option<String>,
    /// Its lock, such as `backup`.
    pub lock: Option<String>,
    /// Its pool.
    pub pool: Option<String>,
    /// Its memory in bytes.
    pub max_memory: Option<u64>,
    /// How many seconds it had been running when its node sent this; 0 if it was not running.
    pub uptime: u64,
}

impl GuestResource {
    /// The tags one by one. PVE separates them by `;` and also accepts `,` and spaces.
    pub fn tag_list(&self) -> impl Iterator<Item = &str> {
        split_tags(self.tags.as_deref())
    }
}

/// Splits the tags of a guest.
pub(super) fn split_tags(tags: Option<&str>) -> impl Iterator<Item = &str> {
    let tags = tags.unwrap_or_default();
    tags.split([';', ',', ' ']).filter(|tag| !tag.is_empty())
}

/// A node in the list of resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeResource {
    /// The node's name.
    pub node: String,
    /// `online`; `offline`; or `unknown` while it sends no statistics, for example for some seconds after a
    /// boot or while its `pvestatd` hangs. Everything else on such a node may work.
    pub status: String,
}

impl NodeResource {
    /// Whether the node is not part of the running cluster (`extract_node_stats` in
    /// `PVE/API2Tools.pm`). A node without statistics is not offline.
    pub fn is_offline(&self) -> bool {
        self.status == "offline"
    }
}

/// A storage on one node, in the list of resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageResource {
    /// The storage's ID.
    pub storage: String,
    /// The node.
    pub node: String,
    /// `available`, or `unknown` while the node sends no statistics.
    pub status: String,
    /// The plugin, such as `dir`, `zfspool`, `rbd`.
    pub plugin: Option<String>,
    /// The kinds of content: `images`, `rootdir`, `backup`, …
    pub content: Vec<String>,
    /// Whether all nodes share its contents.
    pub shared: bool,
    /// Bytes in use.
    pub used: Option<u64>,
    /// Bytes in total.
    pub total: Option<u64>,
}

/// The fields of all types.
#[derive(Deserialize)]
struct Wire {
    #[serde(default, rename = "type", deserialize_with = "lenient::text")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient::unsigned")]
    vmid: Option<u64>,
    #[serde(default, deserialize_with = "lenient::text")]
    node: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    template: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    tags: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    lock: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pool: Option<String>,
    #[serde(default, deserialize_with = "lenient::unsigned")]
    maxmem: Option<u64>,
    #[serde(default, deserialize_with = "lenient::unsigned")]
    uptime: Option<u64>,
    #[serde(default, deserialize_with = "lenient::text")]
    storage: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    plugintype: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    content: Option<String>,
    #[serde(default, deserialize_with = "lenient::boolean")]
    shared: bool,
    #[serde(default, deserialize_with = "lenient::unsigned")]
    disk: Option<u64>,
    #[serde(default, deserialize_with = "lenient::unsigned")]
    maxdisk: Option<u64>,
}

impl<'de> Deserialize<'de> for Resource {
    /// An entry without ID or with a damaged name is an error: the damaged pool or tag may be the one by
    /// which a selection excludes the guest.
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(input)?;
        if wire.is_damaged() {
            return Err(D::Error::custom("a name contains invalid characters"));
        }
        wire.into_resource()
            .ok_or_else(|| D::Error::custom("it has no type, ID or node"))
    }
}

impl Wire {
    fn is_damaged(&self) -> bool {
        let names = [
            &self.kind,
            &self.node,
            &self.name,
            &self.status,
            &self.template,
            &self.tags,
            &self.lock,
            &self.pool,
            &self.storage,
            &self.content,
        ];
        names
            .iter()
            .any(|name| lenient::is_damaged(name.as_deref()))
    }

    fn into_resource(self) -> Option<Resource> {
        let kind = self.kind.clone().filter(|kind| !kind.is_empty())?;
        match kind.as_str() {
            "qemu" => self.into_guest(GuestKind::Qemu),
            "lxc" => self.into_guest(GuestKind::Lxc),
            "node" => self.into_node(),
            "storage" => self.into_storage(),
            "pool" => self.pool.map(Resource::Pool),
            _ => Some(Resource::Other(kind)),
        }
    }

    fn into_guest(self, kind: GuestKind) -> Option<Resource> {
        Some(Resource::Guest(GuestResource {
            vmid: self.vmid?.try_into().ok()?,
            kind,
            node: self.node?,
            name: present(self.name),
            status: self.status.unwrap_or_else(unknown),
            template: self.template.as_deref().is_some_and(lenient::is_true),
            tags: present(self.tags),
            lock: present(self.lock),
            pool: present(self.pool),
            max_memory: self.maxmem,
            uptime: self.uptime.unwrap_or(0),
        }))
    }

    fn into_node(self) -> Option<Resource> {
        let status = self.status.unwrap_or_else(unknown);
        Some(Resource::Node(NodeResource {
            node: self.node?,
            status,
        }))
    }

    fn into_storage(self) -> Option<Resource> {
        Some(Resource::Storage(StorageResource {
            storage: self.storage?,
            node: self.node?,
            status: self.status.unwrap_or_else(unknown),
            plugin: self.plugintype,
            content: super::storage::split_list(self.content.as_deref()),
            shared: self.shared,
            used: self.disk,
            total: self.maxdisk,
        }))
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// The text, if it is not empty.
fn present(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::lenient::List;
    use super::*;

    fn resources(json: &str) -> Vec<Resource> {
        serde_json::from_str::<List<Resource>>(json).unwrap().0
    }

    #[test]
    fn an_entry_without_id_or_with_a_damaged_name_is_unreadable() {
        let list: List<Resource> = serde_json::from_str(
            "[{\"type\":\"qemu\",\"vmid\":\"none\",\"node\":\"pve1\"},{\"vmid\":7},
              {\"type\":\"lxc\",\"vmid\":200,\"node\":\"pve1\",\"pool\":\"ke\u{fffd}pme\"},
              {\"type\":\"lxc\",\"vmid\":201,\"node\":\"pve1\",\"maxmem\":\"\u{fffd}\"}]",
        )
        .unwrap();
        assert!(matches!(list.0.as_slice(), [Resource::Guest(guest)] if guest.vmid == 201));
        assert_eq!(list.1.len(), 3, "{:?}", list.1);
    }

    #[test]
    fn guests_nodes_storages_and_pools_are_parsed() {
        let list = resources(
            r#"[{"id":"qemu/100","type":"qemu","vmid":"100","node":"pve1","name":"web01",
                 "status":"running","template":"","tags":"prod;web","pool":"prod","maxmem":134217728},
                {"type":"lxc","vmid":220,"status":"unknown","id":"lxc/220","node":"pve3","lock":"backup"},
                {"type":"node","node":"pve1","status":"online","level":""},
                {"type":"storage","storage":"tank","node":"pve1","status":"available","shared":1,
                 "plugintype":"btrfs","content":"images,rootdir","disk":18219008,"maxdisk":"8589934592"},
                {"type":"pool","pool":"lab/nested","id":"/pool/lab/nested"},
                {"type":"sdn","sdn":"localnetwork","node":"pve1"},
                {"type":"qemu","vmid":"none","node":"pve1"}, 7]"#,
        );
        let [
            Resource::Guest(web),
            Resource::Guest(container),
            node,
            storage,
            pool,
            sdn,
        ] = list.as_slice()
        else {
            panic!("{list:?}");
        };
        assert_eq!(
            (web.vmid, web.kind, web.name.as_deref()),
            (100, GuestKind::Qemu, Some("web01"))
        );
        assert_eq!(web.tag_list().collect::<Vec<_>>(), ["prod", "web"]);
        assert_eq!((web.template, web.max_memory), (false, Some(134_217_728)));
        assert_eq!(
            (container.name.as_deref(), container.lock.as_deref()),
            (None, Some("backup"))
        );
        assert!(matches!(node, Resource::Node(node) if !node.is_offline()));
        let Resource::Storage(storage) = storage else {
            panic!("{storage:?}")
        };
        assert_eq!(
            (storage.used, storage.total),
            (Some(18_219_008), Some(8_589_934_592))
        );
        assert_eq!(storage.content, ["images", "rootdir"]);
        assert!(storage.shared);
        assert_eq!(pool, &Resource::Pool("lab/nested".into()));
        assert_eq!(sdn, &Resource::Other("sdn".into()));
    }
}
