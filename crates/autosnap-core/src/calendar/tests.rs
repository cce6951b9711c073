// SPDX-License-Identifier: GPL-3.0-only
mod clock_changes;
mod errors;
mod properties;
mod spellings;
mod traps;
mod vectors;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::*;

fn event(text: &str) -> CalendarEvent {
    CalendarEvent::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

/// A civil time in a zone.
fn at(time: &str, zone: &str) -> Zoned {
    let zone = TimeZone::get(zone).unwrap();
    let time: DateTime = time.parse().unwrap();
    time.to_zoned(zone).unwrap()
}

/// A time in UTC, seen in a zone.
fn instant(time: &str, zone: &str) -> Zoned {
    let time: Timestamp = time.parse().unwrap();
    time.in_tz(zone).unwrap()
}

/// The first runs, with their offsets.
fn runs(event: &CalendarEvent, from: &Zoned, count: usize) -> Vec<String> {
    let runs = event.runs_after(from).take(count);
    runs.map(|run| run.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
        .collect()
}
