// SPDX-License-Identifier: GPL-3.0-only
//! The record of one guest of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::KeptCounts;
use crate::event::{Failure, GuestResult, HookRun, PostponeReason, Success};
use crate::guest::{Guest, GuestKind, NamedGuest, Vmid};
use crate::plan::{DropReason, Note};

/// The record of one guest: its identity, its plan and its result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuestRecord {
    /// The guest.
    pub vmid: Vmid,
    /// Virtual machine or container.
    pub kind: GuestKind,
    /// Its node when it was planned.
    pub node: String,
    /// Its name, if PVE lists one.
    pub name: Option<String>,
    /// Whether its skip is a failure (`--strict`).
    #[serde(default)]
    pub is_required: bool,
    /// The name of the planned snapshot.
    pub planned_creation: Option<String>,
    /// The names of the snapshots to remove, oldest first.
    #[serde(default)]
    pub planned_removals: Vec<String>,
    /// Why each of these snapshots is to be removed, by its name.
    #[serde(default)]
    pub removal_reasons: BTreeMap<String, String>,
    /// How many snapshots stay by the keep rules; 0 with `--keep`.
    #[serde(default)]
    pub kept: KeptCounts,
    /// How many more removals the limit per run leaves to the next runs.
    #[serde(default)]
    pub over_limit: usize,
    /// How many of its snapshots stay because their names are ambiguous.
    #[serde(default)]
    pub ambiguous_names: usize,
    /// The notes of the plan.
    #[serde(default)]
    pub notes: Vec<Note>,
    /// The snapshot that was created.
    pub created: Option<CompletedStep>,
    /// Whether RAM was requested and the VM runs, but the new snapshot has no RAM state.
    #[serde(default)]
    pub is_ram_missing: bool,
    /// The snapshots that were removed, in order.
    #[serde(default)]
    pub removed: Vec<CompletedStep>,
    /// The steps that failed, in order.
    #[serde(default)]
    pub failures: Vec<FailedStep>,
    /// The planned removals that were not confirmed.
    #[serde(default)]
    pub dropped: Vec<DroppedRemoval>,
    /// The planned removals that were left to the next run.
    #[serde(default)]
    pub postponed: Vec<PostponedRemovals>,
    /// The hooks that were called for the guest.
    #[serde(default)]
    pub hooks: Vec<HookRun>,
    /// The result; `None` while the guest has not ended, and in a dry run if it would be worked on.
    pub result: Option<GuestResult>,
    /// How long the guest was worked on.
    #[serde(default)]
    pub duration: Duration,
}

/// A creation or removal that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletedStep {
    /// The snapshot.
    pub snapshot: String,
    /// The details.
    pub success: Success,
}

/// A creation or removal that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedStep {
    /// The name of the snapshot to remove; `None` for the creation.
    pub removal_of: Option<String>,
    /// The failure.
    pub failure: Failure,
}

/// A planned removal that was not confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedRemoval {
    /// The snapshot.
    pub snapshot: String,
    /// Why the fresh list did not confirm it.
    pub reason: DropReason,
}

/// Planned removals that were left to the next run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostponedRemovals {
    /// How many.
    pub count: usize,
    /// Why this run did not remove them.
    pub reason: PostponeReason,
}

impl<'a> From<&'a GuestRecord> for NamedGuest<'a> {
    fn from(guest: &'a GuestRecord) -> Self {
        Self {
            vmid: guest.vmid,
            kind: guest.kind,
            node: &guest.node,
            name: guest.name.as_deref(),
        }
    }
}

impl GuestRecord {
    /// The record of a guest that was selected.
    pub(super) fn new(guest: &Guest, is_required: bool) -> Self {
        Self {
            vmid: guest.vmid,
            kind: guest.kind,
            node: guest.node.clone(),
            name: guest.name.clone(),
            is_required,
            planned_creation: None,
            planned_removals: Vec::new(),
            removal_reasons: BTreeMap::new(),
            kept: KeptCounts::default(),
            over_limit: 0,
            ambiguous_names: 0,
            notes: Vec::new(),
            created: None,
            is_ram_missing: false,
            removed: Vec::new(),
            failures: Vec::new(),
            dropped: Vec::new(),
            postponed: Vec::new(),
            hooks: Vec::new(),
            result: None,
            duration: Duration::ZERO,
        }
    }

    /// Whether the guest has ended and its result is a failure.
    pub fn is_failure(&self) -> bool {
        self.result
            .as_ref()
            .is_some_and(|result| result.is_failure(self.is_required))
    }

    /// Whether PVE cannot take any snapshot of the guest.
    pub fn is_not_covered(&self) -> bool {
        match &self.result {
            Some(GuestResult::Skipped(skip)) => skip.is_not_covered(),
            Some(
                GuestResult::Done
                | GuestResult::Refused(_)
                | GuestResult::Failed
                | GuestResult::StoppedByHook
                | GuestResult::NotReached,
            )
            | None => false,
        }
    }

    /// Whether a snapshot of the guest was created or removed.
    pub fn has_changed(&self) -> bool {
        self.created.is_some() || !self.removed.is_empty()
    }
}
