// SPDX-License-Identifier: GPL-3.0-only
//! The state of one guest in a run.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use autosnap_core::event::GuestResult;
use autosnap_core::guest::Vmid;
use autosnap_core::name::SnapName;
use autosnap_core::plan::{GuestPlan, Plan, TakenSnapshot};
use autosnap_core::snapshot::Snapshot;
use pve_client::Upid;
use tokio::time::Instant;

use crate::engine::context::RunContext;
use crate::engine::hook_calls::HookCall;
use crate::engine::location::GuestLocation;
use crate::engine::operation::LateTask;
use crate::hook::Phase;
use crate::inventory;

/// The accepted difference, in seconds, between a node's clock and the clock of the connected host. The `snaptime`
/// of a new snapshot may be earlier than its request by this much.
const CLOCK_TOLERANCE: i64 = 300;

/// One guest of a run, with the steps that it has taken so far.
#[derive(Debug)]
pub(in crate::engine) struct GuestRun {
    plan: Arc<Plan>,
    index: usize,
    pub(super) location: GuestLocation,
    pub(super) stage: Stage,
    /// The snapshot that this run has taken of the guest.
    pub(super) taken: Option<RunSnapshot>,
    /// The snapshot whose removal has an open hook: the opening hook was called, the closing hook was not.
    pub(super) opened_removal: Option<String>,
    /// Why the removals before the creation stopped; those left are removed by the next run.
    pub(super) overdue_stop: Option<OverdueStop>,
    /// The pending removals, oldest first; `None` before they are queued.
    pub(super) to_remove: Option<VecDeque<Snapshot>>,
    /// PVE's text for the lock when the guest was last deferred.
    pub(super) deferred_for: Option<String>,
    /// The deadline for the locks of other snapshot tasks; `None` before the first such lock.
    pub(super) snapshot_locks_until: Option<Instant>,
    /// Its task that was still running when the timeout expired and is not known to have ended.
    pub(super) late: Option<Box<LateTask>>,
    /// Since when the guest is deferred for that task.
    pub(super) late_since: Option<Instant>,
    /// How long it was deferred for late tasks.
    pub(super) late_waited: Duration,
    /// Whether its start was reported.
    pub(super) has_started: bool,
    /// Whether it was reported as waiting.
    pub(super) is_waiting: bool,
    /// How long it held its slot, over all slices.
    pub(super) worked: Duration,
    /// The start of the current slice.
    pub(super) slice_started: Instant,
    /// How long it held its slot in the last slice.
    pub(super) last_slice: Duration,
    /// How often it was deferred for a lock since its last successful step.
    pub(super) attempts: u32,
    /// When it was deferred for a lock.
    pub(super) deferred_at: Option<Instant>,
    /// How long it was deferred for locks.
    pub(super) waited: Duration,
}

/// The progress of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    New,
    /// The opening hook was called, the snapshot does not exist yet.
    Creating,
    /// The snapshot exists, or none was planned.
    Removing,
}

/// How a slice of a [`GuestRun`] ended.
#[derive(Debug)]
pub(in crate::engine) enum SliceOutcome {
    /// The guest is finished.
    Finished(GuestResult),
    /// The guest is locked and waits for another attempt.
    Deferred(LockWait),
    /// The task was still running when the timeout expired, and will be polled again.
    Late,
}

/// A lock for which the guest is deferred.
#[derive(Debug)]
pub(in crate::engine) struct LockWait {
    /// PVE's text for the lock.
    pub(super) cause: String,
    /// The time until which the guest is retried.
    pub(in crate::engine) until: Instant,
}

/// Why the removals before the creation ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OverdueStop {
    Failed,
    HookFailed,
}

/// The snapshot that this run has taken of a guest.
#[derive(Debug)]
pub(super) struct RunSnapshot {
    pub(super) name: SnapName,
    /// When its task started, in seconds since the epoch by the node's clock, which also dates the snapshot;
    /// `None` if the task is not known.
    pub(super) task_started: Option<i64>,
    /// When the request was sent.
    pub(super) sent_at: Instant,
}

impl RunSnapshot {
    fn to_confirm(&self, run: &RunContext) -> TakenSnapshot {
        let by_connected_host = || {
            let age = i64::try_from(self.sent_at.elapsed().as_secs()).unwrap_or(i64::MAX);
            let second = run.client.server_time().as_second();
            second.saturating_sub(age).saturating_sub(CLOCK_TOLERANCE)
        };
        TakenSnapshot {
            name: self.name.clone(),
            not_before: inventory::timestamp(self.task_started.unwrap_or_else(by_connected_host)),
        }
    }
}

impl GuestRun {
    /// The guest with this index in the plan, before its first step.
    pub(in crate::engine) fn new(plan: Arc<Plan>, index: usize) -> Self {
        let guest = &plan.guests[index].guest;
        let kind = inventory::wire_kind(guest.kind);
        Self {
            location: GuestLocation::new(guest.node.clone(), kind, guest.vmid),
            plan,
            index,
            stage: Stage::New,
            taken: None,
            opened_removal: None,
            overdue_stop: None,
            to_remove: None,
            deferred_for: None,
            snapshot_locks_until: None,
            late: None,
            late_since: None,
            late_waited: Duration::ZERO,
            has_started: false,
            is_waiting: false,
            worked: Duration::ZERO,
            slice_started: Instant::now(),
            last_slice: Duration::ZERO,
            attempts: 0,
            deferred_at: None,
            waited: Duration::ZERO,
        }
    }

    pub(in crate::engine) fn vmid(&self) -> Vmid {
        self.location.vmid
    }

    /// How long the guest held its slot, over all slices.
    pub(in crate::engine) fn worked(&self) -> Duration {
        self.worked
    }

    /// How long the guest held its slot in its last slice.
    pub(in crate::engine) fn last_slice(&self) -> Duration {
        self.last_slice
    }

    /// The late task, while its end is not known.
    pub(in crate::engine) fn late_task(&self) -> Option<&Upid> {
        self.late.as_ref().map(|late| late.upid())
    }

    /// The pause before the next poll of the late task.
    pub(in crate::engine) fn pause_before_next_poll(&self) -> Duration {
        self.late
            .as_ref()
            .map_or(Duration::ZERO, |late| late.pause())
    }

    /// The plan of the run, shared so that it can be used while the guest is borrowed mutably.
    pub(super) fn run_plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan)
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    pub(super) fn guest_plan(&self) -> &GuestPlan {
        &self.plan.guests[self.index]
    }

    pub(super) fn worked_until_now(&self) -> Duration {
        self.worked + self.slice_started.elapsed()
    }

    /// Whether a hook of the guest is open: the opening hook was called, the closing hook was not.
    pub(super) fn is_open(&self) -> bool {
        self.stage == Stage::Creating
            || self.opened_removal.is_some()
            || self.stage == Stage::Removing && self.taken.is_some()
    }

    pub(super) fn has_changed_anything(&self) -> bool {
        self.stage != Stage::New || self.to_remove.is_some()
    }

    /// The snapshot that this run has taken: a list must contain it before a snapshot is removed.
    pub(super) fn taken(&self, run: &RunContext) -> Option<TakenSnapshot> {
        self.taken.as_ref().map(|taken| taken.to_confirm(run))
    }

    /// A call of the hook for this guest.
    pub(super) fn hook_call(
        &self,
        phase: Phase,
        snapshot: Option<&str>,
        state: bool,
        duration: Duration,
    ) -> HookCall {
        let plan = self.guest_plan();
        HookCall {
            phase,
            guest: Some(plan.guest.clone()),
            snapshot: snapshot.map(ToOwned::to_owned),
            with_ram: plan.saves_ram(),
            state,
            duration,
        }
    }
}
