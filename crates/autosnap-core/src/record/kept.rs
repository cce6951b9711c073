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
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::name::{Label, Series, TimestampFormat};
    use crate::retention::{Policy, Rules, decide};
    use crate::snapshot::{Snapshot, SnapshotState};

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

    #[test]
    fn the_counts_of_several_guests_are_added_field_by_field() {
        let one = KeptCounts {
            last: 1,
            hourly: 2,
            daily: 3,
            weekly: 4,
            monthly: 5,
            yearly: 6,
            all: 7,
            guarded: 8,
            held: 9,
        };
        let thrice = KeptCounts {
            last: 3,
            hourly: 6,
            daily: 9,
            weekly: 12,
            monthly: 15,
            yearly: 18,
            all: 21,
            guarded: 24,
            held: 27,
        };
        assert_eq!([one, one, one].into_iter().sum::<KeptCounts>(), thrice);
        assert_eq!(one.total(), 45);
    }

    /// The counts of a guest with these snapshots, newest first: name and lines of marks.
    fn counts(snapshots: &[(&str, &str)], rules: Rules) -> KeptCounts {
        let series = Series::new(Label::parse("daily").unwrap(), TimestampFormat::default());
        let snapshots = snapshots.iter().map(|(day, mark)| {
            let time: Timestamp = format!("20{day}T00:00:00Z").parse().unwrap();
            Snapshot {
                name: format!("autodaily{}000000", day.replace('-', "")),
                taken_at: Some(time),
                description: format!("cv4pve-autosnap{mark}").into(),
                parent: None,
                with_ram: false,
                state: SnapshotState::Complete,
            }
        });
        let snapshots: Vec<Snapshot> = snapshots.collect();
        let now: Timestamp = "2026-12-31T12:00:00Z".parse().unwrap();
        let policy = Policy::new(series, rules);
        let steps = Steps {
            creation: None,
            verdicts: decide(&snapshots, &policy, None, &now.to_zoned(TimeZone::UTC)),
            overdue: Vec::new(),
            storages: Vec::new(),
            waits_for: None,
        };
        KeptCounts::from_steps(&steps)
    }

    #[test]
    fn each_snapshot_that_stays_is_counted_with_its_first_hold() {
        let snapshots = [
            ("26-12-31", ""),
            ("26-12-30", ""),
            ("26-12-29", "\nautosnap: hold"),
            ("26-12-20", ""),
            ("26-11-20", ""),
            ("25-11-20", ""),
            ("25-11-19", ""),
        ];
        let rules =
            Rules::parse("keep-last=1,keep-daily=1,keep-weekly=1,keep-monthly=1,keep-yearly=1");
        let expected = KeptCounts {
            last: 1,
            daily: 1,
            weekly: 1,
            monthly: 1,
            yearly: 1,
            held: 1,
            ..KeptCounts::default()
        };
        assert_eq!(counts(&snapshots, rules.unwrap()), expected);
        let hourly = Rules::parse("keep-last=0,keep-hourly=2").unwrap();
        let guarded = hourly.with_keep_min(5);
        let expected = KeptCounts {
            hourly: 2,
            guarded: 3,
            held: 1,
            ..KeptCounts::default()
        };
        assert_eq!(counts(&snapshots, guarded), expected);
        let expected = KeptCounts {
            all: 6,
            held: 1,
            ..KeptCounts::default()
        };
        assert_eq!(counts(&snapshots, Rules::keep_all()), expected);
    }
}
