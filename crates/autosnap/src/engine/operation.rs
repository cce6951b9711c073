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
mod lost;
mod moved;

use std::collections::HashSet;
use std::time::Duration;

use autosnap_core::event::{Cause, Effect, Failure, Interruption, Success};
use autosnap_core::guest::Vmid;
use autosnap_core::plan::DropReason;
use autosnap_core::snapshot::{self, Snapshot};
use pve_client::{
    Certainty, Client, Error, GuestKind, Method, SnapshotListing, TaskExit, Upid, WaitError,
    WaitPolicy, says_guest_is_missing,
};
use tokio::time::Instant;

use super::{Engine, explain};
use crate::inventory;
pub(super) use asked::Operation;
use asked::Seen;
use moved::NotThere;

/// How often something is asked for of a node when PVE says that it has started nothing.
const START_TRIES: u32 = 5;
/// How long the reads after the end of a task may take, however little of the time-out is left.
const LAST_LOOKS: Duration = Duration::from_secs(10);
/// How long a list of snapshots may be trusted after the last moment at which nobody else could
/// have changed them.
const FRESH: Duration = Duration::from_secs(1);

/// Where a guest is. The node is a hint, the ID is the identity.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) node: String,
    pub(super) kind: GuestKind,
    pub(super) vmid: Vmid,
    /// The tasks that were followed for it so far.
    pub(super) followed: HashSet<Upid>,
    /// When the last of these tasks was started, in seconds since the epoch by the node's clock.
    pub(super) task_started: Option<i64>,
    /// Its snapshots as they were listed last, not yet used.
    pub(super) listed: Option<Listed>,
    /// When the reads of the operation under way end at the latest.
    pub(super) look_until: Option<Instant>,
}

/// A list of snapshots and the last moment at which it was true.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    snapshots: Vec<Snapshot>,
    true_at: Instant,
}

/// A list read while a task of ours runs.
struct Meanwhile {
    listed: Listed,
    /// The task held the guest already.
    is_held: bool,
}

impl Meanwhile {
    /// The list after the task, which said itself that it was running then.
    fn until(self, said_to_run: Instant) -> Listed {
        let mut listed = self.listed;
        if self.is_held {
            listed.true_at = listed.true_at.max(said_to_run);
        }
        listed
    }
}

impl Place {
    /// The list, if it can still be trusted.
    fn take_fresh_list(&mut self) -> Option<Vec<Snapshot>> {
        let listed = self.listed.take()?;
        (listed.true_at.elapsed() < FRESH).then_some(listed.snapshots)
    }

    /// Follows the guest; whether it has moved.
    fn go_to(&mut self, node: String) -> bool {
        if node == self.node {
            return false;
        }
        tracing::debug!(vmid = %self.vmid, from = self.node, to = node, "the guest has moved");
        self.node = node;
        true
    }
}

/// How it ended.
#[derive(Debug)]
pub(super) enum End {
    Done(Success),
    /// Nothing was done, because somebody holds the guest or its disks; what PVE said.
    Locked(String),
    /// What was to be removed is not to be removed any more: it is gone, and not by us, or is kept.
    Dropped(DropReason),
    Failed(Failure),
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
        Error::Authentication { .. } | Error::Certificate { .. } | Error::OtherCluster { .. }
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
            other @ (End::Locked(_) | End::Dropped(_) | End::Failed(_)) => other,
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
            Sent::Task(upid) => self.follow(place, operation, &upid).await,
            Sent::Lost(error) => Ok(self.look_for(place, operation, &error, &sending).await),
            Sent::NotThere(not_there) => Err(not_there),
            Sent::Ended(end) => Ok(end),
        }
    }

    /// The guest's snapshots at this moment, as the core knows them: those listed a moment ago, or a
    /// new list. `place` follows the guest if it has moved.
    pub(super) async fn list(&self, place: &mut Place) -> Result<Vec<Snapshot>, Failure> {
        if let Some(snapshots) = place.take_fresh_list() {
            return Ok(snapshots);
        }
        place.look_until = None;
        match self.listing_wherever(place).await {
            Ok(listing) => Ok(inventory::snapshots(listing)),
            Err(error) => Err(self.failure(&error)),
        }
    }

    /// Whether the VM runs and this snapshot of it holds no RAM. What cannot be listed is not
    /// claimed. The list is kept: it is as good for the removals.
    pub(super) async fn lacks_ram(&self, place: &mut Place, snapshot: &str) -> bool {
        let asked_at = Instant::now();
        let Ok(listing) = self.listing_wherever(place).await else {
            return false;
        };
        let lacks_ram = listing.running == Some(true)
            && listing
                .find(snapshot)
                .is_some_and(|entry| entry.state.is_none() && !entry.has_memory);
        place.listed = Some(Listed {
            snapshots: inventory::snapshots(listing),
            true_at: asked_at,
        });
        lacks_ram
    }

    async fn listing(&self, place: &Place) -> Result<SnapshotListing, Error> {
        let Place {
            node, kind, vmid, ..
        } = place;
        let listing = self.reader(place).snapshots(node, *kind, vmid.get()).await;
        self.noted(listing)
    }

    /// The client for reads that belong to an operation: all of them end at its deadline, or shortly
    /// after now if that has passed.
    fn reader(&self, place: &Place) -> Client {
        match place.look_until {
            Some(deadline) => {
                let deadline = deadline.max(Instant::now() + LAST_LOOKS.min(self.options.timeout));
                self.client.with_deadline(deadline)
            }
            None => self.client.clone(),
        }
    }

    /// Passes on what a read has found, and stops the run if no call can succeed any more.
    fn noted<T>(&self, read: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &read
            && (is_shut_out(error) || self.client.is_server_lost())
        {
            self.stop.request(Interruption::ServerLost);
        }
        read
    }

    /// `place` follows the guest if it has moved.
    async fn listing_wherever(&self, place: &mut Place) -> Result<SnapshotListing, Error> {
        match self.listing(place).await {
            Err(error) if error.is_guest_missing() && self.find_again(place).await => {
                self.listing(place).await
            }
            other => other,
        }
    }

    /// What the guest is locked for, if it can be read; if not, the request that follows says why.
    /// `place` follows the guest: what it was locked for may have been its move.
    pub(super) async fn lock_of(&self, place: &mut Place) -> Option<String> {
        let config = match self.config(place).await {
            Err(error) if error.is_guest_missing() && self.find_again(place).await => {
                self.config(place).await
            }
            other => other,
        };
        config.ok()?.lock().map(ToOwned::to_owned)
    }

    async fn config(&self, place: &Place) -> Result<pve_client::GuestConfig, Error> {
        let Place {
            node, kind, vmid, ..
        } = place;
        let reader = self.reader(place);
        self.noted(reader.guest_config(node, *kind, vmid.get()).await)
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

    /// The reply names the task of an earlier request for the guest, whose end says nothing of this
    /// one.
    fn names_earlier_task(&self, place: &Place, operation: &Operation<'_>, upid: &Upid) -> Error {
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
                    with_memory: creation.asks_for_ram,
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

    /// Whether the guest is on another node now.
    async fn find_again(&self, place: &mut Place) -> bool {
        let node = self.node_of(place).await;
        node.ok().flatten().is_some_and(|node| place.go_to(node))
    }

    async fn node_of(&self, place: &Place) -> Result<Option<String>, Error> {
        self.noted(inventory::node_of(&self.reader(place), place.vmid).await)
    }

    fn refused(&self, error: &Error) -> End {
        match error.reason().filter(|reason| explain::is_lock(reason)) {
            Some(reason) => End::Locked(reason.to_owned()),
            None => End::Failed(self.failure(error)),
        }
    }

    /// A failed call in an administrator's words. One that will fail for every guest ends the run.
    fn failure(&self, error: &Error) -> Failure {
        if concerns_all(error) {
            self.stop.request(Interruption::ServerLost);
        }
        explain::failure(error, &self.options.identity)
    }

    /// Waits for the end of a task that is known.
    async fn follow(
        &self,
        place: &mut Place,
        operation: &Operation<'_>,
        upid: &Upid,
    ) -> Result<End, NotThere> {
        place.followed.insert(upid.clone());
        place.task_started = Some(upid.started_at());
        self.tasks.started(place.vmid, upid);
        let started = Instant::now();
        let task_type = operation.task_type(place.kind);
        let mut policy = self.pace.policy(&place.node, task_type);
        let deadline = started + self.options.timeout;
        place.look_until = Some(deadline);
        let meanwhile = self.list_meanwhile(place, operation, policy).await;
        let before = started.elapsed();
        policy.first_pause = policy.first_pause.saturating_sub(before);
        let waited = self.client.wait_for_task(upid, &policy, deadline).await;
        match waited {
            Ok(waited) => {
                self.tasks.ended(place.vmid);
                // What a list of the node says may be late, and others may have had the guest since.
                let said_to_run = started + before + waited.said_running_until;
                place.listed = meanwhile.map(|meanwhile| meanwhile.until(said_to_run));
                self.pace
                    .learn(&place.node, task_type, &waited.begun_earlier(before));
                self.ended(place, operation, upid, waited.exit).await
            }
            Err(WaitError::TimedOut {
                upid,
                last_error: None,
            }) => Ok(End::Failed(explain::timed_out(&upid, self.options.timeout))),
            Err(WaitError::TimedOut {
                upid,
                last_error: Some(error),
            }) => {
                let failure = explain::lost_sight(&upid, self.options.timeout, &error);
                Ok(self.judge_unseen(place, operation, &error, failure).await)
            }
            Err(WaitError::Unreadable { upid, error }) => {
                let failure = explain::unreadable_task(&upid, &error);
                Ok(self.judge_unseen(place, operation, &error, failure).await)
            }
        }
    }

    /// The end of a task that cannot be seen: the guest's snapshots tell whether it succeeded, as
    /// after a lost reply.
    async fn judge_unseen(
        &self,
        place: &mut Place,
        operation: &Operation<'_>,
        error: &Error,
        failure: Failure,
    ) -> End {
        if is_shut_out(error) || self.client.is_server_lost() {
            self.stop.request(Interruption::ServerLost);
            return End::Failed(failure);
        }
        match self.see(place, operation).await {
            Some(Seen::Done) => {
                self.tasks.ended(place.vmid);
                End::Done(Success {
                    adopted: true,
                    ..Success::default()
                })
            }
            Some(seen @ (Seen::Half | Seen::NotDone)) => {
                let seen = operation.seen_in_words(Some(seen));
                End::Failed(Failure {
                    message: format!("{}; {seen}", failure.message),
                    ..failure
                })
            }
            None => End::Failed(failure),
        }
    }

    /// The guest's snapshots, read while its own task runs, before the first look at the task, so that
    /// the next removal need not wait for them. From the moment the one to be removed is marked, PVE keeps everybody else from the guest's snapshots
    /// (`snapshot_delete` in `PVE/AbstractConfig.pm` writes both the entry and the
    /// lock): such a list stays true until the task says for the last time that it runs.
    async fn list_meanwhile(
        &self,
        place: &Place,
        operation: &Operation<'_>,
        policy: WaitPolicy,
    ) -> Option<Meanwhile> {
        match operation {
            Operation::Remove { and_list: true, .. } => {}
            // While a snapshot is being taken its entry is not complete, so that no removal can be
            // confirmed by such a list.
            Operation::Create(_)
            | Operation::Remove {
                and_list: false, ..
            } => return None,
        }
        tokio::time::sleep(policy.first_pause / 2).await;
        let asked_at = Instant::now();
        let listing = self.listing(place).await.ok()?;
        let is_held = operation.seen_in(&listing) == Seen::Half;
        let listed = Listed {
            snapshots: inventory::snapshots(listing),
            true_at: asked_at,
        };
        Some(Meanwhile { listed, is_held })
    }

    async fn ended(
        &self,
        place: &mut Place,
        operation: &Operation<'_>,
        upid: &Upid,
        exit: TaskExit,
    ) -> Result<End, NotThere> {
        let vanished = matches!(exit, TaskExit::Vanished(_));
        let message = match exit {
            TaskExit::Ok => return Ok(End::Done(Success::default())),
            TaskExit::Warnings(warnings) => {
                return Ok(End::Done(Success {
                    warnings,
                    ..Success::default()
                }));
            }
            TaskExit::Failed(message) if says_guest_is_missing(&message) => {
                return Err(NotThere(explain::not_there(message)));
            }
            TaskExit::Failed(message) => message,
            TaskExit::Vanished(_) => exit.to_string(),
        };
        let seen = self.see(place, operation).await;
        Ok(match seen {
            Some(Seen::Done) if vanished => End::Done(Success {
                adopted: true,
                ..Success::default()
            }),
            Some(Seen::NotDone) if explain::is_lock(&message) => End::Locked(message),
            Some(Seen::Done) if matches!(operation, Operation::Remove { .. }) => {
                End::Dropped(DropReason::Gone)
            }
            _ if explain::is_guest_lock(&message) => End::Locked(message),
            _ => End::Failed(Failure {
                cause: Cause::Task,
                effect: match seen {
                    Some(Seen::NotDone) => Effect::None,
                    Some(Seen::Half) => Effect::HalfDone,
                    Some(Seen::Done) | None => Effect::Unknown,
                },
                hint: Some(explain::task_hint(
                    place,
                    operation.snapshot_name(),
                    &message,
                    seen == Some(Seen::Half),
                    upid,
                )),
                message: explain::in_words(message),
            }),
        })
    }

    async fn see(&self, place: &mut Place, operation: &Operation<'_>) -> Option<Seen> {
        let listing = self.listing_wherever(place).await;
        listing.ok().map(|listing| operation.seen_in(&listing))
    }
}
