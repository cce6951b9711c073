// SPDX-License-Identifier: GPL-3.0-only
//! Longer lists: the tests of PVE and of Proxmox Backup Server, and months of snapshots.

use super::examples::{pve, results, taken};
use super::*;
use crate::retention::Period;

/// `k` for kept, `r` for removed, `p` for protected.
fn marks(snapshots: &[Snapshot], rules: &str) -> String {
    let found = results(snapshots, pve(rules), TimeZone::UTC);
    found.iter().map(|result| &result[..1]).collect()
}

/// The list of `prune_backups_test.pm` in pve-storage.
#[test]
fn pves_own_test_list() {
    const NOW: i64 = 1_577_881_101;
    let taken = |before: i64| {
        let at = second(NOW - before);
        ours(
            &format!("auton{}", at.strftime("%Y%m%d%H%M%S")),
            Some(at.as_second()),
        )
    };
    let (day, hour) = (86_400, 3600);
    let protected = Snapshot {
        description: "protected".into(),
        ..taken(day + hour - 30)
    };
    let snapshots = [
        taken(585 * day + hour),
        taken(day + hour),
        protected,
        taken(day + hour - 60),
        taken(hour),
        taken(0),
    ];
    for (rules, expected) in [
        ("keep-last=3", "rrpkkk"),
        ("keep-weekly=2", "krprrk"),
        ("keep-hourly=4", "krpkkk"),
        ("keep-daily=2", "rrpkrk"),
        ("keep-yearly=2", "rrpkrk"),
        ("keep-last=2,keep-hourly=2", "krpkkk"),
    ] {
        assert_eq!(marks(&snapshots, rules), expected, "{rules}");
    }
    let week = [
        "2020-12-03 12:18:21",
        "2020-12-04 12:18:21",
        "2020-12-07 12:18:21",
    ];
    assert_eq!(
        marks(&week.map(self::taken), "keep-daily=1,keep-weekly=1"),
        "rkk"
    );
}

/// A test of Proxmox Backup Server: protected ones before and after do not change the others.
#[test]
fn protected_snapshots_of_one_hour_change_nothing() {
    let protected = |time| Snapshot {
        description: "protected".into(),
        ..taken(time)
    };
    let snapshots = [
        protected("2026-11-25 09:39"),
        taken("2026-11-25 10:39"),
        taken("2026-11-25 10:49"),
        protected("2026-11-25 10:59"),
    ];
    assert_eq!(marks(&snapshots, "keep-last=1"), "prkp");
    assert_eq!(marks(&snapshots, "keep-hourly=1"), "prkp");
}

fn every(hours: i64, count: i64, newest: &str) -> Vec<Snapshot> {
    let newest = taken(newest).taken_at.unwrap();
    let older = (0..count).map(|index| newest - jiff::SignedDuration::from_hours(index * hours));
    older
        .map(|at| taken(&at.strftime("%Y-%m-%d %H:%M").to_string()))
        .collect()
}

fn kept(snapshots: &[Snapshot], rules: &str, format: &str) -> Vec<String> {
    let marks = marks(snapshots, rules);
    let kept = snapshots
        .iter()
        .zip(marks.chars())
        .filter(|(_, mark)| *mark == 'k');
    kept.map(|(snapshot, _)| snapshot.taken_at.unwrap().strftime(format).to_string())
        .collect()
}

#[test]
fn four_months_of_days() {
    let snapshots = every(24, 120, "2026-11-25 01:00");
    let rules = "keep-daily=7,keep-weekly=4,keep-monthly=3,keep-yearly=1";
    let expected = [
        "11-25", "11-24", "11-23", "11-22", "11-21", "11-20", "11-19", "11-15", "11-08", "11-01",
        "10-25", "09-30", "08-31", "07-31",
    ];
    assert_eq!(kept(&snapshots, rules, "%m-%d"), expected);
}

#[test]
fn ten_days_of_hours() {
    let snapshots = every(1, 240, "2026-11-25 10:00");
    let kept = kept(&snapshots, "keep-hourly=24,keep-daily=7", "%d %H");
    assert_eq!(kept.len(), 31);
    assert_eq!(kept[23], "24 11");
    let daily = [
        "23 23", "22 23", "21 23", "20 23", "19 23", "18 23", "17 23",
    ];
    assert_eq!(kept[24..], daily);
}

#[test]
fn months_of_different_years_are_different() {
    let day_15 = |year_and_month: &str| taken(&format!("{year_and_month}-15 01:00"));
    let months = ["2026-11", "2026-10", "2025-12", "2025-11", "2025-10"];
    let snapshots = months.map(day_15);
    assert_eq!(marks(&snapshots, "keep-monthly=4"), "kkkkr");
    assert_eq!(marks(&snapshots, "keep-yearly=2"), "krkrr");
    let edges = [
        "2026-03-01 00:00",
        "2026-02-28 23:59",
        "2026-02-01 00:00",
        "2026-01-31 23:59",
    ];
    assert_eq!(marks(&edges.map(taken), "keep-monthly=9"), "kkrk");
}

#[test]
fn each_period_has_its_key_and_unit() {
    let all = Period::ALL.map(|period| format!("{period} {}", period.unit()));
    let expected = [
        "keep-last second",
        "keep-hourly hour",
        "keep-daily day",
        "keep-weekly week",
        "keep-monthly month",
        "keep-yearly year",
    ];
    assert_eq!(all, expected);
}
