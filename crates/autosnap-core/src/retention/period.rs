// SPDX-License-Identifier: GPL-3.0-only
//! The periods of the keep rules, and how many snapshots each rule keeps.

use std::fmt;

/// What a keep rule counts: snapshots, or the periods that have snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// `keep-last` counts the snapshots themselves.
    Last,
    /// `keep-hourly` counts hours.
    Hourly,
    /// `keep-daily` counts days.
    Daily,
    /// `keep-weekly` counts ISO weeks, from Monday to Sunday.
    Weekly,
    /// `keep-monthly` counts months.
    Monthly,
    /// `keep-yearly` counts years.
    Yearly,
}

impl Period {
    /// All periods in the order in which the rules are applied.
    pub const ALL: [Self; 6] = [
        Self::Last,
        Self::Hourly,
        Self::Daily,
        Self::Weekly,
        Self::Monthly,
        Self::Yearly,
    ];

    /// The rule as PVE writes it, such as `keep-daily`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Last => "keep-last",
            Self::Hourly => "keep-hourly",
            Self::Daily => "keep-daily",
            Self::Weekly => "keep-weekly",
            Self::Monthly => "keep-monthly",
            Self::Yearly => "keep-yearly",
        }
    }

    /// What the rule counts, such as `day`.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Last => "second",
            Self::Hourly => "hour",
            Self::Daily => "day",
            Self::Weekly => "week",
            Self::Monthly => "month",
            Self::Yearly => "year",
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.key())
    }
}

/// The numbers of the keep rules as they were given; `None` if a rule was not given.
///
/// 0 switches a rule off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeepCounts {
    /// How many of the newest snapshots stay.
    pub last: Option<u32>,
    /// How many hours keep their newest snapshot.
    pub hourly: Option<u32>,
    /// How many days keep their newest snapshot.
    pub daily: Option<u32>,
    /// How many ISO weeks keep their newest snapshot.
    pub weekly: Option<u32>,
    /// How many months keep their newest snapshot.
    pub monthly: Option<u32>,
    /// How many years keep their newest snapshot.
    pub yearly: Option<u32>,
}

impl KeepCounts {
    /// The number of a rule, if it was given.
    pub const fn get(self, period: Period) -> Option<u32> {
        match period {
            Period::Last => self.last,
            Period::Hourly => self.hourly,
            Period::Daily => self.daily,
            Period::Weekly => self.weekly,
            Period::Monthly => self.monthly,
            Period::Yearly => self.yearly,
        }
    }

    /// The number of a rule, to change it.
    pub const fn get_mut(&mut self, period: Period) -> &mut Option<u32> {
        match period {
            Period::Last => &mut self.last,
            Period::Hourly => &mut self.hourly,
            Period::Daily => &mut self.daily,
            Period::Weekly => &mut self.weekly,
            Period::Monthly => &mut self.monthly,
            Period::Yearly => &mut self.yearly,
        }
    }

    /// Whether a rule keeps anything.
    pub fn keep_anything(self) -> bool {
        Period::ALL
            .into_iter()
            .any(|period| self.get(period).is_some_and(|count| count > 0))
    }
}
