// SPDX-License-Identifier: GPL-3.0-only
//! The runs of a calendar event.
//!
//! The instants between two clock changes have one offset, so there the runs are those of the civil times that match.
//! A clock change adds the matching times that it skips, moved by the length of the gap, and takes those that it
//! repeats, unless the event is one of every hour.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

use super::CalendarEvent;
use super::values::Unit;

/// A civil time and its instant differ by less than this in all zones.
const LARGEST_OFFSET: SignedDuration = SignedDuration::from_hours(48);

/// The runs of an event after a time, in order.
#[derive(Clone, Debug)]
pub struct Runs<'a> {
    event: &'a CalendarEvent,
    last: Option<Zoned>,
}

impl Iterator for Runs<'_> {
    type Item = Zoned;

    fn next(&mut self) -> Option<Zoned> {
        self.last = self.event.next_after(self.last.as_ref()?);
        self.last.clone()
    }
}

impl CalendarEvent {
    /// The runs after a time, in order.
    pub fn runs_after(&self, last: &Zoned) -> Runs<'_> {
        Runs {
            event: self,
            last: Some(last.clone()),
        }
    }

    /// The first run strictly after a time, in the zone of that time; `None` if there is none until the year 9999.
    pub fn next_after(&self, last: &Zoned) -> Option<Zoned> {
        let zone = if self.utc {
            &TimeZone::UTC
        } else {
            last.time_zone()
        };
        let last_second = last.timestamp().as_second();
        // Seconds before 1970 are rounded up.
        let is_rounded_up = last.timestamp().subsec_nanosecond() < 0;
        let from = last_second.checked_add(i64::from(!is_rounded_up))?;
        let run = self.first_run(Timestamp::from_second(from).ok()?, zone)?;
        Some(run.to_zoned(last.time_zone().clone()))
    }

    /// The first run that is not before a time.
    fn first_run(&self, mut from: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let repeats = self.hours.is_all(Unit::Hour);
        loop {
            let offset = zone.to_offset(from);
            let change = Change::before(from, zone);
            let skipped = change
                .as_ref()
                .and_then(|change| self.first_skipped(from, change));
            let civil = offset.to_datetime(from);
            let first_time = match change {
                Some(change) if !repeats => civil.max(change.old.to_datetime(change.at)),
                Some(_) | None => civil,
            };
            let time = self.first_match(first_time);
            let end = zone.following(from).next().map(|next| next.timestamp());
            let direct = time
                .filter(|time| end.is_none_or(|end| *time < offset.to_datetime(end)))
                .and_then(|time| offset.to_timestamp(time).ok());
            let run = [skipped, direct].into_iter().flatten().min();
            if run.is_some() {
                return run;
            }
            // Times long before the match need not be searched, unless the next clock change repeats hours from now on.
            let end = end?;
            from = if end.duration_since(from) < LARGEST_OFFSET {
                end
            } else {
                let earliest = Offset::UTC.to_timestamp(time?).ok()?;
                end.max(earliest.checked_sub(LARGEST_OFFSET).ok()?)
            };
        }
    }

    /// The first run at or after a time for a civil time that a clock change before it has skipped.
    fn first_skipped(&self, from: Timestamp, change: &Change) -> Option<Timestamp> {
        let (first, end) = (
            change.old.to_datetime(from),
            change.new.to_datetime(change.at),
        );
        if first >= end {
            return None;
        }
        let time = self.first_match(first).filter(|time| *time < end)?;
        change.old.to_timestamp(time).ok()
    }

    /// The first civil time that matches and is not before a time.
    pub(super) fn first_match(&self, from: DateTime) -> Option<DateTime> {
        let date = self.first_date(from.date())?;
        let today = (date == from.date()).then(|| self.first_time(from.time()));
        if let Some(time) = today.flatten() {
            return Some(date.to_datetime(time));
        }
        let date = if date == from.date() {
            self.first_date(date.tomorrow().ok()?)?
        } else {
            date
        };
        self.first_time(Time::midnight())
            .map(|time| date.to_datetime(time))
    }

    fn first_date(&self, from: Date) -> Option<Date> {
        let mut year = u32::from(from.year().unsigned_abs());
        loop {
            year = self.years.next(year)?;
            let first = Date::new(i16::try_from(year).ok()?, 1, 1).ok()?;
            if let Some(date) = self.first_date_of_year(first.max(from)) {
                return Some(date);
            }
            year += 1;
        }
    }

    /// The first date of the same year that matches and is not before a date.
    fn first_date_of_year(&self, from: Date) -> Option<Date> {
        let mut month = number(from.month());
        loop {
            month = self.months.next(month)?;
            let first = Date::new(from.year(), i8::try_from(month).ok()?, 1).ok()?;
            if let Some(date) = self.first_date_of_month(first.max(from)) {
                return Some(date);
            }
            month += 1;
        }
    }

    /// The first date of the same month that matches and is not before a date.
    fn first_date_of_month(&self, from: Date) -> Option<Date> {
        let mut day = number(from.day());
        loop {
            day = self.days.next(day)?;
            let date = Date::new(from.year(), from.month(), i8::try_from(day).ok()?).ok()?;
            if self.weekdays.contains(date.weekday()) {
                return Some(date);
            }
            day += 1;
        }
    }

    /// The first time of the same day that matches and is not before a time.
    fn first_time(&self, from: Time) -> Option<Time> {
        let hour = self.hours.next(number(from.hour()))?;
        if hour == number(from.hour()) {
            let rest_of_hour = self.first_time_of_hour(from);
            if rest_of_hour.is_some() {
                return rest_of_hour;
            }
        }
        let hour = self.hours.next(hour.max(number(from.hour()) + 1))?;
        time(hour, self.minutes.next(0)?, self.seconds.next(0)?)
    }

    /// The first time of the same hour that matches and is not before a time.
    fn first_time_of_hour(&self, from: Time) -> Option<Time> {
        let (hour, minute) = (number(from.hour()), number(from.minute()));
        let second = self.seconds.next(number(from.second()));
        match second.filter(|_| self.minutes.next(minute) == Some(minute)) {
            Some(second) => time(hour, minute, second),
            None => time(hour, self.minutes.next(minute + 1)?, self.seconds.next(0)?),
        }
    }
}

/// The last clock change before or at a time.
struct Change {
    at: Timestamp,
    /// The offset before it.
    old: Offset,
    /// The offset after it.
    new: Offset,
}

impl Change {
    fn before(time: Timestamp, zone: &TimeZone) -> Option<Self> {
        let after = time.checked_add(1.second()).ok()?;
        let change = zone.preceding(after).next()?;
        let at = change.timestamp();
        Some(Self {
            at,
            old: zone.to_offset(at.checked_sub(1.second()).ok()?),
            new: change.offset(),
        })
    }
}

/// A part of a date or time, none of which is negative.
fn number(part: i8) -> u32 {
    u32::from(part.unsigned_abs())
}

fn time(hour: u32, minute: u32, second: u32) -> Option<Time> {
    let part = |value| i8::try_from(value).ok();
    Time::new(part(hour)?, part(minute)?, part(second)?, 0).ok()
}
