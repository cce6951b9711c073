// SPDX-License-Identifier: GPL-3.0-only
//! `POST …/status/{start,stop,…}` (`PVE/API2/Qemu.pm`, `PVE/API2/LXC/Status.pm`): the checks before
//! the task starts.

use crate::access::permission::ROOT;
use crate::tasks::Work;
use crate::world::World;
use crate::world::guest::{Guest, GuestKind};

use super::{Args, Failure, Reply, check_privileges, parameter_error, snapshots};

/// Parameters that only root may give.
const ROOT_ONLY: &[&str] = &[
    "skiplock",
    "keepActive",
    "migratedfrom",
    "stateuri",
    "migration_type",
    "migration_network",
    "targetstorage",
    "force-cpu",
    "nocheck",
];

/// The error of `check_cfs_quorum` in `PVE/Cluster.pm`.
const NO_QUORUM: &str = "cluster not ready - no quorum?";

/// Starts the task for a power action.
pub(super) fn act(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    for name in ROOT_ONLY {
        let given = args
            .text(name)
            .is_some_and(|text| !matches!(text.as_str(), "" | "0"));
        if given && args.who != ROOT {
            return Err(parameter_error(name, "Only root may use this option."));
        }
    }
    let action = args.template.rsplit('/').next().unwrap_or_default();
    let work = match args.kind() {
        GuestKind::Qemu => machine(world, args, action)?,
        GuestKind::Lxc => container(world, args, action)?,
    };
    Ok(args.start_task(world, work))
}

/// For virtual machines, the task detects missing, template, locked and already running guests.
fn machine(world: &World, args: &Args<'_>, action: &str) -> Result<Work, Failure> {
    let paused = guest(world, args).is_some_and(Guest::is_paused);
    Ok(match action {
        "start" => {
            check_quorum(world)?;
            Work::Start
        }
        "stop" => Work::Stop,
        "shutdown" if paused && !args.flag("forceStop") => {
            return Err(Failure::Died("VM is paused - cannot shutdown".to_owned()));
        }
        "shutdown" => Work::Shutdown,
        "reboot" if paused => {
            return Err(Failure::Died("VM is paused - cannot shutdown".to_owned()));
        }
        "reboot" => running(world, args, Work::Reboot)?,
        "reset" => running(world, args, Work::Reset)?,
        "suspend" => {
            let to_disk = args.flag("todisk");
            let work = running(world, args, Work::Suspend { to_disk })?;
            if to_disk {
                let path = format!("/vms/{}", args.vmid());
                check_privileges(world, args.who, &path, &["VM.Config.Disk"], false)?;
            }
            work
        }
        _ => {
            let suspended =
                guest(world, args).is_some_and(|guest| guest.lock.as_deref() == Some("suspended"));
            if suspended {
                Work::Resume
            } else {
                running(world, args, Work::Resume)?
            }
        }
    })
}

/// For containers, PVE first checks whether they are running; most actions then take the lock file.
fn container(world: &World, args: &Args<'_>, action: &str) -> Result<Work, Failure> {
    let vmid = args.vmid();
    let runs = guest(world, args).is_some_and(|guest| guest.running.is_some());
    let (must_run, work) = match action {
        "start" => (false, Work::Start),
        "resume" => (false, Work::Resume),
        "stop" => (true, Work::Stop),
        "shutdown" => (true, Work::Shutdown),
        "reboot" => (true, Work::Reboot),
        _ => (true, Work::Suspend { to_disk: false }),
    };
    if runs != must_run {
        // PVE's reboot of a container calls it a VM.
        let noun = if action == "reboot" { "VM" } else { "CT" };
        let state = if runs {
            "already running"
        } else {
            "not running"
        };
        return Err(Failure::Died(format!("{noun} {vmid} {state}")));
    }
    if action == "start" {
        check_quorum(world)?;
    }
    if !matches!(action, "resume" | "reboot") {
        snapshots::wait_for_lock(world, args)?;
    }
    Ok(work)
}

fn guest<'a>(world: &'a World, args: &Args<'_>) -> Option<&'a Guest> {
    world.guest_on(args.kind(), &args.node(), args.vmid()).ok()
}

/// `check_running` of a virtual machine; its configuration must be on this node.
fn running(world: &World, args: &Args<'_>, work: Work) -> Result<Work, Failure> {
    let vmid = args.vmid();
    match guest(world, args) {
        Some(guest) if guest.running.is_some() => Ok(work),
        Some(_) => Err(Failure::Died(format!("VM {vmid} not running"))),
        None => Err(Failure::Died(format!(
            "unable to find configuration file for VM {vmid} on node '{}'",
            args.node()
        ))),
    }
}

fn check_quorum(world: &World) -> Result<(), Failure> {
    if world.quorate {
        Ok(())
    } else {
        Err(Failure::Died(NO_QUORUM.to_owned()))
    }
}
