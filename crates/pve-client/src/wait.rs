// SPDX-License-Identifier: GPL-3.0-only
//! Waiting for a task: a first look soon, then growing pauses, bounded by a deadline.
//!
//! A pause is a share of the time waited so far, so that a long task costs few looks and its end
//! is noticed within that share of its duration. Where it is known how long such tasks usually
//! take, a share of that is taken instead, within bounds: with as many looks, the end is then
//! noticed sooner on the whole. A pause is not shorter than twice the time the last look took, up
//! to half a second: a node that answers slowly is asked less often, but an answer that took long
//! is old, so that the next look must not be far.
//!
//! Tasks of one node that are waited for at the same time are looked at together ([`crate::watch`]):
//! the list of the node's tasks tells of all of them, and each starts its pause again. A list may
//! lag behind, so after a while the task itself is asked as well, whatever the lists say.
//!
//! A look that fails for a passing reason (no host reachable, an answer lost, the node not
//! answering, a 500 that says no more than that it went wrong) does not end the waiting: the task
//! goes on without us. A look that PVE refuses does, and so do hosts that answer nothing any more.
//!
//! Only a look sent at the deadline or later can tell that the task outlives it; it is given the time
//! that such answers take.

use std::time::Duration;

use tokio::time::Instant;

use crate::client::Client;
use crate::error::{Error, Method};
use crate::types::{TaskExit, TaskFilter, TaskStatus};
use crate::upid::Upid;
use crate::watch::{Lister, Listing, Place, Sight};

/// The shortest pause between two looks, whatever a policy says.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
/// How long the last look may take once the deadline has passed, beside twice the longest time that
/// an answer has taken.
const GRACE: Duration = Duration::from_secs(2);
/// No last look takes longer.
const LONGEST_GRACE: Duration = Duration::from_secs(60);
/// A look that takes longer does not make the pause after it longer.
const SLOWEST_LOOK: Duration = Duration::from_millis(250);
/// A list that takes longer is not waited for.
const LIST_HANGS: Duration = Duration::from_secs(1);
/// How long lists of a node alone are believed where no duration is known.
const LISTS_ALONE: Duration = Duration::from_secs(2);

/// When to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitPolicy {
    /// The pause before the first look.
    pub first_pause: Duration,
    /// The pauses grow with the time waited until they are this long.
    pub longest_pause: Duration,
    /// How long such a task usually takes, if that is known.
    pub usual: Option<Duration>,
}

impl Default for WaitPolicy {
    /// 50 ms, then growing to 10 s: a snapshot of a small disk takes PVE 80 to 190 ms.
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(10),
            usual: None,
        }
    }
}

/// The pauses are the waited time divided by this: half of it is the usual delay.
const SHARE: u32 = 8;
/// The pauses are the usual duration divided by this, where it is known, ...
const SHARE_OF_USUAL: u32 = 12;
/// ... but no less than the waited time divided by this, ...
const SMALLEST_SHARE: u32 = 16;
/// ... and no more than the waited time divided by this.
const LARGEST_SHARE: u32 = 4;

impl WaitPolicy {
    /// The pause after a look that has taken so long and came back so long after the start.
    pub fn next_pause(self, waited: Duration, look: Duration) -> Duration {
        let longest = self.longest_pause.max(SHORTEST_PAUSE);
        let share = match self.usual {
            Some(usual) => {
                (usual / SHARE_OF_USUAL).clamp(waited / SMALLEST_SHARE, waited / LARGEST_SHARE)
            }
            None => waited / SHARE,
        };
        share
            .max(SHORTEST_PAUSE)
            .min(longest)
            .max(look.min(SLOWEST_LOOK) * 2)
    }
}

/// The end of a task, and what the looks say about its duration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waited {
    /// How it ended.
    pub exit: TaskExit,
    /// It was still running at a look sent so long after the start of the waiting; zero if no
    /// look saw it run.
    pub running_until: Duration,
    /// The same, by looks at the task itself alone: a list of the node's tasks may call it running
    /// for some seconds after its end.
    pub said_running_until: Duration,
    /// It was over at the look sent so long after the start of the waiting.
    pub over_at: Duration,
}

impl Waited {
    /// The same, counted from a moment so long before the start of the waiting.
    #[must_use]
    pub fn begun_earlier(&self, before: Duration) -> Self {
        let earlier = |seen: Duration| {
            if seen.is_zero() {
                Duration::ZERO
            } else {
                seen + before
            }
        };
        Self {
            exit: self.exit.clone(),
            running_until: earlier(self.running_until),
            said_running_until: earlier(self.said_running_until),
            over_at: self.over_at + before,
        }
    }
}

/// Why the end of a task is not known.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The deadline passed. Without `last_error` a look at the deadline or later saw the task run.
    #[error(
        "task {upid} did not end in time and may still be running on node {}; look at its log in PVE{}",
        .upid.node(), last_error_text(.last_error.as_deref())
    )]
    TimedOut {
        /// The task.
        upid: Upid,
        /// What went wrong with the last look, if it failed.
        last_error: Option<Box<Error>>,
    },
    /// PVE does not let us see the task's state; it may still be running.
    #[error("cannot follow task {upid}, which may still be running: {error}")]
    Unreadable {
        /// The task.
        upid: Upid,
        /// What PVE said.
        error: Box<Error>,
    },
}

impl Client {
    /// Waits until the task is over, and says how it ended. At the deadline one last look is taken
    /// before giving up; giving up does not stop the task.
    ///
    /// Tasks of one node that are waited for at the same time, through this client or a clone of
    /// it, are looked at together.
    pub async fn wait_for_task(
        &self,
        task: &Upid,
        policy: &WaitPolicy,
        deadline: Instant,
    ) -> Result<Waited, WaitError> {
        let mut turn = Turn::new(policy);
        let mut place = self.watch().join(task);
        loop {
            let now = Instant::now();
            let look = if now >= deadline {
                self.last_look(task, turn.grace()).await
            } else if now >= turn.due {
                let limit = deadline + turn.grace();
                let reader = self.with_deadline(limit);
                let looking = reader.look(task, &mut place, turn.asks_itself());
                tokio::time::timeout_at(limit, looking)
                    .await
                    .unwrap_or(Look::OutOfTime)
            } else {
                tokio::select! {
                    biased;
                    sight = place.sight() => Look::Saw(sight, From::List),
                    () = tokio::time::sleep_until(turn.due.min(deadline)) => continue,
                }
            };
            match look {
                Look::Saw(sight, from) => {
                    if let TaskStatus::Stopped(exit) = sight.status {
                        return Ok(Waited {
                            exit,
                            running_until: turn.running_until,
                            said_running_until: turn.said_running_until,
                            over_at: sight.sent - turn.started,
                        });
                    }
                    turn.saw_it_run(sight.sent, sight.took, from);
                }
                Look::UnderWay => turn.due = turn.next(Duration::ZERO),
                Look::Failed(error)
                    if (error.is_transient() || error.is_transient_read_error())
                        && !self.is_server_lost() =>
                {
                    tracing::debug!(upid = %task, %error, "a look at the task failed");
                    turn.look_failed(error, now.elapsed());
                }
                Look::Failed(error) => {
                    return Err(WaitError::Unreadable {
                        upid: task.clone(),
                        error: Box::new(error),
                    });
                }
                // Cut off at the deadline: perhaps this process stood still, and a last look, for which
                // there is a moment, sees the end.
                Look::OutOfTime => {
                    turn.last_error = Some(Box::new(self.no_answer(task, now.elapsed())));
                }
            }
            if now >= deadline {
                return Err(turn.timed_out(task));
            }
        }
    }

    /// One look: at the node's list if others wait for tasks there as well, else, or if the list
    /// does not tell, at the task itself.
    async fn look(&self, task: &Upid, place: &mut Place<'_>, itself: bool) -> Look {
        if itself {
            return self.look_at(task).await;
        }
        match place.listing() {
            Listing::Mine(lister, filter) => {
                if let Some(sight) = self.look_at_all(place, lister, &filter).await {
                    return Look::Saw(sight, From::List);
                }
            }
            // One that hangs must not keep everybody waiting.
            Listing::UnderWay(since) if since.elapsed() < LIST_HANGS => return Look::UnderWay,
            Listing::UnderWay(_) | Listing::NotWorthwhile => {}
        }
        self.look_at(task).await
    }

    /// Lists the node's tasks for everybody who waits there; what it says of this one's task.
    async fn look_at_all(
        &self,
        place: &mut Place<'_>,
        lister: Lister<'_>,
        filter: &TaskFilter,
    ) -> Option<Sight> {
        let sent = Instant::now();
        match self.node_tasks(lister.node(), filter).await {
            Ok(entries) => lister.tell(&entries, sent),
            Err(error) => {
                tracing::debug!(node = lister.node(), %error, "no list of the node's tasks");
                if !error.is_transient() {
                    lister.close();
                }
            }
        }
        place.latest(sent)
    }

    /// The deadline has passed: one more look, that is given a moment.
    async fn last_look(&self, task: &Upid, grace: Duration) -> Look {
        let limit = Instant::now() + grace;
        let reader = self.with_deadline(limit);
        let looking = tokio::time::timeout_at(limit, reader.look_at(task));
        looking.await.unwrap_or(Look::OutOfTime)
    }

    /// A look that was cut off.
    fn no_answer(&self, task: &Upid, waited: Duration) -> Error {
        Error::MaybeProcessed {
            method: Method::Get,
            path: format!("/nodes/{}/tasks/{task}/status", task.node()),
            endpoint: self.current_endpoint(),
            status: None,
            reason: format!("no answer within {:.1} s", waited.as_secs_f32()),
        }
    }

    async fn look_at(&self, task: &Upid) -> Look {
        let sent = Instant::now();
        match self.task_status(task).await {
            Ok(status) => {
                let took = sent.elapsed();
                Look::Saw(Sight { status, sent, took }, From::Itself)
            }
            Err(error) => Look::Failed(error),
        }
    }
}

/// What one look saw.
enum Look {
    Saw(Sight, From),
    /// Somebody else's look will tell.
    UnderWay,
    Failed(Error),
    OutOfTime,
}

/// Who was asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    List,
    Itself,
}

/// How far the waiting for one task has come.
struct Turn<'a> {
    policy: &'a WaitPolicy,
    started: Instant,
    /// When to look again, unless another one's look tells earlier.
    due: Instant,
    running_until: Duration,
    said_running_until: Duration,
    /// When the task itself is asked at the latest, whatever lists say of it: a list may lag.
    itself_after: Duration,
    last_error: Option<Box<Error>>,
    /// The longest time an answer has taken.
    slowest: Duration,
}

impl<'a> Turn<'a> {
    fn new(policy: &'a WaitPolicy) -> Self {
        let started = Instant::now();
        Self {
            policy,
            started,
            due: started + policy.first_pause.max(SHORTEST_PAUSE),
            running_until: Duration::ZERO,
            said_running_until: Duration::ZERO,
            itself_after: policy.usual.unwrap_or(LISTS_ALONE) * 5 / 4,
            last_error: None,
            slowest: Duration::ZERO,
        }
    }

    fn grace(&self) -> Duration {
        (GRACE + self.slowest * 2).min(LONGEST_GRACE)
    }

    fn asks_itself(&self) -> bool {
        self.started.elapsed() >= self.itself_after
    }

    /// A look has seen the task run.
    fn saw_it_run(&mut self, sent: Instant, took: Duration, from: From) {
        self.last_error = None;
        self.slowest = self.slowest.max(took);
        self.running_until = sent - self.started;
        if from == From::Itself {
            self.said_running_until = self.running_until;
            self.itself_after = self.itself_after.max(self.started.elapsed() * 2);
        }
        // Another one's look can only put off what was planned, such as the first look.
        self.due = if self.asks_itself() {
            Instant::now()
        } else {
            self.due.max(self.next(took))
        };
    }

    fn look_failed(&mut self, error: Error, took: Duration) {
        self.last_error = Some(Box::new(error));
        self.due = self.next(took);
    }

    fn timed_out(self, task: &Upid) -> WaitError {
        WaitError::TimedOut {
            upid: task.clone(),
            last_error: self.last_error,
        }
    }

    fn next(&self, took: Duration) -> Instant {
        Instant::now() + self.policy.next_pause(self.started.elapsed(), took)
    }
}

fn last_error_text(error: Option<&Error>) -> String {
    error
        .map(|error| format!(" (the last look at it failed: {error})"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_the_time_waited_and_spare_a_slow_node() {
        let check = |waited, look, expected| {
            let millis = Duration::from_millis;
            assert_eq!(
                WaitPolicy::default().next_pause(millis(waited), millis(look)),
                millis(expected),
                "{waited} ms waited, {look} ms for a look"
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
            usual: Some(millis(1_200)),
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
    fn times_can_be_counted_from_an_earlier_start() {
        let millis = Duration::from_millis;
        let check = |running_until, over_at, expected: (u64, u64)| {
            let waited = Waited {
                exit: TaskExit::Ok,
                running_until: millis(running_until),
                said_running_until: millis(running_until),
                over_at: millis(over_at),
            };
            let earlier = waited.begun_earlier(millis(30));
            assert_eq!(earlier.said_running_until, earlier.running_until);
            let found = (earlier.running_until, earlier.over_at);
            assert_eq!(found, (millis(expected.0), millis(expected.1)));
        };
        check(0, 50, (0, 80));
        check(50, 70, (80, 100));
    }

    #[test]
    fn there_is_always_a_pause() {
        let none = WaitPolicy {
            first_pause: Duration::ZERO,
            longest_pause: Duration::ZERO,
            usual: None,
        };
        let pause = none.next_pause(Duration::ZERO, Duration::ZERO);
        assert_eq!(pause, SHORTEST_PAUSE);
    }
}
