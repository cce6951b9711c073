// SPDX-License-Identifier: GPL-3.0-only
//! `/cluster/status`, `/cluster/tasks`, `/cluster/options`
//! (`PVE/API2/Cluster.pm`).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::tasks::Task;
use crate::world::World;

use super::{Args, Failure, Reply, split_list};

/// How many of its latest tasks a node sends to the other nodes.
const BROADCAST: usize = 25;

/// `GET /cluster/status`.
pub(super) fn status(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let mut entries = Vec::new();
    if let Some(name) = &world.cluster_name {
        entries.push(json!({
            "type": "cluster", "id": "cluster", "name": name, "version": world.nodes.len(),
            "nodes": world.nodes.len(), "quorate": u8::from(world.quorate),
        }));
    }
    for node in world.nodes.values() {
        let local = node.name == args.here;
        let mut entry = json!({
            "type": "node", "id": format!("node/{}", node.name), "name": node.name,
            "nodeid": if world.cluster_name.is_some() { node.id } else { 0 },
            "local": u8::from(local), "online": u8::from(local || node.is_online()), "level": "",
        });
        if let Some(ip) = &node.ip {
            entry["ip"] = json!(ip);
        }
        entries.push(entry);
    }
    Ok(Reply::new(&entries))
}

/// `GET /cluster/tasks`: recent tasks of all nodes. Without `Sys.Audit` only tasks whose user part
/// equals the caller, so a token sees none.
pub(super) fn tasks(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let all = world.allows(args.who, "/", "Sys.Audit");
    let mut recent: Vec<&Task> = Vec::new();
    for node in world.nodes.keys() {
        let active = world.tasks.active(node);
        recent.extend(active.chain(world.tasks.finished(node)).take(BROADCAST));
    }
    recent.retain(|task| all || task.upid.user_and_token().0 == args.who);
    recent.sort_by(|a, b| b.started.total_cmp(&a.started));
    let entries: Vec<Value> = recent.into_iter().map(entry).collect();
    Ok(Reply::new(&entries))
}

fn entry(task: &Task) -> Value {
    let (user, token) = task.upid.user_and_token();
    let mut entry = json!({
        "upid": task.upid.to_string(), "node": task.upid.node, "type": task.upid.kind,
        "id": task.upid.id, "user": user, "starttime": task.upid.starttime,
        "saved": if task.ended.is_some() { "1" } else { "0" },
    });
    if let Some(token) = token {
        entry["tokenid"] = json!(token);
    }
    if let (Some(ended), Some(exit)) = (task.ended, &task.exitstatus) {
        entry["endtime"] = json!(crate::clock::whole(ended));
        entry["status"] = json!(exit);
    }
    entry
}

/// `GET /cluster/options`: without `Sys.Audit` only the tags that the caller may use.
pub(super) fn options(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let registered: Vec<&str> = world
        .datacenter
        .get("registered-tags")
        .and_then(Value::as_str)
        .into_iter()
        .flat_map(split_list)
        .collect();
    let visible = world.visible_guests(args.who);
    let tags: BTreeSet<&str> = world
        .guests
        .values()
        .filter(|guest| visible.shows(guest))
        .filter_map(|guest| guest.config_text("tags"))
        .flat_map(split_list)
        .chain(registered.iter().copied())
        .collect();
    let mut options = json!({ "allowed-tags": tags });
    if world.allows(args.who, "/", "Sys.Audit") {
        options["description"] = json!("");
        options["mac_prefix"] = json!("BC:24:11");
        for (key, value) in &world.datacenter {
            options[key] = value.clone();
        }
        if !registered.is_empty() {
            options["registered-tags"] = json!(registered);
        }
    }
    Ok(Reply::new(&options))
}

/// `PUT /cluster/options`: stores the options; only `registered-tags` has an effect.
pub(super) fn set_options(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    if !world.quorate {
        let text = "unable to open file '/etc/pve/datacenter.cfg.tmp.1000' - Permission denied";
        return Err(Failure::Died(text.to_owned()));
    }
    for key in split_list(&args.text("delete").unwrap_or_default()) {
        world.datacenter.remove(key);
    }
    for (key, value) in args.params.iter().filter(|(key, _)| *key != "delete") {
        world
            .datacenter
            .insert(key.clone(), args.stored(key, value));
    }
    Ok(Reply::null())
}
