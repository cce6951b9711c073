// SPDX-License-Identifier: GPL-3.0-only
//! Taking a snapshot, step by step as `snapshot_create` in
//! `PVE/AbstractConfig.pm`: prepare under the lock, snapshot the volumes,
//! commit under the lock; after an error the whole is taken back.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::clock::{Seconds, whole};
use crate::world::guest::{Guest, GuestKind, Snapshot, Volume, stored_description};
use crate::world::storage::SNAPSHOT_PERCENT;
use crate::world::{Died, World};

use super::Stage;
use super::run::{Locking, Step};

/// How long PVE waits for an agent that does not answer, in seconds.
const AGENT_TIMEOUT: f64 = 3.0;

pub(super) fn step(
    world: &mut World,
    index: usize,
    at: Seconds,
    name: &str,
    description: Option<&str>,
    vmstate: bool,
) -> Step {
    let duration = world.task(index).duration;
    match world.task(index).stage {
        Stage::Queued => Step::Next(at, Stage::Begin { since: at }),
        Stage::Begin { since } => match world.lock_config(index, since, at) {
            Locking::Wait(until) => Step::Next(until, Stage::Begin { since }),
            Locking::TimedOut(text) => Step::Done(Err(text)),
            Locking::Taken => match prepare(world, index, at, name, description, vmstate) {
                Err(text) => Step::Done(Err(text)),
                Ok(extra) => Step::Next(at + duration / 2.0 + extra, Stage::Volumes),
            },
        },
        Stage::Volumes => match snapshot_volumes(world, index, name) {
            Ok(()) => Step::Next(at + duration / 2.0, Stage::Finish),
            Err(text) => {
                world.log(index, "snapshot create failed: starting cleanup");
                clean_up(world, index);
                // The text ends in two newlines, of which a blank remains.
                Step::Done(Err(format!("{text} ")))
            }
        },
        Stage::Finish => Step::Done(commit(world, index, name)),
    }
}

/// Takes back a creation: what `snapshot_delete` does when it is called with
/// the drives done so far.
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
        give_back(world, &node, &snapshot);
    }
}

/// Returns the space of a snapshot to its storages.
pub(super) fn give_back(world: &mut World, node: &str, snapshot: &Snapshot) {
    for (storage, bytes) in &snapshot.bytes {
        if let Some(storage) = world.storages.get_mut(storage) {
            storage.release(node, *bytes);
        }
    }
}

/// The text PVE refuses with when a guest is locked (`check_lock`).
pub(crate) fn check_lock(guest: &Guest) -> Result<(), Died> {
    match &guest.lock {
        Some(lock) => Err(format!("{} is locked ({lock})", guest.kind.noun())),
        None => Ok(()),
    }
}

/// `__snapshot_prepare`. Gives back the seconds it takes longer than usual.
fn prepare(
    world: &mut World,
    index: usize,
    at: Seconds,
    name: &str,
    description: Option<&str>,
    vmstate: bool,
) -> Result<f64, Died> {
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
        taken_at: whole(world.on_clock_of(&node, at)),
        description: description.and_then(|text| stored_description(kind, text)),
        parent: guest.parent.clone(),
        state: Some("prepare".to_owned()),
        vmstate: None,
        config: Arc::clone(&guest.config),
        bytes: BTreeMap::new(),
    };
    let with_ram = vmstate && guest.running.is_some();
    // The file systems are frozen after the storages were activated.
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
    // Freezing the file systems is skipped when the RAM is saved.
    if world.release.is_9() {
        return Ok(frozen_by_9(world, index, with_ram, agent_silent));
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

/// What PVE 9 logs about file systems that it does not freeze, and how long it waited to know.
fn frozen_by_9(world: &mut World, index: usize, with_ram: bool, agent_silent: bool) -> f64 {
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

/// `warn "deleting parent ... reference"`: a name that is used again must not
/// become the parent of its own ancestors.
fn drop_bogus_parents(guest: &mut Guest, name: &str) {
    for other in guest.snapshots.values_mut() {
        if other.parent.as_deref() == Some(name) {
            other.parent = None;
        }
    }
}

/// `__snapshot_save_vmstate` in `PVE/QemuConfig.pm`: a volume of twice the
/// memory plus 500 MiB, on the storage the disks are on or on `local`.
fn save_vmstate(world: &mut World, index: usize, name: &str, snapshot: &mut Snapshot) {
    let vmid = world.task(index).vmid;
    let node = world.task(index).upid.node.clone();
    let Some(guest) = world.guests.get(&vmid) else {
        return;
    };
    let storage = vmstate_storage(guest);
    let mebibytes = guest.number("memory").unwrap_or(512);
    let cpu = guest.text("cpu").unwrap_or("kvm64").to_owned();
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
        let done = format_amount(saved * part / 4);
        world.log(index, format!("{done} in 0s"));
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
    if let Some(storage) = guest.text("vmstatestorage") {
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

fn snapshot_volumes(world: &mut World, index: usize, name: &str) -> Result<(), Died> {
    let task = world.task(index);
    let (kind, node, vmid) = (task.guest_kind, task.upid.node.clone(), task.vmid);
    let guest = world.guest_on(kind, &node, vmid)?;
    world.activate_storages(guest)?;
    let hidden = guest.disk_hidden;
    for volume in guest.volumes().iter().filter(|volume| !volume.cdrom) {
        if kind == GuestKind::Qemu {
            world.log(
                index,
                format!("snapshotting 'drive-{}' ({})", volume.key, volume.id),
            );
        }
        if let Some(line) = made_by_qemu(world, vmid, volume) {
            world.log(index, line);
        }
        if hidden {
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

/// How PVE 9 says that QEMU itself takes the snapshot: of an image of a running machine, into the
/// image or into a file of its own.
fn made_by_qemu(world: &World, vmid: u32, volume: &Volume) -> Option<&'static str> {
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

/// The file behind a volume of a directory storage.
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
fn commit(world: &mut World, index: usize, name: &str) -> Result<(), Died> {
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
