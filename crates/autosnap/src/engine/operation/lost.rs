// SPDX-License-Identifier: GPL-3.0-only
//! When the answer to a creation or removal was lost: the truth is looked up, never asked for again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use autosnap_core::event::{Effect, Success};
use pve_client::{Error, TaskFilter, TaskSource, Upid};
use tokio::time::Instant;

use super::super::{Engine, failures};
use super::{End, NotThere, Operation, Place, Seen, Sending};

/// How long a lost request is looked for. Whoever passes it on gives up after 30 s
/// (`PVE/APIServer/AnyEvent.pm`), so that it may still arrive until then.
const LOOK_FOR: Duration = Duration::from_secs(35);
/// How far a node's clock may be behind that of the host we talk to for its task still to be
/// recognised as ours.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);
/// The same while nothing is known of the host's clock.
const UNKNOWN_CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

impl Engine {
    /// The answer was lost: looks for the effect or the task until the time is up.
    ///
    /// Only the effect is certain. A task of the right kind that has failed may be that of another
    /// run with the same token, while our request is still on its way, so it never ends the search
    /// and never allows sending again.
    pub(super) async fn look_for(
        &self,
        place: &mut Place,
        operation: &Operation<'_>,
        error: &Error,
        sending: &Sending,
    ) -> End {
        tracing::debug!(vmid = %place.vmid, %error, "the answer was lost; looking for its effect");
        let deadline = Instant::now() + LOOK_FOR.min(self.options.timeout);
        place.look_until = Some(deadline);
        let mut pause = Duration::from_millis(100);
        loop {
            let seen = self.see(place, operation).await;
            if seen == Some(Seen::Done) {
                return End::Done(Success {
                    adopted: true,
                    ..Success::default()
                });
            }
            let in_time = seen.is_some() || Instant::now() < deadline;
            if in_time && let Some(upid) = self.own_task(place, operation, sending).await {
                let end = self.follow(place, operation, &upid, sending).await;
                match end.unwrap_or_else(NotThere::into_end) {
                    End::Done(success) if self.see(place, operation).await == Some(Seen::Done) => {
                        return End::Done(Success {
                            adopted: true,
                            ..success
                        });
                    }
                    End::Late(late) => return End::Late(Box::new(late.found_by_looking())),
                    End::Failed(failure) if leaves_traces(failure.effect) => {
                        return End::Failed(failure);
                    }
                    End::Done(_) | End::Locked(_) | End::Dropped(_) | End::Failed(_) => {}
                }
            }
            if Instant::now() >= deadline || self.client.is_server_lost() {
                return End::Failed(failures::lost_reply(
                    (place.vmid, &sending.node),
                    operation.snapshot_name(),
                    error,
                    &operation.seen_in_words(seen),
                ));
            }
            tokio::time::sleep(pause.min(deadline - Instant::now())).await;
            pause = (pause * 3 / 2).min(Duration::from_secs(3));
        }
    }

    /// A task of the guest that may be the one whose answer was lost, the newest first. It is on the
    /// node that was asked, also when the guest has moved since.
    async fn own_task(
        &self,
        place: &Place,
        operation: &Operation<'_>,
        sending: &Sending,
    ) -> Option<Upid> {
        let (lead, tolerance) = match self.client.clock_difference() {
            Some(lead) => (lead, CLOCK_TOLERANCE),
            None => (0, UNKNOWN_CLOCK_TOLERANCE),
        };
        // By the clock as it is now, like the lead: it may have been set since the request was sent.
        let since = SystemTime::now()
            .checked_sub(sending.at.elapsed() + tolerance)?
            .duration_since(UNIX_EPOCH)
            .ok()?;
        let since = i64::try_from(since.as_secs()).ok()?.saturating_add(lead);
        let (task_type, vmid) = (operation.task_type(place.kind), place.vmid.get());
        let filter = TaskFilter {
            vmid: Some(vmid),
            source: TaskSource::All,
            since: Some(since),
            kind: Some(task_type.to_owned()),
            limit: Some(10),
        };
        let tasks = self.reader(place).node_tasks(&sending.node, &filter).await;
        let tasks = self.noted(tasks).ok()?;
        let mut tasks = tasks.into_iter().map(|task| task.upid);
        tasks.find(|upid| {
            upid.is_for(&sending.node, task_type, vmid, &self.options.identity)
                && !place.followed.contains(upid)
        })
    }
}

/// Whether a failed task has left the guest in a state that must be told as it is.
fn leaves_traces(effect: Effect) -> bool {
    match effect {
        Effect::StillRunning | Effect::HalfDone => true,
        Effect::None | Effect::Unknown => false,
    }
}
