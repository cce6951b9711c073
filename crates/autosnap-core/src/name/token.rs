// SPDX-License-Identifier: GPL-3.0-only
//! The tokens of a timestamp format, and how each is written.
//!
//! Meaning and spelling follow .NET's custom date and time formats in the invariant culture: the names
//! are English in every locale.

use std::fmt::Write as _;

use jiff::civil::{DateTime, Weekday};

/// A token of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A literal character.
    Literal(char),
    /// The year without its century.
    YearOfCentury(Digits),
    /// The whole year, with at least this many digits.
    Year { digits: usize },
    /// The number of the month.
    Month(Digits),
    /// The name of the month.
    MonthName(Form),
    /// The day of the month.
    Day(Digits),
    /// The name of the weekday.
    WeekdayName(Form),
    /// The hour, 1 to 12.
    Hour12(Digits),
    /// The hour, 0 to 23.
    Hour24(Digits),
    /// The minute.
    Minute(Digits),
    /// The second.
    Second(Digits),
    /// The leading digits of the fraction of the second, at most seven.
    Fraction { digits: usize },
    /// `AM` or `PM`, or its first letter.
    HalfOfDay(Form),
}

/// How many digits a number has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digits {
    /// One or two digits, without a leading zero.
    AsNeeded,
    /// Always two.
    Two,
}

/// Whether a word is abbreviated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `Sep`, `Wed`, `A`.
    Short,
    /// `September`, `Wednesday`, `AM`.
    Full,
}

/// The months, January first.
pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The weekdays, Monday first.
pub(super) const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

impl Form {
    /// The name of a month or weekday in this form.
    pub(super) fn apply(self, name: &'static str) -> &'static str {
        match self {
            Self::Short => &name[..3],
            Self::Full => name,
        }
    }
}

impl Digits {
    /// The smallest number of digits.
    pub(super) fn least(self) -> usize {
        match self {
            Self::AsNeeded => 1,
            Self::Two => 2,
        }
    }
}

impl Token {
    /// Appends the text of the token at the given local time.
    pub(super) fn write(self, now: &DateTime, text: &mut String) {
        match self {
            Self::Literal(character) => text.push(character),
            Self::YearOfCentury(digits) => {
                push(text, now.year().rem_euclid(100), digits.least());
            }
            Self::Year { digits } => push(text, now.year(), digits),
            Self::Month(digits) => push(text, now.month(), digits.least()),
            Self::MonthName(form) => text.push_str(form.apply(month_name(now.month()))),
            Self::Day(digits) => push(text, now.day(), digits.least()),
            Self::WeekdayName(form) => text.push_str(form.apply(weekday_name(now.weekday()))),
            Self::Hour12(digits) => push(text, (now.hour() + 11) % 12 + 1, digits.least()),
            Self::Hour24(digits) => push(text, now.hour(), digits.least()),
            Self::Minute(digits) => push(text, now.minute(), digits.least()),
            Self::Second(digits) => push(text, now.second(), digits.least()),
            Self::Fraction { digits } => {
                let nanoseconds = format!("{:09}", now.subsec_nanosecond());
                text.push_str(&nanoseconds[..digits]);
            }
            Self::HalfOfDay(form) => {
                text.push(if now.hour() < 12 { 'A' } else { 'P' });
                if form == Form::Full {
                    text.push('M');
                }
            }
        }
    }

    /// The length of the shortest text of the token.
    pub(super) fn least_width(self) -> usize {
        match self {
            Self::Literal(_) | Self::HalfOfDay(Form::Short) => 1,
            Self::HalfOfDay(Form::Full) => 2,
            Self::MonthName(form) => form.apply("May").len(),
            Self::WeekdayName(form) => form.apply("Monday").len(),
            Self::Year { digits } | Self::Fraction { digits } => digits,
            Self::YearOfCentury(digits)
            | Self::Month(digits)
            | Self::Day(digits)
            | Self::Hour12(digits)
            | Self::Hour24(digits)
            | Self::Minute(digits)
            | Self::Second(digits) => digits.least(),
        }
    }

    /// The longest text of the token.
    pub(super) fn longest(self) -> String {
        match self {
            Self::Literal(character) => character.to_string(),
            Self::MonthName(form) => form.apply("September").to_owned(),
            Self::WeekdayName(form) => form.apply("Wednesday").to_owned(),
            Self::HalfOfDay(Form::Short) => "P".to_owned(),
            Self::HalfOfDay(Form::Full) => "PM".to_owned(),
            Self::Year { digits } => format!("{:0digits$}", 2030),
            Self::Fraction { digits } => "9".repeat(digits),
            Self::Month(_) | Self::Hour12(_) => "12".to_owned(),
            Self::YearOfCentury(_) | Self::Day(_) => "30".to_owned(),
            Self::Hour24(_) => "23".to_owned(),
            Self::Minute(_) | Self::Second(_) => "59".to_owned(),
        }
    }
}

/// Appends a number with at least this many digits.
fn push(text: &mut String, number: impl Into<i32>, digits: usize) {
    write!(text, "{:0digits$}", number.into()).expect("writing to a String cannot fail");
}

fn month_name(month: i8) -> &'static str {
    let index = usize::try_from(month - 1).expect("months are counted from 1");
    MONTHS[index]
}

fn weekday_name(weekday: Weekday) -> &'static str {
    let index = usize::try_from(weekday.to_monday_zero_offset()).expect("offsets start at 0");
    WEEKDAYS[index]
}
