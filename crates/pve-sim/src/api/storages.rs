// SPDX-License-Identifier: GPL-3.0-only
//! `/nodes/{node}/storage` and `/storage` (`PVE/API2/Storage/Status.pm`,
//! `PVE/API2/Storage/Config.pm`).

use serde_json::{Value, json};

use crate::hash::sha1;
use crate::world::World;
use crate::world::storage::{Storage, Usage};

use super::{Args, Failure, Reply, parameter_error, split_list};

/// `GET /nodes/{node}/storage`: omits storages that are disabled or belong to other nodes only if
/// `content` is given (`storage_info` in `PVE/Storage.pm`).
pub(super) fn on_node(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let node = args.node();
    let wanted_content = args.text("content");
    let listed = |storage: &&Storage| match &wanted_content {
        None => true,
        Some(list) => {
            storage.is_on(&node)
                && split_list(list).any(|kind| storage.content.iter().any(|own| own == kind))
        }
    };
    let name = args.text("storage").filter(|name| !name.is_empty());
    if let Some(name) = &name
        && !world.storages.get(name).as_ref().is_some_and(listed)
    {
        return Err(parameter_error("storage", "No such storage."));
    }
    let target = args
        .text("target")
        .filter(|target| !target.is_empty() && *target != node && target != "localhost");
    let on_both = |storage: &Storage, target: &str| {
        storage.shared && storage.belongs_to(&node) && storage.belongs_to(target)
    };
    let entries: Vec<Value> = world
        .storages
        .values()
        .filter(listed)
        .filter(|storage| may_see(world, args.who, &storage.id))
        .filter(|storage| name.as_ref().is_none_or(|name| *name == storage.id))
        .filter(|storage| !(args.flag("enabled") && storage.disabled))
        .filter(|storage| {
            target
                .as_ref()
                .is_none_or(|target| on_both(storage, target))
        })
        .map(|storage| {
            let mut entry = status_of(storage, &node);
            let usage = storage.usage_on(&node);
            #[expect(clippy::cast_precision_loss, reason = "a fraction for display")]
            if usage.total > 0 && storage.is_active_on(&node) {
                entry["used_fraction"] = json!(usage.used as f64 / usage.total as f64);
            }
            if args.flag("format") && storage.is_on(&node) {
                add_formats(&mut entry, storage, world.major());
            }
            entry["storage"] = json!(storage.id);
            entry
        })
        .collect();
    Ok(Reply::new(&entries))
}

/// `GET /nodes/{node}/storage/{storage}/status`.
pub(super) fn status(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    match world.storages.get(&args.in_path("storage")) {
        Some(storage) => Ok(Reply::new(&status_of(storage, &args.node()))),
        None => Err(parameter_error("storage", "No such storage.")),
    }
}

/// The image formats of a storage: the supported ones and the default.
fn add_formats(entry: &mut Value, storage: &Storage, major: u32) {
    let formats: &[&str] = match storage.kind.as_str() {
        "dir" | "nfs" | "cifs" => &["qcow2", "raw", "subvol", "vmdk"],
        "glusterfs" => &["qcow2", "raw", "vmdk"],
        "btrfs" | "zfspool" => &["raw", "subvol"],
        _ => return,
    };
    let flags: serde_json::Map<String, Value> = formats
        .iter()
        .map(|format| ((*format).to_owned(), json!(1)))
        .collect();
    entry["format"] = json!([flags, "raw"]);
    if major >= 9 {
        entry["formats"] = json!({ "supported": formats, "default": "raw" });
    }
}

/// `GET /storage`.
pub(super) fn list(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let kind = args.text("type");
    let entries: Vec<Value> = world
        .storages
        .values()
        .filter(|storage| may_see(world, args.who, &storage.id))
        .filter(|storage| kind.as_ref().is_none_or(|kind| *kind == storage.kind))
        .map(|storage| definition(world, storage))
        .collect();
    Ok(Reply::new(&entries))
}

/// `GET /storage/{storage}`.
pub(super) fn one(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let id = args.in_path("storage");
    match world.storages.get(&id) {
        Some(storage) => Ok(Reply::new(&definition(world, storage))),
        None => Err(Failure::Died(format!("storage '{id}' does not exist"))),
    }
}

fn may_see(world: &World, who: &str, id: &str) -> bool {
    let path = format!("/storage/{id}");
    ["Datastore.Audit", "Datastore.AllocateSpace"]
        .iter()
        .any(|privilege| world.allows(who, &path, privilege))
}

fn status_of(storage: &Storage, node: &str) -> Value {
    let active = storage.is_active_on(node);
    let usage = if active {
        storage.usage_on(node)
    } else {
        Usage { total: 0, used: 0 }
    };
    json!({
        "active": u8::from(active), "enabled": u8::from(storage.is_on(node)),
        "type": storage.kind, "shared": u8::from(storage.shared),
        "content": storage.content.join(","), "total": usage.total, "used": usage.used,
        "avail": usage.total - usage.used.min(usage.total),
    })
}

fn definition(world: &World, storage: &Storage) -> Value {
    let mut entry = json!({
        "storage": storage.id, "type": storage.kind, "content": storage.content.join(","),
        "digest": definitions_digest(world),
    });
    for (key, value) in &storage.options {
        entry[key] = json!(value);
    }
    if storage.shared {
        entry["shared"] = json!(1);
    }
    if storage.disabled {
        entry["disable"] = json!(1);
    }
    if let Some(nodes) = &storage.nodes {
        entry["nodes"] = json!(nodes.join(","));
    }
    entry
}

/// The digest of `storage.cfg`.
fn definitions_digest(world: &World) -> String {
    let lines: Vec<String> = world
        .storages
        .values()
        .map(|storage| format!("{}: {} {:?}", storage.kind, storage.id, storage.options))
        .collect();
    sha1(&lines.join(
        "
",
    ))
}
