// SPDX-License-Identifier: GPL-3.0-only
//! When the reply to a creation or removal names a task that is older than the request, as a cache
//! before PVE or a restored copy of a host may send it: its end says nothing of the request.
//!
//! The node dates its tasks, and its clock may be behind that of the host we talk to. So an old
//! date is a suspicion only: the task is followed all the same, and then the guest's snapshots decide.

use autosnap_core::event::Success;
use pve_client::{Certainty, Error, Method, SnapshotListing, Upid};
use tokio::time::Instant;

use super::super::Engine;
use super::asked::Seen;
use super::{End, Listed, NotThere, Operation, Place, Sending};
use crate::inventory;

/// How long before the request a task may have begun, in seconds, for its success to be believed
/// without a look at the guest's snapshots.
const NEEDS_NO_LOOK: i64 = 5;
/// The same for a failure to be believed that allows a second request. PVE itself accepts clocks that
/// differ as much (`verify_ticket` in `PVE/AccessControl.pm`).
const CLOCK_TOLERANCE: i64 = 300;

impl Engine {
    /// Follows the task that a reply names. If it began before the request, only the guest's
    /// snapshots show whether the request was carried out.
    pub(super) async fn follow_reply(
        &self,
        place: &mut Place,
        operation: &Operation<'_>,
        upid: &Upid,
        sending: &Sending,
    ) -> Result<End, NotThere> {
        let age = self.age_at(upid, sending);
        let end = self.follow(place, operation, upid, sending).await;
        if let Ok(End::Late(late)) = end {
            return Ok(End::Late(Box::new(late.with_age(age))));
        }
        self.judge_by_age(place, operation, (upid, age), sending, end)
            .await
    }

    /// What the end of a task says of a request that it was begun so many seconds before.
    pub(super) async fn judge_by_age(
        &self,
        place: &mut Place,
        operation: &Operation<'_>,
        (upid, age): (&Upid, i64),
        sending: &Sending,
        end: Result<End, NotThere>,
    ) -> Result<End, NotThere> {
        if age <= NEEDS_NO_LOOK {
            return end;
        }
        tracing::debug!(vmid = %place.vmid, %upid, age, "the task is older than the request");
        match end {
            Ok(End::Done(success)) => {
                if let Some(success) = self.confirmed(place, operation, (upid, age), success).await
                {
                    return Ok(End::Done(success));
                }
            }
            other if age <= CLOCK_TOLERANCE || self.client.clock_difference().is_none() => {
                return other;
            }
            Ok(End::Failed(_) | End::Locked(_) | End::Dropped(_) | End::Late(_)) | Err(_) => {}
        }
        place.task_started = None;
        let error = self.names_earlier_task(place, operation, upid);
        Ok(self.look_for(place, operation, &error, sending).await)
    }

    /// How many seconds before the request the task began, by the clock of the host we talk to.
    fn age_at(&self, upid: &Upid, sending: &Sending) -> i64 {
        let since = i64::try_from(sending.at.elapsed().as_secs()).unwrap_or(i64::MAX);
        self.server_time()
            .as_second()
            .saturating_sub(since)
            .saturating_sub(upid.started_at())
    }

    /// The success of an old task, if the guest's snapshots show it too. The list is kept: it is as
    /// good for the removals.
    async fn confirmed(
        &self,
        place: &mut Place,
        operation: &Operation<'_>,
        (upid, age): (&Upid, i64),
        success: Success,
    ) -> Option<Success> {
        let asked_at = Instant::now();
        let listing = self.listing_wherever(place).await.ok()?;
        if operation.seen_in(&listing) != Seen::Done {
            return None;
        }
        let adopted = age > CLOCK_TOLERANCE && !is_dated_like(&listing, operation, upid);
        if adopted {
            place.task_started = None;
        }
        place.listed = Some(Listed {
            snapshots: inventory::snapshots(listing),
            true_at: asked_at,
        });
        Some(Success {
            adopted: success.adopted || adopted,
            ..success
        })
    }

    /// The reply names the task of an earlier request for the guest, whose end says nothing of this
    /// one.
    pub(super) fn names_earlier_task(
        &self,
        place: &Place,
        operation: &Operation<'_>,
        upid: &Upid,
    ) -> Error {
        let method = match operation {
            Operation::Create(_) => Method::Post,
            Operation::Remove { .. } => Method::Delete,
        };
        let Place {
            node, kind, vmid, ..
        } = place;
        Error::NotUnderstood {
            method,
            path: format!("/nodes/{node}/{kind}/{vmid}/snapshot"),
            endpoint: self.client.current_endpoint(),
            what: format!("the reply names the task of an earlier request: {upid}"),
            certainty: Certainty::Unknown,
        }
    }
}

/// Whether the new snapshot has the date of the task: then it is the node's clock that is behind, and
/// the task is ours. A removal leaves nothing that could be compared.
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
