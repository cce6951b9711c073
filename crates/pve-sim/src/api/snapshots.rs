// SPDX-License-Identifier: GPL-3.0-only
//! Snapshots of guests (`PVE/API2/Qemu.pm`, `PVE/API2/LXC/Snapshot.pm`): the checks before a task
//! starts.

use serde_json::{Map, Value, json};

use crate::journal::Action;
use crate::tasks::{Work, check_lock};
use crate::world::World;
use crate::world::guest::{Guest, GuestKind, Snapshot, stored_description};

use super::{Args, Failure, Reply, check_privileges, config::section};

/// `GET …/snapshot`: in random order, with the current state last.
pub(super) fn list(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let sequence = world.next_sequence();
    let guest = world.guest_on(args.kind(), &args.node(), args.vmid())?;
    let mut named: Vec<(&String, &Snapshot)> = guest.snapshots.iter().collect();
    named.sort_by_key(|(name, _)| scattered(name, sequence));
    let mut entries: Vec<Value> = named
        .into_iter()
        .map(|(name, snapshot)| entry(guest, name, snapshot))
        .collect();
    let mut current = json!({
        "name": "current", "description": "You are here!", "digest": guest.digest(),
        "running": u8::from(guest.running.is_some()),
    });
    if let Some(parent) = &guest.parent {
        current["parent"] = json!(parent);
    }
    entries.push(current);
    Ok(Reply::new(&entries))
}

/// `POST …/snapshot`.
pub(super) fn create(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let name = args.in_path("snapname");
    let kind = args.kind();
    let reserved = match kind {
        GuestKind::Qemu if name.eq_ignore_ascii_case("pending") => Some("pending"),
        GuestKind::Lxc if name == "vzdump" => Some("vzdump"),
        GuestKind::Qemu | GuestKind::Lxc => (name == "current").then_some("current"),
    };
    if let Some(reserved) = reserved {
        return Err(Failure::Died(format!(
            "unable to use snapshot name '{reserved}' (reserved name)"
        )));
    }
    // For a container, the task makes this check.
    if kind == GuestKind::Qemu {
        world.guest_on(kind, &args.node(), args.vmid())?;
    }
    let work = Work::Create {
        name,
        description: args.text("description"),
        vmstate: args.flag("vmstate"),
    };
    Ok(args.start_task(world, work))
}

/// `DELETE …/snapshot/{snapname}`.
pub(super) fn delete(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let work = Work::Delete {
        name: args.in_path("snapname"),
        force: args.flag("force"),
    };
    Ok(args.start_task(world, work))
}

/// `POST …/snapshot/{snapname}/rollback`.
pub(super) fn rollback(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    // PVE 8 lets every user start a guest this way, PVE 9 a container (recorded).
    if args.flag("start") && world.major() >= 9 && args.kind() == GuestKind::Qemu {
        let path = format!("/vms/{}", args.vmid());
        check_privileges(world, args.who, &path, &["VM.PowerMgmt"], false)?;
    }
    let work = Work::Rollback {
        name: args.in_path("snapname"),
        start: args.flag("start"),
    };
    Ok(args.start_task(world, work))
}

/// `GET …/snapshot/{snapname}/config`.
pub(super) fn config(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let guest = world.guest_on(args.kind(), &args.node(), args.vmid())?;
    let name = args.in_path("snapname");
    match guest.snapshots.get(&name) {
        Some(snapshot) => Ok(Reply::new(&section(snapshot))),
        None => Err(Failure::Died(format!("snapshot '{name}' does not exist"))),
    }
}

/// `PUT …/snapshot/{snapname}/config`: changes the description immediately.
pub(super) fn update(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let (kind, node, vmid) = (args.kind(), args.node(), args.vmid());
    let name = args.in_path("snapname");
    wait_for_lock(world, args)?;
    let quorate = world.quorate;
    let guest = world.guest_on_mut(kind, &node, vmid)?;
    check_lock(guest)?;
    let file = guest.config_file();
    let Some(snapshot) = guest.snapshots.get_mut(&name) else {
        return Err(Failure::Died(format!("snapshot '{name}' does not exist")));
    };
    if !quorate {
        let text = format!("unable to open file '/etc/pve/{file}.tmp.1000' - Permission denied");
        return Err(Failure::Died(text));
    }
    if let Some(description) = args.text("description") {
        snapshot.description = stored_description(kind, &description);
        let now = world.now();
        world.record_mutation(now, Action::Update, vmid, Some(&name), None);
    }
    Ok(Reply::null())
}

/// Waits for the configuration's lock file, with PVE's timeout.
pub(super) fn wait_for_lock(world: &World, args: &Args<'_>) -> Result<(), Failure> {
    let held = world
        .guests
        .get(&args.vmid())
        .map_or(0.0, |guest| guest.held_until);
    let now = world.now();
    if held <= now {
        return Ok(());
    }
    let deadline = args.arrived + world.timing.lock_wait();
    if now < deadline {
        return Err(Failure::NotBefore(held.min(deadline)));
    }
    let file = args.kind().lock_file(args.vmid());
    Err(Failure::Died(format!(
        "can't lock file '{file}' - got timeout"
    )))
}

fn entry(guest: &Guest, name: &str, snapshot: &Snapshot) -> Value {
    let mut entry = Map::new();
    let mut set = |key: &str, value: Value| entry.insert(key.to_owned(), value);
    set("name", json!(name));
    set("snaptime", json!(snapshot.taken_at));
    set(
        "description",
        json!(snapshot.description.as_deref().unwrap_or_default()),
    );
    if guest.kind == GuestKind::Qemu {
        set("vmstate", json!(u8::from(snapshot.vmstate.is_some())));
    }
    if let Some(parent) = &snapshot.parent {
        set("parent", json!(parent));
    }
    if let Some(state) = &snapshot.state {
        set("snapstate", json!(state));
    }
    Value::Object(entry)
}

/// A sort key that differs between responses, like the order of a Perl hash (FNV-1a).
fn scattered(name: &str, sequence: u64) -> u64 {
    let seed = 0xcbf2_9ce4_8422_2325 ^ sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    name.bytes().fold(seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
