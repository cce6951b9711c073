// SPDX-License-Identifier: GPL-3.0-only
//! The record of a run: everything that its reports, its history and its notifications need.
//!
//! It is computed from the events alone, and no other code accumulates them: the text report, JSON, the journal and
//! the exit status are derived from it. It can be serialised; [`RecordVersion`] describes what a reader may expect.

mod fold;
mod guest;
mod kept;
mod version;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::{Command, Effect, FailureKind, GuestResult, Header, HookRun, StopReason};
use crate::guest::Vmid;
use crate::run_id::RunId;
use crate::select::NestedPools;
use crate::storage::{StorageLimit, StorageUsage};
use crate::warning::Warning;

use fold::FoldState;
pub use guest::{CompletedStep, DroppedRemoval, FailedStep, GuestRecord, PostponedRemovals};
pub use kept::KeptCounts;
pub use version::{RecordVersion, RecordVersionError};

/// The record of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The version of the schema.
    pub version: RecordVersion,
    /// The run.
    pub run: RunId,
    /// The time of the first event.
    pub started: Option<Timestamp>,
    /// The time of the last event; `None` while the run is active.
    pub ended: Option<Timestamp>,
    /// How long the run took, by a clock that is never set.
    pub duration: Option<Duration>,
    /// The request.
    pub header: Option<Header>,
    /// The warnings that concern no single guest, those about the options included.
    #[serde(default)]
    pub warnings: Vec<Warning>,
    /// How many guests the login sees in total; `None` if they were not read.
    pub visible_guests: Option<usize>,
    /// The nested pools whose guests are selected.
    #[serde(default)]
    pub nested_pools: Vec<NestedPools>,
    /// The guests that are left out because of the tag [`OFF_TAG`](crate::select::OFF_TAG).
    #[serde(default)]
    pub tagged_off: Vec<Vmid>,
    /// Whether it is a success that no guest is selected (`--allow-empty`).
    #[serde(default)]
    pub may_be_empty: bool,
    /// The storages, if they were checked against the limit.
    pub storages: Option<StorageRecord>,
    /// Whether all guests are planned.
    #[serde(default)]
    pub is_planned: bool,
    /// The selected guests, in the order of the plan.
    #[serde(default)]
    pub guests: Vec<GuestRecord>,
    /// The hooks of the whole job that were called.
    #[serde(default)]
    pub hooks: Vec<HookRun>,
    /// Why the run stopped early, if it did: the first reason.
    pub stop_reason: Option<StopReason>,
    /// The active run of the same job for which this one was skipped.
    pub skipped_for: Option<String>,
    /// Why the run failed as a whole, if it did.
    pub error: Option<RunError>,
    #[serde(skip)]
    fold_state: FoldState,
}

/// Why a run failed as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// The kind of the failure.
    pub kind: FailureKind,
    /// The error.
    pub message: String,
}

/// The storages of the selected guests' nodes, and their limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageRecord {
    /// The storages, by node and name.
    pub storages: Vec<StorageUsage>,
    /// The limit.
    pub limit: StorageLimit,
}

/// The result of a run; of a dry run, the result of its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunResult {
    /// Everything that was requested is done.
    Success,
    /// Nothing was done, because another run of the same job is active.
    Skipped,
    /// Something that was requested is not done.
    Incomplete,
    /// The run stopped early.
    Stopped(StopReason),
    /// The run failed as a whole.
    Failed(FailureKind),
}

/// The totals of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Snapshots created.
    pub created: usize,
    /// Snapshots removed.
    pub removed: usize,
    /// Guests done.
    pub done: usize,
    /// Guests skipped, which is not a failure.
    pub skipped: usize,
    /// Guests that have failed, those not reached included.
    pub failed: usize,
    /// Guests that were not reached.
    pub not_reached: usize,
    /// Guests without a snapshot because PVE cannot take any. They are skipped, or failed with `--strict`.
    pub not_covered: usize,
    /// Removals left to the next run.
    pub postponed: usize,
    /// Removals that were not planned, because of the limit per run.
    pub over_limit: usize,
    /// Snapshots that `clean` keeps because their names are ambiguous.
    pub left_ambiguous: usize,
    /// Tasks that ended with warnings.
    pub task_warnings: usize,
}

impl RunRecord {
    /// The record of a run before its first event.
    pub fn new(run: RunId) -> Self {
        Self {
            version: RecordVersion::CURRENT,
            run,
            started: None,
            ended: None,
            duration: None,
            header: None,
            warnings: Vec::new(),
            visible_guests: None,
            nested_pools: Vec::new(),
            tagged_off: Vec::new(),
            may_be_empty: false,
            storages: None,
            is_planned: false,
            guests: Vec::new(),
            hooks: Vec::new(),
            stop_reason: None,
            skipped_for: None,
            error: None,
            fold_state: FoldState::default(),
        }
    }

    /// The record of a guest.
    pub fn guest(&self, vmid: Vmid) -> Option<&GuestRecord> {
        match self.fold_state.position(vmid) {
            Some(position) => self.guests.get(position),
            // A record that was deserialised has no positions.
            None => self.guests.iter().find(|guest| guest.vmid == vmid),
        }
    }

    /// The guests that have failed, in the order of the plan.
    pub fn failed(&self) -> impl Iterator<Item = &GuestRecord> {
        self.guests.iter().filter(|guest| guest.is_failure())
    }

    /// Whether the run is a dry run.
    pub fn is_dry_run(&self) -> bool {
        self.header.as_ref().is_some_and(|header| header.dry_run)
    }

    /// Whether no guest is selected, and that is a failure.
    pub fn is_nothing_selected(&self) -> bool {
        self.is_planned && self.guests.is_empty() && !self.may_be_empty
    }

    /// Whether the run ended before everything was tried.
    pub fn ended_early(&self) -> bool {
        self.error.is_some() || self.skipped_for.is_some() || self.stop_reason.is_some()
    }

    /// Whether any step ended with unknown effect.
    pub fn has_unknown_effect(&self) -> bool {
        let mut steps = self.guests.iter().flat_map(|guest| &guest.failures);
        steps.any(|step| step.failure.effect == Effect::Unknown)
    }

    /// The result of the run so far.
    pub fn result(&self) -> RunResult {
        if let Some(error) = &self.error {
            RunResult::Failed(error.kind)
        } else if self.skipped_for.is_some() {
            RunResult::Skipped
        } else if let Some(reason) = self.stop_reason {
            RunResult::Stopped(reason)
        } else if self.is_complete() {
            RunResult::Success
        } else {
            RunResult::Incomplete
        }
    }

    /// Whether everything that was requested is done so far.
    pub fn is_success(&self) -> bool {
        self.result() == RunResult::Success
    }

    fn is_complete(&self) -> bool {
        self.failed().next().is_none()
            && !self.is_nothing_selected()
            && !self.warnings.iter().any(Warning::is_failure)
            && self.left_ambiguous() == 0
    }

    /// How many snapshots `clean` keeps because their names are ambiguous: they may have been meant.
    pub fn left_ambiguous(&self) -> usize {
        let is_clean = |header: &Header| header.command == Command::Clean;
        if self.header.as_ref().is_some_and(is_clean) {
            self.guests.iter().map(|guest| guest.ambiguous_names).sum()
        } else {
            0
        }
    }

    /// How many snapshots stay by the keep rules; all 0 with `--keep`.
    pub fn kept(&self) -> KeptCounts {
        self.guests.iter().map(|guest| guest.kept).sum()
    }

    /// The totals so far.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            left_ambiguous: self.left_ambiguous(),
            ..Totals::default()
        };
        for guest in &self.guests {
            let steps = guest.created.iter().chain(&guest.removed);
            totals.task_warnings += steps.filter(|step| step.success.warnings > 0).count();
            totals.created += usize::from(guest.created.is_some());
            totals.removed += guest.removed.len();
            let postponed = guest.postponed.iter().map(|postponed| postponed.count);
            totals.postponed += postponed.sum::<usize>();
            totals.over_limit += guest.over_limit;
            totals.not_covered += usize::from(guest.is_not_covered());
            let Some(result) = &guest.result else {
                continue;
            };
            if guest.is_failure() {
                totals.failed += 1;
                totals.not_reached += usize::from(*result == GuestResult::NotReached);
            } else if matches!(result, GuestResult::Skipped(_)) {
                totals.skipped += 1;
            } else {
                totals.done += 1;
            }
        }
        totals
    }
}

#[cfg(test)]
mod tests;
