// SPDX-License-Identifier: GPL-3.0-only
//! The notes on a guest.

use jiff::SignedDuration;

use super::*;
use crate::retention::StuckRemovals;
use crate::storage::UncheckedStorage;

fn notes(intent: &Intent, reading: &Reading) -> Vec<Note> {
    decided(intent, guest(GuestStatus::Running), reading).notes
}

#[test]
fn a_vm_without_agent_is_noted_before_a_snapshot_only() {
    let clean = intent(Action::Clean, 1);
    let without = reading(&[], Vec::new());
    assert_eq!(notes(&snap(1), &without), [Note::AgentDisabled]);
    assert_eq!(notes(&clean, &without), []);
    assert_eq!(notes(&snap(1), &reading(&[("agent", "1")], Vec::new())), []);
    let unread = Reading {
        config: None,
        ..without
    };
    assert_eq!(notes(&snap(1), &unread), []);
}

#[test]
fn incomplete_snapshots_that_stay_are_noted_oldest_first() {
    let preparing = Snapshot {
        state: SnapshotState::Preparing,
        ..daily(3)
    };
    let deleting = Snapshot {
        state: SnapshotState::Deleting,
        ..daily(2)
    };
    let listed = reading(
        &[("agent", "1")],
        vec![preparing, daily(4), deleting, daily(1)],
    );
    let note = |number, state| Note::Incomplete {
        name: daily(number).name,
        state,
    };
    let left = [
        note(2, SnapshotState::Deleting),
        note(3, SnapshotState::Preparing),
    ];
    assert_eq!(notes(&snap(9), &listed), left);
    // A removal that is retried is not left.
    let policy = Policy {
        stuck: StuckRemovals::Retry,
        ..policy("daily", 9)
    };
    let retrying = Intent {
        policy: Arc::new(policy),
        ..snap(9)
    };
    assert_eq!(notes(&retrying, &listed), left[1..]);
    // A running task is working on them.
    let busy = Reading {
        task_runs: Some(true),
        ..listed
    };
    assert_eq!(notes(&snap(9), &busy), []);
}

#[test]
fn overdue_removals_are_noted_with_their_number() {
    let late = Reading {
        newest_was_late: true,
        ..reading(&[("agent", "1")], (1..=4).map(daily).collect())
    };
    assert_eq!(notes(&snap(2), &late), [Note::RemovalsOverdue { count: 2 }]);
    assert_eq!(notes(&snap(4), &late), []);
}

#[test]
fn storages_that_cannot_be_checked_are_noted_before_a_snapshot_only() {
    let config = [("agent", "1"), ("scsi0", "hidden:vm-100-disk-0")];
    let on_storage = reading(&config, Vec::new());
    let [Note::LimitNotChecked(UncheckedStorage { node, storage, .. })] =
        &notes(&snap(1), &on_storage)[..]
    else {
        panic!("{:?}", notes(&snap(1), &on_storage))
    };
    assert_eq!((node.as_str(), storage.as_str()), ("pve1", "hidden"));
    assert_eq!(notes(&intent(Action::Clean, 1), &on_storage), []);
    let guard = StorageGuard {
        storages: &[],
        limit: None,
    };
    let plan = decide(guest(GuestStatus::Running), &on_storage, &snap(1), guard);
    assert_eq!(plan.notes, [], "without a limit nothing is checked");
}

/// A snapshot of the series with these lines of marks.
fn marked(number: i64, lines: &str) -> Snapshot {
    Snapshot {
        description: format!("{}\n{lines}", crate::snapshot::DESCRIPTION).into(),
        ..daily(number)
    }
}

#[test]
fn a_line_that_is_not_a_mark_is_noted() {
    let line = "autosnap: pin";
    let listed = reading(&[("agent", "1")], vec![daily(1), marked(2, line)]);
    let note = Note::UnreadableMark {
        name: daily(2).name,
        line: line.to_owned(),
    };
    assert_eq!(notes(&snap(9), &listed), [note]);
}

#[test]
fn only_clean_without_a_rest_notes_held_snapshots() {
    let held = [3, 1].map(|number| marked(number, "autosnap: hold"));
    let mut snapshots = Vec::from(held);
    snapshots.push(daily(2));
    let listed = reading(&[("agent", "1")], snapshots);
    let names = [1, 3].map(|number| daily(number).name).to_vec();
    let clean = |keep| intent(Action::Clean, keep);
    assert_eq!(notes(&clean(0), &listed), [Note::Held { names }]);
    assert_eq!(notes(&clean(1), &listed), []);
    let unmarked = reading(&[("agent", "1")], vec![daily(2)]);
    assert_eq!(notes(&clean(0), &unmarked), []);
}

/// The time of the mark decides, and without it that of the snapshot.
#[test]
fn a_hold_of_more_than_a_year_is_noted() {
    let a_year_ago = now().timestamp() - SignedDuration::from_hours(365 * 24);
    let earlier = a_year_ago - SignedDuration::from_secs(1);
    let since = |time: Timestamp| marked(1, &format!("autosnap: hold since={time}"));
    let of = |snapshot: Snapshot| notes(&snap(9), &reading(&[("agent", "1")], vec![snapshot]));
    let note = |name: &str, since| Note::OldHold {
        name: name.to_owned(),
        since,
    };
    assert_eq!(of(since(earlier)), [note(&daily(1).name, earlier)]);
    assert_eq!(of(since(a_year_ago)), []);
    let old = Snapshot {
        name: "autodaily250101235958".to_owned(),
        taken_at: Some(earlier),
        ..marked(1, "autosnap: hold")
    };
    assert_eq!(of(old), [note("autodaily250101235958", earlier)]);
}

#[test]
fn impossible_times_are_noted_with_the_clock_that_is_wrong() {
    let future = now().timestamp() + SignedDuration::from_hours(1);
    let early = after_new_year(-30 * 86_400);
    let listed = reading(
        &[("agent", "1")],
        vec![
            Snapshot {
                taken_at: Some(future),
                ..daily(2)
            },
            Snapshot {
                taken_at: Some(early),
                ..daily(1)
            },
        ],
    );
    let note = |number, taken_at, future| Note::ImpossibleTime {
        name: daily(number).name,
        taken_at,
        future,
    };
    let expected = [note(1, early, false), note(2, future, true)];
    assert_eq!(notes(&snap(9), &listed), expected);
}
