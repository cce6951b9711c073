// SPDX-License-Identifier: GPL-3.0-only
//! The inventory: guests, nodes, pools and storages of a cluster.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::guest::{Guest, GuestKind, GuestStatus, Vmid};
use crate::storage::StorageUsage;

/// The guests, nodes, pools and storages of a cluster, as PVE lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// All guests that are visible to the login.
    pub guests: Vec<Guest>,
    /// All nodes.
    pub nodes: Vec<NodeInfo>,
    /// All pools that are visible to the login, nested ones with their parents (`lab/nested`).
    pub pools: Vec<String>,
    /// The storages of all nodes.
    pub storages: Vec<StorageUsage>,
    /// The entries that cannot be used: each may be a selected guest.
    pub unreadable: Vec<UnreadableEntry>,
    /// The online nodes that send no statistics (`status: unknown`): the usage of their storages is unknown.
    pub nodes_without_statistics: Vec<String>,
    /// The uptimes of the running guests in seconds, at the time of the listing.
    pub listed_uptimes: BTreeMap<Vmid, u64>,
    /// The guests without statistics whose nodes could not list them either.
    pub unlisted: Vec<UnlistedGuests>,
}

/// An entry of a listing that may be a selected guest and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnreadableEntry {
    /// It cannot be parsed.
    Invalid {
        /// The path of the listing.
        path: String,
        /// The entry, and what is wrong with it.
        problem: String,
    },
    /// A guest is listed more than once.
    Repeated {
        /// The guest.
        vmid: Vmid,
        /// Whether the guest is left out, because its entries differ.
        is_left_out: bool,
    },
}

/// The guests of one kind on one node whose names and states neither the cluster nor the node could list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlistedGuests {
    /// The node.
    pub node: String,
    /// Virtual machines or containers.
    pub kind: GuestKind,
    /// Why the node could not list them.
    pub reason: String,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its name.
    pub name: String,
    /// Whether PVE lists it as online. A node that only sends no statistics is online.
    pub online: bool,
}

impl Inventory {
    /// Whether PVE lists the node as offline. A node that only sends no statistics is online.
    pub fn is_offline(&self, node: &str) -> bool {
        self.nodes
            .iter()
            .any(|listed| listed.name == node && !listed.online)
    }

    /// Why the state of the guest is not known, if its node could not list it.
    pub fn unlisted_reason(&self, guest: &Guest) -> Option<&str> {
        if guest.status != GuestStatus::Unknown {
            return None;
        }
        let unlisted = self
            .unlisted
            .iter()
            .find(|unlisted| unlisted.node == guest.node && unlisted.kind == guest.kind)?;
        Some(&unlisted.reason)
    }
}
