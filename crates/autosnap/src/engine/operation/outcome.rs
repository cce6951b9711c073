// SPDX-License-Identifier: GPL-3.0-only
//! The outcomes of requests and operations.

use std::time::Duration;

use autosnap_core::event::{Effect, Failure, Success};
use autosnap_core::plan::DropReason;
use autosnap_core::remedy::GuestRemedy;
use pve_client::{Error, Upid};
use tokio::time::Instant;

/// The shortest pause between two polls.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause between two polls.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The outcome of an operation.
#[derive(Debug)]
pub(in crate::engine) enum StepOutcome {
    Done(Success),
    /// Nothing was changed, because the guest or its disks are locked; PVE's text.
    Locked(String),
    /// The removal no longer applies: the snapshot is already gone, or is kept now.
    Dropped(DropReason),
    Failed(Failure),
    /// The task was still running when the timeout expired.
    Late(Box<LateTask>),
}

/// The outcome of a request.
pub(super) enum SubmitOutcome {
    /// PVE has started this task.
    Task(Upid),
    /// The reply was lost.
    ReplyLost(Error),
    GuestNotOnNode(GuestNotOnNode),
    Ended(StepOutcome),
}

/// When a request was sent, and to which node.
#[derive(Debug, Clone)]
pub(super) struct Submission {
    pub(super) at: Instant,
    pub(super) node: String,
}

/// PVE's error that the node has no configuration of the guest.
pub(super) struct GuestNotOnNode(pub(super) Failure);

impl GuestNotOnNode {
    /// The outcome if the guest is not looked up on other nodes.
    pub(super) fn into_outcome(self) -> StepOutcome {
        StepOutcome::Failed(self.0)
    }

    /// The outcome after the guest was looked up.
    pub(super) fn with_effect(self, effect: Effect, remedy: GuestRemedy) -> StepOutcome {
        StepOutcome::Failed(Failure {
            effect,
            remedy: Some(remedy.into()),
            ..self.0
        })
    }
}

/// A task that was still running when the timeout expired.
#[derive(Debug, Clone)]
pub(in crate::engine) struct LateTask {
    pub(super) upid: Upid,
    pub(super) submission: Submission,
    /// How many seconds before the request it started.
    pub(super) age: i64,
    /// Whether the reply was lost and the task was found in the node's tasks.
    pub(super) was_found: bool,
    /// The failure of the step if the end of the task is not seen before the run ends.
    pub(super) failure: Failure,
}

impl LateTask {
    pub(super) fn new(upid: Upid, submission: Submission, failure: Failure) -> Self {
        Self {
            upid,
            submission,
            age: 0,
            was_found: false,
            failure,
        }
    }

    pub(super) fn with_age(self, age: i64) -> Self {
        Self { age, ..self }
    }

    pub(super) fn with_task_found(self) -> Self {
        Self {
            was_found: true,
            ..self
        }
    }

    pub(in crate::engine) fn upid(&self) -> &Upid {
        &self.upid
    }

    /// When its request was sent.
    pub(in crate::engine) fn sent_at(&self) -> Instant {
        self.submission.at
    }

    /// The pause before the next poll: a sixteenth of the time since the request.
    pub(in crate::engine) fn pause(&self) -> Duration {
        (self.sent_at().elapsed() / 16).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
    }

    /// The failure of the step if the task is no longer polled.
    pub(in crate::engine) fn into_failure(self) -> Failure {
        self.failure
    }
}
