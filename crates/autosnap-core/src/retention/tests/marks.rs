// SPDX-License-Identifier: GPL-3.0-only
//! Marks win over the rules.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::plan::{DropReason, confirm_removal};
use crate::retention::KeepCounts;

/// A daily snapshot with these lines below the first of its description.
fn marked(day: i64, lines: &str) -> Snapshot {
    let mut snapshot = daily(day);
    snapshot.description = format!("cv4pve-autosnap\n{lines}\n").into();
    snapshot
}

const HOLD: &str = "autosnap: hold until=2023-12-01T00:00:01Z reason=audit";
const ENDED: &str = "autosnap: hold until=2023-12-01T00:00:00Z";
const EXPIRED: &str = "autosnap: expire at=2023-12-01T00:00:00Z";
const EXPIRES: &str = "autosnap: expire at=2023-12-01T00:00:01Z";

fn reasons(snapshots: &[Snapshot], policy: &Policy, new: Option<&str>) -> Vec<String> {
    let new = new.map(new_name);
    let verdicts = decide(snapshots, policy, new.as_ref());
    let texts = verdicts.iter().map(|verdict| {
        let effect = if verdict.reason.is_removal() {
            "removed"
        } else {
            "kept"
        };
        format!("{effect}: {}", verdict.reason)
    });
    texts.collect()
}

#[test]
fn a_held_snapshot_stays_and_takes_no_place() {
    let snapshots = [
        marked(1, HOLD),
        daily(2),
        marked(3, HOLD),
        daily(4),
        daily(5),
    ];
    assert_eq!(
        reasons(&snapshots, &policy("daily", 2), None),
        [
            "kept: 1 of 2",
            "kept: 2 of 2",
            "kept: held until 2023-12-01 00:00: audit",
            "removed: 3rd newest, keep 2",
            "kept: held until 2023-12-01 00:00: audit",
        ]
    );
    let of_none = reasons(&snapshots, &policy("daily", 0), None);
    let removed = of_none.iter().filter(|text| text.starts_with("removed"));
    assert_eq!(removed.count(), 3);
    assert_eq!(of_none[2], "kept: held until 2023-12-01 00:00: audit");
}

#[test]
fn a_held_snapshot_covers_no_period() {
    let counts = KeepCounts {
        last: Some(0),
        daily: Some(1),
        ..KeepCounts::default()
    };
    let rules = Rules::from_counts(counts).with_min_age(SignedDuration::ZERO);
    let policy = Policy {
        rules,
        ..policy("daily", 1)
    };
    let mut noon = marked(5, "autosnap: hold");
    noon.name = "autodaily231105120000".to_owned();
    noon.taken_at = Some(second(1_698_796_800 + 4 * 86_400 + 43_200));
    assert_eq!(
        reasons(&[noon, daily(5), daily(4)], &policy, None),
        [
            "kept: held",
            "kept: keep-daily 1",
            "removed: not reached by any rule"
        ]
    );
}

#[test]
fn a_hold_that_has_ended_does_not_hold() {
    let snapshots = [marked(1, ENDED), daily(2)];
    assert_eq!(
        reasons(&snapshots, &policy("daily", 1), None),
        ["kept: 1 of 1", "removed: 2nd newest, keep 1"]
    );
}

#[test]
fn a_line_that_cannot_be_read_holds_even_without_a_hold() {
    for line in [
        "autosnap: hold until=soon",
        "by hand\nautosnap: note text=x",
    ] {
        let line_read = line.lines().next().unwrap();
        let snapshots = [marked(1, &format!("{EXPIRED}\n{line}")), daily(2)];
        let expected = format!("kept: kept because of the line '{line_read}' in its description");
        for keep in [0, 1] {
            let reasons = reasons(&snapshots, &policy("daily", keep), None);
            assert_eq!(reasons[1], expected);
        }
    }
}

#[test]
fn an_expired_snapshot_goes_even_if_a_rule_keeps_it_and_takes_no_place() {
    let snapshots = [daily(1), daily(2), marked(3, EXPIRED), marked(4, EXPIRES)];
    let expected = [
        "kept: 1 of 3",
        "removed: expired 2023-12-01 00:00",
        "kept: 2 of 3",
        "kept: 3 of 3",
    ];
    assert_eq!(reasons(&snapshots, &policy("daily", 3), None), expected);
    let all = Policy {
        rules: Rules::keep_all(),
        ..policy("daily", 1)
    };
    assert_eq!(
        reasons(&snapshots, &all, None)[1],
        "removed: expired 2023-12-01 00:00"
    );
    let young = Rules::keep_last(9)
        .with_within(SignedDuration::from_hours(24 * 90))
        .with_min_age(SignedDuration::from_hours(24 * 90));
    let guarded = Policy {
        rules: young,
        ..policy("daily", 1)
    };
    assert_eq!(
        reasons(&snapshots, &guarded, None)[1],
        "removed: expired 2023-12-01 00:00"
    );
}

#[test]
fn an_expired_snapshot_of_another_series_stays() {
    let mut weekly = marked(3, EXPIRED);
    weekly.name = "autoweekly231103000000".to_owned();
    let mut foreign = marked(4, EXPIRED);
    foreign.description = format!("by hand\n{EXPIRED}").into();
    let mut preparing = marked(5, EXPIRED);
    preparing.state = SnapshotState::Preparing;
    let snapshots = [weekly, foreign, preparing];
    assert_eq!(
        reasons(&snapshots, &policy("daily", 1), None),
        [
            "kept: incomplete (snapstate prepare)",
            "kept: not taken by this tool",
            "kept: has another label",
        ]
    );
}

#[test]
fn keep_min_holds_the_newest_expired_snapshots_after_all_others() {
    let policy = |keep_min| Policy {
        rules: Rules::keep_last(1).with_keep_min(keep_min),
        ..policy("daily", 1)
    };
    let snapshots = [
        marked(1, EXPIRED),
        marked(2, EXPIRED),
        daily(3),
        daily(4),
        marked(5, HOLD),
    ];
    let removed = |keep_min, new: Option<&str>| -> usize {
        let reasons = reasons(&snapshots, &policy(keep_min), new);
        reasons
            .iter()
            .filter(|text| text.starts_with("removed"))
            .count()
    };
    let counts: Vec<usize> = (0..6).map(|keep_min| removed(keep_min, None)).collect();
    assert_eq!(counts, [3, 3, 2, 1, 0, 0]);
    assert_eq!(removed(3, Some("autodaily231130000000")), 2);
    assert_eq!(
        reasons(&snapshots, &policy(3), None)[3..],
        [
            "kept: needed for keep-min".to_owned(),
            "removed: expired 2023-12-01 00:00".to_owned()
        ]
    );
}

#[test]
fn an_unfinished_removal_is_not_retried_while_the_snapshot_is_held() {
    let mut stuck = marked(1, HOLD);
    stuck.state = SnapshotState::Deleting;
    let retry = Policy {
        stuck: StuckRemovals::Retry,
        ..policy("daily", 1)
    };
    let reasons = reasons(&[stuck], &retry, None);
    assert_eq!(reasons, ["kept: incomplete (snapstate delete)"]);
}

#[test]
fn a_new_snapshot_that_is_held_takes_no_place_before_and_after_its_creation() {
    let holding = Policy {
        holds_new: true,
        ..policy("daily", 2)
    };
    let mut new = marked(30, "autosnap: hold since=2023-12-01T00:00:00Z");
    new.name = "autodaily231130000000".to_owned();
    let before = [daily(1), daily(2), daily(3)];
    let after: Vec<Snapshot> = before.iter().cloned().chain([new.clone()]).collect();
    let name = Some(new.name.as_str());
    let planned = reasons(&before, &holding, name);
    assert_eq!(
        planned,
        [
            "kept: 1 of 2",
            "kept: 2 of 2",
            "removed: 3rd newest, keep 2"
        ]
    );
    let confirmed = reasons(&after, &holding, name);
    assert_eq!(confirmed[0], "kept: held");
    assert_eq!(confirmed[1..], planned);
    assert_eq!(reasons(&after, &policy("daily", 2), None)[1..], planned);
}

#[test]
fn a_new_snapshot_that_another_user_holds_before_the_removals_takes_no_place() {
    let snapshots = [marked(3, HOLD), daily(2), daily(1)];
    assert_eq!(
        reasons(
            &snapshots,
            &policy("daily", 1),
            Some("autodaily231103000000")
        ),
        [
            "kept: held until 2023-12-01 00:00: audit",
            "kept: 1 of 1",
            "removed: 2nd newest, keep 1",
        ]
    );
}

#[test]
fn a_hold_between_plan_and_removal_wins() {
    let planned = daily(1);
    let policy = policy("daily", 1);
    let confirm = |current: Snapshot| {
        confirm_removal(&planned, &[current, daily(2)], &policy, None, &at(NOW))
    };
    assert_eq!(confirm(daily(1)), Ok(()));
    assert_eq!(confirm(marked(1, HOLD)), Err(DropReason::KeptNow));
    assert_eq!(confirm(marked(1, "by hand")), Err(DropReason::KeptNow));
    assert_eq!(
        confirm(marked(1, "autosnap: note text=x\nby hand")),
        Err(DropReason::KeptNow)
    );
    assert_eq!(confirm(marked(1, EXPIRED)), Ok(()));
}

/// Snapshots of one series with all kinds of marks.
fn snapshots() -> impl Strategy<Value = Vec<Snapshot>> {
    let lines = prop::sample::select(vec![
        "",
        "",
        "",
        HOLD,
        ENDED,
        EXPIRED,
        EXPIRES,
        "autosnap: hold",
        "autosnap: pin",
        "autosnap: hold\nautosnap: expire at=2023-12-01T00:00:00Z",
        "autosnap: note text=x",
    ]);
    prop::collection::btree_map(1..29i64, lines, 0..20).prop_map(|days| {
        days.into_iter()
            .map(|(day, lines)| marked(day, lines))
            .collect()
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let counts = (0..4u32, 0..4u32, 0..3u32).prop_map(|(last, daily, weekly)| {
        Rules::from_counts(KeepCounts {
            last: Some(last),
            daily: Some(daily),
            weekly: Some(weekly),
            ..KeepCounts::default()
        })
    });
    let rules = prop_oneof![
        (0..6u32).prop_map(Rules::keep_last),
        counts,
        Just(Rules::keep_all())
    ];
    (rules, 0..5u32).prop_map(|(rules, keep_min)| rules.with_keep_min(keep_min))
}

fn is_counted(snapshot: &Snapshot) -> bool {
    let marks = snapshot.marks();
    !marks.is_held(second(NOW)) && marks.expired_at(second(NOW)).is_none()
}

proptest! {
    #[test]
    fn no_held_snapshot_is_removed(snapshots in snapshots(), rules in rules(), has_new: bool) {
        let policy = Policy { rules, ..policy("daily", 1) };
        let new = has_new.then(|| new_name("autodaily231130000000"));
        let verdicts = decide(&snapshots, &policy, new.as_ref());
        for snapshot in removals(&verdicts) {
            prop_assert!(!snapshot.marks().is_held(second(NOW)), "{}", snapshot.description);
        }
    }

    /// Held and expired snapshots change nothing about the others.
    #[test]
    fn the_verdict_on_the_others_is_that_without_marked_snapshots(
        snapshots in snapshots(),
        rules in rules(),
        has_new: bool,
    ) {
        let policy = Policy { rules, ..policy("daily", 1) };
        let new = has_new.then(|| new_name("autodaily231130000000"));
        let all = decide(&snapshots, &policy, new.as_ref());
        let others: Vec<Verdict> = all.into_iter().filter(|one| is_counted(&one.snapshot)).collect();
        let alone: Vec<Snapshot> = snapshots.into_iter().filter(is_counted).collect();
        prop_assert_eq!(others, decide(&alone, &policy, new.as_ref()));
    }

    #[test]
    fn expired_snapshots_go_unless_keep_min_needs_them(snapshots in snapshots(), rules in rules()) {
        let policy = Policy { rules, ..policy("daily", 1) };
        let verdicts = decide(&snapshots, &policy, None);
        let is_expired = |verdict: &&Verdict| verdict.snapshot.marks().expired_at(second(NOW)).is_some();
        let stay = verdicts.iter().filter(|verdict| !verdict.reason.is_removal());
        let held = |verdict: &&Verdict| verdict.snapshot.marks().is_held(second(NOW));
        let counted = stay.clone().filter(|verdict| !held(verdict)).count();
        let minimum = usize::try_from(rules.keep_min()).unwrap();
        let expired = verdicts.iter().filter(is_expired).count();
        let kept_expired = stay.filter(is_expired).count();
        prop_assert!(kept_expired == 0 || counted <= minimum);
        prop_assert!(kept_expired == expired || counted >= minimum);
    }

    #[test]
    fn removing_a_part_of_the_removals_changes_no_other_verdict(
        snapshots in snapshots(),
        rules in rules(),
        removed_first in any::<u32>(),
    ) {
        let policy = Policy { rules, ..policy("daily", 1) };
        let removed = names(removals(&decide(&snapshots, &policy, None)))
            .into_iter()
            .map(ToOwned::to_owned)
            .collect::<Vec<String>>();
        let (first, left): (Vec<_>, Vec<_>) =
            removed.iter().enumerate().partition(|(place, _)| removed_first >> place & 1 == 1);
        let first: Vec<&String> = first.into_iter().map(|(_, name)| name).collect();
        let remaining: Vec<Snapshot> =
            snapshots.into_iter().filter(|one| !first.contains(&&one.name)).collect();
        let again = decide(&remaining, &policy, None);
        let left: Vec<&str> = left.into_iter().map(|(_, name)| name.as_str()).collect();
        prop_assert_eq!(names(removals(&again)), left);
    }
}
