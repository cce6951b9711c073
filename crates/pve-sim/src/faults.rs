// SPDX-License-Identifier: GPL-3.0-only
//! Fault injection: which requests and tasks fail, how, and how often.
//!
//! A fault file is JSON with two lists of rules:
//!
//! ```
//! let plan = pve_sim::faults::FaultPlan::parse(r#"{
//!     "seed": 7,
//!     "requests": [
//!         {"method": "POST", "path": "/nodes/*/qemu/*/snapshot", "when": {"nth": 2}, "effect": "drop_after"},
//!         {"path": "/cluster/**", "when": {"probability": 0.1}, "effect": {"delay": 0.5}},
//!         {"node": "pve2", "times": 3, "effect": {"answer": {"status": 595, "reason": "No route to host"}}}
//!     ],
//!     "tasks": [
//!         {"kind": "qmsnapshot", "vmid": 104, "effect": {"fail": "no space left on device"}}
//!     ]
//! }"#);
//! assert_eq!(plan.unwrap().requests.len(), 3);
//! ```
//!
//! A missing pattern matches everything. Every rule counts the requests or tasks that it matches;
//! the first rule that is due takes effect. Rules depend only on the seed and on their own matches,
//! never on time or on other rules.
//!
//! This module only decides; the HTTP and task layers apply the effects.

mod file;
mod pattern;

use std::num::NonZeroU32;

use serde::Deserialize;
use serde_json::Value;

use crate::random::Random;

pub use file::FaultFileError;
pub use pattern::{Glob, Method, RequestFacts, RequestPattern, TaskFacts, TaskKind, TaskPattern};

/// A duration in seconds, from 0 to one year.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "f64")]
pub struct Seconds(f64);

impl Seconds {
    /// The number of seconds.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Seconds {
    type Error = String;

    fn try_from(seconds: f64) -> Result<Self, String> {
        // Longer than any test, and short enough for all timers.
        if (0.0..=31_536_000.0).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(format!(
                "invalid duration {seconds}: must be between 0 and one year (in seconds)"
            ))
        }
    }
}

/// An HTTP status for a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u16")]
pub struct Status(u16);

impl Status {
    /// The status as a number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Status {
    type Error = String;

    fn try_from(status: u16) -> Result<Self, String> {
        if (200..=999).contains(&status) {
            Ok(Self(status))
        } else {
            Err(format!(
                "invalid status {status}: must be between 200 and 999"
            ))
        }
    }
}

/// The effect on a request.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RequestFault {
    /// Resets the connection immediately, as if nothing listened on the port.
    Refuse,
    /// Closes the connection without handling the request.
    DropBefore,
    /// Handles the request, then closes the connection without a response.
    DropAfter,
    /// Handles the request, then closes the connection after half of the response.
    CutAnswer,
    /// Handles the request immediately, then delays the response.
    Stall(Seconds),
    /// Delays the request before handling it.
    Delay(Seconds),
    /// Holds the request until the held requests are released, then handles it.
    Hold,
    /// Responds with this instead.
    Answer(CannedResponse),
    /// Takes the node offline, then handles the request.
    LoseNode {
        /// The node's name.
        node: String,
    },
    /// Invalidates all tickets, then handles the request.
    ExpireTickets,
    /// Responds with 500 `got no worker upid - start worker failed` and does nothing. PVE does this
    /// under load (`fork_worker` in `PVE/RESTEnvironment.pm`).
    StartFailed,
    /// Does not handle the request, and returns the UPID of the node's last successful task of any type
    /// and guest, or of a task that never ran if there is no such task.
    OtherTask,
    /// Handles the request, then changes the list in the response.
    Listing(ListingFault),
    /// Handles the request, then replaces text in the response body.
    Edit {
        /// The text to replace; all occurrences.
        find: String,
        /// The replacement. Characters up to U+00FF are sent as a single byte, so that `\u00ff`
        /// creates invalid UTF-8.
        with: String,
    },
}

/// How to change the list in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListingFault {
    /// Duplicates every entry.
    Doubled,
    /// Removes the second half, and the entry `current`.
    Truncated,
    /// Removes all entries.
    Empty,
}

/// A fixed response.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CannedResponse {
    /// The HTTP status, for example 595 or 503.
    pub status: Status,
    /// The reason phrase.
    pub reason: String,
    /// The body: a string is sent as text, any other value as JSON; null means an empty body.
    #[serde(default)]
    pub body: Value,
    /// Handle the request before responding, as if the node's response were lost (596).
    #[serde(default)]
    pub handled: bool,
    /// Delay before the response, in seconds.
    #[serde(default)]
    pub after: Seconds,
}

/// The effect on a task.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TaskFault {
    /// Fails with this error before changing anything.
    Fail(String),
    /// Succeeds with this number of warnings: `WARNINGS: n`.
    Warn(NonZeroU32),
    /// Kills the worker before it changes anything; the task gets no exit status of its own
    /// (`unexpected status`).
    Vanish,
    /// Sets the duration.
    Duration(Seconds),
    /// Aborts before this step and leaves the same state as PVE would.
    AbortAt(TaskStep),
}

/// The steps of `snapshot_create` and `snapshot_delete` in `PVE/AbstractConfig.pm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStep {
    /// Set the lock (`snapshot`, `snapshot-delete`); creation and removal.
    Lock,
    /// Write the snapshot section with `snapstate: prepare`; creation only.
    Prepare,
    /// Set `snapstate: delete`; removal only.
    DeleteState,
    /// Create or remove the volume snapshots; creation and removal.
    Volumes,
    /// Remove `snapstate` and lock, set `parent`; creation only.
    Commit,
    /// Re-parent the children, remove section and lock; removal only.
    Cleanup,
}

/// Which of the matching requests or tasks are affected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// All of them.
    #[default]
    Always,
    /// The rule applies only to this match, counted from 1.
    Nth(NonZeroU32),
    /// The rule applies to every nth match.
    Every(NonZeroU32),
    /// The rule applies to each match with this probability; the plan's seed determines the result.
    Probability(Probability),
}

/// A probability from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Probability(f64);

impl TryFrom<f64> for Probability {
    type Error = String;

    fn try_from(probability: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&probability) {
            Ok(Self(probability))
        } else {
            Err(format!(
                "invalid probability {probability}: must be between 0 and 1"
            ))
        }
    }
}

/// A fault rule: pattern, condition and effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule<P, F> {
    /// What it matches.
    pub pattern: P,
    /// Which of the matches it affects.
    pub when: When,
    /// Maximum number of effects; `None`: no limit.
    pub times: Option<u32>,
    /// The effect.
    pub effect: F,
}

/// A fault file.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultPlan {
    /// Seed for [`When::Probability`].
    pub seed: u64,
    /// Rules for requests; the first rule that is due takes effect.
    #[serde(deserialize_with = "file::request_rules")]
    pub requests: Vec<Rule<RequestPattern, RequestFault>>,
    /// Rules for tasks; the first rule that is due takes effect.
    #[serde(deserialize_with = "file::task_rules")]
    pub tasks: Vec<Rule<TaskPattern, TaskFault>>,
}

/// A fault plan with its counters.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    seed: u64,
    requests: Vec<Counted<RequestPattern, RequestFault>>,
    tasks: Vec<Counted<TaskPattern, TaskFault>>,
}

#[derive(Debug, Clone)]
struct Counted<P, F> {
    rule: Rule<P, F>,
    matched: u32,
    applied: u32,
}

impl Faults {
    /// Starts all counters at zero.
    pub fn new(plan: FaultPlan) -> Self {
        Self {
            seed: plan.seed,
            requests: plan.requests.into_iter().map(Counted::new).collect(),
            tasks: plan.tasks.into_iter().map(Counted::new).collect(),
        }
    }

    /// The fault for a request. Call this once per request.
    pub fn for_request(&mut self, facts: &RequestFacts<'_>) -> Option<RequestFault> {
        let matches = |pattern: &RequestPattern| pattern.matches(facts);
        first_due(&mut self.requests, self.seed, matches)
    }

    /// The fault for a task. Call this once per task, when it starts.
    pub fn for_task(&mut self, facts: &TaskFacts<'_>) -> Option<TaskFault> {
        // A different seed, so that the first rules of both lists draw independently.
        let matches = |pattern: &TaskPattern| pattern.matches(facts);
        first_due(&mut self.tasks, !self.seed, matches)
    }

    /// How often each request rule took effect, in the order of the plan.
    pub fn applied_to_requests(&self) -> Vec<u32> {
        self.requests
            .iter()
            .map(|counted| counted.applied)
            .collect()
    }

    /// How often each task rule took effect, in the order of the plan.
    pub fn applied_to_tasks(&self) -> Vec<u32> {
        self.tasks.iter().map(|counted| counted.applied).collect()
    }
}

fn first_due<P, F: Clone>(
    rules: &mut [Counted<P, F>],
    seed: u64,
    matches: impl Fn(&P) -> bool,
) -> Option<F> {
    let mut found = None;
    for (index, counted) in rules.iter_mut().enumerate() {
        if !matches(&counted.rule.pattern) {
            continue;
        }
        counted.matched = counted.matched.saturating_add(1);
        if found.is_none() && counted.is_due(seed, index) {
            counted.applied += 1;
            found = Some(counted.rule.effect.clone());
        }
    }
    found
}

impl<P, F> Counted<P, F> {
    fn new(rule: Rule<P, F>) -> Self {
        Self {
            rule,
            matched: 0,
            applied: 0,
        }
    }

    fn is_due(&self, seed: u64, index: usize) -> bool {
        let spent = self.rule.times.is_some_and(|times| self.applied >= times);
        !spent
            && match self.rule.when {
                When::Always => true,
                When::Nth(number) => self.matched == number.get(),
                When::Every(step) => self.matched.is_multiple_of(step.get()),
                When::Probability(Probability(probability)) => {
                    let throw = ((index as u64) << 32) | u64::from(self.matched);
                    Random::for_purpose(seed, throw).chance(probability)
                }
            }
    }
}
