// SPDX-License-Identifier: GPL-3.0-only
//! Which spellings PVE accepts and refuses.

use super::*;

/// Events that differ in their text only.
#[test]
fn spellings_that_pve_accepts_are_the_same_event() {
    for (text, same) in [
        ("MON 3:00", "mon 3:0"),
        ("Monday 3:00", "mon 3:0"),
        ("monDay", "mon 0:0"),
        ("mon3", "mon 3"),
        ("mon  3:00", "mon 3:0"),
        ("mon \t 3:00", "mon 3:0"),
        (" \tmon 3:00\n", "mon 3:0"),
        ("dailyUTC", "0:0:0 UTC"),
        ("daily  UTC", "0:0:0 UTC"),
        ("007:005", "7:5"),
        ("000000000000000:000", "0:0"),
        ("mon,tue..wednesday,fri..sat", "mon..wed,fri,sat 0:00"),
        ("sun..sat", "mon..sun"),
        ("wed..tue", "mon..sun"),
        ("fri..fri", "fri"),
        ("*/1:0", "0..23:0"),
        ("*-*/1-*/1", "*-*"),
        ("*/31-12-31", "0,31/31-12-31"),
    ] {
        let (one, mut other) = (event(text), event(same));
        assert_eq!(one.to_string(), text.trim());
        // Only the text and how it was written differ.
        other.text.clone_from(&one.text);
        other.form = one.form;
        assert_eq!(one.months, other.months, "{text}");
        assert_eq!(
            (
                one.weekdays,
                one.hours,
                one.minutes,
                one.seconds,
                one.is_utc()
            ),
            (
                other.weekdays,
                other.hours,
                other.minutes,
                other.seconds,
                other.is_utc()
            ),
            "{text}"
        );
        let from = at("2026-11-26 00:00", "Europe/Berlin");
        assert_eq!(runs(&one, &from, 20), runs(&other, &from, 20), "{text}");
    }
    assert!(
        event("2199-01-01")
            .next_after(&at("2026-11-26 00:00", "UTC"))
            .is_some()
    );
}

#[test]
fn an_event_is_in_utc_only_if_it_says_so() {
    assert!(event("3:00 UTC").is_utc());
    assert!(!event("3:00").is_utc());
}

#[test]
fn what_pve_refuses_is_refused() {
    for text in [
        "",
        " ",
        "UTC",
        " UTC",
        "60",
        "23:60",
        "0..80",
        "10..5",
        "*/0",
        "*/60",
        "*,5",
        "5,*",
        "0 0",
        "mon 0 0",
        "1:2:3:4",
        "3:00:00.5",
        "2200-01-01",
        "2262-04-11",
        "*-13-01",
        "*-*-32",
        "*-*-~1",
        "2026-12-01T03:00",
        "12-013:00",
        "DAILY",
        "daily utc",
        "Daily",
        "2:30 Europe/Berlin",
        "mo 3:00",
        "mon tue 3:00",
        "mon, tue 3:00",
        "mon-fri 3:00",
        "* mon",
        "*-12-25 mon",
        "@daily",
        "mon..",
        "..fri",
        "mon,",
        "2..1-1",
        "22..2:0",
        "22..4:00",
        "*:30..10",
        "12:60",
        "13:0/90",
        "5 4",
        "mon-01-01",
        "Mon *-05~07/1",
        "daily 3:00",
        "5/",
        "*/",
        "5/*",
        "1..",
        "1..2..3",
        "3:",
        ":3",
        "3:00:",
        "--",
        "*-",
        "-1",
        "99999999999999999999",
        "*/24/2:0",
        "5.5",
        "0 3 * * *",
        "3:00\tUTC",
        "mon 3:00 UTC UTC",
        "ä",
        "mon ä",
    ] {
        assert!(CalendarEvent::parse(text).is_err(), "{text:?} was accepted");
    }
}

#[test]
fn an_event_of_128_characters_is_accepted() {
    let text = format!("{}3:00", "0".repeat(124));
    assert!(CalendarEvent::parse(&text).is_ok());
    assert_eq!(
        CalendarEvent::parse(&format!("  {text}  ")).map(|event| event.to_string()),
        Ok(text.clone())
    );
    let error = CalendarEvent::parse(&format!("0{text}")).unwrap_err();
    assert_eq!(error.problem(), &CalendarProblem::TooLong);
}
