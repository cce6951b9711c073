// SPDX-License-Identifier: GPL-3.0-only
//! Random small clusters and fault plans.

use serde_json::{Value, json};

use crate::random::Random;

/// The snapshots that exist before the first run are some days old.
const OLD: i64 = 1_700_000_000;

/// Storages: one with snapshots; one whose type shows that raw disks have none; two whose type does
/// not show it.
fn storages() -> Value {
    json!([
        {"storage": "local-zfs", "type": "zfspool", "content": ["images", "rootdir"]},
        {"storage": "bulk", "type": "dir", "content": ["images", "rootdir"]},
        {"storage": "able", "type": "linstor", "content": ["images", "rootdir"], "snapshots": {"raw": true}},
        {"storage": "unable", "type": "linstor", "content": ["images", "rootdir"], "snapshots": {"raw": false}},
    ])
}

/// A cluster of one to three nodes with a handful of guests.
pub(crate) fn world(random: &mut Random) -> Value {
    let nodes: Vec<String> = (1..=1 + random.below(3))
        .map(|number| format!("pve{number}"))
        .collect();
    let guests: Vec<Value> = (0..2 + random.below(4))
        .map(|index| guest(random, 100 + index, &nodes))
        .collect();
    // One of the first guests is one that the token may see, but not snapshot.
    let forbidden = 100 + random.below(12);
    let nodes: Vec<Value> = nodes.iter().map(|name| node(random, name)).collect();
    json!({
        "cluster": {"name": "c", "quorate": true, "this_node": "pve1", "nodes": nodes},
        "storages": storages(),
        "guests": guests,
        "pools": [],
        "roles": {"SnapRunner": ["Datastore.Audit", "Pool.Audit", "VM.Audit", "VM.Snapshot"]},
        "users": [{"userid": "backup@pve"}],
        "tokens": [{"tokenid": "backup@pve!auto", "privsep": 0}],
        "acl": [
            {"path": "/", "who": "backup@pve", "role": "SnapRunner"},
            {"path": format!("/vms/{forbidden}"), "who": "backup@pve", "role": "PVEAuditor"},
        ],
    })
}

/// A node; the `pvestatd` of some has been silent for a moment, or for longer than the cluster
/// remembers.
fn node(random: &mut Random, name: &str) -> Value {
    let mut node = json!({"name": name, "online": true, "nodeid": 1, "ip": "10.0.0.1"});
    if random.percent(12) {
        node["pvestatd_silent"] = json!(*random.pick(&[20, 300]));
    }
    node
}

/// The same cluster restored elsewhere, with the same node names or others.
pub(crate) fn twin(world: &Value, other_names: bool) -> Value {
    let mut twin = world.clone();
    if !other_names {
        return twin;
    }
    let renamed = |name: &Value| json!(name.as_str().unwrap().replace("pve", "other"));
    let cluster = &mut twin["cluster"];
    cluster["name"] = json!("twin");
    cluster["this_node"] = renamed(&cluster["this_node"]);
    for node in cluster["nodes"].as_array_mut().unwrap() {
        node["name"] = renamed(&node["name"]);
    }
    for guest in twin["guests"].as_array_mut().unwrap() {
        guest["node"] = renamed(&guest["node"]);
    }
    twin
}

/// The secret of the only token.
pub(crate) fn credentials() -> Value {
    json!({"passwords": {}, "tokens": {"backup@pve!auto": "22222222-2222-4222-8222-222222222222"}})
}

fn guest(random: &mut Random, vmid: u32, nodes: &[String]) -> Value {
    let container = random.percent(30);
    let disk = if container { "rootfs" } else { "scsi0" };
    let volume = match random.below(20) {
        0 => format!("bulk:{vmid}/vm-{vmid}-disk-0.raw"),
        1 => format!("able:vm-{vmid}-disk-0"),
        2 => format!("unable:vm-{vmid}-disk-0"),
        _ => format!("local-zfs:vm-{vmid}-disk-0"),
    };
    let mut config = json!({disk: format!("{volume},size=1G")});
    if random.percent(8) {
        config["lock"] = json!("backup");
    }
    if random.percent(5) {
        config["template"] = json!(1);
    }
    let name = if container { "hostname" } else { "name" };
    let mut guest = json!({
        "vmid": vmid,
        "type": if container { "lxc" } else { "qemu" },
        "node": random.pick(nodes),
        name: format!("g{vmid}"),
        "status": if random.percent(50) { "running" } else { "stopped" },
        "config": config,
        "snapshots": snapshots(random),
    });
    if random.percent(12) {
        guest["listed_status"] = json!(random.pick(&["running", "stopped", "unknown"]));
    }
    guest
}

/// Snapshots of the label, of other labels and of other programs, each with another time.
fn snapshots(random: &mut Random) -> Vec<Value> {
    (0..random.below(7))
        .map(|index| {
            let snaptime = OLD + i64::from(index) * 1000 + i64::from(random.below(3000));
            let (label, description) = *random.pick(&[
                ("daily", "cv4pve-autosnap"),
                ("daily", "cv4pve-autosnap"),
                ("daily", "eve4pve-autosnap"),
                ("daily2", "cv4pve-autosnap"),
                ("hourly", "cv4pve-autosnap"),
                ("daily", "made by hand"),
            ]);
            json!({"name": format!("auto{label}23111400000{index}"), "snaptime": snaptime, "description": description})
        })
        .collect()
}

/// Refuses connections, so that requests go to the other host.
pub(crate) fn refusals(seed: u64) -> Value {
    json!({"seed": seed, "requests": [refusal()]})
}

fn refusal() -> Value {
    json!({"when": {"probability": 0.15}, "effect": "refuse"})
}

/// Faults: one to four rules; with a second host, connections are refused as well.
pub(crate) fn faults(random: &mut Random, seed: u64, two_hosts: bool) -> Value {
    let mut requests = Vec::new();
    let mut tasks = Vec::new();
    for _ in 0..=random.below(4) {
        if random.percent(60) {
            requests.push(request_rule(random));
        } else {
            tasks.push(task_rule(random));
        }
    }
    if two_hosts {
        requests.push(refusal());
    }
    json!({"seed": seed, "requests": requests, "tasks": tasks})
}

fn request_rule(random: &mut Random) -> Value {
    if random.percent(35) {
        return reply_rule(random);
    }
    let effect = match random.below(13) {
        0 => json!("refuse"),
        1 => json!("drop_before"),
        2 => json!("drop_after"),
        3 => json!("cut_answer"),
        4 => json!({"stall": 0.6}),
        5 => json!({"delay": 0.05}),
        6 => json!({"answer": {"status": 595, "reason": "No route to host"}}),
        7 => json!({"answer": {"status": 596, "reason": "Connection timed out"}}),
        8 => json!({"answer": {"status": 503, "reason": "Service Unavailable"}}),
        9 => json!("start_failed"),
        10 => json!({"lose_node": {"node": "pve2"}}),
        11 => json!("expire_tickets"),
        _ => {
            json!({"answer": {"status": 500, "reason": "unable to open file - Permission denied"}})
        }
    };
    let mut rule = json!({"when": when(random), "effect": effect});
    if random.percent(60) {
        rule["method"] = json!(random.pick(&["POST", "DELETE"]));
    }
    rule
}

/// Wrong replies, and servers that are silent or answer a read with a transient error.
fn reply_rule(random: &mut Random) -> Value {
    let (methods, effect): (&[&str], Value) = match random.below(7) {
        0 | 1 => (&["POST", "DELETE"], json!("other_task")),
        2 => (&["GET"], json!({"listing": "doubled"})),
        3 => (&["GET"], json!({"listing": "truncated"})),
        4 => (&["GET"], json!({"listing": "empty"})),
        // Longer than any request of a run with faults may take.
        5 => (&["GET"], json!({"delay": 1.5})),
        _ => (
            &["GET"],
            json!({"answer": {"status": 500, "reason": "got timeout"}}),
        ),
    };
    json!({"method": random.pick(methods), "when": when(random), "effect": effect})
}

fn task_rule(random: &mut Random) -> Value {
    let effect = match random.below(8) {
        0 => json!({"fail": "snapshot feature is not available"}),
        1 => json!({"fail": "zfs error: cannot destroy 'x@y': dataset is busy"}),
        2 => json!({"warn": 1}),
        3 => json!("vanish"),
        4 => json!({"duration": 0.9}),
        5 => json!({"abort_at": "volumes"}),
        6 => json!({"abort_at": "commit"}),
        _ => json!({"abort_at": "cleanup"}),
    };
    json!({"when": when(random), "effect": effect})
}

fn when(random: &mut Random) -> Value {
    match random.below(3) {
        0 => json!({"nth": 1 + random.below(6)}),
        1 => json!({"every": 2 + random.below(3)}),
        _ => json!({"probability": 0.2}),
    }
}
