// SPDX-License-Identifier: GPL-3.0-only
//! Overdue removals, which come before the new snapshot.

use jiff::SignedDuration;

use super::*;
use crate::retention::StuckRemovals;

fn overdue(intent: &Intent, snapshots: Vec<Snapshot>, newest_was_late: bool) -> Vec<String> {
    let reading = Reading {
        newest_was_late,
        ..reading(&[("agent", "1")], snapshots)
    };
    let plan = decided(intent, guest(GuestStatus::Running), &reading);
    let steps = plan.steps().unwrap();
    let removals: Vec<_> = steps.removals().map(|one| &one.name).collect();
    let mut oldest_first = steps.overdue.clone();
    oldest_first.reverse();
    assert!(
        removals
            .iter()
            .zip(&oldest_first)
            .all(|(one, other)| *one == other),
        "the first of {removals:?}: {oldest_first:?}"
    );
    oldest_first
}

fn days(days: std::ops::RangeInclusive<i64>) -> Vec<Snapshot> {
    days.rev().map(daily).collect()
}

fn names(numbers: &[i64]) -> Vec<String> {
    numbers.iter().map(|number| daily(*number).name).collect()
}

#[test]
fn overdue_removals_leave_as_many_as_the_policy_keeps() {
    for keep in 1..=9 {
        let expected: Vec<i64> = (1..=9 - i64::from(keep)).collect();
        assert_eq!(overdue(&snap(keep), days(1..=9), true), names(&expected));
        assert_eq!(overdue(&snap(keep), days(1..=9), false), names(&[]));
    }
    let limited = Intent {
        removal_limit: RemovalLimit::new(3).unwrap(),
        ..snap(2)
    };
    assert_eq!(overdue(&limited, days(1..=9), true), names(&[1, 2, 3]));
}

#[test]
fn a_retried_removal_keeps_its_place() {
    let deleting = Snapshot {
        state: SnapshotState::Deleting,
        ..daily(1)
    };
    let policy = Policy {
        stuck: StuckRemovals::Retry,
        ..policy("daily", 2)
    };
    let retries = Intent {
        policy: Arc::new(policy),
        ..snap(2)
    };
    let with_deleting = |mut snapshots: Vec<Snapshot>| {
        snapshots.push(deleting.clone());
        snapshots
    };
    assert_eq!(
        overdue(&retries, with_deleting(days(2..=5)), true),
        names(&[1, 2, 3])
    );
    assert_eq!(
        overdue(&retries, with_deleting(days(2..=3)), true),
        names(&[])
    );
}

/// Removals of some days only depend on the new snapshot: the overdue ones are the oldest up to the first of these.
#[test]
fn overdue_removals_by_rules_are_the_oldest_that_go_without_the_new_snapshot() {
    let day = |day: i64, hour: i64| {
        let time = after_new_year((day - 1) * 86_400 + hour * 3600 - 10);
        let name = format!("autodaily{}", time.strftime("%y%m%d%H%M%S"));
        Snapshot {
            taken_at: Some(time),
            ..snapshot(&name, 0)
        }
    };
    let rules = Rules::parse("keep-daily=2,keep-last=0").unwrap();
    let policy = Policy {
        rules,
        ..policy("daily", 0)
    };
    let intent = Intent {
        policy: Arc::new(policy),
        ..snap(1)
    };
    // The new one is of day 1. Without it day -1 and its predecessor stay, and a second one of a day goes anyway.
    let snapshots = vec![
        day(0, 20),
        day(0, 10),
        day(-1, 20),
        day(-1, 10),
        day(-2, 20),
    ];
    let expected = [day(-2, 20).name, day(-1, 10).name];
    let kept_without_new = day(-1, 20).name;
    let found = overdue(&intent, snapshots.clone(), true);
    assert_eq!(found, expected);
    let without = newest_with_overdue(&snapshots, &intent).unwrap();
    assert_eq!(without.name, day(0, 20).name);
    assert!(!found.contains(&kept_without_new));
}

#[test]
fn the_newest_is_reported_only_if_there_are_more_than_the_policy_keeps() {
    let newest = |keep, snapshots: &[Snapshot]| {
        newest_with_overdue(snapshots, &snap(keep)).map(|one| one.name.clone())
    };
    assert_eq!(newest(2, &days(1..=3)), Some(daily(3).name));
    assert_eq!(newest(3, &days(1..=3)), None);
    assert_eq!(newest(3, &[]), None);
}

/// A run must not read the tasks of each guest because the snapshot of the run before has reached `min-age` since.
#[test]
fn what_has_reached_the_age_of_a_guard_since_the_last_run_is_not_overdue() {
    let minutes_ago = |minutes: i64| {
        let time = after_new_year(86_399 - minutes * 60);
        let name = format!("autodaily{}", time.strftime("%y%m%d%H%M%S"));
        Snapshot {
            taken_at: Some(time),
            ..snapshot(&name, 0)
        }
    };
    let check = |rules: Rules, ages: &[i64], is_overdue: bool| {
        let policy = Policy {
            rules,
            ..policy("daily", 1)
        };
        let intent = Intent {
            policy: Arc::new(policy),
            ..snap(1)
        };
        let snapshots: Vec<Snapshot> = ages.iter().map(|age| minutes_ago(*age)).collect();
        let found = newest_with_overdue(&snapshots, &intent);
        let expected = is_overdue.then_some(&snapshots[0]);
        assert_eq!(found, expected, "{rules} {ages:?}");
    };
    let rules = Rules::parse("keep-last=1").unwrap();
    check(rules, &[60, 120], false);
    check(rules, &[50, 100], false);
    check(rules, &[60, 120, 180], true);
    let without_guard = rules.with_min_age(SignedDuration::ZERO);
    check(without_guard, &[60, 120], true);
    check(without_guard, &[60], false);
    let within = without_guard.with_within(SignedDuration::from_hours(3));
    check(within, &[60, 120, 180, 240], false);
    check(within, &[60, 120, 180, 240, 300], true);
}
