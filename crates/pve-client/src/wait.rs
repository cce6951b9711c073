// SPDX-License-Identifier: GPL-3.0-only
//! Waiting for a task: a first look soon, then growing pauses, bounded by a deadline.
//!
//! A pause is a share of the time waited so far, so that a long task costs few looks and its end
//! is noticed within that share of its duration. Where it is known how long such tasks usually
//! take, a share of that is taken instead, within bounds: with as many looks, the end is then
//! noticed sooner on the whole. A pause is never shorter than twice the time the last
//! look took: a node that answers slowly is asked less often.
//!
//! A look that fails for a passing reason (no host reachable, an answer lost, the node not
//! answering) does not end the waiting: the task goes on without us. A look that PVE refuses does.

use std::time::Duration;

use tokio::time::Instant;

use crate::client::Client;
use crate::error::Error;
use crate::types::{TaskExit, TaskStatus};
use crate::upid::Upid;

/// The shortest pause between two looks, whatever a policy says.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

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
        share.max(SHORTEST_PAUSE).min(longest).max(look * 2)
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
    /// It was over at the look sent so long after the start of the waiting.
    pub over_at: Duration,
}

impl Waited {
    /// The same, counted from a moment so long before the start of the waiting.
    #[must_use]
    pub fn begun_earlier(&self, before: Duration) -> Self {
        let running_until = if self.running_until.is_zero() {
            Duration::ZERO
        } else {
            self.running_until + before
        };
        Self {
            exit: self.exit.clone(),
            running_until,
            over_at: self.over_at + before,
        }
    }
}

/// Why the end of a task is not known.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The deadline passed; the task still runs in PVE, or at least did when last seen.
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
    pub async fn wait_for_task(
        &self,
        task: &Upid,
        policy: &WaitPolicy,
        deadline: Instant,
    ) -> Result<Waited, WaitError> {
        let started = Instant::now();
        let mut last_error = None;
        let mut running_until = Duration::ZERO;
        let mut pause = policy.first_pause.max(SHORTEST_PAUSE);
        loop {
            tokio::time::sleep_until(deadline.min(Instant::now() + pause)).await;
            let sent = Instant::now();
            let is_last = sent >= deadline;
            match self.look(task, deadline, is_last).await {
                Look::Stopped(exit) => {
                    return Ok(Waited {
                        exit,
                        running_until,
                        over_at: sent - started,
                    });
                }
                Look::Running => {
                    last_error = None;
                    running_until = sent - started;
                }
                Look::Failed(error) if error.is_transient() => {
                    tracing::debug!(upid = %task, %error, "a look at the task failed");
                    last_error = Some(Box::new(error));
                }
                Look::Failed(error) => {
                    return Err(WaitError::Unreadable {
                        upid: task.clone(),
                        error: Box::new(error),
                    });
                }
                // Cut off at the deadline: perhaps this process stood still, and a last look, for which
                // there is a moment, sees the end.
                Look::OutOfTime => {}
            }
            if is_last {
                break;
            }
            pause = policy.next_pause(started.elapsed(), sent.elapsed());
        }
        Err(WaitError::TimedOut {
            upid: task.clone(),
            last_error,
        })
    }

    /// One look. It is cut off at the deadline, but the last one is given a moment.
    async fn look(&self, task: &Upid, deadline: Instant, is_last: bool) -> Look {
        const GRACE: Duration = Duration::from_secs(2);
        let until = if is_last {
            Instant::now() + GRACE
        } else {
            deadline + GRACE
        };
        match tokio::time::timeout_at(until, self.task_status(task)).await {
            Ok(Ok(TaskStatus::Running)) => Look::Running,
            Ok(Ok(TaskStatus::Stopped(exit))) => Look::Stopped(exit),
            Ok(Err(error)) => Look::Failed(error),
            Err(_elapsed) => Look::OutOfTime,
        }
    }
}

/// What one look saw.
enum Look {
    Running,
    Stopped(TaskExit),
    Failed(Error),
    OutOfTime,
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
        check(800, 300, 600);
        check(1_000_000, 13, 10_000);
        check(1_000_000, 20_000, 40_000);
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
                over_at: millis(over_at),
            };
            let earlier = waited.begun_earlier(millis(30));
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
