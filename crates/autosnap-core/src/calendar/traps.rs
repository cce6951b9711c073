// SPDX-License-Identifier: GPL-3.0-only
//! Valid events that are probably not what was meant.

use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};

use super::CalendarEvent;
use super::parser::TimeForm;
use super::values::Unit;

/// How far ahead clock changes are compared with the event.
const YEARS_OF_CLOCK_CHANGES: i16 = 5;

/// A property of a valid event that is probably not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trap {
    /// A single number: that minute of every hour, and no hour.
    MinuteOfEveryHour {
        /// The minute.
        minute: u32,
        /// The same as an hour, if it is one.
        correction: Option<String>,
    },
    /// Two numbers of which the first is no hour, so that they are minutes and seconds of every hour.
    MinutesAndSeconds {
        /// Midnight instead of `24:00`.
        correction: Option<String>,
    },
    /// No date matches, such as 30 February.
    Impossible,
    /// All dates that match are past.
    Past {
        /// The last one.
        last: Date,
    },
    /// Some of the months do not have the day.
    MissingDay {
        /// The first of the days in the event.
        day: u32,
    },
    /// A clock change skips a time of the event.
    SkippedTime {
        /// The time that does not exist.
        time: DateTime,
        /// When the event runs instead.
        run: Box<Zoned>,
    },
}

impl Trap {
    /// What was probably meant, ready to be typed.
    pub fn correction(&self) -> Option<&str> {
        match self {
            Self::MinuteOfEveryHour { correction, .. } | Self::MinutesAndSeconds { correction } => {
                correction.as_deref()
            }
            Self::Impossible
            | Self::Past { .. }
            | Self::MissingDay { .. }
            | Self::SkippedTime { .. } => None,
        }
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MinuteOfEveryHour { minute, .. } => {
                write!(formatter, "it runs every hour, at minute {minute}")?;
            }
            Self::MinutesAndSeconds { .. } => {
                formatter.write_str("it runs every hour: the first number is no hour, so these are minutes and seconds")?;
            }
            Self::Impossible => formatter.write_str("it never runs: no date matches")?,
            Self::Past { last } => {
                write!(
                    formatter,
                    "it never runs again: the last date that matches is {last}"
                )?;
            }
            Self::MissingDay { day: 29 } => {
                formatter.write_str("it leaves out February, except in leap years")?;
            }
            Self::MissingDay { day } => {
                write!(formatter, "it leaves out the months without day {day}")?;
            }
            Self::SkippedTime { time, run } => {
                write!(
                    formatter,
                    "{} does not exist because of summer time: it runs at {}, where Proxmox VE leaves the run out",
                    time.strftime("%Y-%m-%d %H:%M"),
                    run.strftime("%H:%M")
                )?;
            }
        }
        match self.correction() {
            Some(correction) => write!(formatter, "; if that is not meant, write `{correction}`"),
            None => Ok(()),
        }
    }
}

impl CalendarEvent {
    /// What is probably not meant; `now` has the zone of the job.
    pub fn traps(&self, now: &Zoned) -> Vec<Trap> {
        let never = || self.never(now);
        let traps = [
            self.minutes_instead_of_hours(),
            never(),
            self.missing_day().filter(|_| never().is_none()),
            self.skipped_time(now),
        ];
        traps.into_iter().flatten().collect()
    }

    fn minutes_instead_of_hours(&self) -> Option<Trap> {
        let zone = if self.utc { " UTC" } else { "" };
        let without_zone = self
            .text
            .strip_suffix("UTC")
            .map_or(self.text.as_str(), str::trim_end);
        match self.form {
            TimeForm::Minutes => {
                let minute = self.minutes.only().filter(|minute| *minute > 0)?;
                let start = without_zone.trim_end_matches(|c: char| c.is_ascii_digit());
                if start.ends_with(['/', ',', '.']) {
                    return None;
                }
                let correction = minute <= Unit::Hour.last();
                let correction = correction.then(|| format!("{start}{minute}:00{zone}"));
                Some(Trap::MinuteOfEveryHour { minute, correction })
            }
            TimeForm::MinutesAndSeconds => {
                let is_midnight = without_zone
                    .strip_prefix("24:")
                    .is_some_and(|rest| rest.parse() == Ok(0));
                let correction = is_midnight.then(|| format!("0:00{zone}"));
                Some(Trap::MinutesAndSeconds { correction })
            }
            TimeForm::None | TimeForm::Hours => None,
        }
    }

    fn never(&self, now: &Zoned) -> Option<Trap> {
        if self.next_after(now).is_some() {
            return None;
        }
        let midnight = |date: Date| date.to_datetime(Time::midnight());
        let mut last = None;
        let mut from = Date::new(1, 1, 1).ok();
        // The last year first: a date of each year is enough for that.
        while let Some(time) = from.and_then(|from| self.first_match(midnight(from))) {
            last = Some(time.date());
            from = Date::new(time.year() + 1, 1, 1).ok();
        }
        let mut from = last;
        while let Some(time) = from.and_then(|from| self.first_match(midnight(from))) {
            last = Some(time.date());
            from = time.date().tomorrow().ok();
        }
        Some(last.map_or(Trap::Impossible, |last| Trap::Past { last }))
    }

    fn missing_day(&self) -> Option<Trap> {
        /// The days of the months in a year that is no leap year.
        const LENGTHS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let day = self.days.next(1)?;
        let mut months = (1..).zip(LENGTHS);
        months
            .any(|(month, length)| length < day && self.months.next(month) == Some(month))
            .then_some(Trap::MissingDay { day })
    }

    /// The first time of the event that a clock change of the next years skips. An event of every hour runs after the
    /// gap in any case.
    fn skipped_time(&self, now: &Zoned) -> Option<Trap> {
        if self.utc || self.hours.is_all(Unit::Hour) {
            return None;
        }
        let zone: &TimeZone = now.time_zone();
        let end = now
            .checked_add(i64::from(YEARS_OF_CLOCK_CHANGES).years())
            .ok()?
            .timestamp();
        let mut changes = zone
            .following(now.timestamp())
            .take_while(|change| change.timestamp() <= end);
        changes.find_map(|change| {
            let at = change.timestamp();
            let old = zone.to_offset(at.checked_sub(1.second()).ok()?);
            let (first, end) = (old.to_datetime(at), change.offset().to_datetime(at));
            let time = self.first_match(first).filter(|time| *time < end)?;
            let run = old.to_timestamp(time).ok()?.to_zoned(zone.clone());
            Some(Trap::SkippedTime {
                time,
                run: Box::new(run),
            })
        })
    }
}
