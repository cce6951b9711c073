// SPDX-License-Identifier: GPL-3.0-only
//! High availability (`PVE/API2/HA/*.pm`) in a cluster without managed guests.

use serde_json::{Value, json};

use crate::world::World;

use super::{Args, Failure, Reply};

/// `GET /cluster/ha`.
pub(super) fn index(world: &mut World, _: &Args<'_>) -> Result<Reply, Failure> {
    let mut names = vec!["status", "resources", "groups"];
    if world.major() >= 9 {
        names.push("rules");
    }
    let entries: Vec<Value> = names.iter().map(|name| json!({ "id": name })).collect();
    Ok(Reply::new(&entries))
}

/// `GET /cluster/ha/status`.
pub(super) fn status_index(_: &mut World, _: &Args<'_>) -> Result<Reply, Failure> {
    Ok(Reply::new(
        &json!([{ "name": "current" }, { "name": "manager_status" }]),
    ))
}

/// `GET /cluster/ha/status/current`.
pub(super) fn status(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let node = args.here;
    let text = if world.quorate {
        "OK".to_owned()
    } else {
        format!("No quorum on node '{node}'!")
    };
    let mut entries = vec![json!({
        "id": "quorum", "type": "quorum", "node": node, "status": text,
        "quorate": u8::from(world.quorate),
    })];
    if world.major() >= 9 {
        entries.push(json!({
            "id": "fencing", "type": "fencing", "node": node, "armed-state": "standby",
            "status": "standby (CRM watchdog standby)",
        }));
    }
    Ok(Reply::new(&entries))
}

/// `GET /cluster/ha/status/manager_status`.
pub(super) fn manager_status(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    Ok(Reply::new(&json!({
        "manager_status": {}, "lrm_status": {},
        "quorum": { "node": args.here, "quorate": if world.quorate { "1" } else { "0" } },
    })))
}

/// `GET /cluster/ha/groups`; removed in PVE 9.
pub(super) fn groups(world: &mut World, _: &Args<'_>) -> Result<Reply, Failure> {
    if world.major() >= 9 {
        let text = "cannot index groups: ha groups have been migrated to rules";
        return Err(Failure::Died(text.to_owned()));
    }
    Ok(Reply::new(&json!([])))
}

/// `GET /cluster/ha/rules`; new in PVE 9.
pub(super) fn rules(world: &mut World, _: &Args<'_>) -> Result<Reply, Failure> {
    if world.major() < 9 {
        return Err(Failure::NotImplemented {
            text: "Method 'GET /cluster/ha/rules' not implemented".to_owned(),
            in_pve: None,
        });
    }
    Ok(Reply::new(&json!([])))
}
