// SPDX-License-Identifier: GPL-3.0-only
//! Calendar events: when jobs of PVE are due (`proxmox-time`, by way of `PVE/CalendarEvent.pm`).
//!
//! Written for the simulator alone, after recorded answers of `schedule-analyze`, so that it can
//! prove the client's reading of them wrong. Limit: the simulated nodes live in UTC, so that no hour
//! is missing or doubled.

mod parse;

use crate::clock::Civil;

pub use parse::{ParseError, parse};

/// After so many corrections of a moment PVE gives up.
const ROUNDS: u32 = 1_000;
const DAY: i64 = 86_400;

/// Values that a field of the calendar may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Values {
    first: i64,
    /// `N/STEP` has none: the next value may lie beyond the end of the unit, see [`Event::corrected`].
    last: i64,
    /// Distance from one value to the next; 0: only the first one.
    step: i64,
}

impl Values {
    fn contain(self, value: i64) -> bool {
        if self.step == 0 {
            return value == self.first;
        }
        (self.first..=self.last).contains(&value) && (value - self.first) % self.step == 0
    }

    /// The lowest value above another one.
    fn next(self, value: i64) -> Option<i64> {
        if value < self.first {
            return Some(self.first);
        }
        let steps = (value - self.first).checked_div(self.step)?;
        let next = self.first + (steps + 1) * self.step;
        (next <= self.last).then_some(next)
    }
}

/// The values of a field; none: all.
type Field = Vec<Values>;

/// A calendar event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Monday first.
    weekdays: [bool; 7],
    year: Field,
    month: Field,
    day: Field,
    hour: Field,
    minute: Field,
    second: Field,
}

impl Event {
    /// The first moment after another one, both in seconds since the epoch.
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

    /// Moves a moment on by its first field that does not match, as PVE does. With `N/STEP` the
    /// next value may lie beyond the end of the unit and then counts on into the next one: after
    /// the 29th, `1/7` asks for the 36th, so that in November the 1st of December is left out.
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

    /// How many days it is to the next weekday that is wanted; none: it is today.
    fn days_to_weekday(&self, day: i64) -> Option<i64> {
        // The epoch began on a Thursday.
        let today = usize::try_from((day + 3).rem_euclid(7)).unwrap_or_default();
        let wanted = |days: &usize| self.weekdays[(today + days) % 7];
        let days = (0..7).find(wanted).unwrap_or_default();
        i64::try_from(days).ok().filter(|days| *days > 0)
    }
}

/// What came of looking at a moment.
enum Corrected {
    /// It matches.
    Due,
    /// The event is not due before that moment.
    NotBefore(i64),
}

fn has(field: &Field, value: i64) -> bool {
    field.is_empty() || field.iter().any(|values| values.contain(value))
}

fn next(field: &Field, value: i64) -> Option<i64> {
    field.iter().filter_map(|values| values.next(value)).min()
}

/// The first second of a month; months beyond 12 belong to later years.
fn begin_of_month(year: i64, month: i64) -> i64 {
    let (year, month) = (
        year + (month - 1).div_euclid(12),
        (month - 1).rem_euclid(12),
    );
    // Counted in years that begin on 1 March.
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
    fn months_begin_where_the_calendar_says() {
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
