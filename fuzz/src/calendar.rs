// SPDX-License-Identifier: GPL-3.0-only
//! Calendar events, such as `mon..fri 22:00`, and their runs.

use autosnap_core::calendar::CalendarEvent;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Parses an event; its runs are in order, and corrections are valid.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    // Summer time of Berlin, and of a zone whose midnight is skipped and repeated.
    let zones = [
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "<-04>4<-03>,M9.1.6/24,M4.1.6/24",
    ];
    match CalendarEvent::parse(text) {
        Ok(event) => {
            assert_eq!(
                CalendarEvent::parse(&event.to_string()).as_ref(),
                Ok(&event)
            );
            for zone in zones {
                let zone = TimeZone::posix(zone).expect("both are valid");
                let start = Timestamp::from_second(1_774_740_000).expect("a time of 2026");
                let start = start.to_zoned(zone);
                let mut last = start.clone();
                for run in event.runs_after(&start).take(10) {
                    assert!(run > last, "{event}: {run} after {last}");
                    last = run;
                }
                for trap in event.traps(&start) {
                    if let Some(correction) = trap.correction() {
                        assert!(CalendarEvent::parse(correction).is_ok(), "{correction}");
                    }
                }
            }
        }
        Err(error) => {
            assert!(error.position() <= text.chars().count() + 1);
            if let Some(correction) = error.correction() {
                assert!(CalendarEvent::parse(correction).is_ok(), "{correction}");
            }
        }
    }
}
