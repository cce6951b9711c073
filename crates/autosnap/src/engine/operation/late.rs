// SPDX-License-Identifier: GPL-3.0-only
//! A task that takes longer than the time-out: it goes on in PVE, so no other request is sent for its guest
//! until its end is known.

use std::time::Duration;

use autosnap_core::event::{Failure, Success};
use pve_client::{TaskStatus, Upid};
use tokio::time::Instant;

use super::super::{Engine, failures};
use super::{End, NotThere, Operation, Place, Seen, Sending};

/// The shortest and the longest pause between two polls.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// A task that still ran when the time-out expired.
#[derive(Debug, Clone)]
pub(in crate::engine) struct LateTask {
    upid: Upid,
    sending: Sending,
    /// How many seconds before the request it began.
    age: i64,
    /// The reply was lost, and the task was found by looking for it.
    was_found: bool,
    /// The failure of the step if the end of the task is never seen.
    failure: Failure,
}

impl LateTask {
    pub(super) fn with_age(self, age: i64) -> Self {
        Self { age, ..self }
    }

    pub(super) fn found_by_looking(self) -> Self {
        Self {
            was_found: true,
            ..self
        }
    }

    pub(in crate::engine) fn upid(&self) -> &Upid {
        &self.upid
    }

    /// When the request for it was sent.
    pub(in crate::engine) fn asked_at(&self) -> Instant {
        self.sending.at
    }

    /// The pause before the next poll: a sixteenth of the time since the request.
    pub(in crate::engine) fn pause(&self) -> Duration {
        let (shortest, longest) = PAUSES;
        (self.sending.at.elapsed() / 16).clamp(shortest, longest)
    }

    /// The failure of the step if the task is not polled any more.
    pub(in crate::engine) fn into_failure(self) -> Failure {
        self.failure
    }
}

impl Engine {
    pub(super) fn late_task(&self, upid: Upid, sending: &Sending) -> LateTask {
        LateTask {
            failure: failures::timed_out(&upid, self.options.timeout),
            upid,
            sending: sending.clone(),
            age: 0,
            was_found: false,
        }
    }

    /// Looks at a late task: how it has ended, or that it still runs, as far as one can see.
    pub(in crate::engine) async fn look_at_late(
        &self,
        place: &mut Place,
        operation: &Operation<'_>,
        late: Box<LateTask>,
    ) -> End {
        place.look_until = Some(Instant::now());
        let status = self.reader(place).task_status(&late.upid).await;
        let exit = match self.noted(status) {
            Ok(TaskStatus::Running) => {
                let failure = failures::timed_out(&late.upid, self.options.timeout);
                return End::Late(Box::new(LateTask { failure, ..*late }));
            }
            Ok(TaskStatus::Stopped(exit)) => exit,
            Err(error)
                if error.is_transient()
                    || error.is_transient_read_error()
                    || self.stop.requested().is_some() =>
            {
                let failure = failures::end_not_seen(&late.upid, self.options.timeout, &error);
                return End::Late(Box::new(LateTask { failure, ..*late }));
            }
            Err(error) => {
                let failure = failures::unreadable_task(&late.upid, &error);
                return self.judge_unseen(place, operation, &error, failure).await;
            }
        };
        self.tasks.ended(place.vmid);
        place.task_started = Some(late.upid.started_at());
        place.listed = None;
        let LateTask {
            upid,
            sending,
            age,
            was_found,
            ..
        } = *late;
        let end = self.ended(place, operation, &upid, exit).await;
        let end = self.judge_by_age(place, operation, (&upid, age), &sending, end);
        match end.await.unwrap_or_else(NotThere::into_end) {
            End::Done(_) if was_found && self.see(place, operation).await != Some(Seen::Done) => {
                End::Failed(failures::effect_not_listed(&upid))
            }
            End::Done(success) => End::Done(Success {
                adopted: success.adopted || was_found,
                late: true,
                duration: sending.at.elapsed(),
                ..success
            }),
            other @ (End::Locked(_) | End::Dropped(_) | End::Failed(_) | End::Late(_)) => other,
        }
    }
}
