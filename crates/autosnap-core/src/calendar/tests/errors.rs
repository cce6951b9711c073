// SPDX-License-Identifier: GPL-3.0-only
//! The errors of invalid events, as they are shown.

use super::*;

/// An event, and its error.
const ERRORS: [(&str, &str); 50] = [
    (
        "",
        "invalid schedule ``: expected e.g. `daily`, `22:00` or `mon..fri 8..17:0/30`",
    ),
    (
        "UTC",
        "invalid schedule `UTC`: expected e.g. `daily`, `22:00` or `mon..fri 8..17:0/30`",
    ),
    (
        "60",
        "invalid schedule `60`: minute `60` must be at most 59 (character 1)",
    ),
    (
        "23:60",
        "invalid schedule `23:60`: minute `60` must be at most 59 (character 4)",
    ),
    (
        "0..80",
        "invalid schedule `0..80`: minute `80` must be at most 59 (character 4)",
    ),
    (
        "10..5",
        "invalid schedule `10..5`: the first value of `10..5` must not be greater than the last (character 1); write `10..59,0..5`",
    ),
    (
        "mon 22..4:00",
        "invalid schedule `mon 22..4:00`: the first value of `22..4` must not be greater than the last (character 5); write `mon 22..23,0..4:00`",
    ),
    (
        "*-11..2-1",
        "invalid schedule `*-11..2-1`: the first value of `11..2` must not be greater than the last (character 3); write `*-11..12,1..2-1`",
    ),
    (
        "*-*-25..5 3:00",
        "invalid schedule `*-*-25..5 3:00`: the first value of `25..5` must not be greater than the last (character 5); write `*-*-25..31,1..5 3:00`",
    ),
    (
        "*/0",
        "invalid schedule `*/0`: the step must be at least 1 (character 4)",
    ),
    (
        "*/60",
        "invalid schedule `*/60`: minute `60` must be at most 59 (character 3)",
    ),
    (
        "*,5",
        "invalid schedule `*,5`: `*` must stand alone, not in a list (character 2)",
    ),
    (
        "5,*",
        "invalid schedule `5,*`: `*` must stand alone, not in a list (character 2)",
    ),
    (
        "0 0",
        "invalid schedule `0 0`: unexpected `0` (character 3)",
    ),
    (
        "1:2:3:4",
        "invalid schedule `1:2:3:4`: unexpected `:4` (character 6)",
    ),
    (
        "3:00:00.5",
        "invalid schedule `3:00:00.5`: unexpected `.5` (character 8)",
    ),
    (
        "2200-01-01",
        "invalid schedule `2200-01-01`: year `2200` must be at most 2199 (character 1)",
    ),
    (
        "*-13-01",
        "invalid schedule `*-13-01`: month `13` must be at most 12 (character 3)",
    ),
    (
        "*-*-32",
        "invalid schedule `*-*-32`: day `32` must be at most 31 (character 5)",
    ),
    (
        "*-*-~1",
        "invalid schedule `*-*-~1`: unexpected `-~1` (character 4)",
    ),
    (
        "2026-12-01T03:00",
        "invalid schedule `2026-12-01T03:00`: unexpected `T03:00` (character 11); write `2026-12-01 03:00`",
    ),
    (
        "DAILY",
        "invalid schedule `DAILY`: `DAILY` is neither a weekday nor a keyword such as `daily` (character 1); write `daily`",
    ),
    (
        "@Daily",
        "invalid schedule `@Daily`: unexpected `@Daily` (character 1); write `daily`",
    ),
    (
        "daily utc",
        "invalid schedule `daily utc`: unexpected `utc` (character 7); write `daily UTC`",
    ),
    (
        "dayly",
        "invalid schedule `dayly`: `dayly` is neither a weekday nor a keyword such as `daily` (character 1); write `daily`",
    ),
    (
        "mon 2:30 Europe/Berlin",
        "invalid schedule `mon 2:30 Europe/Berlin`: `Europe/Berlin`: the only time zone in a schedule is `UTC`, at its end (character 10)",
    ),
    (
        "mo 3:00",
        "invalid schedule `mo 3:00`: `mo` is neither a weekday nor a keyword such as `daily` (character 1); write `mon 3:00`",
    ),
    (
        "fryday 3:00",
        "invalid schedule `fryday 3:00`: `fryday` is neither a weekday nor a keyword such as `daily` (character 1); write `friday 3:00`",
    ),
    (
        "yesterday",
        "invalid schedule `yesterday`: `yesterday` is neither a weekday nor a keyword such as `daily` (character 1)",
    ),
    (
        "mon, tue 3:00",
        "invalid schedule `mon, tue 3:00`: unexpected `, tue 3:00` (character 4); write `mon,tue 3:00`",
    ),
    (
        "Mon-Fri 3:00 UTC",
        "invalid schedule `Mon-Fri 3:00 UTC`: unexpected `-Fri 3:00` (character 4); write `mon..fri 3:00 UTC`",
    ),
    (
        "*-12-25 mon",
        "invalid schedule `*-12-25 mon`: unexpected `mon` (character 9); write `mon *-12-25`",
    ),
    (
        "3:00 mon..fri",
        "invalid schedule `3:00 mon..fri`: unexpected `mon..fri` (character 6); write `mon..fri 3:00`",
    ),
    (
        "3:00 sat,sun UTC",
        "invalid schedule `3:00 sat,sun UTC`: unexpected `sat,sun` (character 6); write `sat,sun 3:00 UTC`",
    ),
    (
        "0 3 * * *",
        "invalid schedule `0 3 * * *`: expected a calendar event of Proxmox VE, not a cron line; write `3:00`",
    ),
    (
        "*/15 8-17 * * 1-5",
        "invalid schedule `*/15 8-17 * * 1-5`: expected a calendar event of Proxmox VE, not a cron line; write `mon..fri 8..17:*/15`",
    ),
    (
        "30 2 1,15 * *",
        "invalid schedule `30 2 1,15 * *`: expected a calendar event of Proxmox VE, not a cron line; write `*-1,15 2:30`",
    ),
    (
        "30 2 * 6-8 sun",
        "invalid schedule `30 2 * 6-8 sun`: expected a calendar event of Proxmox VE, not a cron line; write `sun 6..8-* 2:30`",
    ),
    (
        "0 4 * * 0,6",
        "invalid schedule `0 4 * * 0,6`: expected a calendar event of Proxmox VE, not a cron line; write `sun,sat 4:00`",
    ),
    (
        "0 4 * * 7",
        "invalid schedule `0 4 * * 7`: expected a calendar event of Proxmox VE, not a cron line; write `sun 4:00`",
    ),
    (
        "0 4 1 * 1",
        "invalid schedule `0 4 1 * 1`: expected a calendar event of Proxmox VE, not a cron line",
    ),
    (
        "0 4 * * 8",
        "invalid schedule `0 4 * * 8`: expected a calendar event of Proxmox VE, not a cron line",
    ),
    (
        "3:00 ä",
        "invalid schedule `3:00 ä`: unexpected `ä` (character 6)",
    ),
    (
        "mon-sat3:00",
        "invalid schedule `mon-sat3:00`: unexpected `-sat3:00` (character 4); write `mon..sat3:00`",
    ),
    (
        "weakley",
        "invalid schedule `weakley`: `weakley` is neither a weekday nor a keyword such as `daily` (character 1); write `weekly`",
    ),
    (
        "8:30..10:5",
        "invalid schedule `8:30..10:5`: the first value of `30..10` must not be greater than the last (character 3); write `8:30..59,0..10:5`",
    ),
    (
        "22..4/2:00",
        "invalid schedule `22..4/2:00`: the first value of `22..4` must not be greater than the last (character 1)",
    ),
    (
        "* 3 * * *",
        "invalid schedule `* 3 * * *`: expected a calendar event of Proxmox VE, not a cron line; write `3:*`",
    ),
    (
        "3:00 mon/2",
        "invalid schedule `3:00 mon/2`: unexpected `mon/2` (character 6)",
    ),
    (
        "a b c d e",
        "invalid schedule `a b c d e`: `a` is neither a weekday nor a keyword such as `daily` (character 1)",
    ),
];

#[test]
fn an_error_has_its_parts() {
    let error = CalendarEvent::parse("mon, tue 3:00").unwrap_err();
    assert_eq!(error.position(), 4);
    assert_eq!(error.correction(), Some("mon,tue 3:00"));
    assert_eq!(
        error.problem(),
        &CalendarProblem::Unexpected(", tue 3:00".to_owned())
    );
    let error = CalendarEvent::parse("ö 3:0:0:0").unwrap_err();
    assert_eq!((error.position(), error.correction()), (1, None));
}

#[test]
fn errors_name_the_place_and_what_to_write() {
    for (text, expected) in ERRORS {
        assert_eq!(
            CalendarEvent::parse(text).unwrap_err().to_string(),
            expected
        );
    }
}
