// SPDX-License-Identifier: GPL-3.0-only
//! `/cluster/resources`: everything that the caller may see (`PVE/API2/Cluster.pm`,
//! `PVE/API2Tools.pm`). Serialized directly from borrowed data, because lists with tens of
//! thousands of entries are requested often.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use crate::clock::whole;
use crate::release::Release;
use crate::world::World;
use crate::world::guest::{Guest, GuestKind};
use crate::world::statistics::KnownGuest;
use crate::world::storage::Storage;

use super::guests::{maxdisk, memhost, processors};
use super::{Args, Failure, Reply, nodes};

/// A guest in cluster listings. Values that the node has not broadcast are missing; for an offline
/// node only the first members are present.
#[derive(Serialize)]
pub(super) struct GuestResource<'a> {
    id: String,
    vmid: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    node: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a str>,
    #[serde(flatten)]
    broadcast: Option<Broadcast>,
}

#[derive(Serialize)]
struct Broadcast {
    name: String,
    template: u8,
    uptime: i64,
    cpu: u8,
    maxcpu: u64,
    mem: u64,
    maxmem: u64,
    disk: u64,
    maxdisk: u64,
    netin: u8,
    netout: u8,
    diskread: u64,
    diskwrite: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    memhost: Option<u64>,
}

/// `GET /cluster/resources`.
pub(super) fn resources(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let kind = args.text("type");
    let includes = |name: &str| kind.as_deref().is_none_or(|kind| kind == name);
    let mut list = List::new();
    let pools = visible_pools(world, args.who);
    // Pools cannot be selected by type.
    if kind.is_none() {
        for name in &pools {
            list.push(&pool(name));
        }
    }
    if includes("vm") {
        let visible = world.visible_guests(args.who);
        for guest in world.guests.values().filter(|guest| visible.shows(guest)) {
            list.push(&with_details(world, guest, args.here, &pools));
        }
    }
    if includes("node") {
        for node in world.nodes.values() {
            list.push(&nodes::stats(world, node, args.here, args.who, true));
        }
    }
    if includes("storage") {
        for one in world.storages.values() {
            if world.allows(args.who, &format!("/storage/{}", one.id), "Datastore.Audit") {
                for node in world.nodes.keys().filter(|node| one.is_on(node)) {
                    list.push(&storage(world, one, node, args.here));
                }
            }
        }
    }
    if includes("sdn") && world.allows(args.who, "/sdn/zones/localnetwork", "SDN.Audit") {
        for node in world.nodes.keys() {
            match world.release {
                Release::V8 => list.push(&sdn(node)),
                // PVE 9 returns none if a type is given: it still filters by the old type name.
                Release::V9 if kind.is_none() => list.push(&network(node)),
                Release::V9 => {}
            }
        }
    }
    Ok(list.finish())
}

/// A JSON list that is written entry by entry, without an intermediate tree.
struct List(Vec<u8>);

impl List {
    fn new() -> Self {
        Self(vec![b'['])
    }

    fn push(&mut self, entry: &impl Serialize) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        serde_json::to_writer(&mut self.0, entry).expect("plain data has a JSON form");
    }

    fn finish(mut self) -> Reply {
        self.0.push(b']');
        let json = String::from_utf8(self.0).expect("JSON is text");
        Reply {
            json,
            ..Reply::null()
        }
    }
}

/// A guest without the values that only `/cluster/resources` adds (`extract_vm_stats`).
pub(super) fn guest<'a>(world: &'a World, guest: &'a Guest, here: &str) -> GuestResource<'a> {
    let there = guest.node == here
        || world
            .nodes
            .get(&guest.node)
            .is_some_and(crate::world::Node::is_online);
    let known = there.then(|| world.known_guest(guest)).flatten();
    let status = match known.map(|known| known.running) {
        None => "unknown",
        Some(Some(_)) => "running",
        Some(None) => "stopped",
    };
    GuestResource {
        id: format!("{}/{}", guest.kind.as_str(), guest.vmid),
        vmid: guest.vmid,
        kind: guest.kind.as_str(),
        node: &guest.node,
        status,
        pool: None,
        lock: None,
        tags: None,
        broadcast: known.map(|known| broadcast(world, guest, known)),
    }
}

/// An entry for a storage on a node (`extract_storage_stats`).
pub(super) fn storage(world: &World, storage: &Storage, node: &str, here: &str) -> Value {
    let there = node == here
        || world
            .nodes
            .get(node)
            .is_some_and(crate::world::Node::is_online);
    let id = &storage.id;
    let usage = there.then(|| world.known_usage(id, node)).flatten();
    let mut entry = json!({
        "id": format!("storage/{node}/{id}"), "storage": id, "node": node, "type": "storage",
        "plugintype": storage.kind, "content": storage.content.join(","),
        "shared": u8::from(storage.shared), "status": if usage.is_some() { "available" } else { "unknown" },
    });
    if let Some(usage) = usage {
        entry["disk"] = json!(usage.used);
        entry["maxdisk"] = json!(usage.total);
    }
    entry
}

fn with_details<'a>(
    world: &'a World,
    one: &'a Guest,
    here: &str,
    pools: &BTreeSet<&str>,
) -> GuestResource<'a> {
    GuestResource {
        // The pool is shown only to its auditors, not to auditors of the guest.
        pool: one.pool.as_deref().filter(|pool| pools.contains(pool)),
        lock: one.lock.as_deref(),
        tags: one.config_text("tags"),
        ..guest(world, one, here)
    }
}

fn broadcast(world: &World, guest: &Guest, known: KnownGuest) -> Broadcast {
    let memory = guest.config_number("memory").unwrap_or(512) << 20;
    let maxdisk = maxdisk(world, guest);
    let KnownGuest { running, at } = known;
    // PVE derives the status from the uptime, so the uptime of a running guest is never 0.
    let uptime = running.map_or(0, |running| whole(at - running.since).max(1));
    Broadcast {
        name: guest.name(),
        template: u8::from(guest.is_template()),
        uptime,
        cpu: 0,
        maxcpu: processors(world, guest),
        mem: if running.is_some() { memory / 2 } else { 0 },
        maxmem: memory,
        disk: match (guest.kind, running) {
            (GuestKind::Lxc, Some(_)) => maxdisk / 8,
            (GuestKind::Lxc, None) | (GuestKind::Qemu, _) => 0,
        },
        maxdisk,
        netin: 0,
        netout: 0,
        diskread: if running.is_some() { 372_736 } else { 0 },
        diskwrite: 0,
        memhost: world
            .release
            .is_9()
            .then(|| memhost(guest, running.is_some())),
    }
}

fn visible_pools<'a>(world: &'a World, who: &str) -> BTreeSet<&'a str> {
    let names = world.pools.keys().map(String::as_str);
    names
        .filter(|name| world.allows(who, &format!("/pool/{name}"), "Pool.Audit"))
        .collect()
}

fn pool(name: &str) -> Value {
    json!({ "id": format!("/pool/{name}"), "pool": name, "type": "pool" })
}

fn sdn(node: &str) -> Value {
    json!({
        "id": format!("sdn/{node}/localnetwork"), "sdn": "localnetwork", "node": node,
        "type": "sdn", "status": "ok",
    })
}

fn network(node: &str) -> Value {
    json!({
        "id": format!("network/{node}/zone/localnetwork"), "network": "localnetwork",
        "network-type": "zone", "node": node, "type": "network", "status": "ok",
    })
}
