// SPDX-License-Identifier: GPL-3.0-only
//! Lists of a node's guests, their status and their features (`PVE/API2/Qemu.pm`,
//! `PVE/API2/LXC.pm`, `vmstatus` in `PVE/QemuServer.pm` and `PVE/LXC.pm`).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::clock::whole;
use crate::release::Release;
use crate::world::World;
use crate::world::guest::{Guest, GuestKind, Volume};

use super::{Args, Failure, Reply};

/// PVE's assumption for a container whose root volume has no size, in bytes.
const NO_SIZE: u64 = 4 << 30;

/// The seconds after booting from which QEMU reports a disk's idle time: it does so after the first use of the disk.
const IDLE_AFTER: i64 = 60;

/// How much of a virtual machine's status is requested.
#[derive(Clone, Copy, PartialEq)]
enum Detail {
    /// The list of guests.
    List,
    /// The list with `full=1`, which also queries QEMU.
    Full,
    /// One guest's `status/current`.
    Current,
}

/// `GET /nodes/{node}/{qemu,lxc}`.
pub(super) fn list(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let node = args.node();
    let kind = args.kind();
    let detail = if args.flag("full") {
        Detail::Full
    } else {
        Detail::List
    };
    let visible = world.visible_guests(args.who);
    let entries: Vec<Value> = world
        .guests
        .values()
        .filter(|guest| guest.kind == kind && guest.node == node && visible.shows(guest))
        .map(|guest| Value::Object(state(world, guest, detail)))
        .collect();
    Ok(Reply::new(&entries))
}

/// `GET …/status/current`.
pub(super) fn current_status(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let guest = world.guest_on(args.kind(), &args.node(), args.vmid())?;
    let mut entry = state(world, guest, Detail::Current);
    entry.insert("ha".to_owned(), json!({ "managed": 0 }));
    Ok(Reply::new(&entry))
}

/// `GET …/feature`.
pub(super) fn feature(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let guest = world.guest_on(args.kind(), &args.node(), args.vmid())?;
    if let Some(name) = args
        .text("snapname")
        .filter(|name| !guest.snapshots.contains_key(name))
    {
        return Err(Failure::Died(format!("snapshot '{name}' does not exist")));
    }
    // `has_feature` and `shared_nodes` in `PVE/QemuServer.pm` check all storages.
    let can_snapshot = world.can_snapshot(guest).map_err(Failure::Died)?;
    let has = match args.text("feature").as_deref() {
        Some("snapshot") => can_snapshot && !guest.is_template(),
        Some("clone") => guest.is_template(),
        Some(_) | None => true,
    };
    let mut reply = json!({ "hasFeature": u8::from(has) });
    if guest.kind == GuestKind::Qemu {
        reply["nodes"] = json!(nodes_with_all_volumes(world, guest));
    }
    Ok(Reply::new(&reply))
}

/// Processors of a guest; a container without a limit uses those of its node.
pub(super) fn processors(world: &World, guest: &Guest) -> u64 {
    match guest.kind {
        GuestKind::Qemu => {
            let all = guest.config_number("sockets").unwrap_or(1)
                * guest.config_number("cores").unwrap_or(1);
            guest.config_number("vcpus").unwrap_or(all)
        }
        GuestKind::Lxc => guest.config_number("cores").unwrap_or_else(|| {
            world
                .nodes
                .get(&guest.node)
                .map_or(1, |node| u64::from(node.processors))
        }),
    }
}

/// Size of the boot disk of a virtual machine, or of a container's root volume.
pub(super) fn maxdisk(world: &World, guest: &Guest) -> u64 {
    match guest.kind {
        GuestKind::Qemu => boot_disk(guest).map_or(0, |volume| volume.size),
        GuestKind::Lxc => {
            let root = guest.volume("rootfs");
            match root.as_ref().map_or(0, |root| root.size) {
                0 if guest.running.is_none() => NO_SIZE,
                // Without a quota the container sees the whole storage.
                0 => root
                    .as_ref()
                    .and_then(Volume::storage)
                    .and_then(|id| world.storages.get(id))
                    .map_or(NO_SIZE, |storage| storage.usage_on(&guest.node).total),
                size => size,
            }
        }
    }
}

fn boot_disk(guest: &Guest) -> Option<Volume> {
    let disk = |key: &str| guest.volume(key).filter(|volume| !volume.cdrom);
    if let Some(key) = guest.config_text("bootdisk") {
        return disk(key);
    }
    let order = guest.config_text("boot")?.strip_prefix("order=")?;
    order.split(';').find_map(disk)
}

/// Nodes that can access all disks (`shared_nodes` in `PVE/QemuServer.pm`).
fn nodes_with_all_volumes(world: &World, guest: &Guest) -> BTreeSet<String> {
    let mut nodes: BTreeSet<String> = world.nodes.keys().cloned().collect();
    for volume in guest.volumes().iter().filter(|volume| !volume.cdrom) {
        match volume.storage().and_then(|id| world.storages.get(id)) {
            Some(storage) if storage.shared => nodes.retain(|node| storage.is_on(node)),
            Some(_) | None => nodes.retain(|node| *node == guest.node),
        }
    }
    nodes
}

fn state(world: &World, guest: &Guest, detail: Detail) -> Map<String, Value> {
    let mut entry = common(world, guest);
    match guest.kind {
        GuestKind::Qemu => add_machine(&mut entry, world.release, guest, detail),
        GuestKind::Lxc => add_container(&mut entry, guest),
    }
    entry
}

fn common(world: &World, guest: &Guest) -> Map<String, Value> {
    let memory = guest.config_number("memory").unwrap_or(512) << 20;
    let maxdisk = maxdisk(world, guest);
    let uptime = guest
        .running
        .map_or(0, |running| whole(world.now() - running.since));
    let running = guest.running.is_some();
    let disk = if running && guest.kind == GuestKind::Lxc {
        maxdisk / 8
    } else {
        0
    };
    let entry = json!({
        "vmid": guest.vmid, "name": guest.name(), "cpu": 0, "cpus": processors(world, guest),
        "status": if running { "running" } else { "stopped" }, "uptime": uptime.max(0),
        "mem": if running { memory / 2 } else { 0 }, "maxmem": memory,
        "disk": disk, "maxdisk": maxdisk, "netin": 0, "netout": 0,
    });
    let Value::Object(mut entry) = entry else {
        return Map::new();
    };
    if world.release.is_9() {
        add_pressure(&mut entry, guest);
    }
    if let Some(running) = guest.running {
        entry.insert("pid".to_owned(), json!(running.pid));
    }
    if let Some(lock) = &guest.lock {
        entry.insert("lock".to_owned(), json!(lock));
    }
    if let Some(tags) = guest.config_text("tags") {
        entry.insert("tags".to_owned(), json!(tags));
    }
    if guest.is_template() {
        entry.insert("template".to_owned(), json!(1));
    }
    entry
}

/// Memory of a virtual machine's process on its node, or memory used by a container, in bytes.
pub(super) fn memhost(guest: &Guest, running: bool) -> u64 {
    let memory = guest.config_number("memory").unwrap_or(512) << 20;
    if running { memory / 2 } else { 0 }
}

/// PVE 9 adds the memory on the node, and the pressure of a running guest.
fn add_pressure(entry: &mut Map<String, Value>, guest: &Guest) {
    if guest.kind == GuestKind::Qemu {
        let bytes = memhost(guest, guest.running.is_some());
        entry.insert("memhost".to_owned(), json!(bytes));
    }
    if guest.running.is_some() {
        for resource in ["cpu", "io", "memory"] {
            for share in ["some", "full"] {
                entry.insert(format!("pressure{resource}{share}"), json!(0));
            }
        }
    }
}

fn add_container(entry: &mut Map<String, Value>, guest: &Guest) {
    let swap = guest.config_number("swap").unwrap_or(512) << 20;
    for (key, value) in [
        ("type", json!("lxc")),
        ("swap", json!(0)),
        ("maxswap", json!(swap)),
        ("diskread", json!(0)),
        ("diskwrite", json!(0)),
    ] {
        entry.insert(key.to_owned(), value);
    }
}

fn add_machine(entry: &mut Map<String, Value>, release: Release, guest: &Guest, detail: Detail) {
    let idle = entry["uptime"]
        .as_i64()
        .is_some_and(|uptime| uptime >= IDLE_AFTER);
    let mut set = |key: &str, value: Value| entry.insert(key.to_owned(), value);
    if guest.config.keys().any(|key| key.starts_with("serial")) {
        set("serial", json!(1));
    }
    if detail == Detail::List {
        return;
    }
    set(
        "qmpstatus",
        json!(match guest.running {
            Some(_) if guest.paused => "paused",
            Some(_) => "running",
            None => "stopped",
        }),
    );
    if guest.running.is_some() {
        set("diskread", json!(373_760));
        set("diskwrite", json!(0));
        set("running-machine", json!(release.machine()));
        set("running-qemu", json!("10.0.2"));
        if release.is_9() {
            let memory = guest.config_number("memory").unwrap_or(512) << 20;
            set("balloon", json!(memory));
            set("ballooninfo", json!({"actual": memory, "max_mem": memory}));
            set("proxmox-support", proxmox_support());
        }
        let disks = guest.volumes().into_iter().filter(|volume| !volume.cdrom);
        set(
            "blockstat",
            disks
                .map(|disk| (disk.key, block_statistics(idle)))
                .collect(),
        );
    }
    if detail == Detail::Current {
        if guest.has_agent() {
            set("agent", json!(1));
        }
        if guest.config.contains_key("vga") {
            set("clipboard", Value::Null);
        }
    }
}

/// The features of Proxmox's own QEMU, as recorded.
fn proxmox_support() -> Value {
    json!({
        "backup-max-workers": false, "pbs-dirty-bitmap": false, "pbs-dirty-bitmap-savevm": false,
        "pbs-library-version": "1.5.1 (stub)", "pbs-masterkey": false, "query-bitmap-info": false,
    })
}

/// QEMU's counters of a disk. Only the names are realistic.
fn block_statistics(idle: bool) -> Value {
    let mut counters = Map::new();
    for operation in ["rd", "wr", "flush", "unmap", "zone_append"] {
        for suffix in ["operations", "total_time_ns"] {
            counters.insert(format!("{operation}_{suffix}"), json!(0));
        }
        counters.insert(format!("failed_{operation}_operations"), json!(0));
        if operation != "flush" {
            counters.insert(format!("invalid_{operation}_operations"), json!(0));
            counters.insert(format!("{operation}_bytes"), json!(0));
            counters.insert(format!("{operation}_merged"), json!(0));
        }
    }
    for (key, value) in [
        ("invalid_flush_operations", json!(0)),
        ("account_failed", json!(true)),
        ("account_invalid", json!(true)),
        ("timed_stats", json!([])),
        ("wr_highest_offset", json!(0)),
    ] {
        counters.insert(key.to_owned(), value);
    }
    if idle {
        counters.insert("idle_time_ns".to_owned(), json!(694_150_377));
    }
    Value::Object(counters)
}
