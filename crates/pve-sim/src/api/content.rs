// SPDX-License-Identifier: GPL-3.0-only
//! `GET /nodes/{node}/storage/{storage}/content` (`PVE/API2/Storage/Content.pm`): guest disks,
//! saved RAM, and images in the guests' drives.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::clock::whole;
use crate::world::World;
use crate::world::guest::{GuestKind, Volume};

use super::{Args, Failure, Reply};

/// The entries by volume ID, each with the VMID of its owner.
type Found = BTreeMap<String, (Value, Option<u32>)>;

/// `GET …/content`.
pub(super) fn list(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let (node, id) = (args.node(), args.in_path("storage"));
    world.storage_config(&id)?.activate(&node)?;
    let kind = args.text("content");
    let vmid = args.number("vmid");
    let entries: Vec<Value> = volumes(world, &id, &node)
        .into_values()
        .filter(|(_, owner)| may_see(world, args.who, &id, *owner))
        .map(|(entry, _)| entry)
        .filter(|entry| kind.as_ref().is_none_or(|kind| entry["content"] == **kind))
        .filter(|entry| vmid.is_none_or(|vmid| entry["vmid"] == vmid))
        .collect();
    Ok(Reply::new(&entries))
}

fn volumes(world: &World, id: &str, node: &str) -> Found {
    let shared = world.storages.get(id).is_some_and(|one| one.shared);
    let created = whole(world.clock.start()) - 86_400;
    let mut found = Found::new();
    for guest in world.guests.values() {
        if !shared && guest.node != node {
            continue;
        }
        let content = match guest.kind {
            GuestKind::Qemu => "images",
            GuestKind::Lxc => "rootdir",
        };
        for volume in guest.volumes() {
            if volume.storage() != Some(id) {
                continue;
            }
            let entry = if volume.cdrom {
                json!({
                    "volid": volume.id, "content": "iso", "format": "iso", "size": volume.size,
                    "ctime": created,
                })
            } else {
                image(&volume, content, guest.vmid, created)
            };
            let owner = (!volume.cdrom).then_some(guest.vmid);
            found.insert(volume.id, (entry, owner));
        }
        let saved = guest
            .snapshots
            .values()
            .filter_map(|one| one.vmstate.as_ref());
        for name in saved.filter(|name| name.split(':').next() == Some(id)) {
            let volume = Volume {
                key: "vmstate".to_owned(),
                id: name.clone(),
                size: (guest.config_number("memory").unwrap_or(512) * 2 + 500) << 20,
                cdrom: false,
            };
            let entry = image(&volume, content, guest.vmid, created);
            found.insert(volume.id, (entry, Some(guest.vmid)));
        }
    }
    found
}

fn image(volume: &Volume, content: &str, vmid: u32, created: i64) -> Value {
    json!({
        "volid": volume.id, "content": content, "format": volume.format(), "size": volume.size,
        "used": volume.size / 8, "vmid": vmid, "ctime": created, "parent": null,
    })
}

/// `check_volume_access` in `PVE/Storage.pm`.
fn may_see(world: &World, who: &str, id: &str, owner: Option<u32>) -> bool {
    let storage = format!("/storage/{id}");
    let has = |privilege: &str| world.allows(who, &storage, privilege);
    if has("Datastore.Allocate") {
        return true;
    }
    match owner {
        None => has("Datastore.AllocateSpace") || has("Datastore.Audit"),
        Some(vmid) => {
            has("Datastore.Audit") && world.allows(who, &format!("/vms/{vmid}"), "VM.Config.Disk")
        }
    }
}
