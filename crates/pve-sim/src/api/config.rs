// SPDX-License-Identifier: GPL-3.0-only
//! Guest configurations (`PVE/API2/Qemu.pm`, `PVE/API2/LXC/Config.pm`).

use serde_json::{Map, Value, json};

use crate::access::permission::ROOT;
use crate::schema::ParameterErrors;
use crate::tasks::{ConfigChange, Work, change_config, check_digest, check_lock};
use crate::world::World;
use crate::world::guest::{Guest, GuestKind, Snapshot};

use super::{Args, Failure, Reply, parameter_error};

/// `GET …/config`.
pub(super) fn get(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let snapshot = args.text("snapshot");
    if snapshot.is_some() && args.flag("current") {
        let text = "cannot use 'snapshot' parameter with 'current'";
        let both = ["snapshot", "current"].map(|name| (name.to_owned(), text.to_owned()));
        return Err(Failure::Parameters(ParameterErrors::from(both)));
    }
    let guest = world.guest_on(args.kind(), &args.node(), args.vmid())?;
    let mut lines = match snapshot {
        None => current(guest),
        Some(name) => match guest.snapshots.get(&name) {
            Some(snapshot) => section(snapshot),
            None => return Err(Failure::Died(format!("snapshot '{name}' does not exist"))),
        },
    };
    lines.insert("digest".to_owned(), json!(guest.digest()));
    Ok(Reply::new(&lines))
}

/// `GET …/pending`: no change is ever pending.
pub(super) fn pending(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let guest = world.guest_on(args.kind(), &args.node(), args.vmid())?;
    let mut lines = current(guest);
    lines.insert("digest".to_owned(), json!(guest.digest()));
    let entries: Vec<Value> = lines
        .into_iter()
        .map(|(key, value)| json!({ "key": key, "value": value }))
        .collect();
    Ok(Reply::new(&entries))
}

/// `PUT …/config`: changes the configuration before it responds.
pub(super) fn put(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let changes = changes(args)?;
    let (kind, node, vmid) = (args.kind(), args.node(), args.vmid());
    super::snapshots::wait_for_lock(world, args)?;
    let quorate = world.quorate;
    let skip_lock = args.flag("skiplock");
    let guest = world.guest_on_mut(kind, &node, vmid)?;
    check_digest(guest, args.text("digest").as_deref())?;
    if !skip_lock {
        check_lock(guest)?;
    }
    if !quorate {
        let file = guest.config_file();
        let text = format!("unable to open file '/etc/pve/{file}.tmp.1000' - Permission denied");
        return Err(Failure::Died(text));
    }
    change_config(guest, &changes);
    Ok(Reply::null())
}

/// `POST …/config` of a virtual machine: the same, in a task.
pub(super) fn post(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let work = Work::Configure {
        changes: changes(args)?,
        digest: args.text("digest"),
    };
    Ok(args.start_task(world, work))
}

/// Parameters that are not configuration options.
const CONTROL: &[&str] = &[
    "node",
    "vmid",
    "delete",
    "skiplock",
    "digest",
    "revert",
    "force",
    "background_delay",
    "import-working-storage",
];

/// Options of a virtual machine that only root may set.
const ROOT_ONLY: &[&str] = &["lock", "args", "hookscript", "vmstate"];

/// The requested changes, or the errors that PVE reports before it reads the guest.
fn changes(args: &Args<'_>) -> Result<Vec<ConfigChange>, Failure> {
    if args.flag("skiplock") && args.who != ROOT {
        return Err(parameter_error(
            "skiplock",
            "Only root may use this option.",
        ));
    }
    let lines = args.params.iter();
    let mut changes: Vec<ConfigChange> = lines
        .filter(|(key, _)| !CONTROL.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), Some(args.stored(key, value))))
        .collect();
    let reverts = args.params.contains_key("revert");
    let removed = args.text("delete").unwrap_or_default();
    for key in removed.split([',', ';', ' ']).filter(|key| !key.is_empty()) {
        if args.params.contains_key(key) {
            let text = format!("you can't use '-{key}' and '-delete {key}' at the same time");
            return Err(parameter_error("delete", &text));
        }
        changes.push((key.to_owned(), None));
    }
    if changes.is_empty() && !reverts {
        return Err(Failure::Died("no options specified".to_owned()));
    }
    let roots_own = |key: &&str| ROOT_ONLY.contains(key);
    if args.kind() == GuestKind::Qemu
        && args.who != ROOT
        && let Some(key) = changes.iter().map(|(key, _)| key.as_str()).find(roots_own)
    {
        return Err(Failure::Died(format!("only root can set '{key}' config")));
    }
    Ok(changes)
}

/// The current configuration as returned by the API.
fn current(guest: &Guest) -> Map<String, Value> {
    let mut lines: Map<String, Value> = guest
        .config
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if let Some(lock) = &guest.lock {
        lines.insert("lock".to_owned(), json!(lock));
    }
    if let Some(parent) = &guest.parent {
        lines.insert("parent".to_owned(), json!(parent));
    }
    if guest.kind == GuestKind::Lxc
        && let Some(Value::String(text)) = lines.get_mut("description")
        && !text.ends_with('\n')
    {
        text.push('\n');
    }
    lines
}

/// The section of a snapshot as returned by the API.
pub(super) fn section(snapshot: &Snapshot) -> Map<String, Value> {
    let copied = |key: &str| key != "description" && !key.starts_with("unused");
    let mut lines: Map<String, Value> = snapshot
        .config
        .iter()
        .filter(|(key, _)| copied(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if snapshot.taken_at != 0 {
        lines.insert("snaptime".to_owned(), json!(snapshot.taken_at));
    }
    for (key, value) in [
        ("description", &snapshot.description),
        ("parent", &snapshot.parent),
        ("snapstate", &snapshot.state),
        ("vmstate", &snapshot.vmstate),
    ] {
        if let Some(value) = value {
            lines.insert(key.to_owned(), json!(value));
        }
    }
    lines
}
