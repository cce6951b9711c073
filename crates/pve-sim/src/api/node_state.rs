// SPDX-License-Identifier: GPL-3.0-only
//! A node's load, time, network and subscription (`PVE/API2/Nodes.pm`, `PVE/API2/Network.pm`,
//! `PVE/API2/Subscription.pm`). The figures are invented.

use serde_json::{Value, json};

use crate::clock::whole;
use crate::world::storage::Usage;
use crate::world::{Node, World};

use super::{Args, Failure, Reply, nodes};

/// `GET /nodes/{node}/status`.
pub(super) fn status(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let node = find(world, args)?;
    let (version, _, repoid) = nodes::versions(world);
    let usage = world
        .storages
        .get("local")
        .map_or(Usage { total: 0, used: 0 }, |local| {
            local.usage_on(&node.name)
        });
    let used = node.memory / 8;
    let (kernel, build) = if world.major() >= 9 {
        ("6.14.0-1-pve", "#1 SMP PREEMPT_DYNAMIC PMX 6.14.0-1")
    } else {
        ("6.8.12-10-pve", "#1 SMP PREEMPT_DYNAMIC PMX 6.8.12-10")
    };
    let free = usage.total - usage.used.min(usage.total);
    let mut entry = json!({
        "uptime": whole(world.now() - world.clock.start()) + 3_600,
        "cpu": 0, "wait": 0, "idle": 0, "loadavg": ["0.10", "0.08", "0.05"],
        "kversion": format!("Linux {kernel} {build}"),
        "current-kernel": {
            "sysname": "Linux", "release": kernel, "version": build, "machine": "x86_64",
        },
        "pveversion": format!("pve-manager/{version}/{repoid}"),
        "boot-info": { "mode": "efi", "secureboot": 0 },
        "cpuinfo": {
            "model": "Simulated CPU", "vendor": "GenuineIntel", "family": "6",
            "cpus": node.processors, "cores": node.processors,
            "sockets": 1, "mhz": "2000.000", "hvm": "1", "flags": "fpu vme", "user_hz": 100,
        },
        "memory": { "total": node.memory, "used": used, "free": node.memory - used },
        "swap": { "total": 0, "used": 0, "free": 0 },
        "ksm": { "shared": 0 },
        "rootfs": { "total": usage.total, "used": usage.used, "free": free, "avail": free },
    });
    if world.major() >= 9 {
        entry["memory"]["available"] = json!(node.memory - used);
    }
    Ok(Reply::new(&entry))
}

/// `GET /nodes/{node}/time`.
pub(super) fn time(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let time = whole(world.node_time(&args.node(), world.now()));
    Ok(Reply::new(
        &json!({ "time": time, "localtime": time, "timezone": "Etc/UTC" }),
    ))
}

/// `GET /nodes/{node}/subscription`: none.
pub(super) fn subscription(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let mut entry = json!({
        "status": "notfound", "message": "There is no subscription key",
        "url": "https://www.proxmox.com/en/proxmox-virtual-environment/pricing",
    });
    let path = format!("/nodes/{}", args.in_path("node"));
    if world.allows(args.who, &path, "Sys.Audit") {
        let digits = crate::hash::sha1(&args.node()).to_uppercase();
        entry["serverid"] = json!(digits.get(..32));
    }
    Ok(Reply::new(&entry))
}

/// `GET /nodes/{node}/network`: one bridge, for users who may see or use it.
pub(super) fn network(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let node = find(world, args)?;
    let selected = match args.text("type").as_deref() {
        None => true,
        Some(kind) => matches!(
            kind,
            "bridge" | "any_bridge" | "any_local_bridge" | "include_sdn"
        ),
    };
    let path = "/sdn/zones/localnetwork/vmbr0";
    let allowed = ["SDN.Audit", "SDN.Use"]
        .iter()
        .any(|privilege| world.allows(args.who, path, privilege));
    if !selected || !allowed {
        return Ok(Reply::new(&json!([])));
    }
    Ok(Reply::new(&[bridge(node)]))
}

fn bridge(node: &Node) -> Value {
    let mut entry = json!({
        "iface": "vmbr0", "type": "bridge", "active": 1, "autostart": 1, "priority": 3,
        "families": ["inet"], "method": "manual", "method6": "manual",
        "bridge_ports": "", "bridge_stp": "off", "bridge_fd": "0",
    });
    if let Some(address) = &node.ip {
        entry["method"] = json!("static");
        entry["address"] = json!(address);
        entry["netmask"] = json!("24");
        entry["cidr"] = json!(format!("{address}/24"));
    }
    entry
}

fn find<'a>(world: &'a World, args: &Args<'_>) -> Result<&'a Node, Failure> {
    let name = args.node();
    let node = world.nodes.get(&name);
    node.ok_or_else(|| Failure::Died(format!("no such node '{name}'")))
}
