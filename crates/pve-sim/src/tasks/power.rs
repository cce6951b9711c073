// SPDX-License-Identifier: GPL-3.0-only
//! Starts, stops and pauses guests (`PVE/QemuServer.pm`, `PVE/LXC.pm`). Guests always shut down and
//! restart when requested.

use crate::clock::Seconds;
use crate::world::guest::{Guest, GuestKind, Running};
use crate::world::{ErrorText, World};

use super::creation::check_lock;
use super::runner::StepResult;
use super::{TaskStage, Work};

/// Executes a power action.
pub(super) fn step(world: &mut World, index: usize, at: Seconds) -> StepResult {
    let task = world.task(index);
    if !matches!(task.stage, TaskStage::Finish) {
        return StepResult::Next(at + task.duration, TaskStage::Finish);
    }
    let (kind, node, vmid) = (task.guest_kind, task.upid.node.clone(), task.vmid);
    let (work, pid) = (task.work.clone(), task.upid.pid + 1);
    let process = Running { since: at, pid };
    let guest = match world.guest_on_mut(kind, &node, vmid) {
        Ok(guest) => guest,
        Err(text) => return StepResult::Done(Err(text)),
    };
    let result = match work {
        Work::Start => start(guest, process),
        Work::Reboot => check_lock(guest).map(|()| restart(guest, process)),
        Work::Reset => check_lock(guest),
        Work::Suspend { to_disk } => suspend(guest, to_disk),
        Work::Resume => resume(guest, process),
        Work::Stop | Work::Shutdown => stop(guest),
        Work::Create { .. }
        | Work::Delete { .. }
        | Work::Rollback { .. }
        | Work::Configure { .. } => Ok(()),
    };
    if let Err(text) = result {
        if kind == GuestKind::Lxc && text.starts_with("command 'lxc-checkpoint") {
            explain_missing_criu(world, index, vmid);
        }
        return StepResult::Done(Err(text));
    }
    if matches!(work, Work::Start | Work::Reboot) {
        log_start_messages(world, index, kind);
    }
    StepResult::Done(Ok(()))
}

fn start(guest: &mut Guest, process: Running) -> Result<(), ErrorText> {
    if guest.is_template() {
        let noun = match guest.kind {
            GuestKind::Qemu => "vm",
            GuestKind::Lxc => "CT",
        };
        return Err(format!("you can't start a {noun} if it's a template"));
    }
    let suspended = guest.lock.as_deref() == Some("suspended");
    if !suspended {
        check_lock(guest)?;
    }
    if guest.running.is_some() {
        let (noun, vmid) = (guest.kind.noun(), guest.vmid);
        return Err(format!("{noun} {vmid} already running"));
    }
    if suspended {
        guest.lock = None;
    }
    restart(guest, process);
    Ok(())
}

fn restart(guest: &mut Guest, process: Running) {
    guest.running = Some(process);
    guest.paused = false;
}

/// A stopped guest stays stopped, even if it is locked.
fn stop(guest: &mut Guest) -> Result<(), ErrorText> {
    if guest.running.is_some() {
        check_lock(guest)?;
        guest.power_off();
    }
    Ok(())
}

fn suspend(guest: &mut Guest, to_disk: bool) -> Result<(), ErrorText> {
    check_lock(guest)?;
    if guest.kind == GuestKind::Lxc {
        return Err(format!(
            "command 'lxc-checkpoint -n {} -s -D /var/lib/vz/dump' failed: exit code 1",
            guest.vmid
        ));
    }
    if to_disk {
        guest.power_off();
        guest.lock = Some("suspended".to_owned());
    } else {
        guest.paused = true;
    }
    Ok(())
}

fn resume(guest: &mut Guest, process: Running) -> Result<(), ErrorText> {
    if guest.kind == GuestKind::Lxc {
        return Err(format!(
            "command 'lxc-checkpoint -n {} -r --foreground -D /var/lib/vz/dump' failed: exit code 1",
            guest.vmid
        ));
    }
    if guest.lock.as_deref() == Some("suspended") {
        return start(guest, process);
    }
    check_lock(guest)?;
    guest.paused = false;
    Ok(())
}

/// Logs the lines that the recording host printed when a guest started.
fn log_start_messages(world: &mut World, index: usize, kind: GuestKind) {
    let vmid = world.task(index).vmid;
    let without_drive = world
        .guests
        .get(&vmid)
        .is_some_and(|guest| guest.volumes().iter().any(|volume| volume.id == "cdrom"));
    match kind {
        // That host had no container supervisor and logged this. Clients must handle unknown lines
        // anyway.
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
}

/// Freezing containers requires a program that PVE does not install.
fn explain_missing_criu(world: &mut World, index: usize, vmid: u32) {
    for line in [
        format!(
            "lxc-checkpoint: {vmid}: ../src/lxc/criu.c: criu_version_ok: 767 No such file or directory - execing criu failed, is it installed?"
        ),
        format!(
            "lxc-checkpoint: {vmid}: ../src/lxc/tools/lxc_checkpoint.c: checkpoint: 182 Checkpointing {vmid} failed"
        ),
    ] {
        world.log(index, line);
    }
}
