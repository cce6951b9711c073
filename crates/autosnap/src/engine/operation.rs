// SPDX-License-Identifier: GPL-3.0-only
//! One creation or removal, from the request to its outcome. No other module sends one.
//!
//! A request is sent once. Only two kinds of replies allow a second one, because they show that PVE has started
//! nothing:
//!
//! - the request failed before any work (no worker could be started, `fork_worker` in
//!   `PVE/RESTEnvironment.pm`; the node could not be connected to; the server is busy);
//! - the guest is no longer on its node. The error of the reply shows it or, for containers and removals, the error of
//!   the task. One more request is sent if the guest is found on another node and its snapshots there show that the
//!   operation is still pending.
//!
//! After a lost reply the run searches for the effect in the guest's snapshots and in the node's tasks. If it finds
//! neither, it reports the effect as unknown.

mod earlier_task;
mod guest_client;
mod late_task;
mod lost_reply;
mod migrated;
mod outcome;
mod reads;
mod request;
mod task;

use autosnap_core::event::{Effect, Success};
use autosnap_core::remedy::GuestRemedy;
use tokio::time::Instant;

use super::location::GuestLocation;
pub(super) use guest_client::GuestClient;
use migrated::MigrationCheck;
use outcome::{GuestNotOnNode, Submission, SubmitOutcome};
pub(super) use outcome::{LateTask, StepOutcome};
pub(super) use request::Operation;

impl GuestClient {
    /// Carries out the operation once and returns its outcome. Updates `location` if the guest has moved.
    pub(super) async fn carry_out(
        &self,
        location: &mut GuestLocation,
        operation: &Operation<'_>,
    ) -> StepOutcome {
        let started = Instant::now();
        let outcome = match self.attempt(location, operation).await {
            Ok(outcome) => outcome,
            Err(missing) => self.retry_on_other_node(location, operation, missing).await,
        };
        match outcome {
            StepOutcome::Done(success) => StepOutcome::Done(Success {
                duration: started.elapsed(),
                ..success
            }),
            other @ (StepOutcome::Locked(_)
            | StepOutcome::Dropped(_)
            | StepOutcome::Failed(_)
            | StepOutcome::Late(_)) => other,
        }
    }

    /// Sends the request and follows it to its end.
    async fn attempt(
        &self,
        location: &mut GuestLocation,
        operation: &Operation<'_>,
    ) -> Result<StepOutcome, GuestNotOnNode> {
        let submission = Submission {
            at: Instant::now(),
            node: location.node.clone(),
        };
        location.reads_end_at = Some(submission.at + self.timeout());
        match self.submit(location, operation).await {
            SubmitOutcome::Task(upid) => {
                self.follow_reply(location, operation, &upid, &submission)
                    .await
            }
            SubmitOutcome::ReplyLost(error) => Ok(self
                .find_effect(location, operation, &error, &submission)
                .await),
            SubmitOutcome::GuestNotOnNode(missing) => Err(missing),
            SubmitOutcome::Ended(outcome) => Ok(outcome),
        }
    }

    /// Sends the request once more, on the node where the guest is now, if it is still pending there.
    async fn retry_on_other_node(
        &self,
        location: &mut GuestLocation,
        operation: &Operation<'_>,
        missing: GuestNotOnNode,
    ) -> StepOutcome {
        let first_node = location.node.clone();
        let missing = match self.check_migration(location, operation, missing).await {
            MigrationCheck::Ended(outcome) => return outcome,
            MigrationCheck::StillPending(missing) => missing,
        };
        if location.node == first_node {
            return missing.with_effect(Effect::None, run_again(location));
        }
        let missing = match self.attempt(location, operation).await {
            Ok(outcome) => return outcome,
            Err(missing) => missing,
        };
        match self.check_migration(location, operation, missing).await {
            MigrationCheck::Ended(outcome) => outcome,
            MigrationCheck::StillPending(missing) => {
                missing.with_effect(Effect::None, run_again(location))
            }
        }
    }
}

/// The remedy for a guest that was found on another node, unchanged.
fn run_again(location: &GuestLocation) -> GuestRemedy {
    GuestRemedy::RunAgain {
        node: location.node.clone(),
    }
}
