// SPDX-License-Identifier: GPL-3.0-only
//! Creation of a snapshot, with the steps of `snapshot_create` in `PVE/AbstractConfig.pm`: prepare
//! under the lock, snapshot the volumes, commit under the lock; after an error, roll back.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::clock::{Seconds, whole};
use crate::world::guest::{Guest, GuestKind, Snapshot, Volume, stored_description};
use crate::world::storage::SNAPSHOT_PERCENT;
use crate::world::{ErrorText, World};

use super::TaskStage;
use super::runner::StepResult;

/// How long PVE waits for an unresponsive guest agent, in seconds.
const AGENT_TIMEOUT: f64 = 3.0;

pub(super) fn step(
    world: &mut World,
    index: usize,
    at: Seconds,
    name: &str,
    description: Option<&str>,
    vmstate: bool,
) -> StepResult {
    let duration = world.task(index).duration;
    match world.task(index).stage {
        TaskStage::Queued => StepResult::Next(at, TaskStage::Begin { since: at }),
        TaskStage::Begin { since } => world.with_lock(index, since, at, |world| {
            let extra = prepare(world, index, at, name, description, vmstate)?;
            let next = at + duration / 2.0 + extra;
            Ok(StepResult::Next(next, TaskStage::Volumes))
        }),
        TaskStage::Volumes => match snapshot_volumes(world, index, name) {
            Ok(()) => StepResult::Next(at + duration / 2.0, TaskStage::Finish),
            Err(text) => {
                world.log(index, "snapshot create failed: starting cleanup");
                clean_up(world, index);
                // PVE's text ends in two newlines; one of them becomes a space.
                StepResult::Done(Err(format!("{text} ")))
            }
        },
        TaskStage::Finish => StepResult::Done(commit(world, index, name)),
    }
}

/// Rolls back a creation, like `snapshot_delete` with the drives that are done.
pub(super) fn clean_up(world: &mut World, index: usize) {
    let task = world.task(index);
    let super::Work::Create { name, .. } = task.work.clone() else {
        return;
    };
    let (kind, node, vmid) = (task.guest_kind, task.upid.node.clone(), task.vmid);
    let Ok(guest) = world.guest_on_mut(kind, &node, vmid) else {
        return;
    };
    guest.lock = None;
    if let Some(snapshot) = guest.snapshots.remove(&name) {
        release_space(world, &node, &snapshot);
    }
}

/// Subtracts the snapshot from the usage of its storages.
pub(super) fn release_space(world: &mut World, node: &str, snapshot: &Snapshot) {
    for (storage, bytes) in &snapshot.bytes {
        if let Some(storage) = world.storages.get_mut(storage) {
            storage.release(node, *bytes);
        }
    }
}

/// PVE's error text if the guest is locked (`check_lock`).
pub(crate) fn check_lock(guest: &Guest) -> Result<(), ErrorText> {
    match &guest.lock {
        Some(lock) => Err(format!("{} is locked ({lock})", guest.kind.noun())),
        None => Ok(()),
    }
}

/// `__snapshot_prepare`. Returns the additional seconds that it takes.
fn prepare(
    world: &mut World,
    index: usize,
    at: Seconds,
    name: &str,
    description: Option<&str>,
    vmstate: bool,
) -> Result<f64, ErrorText> {
    let task = world.task(index);
    let (kind, node, vmid) = (task.guest_kind, task.upid.node.clone(), task.vmid);
    let guest = world.guest_on(kind, &node, vmid)?;
    if guest.is_template() {
        return Err("you can't take a snapshot if it's a template".to_owned());
    }
    check_lock(guest)?;
    if guest.snapshots.contains_key(name) {
        return Err(format!("snapshot name '{name}' already used"));
    }
    if !world.can_snapshot(guest)? {
        return Err("snapshot feature is not available".to_owned());
    }
    world.check_quorum(index)?;
    let mut snapshot = Snapshot {
        taken_at: whole(world.node_time(&node, at)),
        description: description.and_then(|text| stored_description(kind, text)),
        parent: guest.parent.clone(),
        state: Some("prepare".to_owned()),
        vmstate: None,
        config: Arc::clone(&guest.config),
        bytes: BTreeMap::new(),
    };
    let with_ram = vmstate && guest.running.is_some();
    // PVE freezes the file systems after it has activated the storages.
    let agent_silent = guest.running.is_some()
        && guest.has_agent()
        && !guest.agent_answers
        && world.activate_storages(guest).is_ok();
    if with_ram {
        let storage = vmstate_storage(guest);
        world.storage_config(&storage)?.activate(&node)?;
        save_vmstate(world, index, name, &mut snapshot);
    }
    let guest = world.guest_on_mut(kind, &node, vmid)?;
    drop_bogus_parents(guest, name);
    guest.lock = Some("snapshot".to_owned());
    guest.snapshots.insert(name.to_owned(), snapshot);
    // PVE does not freeze the file systems when it saves the RAM.
    if world.release.is_9() {
        return Ok(log_skipped_freeze(world, index, with_ram, agent_silent));
    }
    if agent_silent && !with_ram {
        let line = format!(
            "QEMU Guest Agent is not running - VM {vmid} qmp command 'guest-ping' failed - got timeout"
        );
        world.log(index, line);
        return Ok(AGENT_TIMEOUT * world.timing.delays);
    }
    Ok(0.0)
}

/// Logs PVE 9's messages about file systems that are not frozen; returns the delay in seconds.
fn log_skipped_freeze(world: &mut World, index: usize, with_ram: bool, agent_silent: bool) -> f64 {
    let vmid = world.task(index).vmid;
    let Some(guest) = world.guests.get(&vmid) else {
        return 0.0;
    };
    if with_ram || guest.kind == GuestKind::Lxc || guest.running.is_none() {
        return 0.0;
    }
    if agent_silent {
        let line = "skipping guest filesystem freeze - agent configured but not running?";
        world.log(index, line);
        return AGENT_TIMEOUT * world.timing.delays;
    }
    if !guest.has_agent() {
        let line = "skipping guest filesystem freeze - disabled in VM options";
        world.log(index, line);
    }
    0.0
}

/// `warn "deleting parent ... reference"`: a reused name must not become the parent of its own
/// ancestors.
fn drop_bogus_parents(guest: &mut Guest, name: &str) {
    for other in guest.snapshots.values_mut() {
        if other.parent.as_deref() == Some(name) {
            other.parent = None;
        }
    }
}

/// `__snapshot_save_vmstate` in `PVE/QemuConfig.pm`: a volume of twice the memory plus 500 MiB, on
/// the storage of the disks or on `local`.
fn save_vmstate(world: &mut World, index: usize, name: &str, snapshot: &mut Snapshot) {
    let vmid = world.task(index).vmid;
    let node = world.task(index).upid.node.clone();
    let Some(guest) = world.guests.get(&vmid) else {
        return;
    };
    let storage = vmstate_storage(guest);
    let mebibytes = guest.config_number("memory").unwrap_or(512);
    let cpu = guest.config_text("cpu").unwrap_or("kvm64").to_owned();
    let size = (mebibytes * 2 + 500) << 20;
    let path = world
        .storages
        .get(&storage)
        .and_then(|one| one.options.get("path"))
        .cloned();
    let volume = match &path {
        Some(_) => format!("{storage}:{vmid}/vm-{vmid}-state-{name}.raw"),
        None => format!("{storage}:vm-{vmid}-state-{name}"),
    };
    if let Some(path) = path {
        let line = format!(
            "Formatting '{path}/images/{vmid}/vm-{vmid}-state-{name}.raw', fmt=raw size={size} preallocation=off"
        );
        world.log(index, line);
    }
    world.log(
        index,
        format!("saving VM state and RAM using storage '{storage}'"),
    );
    let saved = mebibytes * 3 / 4;
    for part in 1..=4 {
        let progress = format_amount(saved * part / 4);
        world.log(index, format!("{progress} in 0s"));
    }
    let line = format!(
        "completed saving the VM state in 0s, saved {}",
        format_amount(saved)
    );
    world.log(index, line);
    if let Some(storage) = world.storages.get_mut(&storage) {
        storage.occupy(&node, saved << 20);
    }
    snapshot.bytes.insert(storage, saved << 20);
    let release = world.release;
    let machine = release.machine();
    let config = Arc::make_mut(&mut snapshot.config);
    if release.is_9() {
        config.insert("running-nets-host-mtu".to_owned(), Value::from(" "));
    }
    config.insert("runningcpu".to_owned(), Value::from(cpu));
    config.insert("runningmachine".to_owned(), Value::from(machine));
    snapshot.vmstate = Some(volume);
}

fn vmstate_storage(guest: &Guest) -> String {
    if let Some(storage) = guest.config_text("vmstatestorage") {
        return storage.to_owned();
    }
    let volumes = guest.volumes();
    let disk = volumes.iter().find(|volume| !volume.cdrom);
    disk.and_then(Volume::storage).unwrap_or("local").to_owned()
}

fn format_amount(mebibytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a log line with two digits")]
    let amount = mebibytes as f64;
    if amount >= 1024.0 {
        return format!("{:.2} GiB", amount / 1024.0);
    }
    format!("{amount:.2} MiB")
}

fn snapshot_volumes(world: &mut World, index: usize, name: &str) -> Result<(), ErrorText> {
    let task = world.task(index);
    let (kind, node, vmid) = (task.guest_kind, task.upid.node.clone(), task.vmid);
    let guest = world.guest_on(kind, &node, vmid)?;
    world.activate_storages(guest)?;
    let is_unreadable = guest.is_disk_unreadable;
    for volume in guest.volumes().iter().filter(|volume| !volume.cdrom) {
        if kind == GuestKind::Qemu {
            world.log(
                index,
                format!("snapshotting 'drive-{}' ({})", volume.key, volume.id),
            );
        }
        if let Some(line) = qemu_snapshot_text(world, vmid, volume) {
            world.log(index, line);
        }
        if is_unreadable {
            let file = image_path(world, volume);
            world.log(
                index,
                format!("qemu-img: Could not open '{file}': Could not open '{file}': No such file or directory"),
            );
            return Err(format!(
                "command '/usr/bin/qemu-img snapshot -c {name} {file}' failed: exit code 1"
            ));
        }
        claim_space(world, &node, vmid, name, volume);
    }
    Ok(())
}

/// How PVE 9 describes a snapshot taken by QEMU itself, of an image of a running machine: inside
/// the image or as a separate file.
fn qemu_snapshot_text(world: &World, vmid: u32, volume: &Volume) -> Option<&'static str> {
    let guest = world.guests.get(&vmid)?;
    let storage = world.storages.get(volume.storage()?)?;
    if !world.release.is_9() || guest.kind == GuestKind::Lxc || guest.running.is_none() {
        return None;
    }
    if storage.has_volume_chains() {
        return Some("external qemu snapshot");
    }
    (volume.format() == "qcow2").then_some("internal qemu snapshot")
}

fn claim_space(world: &mut World, node: &str, vmid: u32, name: &str, volume: &Volume) {
    let bytes = volume.size / 100 * SNAPSHOT_PERCENT;
    let Some(storage) = volume.storage().and_then(|id| world.storages.get_mut(id)) else {
        return;
    };
    storage.occupy(node, bytes);
    let id = storage.id.clone();
    let snapshot = world
        .guests
        .get_mut(&vmid)
        .and_then(|guest| guest.snapshots.get_mut(name));
    if let Some(snapshot) = snapshot {
        *snapshot.bytes.entry(id).or_default() += bytes;
    }
}

/// The file of a volume on a directory storage.
pub(super) fn image_path(world: &World, volume: &Volume) -> String {
    let path = volume
        .storage()
        .and_then(|id| world.storages.get(id))
        .and_then(|storage| storage.options.get("path"));
    let name = volume
        .id
        .split_once(':')
        .map_or(volume.id.as_str(), |(_, name)| name);
    match path {
        Some(path) => format!("{path}/images/{name}"),
        None => volume.id.clone(),
    }
}

/// `__snapshot_commit`.
fn commit(world: &mut World, index: usize, name: &str) -> Result<(), ErrorText> {
    world.check_quorum(index)?;
    let task = world.task(index);
    let (kind, node, vmid) = (task.guest_kind, task.upid.node.clone(), task.vmid);
    let guest = world.guest_on_mut(kind, &node, vmid)?;
    if guest.lock.as_deref() != Some("snapshot") {
        return Err("missing snapshot lock".to_owned());
    }
    let Some(snapshot) = guest.snapshots.get_mut(name) else {
        return Err(format!("snapshot '{name}' does not exist"));
    };
    if snapshot.state.as_deref() != Some("prepare") {
        return Err("wrong snapshot state".to_owned());
    }
    snapshot.state = None;
    guest.lock = None;
    guest.parent = Some(name.to_owned());
    Ok(())
}
