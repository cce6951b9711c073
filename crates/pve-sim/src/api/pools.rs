// SPDX-License-Identifier: GPL-3.0-only
//! `/pools` (`PVE/API2/Pool.pm` of PVE 8.4).

use serde_json::{Value, json};

use crate::world::{Pool, World};

use super::{Args, Failure, Reply, resources};

/// `GET /pools`: the pools one may audit, without their members; with `poolid`
/// that pool with its members, for anybody. (PVE makes the check there and
/// forgets to look at its result.)
pub(super) fn list(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    if let Some(poolid) = args.text("poolid").filter(|poolid| !poolid.is_empty()) {
        return Ok(Reply::of(&[content(world, args, &poolid)?]));
    }
    let pools: Vec<Value> = world
        .pools
        .iter()
        .filter(|(name, _)| world.allows(args.who, &format!("/pool/{name}"), "Pool.Audit"))
        .map(|(name, pool)| {
            let mut entry = json!({ "poolid": name });
            add_comment(&mut entry, pool);
            entry
        })
        .collect();
    Ok(Reply::of(&pools))
}

/// `GET /pools/{poolid}`: the same entry, but cannot name a nested pool.
pub(super) fn one(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    content(world, args, &args.in_path("poolid")).map(|entry| Reply::of(&entry))
}

fn content(world: &World, args: &Args<'_>, poolid: &str) -> Result<Value, Failure> {
    let pool = world
        .pools
        .get(poolid)
        .ok_or_else(|| Failure::Died(format!("pool '{poolid}' does not exist")))?;
    let kind = args.text("type");
    let wanted = |word: &str| kind.as_deref().is_none_or(|kind| kind == word);
    // PVE sorts the numbers as texts: 1000 comes before 101.
    let mut numbers: Vec<&u32> = pool.guests.iter().collect();
    numbers.sort_by_key(ToString::to_string);
    let guests = numbers
        .into_iter()
        .filter_map(|vmid| world.guests.get(vmid))
        .filter(|guest| wanted(guest.kind.word()))
        .map(|guest| resources::guest(world, guest, args.here))
        .map(|entry| serde_json::to_value(entry).expect("plain data has a JSON form"));
    let storages = pool
        .storages
        .iter()
        .filter(|_| wanted("storage"))
        .filter_map(|id| world.storages.get(id))
        .map(|storage| {
            let first = storage.nodes.as_ref().and_then(|nodes| nodes.first());
            let node = if storage.is_on(args.here) {
                args.here
            } else {
                first.map_or("", |n| n)
            };
            resources::storage(world, storage, node, args.here)
        });
    let members: Vec<Value> = guests.chain(storages).collect();
    let mut entry = json!({ "poolid": poolid, "members": members });
    add_comment(&mut entry, pool);
    Ok(entry)
}

fn add_comment(entry: &mut Value, pool: &Pool) {
    if let Some(comment) = &pool.comment {
        entry["comment"] = json!(comment);
    }
}
