// SPDX-License-Identifier: GPL-3.0-only
//! `/nodes/{node}/storage` and `/storage` (`PVE/API2/Storage/Status.pm`,
//! `PVE/API2/Storage/Config.pm`).

use serde_json::{Value, json};

use crate::hash::sha1;
use crate::world::World;
use crate::world::storage::Storage;

use super::{Args, Failure, Reply, parameter_error};

/// `GET /nodes/{node}/storage`.
pub(super) fn on_node(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let node = args.node();
    let wanted_content = args.text("content");
    let wanted: Vec<&str> = wanted_content
        .iter()
        .flat_map(|list| split_list(list))
        .collect();
    let name = args.text("storage");
    let entries: Vec<Value> = world
        .storages
        .values()
        .filter(|storage| may_see(world, args.who, &storage.id))
        .filter(|storage| storage.is_on(&node))
        .filter(|storage| name.as_ref().is_none_or(|name| *name == storage.id))
        .filter(|storage| {
            wanted.is_empty()
                || storage
                    .content
                    .iter()
                    .any(|kind| wanted.contains(&kind.as_str()))
        })
        .map(|storage| {
            let mut entry = status_of(storage, &node);
            let usage = storage.usage_on(&node);
            #[expect(
                clippy::cast_precision_loss,
                reason = "a fraction for people to look at"
            )]
            if usage.total > 0 {
                entry["used_fraction"] = json!(usage.used as f64 / usage.total as f64);
            }
            entry["storage"] = json!(storage.id);
            entry
        })
        .collect();
    Ok(Reply::of(&entries))
}

/// `GET /nodes/{node}/storage/{storage}/status`.
pub(super) fn status(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let node = args.node();
    match world
        .storages
        .get(&args.in_path("storage"))
        .filter(|storage| storage.is_on(&node))
    {
        Some(storage) => Ok(Reply::of(&status_of(storage, &node))),
        None => Err(parameter_error("storage", "No such storage.")),
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
    Ok(Reply::of(&entries))
}

/// `GET /storage/{storage}`.
pub(super) fn one(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let id = args.in_path("storage");
    match world.storages.get(&id) {
        Some(storage) => Ok(Reply::of(&definition(world, storage))),
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
    let usage = storage.usage_on(node);
    json!({
        "active": 1, "enabled": 1, "type": storage.kind, "shared": u8::from(storage.shared),
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

/// One digest for the whole of `storage.cfg`.
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

/// `PVE::Tools::split_list`.
fn split_list(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ';', ' ', '\t', '\n', '\0'])
        .filter(|part| !part.is_empty())
}
