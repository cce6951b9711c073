// SPDX-License-Identifier: GPL-3.0-only
//! The parser of timestamps: the inverse of writing a time in a format.
//!
//! A text is a timestamp only if the format writes it for some date: numbers are in range, the day
//! exists in its month, repeated parts agree, and a weekday fits its date. If widths vary, a text can
//! be read in several ways; the parser returns all of them.

use jiff::civil::{Date, DateTime, Weekday};

use super::token::{Digits, Form, MONTHS, Token, WEEKDAYS};

/// The parts of a timestamp. Each can be missing, because a format need not have every part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimestampParts {
    year: Option<i16>,
    year_of_century: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
    weekday: Option<Weekday>,
    hour24: Option<i8>,
    hour12: Option<i8>,
    afternoon: Option<bool>,
    minute: Option<i8>,
    second: Option<i8>,
}

impl TimestampParts {
    /// The year. Two digits mean 1950 to 2049, as in .NET's Gregorian calendar.
    pub fn year(&self) -> Option<i16> {
        let with_century = |year| if year < 50 { 2000 + year } else { 1900 + year };
        self.year.or(self.year_of_century.map(with_century))
    }

    /// The hour from 0 to 23. Without `AM` or `PM`, a twelve-hour clock means the morning.
    pub fn hour(&self) -> Option<i8> {
        let from_twelve = |hour| hour % 12 + if self.afternoon == Some(true) { 12 } else { 0 };
        self.hour24.or(self.hour12.map(from_twelve))
    }

    /// The time of the timestamp to the second, with the missing parts from another time. `None` if that
    /// day does not exist.
    pub fn completed_from(&self, other: DateTime) -> Option<DateTime> {
        DateTime::new(
            self.year().unwrap_or(other.year()),
            self.month.unwrap_or(other.month()),
            self.day.unwrap_or(other.day()),
            self.hour().unwrap_or(other.hour()),
            self.minute.unwrap_or(other.minute()),
            self.second.unwrap_or(other.second()),
            0,
        )
        .ok()
    }

    /// Whether all parts can belong to one time.
    fn agree(&self) -> bool {
        let hour12_of = |hour: i8| (hour + 11) % 12 + 1;
        let agrees_with = |hour: i8| {
            self.hour12.is_none_or(|hour12| hour12 == hour12_of(hour))
                && self
                    .afternoon
                    .is_none_or(|afternoon| afternoon == (hour >= 12))
        };
        let years = match (self.year, self.year_of_century) {
            (Some(year), Some(short)) => year.rem_euclid(100) == short,
            (Some(_) | None, None) | (None, Some(_)) => true,
        };
        years && self.day_exists() && self.hour24.is_none_or(agrees_with)
    }

    fn day_exists(&self) -> bool {
        // Without a year, 29 February is valid; without a month, day 31 is valid.
        let (year, month) = (self.year().unwrap_or(2000), self.month.unwrap_or(1));
        let Ok(date) = Date::new(year, month, self.day.unwrap_or(1)) else {
            return false;
        };
        let complete = self.year().is_some() && self.month.is_some() && self.day.is_some();
        self.weekday
            .is_none_or(|weekday| !complete || weekday == date.weekday())
    }
}

/// Every way to read the text as written by the tokens.
pub(super) fn read(tokens: &[Token], text: &str) -> Vec<TimestampParts> {
    let mut found = Vec::new();
    if text.is_ascii() {
        walk(tokens, text, TimestampParts::default(), &mut found);
    }
    found
}

/// Reads the tokens one after the other. A repeated part must have the same value, so that only the seven
/// numbers of varying width can branch.
fn walk(tokens: &[Token], text: &str, parts: TimestampParts, found: &mut Vec<TimestampParts>) {
    let Some((&token, tokens)) = tokens.split_first() else {
        if text.is_empty() && parts.agree() {
            found.push(parts);
        }
        return;
    };
    for (length, parts) in token.readings(text, parts).into_iter().flatten() {
        walk(tokens, &text[length..], parts, found);
    }
}

/// The ways to read the beginning of a text as one token: the length and the parts known then.
///
/// There are at most two, in an array without allocation: every token of every snapshot's name is read.
type Readings = [Option<(usize, TimestampParts)>; 2];

impl Token {
    /// The ways to read the beginning of the text.
    fn readings(self, text: &str, parts: TimestampParts) -> Readings {
        match self {
            Self::Literal(character) => [text.starts_with(character).then_some((1, parts)), None],
            Self::Year { digits } => one(number(text, digits), &parts, |parts| &mut parts.year),
            Self::YearOfCentury(digits) => numbers(text, digits, 0..=99, &parts, |parts| {
                &mut parts.year_of_century
            }),
            Self::Month(digits) => numbers(text, digits, 1..=12, &parts, |parts| &mut parts.month),
            Self::Day(digits) => numbers(text, digits, 1..=31, &parts, |parts| &mut parts.day),
            Self::Hour12(digits) => {
                numbers(text, digits, 1..=12, &parts, |parts| &mut parts.hour12)
            }
            Self::Hour24(digits) => {
                numbers(text, digits, 0..=23, &parts, |parts| &mut parts.hour24)
            }
            Self::Minute(digits) => {
                numbers(text, digits, 0..=59, &parts, |parts| &mut parts.minute)
            }
            Self::Second(digits) => {
                numbers(text, digits, 0..=59, &parts, |parts| &mut parts.second)
            }
            Self::Fraction { digits } => {
                [number::<i32>(text, digits).map(|_| (digits, parts)), None]
            }
            Self::MonthName(form) => {
                let month = (1..)
                    .zip(MONTHS)
                    .map(|(month, name)| (month, form.apply(name)));
                one(word(text, month), &parts, |parts| &mut parts.month)
            }
            Self::WeekdayName(form) => {
                let weekday = Weekday::Monday
                    .cycle_forward()
                    .zip(WEEKDAYS)
                    .map(|(weekday, name)| (weekday, form.apply(name)));
                one(word(text, weekday), &parts, |parts| &mut parts.weekday)
            }
            Self::HalfOfDay(form) => {
                let halves = match form {
                    Form::Short => [(false, "A"), (true, "P")],
                    Form::Full => [(false, "AM"), (true, "PM")],
                };
                one(word(text, halves), &parts, |parts| &mut parts.afternoon)
            }
        }
    }
}

/// A value read from the beginning of a text, with its length there.
type Found<T> = Option<(usize, T)>;

/// Adds a value to the parts, unless they already have a different one.
fn added<T: Copy + PartialEq>(
    found: Found<T>,
    parts: &TimestampParts,
    field: impl Fn(&mut TimestampParts) -> &mut Option<T>,
) -> Option<(usize, TimestampParts)> {
    let (length, value) = found?;
    let mut parts = *parts;
    let former = field(&mut parts).replace(value);
    former
        .is_none_or(|former| former == value)
        .then_some((length, parts))
}

/// The reading of a token that can be read in only one way.
fn one<T: Copy + PartialEq>(
    found: Found<T>,
    parts: &TimestampParts,
    field: impl Fn(&mut TimestampParts) -> &mut Option<T>,
) -> Readings {
    [added(found, parts, field), None]
}

/// Adds the numbers of one and two digits at the beginning of the text that are in range.
fn numbers<T: Copy + PartialOrd + std::str::FromStr>(
    text: &str,
    digits: Digits,
    range: std::ops::RangeInclusive<T>,
    parts: &TimestampParts,
    field: impl Fn(&mut TimestampParts) -> &mut Option<T>,
) -> Readings {
    let reading = |length: usize| {
        let is_padded = length == 2 && text.starts_with('0');
        if length < digits.least() || (is_padded && digits != Digits::Two) {
            return None;
        }
        let found = number(text, length).filter(|(_, value)| range.contains(value));
        added(found, parts, &field)
    };
    [reading(1), reading(2)]
}

/// Parses a number of exactly `digits` digits at the beginning of the text.
fn number<T: std::str::FromStr>(text: &str, digits: usize) -> Found<T> {
    let number = text.get(..digits)?;
    let plain = number.bytes().all(|byte| byte.is_ascii_digit());
    plain
        .then(|| number.parse().ok())
        .flatten()
        .map(|value| (digits, value))
}

/// The word at the beginning of the text; no word is the beginning of another.
fn word<T>(text: &str, words: impl IntoIterator<Item = (T, &'static str)>) -> Found<T> {
    words
        .into_iter()
        .find(|(_, word)| text.starts_with(word))
        .map(|(value, word)| (word.len(), value))
}
