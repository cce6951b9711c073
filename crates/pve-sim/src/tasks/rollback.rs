// SPDX-License-Identifier: GPL-3.0-only
//! Rollback to a snapshot (`snapshot_rollback` in `PVE/AbstractConfig.pm`).

use std::sync::Arc;

use crate::clock::Seconds;
use crate::world::guest::{Guest, Running, Snapshot};
use crate::world::{ErrorText, World};

use super::creation::check_lock;
use super::runner::StepResult;
use super::{TaskStage, Work};

pub(super) fn step(
    world: &mut World,
    index: usize,
    at: Seconds,
    name: &str,
    start: bool,
) -> StepResult {
    let duration = world.task(index).duration;
    match world.task(index).stage {
        TaskStage::Queued => StepResult::Next(at, TaskStage::Begin { since: at }),
        TaskStage::Begin { since } => world.with_lock(index, since, at, |world| {
            prepare(world, index, name)?;
            Ok(StepResult::Next(at + duration, TaskStage::Finish))
        }),
        TaskStage::Volumes | TaskStage::Finish => {
            StepResult::Done(finish(world, index, at, name, start))
        }
    }
}

fn prepare(world: &mut World, index: usize, name: &str) -> Result<(), ErrorText> {
    let task = world.task(index);
    let (kind, node, vmid) = (task.guest_kind, task.upid.node.clone(), task.vmid);
    let guest = world.guest_on(kind, &node, vmid)?;
    if guest.is_template() {
        return Err("you can't rollback if vm is a template".to_owned());
    }
    let snapshot = snapshot(guest, name)?;
    check_newest_on_zfs(world, guest, snapshot, name)?;
    if let Some(state) = &snapshot.state {
        return Err(format!(
            "unable to rollback to incomplete snapshot (snapstate = {state})"
        ));
    }
    check_lock(guest)?;
    world.check_quorum(index)?;
    let guest = world.guest_on_mut(kind, &node, vmid)?;
    guest.power_off();
    guest.lock = Some("rollback".to_owned());
    Ok(())
}

/// ZFS can only roll back to the latest snapshot (`volume_rollback_is_possible` in
/// `PVE/Storage/ZFSPoolPlugin.pm`).
fn check_newest_on_zfs(
    world: &World,
    guest: &Guest,
    snapshot: &Snapshot,
    name: &str,
) -> Result<(), ErrorText> {
    let newer = guest
        .snapshots
        .values()
        .any(|other| other.taken_at > snapshot.taken_at);
    for volume in guest.volumes() {
        let storage = volume.storage().and_then(|id| world.storages.get(id));
        if newer && storage.is_some_and(|storage| storage.kind == "zfspool") {
            let disk = volume
                .id
                .split_once(':')
                .map_or(volume.id.as_str(), |(_, disk)| disk);
            return Err(format!(
                "can't rollback, '{name}' is not most recent snapshot on '{disk}'"
            ));
        }
    }
    Ok(())
}

fn finish(
    world: &mut World,
    index: usize,
    at: Seconds,
    name: &str,
    start: bool,
) -> Result<(), ErrorText> {
    world.check_quorum(index)?;
    let task = world.task(index);
    let (kind, node, vmid) = (task.guest_kind, task.upid.node.clone(), task.vmid);
    let pid = task.upid.pid + 1;
    let guest = world.guest_on_mut(kind, &node, vmid)?;
    if guest.lock.as_deref() != Some("rollback") {
        return Err("got wrong lock".to_owned());
    }
    let snapshot = snapshot(guest, name)?.clone();
    guest.lock = None;
    guest.parent = Some(name.to_owned());
    let mut config = (*snapshot.config).clone();
    config.remove("runningcpu");
    config.remove("running-nets-host-mtu");
    config.remove("runningmachine");
    // The rollback keeps the description and the unused disks.
    config.retain(|key, _| !kept_by_rollback(key));
    let kept = guest.config.iter().filter(|(key, _)| kept_by_rollback(key));
    config.extend(kept.map(|(key, value)| (key.clone(), value.clone())));
    guest.config = Arc::new(config);
    guest.paused = false;
    if snapshot.vmstate.is_some() {
        guest.running = Some(Running { since: at, pid });
    } else if start && guest.running.is_none() {
        // PVE starts a separate task and does not wait for it.
        let who = world.task(index).upid.user.clone();
        world.fork_task(kind, &node, vmid, &who, Work::Start, at);
    }
    Ok(())
}

fn kept_by_rollback(key: &str) -> bool {
    key == "description" || key.starts_with("unused")
}

fn snapshot<'a>(guest: &'a Guest, name: &str) -> Result<&'a Snapshot, ErrorText> {
    guest
        .snapshots
        .get(name)
        .ok_or_else(|| format!("snapshot '{name}' does not exist"))
}
