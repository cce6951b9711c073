// SPDX-License-Identifier: GPL-3.0-only
//! The client of one run for its guests, and the requests for creations and removals.

use std::sync::Arc;
use std::time::Duration;

use autosnap_core::event::{Failure, StopReason};
use jiff::Timestamp;
use pve_client::{Certainty, Client, Error, Method, Upid};
use tokio::time::Instant;

use super::outcome::{GuestNotOnNode, StepOutcome, SubmitOutcome};
use super::request::Operation;
use crate::engine::failures;
use crate::engine::location::GuestLocation;
use crate::engine::options::Options;
use crate::engine::pace::Pace;
use crate::engine::running_tasks::RunningTasks;
use crate::fatal_errors::is_fatal_for_run;
use crate::inventory;
use crate::pve_messages;
use crate::stop::StopSignal;

/// The most attempts at a request, if PVE replies to each that it has started nothing.
const MOST_ATTEMPTS: u32 = 5;

/// The client of one run for its guests.
#[derive(Debug)]
pub(in crate::engine) struct GuestClient {
    pub(super) api: Client,
    /// The user or token, as PVE writes it into the tasks of this login.
    pub(super) identity: String,
    pub(super) pace: Arc<Pace>,
    pub(super) stop: StopSignal,
    pub(super) tasks: RunningTasks,
    timeout: Duration,
}

impl GuestClient {
    pub(in crate::engine) fn new(
        api: Client,
        pace: Arc<Pace>,
        options: &Options,
        stop: StopSignal,
        tasks: RunningTasks,
    ) -> Self {
        Self {
            api,
            identity: options.identity.clone(),
            pace,
            stop,
            tasks,
            timeout: options.execution.timeout,
        }
    }

    /// How long to wait for each task.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The time by the server's clock, see [`inventory::server_time`].
    pub(in crate::engine) fn server_time(&self) -> Timestamp {
        inventory::server_time(&self.api)
    }

    pub(super) async fn submit(
        &self,
        location: &GuestLocation,
        operation: &Operation<'_>,
    ) -> SubmitOutcome {
        let mut attempts = 1;
        loop {
            let error = match self.request(location, operation).await {
                Ok(upid) if location.followed.contains(&upid) => {
                    return SubmitOutcome::ReplyLost(
                        self.earlier_task_error(location, operation, &upid),
                    );
                }
                Ok(upid) => return SubmitOutcome::Task(upid),
                Err(error) => error,
            };
            let in_time =
                attempts == 1 || location.reads_end_at.is_none_or(|end| Instant::now() < end);
            if is_not_started(&error) && attempts < MOST_ATTEMPTS && in_time {
                tokio::time::sleep(Duration::from_millis(200) * attempts).await;
                attempts += 1;
            } else if error.is_guest_missing() {
                return SubmitOutcome::GuestNotOnNode(GuestNotOnNode(self.failure(&error)));
            } else if error.certainty() == Certainty::Unknown {
                return SubmitOutcome::ReplyLost(error);
            } else {
                return SubmitOutcome::Ended(self.refused(&error));
            }
        }
    }

    async fn request(
        &self,
        location: &GuestLocation,
        operation: &Operation<'_>,
    ) -> Result<Upid, Error> {
        let (node, kind, vmid) = (&location.node, location.kind, location.vmid.get());
        match operation {
            Operation::Create(creation) => {
                let snapshot = pve_client::NewSnapshot {
                    name: creation.name.as_str().to_owned(),
                    description: creation.description.as_ref().to_owned(),
                    with_memory: creation.requests_ram,
                };
                self.api.create_snapshot(node, kind, vmid, &snapshot).await
            }
            Operation::Remove {
                snapshot, force, ..
            } => {
                self.api
                    .delete_snapshot(node, kind, vmid, &snapshot.name, *force)
                    .await
            }
        }
    }

    fn refused(&self, error: &Error) -> StepOutcome {
        match error
            .reason()
            .filter(|reason| pve_messages::is_lock(reason))
        {
            Some(reason) => StepOutcome::Locked(reason.to_owned()),
            None => StepOutcome::Failed(self.failure(error)),
        }
    }

    /// The failure of a step by this error. Stops the run if every guest would fail with it.
    pub(super) fn failure(&self, error: &Error) -> Failure {
        if is_fatal_for_run(error) {
            self.stop.request(StopReason::ServerLost);
        }
        failures::from_error(error, &self.identity)
    }

    /// The error for a reply that names the task of an earlier request for the guest: the end of that task
    /// does not show whether this request was carried out.
    pub(super) fn earlier_task_error(
        &self,
        location: &GuestLocation,
        operation: &Operation<'_>,
        upid: &Upid,
    ) -> Error {
        let method = match operation {
            Operation::Create(_) => Method::Post,
            Operation::Remove { .. } => Method::Delete,
        };
        let GuestLocation {
            node, kind, vmid, ..
        } = location;
        Error::UnexpectedReply {
            method,
            path: format!("/nodes/{node}/{kind}/{vmid}/snapshot"),
            endpoint: self.api.current_endpoint(),
            problem: format!("the reply names the task of an earlier request: {upid}"),
            certainty: Certainty::Unknown,
        }
    }
}

/// Whether PVE has certainly started nothing, and a retry may succeed: no worker could be started,
/// the node could not be connected to (595), the server is busy (503, 429).
fn is_not_started(error: &Error) -> bool {
    error.certainty() == Certainty::Refused && error.is_transient()
}
