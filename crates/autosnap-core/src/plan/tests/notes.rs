// SPDX-License-Identifier: GPL-3.0-only
//! The notes on a guest.

use super::*;
use crate::retention::StuckRemovals;

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
