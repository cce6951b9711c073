// SPDX-License-Identifier: GPL-3.0-only
//! The events of a run: one per fact, in the past tense.
//!
//! The engine emits them; reports, progress and the [`RunRecord`](crate::record::RunRecord) are
//! computed from them alone. Consumers only observe.
//!
//! Limits: no texts for people beyond PVE's own.
//!
//! To add an event: add the variant here; the compiler shows every consumer.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::guest::{Guest, Vmid};
use crate::plan::{Comparison, DropReason, NewSnapshot, Plan, Refusal, Skip};
use crate::remedy::Remedy;
use crate::run_id::RunId;
use crate::select::NestedPools;
use crate::storage::{StorageLimit, StorageUsage};
use crate::warning::Warning;

/// One event of a run.
#[derive(Debug, Clone)]
pub struct Event {
    /// The run.
    pub run: RunId,
    /// The time by this machine's clock.
    pub at: Timestamp,
    /// The position among the events of the run, from 0 without gaps.
    pub seq: u64,
    /// What happened.
    pub kind: EventKind,
}

/// What happened in a run.
#[derive(Debug, Clone)]
pub enum EventKind {
    /// The run started: the server has replied.
    RunStarted(Box<Header>),
    /// A warning about the options, the selection or the cluster; the run continues.
    Warned(Warning),
    /// The selection was evaluated.
    Selected {
        /// The guests, in the order of the plan.
        guests: Arc<[Guest]>,
        /// How many guests the login sees in total.
        visible: usize,
        /// The guests whose skip is a failure: with `--strict`, those named by ID or name.
        required: Arc<[Vmid]>,
        /// The nested pools whose guests a term selects, which the C# tool up to 2.0.1 does not.
        nested_pools: Arc<[NestedPools]>,
        /// The guests that are left out because of the tag [`OFF_TAG`](crate::select::OFF_TAG).
        tagged_off: Arc<[Vmid]>,
        /// Whether it is a success that no guest is selected (`--allow-empty`).
        may_be_empty: bool,
    },
    /// The storages of the selected guests' nodes were checked against the limit.
    StoragesRead {
        /// The storages that can hold guests, by node and name.
        storages: Vec<StorageUsage>,
        /// The limit.
        limit: StorageLimit,
    },
    /// The storages were not checked, because this version of PVE reports no usage.
    StorageCheckUnsupported {
        /// PVE's full version.
        pve_version: String,
    },
    /// All guests are planned. In a dry run only the end of the run follows.
    Planned(Arc<Plan>),
    /// The plan was compared with other rules, which was requested for a dry run.
    Compared(Arc<Comparison>),
    /// A hook ended, or could not be started.
    HookRan(HookRun),
    /// A guest was started.
    GuestStarted(Vmid),
    /// A guest was deferred: it is locked, or its task runs longer than the timeout.
    GuestDeferred {
        /// The guest.
        vmid: Vmid,
        /// PVE's text, or what the guest waits for.
        cause: String,
    },
    /// A deferred guest was resumed.
    GuestResumed {
        /// The guest.
        vmid: Vmid,
        /// How long it waited in total.
        waited: Duration,
        /// What it waited for.
        reason: WaitReason,
    },
    /// A creation is about to be requested.
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
        /// The details.
        success: Success,
    },
    /// RAM was requested and the VM runs, but its new snapshot has no RAM state.
    MissingRam {
        /// The VM.
        vmid: Vmid,
        /// The snapshot's name.
        snapshot: String,
    },
    /// A creation failed, or its effect is unknown.
    CreationFailed {
        /// The guest.
        vmid: Vmid,
        /// The failed step and its effect.
        failure: Failure,
    },
    /// A removal is about to be requested.
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
        /// The details.
        success: Success,
    },
    /// A removal failed, or its effect is unknown.
    RemovalFailed {
        /// The guest.
        vmid: Vmid,
        /// The snapshot's name.
        name: String,
        /// The failed step and its effect.
        failure: Failure,
    },
    /// A planned removal was skipped, because a fresh list did not confirm it. Not a failure.
    RemovalDropped {
        /// The guest.
        vmid: Vmid,
        /// The snapshot's name.
        name: String,
        /// Why the fresh list does not confirm it.
        reason: DropReason,
    },
    /// A guest's planned removals were left to the next run.
    RemovalsPostponed {
        /// The guest.
        vmid: Vmid,
        /// How many.
        count: usize,
        /// Why this run does not remove them.
        reason: PostponeReason,
    },
    /// A guest ended. Each guest of the plan gets exactly one of these, and each selected guest when the
    /// run is stopped or fails before there is a plan. In a dry run, the guests of the plan get none.
    GuestFinished {
        /// The guest.
        vmid: Vmid,
        /// Its result.
        result: GuestResult,
        /// How long the run worked on it.
        duration: Duration,
    },
    /// The run was stopped; nothing new is started.
    Stopped(StopReason),
    /// The run was skipped: another run of the same job is active.
    RunSkipped {
        /// The other run.
        holder: String,
    },
    /// The run failed as a whole.
    RunFailed {
        /// The kind of the failure.
        kind: FailureKind,
        /// The error.
        message: String,
    },
    /// The run ended.
    RunFinished {
        /// How long it took.
        duration: Duration,
    },
}

/// The request of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the run or follows from one"
)]
pub struct Header {
    /// The command.
    pub command: Command,
    /// PVE's version, for example `8.4.21`; empty without a connection.
    pub pve_version: String,
    /// The selection as it was typed.
    pub selection: String,
    /// The label as it was typed.
    pub label: String,
    /// How many of the newest snapshots of the label stay (`--keep`); `None` for other rules.
    pub keep: Option<u32>,
    /// The rules of which snapshots stay, such as `keep-last=3,keep-daily=13`.
    #[serde(default)]
    pub policy: String,
    /// Whether `keep-last` is 1 because it was not given.
    #[serde(default)]
    pub has_default_keep_last: bool,
    /// The time zone of the names, whose hours and days the rules count.
    #[serde(default)]
    pub timezone: String,
    /// The older labels whose snapshots are counted, too.
    #[serde(default)]
    pub adopted_labels: Vec<String>,
    /// Save RAM.
    pub with_ram: bool,
    /// Leave out guests that are not running.
    pub only_running: bool,
    /// How long to wait for each task.
    pub timeout: Duration,
    /// The timestamp format as it was typed.
    pub timestamp_format: String,
    /// The storage limit.
    pub max_percent_storage: StorageLimit,
    /// Why the run works on one guest at a time; empty if it may work on several.
    #[serde(default)]
    pub serial_reasons: Vec<SerialReason>,
    /// Change nothing.
    pub dry_run: bool,
    /// Warnings about the options, such as the timestamp format.
    pub warnings: Vec<Warning>,
}

/// Why a run works on one guest at a time unless the user sets a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SerialReason {
    /// It has a hook script: hooks of two guests that run in parallel would disturb each other.
    Hook,
    /// It saves RAM: the RAM snapshots of the members of one cluster would disturb each other.
    Ram,
}

impl Header {
    /// The number of `--keep`, or the rules as one text.
    pub fn keep_text(&self) -> String {
        self.keep
            .map_or_else(|| self.policy.clone(), |keep| keep.to_string())
    }
}

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Take snapshots and remove old ones.
    Snap,
    /// Only remove old snapshots.
    Clean,
}

impl Command {
    /// The name of the command.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Snap => "snap",
            Self::Clean => "clean",
        }
    }
}

/// Why a run failed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The settings are wrong; nothing was changed.
    Configuration,
    /// No connection, the login is refused, or PVE refuses a request that the whole run needs.
    Connection,
    /// Another run of the same job is active.
    Overlap,
    /// A bug in the program ended the run.
    Internal,
}

/// What a deferred guest has waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitReason {
    /// The end of its lock.
    Lock,
    /// The end of a task that took longer than the timeout.
    LateTask,
}

/// The details of a creation or removal that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Success {
    /// How many warnings PVE counted in the task.
    pub warnings: u32,
    /// The reply to the request was lost, and the task or its effect was found by polling.
    pub adopted: bool,
    /// The task took longer than the timeout.
    pub late: bool,
    /// The time from the request to the end of the task.
    pub duration: Duration,
}

/// A creation or removal that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What failed.
    pub cause: Cause,
    /// What is known of its effect.
    pub effect: Effect,
    /// PVE's text, or the error of the connection.
    pub message: String,
    /// What the administrator can do about it.
    pub remedy: Option<Remedy>,
}

/// What failed in a creation or removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The request: PVE refused it and started nothing.
    Refused,
    /// The task.
    Task,
    /// The task took longer than the timeout.
    Timeout,
    /// The connection to PVE.
    Connection,
    /// No request was sent, because the guest's snapshots did not confirm the removal.
    Unconfirmed,
}

/// What is known of the effect of a failed creation or removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Nothing has changed.
    None,
    /// The task is still running.
    StillRunning,
    /// The guest may have an incomplete snapshot.
    HalfDone,
    /// Unknown.
    Unknown,
}

/// Why the removals of a guest were left to the next run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PostponeReason {
    /// An earlier removal of this guest failed.
    RemovalFailed,
    /// The run was stopped.
    Stopped(StopReason),
    /// A hook failed.
    Hook,
    /// The time for removals is used up (`--removal-budget`). Not a failure.
    Budget,
}

impl PostponeReason {
    /// Whether the guest has failed because of it.
    pub fn is_failure(self) -> bool {
        match self {
            Self::RemovalFailed | Self::Stopped(_) | Self::Hook => true,
            Self::Budget => false,
        }
    }
}

/// The result of a guest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuestResult {
    /// Everything that was planned was done, or nothing was to do.
    Done,
    /// Skipped by the plan, which is not a failure.
    Skipped(Skip),
    /// Refused by the plan, which is a failure.
    Refused(Refusal),
    /// A step failed; an earlier event reports it.
    Failed,
    /// A hook failed, so nothing more was done.
    StoppedByHook,
    /// Never started, because the run was stopped.
    NotReached,
}

impl GuestResult {
    /// Whether the result is a failure. The skip of a required guest is one.
    pub fn is_failure(&self, is_required: bool) -> bool {
        match self {
            Self::Done => false,
            Self::Skipped(_) => is_required,
            Self::Refused(_) | Self::Failed | Self::StoppedByHook | Self::NotReached => true,
        }
    }
}

/// Why a run stopped early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// The user requested it (Ctrl-C).
    UserRequest,
    /// The system or the service manager requested it.
    Shutdown,
    /// The terminal was closed.
    TerminalClosed,
    /// A hook failed that aborts the run.
    Hook,
    /// The server no longer accepts the login, or no host replies any more.
    ServerLost,
    /// The run was cancelled by the program that started it.
    Cancelled,
}

/// One call of the hook script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRun {
    /// The guest, except in the phases of the whole job.
    pub vmid: Option<Vmid>,
    /// The phase, for example `snap-create-pre`.
    pub phase: Cow<'static, str>,
    /// How it ended.
    pub end: HookEnd,
    /// The output of the hook and its child processes on stdout.
    pub output: String,
}

/// How a hook ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookEnd {
    /// It exited with this status.
    Exited(i32),
    /// A signal killed it.
    Killed,
    /// It was killed at its timeout.
    TimedOut,
    /// It exited with 0, but a child process still runs after the timeout.
    ChildStillRunning,
    /// It could not be started, for this reason.
    NotStarted(String),
}

impl HookEnd {
    /// Whether the hook succeeded.
    pub fn is_success(&self) -> bool {
        match self {
            Self::Exited(status) => *status == 0,
            Self::Killed | Self::TimedOut | Self::ChildStillRunning | Self::NotStarted(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
