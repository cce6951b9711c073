// SPDX-License-Identifier: GPL-3.0-only
//! PVE's algorithm for prune rules (`prune_mark_backup_group` in `PVE/Storage.pm`).
//!
//! Each rule runs from the newest snapshot to the oldest. It skips the periods of snapshots that earlier rules keep,
//! takes the newest snapshot of each further period until it has its number, and removes the other snapshots of the
//! periods that it has taken. Snapshots of one second are one place here: all of them stay or none.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use super::period::Period;
use super::rules::Rules;

/// What the rules have decided about the snapshots of one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// No rule has reached it.
    NotReached,
    /// An earlier rule keeps the snapshot at index `by` for this period. A later rule may still take this one.
    Covered { period: Period, by: usize },
    /// This rule has taken the snapshot at index `by` for the same period: this one goes.
    Removed { period: Period, by: usize },
    /// This rule has taken it, as number `ordinal`.
    Kept { period: Period, ordinal: u32 },
}

impl Mark {
    fn is_open(self) -> bool {
        match self {
            Self::NotReached | Self::Covered { .. } => true,
            Self::Removed { .. } | Self::Kept { .. } => false,
        }
    }
}

/// The mark of each of these different times, newest first; `zone` has the hours and days that count.
pub(super) fn marks(times: &[Timestamp], zone: &TimeZone, rules: Rules) -> Vec<Mark> {
    let times: Vec<LocalTime> = times
        .iter()
        .map(|time| LocalTime {
            time: *time,
            offset: zone.to_offset(*time),
        })
        .collect();
    let mut marks = vec![Mark::NotReached; times.len()];
    for period in Period::ALL {
        let count = usize::try_from(rules.count(period)).unwrap_or(usize::MAX);
        if count > 0 {
            apply(period, count, &times, &mut marks);
        }
    }
    marks
}

/// Applies one rule to the snapshots that no earlier rule has kept or removed.
fn apply(period: Period, count: usize, times: &[LocalTime], marks: &mut [Mark]) {
    let mut covered = Periods::default();
    for (index, time) in times.iter().enumerate() {
        if matches!(marks[index], Mark::Kept { .. }) {
            covered.insert(time.period(period, index), index);
        }
    }
    let mut taken = Periods::default();
    for (index, time) in times.iter().enumerate() {
        if !marks[index].is_open() {
            continue;
        }
        let id = time.period(period, index);
        if let Some(by) = covered.get(id) {
            if marks[index] == Mark::NotReached {
                marks[index] = Mark::Covered { period, by };
            }
        } else if let Some(by) = taken.get(id) {
            marks[index] = Mark::Removed { period, by };
        } else if taken.len() == count {
            return;
        } else {
            taken.insert(id, index);
            let ordinal = u32::try_from(taken.len()).unwrap_or(u32::MAX);
            marks[index] = Mark::Kept { period, ordinal };
        }
    }
}

/// An instant with the offset of its local time.
struct LocalTime {
    time: Timestamp,
    offset: Offset,
}

impl LocalTime {
    /// The number of the period in which this time is, by local time. Older periods have smaller numbers.
    ///
    /// `index` is its place in the list, as `keep-last` counts each place.
    fn period(&self, period: Period, index: usize) -> i64 {
        let seconds = self.time.as_second() + i64::from(self.offset.seconds());
        let day = seconds.div_euclid(86_400);
        let date = || self.offset.to_datetime(self.time).date();
        match period {
            Period::Last => i64::MAX - i64::try_from(index).unwrap_or(i64::MAX),
            Period::Hourly => seconds.div_euclid(3600),
            Period::Daily => day,
            // 1970-01-01 was a Thursday.
            Period::Weekly => (day + 3).div_euclid(7),
            // The day before the month.
            Period::Monthly => day - i64::from(date().day()),
            Period::Yearly => i64::from(date().year()),
        }
    }
}

/// Periods, each with the index of the snapshot that stays for it.
///
/// They arrive newest first, except where clocks jump back, so that most are added at the end.
#[derive(Default)]
struct Periods {
    /// By period, latest first.
    by_period: Vec<(i64, usize)>,
}

impl Periods {
    fn len(&self) -> usize {
        self.by_period.len()
    }

    fn get(&self, period: i64) -> Option<usize> {
        let at = self.position(period).ok()?;
        Some(self.by_period[at].1)
    }

    /// Adds a period unless it is there already.
    fn insert(&mut self, period: i64, index: usize) {
        if let Err(at) = self.position(period) {
            self.by_period.insert(at, (period, index));
        }
    }

    fn position(&self, period: i64) -> Result<usize, usize> {
        self.by_period
            .binary_search_by(|(other, _)| period.cmp(other))
    }
}
