// SPDX-License-Identifier: GPL-3.0-only
//! Broadcasts of a node's `pvestatd`, and the cluster's view while `pvestatd` is silent.
//!
//! `pvestatd` sends the state of a node, its guests and its storages every ten seconds; a storage
//! that does not respond (a dead NFS or PBS server) blocks it. pmxcfs drops figures that are older
//! than five minutes (`cfs_rrd_dump` in `status.c`). Until then `/cluster/resources` repeats the
//! last broadcast; afterwards the node, its guests and its storages are `unknown`, although the
//! node itself works. A node that has just booted is `unknown` as well.

use std::collections::BTreeMap;

use crate::clock::Seconds;

use super::World;
use super::guest::{Guest, Running};
use super::storage::Usage;

/// How long pmxcfs keeps a broadcast, in seconds.
pub const REMEMBERED: Seconds = 300.0;

/// The last broadcast of a node with a silent `pvestatd`.
#[derive(Debug, Clone)]
pub struct LastBroadcast {
    /// When it was sent.
    pub at: Seconds,
    /// The node's guests, each with its process if it was running.
    pub guests: BTreeMap<u32, Option<Running>>,
    /// The usage of the storages.
    pub usage: BTreeMap<String, Usage>,
}

/// The status that `/cluster/resources` shows for a guest instead of the real one. In PVE it is
/// stale for up to ten seconds after a guest was started, stopped or created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedStatus {
    /// Running at the last broadcast.
    Running,
    /// Stopped at the last broadcast.
    Stopped,
    /// No broadcast contains the guest yet: it has no name and no figures.
    Unknown,
}

impl ListedStatus {
    /// Parses a status as in `/cluster/resources`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "running" => Some(Self::Running),
            "stopped" => Some(Self::Stopped),
            "unknown" => Some(Self::Unknown),
            _ => None,
        }
    }
}

/// The cluster's information about a node.
#[derive(Debug, Clone, Copy)]
pub enum KnownNode<'a> {
    /// Up to date.
    Current,
    /// The figures are from an old broadcast.
    Old(&'a LastBroadcast),
    /// None: `unknown`.
    Nothing,
}

/// The cluster's information about a guest.
#[derive(Debug, Clone, Copy)]
pub struct KnownGuest {
    /// The process, if it was running.
    pub running: Option<Running>,
    /// When it was broadcast.
    pub at: Seconds,
}

impl World {
    /// Makes a node's `pvestatd` silent, as if its last broadcast were `ago` seconds old.
    pub fn silence_pvestatd(&mut self, name: &str, ago: Seconds) {
        let broadcast = LastBroadcast {
            at: self.now() - ago,
            guests: self
                .guests
                .values()
                .filter(|guest| guest.node == name)
                .map(|guest| (guest.vmid, guest.running))
                .collect(),
            usage: self
                .storages
                .values()
                .filter(|storage| !storage.unreachable_from.contains(name))
                .map(|storage| (storage.id.clone(), storage.usage_on(name)))
                .collect(),
        };
        if let Some(node) = self.nodes.get_mut(name) {
            node.last_broadcast = Some(broadcast);
        }
    }

    /// The cluster's information about an online node.
    pub fn known_node(&self, node: &str) -> KnownNode<'_> {
        match self
            .nodes
            .get(node)
            .and_then(|node| node.last_broadcast.as_ref())
        {
            None => KnownNode::Current,
            Some(broadcast) if self.now() - broadcast.at < REMEMBERED => KnownNode::Old(broadcast),
            Some(_) => KnownNode::Nothing,
        }
    }

    /// The cluster's information about a guest on an online node; `None`: `unknown`.
    pub fn known_guest(&self, guest: &Guest) -> Option<KnownGuest> {
        let now = self.now();
        let (running, at) = match (guest.listed_status, self.known_node(&guest.node)) {
            (Some(ListedStatus::Unknown), _) | (_, KnownNode::Nothing) => return None,
            (Some(ListedStatus::Running), _) => {
                let since = now - 3_600.0;
                let process = Running {
                    since,
                    pid: 20_000 + guest.vmid,
                };
                (Some(guest.running.unwrap_or(process)), now)
            }
            (Some(ListedStatus::Stopped), _) => (None, now),
            (None, KnownNode::Current) => (guest.running, now),
            (None, KnownNode::Old(broadcast)) => {
                (*broadcast.guests.get(&guest.vmid)?, broadcast.at)
            }
        };
        Some(KnownGuest { running, at })
    }

    /// The cluster's information about a storage on an online node; `None`: `unknown`. Storages
    /// that do not respond are not in the broadcast.
    pub fn known_usage(&self, storage: &str, node: &str) -> Option<Usage> {
        match self.known_node(node) {
            KnownNode::Current => {
                let storage = self.storages.get(storage)?;
                (!storage.unreachable_from.contains(node)).then(|| storage.usage_on(node))
            }
            KnownNode::Old(broadcast) => broadcast.usage.get(storage).copied(),
            KnownNode::Nothing => None,
        }
    }
}
