// SPDX-License-Identifier: GPL-3.0-only
//! The creation of a guest's snapshot, with its hooks.

use std::time::Duration;

use autosnap_core::event::{EventKind, Failure, GuestResult};
use autosnap_core::plan::{Action, NewSnapshot, Refusal};
use tokio::time::Instant;

use super::state::{GuestRun, LockWait, RunSnapshot, Stage};
use crate::engine::context::RunContext;
use crate::engine::failures;
use crate::engine::operation::{Operation, StepOutcome};
use crate::hook::Phase;

/// How a creation ended.
pub(super) enum CreationOutcome {
    Done,
    Ended(GuestResult),
    Locked(LockWait),
    Late,
}

impl GuestRun {
    pub(super) async fn create(
        &mut self,
        run: &RunContext,
        creation: &NewSnapshot,
    ) -> CreationOutcome {
        let name = creation.name.as_str();
        if self.stage == Stage::New {
            self.stage = Stage::Creating;
            if !self.open_creation(run, name).await {
                let abort =
                    self.hook_call(Phase::SnapCreateAbort, Some(name), false, Duration::ZERO);
                run.call_hook(&abort).await;
                return CreationOutcome::Ended(GuestResult::StoppedByHook);
            }
            self.report_creation_started(run, creation);
            #[cfg(test)]
            run.panic_if_requested(self.vmid());
        }
        let operation = Operation::Create(creation);
        let sent_at = match &self.late {
            Some(late) => late.sent_at(),
            None => Instant::now(),
        };
        let outcome = if let Some(late) = self.late.take() {
            self.poll_late(run, &operation, late).await
        } else {
            self.location.task_started = None;
            run.client.carry_out(&mut self.location, &operation).await
        };
        match outcome {
            StepOutcome::Done(success) => {
                self.stage = Stage::Removing;
                self.on_progress();
                self.taken = Some(RunSnapshot {
                    name: creation.name.clone(),
                    task_started: self.location.task_started,
                    sent_at,
                });
                run.events.emit(EventKind::Created {
                    vmid: self.vmid(),
                    success,
                });
                if creation.requests_ram && run.client.lacks_ram(&mut self.location, name).await {
                    run.events.emit(EventKind::MissingRam {
                        vmid: self.vmid(),
                        snapshot: name.to_owned(),
                    });
                }
                CreationOutcome::Done
            }
            StepOutcome::Locked(cause) => match self.wait_for(run, cause) {
                Ok(wait) => CreationOutcome::Locked(wait),
                Err(failure) => self.end_failed_creation(run, creation, failure).await,
            },
            StepOutcome::Dropped(_) => {
                self.end_failed_creation(run, creation, failures::removed_by_other_program())
                    .await
            }
            StepOutcome::Late(late) => {
                self.late = Some(late);
                CreationOutcome::Late
            }
            StepOutcome::Failed(failure) => self.end_failed_creation(run, creation, failure).await,
        }
    }

    /// Calls the opening hook; returns whether the creation may start.
    pub(super) async fn open_creation(&self, run: &RunContext, name: &str) -> bool {
        let opening = self.hook_call(Phase::SnapCreatePre, Some(name), true, Duration::ZERO);
        run.call_hook(&opening).await
    }

    pub(super) fn report_creation_started(&self, run: &RunContext, creation: &NewSnapshot) {
        run.events.emit(EventKind::CreationStarted {
            vmid: self.vmid(),
            snapshot: creation.clone(),
        });
    }

    async fn end_failed_creation(
        &self,
        run: &RunContext,
        creation: &NewSnapshot,
        failure: Failure,
    ) -> CreationOutcome {
        CreationOutcome::Ended(self.fail_creation(run, creation, failure).await)
    }

    /// Reports the failure and calls the closing hook.
    pub(super) async fn fail_creation(
        &self,
        run: &RunContext,
        creation: &NewSnapshot,
        failure: Failure,
    ) -> GuestResult {
        run.events.emit(EventKind::CreationFailed {
            vmid: self.vmid(),
            failure,
        });
        self.abort_creation(run, creation).await;
        GuestResult::Failed
    }

    /// Calls the closing hook of a creation that failed.
    pub(super) async fn abort_creation(&self, run: &RunContext, creation: &NewSnapshot) {
        let name = Some(creation.name.as_str());
        let duration = self.worked_until_now();
        let call = self.hook_call(Phase::SnapCreateAbort, name, false, duration);
        run.call_hook(&call).await;
    }

    /// Calls the closing hook of a creation after the removals.
    pub(super) async fn close_creation(
        &self,
        run: &RunContext,
        creation: &NewSnapshot,
        state: bool,
    ) {
        let name = Some(creation.name.as_str());
        let duration = self.worked_until_now();
        let call = self.hook_call(Phase::SnapCreatePost, name, state, duration);
        run.call_hook(&call).await;
    }

    /// Refuses the guest. Calls the hooks of a failed step if the C# tool would have tried and failed.
    pub(super) async fn refuse(&self, run: &RunContext, refusal: &Refusal) -> GuestResult {
        if !refusal.counts_as_attempt() {
            return GuestResult::Refused(refusal.clone());
        }
        let (pre, abort, state, name) = match &self.guest_plan().action {
            Action::Snap(creation) => (
                Phase::SnapCreatePre,
                Phase::SnapCreateAbort,
                true,
                Some(creation.name.as_str()),
            ),
            Action::Clean => {
                let oldest = self
                    .guest_plan()
                    .steps()
                    .and_then(|steps| steps.removals().next());
                let name = oldest.map(|snapshot| snapshot.name.as_str());
                (Phase::SnapRemovePre, Phase::SnapRemoveAbort, false, name)
            }
        };
        if name.is_some() {
            let pre = self.hook_call(pre, name, state, Duration::ZERO);
            run.call_hook(&pre).await;
            let abort = self.hook_call(abort, name, false, Duration::ZERO);
            run.call_hook(&abort).await;
        }
        GuestResult::Refused(refusal.clone())
    }
}
