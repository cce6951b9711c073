// SPDX-License-Identifier: GPL-3.0-only
//! Durations, sizes and booleans, formatted as in the C# tool.

use std::time::Duration;

pub(super) use crate::report::notes::counted;

/// Formats a duration as a .NET `TimeSpan`: `[d.]hh:mm:ss[.fffffff]`.
pub(super) fn time_span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let days = if days > 0 {
        format!("{days}.")
    } else {
        String::new()
    };
    let ticks = duration.subsec_nanos() / 100;
    let fraction = if ticks > 0 {
        format!(".{ticks:07}")
    } else {
        String::new()
    };
    format!(
        "{days}{hours:02}:{minutes:02}:{:02}{fraction}",
        seconds % 60
    )
}

/// The text with spaces after it, up to this number of characters.
///
/// The widths of format strings end at 65,535 and panic above.
pub(super) fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", padding(text, width))
}

/// The text with spaces before it, up to this number of characters.
pub(super) fn padded_left(text: &str, width: usize) -> String {
    format!("{}{text}", padding(text, width))
}

fn padding(text: &str, width: usize) -> String {
    " ".repeat(width.saturating_sub(text.chars().count()))
}

/// Formats a size in decimal units (1 KB is 1000 bytes) with at most two decimals: `491.11 GB`.
#[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
pub(super) fn bytes(size: u64) -> String {
    let units = ["B", "KB", "MB", "GB", "TB", "PB", "EB"];
    let mut value = size as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{} {}", decimals(value, 2), units[unit])
}

/// The seconds of a duration, rounded to milliseconds.
pub(super) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

/// Formats a number with at most `count` decimals, without trailing zeros, with a point in every locale.
pub(super) fn decimals(value: f64, count: usize) -> String {
    let text = format!("{value:.count$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// `True` or `False`, as .NET formats a boolean.
pub(super) fn boolean(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_wider_than_a_format_string_allows_are_padded() {
        let wide = "é".repeat(100_000);
        assert_eq!(padded(&wide, 100_000), wide);
        assert_eq!(padded("é", 100_000).chars().count(), 100_000);
        assert_eq!(padded_left("7", 3), "  7");
        assert_eq!(padded("77", 1), "77");
    }

    #[test]
    fn durations_are_formatted_as_time_spans() {
        for (millis, expected) in [
            (0, "00:00:00"),
            (1201, "00:00:01.2010000"),
            (78_360, "00:01:18.3600000"),
            (3_600_000, "01:00:00"),
            (90_000_000, "1.01:00:00"),
        ] {
            assert_eq!(time_span(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn sizes_use_the_largest_unit_below_them() {
        for (size, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (44_000, "44 KB"),
            (235_149_459_456, "235.15 GB"),
            (1_099_511_627_776, "1.1 TB"),
            (u64::MAX, "18.45 EB"),
        ] {
            assert_eq!(bytes(size), expected);
        }
    }
}
