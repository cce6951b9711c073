// SPDX-License-Identifier: GPL-3.0-only
//! The fields of a calendar event and the sets of values that match.

use std::fmt;

use jiff::civil::Weekday;

/// A field of a calendar event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 0 to 2199.
    Year,
    /// 0 to 12; month 0 never comes.
    Month,
    /// 0 to 31; day 0 never comes.
    Day,
    /// 0 to 23.
    Hour,
    /// 0 to 59.
    Minute,
    /// 0 to 59.
    Second,
}

impl Unit {
    /// The greatest number that PVE accepts, for values and for steps.
    pub(super) const fn last(self) -> u32 {
        match self {
            Self::Year => 2199,
            Self::Month => 12,
            Self::Day => 31,
            Self::Hour => 23,
            Self::Minute | Self::Second => 59,
        }
    }

    /// The first value of the unit, from which `*/STEP` counts.
    pub(super) const fn first(self) -> u32 {
        match self {
            Self::Month | Self::Day => 1,
            Self::Year | Self::Hour | Self::Minute | Self::Second => 0,
        }
    }

    /// Whether it is a part of the date.
    pub(super) const fn is_date(self) -> bool {
        match self {
            Self::Year | Self::Month | Self::Day => true,
            Self::Hour | Self::Minute | Self::Second => false,
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
        })
    }
}

/// One item of a list: `FIRST`, `FIRST..LAST`, `FIRST/STEP` or `FIRST..LAST/STEP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) first: u32,
    /// Without a last value it goes to the end of the unit.
    pub(super) last: Option<u32>,
    /// At least 1.
    pub(super) step: u32,
}

impl Item {
    pub(super) const fn single(value: u32) -> Self {
        Self {
            first: value,
            last: Some(value),
            step: 1,
        }
    }

    /// The first value of the item that is not less than `from`.
    fn next(self, from: u32) -> Option<u32> {
        let steps = from.saturating_sub(self.first).div_ceil(self.step);
        let value = self.first.checked_add(steps.checked_mul(self.step)?)?;
        self.last.is_none_or(|last| value <= last).then_some(value)
    }
}

/// What was written for a field: `*`, or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum List {
    Any,
    Items(Vec<Item>),
}

impl List {
    pub(super) fn single(value: u32) -> Self {
        Self::Items(vec![Item::single(value)])
    }
}

/// The values of a unit other than the year that match, one bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Values(u64);

impl Values {
    pub(super) fn new(unit: Unit, list: &List) -> Self {
        let all = [Item {
            first: unit.first(),
            last: None,
            step: 1,
        }];
        let items = match list {
            List::Any => all.as_slice(),
            List::Items(items) => items.as_slice(),
        };
        let mut bits = 0;
        for item in items {
            let mut from = item.first;
            while let Some(value) = item.next(from).filter(|value| *value <= unit.last()) {
                bits |= 1 << value;
                from = value + 1;
            }
        }
        Self(bits)
    }

    /// Whether every value of the unit matches.
    pub(super) fn is_all(self, unit: Unit) -> bool {
        (unit.first()..=unit.last()).all(|value| self.next(value) == Some(value))
    }

    /// The value, if there is one only.
    pub(super) fn only(self) -> Option<u32> {
        self.0.is_power_of_two().then(|| self.0.trailing_zeros())
    }

    /// The first value that is not less than `from`.
    pub(super) fn next(self, from: u32) -> Option<u32> {
        let rest = self.0.checked_shr(from)?;
        (rest != 0).then(|| from + rest.trailing_zeros())
    }
}

/// The years that match. Without a last value they never end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Years(List);

impl Years {
    pub(super) fn new(list: List) -> Self {
        Self(list)
    }

    /// The first year that is not before `from`.
    pub(super) fn next(&self, from: u32) -> Option<u32> {
        match &self.0 {
            List::Any => Some(from),
            List::Items(items) => items.iter().filter_map(|item| item.next(from)).min(),
        }
    }
}

/// The weekdays that match, one bit for each, Monday first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weekdays(u8);

impl Weekdays {
    pub(super) const ALL: Self = Self(0b111_1111);
    pub(super) const NONE: Self = Self(0);

    /// Adds the days from `first` to `last`, over the end of the week if needed.
    pub(super) fn insert(&mut self, first: Weekday, last: Weekday) {
        let days = first.until(last);
        for day in 0..=days {
            self.0 |= Self::bit(first.wrapping_add(day));
        }
    }

    pub(super) fn contains(self, day: Weekday) -> bool {
        self.0 & Self::bit(day) != 0
    }

    fn bit(day: Weekday) -> u8 {
        1 << day.to_monday_zero_offset()
    }
}
