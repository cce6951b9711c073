// SPDX-License-Identifier: GPL-3.0-only
//! Durations and points in time on the command line, such as `90`, `1h 30m` or `2027-01-31`.

use std::time::{Duration, Instant};

use cv4pve_autosnap::settings::{DayEnd, parse_duration, parse_time, parse_time_from_now};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Parses a duration; an accepted one must be valid as a timeout.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    check_times(text);
    match parse_duration(text) {
        Ok(duration) => {
            assert!(
                Instant::now().checked_add(duration).is_some(),
                "{duration:?}"
            );
            let whole = Duration::from_secs(duration.as_secs());
            for spelling in [whole.as_secs().to_string(), format!("{}s", whole.as_secs())] {
                assert_eq!(parse_duration(&spelling), Ok(whole));
            }
        }
        Err(message) => assert!(message.contains(text), "{message}"),
    }
}

/// A time that is accepted is in the future; both ends of a day are in order.
fn check_times(text: &str) {
    let now = Timestamp::from_second(1_800_000_000).expect("a time in 2027");
    let zoned = now.to_zoned(TimeZone::UTC);
    let last = parse_time(text, &zoned, DayEnd::Last);
    if let Ok(first) = parse_time(text, &zoned, DayEnd::First) {
        assert!(now < first);
        assert!(last.as_ref().is_ok_and(|last| first <= *last) || last.is_err());
    }
    if let Ok(from_now) = parse_time_from_now(text, &zoned) {
        assert_eq!(last, Ok(from_now));
    }
}
