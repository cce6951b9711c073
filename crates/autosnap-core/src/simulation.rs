// SPDX-License-Identifier: GPL-3.0-only
//! The simulation of a job on a guest: a snapshot at each run of a schedule, then the removals of its rules.
//!
//! It removes after each run, as the real job does, so that it shows what is really held: rules applied once to
//! a full history would keep other snapshots.

use jiff::{Timestamp, Zoned};

use crate::calendar::CalendarEvent;
use crate::retention::{Period, Reason, Rules, judge_times};

/// How large a simulation may be.
struct Limits {
    /// The runs.
    runs: usize,
    /// The verdicts: one for each snapshot that is held at each run.
    verdicts: usize,
}

/// About two seconds of work.
const LIMITS: Limits = Limits {
    runs: 500_000,
    verdicts: 10_000_000,
};

/// What a job holds of a guest at the end of the simulated time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulation {
    /// How many runs there were.
    pub runs: usize,
    /// The first and the last run.
    pub first_and_last: (Zoned, Zoned),
    /// The snapshots that are held after the last run, newest first.
    pub held: Vec<HeldSnapshot>,
    /// How many snapshots were held at most after a run.
    pub most: usize,
    /// The same during a run: the new snapshot is taken before old ones are removed.
    pub most_during_run: usize,
    /// The rules that are on, in the order in which they are applied.
    pub rules: Vec<RuleUse>,
}

/// A snapshot that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSnapshot {
    /// When it was taken.
    pub taken_at: Zoned,
    /// Why it is held.
    pub reason: Reason,
}

/// How far a rule was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleUse {
    /// The period of the rule.
    pub period: Period,
    /// How many snapshots it may hold.
    pub count: u32,
    /// How many snapshots it held at most after a run.
    pub most: u32,
}

impl RuleUse {
    /// Whether the rule ever held as many snapshots as it may.
    pub fn is_filled(self) -> bool {
        self.most >= self.count
    }
}

/// Why there is no simulation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimulationError {
    /// The schedule has no run in the time.
    #[error("the schedule `{schedule}` has no run from {start} to {end}")]
    NoRun {
        /// The schedule.
        schedule: String,
        /// The start of the time.
        start: String,
        /// The end of the time.
        end: String,
    },
    /// There are too many runs or snapshots.
    #[error(
        "the simulation is too large: {runs} runs until {reached}, with {held} snapshots held by then"
    )]
    TooLarge {
        /// How many runs were simulated.
        runs: usize,
        /// The time of the last of them.
        reached: String,
        /// How many snapshots were held.
        held: usize,
    },
}

/// Simulates the runs of a schedule after `start` and until `end`, in the zone of both.
pub fn simulate(
    schedule: &CalendarEvent,
    rules: Rules,
    start: &Zoned,
    end: &Zoned,
) -> Result<Simulation, SimulationError> {
    simulate_within(&LIMITS, schedule, rules, start, end)
}

fn simulate_within(
    limits: &Limits,
    schedule: &CalendarEvent,
    rules: Rules,
    start: &Zoned,
    end: &Zoned,
) -> Result<Simulation, SimulationError> {
    // Oldest first, so that a new one is added without moving the others.
    let mut held: Vec<Timestamp> = Vec::new();
    let mut uses = RuleUses::new(rules);
    let (mut runs, mut verdicts, mut most, mut most_during_run) = (0, 0, 0, 0);
    let mut first_and_last = None;
    for run in schedule.runs_after(start).take_while(|run| run <= end) {
        runs += 1;
        held.push(run.timestamp());
        most_during_run = most_during_run.max(held.len());
        if !rules.keeps_all() {
            verdicts += held.len();
            let newest_first: Vec<Timestamp> = held.iter().rev().copied().collect();
            let reasons = judge_times(&newest_first, rules, &run);
            uses.add(&reasons);
            let mut is_removal = reasons.iter().rev().map(Reason::is_removal);
            held.retain(|_| !is_removal.next().unwrap_or_default());
        }
        most = most.max(held.len());
        if verdicts > limits.verdicts || runs > limits.runs {
            return Err(SimulationError::TooLarge {
                runs,
                reached: minute(&run),
                held: held.len(),
            });
        }
        let first = first_and_last.map_or_else(|| run.clone(), |(first, _)| first);
        first_and_last = Some((first, run));
    }
    let Some((first, last)) = first_and_last else {
        return Err(SimulationError::NoRun {
            schedule: schedule.to_string(),
            start: minute(start),
            end: minute(end),
        });
    };
    held.reverse();
    let reasons = judge_times(&held, rules, &last);
    let held = held
        .into_iter()
        .zip(reasons)
        .map(|(taken_at, reason)| HeldSnapshot {
            taken_at: taken_at.to_zoned(start.time_zone().clone()),
            reason,
        });
    Ok(Simulation {
        runs,
        held: held.collect(),
        first_and_last: (first, last),
        most,
        most_during_run,
        rules: uses.rules,
    })
}

/// `2026-11-28 13:00`
fn minute(time: &Zoned) -> String {
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

/// How far the rules were used until now.
struct RuleUses {
    rules: Vec<RuleUse>,
}

impl RuleUses {
    fn new(rules: Rules) -> Self {
        let periods = Period::ALL.into_iter();
        let uses = periods.map(|period| RuleUse {
            period,
            count: rules.count(period),
            most: 0,
        });
        Self {
            rules: uses.filter(|rule| rule.count > 0).collect(),
        }
    }

    fn add(&mut self, reasons: &[Reason]) {
        for rule in &mut self.rules {
            let held = reasons
                .iter()
                .filter(|reason| rule_of(reason) == Some(rule.period));
            rule.most = rule
                .most
                .max(u32::try_from(held.count()).unwrap_or(u32::MAX));
        }
    }
}

/// The rule that holds a snapshot.
pub fn rule_of(reason: &Reason) -> Option<Period> {
    if let Reason::KeptBy(holds) = reason {
        holds.period()
    } else {
        matches!(reason, Reason::Kept { .. }).then_some(Period::Last)
    }
}

#[cfg(test)]
mod tests;
