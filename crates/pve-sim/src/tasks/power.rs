// SPDX-License-Identifier: GPL-3.0-only
//! Starting, stopping and pausing guests (`PVE/QemuServer.pm`, `PVE/LXC.pm`). Guests are well
//! behaved: they shut down and start again when they are asked to.

use crate::clock::Seconds;
use crate::world::guest::{Guest, GuestKind, Running};
use crate::world::{Died, World};

use super::create::check_lock;
use super::run::Step;
use super::{Stage, Work};

/// Carries a power action out.
pub(super) fn step(world: &mut World, index: usize, at: Seconds) -> Step {
    let task = world.task(index);
    if !matches!(task.stage, Stage::Finish) {
        return Step::Next(at + task.duration, Stage::Finish);
    }
    let (kind, node, vmid) = (task.guest_kind, task.upid.node.clone(), task.vmid);
    let (work, pid) = (task.work.clone(), task.upid.pid + 1);
    let process = Running { since: at, pid };
    let guest = match world.guest_on_mut(kind, &node, vmid) {
        Ok(guest) => guest,
        Err(text) => return Step::Done(Err(text)),
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
        return Step::Done(Err(text));
    }
    if matches!(work, Work::Start | Work::Reboot) {
        remark(world, index, kind);
    }
    Step::Done(Ok(()))
}

fn start(guest: &mut Guest, process: Running) -> Result<(), Died> {
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

/// A guest that is stopped already stays so, locked or not.
fn stop(guest: &mut Guest) -> Result<(), Died> {
    if guest.running.is_some() {
        check_lock(guest)?;
        guest.switch_off();
    }
    Ok(())
}

fn suspend(guest: &mut Guest, to_disk: bool) -> Result<(), Died> {
    check_lock(guest)?;
    if guest.kind == GuestKind::Lxc {
        return Err(format!(
            "command 'lxc-checkpoint -n {} -s -D /var/lib/vz/dump' failed: exit code 1",
            guest.vmid
        ));
    }
    if to_disk {
        guest.switch_off();
        guest.lock = Some("suspended".to_owned());
    } else {
        guest.paused = true;
    }
    Ok(())
}

fn resume(guest: &mut Guest, process: Running) -> Result<(), Died> {
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

/// What the host of the recordings printed when a guest was started.
fn remark(world: &mut World, index: usize, kind: GuestKind) {
    let vmid = world.task(index).vmid;
    let without_drive = world
        .guests
        .get(&vmid)
        .is_some_and(|guest| guest.volumes().iter().any(|volume| volume.id == "cdrom"));
    match kind {
        // It had no supervisor for containers, and its log says so; a client has to cope with
        // unknown lines anyway.
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

/// Freezing containers needs a program that PVE does not install.
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
