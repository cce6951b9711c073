// SPDX-License-Identifier: GPL-3.0-only
//! Guests whose task takes longer than the timeout: they free their slot for others and are polled again when
//! a slot is free, and before the run ends.
//!
//! Their hooks are called once, when the end of the task is known or the run ends.

use autosnap_core::event::{EventKind, WaitReason};
use tokio::time::Instant;

use super::state::GuestRun;
use crate::engine::context::RunContext;
use crate::engine::failures;
use crate::engine::operation::{LateTask, Operation, StepOutcome};

impl GuestRun {
    pub(super) fn defer_for_late_task(&mut self, run: &RunContext) {
        self.late_since = Some(Instant::now());
        if !std::mem::replace(&mut self.is_waiting, true) {
            run.events.emit(EventKind::GuestDeferred {
                vmid: self.vmid(),
                cause: failures::late_task(run.options.execution.timeout),
            });
        }
    }

    /// Adds the time since the guest was deferred for its task. It counts as work, because the task was running.
    pub(super) fn add_late_wait(&mut self) {
        if let Some(since) = self.late_since.take() {
            let waited = since.elapsed();
            self.late_waited += waited;
            self.worked += waited;
        }
    }

    /// Polls the late task once. The end of the wait is reported when the task has ended.
    pub(super) async fn poll_late(
        &mut self,
        run: &RunContext,
        operation: &Operation<'_>,
        late: Box<LateTask>,
    ) -> StepOutcome {
        let outcome = run
            .client
            .poll_late(&mut self.location, operation, late)
            .await;
        if !matches!(outcome, StepOutcome::Late(_)) {
            self.report_no_longer_late(run);
        }
        outcome
    }

    pub(super) fn report_no_longer_late(&mut self, run: &RunContext) {
        if std::mem::take(&mut self.is_waiting) {
            run.events.emit(EventKind::GuestResumed {
                vmid: self.vmid(),
                waited: std::mem::take(&mut self.late_waited),
                reason: WaitReason::LateTask,
            });
        }
    }
}
