// SPDX-License-Identifier: GPL-3.0-only
//! Runs around the clock changes of summer time.

use super::*;

#[test]
fn a_time_in_the_gap_runs_after_it() {
    let cases: [(&str, &str, &str, &[&str]); 8] = [
        (
            "sun 2:30",
            "Europe/Berlin",
            "2026-03-28 00:00",
            &["2026-03-29T03:30:00+02:00", "2026-04-05T02:30:00+02:00"],
        ),
        (
            "*-03-29 2:30",
            "Europe/Berlin",
            "2026-01-01 00:00",
            &["2026-03-29T03:30:00+02:00", "2027-03-29T02:30:00+02:00"],
        ),
        // Midnight does not exist in Santiago.
        (
            "daily",
            "America/Santiago",
            "2026-09-05 12:00",
            &["2026-09-06T01:00:00-03:00", "2026-09-07T00:00:00-03:00"],
        ),
        (
            "0/2:0",
            "Europe/Berlin",
            "2026-03-29 00:00",
            &["2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"],
        ),
        // Two times of the event that are the same instant are one run.
        (
            "2,3:15",
            "Europe/Berlin",
            "2026-03-29 00:00",
            &["2026-03-29T03:15:00+02:00", "2026-03-30T02:15:00+02:00"],
        ),
        (
            "2..3:0/30",
            "Europe/Berlin",
            "2026-03-29 00:00",
            &[
                "2026-03-29T03:00:00+02:00",
                "2026-03-29T03:30:00+02:00",
                "2026-03-30T02:00:00+02:00",
            ],
        ),
        // Samoa had no 30 December 2011.
        (
            "daily",
            "Pacific/Apia",
            "2011-12-29 00:00",
            &["2011-12-31T00:00:00+14:00", "2012-01-01T00:00:00+14:00"],
        ),
        (
            "12:00",
            "Pacific/Apia",
            "2011-12-29 06:00",
            &["2011-12-29T12:00:00-10:00", "2011-12-31T12:00:00+14:00"],
        ),
    ];
    for (text, zone, from, expected) in cases {
        assert_eq!(
            runs(&event(text), &at(from, zone), expected.len()),
            *expected,
            "{text} in {zone}"
        );
    }
}

#[test]
fn an_event_with_hours_runs_once_in_the_repeated_hour() {
    for text in ["2:30", "2/1:30", "0..12:30", "*/2:30"] {
        let runs = runs(&event(text), &at("2026-10-25 01:45", "Europe/Berlin"), 2);
        assert_eq!(runs[0], "2026-10-25T02:30:00+02:00", "{text}");
        assert!(!runs[1].starts_with("2026-10-25T02"), "{text}: {runs:?}");
    }
    // Also from within the repeated hour, before and after the change.
    let event = event("2:30");
    for from in [
        "2026-10-25T00:30Z",
        "2026-10-25T00:59Z",
        "2026-10-25T01:00Z",
        "2026-10-25T01:29Z",
    ] {
        let from = instant(from, "Europe/Berlin");
        assert_eq!(
            runs(&event, &from, 1),
            ["2026-10-26T02:30:00+01:00"],
            "{from}"
        );
    }
    let from = instant("2026-10-25T00:29:59.5Z", "Europe/Berlin");
    assert_eq!(runs(&event, &from, 1), ["2026-10-25T02:30:00+02:00"]);
}

#[test]
fn an_event_of_every_hour_runs_in_both_repeated_hours() {
    let expected = [
        "2026-10-25T01:30:00+02:00",
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T02:30:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ];
    for text in ["*/30", "*:0/30", "0..23:0,30", "*/1:0,30"] {
        assert_eq!(
            runs(&event(text), &at("2026-10-25 01:00", "Europe/Berlin"), 6),
            expected,
            "{text}"
        );
    }
    assert_eq!(
        runs(
            &event("2026-10-25 *:30"),
            &instant("2026-10-25T00:15Z", "Europe/Berlin"),
            3
        ),
        [
            "2026-10-25T02:30:00+02:00",
            "2026-10-25T02:30:00+01:00",
            "2026-10-25T03:30:00+01:00"
        ]
    );
}

/// In Havana the clock goes back from 1:00 to 0:00, in Asuncion (2023) from midnight to 23:00 of the day before.
#[test]
fn hours_that_are_repeated_over_midnight_run_twice() {
    let from = at("2023-03-25 22:45", "America/Asuncion");
    assert_eq!(
        runs(&event("sat *:30"), &from, 3),
        [
            "2023-03-25T23:30:00-03:00",
            "2023-03-25T23:30:00-04:00",
            "2023-04-01T00:30:00-04:00"
        ]
    );
    assert_eq!(
        runs(&event("sat 23:30"), &from, 2),
        ["2023-03-25T23:30:00-03:00", "2023-04-01T23:30:00-04:00"]
    );
    let from = at("2026-10-31 23:45", "America/Havana");
    assert_eq!(
        runs(&event("2026-11-1 *:30"), &from, 3),
        [
            "2026-11-01T00:30:00-04:00",
            "2026-11-01T00:30:00-05:00",
            "2026-11-01T01:30:00-05:00"
        ]
    );
}

/// Lord Howe changes by half an hour.
#[test]
fn a_change_of_half_an_hour_is_handled() {
    let zone = "Australia/Lord_Howe";
    assert_eq!(
        runs(&event("*:0/15"), &at("2026-10-04 01:45", zone), 4),
        [
            "2026-10-04T02:30:00+11:00",
            "2026-10-04T02:45:00+11:00",
            "2026-10-04T03:00:00+11:00",
            "2026-10-04T03:15:00+11:00"
        ]
    );
    assert_eq!(
        runs(&event("2:15"), &at("2026-10-03 12:00", zone), 2),
        ["2026-10-04T02:45:00+11:00", "2026-10-05T02:15:00+11:00"]
    );
    assert_eq!(
        runs(&event("*:45"), &at("2026-04-05 01:00", zone), 3),
        [
            "2026-04-05T01:45:00+11:00",
            "2026-04-05T01:45:00+10:30",
            "2026-04-05T02:45:00+10:30"
        ]
    );
}

#[test]
fn an_event_in_utc_ignores_the_zone() {
    let from = at("2026-03-29 00:30", "Europe/Berlin");
    assert_eq!(runs(&event("*/30:0 UTC"), &from, 0), Vec::<String>::new());
    assert_eq!(
        runs(&event("1:30 UTC"), &from, 2),
        ["2026-03-29T03:30:00+02:00", "2026-03-30T03:30:00+02:00"]
    );
}

#[test]
fn times_are_rounded_to_the_next_second() {
    let event = event("*:*:*");
    for (from, next) in [
        ("1969-12-31T23:59:58.5Z", "1969-12-31T23:59:59Z"),
        ("1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z"),
        ("1970-01-01T00:00:00.9Z", "1970-01-01T00:00:01Z"),
    ] {
        let next: Timestamp = next.parse().unwrap();
        assert_eq!(
            event
                .next_after(&instant(from, "UTC"))
                .map(|run| run.timestamp()),
            Some(next)
        );
    }
}

#[test]
fn the_end_of_time_is_no_run() {
    let last = at("9999-12-30 12:00", "UTC");
    assert_eq!(event("daily").next_after(&last), None);
    let last = Timestamp::MAX.to_zoned(TimeZone::UTC);
    assert_eq!(event("*:*:*").next_after(&last), None);
}
