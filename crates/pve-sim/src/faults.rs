// SPDX-License-Identifier: GPL-3.0-only
//! Faults as data: which requests and tasks go wrong, how, and how often.
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
//! What a rule leaves out matches everything. Every rule counts each request or task that it
//! matches; the first rule of the list whose turn it is has its effect. So a rule's decisions
//! depend on the seed and on what it has matched, never on time or on other rules.
//!
//! Limits: this module decides; carrying the effect out is up to the HTTP and task layers.

mod file;
mod pattern;

use std::num::NonZeroU32;

use serde::Deserialize;
use serde_json::Value;

use crate::random::Random;

pub use file::FaultFileError;
pub use pattern::{Glob, Method, RequestFacts, RequestPattern, TaskFacts, TaskKind, TaskPattern};

/// Seconds that are neither negative nor endless.
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
        // A year is longer than any test, and short enough for every timer.
        if (0.0..=31_536_000.0).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(format!("{seconds} seconds are not between 0 and a year"))
        }
    }
}

/// An HTTP status that an answer may have.
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
            Err(format!("status {status} is not between 200 and 999"))
        }
    }
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RequestFault {
    /// The connection is reset at once, as if nobody listened.
    Refuse,
    /// The connection ends without the request having been handled.
    DropBefore,
    /// The request is handled, then the connection ends without an answer.
    DropAfter,
    /// The request is handled, and the connection ends in the middle of the answer.
    CutAnswer,
    /// The request is handled at once, its answer held back for that long.
    Stall(Seconds),
    /// The request is handled, and answered, only after that long.
    Delay(Seconds),
    /// The request is handled, and answered, only when the held requests are released.
    Hold,
    /// The request is answered so.
    Answer(OrderedAnswer),
    /// The node goes offline, and then the request is handled.
    LoseNode {
        /// The node's name.
        node: String,
    },
    /// All tickets expire, and then the request is handled.
    ExpireTickets,
    /// 500 `got no worker upid - start worker failed`; nothing was done. A real PVE under load
    /// answers so (`PVE/RESTEnvironment.pm`, `fork_worker`).
    StartFailed,
    /// The request is not handled; the reply is the UPID of the task that was the last to succeed on that
    /// node, whatever it did to whichever guest. Without such a task it is the UPID of one that nobody
    /// started.
    OtherTask,
    /// The request is handled, and the list in the reply changed.
    Listing(ListingFault),
    /// The request is handled, and one piece of text in the reply's body replaced by another.
    Edit {
        /// The text; every occurrence is replaced.
        find: String,
        /// The replacement. Characters up to U+00FF are sent as one byte each, so that `\u00ff` is a byte
        /// that UTF-8 does not have.
        with: String,
    },
}

/// What happens to the list in a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListingFault {
    /// Every entry is there twice.
    Doubled,
    /// The second half is missing, and the entry `current` too.
    Truncated,
    /// All entries are missing.
    Empty,
}

/// An answer that is not what came of the request.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderedAnswer {
    /// The HTTP status, for example 595 or 503.
    pub status: Status,
    /// The reason phrase.
    pub reason: String,
    /// The body: text as it is, anything else as JSON; nothing means an empty body.
    #[serde(default)]
    pub body: Value,
    /// The request is handled nevertheless, as when the node's own answer is lost on the way (596).
    #[serde(default)]
    pub handled: bool,
    /// Seconds until the answer comes.
    #[serde(default)]
    pub after: Seconds,
}

/// What happens to a task.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TaskFault {
    /// It ends with that error before it changes anything.
    Fail(String),
    /// It succeeds with that many warnings: `WARNINGS: n`.
    Warn(NonZeroU32),
    /// Its worker is killed before it changes anything; the task has no end status of its own
    /// (`unexpected status`).
    Vanish,
    /// It takes that long.
    Duration(Seconds),
    /// It dies before that step, leaving behind what PVE would leave behind.
    AbortAt(Step),
}

/// The steps of `snapshot_create` and `snapshot_delete` in `PVE/AbstractConfig.pm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Setting the lock (`snapshot`, `snapshot-delete`); both operations.
    Lock,
    /// Writing the snapshot's section with `snapstate: prepare`; creation only.
    Prepare,
    /// Setting `snapstate: delete`; removal only.
    DeleteState,
    /// Creating or removing the snapshots of the volumes; both operations.
    Volumes,
    /// Dropping `snapstate` and lock, moving `parent`; creation only.
    Commit,
    /// Re-parenting the children, dropping section and lock; removal only.
    Cleanup,
}

/// Which of the matched requests or tasks a rule applies to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// To all of them.
    #[default]
    Always,
    /// To one, counted from 1.
    Nth(NonZeroU32),
    /// To each whose number is divisible by this.
    Every(NonZeroU32),
    /// To each with that probability, thrown with the plan's seed.
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
            Err(format!("probability {probability} is not between 0 and 1"))
        }
    }
}

/// A pattern, when it applies, and the effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule<P, F> {
    /// What it matches.
    pub pattern: P,
    /// Which of the matched ones it applies to.
    pub when: When,
    /// How often it applies at most; without it, as often as its turn comes.
    pub times: Option<u32>,
    /// What it does.
    pub effect: F,
}

/// A fault file.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultPlan {
    /// Decides the throws of [`When::Probability`].
    pub seed: u64,
    /// Rules for requests; the first whose turn it is applies.
    #[serde(deserialize_with = "file::request_rules")]
    pub requests: Vec<Rule<RequestPattern, RequestFault>>,
    /// Rules for tasks; the first whose turn it is applies.
    #[serde(deserialize_with = "file::task_rules")]
    pub tasks: Vec<Rule<TaskPattern, TaskFault>>,
}

/// A plan at work: remembers what its rules have matched.
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
    /// Starts counting at zero.
    pub fn new(plan: FaultPlan) -> Self {
        Self {
            seed: plan.seed,
            requests: plan.requests.into_iter().map(Counted::new).collect(),
            tasks: plan.tasks.into_iter().map(Counted::new).collect(),
        }
    }

    /// Whether and how a request goes wrong. To be asked once for each request.
    pub fn for_request(&mut self, facts: &RequestFacts<'_>) -> Option<RequestFault> {
        let matches = |pattern: &RequestPattern| pattern.matches(facts);
        first_due(&mut self.requests, self.seed, matches)
    }

    /// Whether and how a task goes wrong. To be asked once for each task, when it starts.
    pub fn for_task(&mut self, facts: &TaskFacts<'_>) -> Option<TaskFault> {
        // A seed of its own, so that the first rules of both lists do not throw alike.
        let matches = |pattern: &TaskPattern| pattern.matches(facts);
        first_due(&mut self.tasks, !self.seed, matches)
    }

    /// How often each rule for requests has applied, in the plan's order.
    pub fn applied_to_requests(&self) -> Vec<u32> {
        self.requests
            .iter()
            .map(|counted| counted.applied)
            .collect()
    }

    /// How often each rule for tasks has applied, in the plan's order.
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
