// SPDX-License-Identifier: GPL-3.0-only
//! When to look at a task for the first time, learned from the tasks seen in this run.
//!
//! A look that comes too early costs a request, one that comes too late leaves a slot idle. So the
//! first look comes when the shortest of the last tasks of that kind on that node was over, as far
//! as the looks can tell: each task's end lies between two looks. While the last look that saw a
//! task run and the first that saw one over lie far apart, the next task is looked at in between,
//! so that equal tasks are soon met at their end.
//!
//! Limits: it remembers a handful of durations per node and kind, nothing per guest.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pve_client::{TaskEnd, WaitPolicy};

/// How many durations are remembered.
const MEMORY: usize = 8;
/// The first look as long as nothing is known: a small disk takes PVE 80 to 190 ms.
const UNKNOWN: Duration = Duration::from_millis(50);
/// No first look comes earlier.
const EARLIEST: Duration = Duration::from_millis(10);
/// No first look comes later, however long the last tasks took: the next guest may be a small one.
const LATEST: Duration = Duration::from_secs(1);
/// What was seen running at a time is believed for so many tasks that were met at their end:
/// then tasks may have become shorter, and an earlier look finds out.
const TRUST: u32 = 16;

/// A look that comes too early delays the next one by more than this, or than a twentieth of the
/// duration, can win.
const NOT_WORTH_A_TRY: Duration = Duration::from_millis(5);

/// What is remembered of the tasks of a run.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<HashMap<(String, &'static str), Memory>>);

/// What is remembered of one kind of task on one node.
#[derive(Debug, Default)]
struct Memory {
    /// When each of the last tasks was seen to be over.
    over: VecDeque<Duration>,
    /// The last time at which one was seen running that is below all of these; zero if unknown.
    running: Duration,
    /// How many tasks have ended since that was seen.
    age: u32,
}

impl Pace {
    /// When to look at a task of this type on this node.
    pub(super) fn policy(&self, node: &str, task_type: &'static str) -> WaitPolicy {
        let (first_pause, usual) = self.with(node, task_type, |memory| {
            (memory.first_look(), memory.usual())
        });
        WaitPolicy {
            first_pause: first_pause.clamp(EARLIEST, LATEST),
            usual_duration: usual,
            ..WaitPolicy::default()
        }
    }

    /// A task of this type has ended.
    pub(super) fn learn(&self, node: &str, task_type: &'static str, end: &TaskEnd) {
        self.with(node, task_type, |memory| memory.learn(end));
    }

    fn with<T>(
        &self,
        node: &str,
        task_type: &'static str,
        look: impl FnOnce(&mut Memory) -> T,
    ) -> T {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        look(seen.entry((node.to_owned(), task_type)).or_default())
    }
}

impl Memory {
    fn first_look(&self) -> Duration {
        let Some(shortest) = self.over.iter().min().copied() else {
            return UNKNOWN;
        };
        let uncertain = shortest.saturating_sub(self.running);
        if uncertain <= (shortest / 20).max(NOT_WORTH_A_TRY) {
            return shortest;
        }
        if self.running.is_zero() {
            return shortest * 9 / 10;
        }
        self.running + uncertain / 2
    }

    /// The median of the last durations.
    fn usual(&self) -> Option<Duration> {
        let mut sorted: Vec<Duration> = self.over.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }

    fn learn(&mut self, end: &TaskEnd) {
        if self.over.len() == MEMORY {
            self.over.pop_front();
        }
        self.over.push_back(end.ended_by);
        self.age += 1;
        let shortest = self.over.iter().min().copied().unwrap_or_default();
        if self.running >= shortest || self.age > TRUST {
            self.running = Duration::ZERO;
        }
        if end.last_reported_running > self.running && end.last_reported_running < shortest {
            self.running = end.last_reported_running;
            self.age = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "qmsnapshot";

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Waits as the client does for tasks of these durations; the delays of the looks that saw
    /// the end, and how many looks each took.
    fn delays(pace: &Pace, durations: impl IntoIterator<Item = u64>) -> Vec<(Duration, u32)> {
        let follow = |duration: u64| {
            let duration = millis(duration);
            let policy = pace.policy("pve1", KIND);
            let (mut at, mut running_until) = (policy.first_pause, Duration::ZERO);
            let mut looks = 1;
            while at < duration {
                running_until = at;
                at += millis(13);
                at += policy.next_pause(at, millis(13));
                looks += 1;
            }
            let exit = pve_client::TaskExit::Ok;
            let end = TaskEnd {
                exit,
                last_reported_running: running_until,
                last_seen_running: running_until,
                ended_by: at,
            };
            pace.learn("pve1", KIND, &end);
            (at.saturating_sub(duration), looks)
        };
        durations.into_iter().map(follow).collect()
    }

    #[test]
    fn nothing_is_assumed_of_another_node_or_kind() {
        let pace = Pace::default();
        delays(&pace, [500; 20]);
        assert_eq!(pace.policy("pve2", KIND).first_pause, UNKNOWN);
        assert_eq!(pace.policy("pve1", "qmdelsnapshot").first_pause, UNKNOWN);
    }

    #[test]
    fn equal_tasks_are_soon_met_at_their_end() {
        for duration in [25, 60, 100, 500, 950] {
            let pace = Pace::default();
            delays(&pace, [duration; 10]);
            let later = delays(&pace, vec![duration; 100]);
            let late: Duration = later.iter().map(|(delay, _)| *delay).sum();
            let looks: u32 = later.iter().map(|(_, looks)| *looks).sum();
            assert!(
                late / 100 <= millis(3 + duration / 20),
                "{duration}: {late:?} in all"
            );
            assert!(looks <= 125, "{duration}: {looks} looks");
        }
    }

    #[test]
    fn tasks_that_become_shorter_or_longer_are_followed() {
        let pace = Pace::default();
        delays(&pace, [500; 20]);
        delays(&pace, [100; 60]);
        let (delay, _) = delays(&pace, [100])[0];
        assert!(delay <= millis(20), "{delay:?}");
        delays(&pace, [400; 20]);
        let (delay, _) = delays(&pace, [400])[0];
        assert!(delay <= millis(50), "{delay:?}");
    }

    #[test]
    fn a_first_look_is_neither_at_once_nor_far_away() {
        let pace = Pace::default();
        delays(&pace, [1; 30]);
        assert_eq!(pace.policy("pve1", KIND).first_pause, EARLIEST);
        delays(&pace, [60_000; 30]);
        assert_eq!(pace.policy("pve1", KIND).first_pause, LATEST);
    }

    #[test]
    fn tasks_of_any_length_are_noticed_within_a_tenth() {
        let pace = Pace::default();
        let durations = (0..400).map(|number: u64| 300 + number * 7_919 % 2_700);
        let mut shares: Vec<f64> = delays(&pace, durations.clone())
            .iter()
            .zip(durations)
            .map(|((delay, _), duration)| delay.as_secs_f64() / millis(duration).as_secs_f64())
            .collect();
        shares.sort_by(f64::total_cmp);
        assert!(shares[200] < 0.09, "median {}", shares[200]);
    }
}
