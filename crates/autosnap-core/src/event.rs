// SPDX-License-Identifier: GPL-3.0-only
//! What happened in a run, one value per fact, in the past tense.
//!
//! The engine sends these; reports, progress and the outcome are made from them and from nothing
//! else. Whoever receives them only observes.
//!
//! Limits: no time stamps (the receiver stamps them), no text for people beyond PVE's own.
//!
//! To add an event: add the variant here, let the compiler show every consumer, and decide in each
//! what it means there.

use std::sync::Arc;
use std::time::Duration;

use crate::guest::{Guest, Vmid};
use crate::outcome::ExitStatus;
use crate::plan::{DropReason, NewSnapshot, Plan};
use crate::remedy::Remedy;
use crate::select::NestedPools;
use crate::storage::{StorageLimit, StorageUsage};

/// One fact about a run.
#[derive(Debug, Clone)]
pub enum EventKind {
    /// The server has answered and the run begins.
    RunStarted(Header),
    /// Something about the request deserves attention; the run goes on.
    Warned(String),
    /// A name of the selection matches nothing, and may be that of a guest on an offline node,
    /// whose name PVE does not tell: what was asked for may not be done.
    NameNotKnown(String),
    /// An entry of a listing could not be read, and may be a selected guest.
    UnreadableEntry(String),
    /// A guest, pool or node that the selection names is not visible, or a term can match nothing, which is a
    /// failure. All others are done.
    MissingObject(String),
    /// The selection was evaluated.
    Selected {
        /// The guests, in the order of the plan.
        guests: Arc<[Guest]>,
        /// How many guests the login sees in all.
        seen: usize,
        /// The guests that must not be skipped: with `--strict`, those named by ID or name.
        required: Arc<[Vmid]>,
        /// The nested pools whose guests a term selects, which the C# tool up to 2.0.1 does not.
        nested_pools: Arc<[NestedPools]>,
        /// Whether it is a success that no guest is selected (`--allow-empty`).
        may_be_empty: bool,
    },
    /// The storages of the selected guests' nodes were looked at.
    StoragesRead {
        /// Those that can hold guests, by node and name.
        storages: Vec<StorageUsage>,
        /// The limit they were held against.
        limit: StorageLimit,
    },
    /// The storages were not looked at, because this version of PVE (its full name) has no figures.
    StoragesNotRead(String),
    /// The plan stands. With `--dry-run` this is the last fact but the end.
    Planned(Arc<Plan>),
    /// A hook has ended, or could not be started.
    HookRan(HookRun),
    /// A guest's turn has come.
    GuestStarted(Vmid),
    /// A guest was found locked, or its task runs longer than the time-out: others go first.
    GuestDeferred {
        /// The guest.
        vmid: Vmid,
        /// What PVE said, or what the guest waits for.
        cause: String,
    },
    /// A guest that was put back goes on, after this long in all.
    GuestResumed {
        /// The guest.
        vmid: Vmid,
        /// How long it has waited so far.
        waited: Duration,
        /// What it has waited for.
        reason: WaitReason,
    },
    /// A snapshot is about to be asked for.
    CreationStarted {
        /// The guest.
        vmid: Vmid,
        /// The snapshot.
        snapshot: NewSnapshot,
    },
    /// A snapshot was created.
    Created {
        /// The guest.
        vmid: Vmid,
        /// How it ended.
        success: Success,
    },
    /// RAM was requested and the VM runs, but its new snapshot has no RAM state.
    MissingRam {
        /// The VM.
        vmid: Vmid,
        /// The snapshot's name.
        snapshot: String,
    },
    /// A snapshot was not created, or nobody knows.
    CreationFailed {
        /// The guest.
        vmid: Vmid,
        /// Why.
        failure: Failure,
    },
    /// A removal is about to be asked for.
    RemovalStarted {
        /// The guest.
        vmid: Vmid,
        /// The snapshot's name.
        name: String,
    },
    /// A snapshot was removed.
    Removed {
        /// The guest.
        vmid: Vmid,
        /// The snapshot's name.
        name: String,
        /// How it ended.
        success: Success,
    },
    /// A snapshot was not removed, or nobody knows.
    RemovalFailed {
        /// The guest.
        vmid: Vmid,
        /// The snapshot's name.
        name: String,
        /// Why.
        failure: Failure,
    },
    /// A planned removal was left out after a second look; nothing is wrong.
    RemovalDropped {
        /// The guest.
        vmid: Vmid,
        /// The snapshot's name.
        name: String,
        /// Why.
        reason: DropReason,
    },
    /// A guest's planned removals were left to the next run.
    RemovalsPostponed {
        /// The guest.
        vmid: Vmid,
        /// How many.
        count: usize,
        /// Why.
        reason: PostponeReason,
    },
    /// A guest is done with, well or not; each guest of the plan gets exactly one of these. So does
    /// each selected guest when the run is stopped before there is a plan.
    GuestFinished {
        /// The guest.
        vmid: Vmid,
        /// How it ended.
        end: GuestResult,
        /// How long its turns took.
        duration: Duration,
    },
    /// The run was asked to stop; nothing new is started.
    Interrupted(StopReason),
    /// The run cannot go on: something failed that concerns all guests.
    RunBroken {
        /// The exit status that follows.
        exit: ExitStatus,
        /// What failed.
        message: String,
    },
    /// The run is over.
    RunFinished {
        /// How long it took.
        duration: Duration,
    },
}

/// The head of a run: what was asked, of whom.
#[derive(Debug, Clone)]
pub struct Header {
    /// `snap` or `clean`.
    pub command: &'static str,
    /// PVE's version, for example `8.4.21`.
    pub pve_version: String,
    /// The selection as it was typed.
    pub selection: String,
    /// The label as it was typed.
    pub label: String,
    /// How many snapshots of the label stay.
    pub keep: u32,
    /// RAM is saved.
    pub with_ram: bool,
    /// Guests that do not run are left out.
    pub only_running: bool,
    /// Seconds to wait for each task.
    pub timeout: Duration,
    /// The timestamp format as it was typed.
    pub timestamp_format: String,
    /// The storage limit.
    pub max_percent_storage: StorageLimit,
    /// The options for which one guest is worked on at a time, as no number was asked for.
    pub one_at_a_time: Option<&'static str>,
    /// Nothing will be changed.
    pub dry_run: bool,
    /// Warnings about the options, such as the timestamp format.
    pub warnings: Vec<String>,
}

/// What a guest that was put back has waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitReason {
    /// For its lock to go away.
    Lock,
    /// For the end of a task that took longer than the time-out.
    LateTask,
}

/// A creation or removal that ended well.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Success {
    /// How many warnings PVE counted in the task.
    pub warnings: u32,
    /// The answer to the request was lost, and the task or its effect was found by looking.
    pub adopted: bool,
    /// The task took longer than the time-out.
    pub late: bool,
    /// From the request to the end of the task.
    pub duration: Duration,
}

/// A creation or removal that did not end well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What said no.
    pub cause: Cause,
    /// What is known of its effect.
    pub effect: Effect,
    /// What PVE or the connection said.
    pub message: String,
    /// What the administrator can do about it.
    pub remedy: Option<Remedy>,
}

/// What said no to something that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// PVE, before it started anything.
    Refused,
    /// PVE's task.
    Task,
    /// Our patience: the task took longer than the time-out.
    Timeout,
    /// The way to PVE.
    Connection,
    /// No request was sent, because the guest's snapshots did not confirm the removal.
    Unconfirmed,
}

/// What is known of the effect of something that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing has changed.
    None,
    /// The task goes on without us.
    StillRunning,
    /// The guest may be left with a half-made or half-removed snapshot.
    HalfDone,
    /// Nobody can tell whether it was done.
    Unknown,
}

/// Why the removals of a guest were left to the next run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostponeReason {
    /// An earlier removal of this guest failed.
    RemovalFailed,
    /// The run was asked to stop.
    Interrupted(StopReason),
    /// A hook said no.
    Hook,
    /// The time for removals was used up (`--removal-budget`); nothing is wrong.
    Budget,
}

impl PostponeReason {
    /// Whether the guest did not get what was asked for.
    pub fn is_failure(self) -> bool {
        match self {
            Self::RemovalFailed | Self::Interrupted(_) | Self::Hook => true,
            Self::Budget => false,
        }
    }
}

/// How a guest's turn ended.
#[derive(Debug, Clone, PartialEq)]
pub enum GuestResult {
    /// All that was planned was done, or needed no doing.
    Done,
    /// Left out by plan, without harm.
    Skipped(crate::plan::Skip),
    /// Left out by plan, although it was asked for.
    Refused(crate::plan::Refusal),
    /// Something failed; the failure was told before.
    Failed,
    /// A hook said no before anything was done.
    Vetoed,
    /// Its turn never came, for the run was asked to stop.
    NotReached,
}

/// What asked the run to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// SIGINT, Ctrl-C.
    UserRequest,
    /// SIGTERM, or the end of a console on Windows.
    Shutdown,
    /// SIGHUP: the terminal was closed.
    TerminalClosed,
    /// A hook, with `--hook-failure=abort-run`.
    Hook,
    /// The server no longer takes our credentials, or no host answers any more.
    ServerLost,
    /// The run was cancelled by the program that started it.
    Cancelled,
}

/// One call of the hook script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookRun {
    /// The guest, except in the phases of the whole job.
    pub vmid: Option<Vmid>,
    /// The phase, for example `snap-create-pre`.
    pub phase: &'static str,
    /// How it ended.
    pub end: HookEnd,
    /// What it and its children printed to stdout.
    pub output: String,
}

/// How a hook ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookEnd {
    /// By itself, with this exit status.
    Exited(i32),
    /// By a signal.
    Killed,
    /// It was ended for running too long.
    TimedOut,
    /// It ended well, but a process that it started did not end in time and still runs.
    StillOpen,
    /// It could not be started, for this reason.
    NotStarted(String),
}

impl HookEnd {
    /// Whether the hook succeeded.
    pub fn is_success(&self) -> bool {
        match self {
            Self::Exited(status) => *status == 0,
            Self::Killed | Self::TimedOut | Self::StillOpen | Self::NotStarted(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
