// SPDX-License-Identifier: GPL-3.0-only
//! Guards, and rules together with a new snapshot.

use jiff::SignedDuration;

use super::*;
use crate::retention::{Difference, Hold, Period, compare};

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

/// Taken so long before [`NOW`].
fn before(minutes: i64) -> Snapshot {
    let at = second(NOW - minutes * 60);
    ours(
        &format!("autodaily{}", at.strftime("%y%m%d%H%M%S")),
        Some(at.as_second()),
    )
}

fn policy_of(rules: Rules) -> Policy {
    Policy::new(series("daily", TimestampFormat::DEFAULT), rules)
}

/// The reasons for snapshots taken so many minutes before [`NOW`], in the same order: newest first.
fn reasons(minutes: &[i64], rules: Rules, new: Option<&str>) -> Vec<String> {
    let snapshots: Vec<Snapshot> = minutes.iter().map(|minutes| before(*minutes)).collect();
    let verdicts = decide(&snapshots, &policy_of(rules), new.map(new_name).as_ref());
    let reasons = verdicts.iter().map(|verdict| {
        let reason = verdict.reason.to_string();
        if verdict.reason.is_removal() {
            format!("remove: {reason}")
        } else {
            reason
        }
    });
    reasons.collect()
}

fn last(count: u32) -> Rules {
    Rules::parse(&format!("keep-last={count}")).unwrap()
}

#[test]
fn nothing_younger_than_min_age_is_removed() {
    let times = [10, 30, 59, 60, 61];
    let expected = [
        "keep-last 1, younger than min-age",
        "younger than min-age",
        "younger than min-age",
        "remove: not reached by any rule",
        "remove: not reached by any rule",
    ];
    assert_eq!(reasons(&times, last(1), None), expected);
    let without = last(1).with_min_age(hours(0));
    assert_eq!(
        reasons(&[10, 30], without, None),
        ["keep-last 1", "remove: not reached by any rule"]
    );
    // `--keep` has no guard unless one is given.
    let simple = Rules::keep_last(1);
    assert_eq!(
        reasons(&[10, 30], simple, None),
        ["1 of 1", "remove: 2nd newest, keep 1"]
    );
    let guarded = simple.with_min_age(hours(1));
    assert_eq!(
        reasons(&[10, 30], guarded, None),
        ["1 of 1", "younger than min-age"]
    );
    let none = Rules::keep_last(0).with_min_age(hours(1));
    assert_eq!(
        reasons(&[10, 70], none, None),
        ["younger than min-age", "remove: 2nd newest, keep 0"]
    );
}

#[test]
fn everything_within_an_age_stays() {
    let rules = Rules::parse("keep-daily=1,keep-last=0")
        .unwrap()
        .with_within(hours(3));
    let expected = [
        "keep-daily 1, keep-within, younger than min-age",
        "keep-within",
        &format!("remove: same day as {}, keep-daily", before(10).name),
    ];
    assert_eq!(reasons(&[10, 179, 180], rules, None), expected);
    // After a pause the newest stays, and the guard takes no place of a rule.
    let within = last(0).with_within(hours(3));
    assert_eq!(
        reasons(&[600, 601], within, None),
        ["keep-last 1", "remove: not reached by any rule"]
    );
}

#[test]
fn the_longest_age_covers_all_times() {
    let rules = last(1)
        .with_within(SignedDuration::MAX)
        .with_min_age(SignedDuration::MAX);
    let expected = [
        "keep-last 1, keep-within, younger than min-age",
        "keep-within, younger than min-age",
    ];
    assert_eq!(reasons(&[10, 10_000_000], rules, None), expected);
}

#[test]
fn never_fewer_than_keep_min_stay() {
    let rules = |keep_min| last(1).with_min_age(hours(0)).with_keep_min(keep_min);
    let (needed, gone) = ("needed for keep-min", "remove: not reached by any rule");
    let times = [100, 200, 300, 400];
    let check = |keep_min, new: Option<&str>, expected: [&str; 4]| {
        assert_eq!(
            reasons(&times, rules(keep_min), new),
            expected,
            "{keep_min}"
        );
    };
    check(0, None, ["keep-last 1", gone, gone, gone]);
    check(1, None, ["keep-last 1", gone, gone, gone]);
    check(3, None, ["keep-last 1", needed, needed, gone]);
    check(9, None, ["keep-last 1", needed, needed, needed]);
    // The new one is one of them.
    let new = Some("autodaily231201000000");
    check(1, new, [gone; 4]);
    check(3, new, [needed, needed, gone, gone]);
    let simple = Rules::keep_last(0).with_keep_min(2);
    assert_eq!(
        reasons(&[100, 200, 300], simple, None),
        [needed, needed, "remove: 3rd newest, keep 0"]
    );
    // Young ones count.
    let young = last(1).with_keep_min(2);
    assert_eq!(reasons(&[10, 20, 100], young, None)[2], gone);
}

#[test]
fn snapshots_that_do_not_count_are_not_among_keep_min() {
    let preparing = Snapshot {
        state: SnapshotState::Preparing,
        ..before(100)
    };
    let snapshots = [preparing, before(200), before(300), before(400)];
    let policy = policy_of(Rules::keep_last(1).with_keep_min(2));
    let verdicts = decide(&snapshots, &policy, None);
    assert_eq!(names(removals(&verdicts)), [before(400).name.as_str()]);
}

#[test]
fn a_hold_names_its_rule_and_all_guards() {
    let snapshots = [before(10), before(20)];
    let rules = Rules::parse("keep-daily=1,keep-last=0")
        .unwrap()
        .with_within(hours(1))
        .with_keep_min(9);
    let verdicts = decide(&snapshots, &policy_of(rules), None);
    let holds = verdicts.iter().map(|verdict| {
        let Reason::KeptBy(holds) = &verdict.reason else {
            panic!("{verdict:?}")
        };
        (holds.period(), holds.iter().collect::<Vec<_>>())
    });
    let daily = Hold::Rule {
        period: Period::Daily,
        ordinal: 1,
    };
    let expected = [
        (Some(Period::Daily), vec![daily, Hold::Within, Hold::MinAge]),
        (None, vec![Hold::Within, Hold::MinAge]),
    ];
    assert!(holds.eq(expected));
    let all = decide(&snapshots, &policy_of(Rules::keep_all()), None);
    let Reason::KeptBy(holds) = &all[0].reason else {
        panic!("{all:?}")
    };
    assert_eq!(
        (holds.period(), holds.iter().collect::<Vec<_>>()),
        (None, vec![Hold::All])
    );
}

/// The new snapshot takes the first place and the periods of its time, before and after its creation.
#[test]
fn the_new_snapshot_takes_the_first_place() {
    let new = before(0).name;
    let rules = Rules::parse("keep-daily=2").unwrap().with_min_age(hours(0));
    let day = 24 * 60;
    // NOW is midnight, so that the others are of the days before.
    let times = [1, 2, 1 + day, 2 + day];
    let same = |minutes: i64| format!("remove: same day as {}, keep-daily", before(minutes).name);
    let expected = ["keep-daily 1", &same(1), "keep-daily 2", &same(1 + day)];
    assert_eq!(reasons(&times, rules, Some(&new)), expected);
    let listed: Vec<i64> = [0].into_iter().chain(times).collect();
    let reasons_after = reasons(&listed, rules, Some(&new));
    assert_eq!(reasons_after[0], "new");
    assert_eq!(reasons_after[1..], expected);
    // Without it the rules reach as far: the newest of a day is kept as keep-last 1.
    assert_eq!(reasons(&times, rules, None)[0], "keep-last 1");
}

#[test]
fn a_snapshot_of_the_same_period_as_the_new_one_is_named_after_it() {
    let new = "autodaily231201000000";
    let rules = Rules::parse("keep-daily=1").unwrap().with_min_age(hours(0));
    let snapshots = [before(-3), before(100)];
    let verdicts = super::super::decide(
        &snapshots,
        &policy_of(rules),
        Some(&new_name(new)),
        &at(NOW + 200),
    );
    let reasons: Vec<String> = verdicts
        .iter()
        .map(|verdict| verdict.reason.to_string())
        .collect();
    assert_eq!(
        reasons,
        [&format!("same day as {new}, keep-daily"), "keep-daily 1"]
    );
}

/// The node's clock is wrong: the new one counts as the newest, and a possible time decides about its periods.
#[test]
fn the_new_snapshot_is_the_newest_whatever_its_time_is() {
    let new = "autodaily231201000000";
    let rules = Rules::parse("keep-daily=2").unwrap().with_min_age(hours(0));
    let day = 24 * 60;
    for taken_at in [Some(NOW), Some(NOW + 86_400), None] {
        let listed = ours(new, taken_at);
        let snapshots = [listed, before(1), before(1 + day), before(1 + 2 * day)];
        let verdicts = decide(&snapshots, &policy_of(rules), Some(&new_name(new)));
        let gone = names(removals(&verdicts));
        assert_eq!(gone, [before(1 + 2 * day).name.as_str()], "{taken_at:?}");
    }
    // An earlier time that is possible decides about the period: the new one covers yesterday.
    let listed = ours(new, Some(NOW - 30));
    let snapshots = [listed, before(1), before(1 + day), before(1 + 2 * day)];
    let verdicts = decide(&snapshots, &policy_of(rules), Some(&new_name(new)));
    assert_eq!(names(removals(&verdicts)), [before(1).name.as_str()]);
}

#[test]
fn a_comparison_names_what_only_one_of_two_sets_of_rules_keeps() {
    let day = 24 * 60;
    let snapshots = [1, 2, 1 + day, 1 + 2 * day].map(before);
    let policy = policy_of(Rules::parse("keep-last=2").unwrap().with_min_age(hours(0)));
    let other = Rules::parse("keep-last=1,keep-daily=1")
        .unwrap()
        .with_min_age(hours(0));
    let found = compare(&snapshots, &policy, other, None, &at(NOW));
    let described: Vec<_> = found
        .iter()
        .map(|difference| {
            let Difference {
                snapshot,
                reason,
                other,
            } = difference;
            let name = snapshot.name.as_str();
            (
                name,
                difference.is_kept_by_other(),
                reason.to_string(),
                other.to_string(),
            )
        })
        .collect();
    let same_day = format!("same day as {}, keep-daily", snapshots[0].name);
    let not_reached = "not reached by any rule".to_owned();
    let expected = [
        (
            snapshots[1].name.as_str(),
            false,
            "keep-last 2".to_owned(),
            same_day,
        ),
        (
            snapshots[2].name.as_str(),
            true,
            not_reached,
            "keep-daily 1".to_owned(),
        ),
    ];
    assert_eq!(described, expected);
    assert_eq!(
        compare(&snapshots, &policy, policy.rules, None, &at(NOW)),
        []
    );
    assert_eq!(compare(&[], &policy, other, None, &at(NOW)), []);
    // The new snapshot takes the place of keep-last in both.
    let new = new_name("autodaily231201000000");
    let found = compare(&snapshots, &policy, other, Some(&new), &at(NOW));
    assert!(found.is_empty(), "{found:?}");
}
