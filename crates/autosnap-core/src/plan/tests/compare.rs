// SPDX-License-Identifier: GPL-3.0-only
//! The comparison of a plan with other rules.

use super::*;

/// The plan for the guest with this ID and so many daily snapshots.
fn planned(vmid: u32, intent: &Intent, snapshots: i64) -> GuestPlan {
    let guest = Guest {
        vmid: Vmid::new(vmid).unwrap(),
        ..guest(GuestStatus::Running)
    };
    let snapshots = (1..=snapshots).map(daily).collect();
    decided(intent, guest, &reading(&[("agent", "1")], snapshots))
}

fn counts(kept: usize, removed: usize) -> RuleCounts {
    RuleCounts { kept, removed }
}

/// The names of the snapshots that only one side keeps, newest first, and whether the other rules keep them.
fn differences(guest: &GuestComparison) -> Vec<(String, bool)> {
    let differences = guest.differences.iter();
    differences
        .map(|one| (one.snapshot.name.clone(), one.is_kept_by_other()))
        .collect()
}

fn vmids<'a>(guests: impl Iterator<Item = &'a Guest>) -> Vec<u32> {
    guests.map(|guest| guest.vmid.get()).collect()
}

#[test]
fn a_comparison_counts_what_each_side_keeps_and_removes() {
    let intent = intent(Action::Clean, 2);
    let plan = Plan {
        guests: vec![planned(100, &intent, 9), planned(101, &intent, 4)],
    };
    let fewer = Comparison::new(&plan, Rules::keep_last(1), &now());
    let first = &fewer.guests[0];
    assert_eq!((first.own, first.other), (counts(2, 7), counts(1, 8)));
    assert_eq!(differences(first), [(daily(8).name, false)]);
    assert_eq!((fewer.own(), fewer.other()), (counts(4, 9), counts(2, 11)));
    let more = Comparison::new(&plan, Rules::keep_last(5), &now());
    let first = &more.guests[0];
    assert_eq!((first.own, first.other), (counts(2, 7), counts(5, 4)));
    let gained = [7, 6, 5].map(|day| (daily(day).name, true));
    assert_eq!(differences(first), gained);
    assert_eq!((more.own(), more.other()), (counts(4, 9), counts(9, 4)));
}

/// The snapshot that the run takes is not counted, and takes a place on both sides.
#[test]
fn a_comparison_leaves_the_new_snapshot_out() {
    let plan = Plan {
        guests: vec![planned(100, &snap(3), 4)],
    };
    let comparison = Comparison::new(&plan, Rules::keep_last(4), &now());
    assert_eq!(comparison.own(), counts(2, 2));
    assert_eq!(comparison.other(), counts(3, 1));
}

/// The plan of a run with a limit removes fewer snapshots, which the comparison does not consider.
#[test]
fn a_comparison_ignores_the_limit_of_removals() {
    let intent = Intent {
        removal_limit: RemovalLimit::new(2).unwrap(),
        ..intent(Action::Clean, 2)
    };
    let plan = Plan {
        guests: vec![planned(100, &intent, 6)],
    };
    assert_eq!(plan.guests[0].steps().unwrap().removals().count(), 2);
    let comparison = Comparison::new(&plan, Rules::keep_all(), &now());
    assert_eq!(comparison.own(), counts(2, 4));
    assert_eq!(comparison.other(), counts(6, 0));
}

#[test]
fn guests_with_differences_come_first_and_guests_that_were_not_read_are_named() {
    let intent = intent(Action::Clean, 2);
    let template = Guest {
        template: true,
        vmid: Vmid::new(102).unwrap(),
        ..guest(GuestStatus::Stopped)
    };
    let skipped = Decision::Skip(Skip::Template);
    let plan = Plan {
        guests: vec![
            planned(100, &intent, 1),
            GuestPlan::without_reading(template, &intent, skipped),
            planned(101, &intent, 4),
        ],
    };
    let comparison = Comparison::new(&plan, Rules::keep_last(3), &now());
    let compared = comparison.guests.iter().map(|guest| &guest.guest);
    assert_eq!(vmids(compared), [101, 100]);
    assert_eq!(comparison.guests[1].differences, []);
    assert_eq!(vmids(comparison.not_compared.iter()), [102]);
}
