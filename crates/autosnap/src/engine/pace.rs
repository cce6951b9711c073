// SPDX-License-Identifier: GPL-3.0-only
//! The time of the first poll of a task, learned from the earlier tasks of the cluster.
//!
//! A poll that is too early costs a request, one that is too late leaves a slot idle. So the first poll comes when
//! the shortest of the last tasks of that type on that node had ended, by the polls: the end of a task lies between
//! two polls. If the last poll that found a task running and the first that found one ended are far apart, the next
//! task is polled between them, so that tasks of equal length are soon polled right at their end.
//!
//! Limits: a few durations are kept per node and type, none per guest.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pve_client::{TaskEnd, WaitPolicy};

/// The number of durations that are kept.
const MEMORY: usize = 8;
/// The first poll without known durations: a snapshot of a small disk takes PVE 80 to 190 ms.
const UNKNOWN: Duration = Duration::from_millis(50);
/// The earliest first poll.
const EARLIEST: Duration = Duration::from_millis(10);
/// The latest first poll, even after long tasks: the next guest may be a small one.
const LATEST: Duration = Duration::from_secs(1);
/// The number of tasks after which the longest known running time expires: tasks may have become shorter, which
/// only an earlier poll can show.
const TRUST: u32 = 16;

/// An uncertainty that is not worth another poll; also a twentieth of the duration. A poll that is too early delays
/// the next one by more than this.
const NEGLIGIBLE: Duration = Duration::from_millis(5);

/// The known durations of the tasks of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<HashMap<(String, &'static str), Memory>>);

/// The last tasks of one type on one node.
#[derive(Debug, Default)]
struct Memory {
    /// When each of the last tasks was first found ended.
    ended: VecDeque<Duration>,
    /// The longest time after which one was found running, below all of these; zero if unknown.
    running: Duration,
    /// The number of tasks that have ended since.
    age: u32,
}

impl Pace {
    /// When to poll a task of this type on this node.
    pub(super) fn policy(&self, node: &str, task_type: &'static str) -> WaitPolicy {
        let (first_pause, median) = self.with(node, task_type, |memory| {
            (memory.first_poll(), memory.median())
        });
        WaitPolicy {
            first_pause: first_pause.clamp(EARLIEST, LATEST),
            usual_duration: median,
            ..WaitPolicy::default()
        }
    }

    /// Records the end of a task of this type.
    pub(super) fn learn(&self, node: &str, task_type: &'static str, end: &TaskEnd) {
        self.with(node, task_type, |memory| memory.learn(end));
    }

    fn with<T>(
        &self,
        node: &str,
        task_type: &'static str,
        access: impl FnOnce(&mut Memory) -> T,
    ) -> T {
        let mut memories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        access(memories.entry((node.to_owned(), task_type)).or_default())
    }
}

impl Memory {
    fn first_poll(&self) -> Duration {
        let Some(shortest) = self.ended.iter().min().copied() else {
            return UNKNOWN;
        };
        let uncertain = shortest.saturating_sub(self.running);
        if uncertain <= (shortest / 20).max(NEGLIGIBLE) {
            return shortest;
        }
        if self.running.is_zero() {
            return shortest * 9 / 10;
        }
        self.running + uncertain / 2
    }

    /// The median of the last durations.
    fn median(&self) -> Option<Duration> {
        let mut sorted: Vec<Duration> = self.ended.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }

    fn learn(&mut self, end: &TaskEnd) {
        if self.ended.len() == MEMORY {
            self.ended.pop_front();
        }
        self.ended.push_back(end.ended_by);
        self.age += 1;
        let shortest = self.ended.iter().min().copied().unwrap_or_default();
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

    /// Waits as the client does for tasks of these durations. Returns for each the delay of the poll that found its
    /// end, and the number of polls.
    fn delays(pace: &Pace, durations: impl IntoIterator<Item = u64>) -> Vec<(Duration, u32)> {
        let follow = |duration: u64| {
            let duration = millis(duration);
            let policy = pace.policy("pve1", KIND);
            let (mut at, mut running_until) = (policy.first_pause, Duration::ZERO);
            let mut polls = 1;
            while at < duration {
                running_until = at;
                at += millis(13);
                at += policy.next_pause(at, millis(13));
                polls += 1;
            }
            let exit = pve_client::TaskExit::Ok;
            let end = TaskEnd {
                exit,
                last_reported_running: running_until,
                last_seen_running: running_until,
                ended_by: at,
            };
            pace.learn("pve1", KIND, &end);
            (at.saturating_sub(duration), polls)
        };
        durations.into_iter().map(follow).collect()
    }

    #[test]
    fn another_node_or_type_has_a_pace_of_its_own() {
        let pace = Pace::default();
        delays(&pace, [500; 20]);
        assert_eq!(pace.policy("pve2", KIND).first_pause, UNKNOWN);
        assert_eq!(pace.policy("pve1", "qmdelsnapshot").first_pause, UNKNOWN);
    }

    #[test]
    fn tasks_of_equal_length_are_soon_polled_at_their_end() {
        for duration in [25, 60, 100, 500, 950] {
            let pace = Pace::default();
            delays(&pace, [duration; 10]);
            let later = delays(&pace, vec![duration; 100]);
            let late: Duration = later.iter().map(|(delay, _)| *delay).sum();
            let polls: u32 = later.iter().map(|(_, polls)| *polls).sum();
            assert!(
                late / 100 <= millis(3 + duration / 20),
                "{duration}: {late:?} in total"
            );
            assert!(polls <= 125, "{duration}: {polls} polls");
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
    fn the_first_poll_is_within_bounds() {
        let pace = Pace::default();
        delays(&pace, [1; 30]);
        assert_eq!(pace.policy("pve1", KIND).first_pause, EARLIEST);
        delays(&pace, [60_000; 30]);
        assert_eq!(pace.policy("pve1", KIND).first_pause, LATEST);
    }

    #[test]
    fn the_end_of_a_task_of_any_length_is_found_within_a_tenth() {
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
