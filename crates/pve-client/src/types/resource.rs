// SPDX-License-Identifier: GPL-3.0-only
//! `GET /cluster/resources`: everything the caller may audit, in one list (`PVE/API2/Cluster.pm`,
//! `PVE/API2Tools.pm`).
//!
//! The list lags behind by up to ten seconds. Guests of an offline node, and of one whose `pvestatd`
//! has been silent for five minutes, have neither a name nor figures.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::guest::GuestKind;
use super::loose;

/// One line of the listing.
#[derive(Clone, Debug, PartialEq)]
pub enum Resource {
    /// A virtual machine or a container.
    Guest(GuestResource),
    /// A node of the cluster; shown to everybody.
    Node(NodeResource),
    /// A storage as one node sees it.
    Storage(StorageResource),
    /// A pool, by its ID; nested ones have slashes in it.
    Pool(String),
    /// A type we do not use (`sdn`) or do not know yet.
    Other(String),
}

/// A guest as the cluster's listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestResource {
    /// The guest's ID, unique in the cluster.
    pub vmid: u32,
    /// Virtual machine or container.
    pub kind: GuestKind,
    /// The node it is on.
    pub node: String,
    /// Its name; absent while the node sends no statistics. A VM without one is called `VM 111`.
    pub name: Option<String>,
    /// `running`, `stopped`, or `unknown` while the node sends no statistics of it.
    pub status: String,
    /// Whether it is a template.
    pub template: bool,
    /// Its tags as PVE sends them, separated by `;`.
    pub tags: Option<String>,
    /// Its lock, such as `backup`.
    pub lock: Option<String>,
    /// The pool it is in.
    pub pool: Option<String>,
    /// Its memory in bytes.
    pub max_memory: Option<u64>,
    /// How many seconds it had been running when its node sent this; 0 if it did not run.
    pub uptime: u64,
}

impl GuestResource {
    /// The single tags; PVE separates by `;`, and takes `,` and blanks as well.
    pub fn tag_list(&self) -> impl Iterator<Item = &str> {
        split_tags(self.tags.as_deref())
    }
}

/// The single tags of a guest.
pub(super) fn split_tags(tags: Option<&str>) -> impl Iterator<Item = &str> {
    let tags = tags.unwrap_or_default();
    tags.split([';', ',', ' ']).filter(|tag| !tag.is_empty())
}

/// A node as the cluster's listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeResource {
    /// The node's name.
    pub node: String,
    /// `online`; `offline`; or `unknown` while it sends no statistics, as for the first seconds after
    /// it has booted or while its `pvestatd` hangs, although everything on it may work.
    pub status: String,
}

impl NodeResource {
    /// Whether the node is not part of the running cluster (`extract_node_stats` in
    /// `PVE/API2Tools.pm`). One without statistics is not offline.
    pub fn is_offline(&self) -> bool {
        self.status == "offline"
    }
}

/// A storage as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageResource {
    /// The storage's ID.
    pub storage: String,
    /// The node whose view this is.
    pub node: String,
    /// `available`, or `unknown` while the node sends no statistics.
    pub status: String,
    /// The plugin, such as `dir`, `zfspool`, `rbd`.
    pub plugin: Option<String>,
    /// What may be stored there: `images`, `rootdir`, `backup`, …
    pub content: Vec<String>,
    /// Whether all nodes see the same contents.
    pub shared: bool,
    /// Bytes in use.
    pub used: Option<u64>,
    /// Bytes in total.
    pub total: Option<u64>,
}

/// The fields of all types at once, as Perl sends them.
#[derive(Deserialize)]
struct Wire {
    #[serde(default, rename = "type", deserialize_with = "loose::text")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "loose::unsigned")]
    vmid: Option<u64>,
    #[serde(default, deserialize_with = "loose::text")]
    node: Option<String>,
    #[serde(default, deserialize_with = "loose::text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "loose::text")]
    status: Option<String>,
    #[serde(default, deserialize_with = "loose::text")]
    template: Option<String>,
    #[serde(default, deserialize_with = "loose::text")]
    tags: Option<String>,
    #[serde(default, deserialize_with = "loose::text")]
    lock: Option<String>,
    #[serde(default, deserialize_with = "loose::text")]
    pool: Option<String>,
    #[serde(default, deserialize_with = "loose::unsigned")]
    maxmem: Option<u64>,
    #[serde(default, deserialize_with = "loose::unsigned")]
    uptime: Option<u64>,
    #[serde(default, deserialize_with = "loose::text")]
    storage: Option<String>,
    #[serde(default, deserialize_with = "loose::text")]
    plugintype: Option<String>,
    #[serde(default, deserialize_with = "loose::text")]
    content: Option<String>,
    #[serde(default, deserialize_with = "loose::boolean")]
    shared: bool,
    #[serde(default, deserialize_with = "loose::unsigned")]
    disk: Option<u64>,
    #[serde(default, deserialize_with = "loose::unsigned")]
    maxdisk: Option<u64>,
}

impl<'de> Deserialize<'de> for Resource {
    /// An entry without its ID, or whose names were damaged on the way, cannot be read: a pool or a tag
    /// that was lost may be what a selection spares it for.
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(input)?;
        if wire.is_damaged() {
            return Err(D::Error::custom("it was damaged"));
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
        names.iter().any(|name| loose::is_damaged(name.as_deref()))
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
            template: self.template.as_deref().is_some_and(loose::is_true),
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

/// An empty text says as little as none.
fn present(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::loose::List;
    use super::*;

    fn resources(json: &str) -> Vec<Resource> {
        serde_json::from_str::<List<Resource>>(json).unwrap().0
    }

    #[test]
    fn an_entry_without_its_id_or_with_damaged_names_is_set_apart() {
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
    fn guests_nodes_storages_and_pools_are_told_apart() {
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
