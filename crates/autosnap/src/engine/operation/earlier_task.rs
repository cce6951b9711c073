// SPDX-License-Identifier: GPL-3.0-only
//! Replies with a task that is older than the request, for example from a cache in front of PVE or a restored copy of
//! a host. The end of such a task does not show whether the request was carried out.
//!
//! The node dates its tasks, and its clock may be behind the clock of the connected host. So an old date
//! proves nothing: the run still follows the task, and then checks the guest's snapshots.

use autosnap_core::event::Success;
use pve_client::{SnapshotListing, Upid};
use tokio::time::Instant;

use super::guest_client::GuestClient;
use super::outcome::{GuestNotOnNode, StepOutcome, Submission};
use super::request::{Operation, RequestEffect};
use crate::engine::location::{GuestLocation, SnapshotList};
use crate::inventory;

/// The age of a task, in seconds before the request, up to which its success is accepted without reading the guest's
/// snapshots.
const TRUSTED_AGE: i64 = 5;
/// The same age for a task that failed. PVE itself accepts clocks that differ by this much (`verify_ticket` in
/// `PVE/AccessControl.pm`).
const CLOCK_TOLERANCE: i64 = 300;

impl GuestClient {
    /// Follows the task in a reply. If it started before the request, only the guest's snapshots show
    /// whether the request was carried out.
    pub(super) async fn follow_reply(
        &self,
        location: &mut GuestLocation,
        operation: &Operation<'_>,
        upid: &Upid,
        submission: &Submission,
    ) -> Result<StepOutcome, GuestNotOnNode> {
        let age = self.age_of(upid, submission);
        let outcome = self.follow(location, operation, upid, submission).await;
        if let Ok(StepOutcome::Late(late)) = outcome {
            return Ok(StepOutcome::Late(Box::new(late.with_age(age))));
        }
        self.check_age(location, operation, (upid, age), submission, outcome)
            .await
    }

    /// The outcome of a request whose task started `age` seconds before it.
    pub(super) async fn check_age(
        &self,
        location: &mut GuestLocation,
        operation: &Operation<'_>,
        (upid, age): (&Upid, i64),
        submission: &Submission,
        outcome: Result<StepOutcome, GuestNotOnNode>,
    ) -> Result<StepOutcome, GuestNotOnNode> {
        if age <= TRUSTED_AGE {
            return outcome;
        }
        tracing::debug!(vmid = %location.vmid, %upid, age, "the task is older than the request");
        match outcome {
            Ok(StepOutcome::Done(success)) => {
                if let Some(success) = self
                    .confirmed(location, operation, (upid, age), success)
                    .await
                {
                    return Ok(StepOutcome::Done(success));
                }
            }
            other if age <= CLOCK_TOLERANCE || self.api.clock_difference().is_none() => {
                return other;
            }
            Ok(
                StepOutcome::Failed(_)
                | StepOutcome::Locked(_)
                | StepOutcome::Dropped(_)
                | StepOutcome::Late(_),
            )
            | Err(_) => {}
        }
        location.task_started = None;
        let error = self.earlier_task_error(location, operation, upid);
        Ok(self
            .find_effect(location, operation, &error, submission)
            .await)
    }

    /// How many seconds before the request the task started, by the clock of the connected host.
    fn age_of(&self, upid: &Upid, submission: &Submission) -> i64 {
        let since = i64::try_from(submission.at.elapsed().as_secs()).unwrap_or(i64::MAX);
        self.server_time()
            .as_second()
            .saturating_sub(since)
            .saturating_sub(upid.started_at())
    }

    /// The success of an old task, if the guest's snapshots show it too. The list is kept for the removals.
    async fn confirmed(
        &self,
        location: &mut GuestLocation,
        operation: &Operation<'_>,
        (upid, age): (&Upid, i64),
        success: Success,
    ) -> Option<Success> {
        let sent_at = Instant::now();
        let listing = self.listing_on_any_node(location).await.ok()?;
        if operation.effect_in(&listing) != RequestEffect::Applied {
            return None;
        }
        let adopted = age > CLOCK_TOLERANCE && !is_dated_like(&listing, operation, upid);
        if adopted {
            location.task_started = None;
        }
        location.listed = Some(SnapshotList {
            snapshots: inventory::snapshots(listing),
            current_at: sent_at,
        });
        Some(Success {
            adopted: success.adopted || adopted,
            ..success
        })
    }
}

/// Whether the new snapshot has the date of the task: then the request started the task, and the node's clock is
/// behind. Always true for a removal, which leaves no date to compare.
fn is_dated_like(listing: &SnapshotListing, operation: &Operation<'_>, upid: &Upid) -> bool {
    match operation {
        Operation::Remove { .. } => true,
        Operation::Create(_) => listing
            .find(operation.snapshot_name())
            .and_then(|entry| entry.taken_at)
            .is_some_and(|taken_at| {
                taken_at.abs_diff(upid.started_at()) <= CLOCK_TOLERANCE.unsigned_abs()
            }),
    }
}
