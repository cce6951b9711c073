// SPDX-License-Identifier: GPL-3.0-only
//! Waits for the end of a task by polling, with growing pauses and a deadline.
//!
//! A pause is a share of the time waited so far, so a long task needs few polls and its end is noticed
//! within that share of its duration. If the usual duration of such tasks is known, the pause is a share
//! of that, within bounds: this takes as many polls but notices the end sooner on average. A pause is at
//! least twice as long as the last poll took, up to half a second: a slow node is polled less often, but
//! a slow reply is old, so the next poll must follow soon.
//!
//! Concurrent waits for tasks of one node share the node's task list ([`crate::task_watch`]). The list
//! may lag behind, so after a while the task itself is polled too.
//!
//! A poll that fails for a transient reason (no host reachable, a lost reply, a node that does not
//! reply, a 500 without a specific reason) does not end the wait: the task is still running. A poll that PVE
//! refuses ends it, and so do hosts that have stopped replying.
//!
//! Only a poll sent at the deadline or later shows that the task is still running then. It gets an
//! extra time limit, which depends on how long replies have taken.

use std::time::Duration;

use tokio::time::Instant;

use crate::client::Client;
use crate::error::{Error, Method};
use crate::task_watch::{ListAccess, ListPermit, Observation, Subscription};
use crate::types::{TaskExit, TaskFilter, TaskStatus};
use crate::upid::Upid;

/// The shortest pause between two polls, for every policy.
const MIN_PAUSE: Duration = Duration::from_millis(10);
/// The time limit of the last poll after the deadline, plus twice the longest time a reply has taken.
const GRACE: Duration = Duration::from_secs(2);
/// The longest time limit of the last poll.
const MAX_GRACE: Duration = Duration::from_secs(60);
/// The duration of a poll above which the next pause does not grow any more.
const SLOW_POLL: Duration = Duration::from_millis(250);
/// The age of a task list in flight above which other waits do not wait for it.
const SLOW_LIST: Duration = Duration::from_secs(1);
/// How long task lists alone are trusted if no usual duration is known.
const TRUST_LISTS: Duration = Duration::from_secs(2);

/// How often a task is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitPolicy {
    /// The pause before the first poll.
    pub first_pause: Duration,
    /// The longest pause between two polls.
    pub longest_pause: Duration,
    /// How long such a task usually takes, if that is known.
    pub usual_duration: Option<Duration>,
}

impl Default for WaitPolicy {
    /// 50 ms, then growing to 10 s. PVE needs 80 to 190 ms for a snapshot of a small disk.
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(10),
            usual_duration: None,
        }
    }
}

/// The pause is the waited time divided by this; the average delay is half of the pause.
const WAITED_DIVISOR: u32 = 8;
/// If the usual duration is known, the pause is that duration divided by this, ...
const USUAL_DIVISOR: u32 = 12;
/// ... but at least the waited time divided by this, ...
const MIN_DIVISOR: u32 = 16;
/// ... and at most the waited time divided by this.
const MAX_DIVISOR: u32 = 4;

impl WaitPolicy {
    /// The pause after a poll that took `poll` and ended `waited` after the start of the wait.
    pub fn next_pause(self, waited: Duration, poll: Duration) -> Duration {
        let longest = self.longest_pause.max(MIN_PAUSE);
        let share = match self.usual_duration {
            Some(usual) => {
                (usual / USUAL_DIVISOR).clamp(waited / MIN_DIVISOR, waited / MAX_DIVISOR)
            }
            None => waited / WAITED_DIVISOR,
        };
        share
            .max(MIN_PAUSE)
            .min(longest)
            .max(poll.min(SLOW_POLL) * 2)
    }
}

/// The end of a task, and what the polls show about its duration.
///
/// All durations are counted from the start of the wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEnd {
    /// How the task ended.
    pub exit: TaskExit,
    /// When the last request was sent whose reply showed the task running; zero if there is none.
    pub last_reported_running: Duration,
    /// As `last_reported_running`, but without task lists, which may show a task as running for some
    /// seconds after its end.
    pub last_seen_running: Duration,
    /// When the request was sent whose reply showed the end of the task.
    pub ended_by: Duration,
}

impl TaskEnd {
    /// Adds `before` to all times, so that they count from an earlier start.
    #[must_use]
    pub fn with_earlier_start(&self, before: Duration) -> Self {
        let shift = |time: Duration| {
            if time.is_zero() {
                Duration::ZERO
            } else {
                time + before
            }
        };
        Self {
            exit: self.exit.clone(),
            last_reported_running: shift(self.last_reported_running),
            last_seen_running: shift(self.last_seen_running),
            ended_by: self.ended_by + before,
        }
    }
}

/// Why the end of a task is unknown.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The deadline passed. Without `last_error` a poll at the deadline or later showed the task running.
    #[error(
        "task {upid} did not end in time and may still be running on node {}; check its log in PVE{}",
        .upid.node(), last_error_text(.last_error.as_deref())
    )]
    TimedOut {
        /// The task.
        upid: Upid,
        /// The error of the last poll, if it failed.
        last_error: Option<Box<Error>>,
    },
    /// PVE refuses to show the state of the task, which may still be running.
    #[error("cannot follow task {upid}, which may still be running: {error}")]
    Unreadable {
        /// The task.
        upid: Upid,
        /// The error of the poll.
        error: Box<Error>,
    },
}

impl Client {
    /// Waits until the task has ended.
    ///
    /// At the deadline there is one last poll. A timeout does not stop the task. Concurrent waits for
    /// tasks of one node, through this client or a clone of it, share the node's task list.
    pub async fn wait_for_task(
        &self,
        task: &Upid,
        policy: &WaitPolicy,
        deadline: Instant,
    ) -> Result<TaskEnd, WaitError> {
        let mut wait = Wait::new(policy);
        let mut subscription = self.task_watch().subscribe(task);
        loop {
            let now = Instant::now();
            let poll = if now >= deadline {
                self.last_poll(task, wait.grace()).await
            } else if now >= wait.due {
                let limit = deadline + wait.grace();
                let client = self.with_deadline(limit);
                let polling = client.poll(task, &mut subscription, wait.needs_task_poll());
                tokio::time::timeout_at(limit, polling)
                    .await
                    .unwrap_or(Poll::CutOff)
            } else {
                tokio::select! {
                    biased;
                    observation = subscription.next() => Poll::Observed(observation, Source::List),
                    () = tokio::time::sleep_until(wait.due.min(deadline)) => continue,
                }
            };
            match poll {
                Poll::Observed(observation, source) => {
                    if let TaskStatus::Stopped(exit) = observation.status {
                        return Ok(TaskEnd {
                            exit,
                            last_reported_running: wait.last_reported_running,
                            last_seen_running: wait.last_seen_running,
                            ended_by: observation.sent - wait.started,
                        });
                    }
                    wait.on_running(observation.sent, observation.took, source);
                }
                Poll::ListInFlight => wait.due = wait.next_due(Duration::ZERO),
                Poll::Failed(error)
                    if (error.is_transient() || error.is_transient_read_error())
                        && !self.is_server_lost() =>
                {
                    tracing::debug!(upid = %task, %error, "polling the task failed");
                    wait.on_failure(error, now.elapsed());
                }
                Poll::Failed(error) => {
                    return Err(WaitError::Unreadable {
                        upid: task.clone(),
                        error: Box::new(error),
                    });
                }
                // Perhaps this process was suspended until after the deadline: the last poll, which has
                // its own time limit, may still see the end.
                Poll::CutOff => {
                    wait.last_error = Some(Box::new(self.no_reply(task, now.elapsed())));
                }
            }
            if now >= deadline {
                return Err(wait.timed_out(task));
            }
        }
    }

    /// Polls once: the node's task list if there are other waits on the node, otherwise, or if the list
    /// does not contain the task, the task itself.
    async fn poll(
        &self,
        task: &Upid,
        subscription: &mut Subscription<'_>,
        needs_task_poll: bool,
    ) -> Poll {
        if needs_task_poll {
            return self.poll_task(task).await;
        }
        match subscription.list_access() {
            ListAccess::Granted(permit, filter) => {
                let listed = self.poll_list(subscription, permit, &filter).await;
                if let Some(observation) = listed {
                    return Poll::Observed(observation, Source::List);
                }
            }
            // A list that takes longer must not delay all waits.
            ListAccess::InFlight(since) if since.elapsed() < SLOW_LIST => {
                return Poll::ListInFlight;
            }
            ListAccess::InFlight(_) | ListAccess::NotUseful => {}
        }
        self.poll_task(task).await
    }

    /// Requests the node's task list for all waits on the node; returns the observation of this task.
    async fn poll_list(
        &self,
        subscription: &mut Subscription<'_>,
        permit: ListPermit<'_>,
        filter: &TaskFilter,
    ) -> Option<Observation> {
        let sent = Instant::now();
        match self.node_tasks(permit.node(), filter).await {
            Ok(entries) => permit.publish(&entries, sent),
            Err(error) => {
                tracing::debug!(node = permit.node(), %error, "cannot list the node's tasks");
                if !error.is_transient() {
                    permit.forbid_list();
                }
            }
        }
        subscription.latest_since(sent)
    }

    /// Polls the task after the deadline, with its own time limit.
    async fn last_poll(&self, task: &Upid, grace: Duration) -> Poll {
        let limit = Instant::now() + grace;
        let client = self.with_deadline(limit);
        let polling = tokio::time::timeout_at(limit, client.poll_task(task));
        polling.await.unwrap_or(Poll::CutOff)
    }

    /// The error for a poll that was cut off.
    fn no_reply(&self, task: &Upid, waited: Duration) -> Error {
        Error::MaybeProcessed {
            method: Method::Get,
            path: format!("/nodes/{}/tasks/{task}/status", task.node()),
            endpoint: self.current_endpoint(),
            status: None,
            reason: format!("no reply within {:.1} s", waited.as_secs_f32()),
        }
    }

    async fn poll_task(&self, task: &Upid) -> Poll {
        let sent = Instant::now();
        match self.task_status(task).await {
            Ok(status) => {
                let took = sent.elapsed();
                Poll::Observed(Observation { status, sent, took }, Source::Task)
            }
            Err(error) => Poll::Failed(error),
        }
    }
}

/// The result of one poll.
enum Poll {
    Observed(Observation, Source),
    /// Another wait has requested the list and will publish its observations.
    ListInFlight,
    Failed(Error),
    /// The poll was cut off at the deadline.
    CutOff,
}

/// Where an observation comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    List,
    Task,
}

/// The progress of the wait for one task.
struct Wait<'a> {
    policy: &'a WaitPolicy,
    started: Instant,
    /// When to poll next, unless another wait publishes an observation before that.
    due: Instant,
    last_reported_running: Duration,
    last_seen_running: Duration,
    /// After this time the task itself is polled, because a list may lag behind.
    task_poll_after: Duration,
    last_error: Option<Box<Error>>,
    /// The longest time a reply has taken.
    slowest: Duration,
}

impl<'a> Wait<'a> {
    fn new(policy: &'a WaitPolicy) -> Self {
        let started = Instant::now();
        Self {
            policy,
            started,
            due: started + policy.first_pause.max(MIN_PAUSE),
            last_reported_running: Duration::ZERO,
            last_seen_running: Duration::ZERO,
            task_poll_after: policy.usual_duration.unwrap_or(TRUST_LISTS) * 5 / 4,
            last_error: None,
            slowest: Duration::ZERO,
        }
    }

    fn grace(&self) -> Duration {
        (GRACE + self.slowest * 2).min(MAX_GRACE)
    }

    fn needs_task_poll(&self) -> bool {
        self.started.elapsed() >= self.task_poll_after
    }

    fn on_running(&mut self, sent: Instant, took: Duration, source: Source) {
        self.last_error = None;
        self.slowest = self.slowest.max(took);
        self.last_reported_running = sent - self.started;
        if source == Source::Task {
            self.last_seen_running = self.last_reported_running;
            self.task_poll_after = self.task_poll_after.max(self.started.elapsed() * 2);
        }
        // An observation of another wait can only postpone the next poll.
        self.due = if self.needs_task_poll() {
            Instant::now()
        } else {
            self.due.max(self.next_due(took))
        };
    }

    fn on_failure(&mut self, error: Error, took: Duration) {
        self.last_error = Some(Box::new(error));
        self.due = self.next_due(took);
    }

    fn timed_out(self, task: &Upid) -> WaitError {
        WaitError::TimedOut {
            upid: task.clone(),
            last_error: self.last_error,
        }
    }

    fn next_due(&self, took: Duration) -> Instant {
        Instant::now() + self.policy.next_pause(self.started.elapsed(), took)
    }
}

fn last_error_text(error: Option<&Error>) -> String {
    error
        .map(|error| format!(" (the last poll failed: {error})"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_the_waited_time_and_are_longer_for_slow_replies() {
        let check = |waited, poll, expected| {
            let millis = Duration::from_millis;
            assert_eq!(
                WaitPolicy::default().next_pause(millis(waited), millis(poll)),
                millis(expected),
                "{waited} ms waited, {poll} ms for a poll"
            );
        };
        check(0, 0, 10);
        check(50, 13, 26);
        check(800, 13, 100);
        check(800, 200, 400);
        check(800, 11_000, 500);
        check(1_000_000, 13, 10_000);
        check(1_000_000, 20_000, 10_000);
    }

    #[test]
    fn a_known_duration_sets_the_pauses_within_bounds() {
        let millis = Duration::from_millis;
        let policy = WaitPolicy {
            usual_duration: Some(millis(1_200)),
            ..WaitPolicy::default()
        };
        for (waited, expected) in [(80, 20), (400, 100), (1_200, 100), (3_200, 200)] {
            assert_eq!(
                policy.next_pause(millis(waited), Duration::ZERO),
                millis(expected),
                "{waited} ms waited"
            );
        }
    }

    #[test]
    fn times_can_be_shifted_to_an_earlier_start() {
        let millis = Duration::from_millis;
        let check = |running, ended, expected: (u64, u64)| {
            let end = TaskEnd {
                exit: TaskExit::Ok,
                last_reported_running: millis(running),
                last_seen_running: millis(running),
                ended_by: millis(ended),
            };
            let earlier = end.with_earlier_start(millis(30));
            assert_eq!(earlier.last_seen_running, earlier.last_reported_running);
            let found = (earlier.last_reported_running, earlier.ended_by);
            assert_eq!(found, (millis(expected.0), millis(expected.1)));
        };
        check(0, 50, (0, 80));
        check(50, 70, (80, 100));
    }

    #[test]
    fn the_pause_is_never_zero() {
        let none = WaitPolicy {
            first_pause: Duration::ZERO,
            longest_pause: Duration::ZERO,
            usual_duration: None,
        };
        let pause = none.next_pause(Duration::ZERO, Duration::ZERO);
        assert_eq!(pause, MIN_PAUSE);
    }
}
