// SPDX-License-Identifier: GPL-3.0-only
//! How many snapshots stay, by the rule that keeps them.

use std::fmt;
use std::iter::Sum;

use serde::{Deserialize, Serialize};

use crate::plan::Steps;
use crate::retention::{Hold, Period, Reason};

/// How many snapshots stay, by the rule that keeps them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptCounts {
    /// By `keep-last`.
    pub last: usize,
    /// By `keep-hourly`.
    pub hourly: usize,
    /// By `keep-daily`.
    pub daily: usize,
    /// By `keep-weekly`.
    pub weekly: usize,
    /// By `keep-monthly`.
    pub monthly: usize,
    /// By `keep-yearly`.
    pub yearly: usize,
    /// By `keep-all`.
    pub all: usize,
    /// By no rule, but by a guard: `keep-within`, `min-age`, `keep-min`.
    pub guarded: usize,
    /// By a hold: no rule counts them.
    pub held: usize,
}

impl KeptCounts {
    /// The snapshots of a guest that stay.
    pub(super) fn from_steps(steps: &Steps) -> Self {
        let mut counts = Self::default();
        for verdict in &steps.verdicts {
            if let Reason::KeptBy(holds) = &verdict.reason
                && let Some(hold) = holds.iter().next()
            {
                *counts.get_mut(hold) += 1;
            } else if let Reason::Held { .. } = verdict.reason {
                counts.held += 1;
            }
        }
        counts
    }

    fn get_mut(&mut self, hold: Hold) -> &mut usize {
        match hold {
            Hold::All => &mut self.all,
            Hold::Rule { period, .. } => match period {
                Period::Last => &mut self.last,
                Period::Hourly => &mut self.hourly,
                Period::Daily => &mut self.daily,
                Period::Weekly => &mut self.weekly,
                Period::Monthly => &mut self.monthly,
                Period::Yearly => &mut self.yearly,
            },
            Hold::Within | Hold::MinAge | Hold::KeepMin => &mut self.guarded,
        }
    }

    /// How many snapshots stay.
    pub fn total(self) -> usize {
        self.named().into_iter().map(|(count, _)| count).sum()
    }

    fn named(self) -> [(usize, &'static str); 9] {
        [
            (self.last, "last"),
            (self.hourly, "hourly"),
            (self.daily, "daily"),
            (self.weekly, "weekly"),
            (self.monthly, "monthly"),
            (self.yearly, "yearly"),
            (self.all, "by keep-all"),
            (self.guarded, "by guards"),
            (self.held, "held"),
        ]
    }
}

impl Sum for KeptCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, counts| Self {
            last: sum.last + counts.last,
            hourly: sum.hourly + counts.hourly,
            daily: sum.daily + counts.daily,
            weekly: sum.weekly + counts.weekly,
            monthly: sum.monthly + counts.monthly,
            yearly: sum.yearly + counts.yearly,
            all: sum.all + counts.all,
            guarded: sum.guarded + counts.guarded,
            held: sum.held + counts.held,
        })
    }
}

/// `keep 1204: 888 hourly, 222 daily, 94 weekly`
impl fmt::Display for KeptCounts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "keep {}", self.total())?;
        let mut separator = ": ";
        for (count, name) in self.named() {
            if count > 0 {
                write!(formatter, "{separator}{count} {name}")?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_and_the_rules_in_their_order_are_displayed() {
        let one = KeptCounts {
            hourly: 888,
            weekly: 94,
            ..KeptCounts::default()
        };
        let other = KeptCounts {
            daily: 222,
            guarded: 3,
            held: 2,
            ..KeptCounts::default()
        };
        let sum: KeptCounts = [one, other].into_iter().sum();
        assert_eq!(
            sum.to_string(),
            "keep 1209: 888 hourly, 222 daily, 94 weekly, 3 by guards, 2 held"
        );
        assert_eq!(KeptCounts::default().to_string(), "keep 0");
    }
}
