// SPDX-License-Identifier: GPL-3.0-only
//! Points in time on the command line: `2027-01-31`, `2027-01-31T18:00`, `2027-01-31T18:00:00Z`, `14d`.

use jiff::civil::{Date, DateTime};
use jiff::{Span, Timestamp, Zoned};

/// Which end of a day a date without a time means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayEnd {
    /// Its beginning.
    First,
    /// Its end.
    Last,
}

/// Parses a point in time after `now`, to the second. Times without an offset, and days, are those of the zone of
/// `now`.
pub fn parse_time(text: &str, now: &Zoned, day: DayEnd) -> Result<Timestamp, String> {
    let text = text.trim();
    let time = parse_absolute(text, now, day).or_else(|| parse_relative(text, now));
    let time = time.ok_or_else(|| {
        format!(
            "invalid time '{text}': expected e.g. 2027-01-31, 2027-01-31T18:00, 2027-01-31T18:00:00Z, 12h, 14d"
        )
    })?;
    in_future(text, time, now)
}

/// Parses a time from now: `12h`, `14d`, `2w`, `6mo`, `1y`.
pub fn parse_time_from_now(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let text = text.trim();
    let time = parse_relative(text, now).ok_or_else(|| invalid_duration(text))?;
    in_future(text, time, now)
}

/// Parses a length of time above 0: `12h`, `14d`, `2w`, `6mo`, `1y`.
pub fn parse_lifetime(text: &str) -> Result<Span, String> {
    let span = read_span(text.trim()).filter(|span| span.is_positive());
    let last = DateTime::constant(9000, 1, 1, 0, 0, 0, 0);
    span.filter(|span| last.checked_add(*span).is_ok())
        .ok_or_else(|| invalid_duration(text.trim()))
}

fn invalid_duration(text: &str) -> String {
    format!("invalid duration '{text}': expected e.g. 12h, 14d, 2w, 6mo, 1y")
}

fn in_future(text: &str, time: Timestamp, now: &Zoned) -> Result<Timestamp, String> {
    if time > now.timestamp() {
        Ok(time)
    } else {
        Err(format!("'{text}' must be in the future"))
    }
}

/// Parses a point in time that is not relative to `now`; `now` has the zone.
pub(super) fn parse_absolute(text: &str, now: &Zoned, day: DayEnd) -> Option<Timestamp> {
    let zone = now.time_zone();
    if let Ok(time) = text.parse::<Timestamp>() {
        return whole_second(time);
    }
    if text.ends_with(']')
        && let Ok(time) = text.parse::<Zoned>()
    {
        return whole_second(time.timestamp());
    }
    // A date is ten characters; a longer text is a date with a time.
    if text.len() <= "2027-01-31".len() {
        let date: Date = text.parse().ok()?;
        let date = match day {
            DayEnd::First => date,
            DayEnd::Last => date.tomorrow().ok()?,
        };
        return whole_second(date.to_zoned(zone.clone()).ok()?.timestamp());
    }
    let time: DateTime = text.parse().ok()?;
    whole_second(time.to_zoned(zone.clone()).ok()?.timestamp())
}

fn parse_relative(text: &str, now: &Zoned) -> Option<Timestamp> {
    whole_second(now.checked_add(read_span(text)?).ok()?.timestamp())
}

fn read_span(text: &str) -> Option<Span> {
    let text = text.strip_prefix('+').unwrap_or(text);
    // ISO 8601 durations begin with P; they are no spelling of this tool.
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn whole_second(time: Timestamp) -> Option<Timestamp> {
    Timestamp::from_second(time.as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Zoned {
        "2026-11-28T20:15:30.5+01:00[Europe/Rome]".parse().unwrap()
    }

    #[test]
    fn dates_times_and_times_from_now_are_read() {
        for (text, first, last) in [
            ("2027-01-31", "2027-01-30T23:00:00Z", "2027-01-31T23:00:00Z"),
            ("2027-01-31T18:00", "2027-01-31T17:00:00Z", ""),
            (" 2027-01-31 18:00 ", "2027-01-31T17:00:00Z", ""),
            ("2027-07-31 18:00:05", "2027-07-31T16:00:05Z", ""),
            ("2027-01-31T18:00:00Z", "2027-01-31T18:00:00Z", ""),
            ("2027-01-31T18:00:00-05:00", "2027-01-31T23:00:00Z", ""),
            ("2027-01-31T18:00[Asia/Tokyo]", "2027-01-31T09:00:00Z", ""),
            ("14d", "2026-12-12T19:15:30Z", ""),
            ("+14d", "2026-12-12T19:15:30Z", ""),
            ("2w", "2026-12-12T19:15:30Z", ""),
            ("90m", "2026-11-28T20:45:30Z", ""),
            ("1d 12h", "2026-11-30T07:15:30Z", ""),
            ("1 day", "2026-11-29T19:15:30Z", ""),
            // The day is that of the zone: summer time has begun.
            ("6mo", "2027-05-28T18:15:30Z", ""),
            ("1y", "2027-11-28T19:15:30Z", ""),
        ] {
            let expected: Timestamp = first.parse().unwrap();
            assert_eq!(
                parse_time(text, &now(), DayEnd::First),
                Ok(expected),
                "{text}"
            );
            let expected = if last.is_empty() { first } else { last };
            let expected: Timestamp = expected.parse().unwrap();
            assert_eq!(
                parse_time(text, &now(), DayEnd::Last),
                Ok(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn other_texts_and_the_past_are_refused() {
        for text in [
            "",
            "14",
            "soon",
            "-14d",
            "P14D",
            "14 parsecs",
            "2027-02-30",
            "31.01.2027",
            "18:00",
            "2027-01-31T25:00",
            "99999y",
            "d",
        ] {
            let message = parse_time(text, &now(), DayEnd::Last).unwrap_err();
            assert!(message.starts_with("invalid time"), "{text}: {message}");
            let message = parse_time_from_now(text, &now()).unwrap_err();
            assert!(message.starts_with("invalid duration"), "{text}: {message}");
        }
        for (text, day) in [
            ("2026-11-28", DayEnd::First),
            ("2026-11-27", DayEnd::Last),
            ("2026-11-28 20:15:30", DayEnd::First),
            ("0d", DayEnd::First),
        ] {
            let message = parse_time(text, &now(), day).unwrap_err();
            assert_eq!(message, format!("'{text}' must be in the future"));
        }
        assert!(parse_time("2026-11-28", &now(), DayEnd::Last).is_ok());
        assert!(parse_time_from_now("2027-01-31", &now()).is_err());
    }
}
