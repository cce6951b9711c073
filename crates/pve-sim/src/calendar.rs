// SPDX-License-Identifier: GPL-3.0-only
//! Calendar events, which define when PVE's jobs run (`proxmox-time` through
//! `PVE/CalendarEvent.pm`).
//!
//! Written independently of the client, from recorded responses of `schedule-analyze`, so that
//! tests can find errors in the client's parser. Limit: all nodes use UTC, so there are no missing
//! or repeated hours.

mod parser;

use crate::clock::Civil;

pub use parser::{ParseError, parse};

/// PVE gives up after this number of corrections.
const ROUNDS: u32 = 1_000;
const DAY: i64 = 86_400;

/// The values that a calendar field matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Values {
    first: i64,
    /// `N/STEP` has no upper limit: the next value may exceed the unit, see [`Event::corrected`].
    last: i64,
    /// Distance between two values; 0: only the first value.
    step: i64,
}

impl Values {
    fn contain(self, value: i64) -> bool {
        if self.step == 0 {
            return value == self.first;
        }
        (self.first..=self.last).contains(&value) && (value - self.first) % self.step == 0
    }

    /// The lowest matching value above `value`.
    fn next(self, value: i64) -> Option<i64> {
        if value < self.first {
            return Some(self.first);
        }
        let steps = (value - self.first).checked_div(self.step)?;
        let next = self.first + (steps + 1) * self.step;
        (next <= self.last).then_some(next)
    }
}

/// The values of a field; `None`: all.
type Field = Vec<Values>;

/// A calendar event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Index 0 is Monday.
    weekdays: [bool; 7],
    year: Field,
    month: Field,
    day: Field,
    hour: Field,
    minute: Field,
    second: Field,
}

impl Event {
    /// The first matching time after `after`, both in seconds since the epoch.
    pub fn next_after(&self, epoch: i64) -> Option<i64> {
        let mut moment = epoch.checked_add(1)?;
        for _ in 0..ROUNDS {
            match self.corrected(moment)? {
                Corrected::Due => return Some(moment),
                Corrected::NotBefore(later) => moment = later,
            }
        }
        None
    }

    /// Advances a time at its first field that does not match, as PVE does. With `N/STEP` the next
    /// value may exceed the unit and then continues in the next one: after the 29th, `1/7` selects
    /// the 36th, so that 1 December is skipped.
    fn corrected(&self, moment: i64) -> Option<Corrected> {
        let at = Civil::from_epoch(moment);
        let today = moment - moment.rem_euclid(DAY);
        let minute = today + at.hour * 3_600 + at.minute * 60;
        let later = if !has(&self.year, at.year) {
            begin_of_month(next(&self.year, at.year)?, 1)
        } else if !has(&self.month, at.month) {
            match next(&self.month, at.month) {
                Some(month) => begin_of_month(at.year, month),
                None => begin_of_month(at.year + 1, 1),
            }
        } else if !has(&self.day, at.day) {
            match next(&self.day, at.day) {
                Some(day) => today + (day - at.day) * DAY,
                None => begin_of_month(at.year, at.month + 1),
            }
        } else if let Some(days) = self.days_to_weekday(today / DAY) {
            today + days * DAY
        } else if !has(&self.hour, at.hour) {
            today + next(&self.hour, at.hour).unwrap_or(24) * 3_600
        } else if !has(&self.minute, at.minute) {
            today + at.hour * 3_600 + next(&self.minute, at.minute).unwrap_or(60) * 60
        } else if !has(&self.second, at.second) {
            minute + next(&self.second, at.second).unwrap_or(60)
        } else {
            return Some(Corrected::Due);
        };
        Some(Corrected::NotBefore(later))
    }

    /// Days until the next matching weekday; `None`: today matches.
    fn days_to_weekday(&self, day: i64) -> Option<i64> {
        // 1 January 1970 was a Thursday.
        let today = usize::try_from((day + 3).rem_euclid(7)).unwrap_or_default();
        let matches = |days: &usize| self.weekdays[(today + days) % 7];
        let days = (0..7).find(matches).unwrap_or_default();
        i64::try_from(days).ok().filter(|days| *days > 0)
    }
}

/// The result of checking one time.
enum Corrected {
    /// The time matches.
    Due,
    /// The event is not due before this time.
    NotBefore(i64),
}

fn has(field: &Field, value: i64) -> bool {
    field.is_empty() || field.iter().any(|values| values.contain(value))
}

fn next(field: &Field, value: i64) -> Option<i64> {
    field.iter().filter_map(|values| values.next(value)).min()
}

/// The first second of a month; months above 12 continue in the following years.
fn begin_of_month(year: i64, month: i64) -> i64 {
    let (year, month) = (
        year + (month - 1).div_euclid(12),
        (month - 1).rem_euclid(12),
    );
    // Counts in years that start on 1 March.
    let (shifted, from_march) = if month < 2 {
        (year - 1, month + 10)
    } else {
        (year, month - 2)
    };
    let days = 365 * shifted + shifted.div_euclid(4) - shifted.div_euclid(100)
        + shifted.div_euclid(400)
        + (153 * from_march + 2) / 5;
    (days - 719_468) * DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_start_at_the_right_second() {
        for (year, month, expected) in [
            (1970, 1, "1970-01-01"),
            (2026, 13, "2027-01-01"),
            (2028, 3, "2028-03-01"),
            (2100, 3, "2100-03-01"),
            (1999, 26, "2001-02-01"),
            (26, 12, "0026-12-01"),
        ] {
            let begin = crate::clock::utc(begin_of_month(year, month));
            assert_eq!(begin, format!("{expected}T00:00:00Z"));
        }
    }
}
