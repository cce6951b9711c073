// SPDX-License-Identifier: GPL-3.0-only
//! The steps of one guest: create, then remove, with the hook around each step.
//!
//! Every guest whose opening hook was called gets its closing hook, even after a failure in between, so that a
//! service that `snap-create-pre` has paused can be resumed. A guest that is locked, or whose task takes longer
//! than the timeout, is deferred and later continues with the same step.

mod creation;
mod late_task;
mod lock;
mod overdue_removals;
mod removal;
mod state;

use autosnap_core::event::{EventKind, GuestResult};
use autosnap_core::plan::{Decision, Refusal, Steps};
use tokio::time::Instant;

use super::context::RunContext;
use super::failures;
use crate::pve_messages;
use creation::CreationOutcome;
use removal::RemovalOutcome;
pub(super) use state::{GuestRun, SliceOutcome};
use state::{LockWait, Stage};

impl GuestRun {
    /// Takes the next steps, until the guest is finished or deferred.
    pub(super) async fn advance(&mut self, run: &RunContext) -> SliceOutcome {
        self.slice_started = Instant::now();
        if !std::mem::replace(&mut self.has_started, true) {
            run.events.emit(EventKind::GuestStarted(self.vmid()));
        }
        let plan = self.run_plan();
        let plan = &plan.guests[self.index()];
        let outcome = match (&plan.decision, plan.steps()) {
            (_, Some(steps)) => self.proceed(run, steps).await,
            (Decision::Skip(skip), None) => {
                SliceOutcome::Finished(GuestResult::Skipped(skip.clone()))
            }
            (Decision::Refuse(refusal), None) => {
                SliceOutcome::Finished(self.refuse(run, refusal).await)
            }
            (Decision::Proceed(_), None) => SliceOutcome::Finished(GuestResult::Done),
        };
        self.last_slice = self.slice_started.elapsed();
        self.worked += self.last_slice;
        match &outcome {
            SliceOutcome::Finished(_) => {}
            SliceOutcome::Deferred(wait) => self.defer_for_lock(run, wait),
            SliceOutcome::Late => self.defer_for_late_task(run),
        }
        outcome
    }

    /// Ends a guest that has not started or is deferred. If a hook of it is open, the guest has failed, and the
    /// closing hook is called.
    pub(super) async fn abandon(&mut self, run: &RunContext) -> GuestResult {
        let plan = self.run_plan();
        let plan = &plan.guests[self.index()];
        if self.late.is_some()
            && let Some(steps) = plan.steps()
        {
            return self.abandon_late(run, steps).await;
        }
        match (&plan.decision, plan.steps()) {
            (_, Some(steps)) if self.is_open() => {
                let cause = self.deferred_for.take().unwrap_or_default();
                self.slice_started = Instant::now();
                self.add_lock_wait();
                self.give_up_on_lock(run, steps, cause).await
            }
            (Decision::Skip(skip), _) => GuestResult::Skipped(skip.clone()),
            (Decision::Refuse(refusal), _) => GuestResult::Refused(refusal.clone()),
            (Decision::Proceed(_), _) => GuestResult::NotReached,
        }
    }

    /// Ends a guest with a late task. If the run was stopped, the task is polled a last time, so
    /// that its end can be reported; no new step begins.
    async fn abandon_late(&mut self, run: &RunContext, steps: &Steps) -> GuestResult {
        if run.stop.requested().is_some() {
            match Box::pin(self.advance(run)).await {
                SliceOutcome::Finished(result) => return result,
                SliceOutcome::Late | SliceOutcome::Deferred(_) => {}
            }
        }
        self.slice_started = Instant::now();
        self.add_late_wait();
        self.report_no_longer_late(run);
        let Some(late) = self.late.take() else {
            let cause = self.deferred_for.take().unwrap_or_default();
            return self.give_up_on_lock(run, steps, cause).await;
        };
        let failure = late.into_failure();
        match &steps.creation {
            Some(creation) if self.stage == Stage::Creating => {
                self.fail_creation(run, creation, failure).await
            }
            _ => self.end_with_failed_removal(run, steps, failure).await,
        }
    }

    /// Calls the closing hooks of the interrupted step after a panic.
    pub(super) async fn close_hooks(&mut self, run: &RunContext) {
        self.close_removal(run).await;
        let plan = self.run_plan();
        let steps = plan.guests[self.index()].steps();
        let Some(creation) = steps.and_then(|steps| steps.creation.as_ref()) else {
            return;
        };
        match self.stage {
            Stage::Creating => self.abort_creation(run, creation).await,
            Stage::Removing if self.taken.is_some() => {
                self.close_creation(run, creation, false).await;
            }
            Stage::Removing | Stage::New => {}
        }
    }

    async fn proceed(&mut self, run: &RunContext, steps: &Steps) -> SliceOutcome {
        if self.late.is_some() {
            self.add_late_wait();
        } else {
            self.add_lock_wait();
            if let Some(outcome) = self.check_lock(run, steps).await {
                return outcome;
            }
            self.deferred_for = None;
            self.report_resumed(run);
        }
        let Some(creation) = &steps.creation else {
            return match self.remove_all(run, steps).await.into_result() {
                Ok(result) => SliceOutcome::Finished(result),
                Err(deferred) => deferred,
            };
        };
        if self.stage == Stage::New
            && let Some(outcome) = self.remove_overdue(run, steps).await
        {
            return outcome;
        }
        if self.stage != Stage::Removing {
            match self.create(run, creation).await {
                CreationOutcome::Done => {}
                CreationOutcome::Ended(result) => return SliceOutcome::Finished(result),
                CreationOutcome::Locked(wait) => return SliceOutcome::Deferred(wait),
                CreationOutcome::Late => return SliceOutcome::Late,
            }
        }
        let result = match self.remove_all(run, steps).await.into_result() {
            Ok(result) => result,
            Err(deferred) => return deferred,
        };
        self.close_creation(run, creation, result == GuestResult::Done)
            .await;
        SliceOutcome::Finished(result)
    }

    /// Reads the lock of a guest that was locked when it was planned or at its last attempt. Returns the outcome if
    /// it is still locked. This comes before the opening hook, so that no service is paused for a snapshot that
    /// cannot be taken yet.
    async fn check_lock(&mut self, run: &RunContext, steps: &Steps) -> Option<SliceOutcome> {
        let was_locked = self.guest_plan().was_locked() && !self.has_changed_anything();
        if self.deferred_for.is_none() && !was_locked {
            return None;
        }
        let lock = run.client.lock_of(&mut self.location).await?;
        let (lock, refusal) = self.refusal_by(run, lock).await?;
        let cause = pve_messages::locked(self.location.kind, &lock);
        if matches!(refusal, Refusal::Locked(_))
            && let Some(until) = self.retry_until(run, &cause)
        {
            return Some(SliceOutcome::Deferred(LockWait { cause, until }));
        }
        self.report_resumed(run);
        let has_waited = !self.waited.is_zero() || self.is_open();
        Some(SliceOutcome::Finished(if has_waited {
            self.give_up_on_lock(run, steps, cause).await
        } else {
            self.refuse(run, &refusal).await
        }))
    }

    /// Fails the step that is locked: the run no longer waits for the lock.
    async fn give_up_on_lock(
        &mut self,
        run: &RunContext,
        steps: &Steps,
        cause: String,
    ) -> GuestResult {
        let failure = failures::locked(cause, Some(self.waited));
        match &steps.creation {
            Some(creation) if self.stage != Stage::Removing && self.opened_removal.is_none() => {
                if self.stage == Stage::New {
                    // The hooks are called as for a guest that fails immediately because of its lock.
                    self.open_creation(run, creation.name.as_str()).await;
                    self.report_creation_started(run, creation);
                }
                self.fail_creation(run, creation, failure).await
            }
            _ => self.end_with_failed_removal(run, steps, failure).await,
        }
    }
}

impl RemovalOutcome {
    /// The result of the guest after its last step; the error is the outcome of the slice if it is deferred.
    fn into_result(self) -> Result<GuestResult, SliceOutcome> {
        match self {
            Self::Done | Self::LeftOver => Ok(GuestResult::Done),
            Self::Failed => Ok(GuestResult::Failed),
            Self::HookFailed => Ok(GuestResult::StoppedByHook),
            Self::Locked(wait) => Err(SliceOutcome::Deferred(wait)),
            Self::Late => Err(SliceOutcome::Late),
        }
    }
}
