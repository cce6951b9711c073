// SPDX-License-Identifier: GPL-3.0-only
//! Retention in tables and properties.

use proptest::prelude::*;

use super::*;

fn policy(label: &str, keep: u32) -> KeepPolicy {
    KeepPolicy {
        label: Label::parse(label).unwrap(),
        format: TimestampFormat::default(),
        keep,
        stuck: StuckRemovals::Leave,
    }
}

fn ours(name: &str, taken_at: Option<i64>) -> Snapshot {
    Snapshot {
        name: name.to_owned(),
        taken_at,
        description: "cv4pve-autosnap\n".to_owned(),
        parent: None,
        with_ram: false,
        state: SnapshotState::Complete,
    }
}

/// A snapshot of the label with a name that says the time it was taken at.
fn daily(day: i64) -> Snapshot {
    ours(
        &format!("autodaily2311{day:02}000000"),
        Some(1_698_796_800 + (day - 1) * 86_400),
    )
}

fn names<'a>(snapshots: impl Iterator<Item = &'a Snapshot>) -> Vec<&'a str> {
    snapshots.map(|snapshot| snapshot.name.as_str()).collect()
}

fn new_name(name: &str) -> SnapName {
    SnapName::parse(name).unwrap()
}

/// What `clean` or `snap` for label `daily` would remove.
fn removed(snapshots: &[Snapshot], keep: u32, new: Option<&str>) -> Vec<String> {
    let new = new.map(new_name);
    let verdicts = decide(snapshots, &policy("daily", keep), new.as_ref());
    names(removals(&verdicts))
        .into_iter()
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_oldest_go_first_and_the_newest_stay() {
    let week: Vec<Snapshot> = [3, 1, 5, 2, 4].map(daily).into();
    let day = |day: u32| format!("autodaily2311{day:02}000000");
    for (keep, new, expected) in [
        (5, None, vec![]),
        (9, None, vec![]),
        (3, None, vec![day(1), day(2)]),
        (1, None, vec![day(1), day(2), day(3), day(4)]),
        (0, None, vec![day(1), day(2), day(3), day(4), day(5)]),
        (5, Some("autodaily231106000000"), vec![day(1)]),
        (6, Some("autodaily231106000000"), vec![]),
        (
            1,
            Some("autodaily231106000000"),
            vec![day(1), day(2), day(3), day(4), day(5)],
        ),
    ] {
        assert_eq!(
            removed(&week, keep, new),
            expected,
            "keep {keep}, new {new:?}"
        );
    }
    assert!(removed(&[], 0, None).is_empty());
}

#[test]
fn keeping_none_still_keeps_the_new_one() {
    let new = "autodaily231103000000";
    let before = [daily(1), daily(2)];
    let after = [daily(1), daily(2), daily(3)];
    let expected = ["autodaily231101000000", "autodaily231102000000"];
    assert_eq!(removed(&before, 0, Some(new)), expected);
    assert_eq!(removed(&after, 0, Some(new)), expected);
    let verdicts = decide(&before, &policy("daily", 0), Some(&new_name(new)));
    let reasons = verdicts.iter().map(|verdict| verdict.reason.to_string());
    let told = [
        "number 2 from the newest, keep is 1",
        "number 3 from the newest, keep is 1",
    ];
    assert!(reasons.eq(told));
}

#[test]
fn the_plan_before_the_creation_and_a_look_after_it_agree() {
    let new = "autodaily231103000000";
    let before = [daily(1), daily(2)];
    let after = [daily(1), daily(2), daily(3)];
    for keep in 1..5 {
        let planned = removed(&before, keep, Some(new));
        assert_eq!(planned, removed(&after, keep, Some(new)), "keep {keep}");
    }
}

#[test]
fn the_new_one_stays_even_if_the_clock_went_back() {
    // The node's clock was wrong for a while: there are snapshots from its future.
    let future = [daily(28), daily(29), daily(30)];
    let mut after = future.to_vec();
    after.push(daily(1));
    let verdicts = decide(
        &after,
        &policy("daily", 2),
        Some(&new_name("autodaily231101000000")),
    );
    let reasons: Vec<&Reason> = verdicts.iter().map(|verdict| &verdict.reason).collect();
    let removed = |rank| Reason::Removed { rank, keep: 2 };
    assert_eq!(
        reasons,
        [
            &Reason::Kept { rank: 2 },
            &removed(3),
            &removed(4),
            &Reason::KeptNew
        ]
    );
    assert_eq!(
        names(removals(&verdicts)),
        ["autodaily231128000000", "autodaily231129000000"]
    );
}

#[test]
fn the_hour_that_comes_twice_is_ordered_by_the_instant() {
    // At the end of summer time 02:10 follows 02:50: names and instants disagree.
    let earlier = ours("autodaily231029025000", Some(1_698_540_600));
    let later = ours("autodaily231029021000", Some(1_698_541_800));
    assert_eq!(
        removed(&[later, earlier], 1, None),
        ["autodaily231029025000"]
    );
}

#[test]
fn equal_instants_are_ordered_by_name() {
    let same = |name| ours(name, Some(1_700_000_000));
    let snapshots = [same("autodaily231114221321"), same("autodaily231114221320")];
    assert_eq!(removed(&snapshots, 1, None), ["autodaily231114221320"]);
}

#[test]
fn what_does_not_count_stays_and_says_why() {
    let mut foreign = daily(2);
    foreign.description = "before the upgrade".to_owned();
    let mut preparing = daily(3);
    preparing.state = SnapshotState::Preparing;
    let mut deleting = daily(4);
    deleting.state = SnapshotState::Deleting;
    let mut other_state = daily(5);
    other_state.state = SnapshotState::Other("rollback".to_owned());
    let mut undated = daily(6);
    undated.taken_at = None;
    let weekly = ours("autoweekly231107000000", Some(1_699_315_200));
    let next_label = ours("autodaily2231108000000", Some(1_699_401_600));
    let underscored = ours("autodaily_2231109000000", Some(1_699_488_000));
    let plain = ours("daily231110000000", Some(1_699_574_400));
    let snapshots = [
        daily(1),
        foreign,
        preparing,
        deleting,
        other_state,
        undated,
        weekly,
        next_label,
        underscored,
        plain,
    ];
    let verdicts = decide(&snapshots, &policy("daily", 0), None);
    let told: Vec<(&str, String)> = verdicts
        .iter()
        .map(|verdict| (verdict.snapshot.name.as_str(), verdict.reason.to_string()))
        .collect();
    let expected = [
        ("daily231110000000", "has another label"),
        ("autodaily_2231109000000", "has another label"),
        ("autodaily2231108000000", "has another label"),
        ("autoweekly231107000000", "has another label"),
        ("autodaily231105000000", "not complete (snapstate rollback)"),
        ("autodaily231104000000", "not complete (snapstate delete)"),
        ("autodaily231103000000", "not complete (snapstate prepare)"),
        ("autodaily231102000000", "not taken by this tool"),
        (
            "autodaily231101000000",
            "number 1 from the newest, keep is 0",
        ),
        (
            "autodaily231106000000",
            "left alone, as PVE does not say when it was taken",
        ),
    ];
    assert_eq!(
        told,
        expected.map(|(name, reason)| (name, reason.to_owned()))
    );
    assert_eq!(names(removals(&verdicts)), ["autodaily231101000000"]);
}

#[test]
fn snapshots_of_the_former_name_and_of_the_default_format_are_cleaned_up_too() {
    let mut eve = daily(1);
    eve.description = "eve4pve-autosnap".to_owned();
    let spelled = ours("autodaily20231102_Thursday", Some(1_698_883_200));
    let policy = KeepPolicy {
        format: TimestampFormat::parse("yyyyMMdd_dddd").unwrap(),
        ..policy("daily", 0)
    };
    let verdicts = decide(&[spelled, eve], &policy, None);
    assert_eq!(
        names(removals(&verdicts)),
        ["autodaily231101000000", "autodaily20231102_Thursday"]
    );
}

/// Any mixture of snapshots that count and snapshots that do not; names are unique, as in PVE.
fn snapshots() -> impl Strategy<Value = Vec<Snapshot>> {
    let name = (
        prop::sample::select(vec!["daily", "daily2", "daily_", "weekly", ""]),
        10..30u32,
        0..24u32,
        0..60u32,
    )
        .prop_map(|(label, day, hour, second)| {
            format!("auto{label}2311{day}{hour:02}00{second:02}")
        });
    let description =
        prop::sample::select(vec!["cv4pve-autosnap", "eve4pve-autosnap\n", "mine", ""]);
    let state = prop_oneof![
        6 => Just(SnapshotState::Complete),
        1 => Just(SnapshotState::Preparing),
        1 => Just(SnapshotState::Deleting),
        1 => Just(SnapshotState::Other("x".to_owned())),
    ];
    let taken_at =
        prop::option::weighted(0.9, prop_oneof![0..4i64, 1_699_000_000..1_701_000_000i64]);
    let snapshot = (description, state, taken_at, any::<bool>());
    prop::collection::btree_map(name, snapshot, 0..30)
        .prop_map(|named| {
            named
                .into_iter()
                .map(
                    |(name, (description, state, taken_at, with_ram))| Snapshot {
                        description: description.to_owned(),
                        state,
                        with_ram,
                        ..ours(&name, taken_at)
                    },
                )
                .collect::<Vec<_>>()
        })
        .prop_shuffle()
}

fn counts(snapshot: &Snapshot) -> bool {
    snapshot.is_ours()
        && snapshot.state == SnapshotState::Complete
        && snapshot.taken_at.is_some()
        && snapshot.name.len() == "autodaily231123170958".len()
        && snapshot.name.starts_with("autodaily2")
}

proptest! {
    #[test]
    fn every_snapshot_gets_one_verdict(snapshots in snapshots(), keep in 0..9u32, new: bool) {
        let new = new.then(|| new_name("autodaily231115000000"));
        let verdicts = decide(&snapshots, &policy("daily", keep), new.as_ref());
        let mut given = names(snapshots.iter());
        let mut judged = names(verdicts.iter().map(|verdict| &verdict.snapshot));
        given.sort_unstable();
        judged.sort_unstable();
        prop_assert_eq!(given, judged);
    }

    #[test]
    fn only_complete_snapshots_of_ours_with_the_label_go(snapshots in snapshots(), keep in 0..9u32) {
        let verdicts = decide(&snapshots, &policy("daily", keep), None);
        prop_assert!(removals(&verdicts).all(counts));
    }

    #[test]
    fn as_many_stay_as_asked_for(snapshots in snapshots(), keep in 0..9u32, new: bool) {
        let new = new.then(|| new_name("autodaily231116000000"));
        let others = |snapshot: &&Snapshot| counts(snapshot) && new.as_ref().is_none_or(|new| new.as_str() != snapshot.name);
        let total = snapshots.iter().filter(others).count() + usize::from(new.is_some());
        let verdicts = decide(&snapshots, &policy("daily", keep), new.as_ref());
        let keep = usize::try_from(keep).unwrap().max(usize::from(new.is_some()));
        prop_assert_eq!(total - removals(&verdicts).count(), keep.min(total));
    }

    #[test]
    fn whatever_goes_is_not_newer_than_what_stays(snapshots in snapshots(), keep in 0..9u32) {
        let verdicts = decide(&snapshots, &policy("daily", keep), None);
        let age = |snapshot: &Snapshot| (snapshot.taken_at, snapshot.name.clone());
        let oldest_kept = verdicts
            .iter()
            .filter(|verdict| matches!(verdict.reason, Reason::Kept { .. }))
            .map(|verdict| age(&verdict.snapshot))
            .min();
        let gone: Vec<_> = removals(&verdicts).map(age).collect();
        prop_assert!(oldest_kept.is_none_or(|kept| gone.iter().all(|gone| *gone <= kept)));
        prop_assert!(gone.is_sorted());
    }

    #[test]
    fn a_second_time_nothing_goes(snapshots in snapshots(), keep in 0..9u32, new: bool) {
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

    #[test]
    fn snapshots_that_do_not_count_change_nothing(snapshots in snapshots(), keep in 0..9u32) {
        let policy = policy("daily", keep);
        let counted: Vec<Snapshot> = snapshots.iter().filter(|snapshot| counts(snapshot)).cloned().collect();
        let with = decide(&snapshots, &policy, None);
        let without = decide(&counted, &policy, None);
        prop_assert_eq!(names(removals(&with)), names(removals(&without)));
    }

    #[test]
    fn keeping_more_never_removes_more(snapshots in snapshots(), keep in 0..9u32) {
        let fewer = decide(&snapshots, &policy("daily", keep + 1), None);
        let more = decide(&snapshots, &policy("daily", keep), None);
        let more = names(removals(&more));
        prop_assert!(names(removals(&fewer)).iter().all(|name| more.contains(name)));
    }
}

#[test]
fn an_unfinished_removal_is_tried_again_only_when_asked_to_and_never_counted() {
    let half = Snapshot {
        state: SnapshotState::Deleting,
        ..daily(9)
    };
    let foreign = Snapshot {
        description: "by hand".to_owned(),
        state: SnapshotState::Deleting,
        ..daily(8)
    };
    let snapshots = [half, foreign, daily(1), daily(2)];
    let retry = KeepPolicy {
        stuck: StuckRemovals::Retry,
        ..policy("daily", 2)
    };
    let retried = decide(&snapshots, &retry, None);
    assert_eq!(names(removals(&retried)), ["autodaily231109000000"]);
    let left = decide(&snapshots, &policy("daily", 2), None);
    assert_eq!(names(removals(&left)), Vec::<&str>::new());
}
