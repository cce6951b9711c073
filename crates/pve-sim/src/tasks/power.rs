// SPDX-License-Identifier: GPL-3.0-only
//! Starting and stopping guests: just enough to take snapshots of running
//! ones (`vm_start`, `vm_stop` in `PVE/QemuServer.pm`, `PVE/LXC.pm`).

use crate::clock::Seconds;
use crate::world::World;
use crate::world::guest::{GuestKind, Running};

use super::Stage;
use super::create::check_lock;
use super::run::Step;

/// Starts the guest.
pub(super) fn start(world: &mut World, index: usize, at: Seconds) -> Step {
    let task = world.task(index);
    let (kind, node, vmid) = (task.guest_kind, task.upid.node.clone(), task.vmid);
    let pid = task.upid.pid + 1;
    if !matches!(task.stage, Stage::Finish) {
        return Step::Next(at + task.duration, Stage::Finish);
    }
    let guest = match world.guest_on_mut(kind, &node, vmid) {
        Ok(guest) => guest,
        Err(text) => return Step::Done(Err(text)),
    };
    if let Err(text) = check_lock(guest) {
        return Step::Done(Err(text));
    }
    if guest.running.is_some() {
        return Step::Done(Err(format!("{} {vmid} already running", guest.kind.noun())));
    }
    guest.running = Some(Running { since: at, pid });
    let without_drive = guest.volumes().iter().any(|volume| volume.id == "cdrom");
    match kind {
        // The host of the recordings had no supervisor for containers, and its
        // log says so; a client has to cope with unknown lines anyway.
        GuestKind::Lxc => world.log(
            index,
            "failed to connect to monitor socket: Connection refused",
        ),
        GuestKind::Qemu if without_drive => {
            world.log(index, "WARN: no physical CD-ROM available, ignoring");
            world.tasks.tasks[index].warnings += 1;
        }
        GuestKind::Qemu => {}
    }
    Step::Done(Ok(()))
}

/// Stops the guest; one that is stopped already stays so without complaint.
pub(super) fn stop(world: &mut World, index: usize, at: Seconds) -> Step {
    let task = world.task(index);
    let (kind, node, vmid) = (task.guest_kind, task.upid.node.clone(), task.vmid);
    if !matches!(task.stage, Stage::Finish) {
        let duration = task.duration;
        return Step::Next(at + duration, Stage::Finish);
    }
    let stopped = world.guest_on_mut(kind, &node, vmid).and_then(|guest| {
        check_lock(guest)?;
        guest.running = None;
        Ok(())
    });
    Step::Done(stopped)
}
