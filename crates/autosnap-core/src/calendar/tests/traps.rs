// SPDX-License-Identifier: GPL-3.0-only
//! Valid events that are probably not what was meant.

use super::*;

fn traps(text: &str, zone: &str) -> Vec<String> {
    let traps = event(text).traps(&at("2026-11-26 12:00", zone));
    traps.iter().map(ToString::to_string).collect()
}

#[test]
fn events_without_a_trap_are_not_reported() {
    for text in [
        "daily",
        "22:00",
        "0",
        "*/15",
        "8/2",
        "5,10",
        "10..20",
        "30/40",
        "*:22",
        "mon..fri 8..17:0/30",
        "02-28",
        "12-31",
        "*-1,31",
        "2027-1-1",
    ] {
        assert_eq!(traps(text, "UTC"), [""; 0], "{text}");
    }
}

#[test]
fn traps_name_what_the_event_does_and_what_was_meant() {
    for (text, expected) in [
        (
            "22",
            vec!["it runs every hour, at minute 22; if that is not meant, write `22:00`"],
        ),
        (
            "mon..fri 22",
            vec!["it runs every hour, at minute 22; if that is not meant, write `mon..fri 22:00`"],
        ),
        (
            "*-1 1 UTC",
            vec!["it runs every hour, at minute 1; if that is not meant, write `*-1 1:00 UTC`"],
        ),
        ("45", vec!["it runs every hour, at minute 45"]),
        (
            "24:00",
            vec![
                "it runs every hour: the first number is no hour, so these are minutes and seconds; if that is not meant, write `0:00`",
            ],
        ),
        (
            "24:0UTC",
            vec![
                "it runs every hour: the first number is no hour, so these are minutes and seconds; if that is not meant, write `0:00 UTC`",
            ],
        ),
        (
            "mon 24:00",
            vec![
                "it runs every hour: the first number is no hour, so these are minutes and seconds",
            ],
        ),
        (
            "24:30",
            vec![
                "it runs every hour: the first number is no hour, so these are minutes and seconds",
            ],
        ),
        (
            "25:10",
            vec![
                "it runs every hour: the first number is no hour, so these are minutes and seconds",
            ],
        ),
        (
            "*/30:00",
            vec![
                "it runs every hour: the first number is no hour, so these are minutes and seconds",
            ],
        ),
        ("*-*-31", vec!["it leaves out the months without day 31"]),
        (
            "*-*-29 3:00",
            vec!["it leaves out February, except in leap years"],
        ),
        (
            "02-29",
            vec!["it leaves out February, except in leap years"],
        ),
        ("4,12-31", vec!["it leaves out the months without day 31"]),
        ("02-30", vec!["it never runs: no date matches"]),
        ("0-1", vec!["it never runs: no date matches"]),
        (
            "26-12-01",
            vec!["it never runs again: the last date that matches is 0026-12-01"],
        ),
        ("2026-11-20..30 3:00", vec![]),
        (
            "2025..2026-3..11-1/5 7",
            vec![
                "it runs every hour, at minute 7; if that is not meant, write `2025..2026-3..11-1/5 7:00`",
            ],
        ),
    ] {
        assert_eq!(traps(text, "UTC"), expected, "{text}");
    }
}

#[test]
fn times_that_summer_time_skips_are_reported() {
    let berlin = "Europe/Berlin";
    assert_eq!(
        traps("2:30", berlin),
        [
            "2027-03-28 02:30 does not exist because of summer time: it runs at 03:30, where Proxmox VE leaves the run out"
        ]
    );
    for text in [
        "1:59",
        "3:00",
        "2:30 UTC",
        "*:30",
        "*/15",
        "2:00 UTC",
        "*-1..2-* 2:30",
        "mon 2:30",
    ] {
        assert_eq!(traps(text, berlin), [""; 0], "{text}");
    }
    assert_eq!(traps("2:30", "UTC"), [""; 0]);
    assert_eq!(
        traps("daily", "America/Santiago"),
        [
            "2027-09-05 00:00 does not exist because of summer time: it runs at 01:00, where Proxmox VE leaves the run out"
        ]
    );
}
