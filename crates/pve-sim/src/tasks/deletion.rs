// SPDX-License-Identifier: GPL-3.0-only
//! Removal of a snapshot, with the steps of `snapshot_delete` in `PVE/AbstractConfig.pm`: lock and
//! mark, remove RAM state and volumes, clean up. After a failure the guest stays locked and the
//! snapshot marked, as in PVE.

use std::sync::Arc;

use crate::clock::Seconds;
use crate::faults::{TaskFault, TaskStep};
use crate::world::guest::{ReplicationJob, ReplicationState, volumes};
use crate::world::{ErrorText, World};

use super::TaskStage;
use super::creation::{check_lock, image_path, release_space};
use super::runner::{StepResult, VANISHED};

pub(super) fn step(
    world: &mut World,
    index: usize,
    at: Seconds,
    name: &str,
    force: bool,
) -> StepResult {
    let duration = world.task(index).duration;
    match world.task(index).stage {
        TaskStage::Queued => StepResult::Next(at, TaskStage::Begin { since: at }),
        TaskStage::Begin { since } => {
            if let Err(text) = check_removable(world, index, name, force) {
                return StepResult::Done(Err(text));
            }
            world.with_lock(index, since, at, |world| {
                mark_deleted(world, index, name)?;
                Ok(StepResult::Next(at + duration / 2.0, TaskStage::Volumes))
            })
        }
        TaskStage::Volumes => match remove_volumes(world, index, name, force) {
            Ok(()) => StepResult::Next(at + duration / 2.0, TaskStage::Finish),
            Err(text) => StepResult::Done(Err(text)),
        },
        TaskStage::Finish => StepResult::Done(clean_up(world, index, name)),
    }
}

/// The checks before PVE takes the lock.
fn check_removable(world: &World, index: usize, name: &str, force: bool) -> Result<(), ErrorText> {
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

/// `set_lock` and the section `#prepare`.
fn mark_deleted(world: &mut World, index: usize, name: &str) -> Result<(), ErrorText> {
    let task = world.task(index);
    let (kind, node, vmid) = (task.guest_kind, task.upid.node.clone(), task.vmid);
    check_lock(world.guest_on(kind, &node, vmid)?)?;
    world.check_quorum(index)?;
    let dies_after_locking =
        world.task(index).fault == Some(TaskFault::AbortAt(TaskStep::DeleteState));
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

fn remove_volumes(
    world: &mut World,
    index: usize,
    name: &str,
    force: bool,
) -> Result<(), ErrorText> {
    let task = world.task(index);
    let (kind, node, vmid) = (task.guest_kind, task.upid.node.clone(), task.vmid);
    let guest = world.guest_on_mut(kind, &node, vmid)?;
    let lost = guest.is_disk_unreadable || guest.lost_disk_snapshots.contains(name);
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

/// Without `force`, every removed drive leaves the snapshot section immediately, so that a later
/// attempt skips it.
fn forget_drive(world: &mut World, vmid: u32, name: &str, key: &str) {
    let guest = world.guests.get_mut(&vmid);
    if let Some(snapshot) = guest.and_then(|guest| guest.snapshots.get_mut(name)) {
        Arc::make_mut(&mut snapshot.config).remove(key);
    }
}

/// The section `#now cleanup config`: re-parents the children.
fn clean_up(world: &mut World, index: usize, name: &str) -> Result<(), ErrorText> {
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
    release_space(world, &node, &snapshot);
    Ok(())
}
