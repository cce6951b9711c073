// SPDX-License-Identifier: GPL-3.0-only
//! What a node's `pvestatd` broadcasts to the cluster, and what is known while it is silent.
//!
//! `pvestatd` sends the state of a node, its guests and its storages every ten seconds; a storage
//! that does not answer (a dead NFS or PBS server) makes it hang. pmxcfs forgets what it has not
//! heard for five minutes (`cfs_rrd_dump` in `status.c`). Until then `/cluster/resources` repeats
//! the last broadcast; afterwards the node, its guests and its storages are `unknown`, although
//! everything on the node works. The same holds for a node that has just booted.

use std::collections::BTreeMap;

use crate::clock::Seconds;

use super::World;
use super::guest::{Guest, Running};
use super::storage::Usage;

/// How long pmxcfs remembers a broadcast, in seconds.
pub const REMEMBERED: Seconds = 300.0;

/// The last broadcast of a node whose `pvestatd` is silent.
#[derive(Debug, Clone)]
pub struct LastBroadcast {
    /// When it was sent.
    pub at: Seconds,
    /// The node's guests, each with its process if it ran.
    pub guests: BTreeMap<u32, Option<Running>>,
    /// The usage of the storages.
    pub usage: BTreeMap<String, Usage>,
}

/// The status that `/cluster/resources` shows of one guest instead of its own, as PVE does for up
/// to ten seconds after the guest was started, stopped or created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedStatus {
    /// It ran at the last broadcast.
    Running,
    /// It did not run.
    Stopped,
    /// It was in no broadcast yet: it has neither a name nor figures.
    Unknown,
}

impl ListedStatus {
    /// Reads the word that `/cluster/resources` uses.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "running" => Some(Self::Running),
            "stopped" => Some(Self::Stopped),
            "unknown" => Some(Self::Unknown),
            _ => None,
        }
    }
}

/// What the cluster knows of a node.
#[derive(Debug, Clone, Copy)]
pub enum Known<'a> {
    /// The present state.
    Current,
    /// An older broadcast.
    Old(&'a LastBroadcast),
    /// Nothing: `unknown`.
    Nothing,
}

/// What the cluster knows of a guest: its process, and the time at which that was so.
#[derive(Debug, Clone, Copy)]
pub struct KnownGuest {
    /// The process, if it ran.
    pub running: Option<Running>,
    /// When it was broadcast.
    pub at: Seconds,
}

impl World {
    /// Makes a node's `pvestatd` silent, as if the last broadcast were `ago` seconds old.
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

    /// What the cluster knows of a node that is online.
    pub fn known_of(&self, node: &str) -> Known<'_> {
        match self
            .nodes
            .get(node)
            .and_then(|node| node.last_broadcast.as_ref())
        {
            None => Known::Current,
            Some(broadcast) if self.now() - broadcast.at < REMEMBERED => Known::Old(broadcast),
            Some(_) => Known::Nothing,
        }
    }

    /// What the cluster knows of a guest whose node is online; none: `unknown`.
    pub fn known_guest(&self, guest: &Guest) -> Option<KnownGuest> {
        let now = self.now();
        let (running, at) = match (guest.listed_status, self.known_of(&guest.node)) {
            (Some(ListedStatus::Unknown), _) | (_, Known::Nothing) => return None,
            (Some(ListedStatus::Running), _) => {
                let since = now - 3_600.0;
                let process = Running {
                    since,
                    pid: 20_000 + guest.vmid,
                };
                (Some(guest.running.unwrap_or(process)), now)
            }
            (Some(ListedStatus::Stopped), _) => (None, now),
            (None, Known::Current) => (guest.running, now),
            (None, Known::Old(broadcast)) => (*broadcast.guests.get(&guest.vmid)?, broadcast.at),
        };
        Some(KnownGuest { running, at })
    }

    /// What the cluster knows of a storage on a node that is online; none: `unknown`. What does not
    /// answer is not broadcast.
    pub fn known_usage(&self, storage: &str, node: &str) -> Option<Usage> {
        match self.known_of(node) {
            Known::Current => {
                let storage = self.storages.get(storage)?;
                (!storage.unreachable_from.contains(node)).then(|| storage.usage_on(node))
            }
            Known::Old(broadcast) => broadcast.usage.get(storage).copied(),
            Known::Nothing => None,
        }
    }
}
