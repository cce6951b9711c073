// SPDX-License-Identifier: GPL-3.0-only
//! Durations on the command line: `90`, `90s`, `10m`, `1h 30m`.

use std::time::Duration;

/// Longer than anybody waits, and short enough that no clock overflows when it is added.
const LONGEST_DURATION: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Reads `90`, `90s`, `10m`, `1h 30m`, up to a year.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => parse_with_units(text)?,
    };
    if duration <= LONGEST_DURATION {
        Ok(duration)
    } else {
        Err(format!("'{text}' is longer than a year"))
    }
}

fn parse_with_units(text: &str) -> Result<Duration, String> {
    let duration: jiff::SignedDuration = text
        .parse()
        .map_err(|_| format!("'{text}' is no duration, such as 90s, 10m or 1h"))?;
    duration
        .try_into()
        .map_err(|_| format!("'{text}' lies in the past"))
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
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_secs(seconds)),
                "{text}"
            );
        }
        for text in ["", "x", "-5s", "10 parsecs"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    /// Found by fuzzing: adding these to the clock was a panic in the middle of a run.
    #[test]
    fn a_duration_that_no_clock_can_bear_is_refused() {
        for text in ["18446744073709551615", "2562047788015215h", "8785h"] {
            let message = parse_duration(text).unwrap_err();
            assert_eq!(message, format!("'{text}' is longer than a year"));
        }
        assert!(parse_duration("365d").is_err(), "days are no unit here");
        assert_eq!(parse_duration("8784h"), Ok(LONGEST_DURATION));
    }
}
