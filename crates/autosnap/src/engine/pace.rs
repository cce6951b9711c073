// SPDX-License-Identifier: GPL-3.0-only
//! When to look at a task for the first time, learned from the tasks seen in this run.
//!
//! A look that comes too early costs a request, one that comes too late leaves a slot idle. So the
//! first look comes shortly before the shortest of the last tasks of that kind on that node was
//! over, and the pauses grow from there by a share of the time that has passed.
//!
//! Limits: it remembers a handful of durations per node and kind, nothing per guest.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pve_client::WaitPolicy;

/// How many durations are remembered.
const MEMORY: usize = 8;
/// The first look as long as nothing is known: a small disk takes PVE 80 to 190 ms.
const UNKNOWN: Duration = Duration::from_millis(50);
/// No first look comes later, however long the last tasks took: the next guest may be a small one.
const LATEST_FIRST_LOOK: Duration = Duration::from_secs(1);

/// What is remembered of the tasks of a run.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<HashMap<(String, &'static str), VecDeque<Duration>>>);

impl Pace {
    /// When to look at a task of this type on this node.
    pub(super) fn policy(&self, node: &str, task_type: &'static str) -> WaitPolicy {
        let shortest = self.with(node, task_type, |seen| seen.iter().min().copied());
        let first_pause = shortest.map_or(UNKNOWN, |shortest| shortest * 9 / 10);
        WaitPolicy {
            first_pause: first_pause.clamp(Duration::from_millis(10), LATEST_FIRST_LOOK),
            ..WaitPolicy::default()
        }
    }

    /// A task of this type has taken so long, as far as we can tell.
    pub(super) fn learn(&self, node: &str, task_type: &'static str, duration: Duration) {
        self.with(node, task_type, |seen| {
            if seen.len() == MEMORY {
                seen.pop_front();
            }
            seen.push_back(duration);
        });
    }

    fn with<T>(
        &self,
        node: &str,
        task_type: &'static str,
        look: impl FnOnce(&mut VecDeque<Duration>) -> T,
    ) -> T {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        look(seen.entry((node.to_owned(), task_type)).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(durations: &[u64], expected: u64) {
        let pace = Pace::default();
        for &millis in durations {
            pace.learn("pve1", "qmsnapshot", Duration::from_millis(millis));
        }
        assert_eq!(
            pace.policy("pve1", "qmsnapshot").first_pause,
            Duration::from_millis(expected),
            "{durations:?}"
        );
        assert_eq!(
            pace.policy("pve2", "qmsnapshot").first_pause,
            UNKNOWN,
            "each node has its own pace"
        );
    }

    #[test]
    fn the_first_look_comes_before_the_shortest_of_the_last_tasks_was_over() {
        check(&[], 50);
        check(&[500, 400, 900], 360);
        check(&[100, 500, 500, 500, 500, 500, 500, 500, 500], 450);
        check(&[60_000], 1000);
        check(&[0], 10);
    }
}
