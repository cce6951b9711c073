// SPDX-License-Identifier: GPL-3.0-only
//! The removals that come before the new snapshot.

use super::*;
use crate::retention::StuckRemovals;

fn overdue(request: &Request, snapshots: Vec<Snapshot>, newest_was_late: bool) -> Vec<String> {
    let reading = Reading {
        newest_was_late,
        ..reading(&[("agent", "1")], snapshots)
    };
    let plan = decided(request, guest(GuestStatus::Running), &reading);
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
fn as_many_as_are_kept_are_left_without_the_new_one() {
    for keep in 1..=9 {
        let expected: Vec<i64> = (1..=9 - i64::from(keep)).collect();
        assert_eq!(overdue(&snap(keep), days(1..=9), true), names(&expected));
        assert_eq!(overdue(&snap(keep), days(1..=9), false), names(&[]));
    }
    let limited = Request {
        removal_limit: RemovalLimit::new(3).unwrap(),
        ..snap(2)
    };
    assert_eq!(overdue(&limited, days(1..=9), true), names(&[1, 2, 3]));
}

#[test]
fn a_removal_that_is_tried_again_keeps_its_place() {
    let half = Snapshot {
        state: SnapshotState::Deleting,
        ..daily(1)
    };
    let mut retries = snap(2);
    retries.policy.stuck = StuckRemovals::Retry;
    let with_half = |mut snapshots: Vec<Snapshot>| {
        snapshots.push(half.clone());
        snapshots
    };
    assert_eq!(
        overdue(&retries, with_half(days(2..=5)), true),
        names(&[1, 2, 3])
    );
    assert_eq!(overdue(&retries, with_half(days(2..=3)), true), names(&[]));
}

#[test]
fn the_newest_is_asked_for_only_if_there_are_more_than_are_kept() {
    let newest = |keep, snapshots: &[Snapshot]| {
        newest_with_overdue(snapshots, &snap(keep)).map(|one| one.name.clone())
    };
    assert_eq!(newest(2, &days(1..=3)), Some(daily(3).name));
    assert_eq!(newest(3, &days(1..=3)), None);
    assert_eq!(newest(3, &[]), None);
}
