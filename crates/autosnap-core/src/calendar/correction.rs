// SPDX-License-Identifier: GPL-3.0-only
//! What was probably meant by an invalid calendar event.
//!
//! Each correction is parsed before it is proposed: what is proposed is valid.

use super::error::{CalendarError, CalendarProblem};
use super::parser::{self, Failure, KEYWORDS, WEEKDAYS};
use super::values::Unit;

/// The error of an invalid event, with a correction if one is found.
pub(super) fn explain(text: &str, failure: Failure) -> CalendarError {
    let Failure { at, problem } = more_precise(text, failure);
    let candidates = if let CalendarProblem::TimeZone(_) = problem {
        // Another zone cannot be replaced by `UTC`: the runs would be others.
        vec![]
    } else if problem == CalendarProblem::Cron {
        vec![from_cron(text)]
    } else {
        vec![
            Some(with_usual_spelling(text)),
            Some(with_weekdays_first(&with_usual_spelling(text))),
            with_nearest_word(text, &problem),
            with_range_over_the_end(text, at, &problem),
        ]
    };
    let correction = candidates
        .into_iter()
        .flatten()
        .find(|candidate| parser::parse(candidate).is_ok());
    CalendarError {
        text: text.to_owned(),
        position: text[..at].chars().count() + 1,
        problem,
        correction,
    }
}

/// The problem as it is shown: the parser sees neither cron lines nor time zones, and no keyword with text after it.
fn more_precise(text: &str, failure: Failure) -> Failure {
    if cron_fields(text).is_some() {
        let problem = CalendarProblem::Cron;
        return Failure { at: 0, problem };
    }
    if let Some((at, zone)) = time_zone(text) {
        let problem = CalendarProblem::TimeZone(zone.to_owned());
        return Failure { at, problem };
    }
    if let CalendarProblem::UnknownWord(word) = &failure.problem
        && KEYWORDS.iter().any(|(keyword, _)| keyword == word)
    {
        let rest = text[failure.at + word.len()..].trim_start();
        return Failure {
            at: text.len() - rest.len(),
            problem: CalendarProblem::Unexpected(rest.to_owned()),
        };
    }
    failure
}

/// The name of a time zone at the end, such as `Europe/Berlin`, and where it begins.
fn time_zone(text: &str) -> Option<(usize, &str)> {
    let at = text.rfind(' ')? + 1;
    let word = &text[at..];
    let (area, place) = word.split_once('/')?;
    let is_name = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic());
    (is_name(area) && is_name(place)).then_some((at, word))
}

/// The text in lower case, with `..` in ranges of weekdays, without blanks after commas, the `@` and the `T` of other
/// programs, fractions of seconds, and the blanks around a colon.
fn with_usual_spelling(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let lower = lower.strip_prefix('@').unwrap_or(&lower);
    let (rest, zone) = match lower.strip_suffix("utc") {
        Some(rest) => (rest, "UTC"),
        None => (lower, ""),
    };
    let characters: Vec<char> = rest.chars().collect();
    let mut spelled = String::new();
    let letter = |at: Option<usize>| {
        at.and_then(|at| characters.get(at))
            .is_some_and(char::is_ascii_alphabetic)
    };
    let digit = |at: Option<usize>| {
        at.and_then(|at| characters.get(at))
            .is_some_and(char::is_ascii_digit)
    };
    for (at, &character) in characters.iter().enumerate() {
        let (before, after) = (at.checked_sub(1), Some(at + 1));
        match character {
            '-' if letter(before) && letter(after) => spelled.push_str(".."),
            't' if digit(before) && digit(after) => spelled.push(' '),
            ' ' if spelled.ends_with(',') => {}
            other => spelled.push(other),
        }
    }
    spelled + zone
}

/// The weekdays, which must come first, moved there from the end.
fn with_weekdays_first(text: &str) -> String {
    let (rest, zone) = match text.strip_suffix("UTC") {
        Some(rest) => (rest.trim_end(), " UTC"),
        None => (text, ""),
    };
    match rest.rsplit_once(' ') {
        Some((others, weekdays)) => format!("{weekdays} {}{zone}", others.trim_end()),
        None => text.to_owned(),
    }
}

/// The text with the nearest keyword or weekday instead of an unknown word.
fn with_nearest_word(text: &str, problem: &CalendarProblem) -> Option<String> {
    let CalendarProblem::UnknownWord(word) = problem else {
        return None;
    };
    let lower = word.to_ascii_lowercase();
    let keywords = KEYWORDS.iter().map(|(keyword, _)| *keyword);
    let short = WEEKDAYS.iter().map(|(day, _)| &day[..3]);
    let long = WEEKDAYS.iter().map(|(day, _)| *day);
    let known = short.chain(long).chain(keywords);
    let nearest = known
        .filter(|known| strsim::damerau_levenshtein(&lower, known) <= 1 + lower.len() / 5)
        .min_by_key(|known| strsim::damerau_levenshtein(&lower, known))?;
    Some(text.replacen(word.as_str(), nearest, 1))
}

/// `22..23,0..4` instead of `22..4`, which no list of numbers may be.
fn with_range_over_the_end(text: &str, at: usize, problem: &CalendarProblem) -> Option<String> {
    let CalendarProblem::Reversed { first, last } = problem else {
        return None;
    };
    let (before, rest) = text.split_at(at);
    let end = rest.find(|c: char| c != '.' && !c.is_ascii_digit());
    let after = &rest[end.unwrap_or(rest.len())..];
    let is_date = before
        .rsplit(' ')
        .next()
        .is_some_and(|word| word.contains('-'));
    let unit = if after.starts_with('-') {
        Unit::Month
    } else if is_date {
        Unit::Day
    } else if after.starts_with(':') && !before.ends_with(':') {
        Unit::Hour
    } else {
        Unit::Minute
    };
    let wrapped = format!("{first}..{},{}..{last}", unit.last(), unit.first());
    // A step would count from the first value of each of the two ranges.
    (!after.starts_with('/')).then(|| format!("{before}{wrapped}{after}"))
}

/// The five fields of a cron line: minute, hour, day, month, weekday.
fn cron_fields(text: &str) -> Option<[&str; 5]> {
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let fields: [&str; 5] = fields.try_into().ok()?;
    let is_field = |field: &&str| {
        field
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "*,-/".contains(c))
    };
    let is_time = |field: &&str| field.starts_with(|c: char| c.is_ascii_digit() || c == '*');
    (fields.iter().all(is_field) && fields[..2].iter().all(is_time)).then_some(fields)
}

/// The calendar event for a cron line, if there is one.
fn from_cron(text: &str) -> Option<String> {
    let [minute, hour, day, month, weekday] = cron_fields(text)?;
    // cron runs on days that match either of the two.
    if day != "*" && weekday != "*" {
        return None;
    }
    let range = |field: &str| field.replace('-', "..");
    let weekdays = match weekday {
        "*" => String::new(),
        days => cron_weekdays(days)? + " ",
    };
    let date = match (month, day) {
        ("*", "*") => String::new(),
        _ => format!("{}-{} ", range(month), range(day)),
    };
    let is_single = minute.len() == 1 && minute != "*";
    let zero = if is_single { "0" } else { "" };
    Some(format!(
        "{weekdays}{date}{}:{zero}{}",
        range(hour),
        range(minute)
    ))
}

/// `mon..fri` for `1-5`; 0 and 7 are Sunday.
fn cron_weekdays(field: &str) -> Option<String> {
    let items: Option<Vec<String>> = field
        .split(',')
        .map(|item| match item.split_once('-') {
            Some((first, last)) => {
                Some(format!("{}..{}", cron_weekday(first)?, cron_weekday(last)?))
            }
            None => cron_weekday(item).map(str::to_owned),
        })
        .collect();
    Some(items?.join(","))
}

fn cron_weekday(day: &str) -> Option<&str> {
    match day.parse::<usize>() {
        Ok(number @ 0..=7) => Some(&WEEKDAYS[(number + 6) % 7].0[..3]),
        Ok(_) => None,
        Err(_) => Some(day),
    }
}
