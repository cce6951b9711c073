// SPDX-License-Identifier: GPL-3.0-only
//! Tasks that take longer than the timeout: they continue in PVE, so no other request is sent for their guest until
//! their end is known.

use autosnap_core::event::Success;
use pve_client::TaskStatus;
use tokio::time::Instant;

use super::guest_client::GuestClient;
use super::outcome::{GuestNotOnNode, LateTask, StepOutcome};
use super::request::{Operation, RequestEffect};
use crate::engine::failures;
use crate::engine::location::GuestLocation;

impl GuestClient {
    /// Polls a late task once: returns how it ended, or that it is still late.
    pub(in crate::engine) async fn poll_late(
        &self,
        location: &mut GuestLocation,
        operation: &Operation<'_>,
        late: Box<LateTask>,
    ) -> StepOutcome {
        location.reads_end_at = Some(Instant::now());
        let status = self.reader(location).task_status(&late.upid).await;
        let exit = match self.check_access(status) {
            Ok(TaskStatus::Running) => {
                let failure = failures::timed_out(&late.upid, self.timeout());
                return StepOutcome::Late(Box::new(LateTask { failure, ..*late }));
            }
            Ok(TaskStatus::Stopped(exit)) => exit,
            Err(error)
                if error.is_transient()
                    || error.is_transient_read_error()
                    || self.stop.requested().is_some() =>
            {
                let failure = failures::end_not_seen(&late.upid, self.timeout(), &error);
                return StepOutcome::Late(Box::new(LateTask { failure, ..*late }));
            }
            Err(error) => {
                let failure = failures::unreadable_task(&late.upid, &error);
                return self
                    .check_unreadable_task(location, operation, &error, failure)
                    .await;
            }
        };
        self.tasks.remove(location.vmid);
        location.task_started = Some(late.upid.started_at());
        location.listed = None;
        let LateTask {
            upid,
            submission,
            age,
            was_found,
            ..
        } = *late;
        let outcome = self.on_task_ended(location, operation, &upid, exit).await;
        let outcome = self
            .check_age(location, operation, (&upid, age), &submission, outcome)
            .await;
        match outcome.unwrap_or_else(GuestNotOnNode::into_outcome) {
            StepOutcome::Done(_)
                if was_found
                    && self.inspect(location, operation).await != Some(RequestEffect::Applied) =>
            {
                StepOutcome::Failed(failures::effect_not_listed(&upid))
            }
            StepOutcome::Done(success) => StepOutcome::Done(Success {
                adopted: success.adopted || was_found,
                late: true,
                duration: submission.at.elapsed(),
                ..success
            }),
            other @ (StepOutcome::Locked(_)
            | StepOutcome::Dropped(_)
            | StepOutcome::Failed(_)
            | StepOutcome::Late(_)) => other,
        }
    }
}
