// SPDX-License-Identifier: GPL-3.0-only
//! Overdue removals, which come before the new snapshot.

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

#[test]
fn the_newest_is_reported_only_if_there_are_more_than_the_policy_keeps() {
    let newest = |keep, snapshots: &[Snapshot]| {
        newest_with_overdue(snapshots, &snap(keep)).map(|one| one.name.clone())
    };
    assert_eq!(newest(2, &days(1..=3)), Some(daily(3).name));
    assert_eq!(newest(3, &days(1..=3)), None);
    assert_eq!(newest(3, &[]), None);
}
