// SPDX-License-Identifier: GPL-3.0-only
//! Removing a snapshot, step by step as `snapshot_delete` in
//! `PVE/AbstractConfig.pm`: lock and mark, remove state and volumes, clean up.
//! What fails in between stays locked and marked, as in PVE.

use std::sync::Arc;

use crate::clock::Seconds;
use crate::faults::{Step as FaultStep, TaskFault};
use crate::world::guest::{ReplicationJob, ReplicationState, volumes};
use crate::world::{Died, World};

use super::Stage;
use super::create::{check_lock, give_back, image_path};
use super::run::{Locking, Step, VANISHED};

pub(super) fn step(world: &mut World, index: usize, at: Seconds, name: &str, force: bool) -> Step {
    let duration = world.task(index).duration;
    match world.task(index).stage {
        Stage::Queued => Step::Next(at, Stage::Begin { since: at }),
        Stage::Begin { since } => {
            if let Err(text) = look_up(world, index, name, force) {
                return Step::Done(Err(text));
            }
            match world.lock_config(index, since, at) {
                Locking::Wait(until) => Step::Next(until, Stage::Begin { since }),
                Locking::TimedOut(text) => Step::Done(Err(text)),
                Locking::Taken => match mark(world, index, name) {
                    Ok(()) => Step::Next(at + duration / 2.0, Stage::Volumes),
                    Err(text) => Step::Done(Err(text)),
                },
            }
        }
        Stage::Volumes => match remove_volumes(world, index, name, force) {
            Ok(()) => Step::Next(at + duration / 2.0, Stage::Finish),
            Err(text) => Step::Done(Err(text)),
        },
        Stage::Finish => Step::Done(clean_up(world, index, name)),
    }
}

/// What is looked at before the lock is taken.
fn look_up(world: &World, index: usize, name: &str, force: bool) -> Result<(), Died> {
    let task = world.task(index);
    let guest = world.guest_on(task.guest_kind, &task.upid.node, task.vmid)?;
    if !guest.snapshots.contains_key(name) {
        return Err(format!("snapshot '{name}' does not exist"));
    }
    match &guest.replication_job {
        Some(ReplicationJob {
            id,
            state: ReplicationState::Pending,
        }) if !force => Err(format!(
            "snapshot '{name}' needed by replication job '{id}' - run replication first"
        )),
        Some(_) | None => Ok(()),
    }
}

/// `set_lock` and the part `#prepare`.
fn mark(world: &mut World, index: usize, name: &str) -> Result<(), Died> {
    let task = world.task(index);
    let (kind, node, vmid) = (task.guest_kind, task.upid.node.clone(), task.vmid);
    check_lock(world.guest_on(kind, &node, vmid)?)?;
    world.check_quorum(index)?;
    let dies_after_locking =
        world.task(index).fault == Some(TaskFault::AbortAt(FaultStep::DeleteState));
    let guest = world.guest_on_mut(kind, &node, vmid)?;
    guest.lock = Some("snapshot-delete".to_owned());
    if guest.is_template() {
        return Err("you can't delete a snapshot if vm is a template".to_owned());
    }
    if dies_after_locking {
        return Err(VANISHED.to_owned());
    }
    match guest.snapshots.get_mut(name) {
        Some(snapshot) => snapshot.state = Some("delete".to_owned()),
        None => return Err(format!("snapshot '{name}' does not exist")),
    }
    Ok(())
}

fn remove_volumes(world: &mut World, index: usize, name: &str, force: bool) -> Result<(), Died> {
    let task = world.task(index);
    let (kind, node, vmid) = (task.guest_kind, task.upid.node.clone(), task.vmid);
    let guest = world.guest_on_mut(kind, &node, vmid)?;
    let lost = guest.disk_hidden || guest.lost_disk_snapshots.contains(name);
    let Some(snapshot) = guest.snapshots.get_mut(name) else {
        return Err(format!("snapshot '{name}' does not exist"));
    };
    snapshot.vmstate = None;
    let disks = volumes(kind, &snapshot.config);
    for volume in disks.iter().filter(|volume| !volume.cdrom) {
        if lost {
            let file = image_path(world, volume);
            world.log(
                index,
                format!("qemu-img: Could not delete snapshot '{name}': snapshot not found"),
            );
            let text = format!(
                "command '/usr/bin/qemu-img snapshot -d {name} {file}' failed: exit code 1"
            );
            if !force {
                return Err(text);
            }
            world.log(index, text);
        } else if !force {
            forget_drive(world, vmid, name, &volume.key);
        }
    }
    Ok(())
}

/// Without `force` every drive that is done leaves the snapshot's section at
/// once, so that a later attempt does not try it again.
fn forget_drive(world: &mut World, vmid: u32, name: &str, key: &str) {
    let guest = world.guests.get_mut(&vmid);
    if let Some(snapshot) = guest.and_then(|guest| guest.snapshots.get_mut(name)) {
        Arc::make_mut(&mut snapshot.config).remove(key);
    }
}

/// The part `#now cleanup config`: the children move up.
fn clean_up(world: &mut World, index: usize, name: &str) -> Result<(), Died> {
    world.check_quorum(index)?;
    let task = world.task(index);
    let (kind, node, vmid) = (task.guest_kind, task.upid.node.clone(), task.vmid);
    let guest = world.guest_on_mut(kind, &node, vmid)?;
    if guest.lock.as_deref() != Some("snapshot-delete") {
        return Err("encountered invalid lock, expected 'snapshot-delete'".to_owned());
    }
    let Some(snapshot) = guest.snapshots.remove(name) else {
        return Err(format!("snapshot '{name}' does not exist"));
    };
    let parents = guest.snapshots.values_mut().map(|other| &mut other.parent);
    for parent in parents.chain([&mut guest.parent]) {
        if parent.as_deref() == Some(name) {
            parent.clone_from(&snapshot.parent);
        }
    }
    guest.lock = None;
    guest.lost_disk_snapshots.remove(name);
    give_back(world, &node, &snapshot);
    Ok(())
}
