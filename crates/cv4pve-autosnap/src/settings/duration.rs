// SPDX-License-Identifier: GPL-3.0-only
//! Durations on the command line: `90`, `90s`, `10m`, `1h 30m`.

use std::time::Duration;

/// The longest duration; adding it to a clock does not overflow.
const LONGEST_DURATION: Duration = Duration::from_secs(366 * 24 * 60 * 60);

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
}
