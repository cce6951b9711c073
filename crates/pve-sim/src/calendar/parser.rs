// SPDX-License-Identifier: GPL-3.0-only
//! Parser for calendar events: `[WEEKDAYS] [[YEARS-]MONTHS-DAYS] [HOURS:]MINUTES[:SECONDS] [UTC]`,
//! or a keyword. The event ends before the first unknown character; remaining text is an error.

use super::{Event, Field, Values};

/// Why a text is not a calendar event, with PVE's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The text is empty.
    #[error("unable to parse calendar event - event is empty")]
    Empty,
    /// Text remains after the event.
    #[error("unable to parse calendar event at '{0}' - Nom(Eof)")]
    Rest(String),
    /// Starts with letters that are not a weekday.
    #[error("unable to parse calendar event at '{0}' - Context(\"weekday\")")]
    Weekday(String),
    /// Starts with neither weekday, date nor time.
    #[error("unable to parse calendar event at '{0}' - Context(\"date or time specification\")")]
    NoDateOrTime(String),
}

/// A parsed value and the remaining text.
type Parsed<'a, T> = Option<(T, &'a str)>;

/// The value after a field's highest one, and where `*/STEP` begins.
#[derive(Clone, Copy)]
struct Unit {
    end: i64,
    first: i64,
}

const YEAR: Unit = Unit {
    end: 2_200,
    first: 0,
};
const MONTH: Unit = Unit { end: 13, first: 1 };
const DAY: Unit = Unit { end: 32, first: 1 };
const HOUR: Unit = Unit { end: 24, first: 0 };
const SIXTIETH: Unit = Unit { end: 60, first: 0 };

const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// Parses a calendar event.
///
/// # Errors
///
/// If PVE rejects the text.
pub fn parse(text: &str) -> Result<Event, ParseError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(ParseError::Empty);
    }
    let plain = match text.strip_suffix("UTC") {
        Some(rest) => rest.trim_end(),
        None => text,
    };
    if let Some(spelt_out) = keyword(plain) {
        return parse(spelt_out);
    }
    let mut event = Event::default();
    let mut rest = plain;
    let mut empty = true;
    if rest.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
        let (weekdays, after) =
            weekdays(rest).ok_or_else(|| ParseError::Weekday(rest.to_owned()))?;
        event.weekdays = weekdays;
        (rest, empty) = (after.trim_start(), false);
    }
    if let Some(((year, month, day), after)) = date(rest) {
        (event.year, event.month, event.day) = (year, month, day);
        (rest, empty) = (after.trim_start(), false);
    }
    let midnight = || vec![single(0)];
    (event.hour, event.minute, event.second) = (midnight(), midnight(), midnight());
    if let Some(((hour, minute, second), after)) = time(rest) {
        (event.hour, event.minute, event.second) = (hour, minute, second);
        (rest, empty) = (after, false);
    }
    if empty {
        return Err(ParseError::NoDateOrTime(rest.to_owned()));
    }
    if rest.is_empty() {
        Ok(event)
    } else {
        Err(ParseError::Rest(rest.to_owned()))
    }
}

/// The meaning of a keyword.
fn keyword(text: &str) -> Option<&'static str> {
    Some(match text {
        "minutely" => "*:*",
        "hourly" => "*:00",
        "daily" => "*-*-* 00:00",
        "weekly" => "mon 00:00",
        "monthly" => "*-*-01 00:00",
        "quarterly" => "*-01,04,07,10-01 00:00",
        "semiannually" | "semi-annually" => "*-01,07-01 00:00",
        "yearly" | "annually" => "*-01-01 00:00",
        _ => return None,
    })
}

/// `mon,wed..fri`; a range may include the end of the week.
fn weekdays(text: &str) -> Parsed<'_, [bool; 7]> {
    let mut found = [false; 7];
    let (first, mut rest) = weekday_range(text)?;
    let mut mark = |(from, to): (usize, usize)| {
        let mut day = from;
        loop {
            found[day] = true;
            if day == to {
                break;
            }
            day = (day + 1) % 7;
        }
    };
    mark(first);
    while let Some((range, after)) = rest.strip_prefix(',').and_then(weekday_range) {
        mark(range);
        rest = after;
    }
    Some((found, rest))
}

fn weekday_range(text: &str) -> Parsed<'_, (usize, usize)> {
    let (from, rest) = weekday(text)?;
    match rest.strip_prefix("..").and_then(weekday) {
        Some((to, after)) => Some(((from, to), after)),
        None => Some(((from, from), rest)),
    }
}

fn weekday(text: &str) -> Parsed<'_, usize> {
    let end = text
        .find(|letter: char| !letter.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let word = word.to_ascii_lowercase();
    let day = WEEKDAYS
        .iter()
        .position(|name| *name == word || name[..3] == word)?;
    Some((day, rest))
}

/// `YEARS-MONTHS-DAYS`, or `MONTHS-DAYS`.
fn date(text: &str) -> Parsed<'_, (Field, Field, Field)> {
    let month_and_day = |text| {
        let (month, rest) = field(text, MONTH)?;
        let (day, rest) = field(rest.strip_prefix('-')?, DAY)?;
        Some(((month, day), rest))
    };
    let whole = |text| {
        let (year, rest) = field(text, YEAR)?;
        let ((month, day), rest) = month_and_day(rest.strip_prefix('-')?)?;
        Some(((year, month, day), rest))
    };
    whole(text).or_else(|| {
        let ((month, day), rest) = month_and_day(text)?;
        Some(((Field::new(), month, day), rest))
    })
}

/// `HOURS:MINUTES:SECONDS`, `HOURS:MINUTES` or `MINUTES`.
fn time(text: &str) -> Parsed<'_, (Field, Field, Field)> {
    let hour = field(text, HOUR).and_then(|(hour, rest)| Some((hour, rest.strip_prefix(':')?)));
    let (hour, rest) = hour.unwrap_or((Field::new(), text));
    let (minute, rest) = field(rest, SIXTIETH)?;
    let second = rest
        .strip_prefix(':')
        .and_then(|rest| field(rest, SIXTIETH));
    let (second, rest) = second.unwrap_or((vec![single(0)], rest));
    Some(((hour, minute, second), rest))
}

/// `*`, `*/STEP`, or a list of values, ranges and steps.
fn field(text: &str, unit: Unit) -> Parsed<'_, Field> {
    if let Some(rest) = text.strip_prefix('*') {
        let Some(step) = rest.strip_prefix('/') else {
            return Some((Field::new(), rest));
        };
        let (step, after) = number(step, unit)?;
        return match step {
            0 => Some((Field::new(), rest)),
            step => {
                let values = Values {
                    first: unit.first,
                    last: i64::MAX,
                    step,
                };
                Some((vec![values], after))
            }
        };
    }
    let (first, mut rest) = values(text, unit)?;
    let mut found = vec![first];
    while let Some((next, after)) = rest.strip_prefix(',').and_then(|rest| values(rest, unit)) {
        found.push(next);
        rest = after;
    }
    Some((found, rest))
}

/// `N`, `N/STEP`, `A..B` or `A..B/STEP`.
fn values(text: &str, unit: Unit) -> Parsed<'_, Values> {
    let (first, rest) = number(text, unit)?;
    let end = rest.strip_prefix("..").and_then(|rest| number(rest, unit));
    let (last, default_step, rest) = match end {
        Some((last, _)) if last < first => return None,
        Some((last, rest)) => (last, 1, rest),
        None => (i64::MAX, 0, rest),
    };
    match rest.strip_prefix('/') {
        Some(step) => {
            let (step, rest) = number(step, unit)?;
            Some((Values { first, last, step }, rest))
        }
        None => Some((
            Values {
                first,
                last,
                step: default_step,
            },
            rest,
        )),
    }
}

/// A number below the unit's limit.
fn number(text: &str, unit: Unit) -> Parsed<'_, i64> {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let value: i64 = digits.parse().ok()?;
    (value < unit.end).then_some((value, rest))
}

fn single(value: i64) -> Values {
    Values {
        first: value,
        last: value,
        step: 0,
    }
}
