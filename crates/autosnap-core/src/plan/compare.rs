// SPDX-License-Identifier: GPL-3.0-only
//! The comparison of a plan with what other rules would keep and remove on the same snapshots.

use std::iter::Sum;

use jiff::Zoned;

use super::{GuestPlan, Plan, Steps};
use crate::guest::Guest;
use crate::retention::{self, Reason, Rules};
use crate::snapshot::Snapshot;

/// What other rules would keep and remove on the snapshots of a plan. Neither side has a limit of removals.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The other rules.
    pub rules: Rules,
    /// The guests whose snapshots were read: first those with differences, then the others, each in the
    /// order of the plan.
    pub guests: Vec<GuestComparison>,
    /// The guests whose snapshots were not read.
    pub not_compared: Vec<Guest>,
}

/// The comparison of one guest.
#[derive(Debug, Clone)]
pub struct GuestComparison {
    /// The guest.
    pub guest: Guest,
    /// The snapshots that only one side keeps, newest first.
    pub differences: Vec<Difference>,
    /// How many counted snapshots the rules of the plan keep and remove.
    pub own: RuleCounts,
    /// How many the other rules keep and remove.
    pub other: RuleCounts,
}

/// A snapshot that only one side keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Why the rules of the plan keep or remove it.
    pub own: Reason,
    /// Why the other rules keep or remove it.
    pub other: Reason,
}

/// How many counted snapshots stay and are removed, the new one not included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuleCounts {
    /// How many stay.
    pub kept: usize,
    /// How many are removed.
    pub removed: usize,
}

impl Comparison {
    /// Compares a plan with other rules. `now` is the time of the plan, in its zone.
    pub fn new(plan: &Plan, rules: Rules, now: &Zoned) -> Self {
        let mut guests = Vec::new();
        let mut not_compared = Vec::new();
        for plan in &plan.guests {
            match plan.steps() {
                Some(steps) => guests.push(GuestComparison::new(plan, steps, rules, now)),
                None => not_compared.push(plan.guest.clone()),
            }
        }
        guests.sort_by_key(|guest| guest.differences.is_empty());
        Self {
            rules,
            guests,
            not_compared,
        }
    }

    /// What the rules of the plan keep and remove.
    pub fn own(&self) -> RuleCounts {
        self.guests.iter().map(|guest| guest.own).sum()
    }

    /// What the other rules keep and remove.
    pub fn other(&self) -> RuleCounts {
        self.guests.iter().map(|guest| guest.other).sum()
    }
}

impl GuestComparison {
    fn new(plan: &GuestPlan, steps: &Steps, rules: Rules, now: &Zoned) -> Self {
        let verdicts = steps.verdicts.iter();
        let snapshots: Vec<Snapshot> = verdicts.map(|verdict| verdict.snapshot.clone()).collect();
        let (policy, new) = (&plan.policy, plan.action.new_name());
        let by_plan = retention::decide(&snapshots, policy, new, now);
        let kept = by_plan.iter().filter(|one| one.reason.is_kept_by_rules());
        let removed = by_plan.iter().filter(|one| one.reason.is_removal());
        let own = RuleCounts {
            kept: kept.count(),
            removed: removed.count(),
        };
        let differences = retention::compare(&snapshots, policy, rules, new, now);
        let gained = differences.iter().filter(|one| one.is_kept_by_other());
        let gained = gained.count();
        let lost = differences.len() - gained;
        let differences = differences.into_iter().map(|difference| Difference {
            snapshot: difference.snapshot.clone(),
            own: difference.reason,
            other: difference.other,
        });
        Self {
            guest: plan.guest.clone(),
            differences: differences.collect(),
            own,
            other: RuleCounts {
                kept: own.kept + gained - lost,
                removed: own.removed + lost - gained,
            },
        }
    }
}

impl Difference {
    /// Whether only the other rules keep the snapshot; otherwise only those of the plan do.
    pub fn is_kept_by_other(&self) -> bool {
        self.own.is_removal()
    }
}

impl Sum for RuleCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, counts| Self {
            kept: sum.kept + counts.kept,
            removed: sum.removed + counts.removed,
        })
    }
}
