// SPDX-License-Identifier: GPL-3.0-only
//! The removals of a guest: oldest first, each confirmed by a fresh list, up to the first failure.

use std::collections::VecDeque;
use std::time::Duration;

use autosnap_core::event::{EventKind, Failure, GuestResult, PostponeReason};
use autosnap_core::plan::{self, DropReason, GuestPlan, Steps, TakenSnapshot};
use autosnap_core::snapshot::Snapshot;
use jiff::Zoned;
use tokio::time::Instant;

use super::state::{GuestRun, LockWait, OverdueStop, Stage};
use crate::engine::context::RunContext;
use crate::engine::failures;
use crate::engine::operation::{LateTask, Operation, StepOutcome};
use crate::hook::Phase;

/// The outcome of one removal or of all removals of a guest.
pub(super) enum RemovalOutcome {
    Done,
    /// Some were left to the next run: expected, not a failure.
    LeftOver,
    Failed,
    HookFailed,
    Locked(LockWait),
    Late,
}

impl GuestRun {
    /// Carries out the planned removals. Every removal whose opening hook was called gets its closing hook, unless
    /// the guest is deferred and continues with it later.
    pub(super) async fn remove_all(&mut self, run: &RunContext, steps: &Steps) -> RemovalOutcome {
        let outcome = self.remove_confirmed(run, steps).await;
        match outcome {
            RemovalOutcome::Locked(_) | RemovalOutcome::Late => {}
            RemovalOutcome::Done
            | RemovalOutcome::LeftOver
            | RemovalOutcome::Failed
            | RemovalOutcome::HookFailed => {
                self.close_removal(run).await;
            }
        }
        outcome
    }

    /// Carries out the removals that a fresh list confirms, oldest first, up to the first failure.
    async fn remove_confirmed(&mut self, run: &RunContext, steps: &Steps) -> RemovalOutcome {
        match self.overdue_stop {
            Some(OverdueStop::Failed) => return RemovalOutcome::Failed,
            Some(OverdueStop::HookFailed) => return RemovalOutcome::HookFailed,
            None => {}
        }
        self.queue_removals(steps);
        while let Some(snapshot) = self.next_removal() {
            if self.late.is_none()
                && let Some(reason) = run.removals_stopped()
            {
                return self.postpone(run, self.removals_left(), reason);
            }
            match self.remove_or_poll(run, &snapshot).await {
                RemovalOutcome::Done => self.dequeue_removal(),
                other @ (RemovalOutcome::LeftOver
                | RemovalOutcome::Failed
                | RemovalOutcome::HookFailed
                | RemovalOutcome::Locked(_)
                | RemovalOutcome::Late) => return other,
            }
        }
        RemovalOutcome::Done
    }

    /// Removes the snapshot, or polls the late task of its removal.
    pub(super) async fn remove_or_poll(
        &mut self,
        run: &RunContext,
        snapshot: &Snapshot,
    ) -> RemovalOutcome {
        match self.late.take() {
            Some(late) => self.poll_late_removal(run, snapshot, late).await,
            None => self.remove(run, snapshot).await,
        }
    }

    pub(super) fn dequeue_removal(&mut self) {
        self.to_remove.as_mut().and_then(VecDeque::pop_front);
    }

    pub(super) fn queue_removals(&mut self, steps: &Steps) {
        if self.to_remove.is_none() {
            self.to_remove = Some(steps.removals().cloned().collect());
        }
    }

    pub(super) fn next_removal(&self) -> Option<Snapshot> {
        self.to_remove.as_ref()?.front().cloned()
    }

    /// The number of pending removals.
    pub(super) fn removals_left(&self) -> usize {
        self.to_remove.as_ref().map_or(0, VecDeque::len)
    }

    /// Removes one snapshot. The removal is confirmed right before it is sent, because a hook or a wait makes an
    /// earlier list stale.
    async fn remove(&mut self, run: &RunContext, snapshot: &Snapshot) -> RemovalOutcome {
        let name = snapshot.name.as_str();
        if let Some(end) = self.drop_unconfirmed(run, snapshot).await {
            return end;
        }
        let started = Instant::now();
        if self.opened_removal.as_deref() != Some(name) {
            if !self.open_removal(run, name).await {
                self.postpone(run, self.removals_left(), PostponeReason::Hook);
                return RemovalOutcome::HookFailed;
            }
            if run.has_hook() {
                self.location.listed = None;
                if let Some(end) = self.drop_unconfirmed(run, snapshot).await {
                    return end;
                }
            }
        }
        let (plan, taken, now) = (self.run_plan(), self.taken(run), run.now());
        let plan = &plan.guests[self.index()];
        let operation = self.removal(run, plan, snapshot, taken.as_ref(), &now);
        let outcome = run.client.carry_out(&mut self.location, &operation).await;
        self.on_removal_ended(run, name, outcome, started).await
    }

    async fn poll_late_removal(
        &mut self,
        run: &RunContext,
        snapshot: &Snapshot,
        late: Box<LateTask>,
    ) -> RemovalOutcome {
        let started = late.sent_at();
        let (plan, taken, now) = (self.run_plan(), self.taken(run), run.now());
        let plan = &plan.guests[self.index()];
        let operation = self.removal(run, plan, snapshot, taken.as_ref(), &now);
        let outcome = self.poll_late(run, &operation, late).await;
        self.on_removal_ended(run, &snapshot.name, outcome, started)
            .await
    }

    fn removal<'b>(
        &self,
        run: &RunContext,
        plan: &'b GuestPlan,
        snapshot: &'b Snapshot,
        new: Option<&'b TakenSnapshot>,
        now: &'b Zoned,
    ) -> Operation<'b> {
        Operation::Remove {
            snapshot,
            policy: &plan.policy,
            new,
            now,
            force: run.options.execution.force_remove,
            list_snapshots: self.removals_left() > 1 && !run.has_hook(),
        }
    }

    /// Drops the removal if a fresh list does not confirm it; returns `None` if it is confirmed.
    async fn drop_unconfirmed(
        &mut self,
        run: &RunContext,
        snapshot: &Snapshot,
    ) -> Option<RemovalOutcome> {
        let listed = match run.client.list(&mut self.location).await {
            Ok(listed) => listed,
            Err(failure) => return Some(self.fail(run, &snapshot.name, failure).await),
        };
        let policy = &self.guest_plan().policy;
        let (new, now) = (self.taken(run), run.now());
        let confirmed = plan::confirm_removal(snapshot, &listed, policy, new.as_ref(), &now);
        let reason = confirmed.err()?;
        Some(self.drop_removal(run, snapshot.name.clone(), reason).await)
    }

    async fn open_removal(&mut self, run: &RunContext, name: &str) -> bool {
        let opening = self.hook_call(Phase::SnapRemovePre, Some(name), false, Duration::ZERO);
        if !run.call_hook(&opening).await {
            let closing = self.hook_call(Phase::SnapRemoveAbort, Some(name), false, Duration::ZERO);
            run.call_hook(&closing).await;
            return false;
        }
        self.opened_removal = Some(name.to_owned());
        run.events.emit(EventKind::RemovalStarted {
            vmid: self.vmid(),
            name: name.to_owned(),
        });
        true
    }

    async fn on_removal_ended(
        &mut self,
        run: &RunContext,
        name: &str,
        outcome: StepOutcome,
        started: Instant,
    ) -> RemovalOutcome {
        let vmid = self.vmid();
        match outcome {
            StepOutcome::Done(success) => {
                run.events.emit(EventKind::Removed {
                    vmid,
                    name: name.to_owned(),
                    success,
                });
                self.opened_removal = None;
                self.on_progress();
                let call =
                    self.hook_call(Phase::SnapRemovePost, Some(name), true, started.elapsed());
                run.call_hook(&call).await;
                RemovalOutcome::Done
            }
            StepOutcome::Dropped(reason) => self.drop_removal(run, name.to_owned(), reason).await,
            StepOutcome::Locked(cause) => match self.wait_for(run, cause) {
                Ok(wait) => RemovalOutcome::Locked(wait),
                Err(failure) => self.fail(run, name, failure).await,
            },
            StepOutcome::Failed(failure) => self.fail(run, name, failure).await,
            StepOutcome::Late(late) => {
                self.late = Some(late);
                RemovalOutcome::Late
            }
        }
    }

    /// Skips a removal that no longer applies. The guest has failed if its list does not contain the snapshot that this
    /// run has taken.
    async fn drop_removal(
        &mut self,
        run: &RunContext,
        name: String,
        reason: DropReason,
    ) -> RemovalOutcome {
        if reason.is_failure() {
            let new = self.taken.as_ref().map_or("", |taken| taken.name.as_str());
            let failure = failures::new_snapshot_not_confirmed(
                (self.vmid(), &self.location.node),
                new,
                reason,
            );
            return self.fail(run, &name, failure).await;
        }
        run.events.emit(EventKind::RemovalDropped {
            vmid: self.vmid(),
            name,
            reason,
        });
        self.close_removal(run).await;
        RemovalOutcome::Done
    }

    /// Reports the failure of the next removal; the others are left to the next run.
    async fn fail(&mut self, run: &RunContext, name: &str, failure: Failure) -> RemovalOutcome {
        run.events.emit(EventKind::RemovalFailed {
            vmid: self.vmid(),
            name: name.to_owned(),
            failure,
        });
        self.close_removal(run).await;
        if self.removals_left() > 1 {
            self.postpone(run, self.removals_left() - 1, PostponeReason::RemovalFailed);
        }
        RemovalOutcome::Failed
    }

    pub(super) fn postpone(
        &self,
        run: &RunContext,
        count: usize,
        reason: PostponeReason,
    ) -> RemovalOutcome {
        run.events.emit(EventKind::RemovalsPostponed {
            vmid: self.vmid(),
            count,
            reason,
        });
        if reason.is_failure() {
            RemovalOutcome::Failed
        } else {
            RemovalOutcome::LeftOver
        }
    }

    /// Ends a guest whose next removal has finally failed, and calls the closing hook of the creation before it.
    pub(super) async fn end_with_failed_removal(
        &mut self,
        run: &RunContext,
        steps: &Steps,
        failure: Failure,
    ) -> GuestResult {
        self.fail_next_removal(run, steps, failure).await;
        if let Some(creation) = &steps.creation
            && self.stage == Stage::Removing
        {
            self.close_creation(run, creation, false).await;
        }
        GuestResult::Failed
    }

    /// Fails the next removal, which is no longer retried. Its opening hook is called first if it was not called yet.
    pub(super) async fn fail_next_removal(
        &mut self,
        run: &RunContext,
        steps: &Steps,
        failure: Failure,
    ) {
        self.queue_removals(steps);
        let Some(snapshot) = self.next_removal() else {
            return;
        };
        let is_open = self.opened_removal.as_ref() == Some(&snapshot.name);
        if is_open || self.open_removal(run, &snapshot.name).await {
            self.fail(run, &snapshot.name, failure).await;
        } else {
            run.events.emit(EventKind::RemovalFailed {
                vmid: self.vmid(),
                name: snapshot.name,
                failure,
            });
        }
    }

    /// Calls the closing hook of a removal that was not carried out, if its opening hook was called.
    pub(super) async fn close_removal(&mut self, run: &RunContext) {
        if let Some(name) = self.opened_removal.take() {
            let duration = self.slice_started.elapsed();
            let call = self.hook_call(Phase::SnapRemoveAbort, Some(&name), false, duration);
            run.call_hook(&call).await;
        }
    }
}
