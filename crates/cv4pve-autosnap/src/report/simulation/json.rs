// SPDX-License-Identifier: GPL-3.0-only
//! The report as a JSON object. Keys are added, never renamed.

use autosnap_core::retention::Period;
use autosnap_core::simulation::{HeldSnapshot, RuleUse, rule_of};
use jiff::Zoned;
use serde::Serialize;

use super::Simulated;

/// The version of the format.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document {
    version: u32,
    schedule: String,
    policy: String,
    timezone: String,
    runs: usize,
    first_run: String,
    last_run: String,
    most: usize,
    most_during_run: usize,
    rules: Vec<Rule>,
    held: Vec<Held>,
}

#[derive(Serialize)]
struct Rule {
    #[serde(rename = "rule")]
    key: &'static str,
    count: u32,
    most: u32,
    filled: bool,
}

#[derive(Serialize)]
struct Held {
    time: String,
    /// Seconds since the epoch.
    snaptime: i64,
    /// The rule that holds it; null if only a guard does, or if all are kept.
    rule: Option<&'static str>,
    reason: String,
}

impl From<&RuleUse> for Rule {
    fn from(rule: &RuleUse) -> Self {
        Self {
            key: rule.period.key(),
            count: rule.count,
            most: rule.most,
            filled: rule.is_filled(),
        }
    }
}

impl From<&HeldSnapshot> for Held {
    fn from(held: &HeldSnapshot) -> Self {
        Self {
            time: time(&held.taken_at),
            snaptime: held.taken_at.timestamp().as_second(),
            rule: rule_of(&held.reason).map(Period::key),
            reason: held.reason.to_string(),
        }
    }
}

/// The document.
pub(super) fn document(simulated: &Simulated<'_>) -> impl Serialize {
    let simulation = simulated.simulation;
    let (first, last) = &simulation.first_and_last;
    Document {
        version: VERSION,
        schedule: simulated.schedule.to_string(),
        policy: simulated.rules.to_string(),
        timezone: simulated.zone.clone(),
        runs: simulation.runs,
        first_run: time(first),
        last_run: time(last),
        most: simulation.most,
        most_during_run: simulation.most_during_run,
        rules: simulation.rules.iter().map(Rule::from).collect(),
        held: simulation.held.iter().map(Held::from).collect(),
    }
}

fn time(time: &Zoned) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}
