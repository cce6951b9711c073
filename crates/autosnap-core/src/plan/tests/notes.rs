// SPDX-License-Identifier: GPL-3.0-only
//! The notes on a guest.

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
