// SPDX-License-Identifier: GPL-3.0-only
//! The grammar of PVE: `[WEEKDAYS] [[YEARS-]MONTHS-DAYS] [HOURS:MINUTES[:SECONDS]] [UTC]`, or a keyword.
//!
//! PVE tries the forms one after the other, and a list of hours with a value above 23 is no list of hours: `24:00` is
//! minute 24 and second 0 of every hour. This parser does the same, step by step.

use jiff::civil::Weekday;

use super::error::CalendarProblem;
use super::values::{Item, List, Unit, Values, Weekdays, Years};
use super::{CalendarEvent, MAX_LENGTH};

/// How the time of an event was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeForm {
    /// Not at all, or by a keyword.
    None,
    /// Minutes only: `22`, `*/15`.
    Minutes,
    /// Two parts, of which the first is no list of hours: minutes and seconds of every hour, such as `24:00`.
    MinutesAndSeconds,
    /// Hours and minutes, with or without seconds.
    Hours,
}

/// Where and why parsing failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The byte at which it failed.
    pub(super) at: usize,
    pub(super) problem: CalendarProblem,
}

/// The keywords, each with the event that it stands for.
pub(super) const KEYWORDS: [(&str, &str); 10] = [
    ("minutely", "*:*"),
    ("hourly", "*:0"),
    ("daily", "0:0"),
    ("weekly", "mon 0:0"),
    ("monthly", "*-1 0:0"),
    ("quarterly", "1,4,7,10-1 0:0"),
    ("semiannually", "1,7-1 0:0"),
    ("semi-annually", "1,7-1 0:0"),
    ("yearly", "1-1 0:0"),
    ("annually", "1-1 0:0"),
];

/// The weekdays by their full names; the first three letters are the short ones.
pub(super) const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// Parses an event without blanks around it.
pub(super) fn parse(text: &str) -> Result<CalendarEvent, Failure> {
    if text.chars().count() > MAX_LENGTH {
        let problem = CalendarProblem::TooLong;
        return Err(Failure { at: 0, problem });
    }
    let (without_zone, utc) = match text.strip_suffix("UTC") {
        Some(rest) => (rest.trim_end_matches(' '), true),
        None => (text, false),
    };
    let keyword = KEYWORDS.iter().find(|(word, _)| *word == without_zone);
    let parsed = match keyword {
        Some((_, meaning)) => Parser::new(meaning).event().map(|event| CalendarEvent {
            form: TimeForm::None,
            ..event
        }),
        None => Parser::new(without_zone).event(),
    };
    parsed.map(|event| CalendarEvent {
        text: text.to_owned(),
        utc,
        ..event
    })
}

/// A position in the text. What does not match leaves it where it was.
struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// The values that could not be parsed, in the order of the attempts.
    failures: Vec<(Unit, Failure)>,
}

/// The three lists of a date, or of a time.
type Lists = (List, List, List);

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            failures: Vec::new(),
        }
    }

    fn event(mut self) -> Result<CalendarEvent, Failure> {
        if self.text.is_empty() {
            return Err(self.failure_here(CalendarProblem::Empty));
        }
        let mut weekdays = Weekdays::ALL;
        if self.rest().starts_with(|c: char| c.is_ascii_alphabetic()) {
            weekdays = self.weekdays()?;
            self.skip_blanks();
        }
        let date = self.date();
        if date.is_some() {
            self.skip_blanks();
        }
        let (years, months, days) = date.unwrap_or((List::Any, List::Any, List::Any));
        let (form, (hours, minutes, seconds)) = self.time().unwrap_or_else(|| {
            let midnight = (List::single(0), List::single(0), List::single(0));
            (TimeForm::None, midnight)
        });
        if self.at < self.text.len() {
            return Err(self.failure());
        }
        Ok(CalendarEvent {
            text: String::new(),
            utc: false,
            weekdays,
            years: Years::new(years),
            months: Values::new(Unit::Month, &months),
            days: Values::new(Unit::Day, &days),
            hours: Values::new(Unit::Hour, &hours),
            minutes: Values::new(Unit::Minute, &minutes),
            seconds: Values::new(Unit::Second, &seconds),
            form,
        })
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn failure_here(&self, problem: CalendarProblem) -> Failure {
        Failure {
            at: self.at,
            problem,
        }
    }

    /// Why the rest of the text could not be parsed: the value furthest to the right that was refused, of a date if the
    /// next word has a `-`, else of a time.
    fn failure(self) -> Failure {
        let rest = self.rest();
        let word = rest.split(' ').next().unwrap_or_default();
        let is_date = word.contains('-');
        let candidates = self
            .failures
            .iter()
            .filter(|(unit, _)| is_date == unit.is_date());
        // Of equal ones the first of a date, which has its years, and the last of a time, which has its minutes.
        let furthest = if is_date {
            candidates.rev().max_by_key(|(_, failure)| failure.at)
        } else {
            candidates.max_by_key(|(_, failure)| failure.at)
        };
        if let Some((_, failure)) = furthest {
            return failure.clone();
        }
        let before = &self.text[..self.at];
        let is_list = rest.starts_with(",*") || before.ends_with('*') && rest.starts_with(',');
        let unexpected = rest.trim_start();
        Failure {
            at: self.text.len() - unexpected.len(),
            problem: if is_list {
                CalendarProblem::StarInList
            } else {
                CalendarProblem::Unexpected(unexpected.to_owned())
            },
        }
    }

    fn skip(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.at += prefix.len();
        }
        found
    }

    fn skip_blanks(&mut self) {
        while self.skip(" ") || self.skip("\t") {}
    }

    /// What `parse` returns; if that is nothing, the position is that from before.
    fn attempt<T>(&mut self, parse: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let at = self.at;
        let result = parse(self);
        if result.is_none() {
            self.at = at;
        }
        result
    }

    /// What `parse` returns after the prefix; without either, the position is that from before.
    fn after<T>(&mut self, prefix: &str, parse: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.attempt(|parser| {
            if parser.skip(prefix) {
                parse(parser)
            } else {
                None
            }
        })
    }

    /// `mon..wed,fri`, at least one day.
    fn weekdays(&mut self) -> Result<Weekdays, Failure> {
        let mut days = Weekdays::NONE;
        let mut range = self.weekday_range()?;
        loop {
            days.insert(range.0, range.1);
            match self.after(",", |parser| parser.weekday_range().ok()) {
                Some(next) => range = next,
                None => return Ok(days),
            }
        }
    }

    /// `fri` or `fri..mon`.
    fn weekday_range(&mut self) -> Result<(Weekday, Weekday), Failure> {
        let first = self.weekday()?;
        let last = self.after("..", |parser| parser.weekday().ok());
        Ok((first, last.unwrap_or(first)))
    }

    fn weekday(&mut self) -> Result<Weekday, Failure> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphabetic());
        let word = &rest[..end.unwrap_or(rest.len())];
        let lower = word.to_ascii_lowercase();
        let found = WEEKDAYS
            .iter()
            .find(|(name, _)| lower == *name || lower == name[..3]);
        let Some((_, day)) = found else {
            return Err(self.failure_here(CalendarProblem::UnknownWord(word.to_owned())));
        };
        self.at += word.len();
        Ok(*day)
    }

    /// `YEARS-MONTHS-DAYS` or `MONTHS-DAYS`.
    fn date(&mut self) -> Option<Lists> {
        let with_years = self.attempt(|parser| {
            let years = parser.list(Unit::Year)?;
            let months = parser.after("-", |parser| parser.list(Unit::Month))?;
            let days = parser.after("-", |parser| parser.list(Unit::Day))?;
            Some((years, months, days))
        });
        with_years.or_else(|| {
            self.attempt(|parser| {
                let months = parser.list(Unit::Month)?;
                let days = parser.after("-", |parser| parser.list(Unit::Day))?;
                Some((List::Any, months, days))
            })
        })
    }

    /// `HOURS:MINUTES:SECONDS`, `HOURS:MINUTES` or `MINUTES`.
    fn time(&mut self) -> Option<(TimeForm, Lists)> {
        self.attempt(|parser| {
            let hours = parser.attempt(|parser| {
                let hours = parser.list(Unit::Hour)?;
                parser.skip(":").then_some(hours)
            });
            let minutes = parser.list(Unit::Minute)?;
            let seconds = parser.after(":", |parser| parser.list(Unit::Second));
            let form = match (&hours, &seconds) {
                (Some(_), _) => TimeForm::Hours,
                (None, Some(_)) => TimeForm::MinutesAndSeconds,
                (None, None) => TimeForm::Minutes,
            };
            let hours = hours.unwrap_or(List::Any);
            let seconds = seconds.unwrap_or_else(|| List::single(0));
            Some((form, (hours, minutes, seconds)))
        })
    }

    /// `*`, `*/STEP`, or items with commas between them.
    fn list(&mut self, unit: Unit) -> Option<List> {
        if self.skip("*") {
            let step = if self.skip("/") {
                self.number(unit)?
            } else {
                1
            };
            return self.any(unit, step);
        }
        let mut items = vec![self.item(unit)?];
        while let Some(item) = self.after(",", |parser| parser.item(unit)) {
            items.push(item);
        }
        Some(List::Items(items))
    }

    /// `*/STEP`. A step of 0 is refused; one of 1 is each value.
    fn any(&mut self, unit: Unit, step: u32) -> Option<List> {
        match step {
            0 => {
                let failure = self.failure_here(CalendarProblem::ZeroStep);
                self.failures.push((unit, failure));
                None
            }
            1 => Some(List::Any),
            _ => Some(List::Items(vec![Item {
                first: unit.first(),
                last: None,
                step,
            }])),
        }
    }

    /// `FIRST`, `FIRST..LAST`, `FIRST/STEP` or `FIRST..LAST/STEP`. With a step of 0 it is the first value alone.
    fn item(&mut self, unit: Unit) -> Option<Item> {
        let at = self.at;
        let first = self.number(unit)?;
        let last = self.after("..", |parser| parser.number(unit));
        if let Some(last) = last.filter(|last| first > *last) {
            let problem = CalendarProblem::Reversed { first, last };
            self.failures.push((unit, Failure { at, problem }));
            return None;
        }
        if !self.skip("/") {
            return Some(Item {
                last: last.or(Some(first)),
                ..Item::single(first)
            });
        }
        match self.number(unit)? {
            0 => Some(Item::single(first)),
            step => Some(Item { first, last, step }),
        }
    }

    /// A number that the unit has.
    fn number(&mut self, unit: Unit) -> Option<u32> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_digit());
        let digits = &rest[..end.unwrap_or(rest.len())];
        if digits.is_empty() {
            return None;
        }
        let number = digits.parse().ok().filter(|number| *number <= unit.last());
        if number.is_some() {
            self.at += digits.len();
        } else {
            let digits = digits.to_owned();
            let failure = self.failure_here(CalendarProblem::TooLarge { unit, digits });
            self.failures.push((unit, failure));
        }
        number
    }
}
