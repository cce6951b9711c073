// SPDX-License-Identifier: GPL-3.0-only
//! `/pools` (`PVE/API2/Pool.pm` of PVE 8.4).

use serde_json::{Value, json};

use crate::world::{Pool, World};

use super::{Args, Failure, Reply, check_privileges, resources, split_list};

/// `GET /pools`: the pools that the caller may audit, without members. With `poolid`: that pool
/// with its members, for every user, because PVE ignores the result of its check.
pub(super) fn list(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    if let Some(poolid) = args.text("poolid").filter(|poolid| !poolid.is_empty()) {
        return Ok(Reply::new(&[content(world, args, &poolid)?]));
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
    Ok(Reply::new(&pools))
}

/// `GET /pools/{poolid}`: the same entry, but does not support nested pools.
pub(super) fn one(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    content(world, args, &args.in_path("poolid")).map(|entry| Reply::new(&entry))
}

/// `POST /pools`.
pub(super) fn create(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let poolid = args.in_path("poolid");
    let fails = |text: &str| Err(Failure::Died(format!("create pool failed: {text}")));
    if !world.quorate {
        return fails(NO_QUORUM);
    }
    if world.pools.contains_key(&poolid) {
        return fails(&format!("pool '{poolid}' already exists"));
    }
    if let Some((parent, _)) = poolid.rsplit_once('/')
        && !world.pools.contains_key(parent)
    {
        return fails(&format!(
            "parent '{parent}' of pool '{poolid}' does not exist"
        ));
    }
    let pool = Pool {
        comment: args.text("comment"),
        ..Pool::default()
    };
    world.pools.insert(poolid, pool);
    Ok(Reply::null())
}

/// `DELETE /pools`, `DELETE /pools/{poolid}`: removes an empty pool.
pub(super) fn delete(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let poolid = args.in_path("poolid");
    let fails = |text: &str| Err(Failure::Died(format!("delete pool failed: {text}")));
    if !world.quorate {
        return fails(NO_QUORUM);
    }
    let below = format!("{poolid}/");
    let Some(pool) = world.pools.get(&poolid) else {
        return fails(&format!("pool '{poolid}' does not exist"));
    };
    let has_pools = world.pools.keys().any(|name| name.starts_with(&below));
    if has_pools || !pool.guests.is_empty() || !pool.storages.is_empty() {
        return fails(&format!("pool '{poolid}' is not empty"));
    }
    world.pools.remove(&poolid);
    Ok(Reply::null())
}

/// `PUT /pools`, `PUT /pools/{poolid}`: adds or removes members, all or none.
pub(super) fn update(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let fails = |text: String| Failure::Died(format!("update pools failed: {text}"));
    if !world.quorate {
        return Err(fails(NO_QUORUM.to_owned()));
    }
    let poolid = args.in_path("poolid");
    let Some(pool) = world.pools.get(&poolid) else {
        return Err(fails(format!("pool '{poolid}' does not exist")));
    };
    let (remove, move_them) = (args.flag("delete"), args.flag("allow-move"));
    let vms = args.text("vms").unwrap_or_default();
    let vms: Vec<u32> = split_list(&vms)
        .filter_map(|vmid| vmid.parse().ok())
        .collect();
    for vmid in &vms {
        let path = format!("/vms/{vmid}");
        let privileges = ["Permissions.Modify", "VM.Allocate"];
        check_privileges(world, args.who, &path, &privileges, true)?;
        let own = pool.guests.contains(vmid);
        let guest = world.guests.get(vmid);
        match guest.and_then(|guest| guest.pool.as_ref()) {
            _ if remove && !own => return Err(fails(format!("VM {vmid} is not a pool member"))),
            _ if !remove && own => {
                return Err(fails(format!("VM {vmid} is already a pool member")));
            }
            Some(other) if !remove && !move_them => {
                return Err(fails(format!(
                    "VM {vmid} belongs already to pool '{other}' and 'allow-move' is not set"
                )));
            }
            _ if guest.is_none() => return Err(fails(format!("VM {vmid} does not exist"))),
            _ => {}
        }
    }
    let storages = args.text("storage").unwrap_or_default();
    for id in split_list(&storages) {
        let path = format!("/storage/{id}");
        let privileges = ["Permissions.Modify", "Datastore.Allocate"];
        check_privileges(world, args.who, &path, &privileges, true)?;
        if pool.storages.contains(id) != remove {
            let state = if remove { "not a" } else { "already a" };
            return Err(fails(format!("Storage '{id}' is {state} pool member")));
        }
    }
    for vmid in vms {
        for other in world.pools.values_mut() {
            other.guests.remove(&vmid);
        }
        if let Some(guest) = world.guests.get_mut(&vmid) {
            guest.pool = (!remove).then(|| poolid.clone());
        }
        if !remove && let Some(pool) = world.pools.get_mut(&poolid) {
            pool.guests.insert(vmid);
        }
    }
    if let Some(pool) = world.pools.get_mut(&poolid) {
        if let Some(comment) = args.text("comment") {
            pool.comment = Some(comment);
        }
        for id in split_list(&storages) {
            if remove {
                pool.storages.remove(id);
            } else {
                pool.storages.insert(id.to_owned());
            }
        }
    }
    Ok(Reply::null())
}

/// The error of writing `user.cfg` without quorum.
const NO_QUORUM: &str = "cluster not ready - no quorum?";

fn content(world: &World, args: &Args<'_>, poolid: &str) -> Result<Value, Failure> {
    let pool = world
        .pools
        .get(poolid)
        .ok_or_else(|| Failure::Died(format!("pool '{poolid}' does not exist")))?;
    let kind = args.text("type");
    let includes = |name: &str| kind.as_deref().is_none_or(|kind| kind == name);
    // PVE sorts VMIDs as text: 1000 comes before 101.
    let mut numbers: Vec<&u32> = pool.guests.iter().collect();
    numbers.sort_by_key(ToString::to_string);
    let guests = numbers
        .into_iter()
        .filter_map(|vmid| world.guests.get(vmid))
        .filter(|guest| includes(guest.kind.as_str()))
        .map(|guest| resources::guest(world, guest, args.here))
        .map(|entry| serde_json::to_value(entry).expect("plain data has a JSON form"));
    let storages = pool
        .storages
        .iter()
        .filter(|_| includes("storage"))
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
