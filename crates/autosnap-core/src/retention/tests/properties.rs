// SPDX-License-Identifier: GPL-3.0-only
//! Properties of retention for any snapshots.

use jiff::tz;
use proptest::prelude::*;

use super::*;

/// Any snapshots, some of which count; names are unique, as in PVE.
fn snapshots() -> impl Strategy<Value = Vec<Snapshot>> {
    let name = (
        prop::sample::select(vec!["daily", "daily2", "daily_", "weekly", ""]),
        10..30u32,
        0..24u32,
        0..60u32,
    );
    let description =
        prop::sample::select(vec!["cv4pve-autosnap", "eve4pve-autosnap\n", "mine", ""]);
    let state = prop_oneof![
        6 => Just(SnapshotState::Complete),
        1 => Just(SnapshotState::Preparing),
        1 => Just(SnapshotState::Deleting),
        1 => Just(SnapshotState::Other("x".into())),
    ];
    // The difference between the time and the one in the name: usually less than 26 hours.
    let offset = prop::option::weighted(
        0.9,
        prop_oneof![8 => -93_000..93_000i64, 1 => 100_000..9_000_000i64, 1 => -9_000_000..-100_000i64],
    );
    let snapshot = (description, state, offset, any::<bool>());
    prop::collection::btree_map(name, snapshot, 0..30)
        .prop_map(|named| {
            named
                .into_iter()
                .map(
                    |((label, day, hour, second), (description, state, offset, with_ram))| {
                        let name = format!("auto{label}2311{day}{hour:02}00{second:02}");
                        let named =
                            1_698_796_800 + i64::from((day - 1) * 86_400 + hour * 3600 + second);
                        Snapshot {
                            description: description.into(),
                            state,
                            with_ram,
                            ..ours(&name, offset.map(|offset| named + offset))
                        }
                    },
                )
                .collect::<Vec<_>>()
        })
        .prop_shuffle()
}

/// The time in the name of such a snapshot.
fn named_time(snapshot: &Snapshot) -> i64 {
    let digits = &snapshot.name["autodaily2311".len()..];
    let number = |range: std::ops::Range<usize>| digits[range].parse::<i64>().unwrap();
    1_698_796_800 + (number(0..2) - 1) * 86_400 + number(2..4) * 3600 + number(6..8)
}

fn counts(snapshot: &Snapshot) -> bool {
    snapshot.is_ours()
        && snapshot.state == SnapshotState::Complete
        && snapshot.name.len() == "autodaily231123170958".len()
        && snapshot.name.starts_with("autodaily2")
        && snapshot.taken_at.is_some_and(|taken_at| {
            let taken_at = taken_at.as_second();
            taken_at <= NOW + 300 && (taken_at - named_time(snapshot)).abs() <= 26 * 3600
        })
}

proptest! {
    #[test]
    fn every_snapshot_gets_one_verdict(snapshots in snapshots(), keep in 0..9u32, new: bool) {
        let new = new.then(|| new_name("autodaily231115000000"));
        let verdicts = decide(&snapshots, &policy("daily", keep), new.as_ref());
        let mut listed = names(snapshots.iter());
        let mut decided = names(verdicts.iter().map(|verdict| &verdict.snapshot));
        listed.sort_unstable();
        decided.sort_unstable();
        prop_assert_eq!(listed, decided);
    }

    #[test]
    fn only_complete_snapshots_of_ours_with_the_label_are_removed(snapshots in snapshots(), keep in 1..9u32) {
        let verdicts = decide(&snapshots, &policy("daily", keep), None);
        prop_assert!(removals(&verdicts).all(counts));
    }

    #[test]
    fn as_many_stay_as_the_rules_keep(snapshots in snapshots(), keep in 1..9u32, new: bool) {
        let new = new.then(|| new_name("autodaily231116000000"));
        let others = |snapshot: &&Snapshot| counts(snapshot) && new.as_ref().is_none_or(|new| new.as_str() != snapshot.name);
        let total = snapshots.iter().filter(others).count() + usize::from(new.is_some());
        let verdicts = decide(&snapshots, &policy("daily", keep), new.as_ref());
        let keep = usize::try_from(keep).unwrap().max(usize::from(new.is_some()));
        prop_assert_eq!(total - removals(&verdicts).count(), keep.min(total));
    }

    #[test]
    fn no_removed_snapshot_is_newer_than_a_kept_one(snapshots in snapshots(), keep in 0..9u32) {
        let verdicts = decide(&snapshots, &policy("daily", keep), None);
        let age = |snapshot: &Snapshot| (snapshot.taken_at, snapshot.name.clone());
        let oldest_kept = verdicts
            .iter()
            .filter(|verdict| matches!(verdict.reason, Reason::Kept { .. }))
            .map(|verdict| age(&verdict.snapshot))
            .min();
        let removed: Vec<_> = removals(&verdicts).map(age).collect();
        prop_assert!(oldest_kept.is_none_or(|kept| removed.iter().all(|removed| *removed <= kept)));
        prop_assert!(removed.is_sorted());
    }

    #[test]
    fn nothing_is_removed_the_second_time(snapshots in snapshots(), keep in 0..9u32, new: bool) {
        let new = new.then(|| new_name("autodaily231117000000"));
        let policy = policy("daily", keep);
        let verdicts = decide(&snapshots, &policy, new.as_ref());
        let remaining: Vec<Snapshot> = verdicts
            .into_iter()
            .filter(|verdict| !verdict.reason.is_removal())
            .map(|verdict| verdict.snapshot)
            .collect();
        let again = decide(&remaining, &policy, new.as_ref());
        prop_assert_eq!(removals(&again).count(), 0);
    }

    /// Execution may shrink the plan: if only a part of the removals is done, the other verdicts do not change.
    #[test]
    fn removing_a_part_of_the_removals_changes_no_other_verdict(
        snapshots in snapshots(),
        keep in 0..9u32,
        new: bool,
        removed_first in any::<u32>(),
    ) {
        let new = new.then(|| new_name("autodaily231117000000"));
        let policy = policy("daily", keep);
        let verdicts = decide(&snapshots, &policy, new.as_ref());
        let is_removed_first = |index: usize| removed_first >> index & 1 == 1;
        let mut index = 0;
        let left: Vec<Snapshot> = verdicts
            .iter()
            .filter(|verdict| {
                index += usize::from(verdict.reason.is_removal());
                !(verdict.reason.is_removal() && is_removed_first(index - 1))
            })
            .map(|verdict| verdict.snapshot.clone())
            .collect();
        let removed = |verdicts: &[Verdict]| -> Vec<String> {
            removals(verdicts).map(|snapshot| snapshot.name.clone()).collect()
        };
        let left_to_remove: Vec<String> = removed(&verdicts)
            .into_iter()
            .filter(|name| left.iter().any(|snapshot| snapshot.name == *name))
            .collect();
        prop_assert_eq!(removed(&decide(&left, &policy, new.as_ref())), left_to_remove);
    }

    /// `keep-last` counts snapshots, not hours or days.
    #[test]
    fn the_zone_does_not_matter_to_keep_last(snapshots in snapshots(), keep in 0..9u32, hours in -12..=14i8) {
        let policy = policy("daily", keep);
        let elsewhere = second(NOW).to_zoned(TimeZone::fixed(tz::offset(hours)));
        let here = decide(&snapshots, &policy, None);
        prop_assert_eq!(crate::retention::decide(&snapshots, &policy, None, &elsewhere), here);
    }

    #[test]
    fn snapshots_that_do_not_count_change_nothing(snapshots in snapshots(), keep in 1..9u32) {
        let policy = policy("daily", keep);
        let counted: Vec<Snapshot> = snapshots.iter().filter(|snapshot| counts(snapshot)).cloned().collect();
        let with = decide(&snapshots, &policy, None);
        let without = decide(&counted, &policy, None);
        prop_assert_eq!(names(removals(&with)), names(removals(&without)));
    }

    /// A series with adopted labels owns what the jobs of these labels own, and nothing else.
    #[test]
    fn adopted_labels_count_as_their_own_series_do(snapshots in snapshots(), keep in 1..9u32) {
        let label = |label| Label::parse(label).unwrap();
        let owner = series("weekly", TimestampFormat::DEFAULT);
        let owner = owner.with_adopted_labels([label("daily"), label("daily2")]);
        let removed = |series: Series, keep| -> std::collections::BTreeSet<String> {
            let verdicts = decide(&snapshots, &Policy::new(series, Rules::keep_last(keep)), None);
            removals(&verdicts).map(|snapshot| snapshot.name.clone()).collect()
        };
        let alone = |label| removed(series(label, TimestampFormat::DEFAULT), 0);
        let all: std::collections::BTreeSet<String> = ["weekly", "daily", "daily2"].map(alone).into_iter().flatten().collect();
        prop_assert_eq!(&removed(owner.clone(), 0), &all);
        let some = removed(owner, keep);
        prop_assert!(some.is_subset(&all));
        let counted = |snapshot: &&Snapshot| all.contains(&snapshot.name) && snapshot.taken_at.unwrap().as_second() <= NOW + 300;
        let counted = snapshots.iter().filter(counted).count();
        prop_assert!(some.len() <= counted.saturating_sub(keep as usize));
    }

    #[test]
    fn keeping_more_never_removes_more(snapshots in snapshots(), keep in 0..9u32) {
        let fewer = decide(&snapshots, &policy("daily", keep + 1), None);
        let more = decide(&snapshots, &policy("daily", keep), None);
        let more = names(removals(&more));
        prop_assert!(names(removals(&fewer)).iter().all(|name| more.contains(name)));
    }
}
