// SPDX-License-Identifier: GPL-3.0-only
//! Durations on the command line, such as `90` or `1h 30m`.

use std::time::{Duration, Instant};

use cv4pve_autosnap::settings::parse_duration;

/// Reads a duration; whatever is accepted can be waited for.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
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
