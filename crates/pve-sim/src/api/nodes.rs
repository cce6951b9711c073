// SPDX-License-Identifier: GPL-3.0-only
//! `/version` and `/nodes` (`PVE/API2.pm`, `PVE/API2/Nodes.pm`).

use serde_json::{Map, Value, json};

use crate::clock::whole;
use crate::world::statistics::KnownNode;
use crate::world::{Node, World};

use super::{Args, Failure, Reply};

/// `GET /version`, `GET /nodes/{node}/version`.
pub(super) fn version(world: &mut World, _: &Args<'_>) -> Result<Reply, Failure> {
    let (version, release, repoid) = versions(world);
    Ok(Reply::new(
        &json!({"version": version, "release": release, "repoid": repoid}),
    ))
}

/// Version, release and commit of pve-manager.
pub(super) fn versions(world: &World) -> (&str, &str, &'static str) {
    let default = world.release.version();
    let (default, repoid) = default.split_once('/').unwrap_or((default, ""));
    let version = world.version.as_deref().unwrap_or(default);
    let release = version
        .rsplit_once(['.', '-'])
        .map_or(version, |(release, _)| release);
    (version, release, repoid)
}

/// `GET /nodes`: all users see all nodes.
pub(super) fn list(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let nodes: Vec<Value> = world
        .nodes
        .values()
        .map(|node| {
            let mut entry = stats(world, node, args.here, args.who, false);
            entry.insert("ssl_fingerprint".to_owned(), json!(node.fingerprint));
            Value::Object(entry)
        })
        .collect();
    Ok(Reply::new(&nodes))
}

/// An entry in a list of nodes (`extract_node_stats`): figures only for auditors, and only while
/// the node is online.
pub(super) fn stats(
    world: &World,
    node: &Node,
    here: &str,
    who: &str,
    cgroup: bool,
) -> Map<String, Value> {
    let name = &node.name;
    let mut entry = Map::new();
    let mut set = |key: &str, value: Value| entry.insert(key.to_owned(), value);
    set("id", json!(format!("node/{name}")));
    set("node", json!(name));
    set("type", json!("node"));
    if !node.is_online() && name != here {
        set("status", json!("offline"));
        return entry;
    }
    let at = match world.known_node(name) {
        KnownNode::Current => Some(world.now()),
        KnownNode::Old(broadcast) => Some(broadcast.at),
        KnownNode::Nothing => None,
    };
    set(
        "status",
        json!(if at.is_some() { "online" } else { "unknown" }),
    );
    if at.is_some() {
        set("level", json!(""));
    }
    if cgroup {
        // As on the recording host; a current host has 2.
        set("cgroup-mode", json!(1));
    }
    if let Some(at) = at
        && world.allows(who, &format!("/nodes/{name}"), "Sys.Audit")
    {
        let uptime = whole(at - world.clock.start()) + 3_600;
        let disk = world.known_usage("local", name);
        set("uptime", json!(uptime));
        set("cpu", json!(0));
        set("maxcpu", json!(node.processors));
        set("mem", json!(node.memory / 8));
        set("maxmem", json!(node.memory));
        set("disk", json!(disk.map_or(0, |disk| disk.used)));
        set("maxdisk", json!(disk.map_or(0, |disk| disk.total)));
    }
    entry
}
