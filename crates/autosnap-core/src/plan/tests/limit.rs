// SPDX-License-Identifier: GPL-3.0-only
//! The guard against mass removals, in a table and as a property of repeated runs.

use proptest::prelude::*;

use super::*;

fn limited(intent: Intent, limit: u32) -> Intent {
    Intent {
        removal_limit: RemovalLimit::new(limit).unwrap(),
        ..intent
    }
}

fn steps(intent: &Intent, snapshots: Vec<Snapshot>) -> (Vec<String>, usize, Vec<Note>) {
    let plan = decided(
        intent,
        guest(GuestStatus::Running),
        &reading(&[("agent", "1")], snapshots),
    );
    let steps = plan.steps().unwrap();
    let removals = steps.removals().map(|one| one.name.clone()).collect();
    (removals, steps.left_to_next_runs(), plan.notes)
}

#[test]
fn the_oldest_are_removed_and_the_others_are_left_with_a_note() {
    let backlog = || (1..=9).rev().map(daily).collect::<Vec<_>>();
    let oldest = |count: i64| (1..=count).map(|number| daily(number).name).collect();
    let (removals, left, notes) = steps(&limited(snap(2), 3), backlog());
    assert_eq!((removals, left), (oldest(3), 5));
    assert_eq!(notes, [Note::RemovalLimit { limit: 3, left: 5 }]);
    let clean = |keep| limited(intent(Action::Clean, keep), 3);
    let (removals, left, _) = steps(&clean(1), backlog());
    assert_eq!((removals, left), (oldest(3), 5));
    let (removals, left, notes) = steps(&clean(6), backlog());
    assert_eq!((removals, left), (oldest(3), 0));
    assert_eq!(notes, []);
    // `clean --keep=0` is not limited.
    let (removals, left, _) = steps(&clean(0), backlog());
    assert_eq!((removals, left), (oldest(9), 0));
}

#[test]
fn a_limit_below_two_is_refused() {
    let limits: Vec<_> = [0, 1, 2, u32::MAX].map(RemovalLimit::new).into();
    let numbers: Vec<_> = limits
        .iter()
        .map(|limit| limit.map(RemovalLimit::get))
        .collect();
    assert_eq!(numbers, [None, None, Some(2), Some(u32::MAX)]);
    assert_eq!(RemovalLimit::default().get(), 20);
}

/// The snapshot that a run takes at that second of the day.
fn at(second: i64) -> Snapshot {
    let (minutes, seconds) = (second / 60, second % 60);
    snapshot(
        &format!("autodaily26010100{minutes:02}{seconds:02}"),
        second,
    )
}

/// A run that takes a snapshot at that second of the day.
fn snap_at(second: i64, keep: u32) -> Intent {
    let creation = Creation {
        name: SnapName::parse(at(second).name.as_str()).unwrap(),
        with_ram: false,
        only_running: false,
        description: "cv4pve-autosnap".into(),
    };
    intent(Action::Snap(creation), keep)
}

proptest! {
    /// A run removes at most as many snapshots of a guest as the limit, and always the oldest ones;
    /// repeated runs reach the policy.
    #[test]
    fn repeated_runs_reach_the_policy_in_steps_of_the_limit(
        backlog in 0_i64..40,
        keep in 1_u32..6,
        limit in 2_u32..9,
        snaps in any::<bool>(),
    ) {
        let mut listed: Vec<Snapshot> = (1..=backlog).map(at).collect();
        for run in 0..50_i64 {
            let base = if snaps { snap_at(backlog + 1 + run, keep) } else { intent(Action::Clean, keep) };
            let unlimited = steps(&limited(base.clone(), u32::MAX), listed.clone()).0;
            let (removals, left, _) = steps(&limited(base, limit), listed.clone());
            prop_assert!(removals.len() <= limit as usize);
            prop_assert_eq!(removals.len() + left, unlimited.len());
            prop_assert_eq!(&removals, &unlimited[..removals.len()]);
            listed.retain(|one| !removals.contains(&one.name));
            if snaps {
                listed.push(at(backlog + 1 + run));
            }
        }
        let newest = if snaps { i64::from(keep) } else { i64::from(keep).min(backlog) };
        prop_assert_eq!(i64::try_from(listed.len()).unwrap(), newest);
    }

    #[test]
    fn clean_with_keep_0_is_not_limited(backlog in 0_i64..40, limit in 2_u32..9) {
        let listed: Vec<Snapshot> = (1..=backlog).map(at).collect();
        let (removals, left, _) = steps(&limited(intent(Action::Clean, 0), limit), listed);
        prop_assert_eq!((i64::try_from(removals.len()).unwrap(), left), (backlog, 0));
    }
}
