// SPDX-License-Identifier: GPL-3.0-only
//! Waiting for a task: a first look soon, then growing pauses, bounded by a deadline.
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
    /// The pause before the first look, and the first pause between two.
    pub first_pause: Duration,
    /// The pauses grow by half until they are this long.
    pub longest_pause: Duration,
}

impl Default for WaitPolicy {
    /// 50 ms, then growing to 2 s: a snapshot of a small disk takes PVE 80 to 190 ms.
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(2),
        }
    }
}

impl WaitPolicy {
    /// The pauses one after the other, without end and never zero.
    fn pauses(self) -> impl Iterator<Item = Duration> {
        let longest = self.longest_pause.max(SHORTEST_PAUSE);
        let first = self.first_pause.clamp(SHORTEST_PAUSE, longest);
        std::iter::successors(Some(first), move |pause| {
            Some((*pause * 3 / 2).min(longest))
        })
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
    ) -> Result<TaskExit, WaitError> {
        let mut last_error = None;
        for pause in policy.pauses() {
            tokio::time::sleep_until(deadline.min(Instant::now() + pause)).await;
            let is_last = Instant::now() >= deadline;
            match self.look(task, deadline, is_last).await {
                Look::Stopped(exit) => return Ok(exit),
                Look::Running => last_error = None,
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
                Look::OutOfTime => break,
            }
            if is_last {
                break;
            }
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
    fn pauses_grow_are_bounded_and_never_zero() {
        let pauses: Vec<_> = WaitPolicy::default().pauses().take(20).collect();
        assert_eq!(pauses[0], Duration::from_millis(50));
        assert!(pauses.is_sorted());
        assert_eq!(pauses[19], Duration::from_secs(2));
        let none = WaitPolicy {
            first_pause: Duration::ZERO,
            longest_pause: Duration::ZERO,
        };
        assert!(none.pauses().take(9).all(|pause| pause == SHORTEST_PAUSE));
    }
}
