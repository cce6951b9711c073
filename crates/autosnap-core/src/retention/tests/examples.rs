// SPDX-License-Identifier: GPL-3.0-only
//! Worked examples of PVE's keep rules, each with the result and the reason of every snapshot.
//!
//! The results of all but those about ties and the future were computed by PVE's own function.

use super::*;
use crate::retention::KeepCounts;

/// PVE's rules without guards and without a default for `keep-last`.
pub(super) fn pve(rules: &str) -> Rules {
    let mut counts = Rules::parse(rules).unwrap().counts().unwrap();
    counts.last.get_or_insert(0);
    Rules::from_counts(counts).with_min_age(jiff::SignedDuration::ZERO)
}

/// A snapshot taken at this time, with the time in its name: `2026-11-25 09:00`, perhaps with seconds or an offset.
pub(super) fn taken(time: &str) -> Snapshot {
    let zoned = match time.rsplit_once(' ') {
        Some((local, offset)) if offset.starts_with(['+', '-']) => {
            format!("{local}{}:{}", &offset[..3], &offset[3..])
        }
        _ => format!("{time}Z"),
    };
    let at: Timestamp = zoned.parse().unwrap();
    let name = format!("auton{}", at.strftime("%Y%m%d%H%M%S"));
    ours(&name, Some(at.as_second()))
}

fn full_series() -> Series {
    series("n", "yyyyMMddHHmmss")
}

/// The results in their order: `keep`, `remove`, or `protected`, with the reason.
pub(super) fn results(snapshots: &[Snapshot], rules: Rules, zone: TimeZone) -> Vec<String> {
    let policy = Policy::new(full_series(), rules);
    let now = "2037-01-01T00:00:00Z".parse::<Timestamp>().unwrap();
    let verdicts = crate::retention::decide(snapshots, &policy, None, &now.to_zoned(zone));
    let result = |snapshot: &Snapshot| {
        let verdict = verdicts
            .iter()
            .find(|one| one.snapshot.name == snapshot.name);
        let reason = &verdict.unwrap().reason;
        if *reason == Reason::NotOurs {
            "protected".into()
        } else if reason.is_removal() {
            format!("remove: {reason}")
        } else {
            format!("keep: {reason}")
        }
    };
    snapshots.iter().map(result).collect()
}

fn check_in(zone: TimeZone, rules: &str, expected: &[(&str, &str)]) {
    let snapshots: Vec<Snapshot> = expected.iter().map(|(time, _)| taken(time)).collect();
    let found = results(&snapshots, pve(rules), zone);
    for ((time, expected), found) in expected.iter().zip(found) {
        // A snapshot in a reason is written as its time.
        let name = expected.split_once(" as ").map(|(_, rest)| {
            let (time, _) = rest.rsplit_once(", ").unwrap();
            (time, taken(time).name)
        });
        let expected = match name {
            Some((time, name)) => expected.replace(time, &name),
            None => (*expected).to_owned(),
        };
        assert_eq!(found, expected, "{time}, {rules}");
    }
}

fn check(rules: &str, expected: &[(&str, &str)]) {
    check_in(TimeZone::UTC, rules, expected);
}

/// Berlin's rules since 1996.
fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

#[test]
fn r1_the_last_three() {
    check(
        "keep-last=3",
        &[
            ("2026-11-25 09:00", "keep: keep-last 1"),
            ("2026-11-25 03:00", "keep: keep-last 2"),
            ("2026-11-22 03:00", "keep: keep-last 3"),
            ("2026-11-21 03:00", "remove: not reached by any rule"),
            ("2026-11-20 03:00", "remove: not reached by any rule"),
        ],
    );
}

#[test]
fn r2_hours_without_snapshots_do_not_count() {
    check(
        "keep-hourly=3",
        &[
            ("2026-11-25 12:45", "keep: keep-hourly 1"),
            (
                "2026-11-25 12:15",
                "remove: same hour as 2026-11-25 12:45, keep-hourly",
            ),
            ("2026-11-25 09:15", "keep: keep-hourly 2"),
            ("2026-11-25 08:45", "keep: keep-hourly 3"),
            (
                "2026-11-25 08:15",
                "remove: same hour as 2026-11-25 08:45, keep-hourly",
            ),
            ("2026-11-25 05:15", "remove: not reached by any rule"),
        ],
    );
}

#[test]
fn r3_what_keep_last_holds_is_not_counted_again() {
    check(
        "keep-last=2,keep-daily=2",
        &[
            ("2026-11-25 18:00", "keep: keep-last 1"),
            ("2026-11-25 12:00", "keep: keep-last 2"),
            ("2026-11-24 12:00", "keep: keep-daily 1"),
            ("2026-11-23 12:00", "keep: keep-daily 2"),
            ("2026-11-22 12:00", "remove: not reached by any rule"),
        ],
    );
}

#[test]
fn r4_a_weekly_pick_covers_the_month() {
    check(
        "keep-daily=1,keep-weekly=1,keep-monthly=1",
        &[
            ("2020-01-01 12:18", "keep: keep-daily 1"),
            (
                "2019-12-31 12:18",
                "remove: same week as 2020-01-01 12:18, keep-weekly",
            ),
            ("2019-12-25 12:18", "keep: keep-weekly 1"),
        ],
    );
}

#[test]
fn r5_the_same_with_an_older_month() {
    check(
        "keep-daily=1,keep-weekly=1,keep-monthly=1",
        &[
            ("2020-01-01 12:18", "keep: keep-daily 1"),
            (
                "2019-12-31 12:18",
                "remove: same week as 2020-01-01 12:18, keep-weekly",
            ),
            ("2019-12-25 12:18", "keep: keep-weekly 1"),
            ("2019-11-30 12:00", "keep: keep-monthly 1"),
        ],
    );
}

#[test]
fn r6_iso_week_53() {
    let same = "remove: same week as 2027-01-03 12:00, keep-weekly";
    check(
        "keep-weekly=2",
        &[
            ("2027-01-04 12:00", "keep: keep-weekly 1"),
            ("2027-01-03 12:00", "keep: keep-weekly 2"),
            ("2027-01-01 12:00", same),
            ("2026-12-31 12:00", same),
            ("2026-12-28 12:00", same),
            ("2026-12-27 12:00", "remove: not reached by any rule"),
        ],
    );
}

#[test]
fn r7_30_december_in_week_1_of_the_next_year() {
    let same = "remove: same week as 2025-01-05 12:00, keep-weekly";
    check(
        "keep-weekly=1,keep-yearly=1",
        &[
            ("2025-01-05 12:00", "keep: keep-weekly 1"),
            ("2025-01-01 12:00", same),
            ("2024-12-31 12:00", same),
            ("2024-12-30 12:00", same),
            ("2024-12-29 12:00", "keep: keep-yearly 1"),
        ],
    );
}

#[test]
fn r8_typical_three_tiers() {
    check(
        "keep-daily=2,keep-weekly=2,keep-monthly=2",
        &[
            ("2026-11-25 01:00", "keep: keep-daily 1"),
            ("2026-11-24 01:00", "keep: keep-daily 2"),
            (
                "2026-11-23 01:00",
                "remove: same week as 2026-11-25 01:00, keep-weekly",
            ),
            ("2026-11-22 01:00", "keep: keep-weekly 1"),
            ("2026-11-15 01:00", "keep: keep-weekly 2"),
            (
                "2026-11-08 01:00",
                "remove: same month as 2026-11-25 01:00, keep-monthly",
            ),
            ("2026-10-31 01:00", "keep: keep-monthly 1"),
            ("2026-09-30 01:00", "keep: keep-monthly 2"),
        ],
    );
}

#[test]
fn r9_no_rule_keeps_all() {
    let snapshots = ["2026-11-25 01:00", "2026-11-24 01:00"].map(taken);
    for rules in [
        Rules::keep_all(),
        Rules::from_counts(KeepCounts::default()),
        Rules::parse("").unwrap(),
        Rules::parse("keep-daily=0,keep-last=0").unwrap(),
        Rules::parse("keep-all=1").unwrap(),
    ] {
        let found = results(&snapshots, rules, TimeZone::UTC);
        assert_eq!(found, ["keep: keep-all", "keep: keep-all"], "{rules:?}");
    }
}

#[test]
fn r10_snapshots_that_do_not_count_cover_nothing() {
    let protected = |time| Snapshot {
        description: "protected".into(),
        ..taken(time)
    };
    let snapshots = [
        protected("2026-11-25 01:00"),
        taken("2026-11-24 05:00"),
        protected("2026-11-24 01:00"),
        taken("2026-11-23 01:00"),
    ];
    let found = results(&snapshots, pve("keep-daily=2"), TimeZone::UTC);
    let expected = [
        "protected",
        "keep: keep-daily 1",
        "protected",
        "keep: keep-daily 2",
    ];
    assert_eq!(found, expected);
}

/// PVE removes the second snapshot of one second. Here both have one place.
#[test]
fn r11_snapshots_of_one_second_share_a_place() {
    let twin = Snapshot {
        name: "auton20261125010059".to_owned(),
        ..taken("2026-11-25 01:00")
    };
    let snapshots = [
        twin,
        taken("2026-11-25 01:00"),
        taken("2026-11-24 01:00"),
        taken("2026-11-23 01:00"),
    ];
    let found = results(&snapshots, pve("keep-last=2"), TimeZone::UTC);
    let expected = [
        "keep: keep-last 1",
        "keep: keep-last 1",
        "keep: keep-last 2",
        "remove: not reached by any rule",
    ];
    assert_eq!(found, expected);
    let found = results(&snapshots, pve("keep-daily=1"), TimeZone::UTC);
    assert_eq!(found[..2], ["keep: keep-daily 1", "keep: keep-daily 1"]);
}

#[test]
fn r12_the_repeated_hour_is_one_hour() {
    check_in(
        berlin(),
        "keep-hourly=3",
        &[
            ("2026-10-25 03:30 +0100", "keep: keep-hourly 1"),
            ("2026-10-25 02:30 +0100", "keep: keep-hourly 2"),
            (
                "2026-10-25 02:30 +0200",
                "remove: same hour as 2026-10-25 02:30 +0100, keep-hourly",
            ),
            ("2026-10-25 01:30 +0200", "keep: keep-hourly 3"),
        ],
    );
}

#[test]
fn r13_the_same_instants_in_utc() {
    check(
        "keep-hourly=3",
        &[
            ("2026-10-25 02:30", "keep: keep-hourly 1"),
            ("2026-10-25 01:30", "keep: keep-hourly 2"),
            ("2026-10-25 00:30", "keep: keep-hourly 3"),
            ("2026-10-24 23:30", "remove: not reached by any rule"),
        ],
    );
}

#[test]
fn r14_midnight_depends_on_the_zone() {
    check_in(
        berlin(),
        "keep-daily=2",
        &[
            ("2026-11-25 01:30 +0100", "keep: keep-daily 1"),
            (
                "2026-11-25 00:30 +0100",
                "remove: same day as 2026-11-25 01:30 +0100, keep-daily",
            ),
            ("2026-11-24 23:30 +0100", "keep: keep-daily 2"),
        ],
    );
}

#[test]
fn r15_the_same_instants_in_utc() {
    check(
        "keep-daily=2",
        &[
            ("2026-11-25 00:30", "keep: keep-daily 1"),
            ("2026-11-24 23:30", "keep: keep-daily 2"),
            (
                "2026-11-24 22:30",
                "remove: same day as 2026-11-24 23:30, keep-daily",
            ),
        ],
    );
}

#[test]
fn r16_half_hour_zones() {
    check_in(
        TimeZone::posix("<+0530>-5:30").unwrap(),
        "keep-hourly=2",
        &[
            ("2026-11-25 12:40 +0530", "keep: keep-hourly 1"),
            (
                "2026-11-25 12:10 +0530",
                "remove: same hour as 2026-11-25 12:40 +0530, keep-hourly",
            ),
            ("2026-11-25 11:40 +0530", "keep: keep-hourly 2"),
        ],
    );
}

/// PVE removes all but the one from the future. Here that takes no place.
#[test]
fn r17_a_snapshot_from_the_future_takes_no_place() {
    let snapshots = ["2036-01-01 00:00", "2026-11-25 01:00", "2026-11-24 01:00"].map(taken);
    let policy = Policy::new(full_series(), pve("keep-last=1"));
    let now: Timestamp = "2026-11-25T02:00:00Z".parse().unwrap();
    let verdicts =
        crate::retention::decide(&snapshots, &policy, None, &now.to_zoned(TimeZone::UTC));
    let reasons = verdicts.iter().map(|verdict| verdict.reason.to_string());
    assert!(reasons.eq([
        "not counted: dated in the future",
        "keep-last 1",
        "not reached by any rule"
    ]));
}

#[test]
fn r18_the_yearly_rule_needs_an_older_year() {
    let same = "remove: same year as 2026-11-25 01:00, keep-yearly";
    check(
        "keep-last=1,keep-yearly=1",
        &[
            ("2026-11-25 01:00", "keep: keep-last 1"),
            ("2026-10-01 01:00", same),
            ("2026-09-01 01:00", same),
        ],
    );
}

#[test]
fn r19_years_without_snapshots_do_not_count() {
    check(
        "keep-yearly=3",
        &[
            ("2026-11-25 01:00", "keep: keep-yearly 1"),
            ("2025-12-31 23:00", "keep: keep-yearly 2"),
            (
                "2025-01-01 01:00",
                "remove: same year as 2025-12-31 23:00, keep-yearly",
            ),
            ("2023-06-01 01:00", "keep: keep-yearly 3"),
            ("2022-06-01 01:00", "remove: not reached by any rule"),
        ],
    );
}

#[test]
fn r20_before_a_rule_is_added() {
    check(
        "keep-hourly=1,keep-daily=1,keep-yearly=1",
        &[
            ("2025-02-01 17:43", "keep: keep-hourly 1"),
            ("2025-01-01 02:01", "keep: keep-daily 1"),
            ("2024-12-31 16:37", "keep: keep-yearly 1"),
            (
                "2024-12-28 09:01",
                "remove: same year as 2024-12-31 16:37, keep-yearly",
            ),
        ],
    );
}

#[test]
fn r21_one_more_rule_loses_another_snapshot() {
    check(
        "keep-hourly=1,keep-daily=1,keep-weekly=1,keep-yearly=1",
        &[
            ("2025-02-01 17:43", "keep: keep-hourly 1"),
            ("2025-01-01 02:01", "keep: keep-daily 1"),
            (
                "2024-12-31 16:37",
                "remove: same week as 2025-01-01 02:01, keep-weekly",
            ),
            ("2024-12-28 09:01", "keep: keep-weekly 1"),
        ],
    );
}

const BEFORE_AND_AFTER_A_NUMBER_IS_RAISED: [&str; 7] = [
    "2025-01-18 20:05",
    "2025-01-01 14:53",
    "2024-12-30 09:10",
    "2024-12-23 04:25",
    "2024-12-01 10:32",
    "2024-11-29 01:41",
    "2024-11-25 23:16",
];

fn check_raised(rules: &str, expected: [&str; 7]) {
    let times = BEFORE_AND_AFTER_A_NUMBER_IS_RAISED;
    check(rules, &times.into_iter().zip(expected).collect::<Vec<_>>());
}

#[test]
fn r22_before_a_number_is_raised() {
    check_raised(
        "keep-daily=3,keep-weekly=1,keep-monthly=2,keep-yearly=1",
        [
            "keep: keep-daily 1",
            "keep: keep-daily 2",
            "keep: keep-daily 3",
            "keep: keep-weekly 1",
            "remove: same month as 2024-12-30 09:10, keep-monthly",
            "keep: keep-monthly 1",
            "remove: same month as 2024-11-29 01:41, keep-monthly",
        ],
    );
}

#[test]
fn r23_a_raised_number_loses_another_snapshot() {
    check_raised(
        "keep-daily=4,keep-weekly=1,keep-monthly=2,keep-yearly=1",
        [
            "keep: keep-daily 1",
            "keep: keep-daily 2",
            "keep: keep-daily 3",
            "keep: keep-daily 4",
            "keep: keep-weekly 1",
            "remove: same week as 2024-12-01 10:32, keep-weekly",
            "remove: same week as 2024-12-01 10:32, keep-weekly",
        ],
    );
}
