// SPDX-License-Identifier: GPL-3.0-only
//! Lost replies to a creation or removal: the run searches for the effect and does not send the request again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use autosnap_core::event::{Effect, Success};
use pve_client::{Error, TaskFilter, TaskSource, Upid};
use tokio::time::Instant;

use super::guest_client::GuestClient;
use super::outcome::{GuestNotOnNode, StepOutcome, Submission};
use super::request::{Operation, RequestEffect};
use crate::engine::failures;
use crate::engine::location::GuestLocation;

/// How long the run searches for the effect of a request. A proxy between nodes gives up after 30 s
/// (`PVE/APIServer/AnyEvent.pm`), so the request may still arrive until then.
const SEARCH_LIMIT: Duration = Duration::from_secs(35);
/// How far a node's clock may be behind the clock of the connected host for a task to be recognized as
/// the one that the request started.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);
/// The tolerance if the clock of the connected host is not known.
const UNKNOWN_CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

impl GuestClient {
    /// Searches for the effect or the task of a request whose reply was lost, for at most [`SEARCH_LIMIT`].
    ///
    /// Only the effect is certain. A failed task of the right kind may belong to another run with the same
    /// token, while this request is still on its way: it neither ends the search nor allows a second request.
    pub(super) async fn find_effect(
        &self,
        location: &mut GuestLocation,
        operation: &Operation<'_>,
        error: &Error,
        submission: &Submission,
    ) -> StepOutcome {
        tracing::debug!(vmid = %location.vmid, %error, "the reply was lost; searching for its effect");
        let deadline = Instant::now() + SEARCH_LIMIT.min(self.timeout());
        location.reads_end_at = Some(deadline);
        let mut pause = Duration::from_millis(100);
        loop {
            let effect = self.inspect(location, operation).await;
            if effect == Some(RequestEffect::Applied) {
                return StepOutcome::Done(Success {
                    adopted: true,
                    ..Success::default()
                });
            }
            let in_time = effect.is_some() || Instant::now() < deadline;
            if in_time && let Some(upid) = self.find_task(location, operation, submission).await {
                let outcome = self.follow(location, operation, &upid, submission).await;
                match outcome.unwrap_or_else(GuestNotOnNode::into_outcome) {
                    StepOutcome::Done(success)
                        if self.inspect(location, operation).await
                            == Some(RequestEffect::Applied) =>
                    {
                        return StepOutcome::Done(Success {
                            adopted: true,
                            ..success
                        });
                    }
                    StepOutcome::Late(late) => {
                        return StepOutcome::Late(Box::new(late.with_task_found()));
                    }
                    StepOutcome::Failed(failure) if has_changed_guest(failure.effect) => {
                        return StepOutcome::Failed(failure);
                    }
                    StepOutcome::Done(_)
                    | StepOutcome::Locked(_)
                    | StepOutcome::Dropped(_)
                    | StepOutcome::Failed(_) => {}
                }
            }
            if Instant::now() >= deadline || self.api.is_server_lost() {
                return StepOutcome::Failed(failures::lost_reply(
                    (location.vmid, &submission.node),
                    operation.snapshot_name(),
                    error,
                    &operation.describe_effect(effect),
                ));
            }
            tokio::time::sleep(pause.min(deadline - Instant::now())).await;
            pause = (pause * 3 / 2).min(Duration::from_secs(3));
        }
    }

    /// The newest task of the guest that the request may have started. It is on the node that received the request,
    /// even if the guest has moved since.
    async fn find_task(
        &self,
        location: &GuestLocation,
        operation: &Operation<'_>,
        submission: &Submission,
    ) -> Option<Upid> {
        let (lead, tolerance) = match self.api.clock_difference() {
            Some(lead) => (lead, CLOCK_TOLERANCE),
            None => (0, UNKNOWN_CLOCK_TOLERANCE),
        };
        // By the current clock, like the lead: it may have been set since the request was sent.
        let since = SystemTime::now()
            .checked_sub(submission.at.elapsed() + tolerance)?
            .duration_since(UNIX_EPOCH)
            .ok()?;
        let since = i64::try_from(since.as_secs()).ok()?.saturating_add(lead);
        let (task_type, vmid) = (operation.task_type(location.kind), location.vmid.get());
        let filter = TaskFilter {
            vmid: Some(vmid),
            source: TaskSource::All,
            since: Some(since),
            kind: Some(task_type.to_owned()),
            limit: Some(10),
        };
        let reader = self.reader(location);
        let tasks = reader.node_tasks(&submission.node, &filter).await;
        let tasks = self.check_access(tasks).ok()?;
        let mut tasks = tasks.into_iter().map(|task| task.upid);
        tasks.find(|upid| {
            upid.is_for(&submission.node, task_type, vmid, &self.identity)
                && !location.followed.contains(upid)
        })
    }
}

/// Whether a failed task has changed the guest, or still may.
fn has_changed_guest(effect: Effect) -> bool {
    match effect {
        Effect::StillRunning | Effect::HalfDone => true,
        Effect::None | Effect::Unknown => false,
    }
}
