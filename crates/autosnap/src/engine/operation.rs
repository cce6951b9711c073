// SPDX-License-Identifier: GPL-3.0-only
//! One creation or one removal, from the request to the certain end. The only place that sends one.
//!
//! A request is sent once. Only two kinds of answers allow a second one, because PVE says in them
//! that nothing was started: one that comes before any work (a worker that could not be started,
//! `fork_worker` in `PVE/RESTEnvironment.pm`; a node that could not be connected to; a busy server),
//! and that the guest is no longer on its node. The latter is said by the answer or, for containers
//! and removals, by the task; one more request is made, if the guest is found on another node and
//! its snapshots there show that nothing was done and that it is still to be done. When an answer is
//! lost, the truth is looked up: in the guest's snapshots and in the node's tasks. What cannot be
//! found out is said to be unknown.

mod asked;
mod earlier;
mod late;
mod location;
mod lost;
mod moved;
mod reads;
mod task;

use std::time::Duration;

use autosnap_core::event::{Failure, StopReason, Success};
use autosnap_core::plan::DropReason;
use autosnap_core::snapshot;
use pve_client::{Certainty, Error, Upid};
use tokio::time::Instant;

use super::{Engine, failures, pve_messages};
pub(super) use asked::Operation;
use asked::Seen;
pub(super) use late::LateTask;
pub(super) use location::{Listed, Place};
use moved::NotThere;

/// How often something is asked for of a node when PVE says that it has started nothing.
const START_TRIES: u32 = 5;
/// How it ended.
#[derive(Debug)]
pub(super) enum End {
    Done(Success),
    /// Nothing was done, because somebody holds the guest or its disks; what PVE said.
    Locked(String),
    /// What was to be removed is not to be removed any more: it is gone, and not by us, or is kept.
    Dropped(DropReason),
    Failed(Failure),
    /// The task has outlived the time-out and goes on.
    Late(Box<LateTask>),
}

/// What became of the request.
enum Sent {
    Task(Upid),
    /// The answer was lost.
    Lost(Error),
    NotThere(NotThere),
    Ended(End),
}

/// When and where a request was sent to, wherever the guest is later.
#[derive(Debug, Clone)]
struct Sending {
    at: Instant,
    node: String,
}

/// Whether PVE itself says that it has started nothing, and that a moment later it may: no worker
/// could be started, the node could not be connected to (595), the server is busy (503, 429).
fn is_not_started(error: &Error) -> bool {
    error.certainty() == Certainty::Refused && error.is_transient()
}

/// Whether the same call would fail for every guest: we are not let in any more, or nobody answers.
pub(crate) fn concerns_all(error: &Error) -> bool {
    matches!(error, Error::NotSent { .. }) || is_shut_out(error)
}

/// Whether no call will succeed any more, however long one waits.
fn is_shut_out(error: &Error) -> bool {
    matches!(
        error,
        Error::Authentication { .. }
            | Error::Certificate { .. }
            | Error::UnsupportedTls { .. }
            | Error::OtherCluster { .. }
    )
}

impl Engine {
    /// Does it once and finds out how it ended. `place` follows the guest if it has moved.
    pub(super) async fn carry_out(&self, place: &mut Place, operation: &Operation<'_>) -> End {
        let started = Instant::now();
        let end = match self.attempt(place, operation).await {
            Ok(end) => end,
            Err(not_there) => self.ask_elsewhere(place, operation, not_there).await,
        };
        match end {
            End::Done(success) => End::Done(Success {
                duration: started.elapsed(),
                ..success
            }),
            other @ (End::Locked(_) | End::Dropped(_) | End::Failed(_) | End::Late(_)) => other,
        }
    }

    /// Sends it and follows it to its end.
    async fn attempt(&self, place: &mut Place, operation: &Operation<'_>) -> Result<End, NotThere> {
        let sending = Sending {
            at: Instant::now(),
            node: place.node.clone(),
        };
        place.look_until = Some(sending.at + self.options.timeout);
        match self.send(place, operation).await {
            Sent::Task(upid) => self.follow_reply(place, operation, &upid, &sending).await,
            Sent::Lost(error) => Ok(self.look_for(place, operation, &error, &sending).await),
            Sent::NotThere(not_there) => Err(not_there),
            Sent::Ended(end) => Ok(end),
        }
    }

    async fn send(&self, place: &Place, operation: &Operation<'_>) -> Sent {
        let mut tries = 1;
        loop {
            let error = match self.request(place, operation).await {
                Ok(upid) if place.followed.contains(&upid) => {
                    return Sent::Lost(self.names_earlier_task(place, operation, &upid));
                }
                Ok(upid) => return Sent::Task(upid),
                Err(error) => error,
            };
            let in_time = tries == 1 || place.look_until.is_none_or(|end| Instant::now() < end);
            if is_not_started(&error) && tries < START_TRIES && in_time {
                tokio::time::sleep(Duration::from_millis(200) * tries).await;
                tries += 1;
            } else if error.is_guest_missing() {
                return Sent::NotThere(NotThere(self.failure(&error)));
            } else if error.certainty() == Certainty::Unknown {
                return Sent::Lost(error);
            } else {
                return Sent::Ended(self.refused(&error));
            }
        }
    }

    async fn request(&self, place: &Place, operation: &Operation<'_>) -> Result<Upid, Error> {
        let Place {
            node,
            kind,
            vmid,
            followed: _,
            task_started: _,
            listed: _,
            look_until: _,
        } = place;
        match operation {
            Operation::Create(creation) => {
                let snapshot = pve_client::NewSnapshot {
                    name: creation.name.as_str().to_owned(),
                    description: snapshot::DESCRIPTION.to_owned(),
                    with_memory: creation.requests_ram,
                };
                self.client
                    .create_snapshot(node, *kind, vmid.get(), &snapshot)
                    .await
            }
            Operation::Remove {
                snapshot, force, ..
            } => {
                self.client
                    .delete_snapshot(node, *kind, vmid.get(), &snapshot.name, *force)
                    .await
            }
        }
    }

    fn refused(&self, error: &Error) -> End {
        match error
            .reason()
            .filter(|reason| pve_messages::is_lock(reason))
        {
            Some(reason) => End::Locked(reason.to_owned()),
            None => End::Failed(self.failure(error)),
        }
    }

    /// The failure of a call. One that will fail for every guest ends the run.
    fn failure(&self, error: &Error) -> Failure {
        if concerns_all(error) {
            self.stop.request(StopReason::ServerLost);
        }
        failures::from_error(error, &self.options.identity)
    }
}
