// SPDX-License-Identifier: GPL-3.0-only
//! Durations on the command line: `90`, `90s`, `10m`, `1h 30m`; ages have a unit: `12h`, `7d`, `2w`.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};

/// The longest duration; adding it to a clock does not overflow.
const LONGEST_DURATION: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The longest age; subtracting it from a clock does not overflow.
const LONGEST_AGE: SignedDuration = SignedDuration::from_hours(100 * 366 * 24);

/// Parses `90` (seconds), `90s`, `10m`, `1h 30m`, up to a year.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = parse_any(text)?;
    if duration <= LONGEST_DURATION {
        Ok(duration)
    } else {
        Err(format!("'{text}' must be at most a year"))
    }
}

/// Parses a time limit: more than 0, without an upper limit, as the C# tool
/// has none for `--timeout`. Values above a year become a year.
pub fn parse_time_limit(text: &str) -> Result<Duration, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let duration = match parse_any(text) {
        // More digits than any number of seconds has.
        Err(_) if is_number => LONGEST_DURATION,
        other => other?,
    };
    if duration.is_zero() {
        return Err(format!("'{text}' must be more than 0"));
    }
    Ok(duration.min(LONGEST_DURATION))
}

/// Parses an age of snapshots: `0`, `12h`, `7d`, `2w`, up to a hundred years. A day has 24 hours.
///
/// A number has a unit: `7` would be seconds, although days are meant.
pub fn parse_age(text: &str) -> Result<SignedDuration, String> {
    let invalid = || format!("invalid age '{text}': expected e.g. 12h, 7d, 2w");
    let age = if let Ok(number) = text.parse::<i64>() {
        match number {
            0 => SignedDuration::ZERO,
            1.. => {
                return Err(format!(
                    "invalid age '{text}': a unit is missing; write {text}d for days, or {text}h for hours"
                ));
            }
            _ => return Err(negative(text)),
        }
    } else {
        let span: Span = text.parse().map_err(|_| invalid())?;
        // Months and years have no fixed length.
        span.to_duration(SpanRelativeTo::days_are_24_hours())
            .map_err(|_| invalid())?
    };
    if age.is_negative() {
        Err(negative(text))
    } else if age > LONGEST_AGE {
        Err(format!("'{text}' must be at most 100 years"))
    } else {
        Ok(age)
    }
}

fn parse_any(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => parse_with_units(text),
    }
}

fn parse_with_units(text: &str) -> Result<Duration, String> {
    let duration: jiff::SignedDuration = match text.parse() {
        Ok(duration) => duration,
        Err(_) if is_negative_number(text) => return Err(negative(text)),
        Err(_) => {
            return Err(format!(
                "invalid duration '{text}': expected e.g. 90s, 10m, 1h"
            ));
        }
    };
    duration.try_into().map_err(|_| negative(text))
}

fn is_negative_number(text: &str) -> bool {
    text.parse().is_ok_and(|number: i64| number < 0)
}

fn negative(text: &str) -> String {
    format!("'{text}' must not be negative")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_and_without_a_unit() {
        for (text, seconds) in [
            ("90", 90),
            ("90s", 90),
            ("10m", 600),
            ("1h30m", 5400),
            ("1h 30m", 5400),
        ] {
            let expected = Ok(Duration::from_secs(seconds));
            assert_eq!(parse_duration(text), expected, "{text}");
            assert_eq!(parse_time_limit(text), expected, "{text}");
        }
        for text in ["", "x", "-5s", "-5", "10 parsecs", "1.5"] {
            assert!(parse_duration(text).is_err(), "{text}");
            assert!(parse_time_limit(text).is_err(), "{text}");
        }
    }

    /// Adding these to a clock would panic in the middle of a run.
    #[test]
    fn a_duration_that_overflows_a_clock_is_refused() {
        for text in ["18446744073709551615", "2562047788015215h", "8785h"] {
            let message = parse_duration(text).unwrap_err();
            assert_eq!(message, format!("'{text}' must be at most a year"));
        }
        assert!(parse_duration("365d").is_err(), "days are not a unit here");
        assert_eq!(parse_duration("8784h"), Ok(LONGEST_DURATION));
    }

    #[test]
    fn a_time_limit_is_positive_and_has_no_upper_limit() {
        for text in [
            "31622401",
            "18446744073709551616",
            "99999999999999999999999",
            "8785h",
        ] {
            assert_eq!(parse_time_limit(text), Ok(LONGEST_DURATION), "{text}");
        }
        for text in ["0", "0s"] {
            assert_eq!(
                parse_time_limit(text),
                Err(format!("'{text}' must be more than 0"))
            );
        }
    }

    #[test]
    fn ages_have_days_and_weeks_of_fixed_length() {
        for (text, hours) in [
            ("3600s", 1),
            ("0", 0),
            ("12h", 12),
            ("7d", 7 * 24),
            ("2w", 14 * 24),
            ("1d12h", 36),
            ("90m", 1),
        ] {
            let age = parse_age(text).unwrap();
            assert_eq!(age.as_hours(), hours, "{text}");
        }
        for text in ["", "x", "1mo", "1y", "-1", "-2d", "101y", "40000d"] {
            assert!(parse_age(text).is_err(), "{text}");
        }
        assert_eq!(
            parse_age("7").unwrap_err(),
            "invalid age '7': a unit is missing; write 7d for days, or 7h for hours"
        );
    }
}
