// SPDX-License-Identifier: GPL-3.0-only
//! The confirmation of removals, in tables and as a property of plan and execution.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::retention::KeepCounts;

/// The new snapshot, taken at any time.
fn taken(name: &SnapName) -> TakenSnapshot {
    TakenSnapshot {
        name: name.clone(),
        not_before: Timestamp::UNIX_EPOCH,
    }
}

#[test]
fn a_removal_is_dropped_when_the_snapshot_is_gone_replaced_or_kept_now() {
    let new = new_name();
    let created = snapshot(new.as_str(), 99);
    let check = |listed: &[Snapshot], expected: Result<(), DropReason>| {
        let policy = policy("daily", 2);
        let confirmed = confirm_removal(&daily(1), listed, &policy, Some(&taken(&new)), &now());
        assert_eq!(confirmed, expected, "{listed:?}");
    };
    check(&[daily(1), daily(2), created.clone()], Ok(()));
    check(&[daily(2), created.clone()], Err(DropReason::Gone));
    let replaced = Snapshot {
        taken_at: Some(after_new_year(50)),
        ..daily(1)
    };
    check(
        &[replaced, daily(2), created.clone()],
        Err(DropReason::Replaced),
    );
    check(&[daily(1), created], Err(DropReason::KeptNow));
}

#[test]
fn nothing_is_confirmed_by_a_list_without_the_new_snapshot_complete_and_of_this_run() {
    let new = TakenSnapshot {
        name: new_name(),
        not_before: after_new_year(90),
    };
    let created = snapshot(new.name.as_str(), 99);
    let check = |entry: Option<Snapshot>, expected: Result<(), DropReason>| {
        let listed: Vec<Snapshot> = [daily(1), daily(2)].into_iter().chain(entry).collect();
        for planned in [daily(1), daily(2)] {
            let policy = policy("daily", 1);
            let confirmed = confirm_removal(&planned, &listed, &policy, Some(&new), &now());
            assert_eq!(confirmed, expected, "{listed:?}");
        }
    };
    check(Some(created.clone()), Ok(()));
    check(None, Err(DropReason::NewNotListed));
    for state in [SnapshotState::Preparing, SnapshotState::Deleting] {
        let incomplete = Snapshot {
            state,
            ..created.clone()
        };
        check(Some(incomplete), Err(DropReason::NewIncomplete));
    }
    for taken_at in [Some(after_new_year(89)), None] {
        let older = Snapshot {
            taken_at,
            ..created.clone()
        };
        check(Some(older), Err(DropReason::NewIsAnother));
    }
    let foreign = Snapshot {
        description: "by hand".into(),
        ..created
    };
    check(Some(foreign), Err(DropReason::NewIsAnother));
}

#[test]
fn a_dropped_removal_is_a_failure_if_the_new_snapshot_is_not_confirmed() {
    for (reason, is_failure) in [
        (DropReason::Gone, false),
        (DropReason::Replaced, false),
        (DropReason::KeptNow, false),
        (DropReason::NewNotListed, true),
        (DropReason::NewIncomplete, true),
        (DropReason::NewIsAnother, true),
    ] {
        assert_eq!(reason.is_failure(), is_failure, "{reason:?}");
    }
}

fn any_snapshots() -> impl Strategy<Value = Vec<Snapshot>> {
    let one = (0..60_i64, any::<bool>(), any::<bool>(), 0..3_u8);
    prop::collection::vec(one, 0..12).prop_map(|drawn| {
        let mut seen = std::collections::HashSet::new();
        let unique = drawn
            .into_iter()
            .filter(|(number, ..)| seen.insert(*number));
        let snapshots = unique.map(|(number, is_ours, is_daily, state)| Snapshot {
            name: format!(
                "auto{}2601010000{number:02}",
                if is_daily { "daily" } else { "hourly" }
            ),
            description: if is_ours {
                "cv4pve-autosnap\n".into()
            } else {
                "by hand".into()
            },
            state: if state == 0 {
                SnapshotState::Deleting
            } else {
                SnapshotState::Complete
            },
            ..daily(number)
        });
        snapshots.collect()
    })
}

/// How many snapshots the policy counts, the new one included.
fn counted(list: &[Snapshot], policy: &Policy, new: &SnapName) -> usize {
    let verdicts = retention::decide(list, policy, Some(new), &now());
    let counts = |verdict: &&retention::Verdict| {
        matches!(
            verdict.reason,
            Reason::Kept { .. } | Reason::KeptNew | Reason::Removed { .. }
        )
    };
    verdicts.iter().filter(counts).count()
}

/// Any keep rules, with and without guards.
fn any_rules() -> impl Strategy<Value = Rules> {
    let count = || 0..4_u32;
    let counts = (count(), count(), count(), count(), 0..3_i64, count());
    counts.prop_map(|(last, hourly, daily, weekly, age, keep_min)| {
        let counts = KeepCounts {
            last: Some(last),
            hourly: Some(hourly),
            daily: Some(daily),
            weekly: Some(weekly),
            ..KeepCounts::default()
        };
        Rules::from_counts(counts)
            .with_min_age(SignedDuration::from_hours(age))
            .with_keep_min(keep_min)
    })
}

/// Snapshots of three weeks that count, in any order.
fn hourly_snapshots() -> impl Strategy<Value = Vec<Snapshot>> {
    let hours = prop_oneof![0..24_i64, 0..500_i64];
    let hours = prop::collection::btree_set(hours, 0..16);
    let snapshots = hours.prop_map(|hours| {
        let taken = hours.into_iter().map(|hour| {
            let time = after_new_year(86_000 - hour * 3600);
            let name = format!("autodaily{}", time.strftime("%y%m%d%H%M%S"));
            Snapshot {
                taken_at: Some(time),
                ..snapshot(&name, 0)
            }
        });
        taken.collect::<Vec<_>>()
    });
    snapshots.prop_shuffle()
}

proptest! {
    /// The same with PVE's rules: a run removes exactly what is planned, in any order and in part, and after any change
    /// in between nothing that the rules keep.
    #[test]
    fn removals_by_rules_are_confirmed_one_by_one(
        planned_for in hourly_snapshots(),
        found_later in hourly_snapshots(),
        rules in any_rules(),
        dropped: u32,
    ) {
        let new = new_name();
        let with_new = |mut list: Vec<Snapshot>| { list.push(snapshot(new.as_str(), 86_399)); list };
        let policy = Arc::new(Policy { rules, ..policy("daily", 0) });
        let intent = Intent { policy: Arc::clone(&policy), ..snap(0) };
        let plan = decided(&intent, guest(GuestStatus::Running), &reading(&[], planned_for.clone()));
        let planned: Vec<Snapshot> = plan.steps().unwrap().removals().cloned().collect();
        let remove = |mut listed: Vec<Snapshot>, which: &dyn Fn(usize) -> bool| {
            for (index, snapshot) in planned.iter().enumerate() {
                let confirmed = confirm_removal(snapshot, &listed, &policy, Some(&taken(&new)), &now());
                if confirmed.is_ok() && which(index) {
                    listed.retain(|one| one.name != snapshot.name);
                }
            }
            listed
        };
        let is_planned = |one: &Snapshot| planned.iter().any(|other| other.name == one.name);

        let listed = with_new(planned_for);
        let left = remove(listed.clone(), &|_| true);
        prop_assert!(!left.iter().any(is_planned));
        prop_assert_eq!(left.len(), listed.len() - planned.len());
        let first = remove(listed, &|index| dropped >> index & 1 == 1);
        prop_assert_eq!(remove(first, &|_| true), left);

        let listed = with_new(found_later);
        let verdicts = retention::decide(&listed, &policy, Some(&new), &now());
        let left = remove(listed, &|_| true);
        for verdict in verdicts.iter().filter(|verdict| !verdict.reason.is_removal()) {
            prop_assert!(left.contains(&verdict.snapshot), "{verdict:?}");
        }
    }

    /// An undisturbed run removes exactly the planned snapshots, one after the other. After any change in
    /// between it removes only planned ones, and never leaves fewer than the policy keeps.
    #[test]
    fn execution_shrinks_the_plan_and_never_grows_it(
        planned_for in any_snapshots(),
        found_later in any_snapshots(),
        keep in 1..6_u32,
    ) {
        let new = new_name();
        let plan = decided(&snap(keep), guest(GuestStatus::Running), &reading(&[], planned_for.clone()));
        let Decision::Proceed(steps) = &plan.decision else { panic!() };
        let planned: Vec<Snapshot> = steps.removals().cloned().collect();
        let policy = &plan.policy;
        let remove = |mut listed: Vec<Snapshot>| {
            let mut removed = Vec::new();
            for snapshot in &planned {
                if confirm_removal(snapshot, &listed, policy, Some(&taken(&new)), &now()).is_ok() {
                    listed.retain(|one| one.name != snapshot.name);
                    removed.push(snapshot.clone());
                }
            }
            (removed, listed)
        };
        let with_new = |mut list: Vec<Snapshot>| { list.push(snapshot(new.as_str(), 1000)); list };

        prop_assert_eq!(&remove(with_new(planned_for)).0, &planned);
        prop_assert_eq!(remove(found_later.clone()).0, []);
        let listed = with_new(found_later);
        let before = counted(&listed, policy, &new);
        let (removed, left) = remove(listed);
        prop_assert!(removed.iter().all(Snapshot::is_ours));
        prop_assert!(counted(&left, policy, &new) >= before.min(keep as usize));
    }

    /// By the same list, the removals that are confirmed one by one are those that the plan names.
    #[test]
    fn one_list_confirms_exactly_the_removals_of_its_plan(
        snapshots in any_snapshots(),
        keep in 0..6_u32,
    ) {
        let plan = decided(&intent(Action::Clean, keep), guest(GuestStatus::Running), &reading(&[], snapshots.clone()));
        let planned: Vec<&str> = plan.steps().unwrap().removals().map(|one| one.name.as_str()).collect();
        for snapshot in &snapshots {
            let confirmed = confirm_removal(snapshot, &snapshots, &plan.policy, None, &now());
            prop_assert_eq!(confirmed.is_ok(), planned.contains(&snapshot.name.as_str()), "{:?}", snapshot);
        }
    }

    /// Only a guest's own policy decides about its snapshots, even if other guests of the plan have other policies.
    #[test]
    fn guests_of_one_plan_may_have_different_policies(
        snapshots in any_snapshots(),
        keeps in prop::collection::vec(1..6_u32, 1..4),
    ) {
        let guests: Vec<GuestPlan> = keeps
            .iter()
            .map(|keep| decided(&snap(*keep), guest(GuestStatus::Running), &reading(&[], snapshots.clone())))
            .collect();
        let plan = Plan { guests };
        for (plan, keep) in plan.guests.iter().zip(&keeps) {
            prop_assert_eq!(plan.policy.rules.is_simple(), Some(*keep));
            prop_assert_eq!(plan.action.new_name(), Some(&new_name()));
            let planned: Vec<&Snapshot> = plan.steps().unwrap().removals().collect();
            let verdicts = retention::decide(&snapshots, &policy("daily", *keep), Some(&new_name()), &now());
            let expected: Vec<&Snapshot> = retention::removals(&verdicts).collect();
            prop_assert_eq!(planned, expected);
        }
    }
}
