// SPDX-License-Identifier: GPL-3.0-only
//! The confirmation of removals, in tables and as a property of plan and execution.

use proptest::prelude::*;

use super::*;

#[test]
fn a_removal_is_dropped_when_the_snapshot_is_gone_replaced_or_kept_now() {
    let policy = snap(2).policy;
    let new = new_name();
    let made = snapshot(new.as_str(), 99);
    let check = |listed: &[Snapshot], expected: &str| {
        let confirmed = confirm_removals([&daily(1)], listed, &policy, Some(&taken(&new)), NOW);
        assert!(
            format!("{confirmed:?}").starts_with(expected),
            "{confirmed:?}"
        );
    };
    check(&[daily(1), daily(2), made.clone()], "[Remove(");
    check(&[daily(2), made.clone()], "[Drop(");
    let replaced = Snapshot {
        taken_at: Some(NEW_YEAR + 50),
        ..daily(1)
    };
    check(&[replaced, daily(2), made.clone()], "[Drop(");
    check(&[daily(1), made], "[Drop(");
}

#[test]
fn nothing_is_confirmed_by_a_list_without_the_new_snapshot_complete_and_of_this_run() {
    let policy = snap(1).policy;
    let new = TakenSnapshot {
        name: new_name(),
        not_before: NEW_YEAR + 90,
    };
    let made = snapshot(new.name.as_str(), 99);
    let check = |entry: Option<Snapshot>, expected: Option<DropReason>| {
        let listed: Vec<Snapshot> = [daily(1), daily(2)].into_iter().chain(entry).collect();
        let confirmed = confirm_removals([&daily(1), &daily(2)], &listed, &policy, Some(&new), NOW);
        let reasons: Vec<Option<DropReason>> = confirmed
            .into_iter()
            .map(|one| match one {
                Confirmation::Remove(_) => None,
                Confirmation::Drop(_, reason) => Some(reason),
            })
            .collect();
        assert_eq!(reasons, [expected; 2]);
    };
    check(Some(made.clone()), None);
    check(None, Some(DropReason::NewNotListed));
    for state in [SnapshotState::Preparing, SnapshotState::Deleting] {
        let half = Snapshot {
            state,
            ..made.clone()
        };
        check(Some(half), Some(DropReason::NewIncomplete));
    }
    for taken_at in [Some(NEW_YEAR + 89), None] {
        let older = Snapshot {
            taken_at,
            ..made.clone()
        };
        check(Some(older), Some(DropReason::NewIsAnother));
    }
    let foreign = Snapshot {
        description: "by hand".to_owned(),
        ..made
    };
    check(Some(foreign), Some(DropReason::NewIsAnother));
}

/// The new snapshot, taken at any time.
fn taken(name: &SnapName) -> TakenSnapshot {
    TakenSnapshot {
        name: name.clone(),
        not_before: 0,
    }
}

fn any_snapshots() -> impl Strategy<Value = Vec<Snapshot>> {
    let one = (0..60_i64, any::<bool>(), any::<bool>(), 0..3_u8);
    prop::collection::vec(one, 0..12).prop_map(|drawn| {
        let mut seen = std::collections::HashSet::new();
        let made = drawn
            .into_iter()
            .filter(|(number, ..)| seen.insert(*number));
        made.map(|(number, ours, daily_label, state)| Snapshot {
            name: format!(
                "auto{}2601010000{number:02}",
                if daily_label { "daily" } else { "hourly" }
            ),
            description: if ours {
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
        })
        .collect()
    })
}

proptest! {
    /// An undisturbed run removes exactly what the plan named; whatever was changed in between,
    /// it removes nothing else, and never goes below what the policy keeps.
    #[test]
    fn execution_shrinks_the_plan_and_never_grows_it(
        planned_for in any_snapshots(),
        found_later in any_snapshots(),
        keep in 1..6_u32,
    ) {
        let request = snap(keep);
        let new = new_name();
        let plan = decided(&request, guest(GuestStatus::Running), &reading(&[], planned_for.clone()));
        let Decision::Proceed(steps) = plan.decision else { panic!() };
        let planned: Vec<Snapshot> = steps.removals().cloned().collect();
        let with_new = |mut list: Vec<Snapshot>| { list.push(snapshot(new.as_str(), 1000)); list };

        let undisturbed = confirm_removals(&planned, &with_new(planned_for), &request.policy, Some(&taken(&new)), NOW);
        let removed = |list: Vec<Confirmation>| list.into_iter().filter_map(|one| match one {
            Confirmation::Remove(snapshot) => Some(snapshot),
            Confirmation::Drop(..) => None,
        }).collect::<Vec<_>>();
        prop_assert_eq!(&removed(undisturbed), &planned);

        let without_new = confirm_removals(&planned, &found_later, &request.policy, Some(&taken(&new)), NOW);
        prop_assert_eq!(removed(without_new), []);
        let listed = with_new(found_later);
        let later = removed(confirm_removals(&planned, &listed, &request.policy, Some(&taken(&new)), NOW));
        prop_assert!(later.iter().all(|snapshot| planned.contains(snapshot) && snapshot.is_ours()));
        let counted = |list: &[Snapshot]| retention::decide(list, &request.policy, Some(&new), NOW).into_iter()
            .filter(|verdict| matches!(verdict.reason, Reason::Kept { .. } | Reason::KeptNew | Reason::Removed { .. })).count();
        let left: Vec<Snapshot> = listed.iter().filter(|one| !later.contains(one)).cloned().collect();
        prop_assert!(counted(&left) >= counted(&listed).min(keep as usize));
    }
}
