// SPDX-License-Identifier: GPL-3.0-only
//! Table-driven tests of retention.

mod examples;
mod guards;
mod histories;
mod marks;
mod properties;
mod rule_properties;
mod rules;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::{Policy, Reason, Rules, SnapName, Snapshot, StuckRemovals, Verdict, removals};
use crate::name::{AmbiguousNames, Label, Series, TimestampFormat};
use crate::snapshot::SnapshotState;

/// 2023-12-01 00:00:00 UTC, after all snapshots of these tests except those in the future.
const NOW: i64 = 1_701_388_800;

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn at(now: i64) -> Zoned {
    second(now).to_zoned(TimeZone::UTC)
}

fn series(label: &str, format: &str) -> Series {
    Series::new(
        Label::parse(label).unwrap(),
        TimestampFormat::parse(format).unwrap(),
    )
}

fn policy(label: &str, keep: u32) -> Policy {
    let series = series(label, TimestampFormat::DEFAULT);
    Policy::new(series, Rules::keep_last(keep))
}

fn decide(snapshots: &[Snapshot], policy: &Policy, new: Option<&SnapName>) -> Vec<Verdict> {
    super::decide(snapshots, policy, new, &at(NOW))
}

fn ours(name: &str, taken_at: Option<i64>) -> Snapshot {
    Snapshot {
        name: name.to_owned(),
        taken_at: taken_at.map(second),
        description: "cv4pve-autosnap\n".into(),
        parent: None,
        with_ram: false,
        state: SnapshotState::Complete,
    }
}

/// A snapshot of the label whose name contains the time at which it was taken.
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
fn keep_0_keeps_the_new_snapshot() {
    let new = "autodaily231103000000";
    let before = [daily(1), daily(2)];
    let after = [daily(1), daily(2), daily(3)];
    let expected = ["autodaily231101000000", "autodaily231102000000"];
    assert_eq!(removed(&before, 0, Some(new)), expected);
    assert_eq!(removed(&after, 0, Some(new)), expected);
    let verdicts = decide(&before, &policy("daily", 0), Some(&new_name(new)));
    let reasons = verdicts.iter().map(|verdict| verdict.reason.to_string());
    assert!(reasons.eq(["2nd newest, keep 1", "3rd newest, keep 1"]));
}

#[test]
fn the_verdicts_before_and_after_the_creation_agree() {
    let new = "autodaily231103000000";
    let before = [daily(1), daily(2)];
    let after = [daily(1), daily(2), daily(3)];
    for keep in 1..5 {
        let planned = removed(&before, keep, Some(new));
        assert_eq!(planned, removed(&after, keep, Some(new)), "keep {keep}");
    }
}

#[test]
fn snapshots_dated_in_the_future_stay_and_take_no_place() {
    let future = |day: i64| {
        ours(
            &format!("autodaily2401{day:02}000000"),
            Some(1_704_067_200 + (day - 1) * 86_400),
        )
    };
    let new = new_name("autodaily231130000000");
    let snapshots = [future(28), daily(28), daily(29), daily(30), future(29)];
    for (now_is_late, gone) in [
        (false, vec!["autodaily231128000000"]),
        // Later, when they are no longer in the future, they count.
        (
            true,
            vec![
                "autodaily231128000000",
                "autodaily231129000000",
                "autodaily240128000000",
            ],
        ),
    ] {
        let now = if now_is_late { 1_710_000_000 } else { NOW };
        let verdicts = super::decide(&snapshots, &policy("daily", 2), Some(&new), &at(now));
        assert_eq!(names(removals(&verdicts)), gone);
    }
    let verdicts = decide(&snapshots, &policy("daily", 2), Some(&new));
    assert_eq!(verdicts[0].reason, Reason::FutureTime);
    assert_eq!(verdicts[2].reason, Reason::KeptNew);
    // The clocks of a cluster differ a little.
    let soon = ours("autodaily231201000500", Some(NOW + 300));
    assert_eq!(
        removed(&[soon], 0, Some("autodaily231201000501")),
        ["autodaily231201000500"]
    );
    for (name, seconds, is_future) in [
        ("autodaily231201000500", 300, false),
        ("autodaily231201000501", 301, true),
    ] {
        let snapshots = [ours(name, Some(NOW + seconds))];
        let verdicts = decide(&snapshots, &policy("daily", 1), None);
        assert_eq!(
            verdicts[0].reason == Reason::FutureTime,
            is_future,
            "{name}"
        );
    }
    // `clean --keep=0` removes all of them.
    assert_eq!(removed(&snapshots, 0, None).len(), 5);
}

#[test]
fn a_time_that_contradicts_the_name_does_not_make_a_snapshot_the_oldest() {
    // Yesterday the node's clock was in 1970.
    let yesterday = ours("autodaily231129000000", Some(1234));
    let snapshots = [daily(26), daily(27), daily(28), yesterday];
    let new = Some("autodaily231130000000");
    assert_eq!(removed(&snapshots, 3, new), ["autodaily231126000000"]);
    let verdicts = decide(&snapshots, &policy("daily", 3), None);
    assert_eq!(verdicts[3].reason, Reason::WrongTime);
    assert_eq!(removed(&snapshots, 0, None).len(), 4);
    // Time zones and clocks may differ by 26 hours.
    let far = ours(
        "autodaily231130230000",
        Some(1_701_302_400 - 86_400 + 25 * 3600),
    );
    assert_eq!(removed(&[far], 1, new), ["autodaily231130230000"]);
}

#[test]
fn a_name_that_is_listed_twice_counts_once() {
    let twice = [daily(1), daily(2), daily(3), daily(3)];
    assert_eq!(removed(&twice, 3, None), [] as [&str; 0]);
    assert_eq!(removed(&twice, 2, None), ["autodaily231101000000"]);
    let other_time = Snapshot {
        taken_at: Some(second(1_698_796_800 - 3600)),
        ..daily(3)
    };
    assert_eq!(
        removed(&[daily(2), daily(3), other_time], 2, None),
        [] as [&str; 0]
    );
}

#[test]
fn the_repeated_hour_is_ordered_by_the_instant() {
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
fn snapshots_that_do_not_count_stay_with_a_reason() {
    let mut foreign = daily(2);
    foreign.description = "before the upgrade".into();
    let mut preparing = daily(3);
    preparing.state = SnapshotState::Preparing;
    let mut deleting = daily(4);
    deleting.state = SnapshotState::Deleting;
    let mut other_state = daily(5);
    other_state.state = SnapshotState::Other("rollback".into());
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
    let reasons: Vec<(&str, String)> = verdicts
        .iter()
        .map(|verdict| (verdict.snapshot.name.as_str(), verdict.reason.to_string()))
        .collect();
    let expected = [
        ("daily231110000000", "has another label"),
        ("autodaily_2231109000000", "has another label"),
        ("autodaily2231108000000", "has another label"),
        ("autoweekly231107000000", "has another label"),
        ("autodaily231105000000", "incomplete (snapstate rollback)"),
        ("autodaily231104000000", "incomplete (snapstate delete)"),
        ("autodaily231103000000", "incomplete (snapstate prepare)"),
        ("autodaily231102000000", "not taken by this tool"),
        ("autodaily231101000000", "newest, keep 0"),
        (
            "autodaily231106000000",
            "not counted: Proxmox VE reports no time",
        ),
    ];
    assert_eq!(
        reasons,
        expected.map(|(name, reason)| (name, reason.to_owned()))
    );
    assert_eq!(names(removals(&verdicts)), ["autodaily231101000000"]);
}

#[test]
fn snapshots_with_the_former_description_are_removed_too() {
    let mut eve = daily(1);
    eve.description = "eve4pve-autosnap".into();
    assert_eq!(removed(&[eve], 0, None), ["autodaily231101000000"]);
}

#[test]
fn a_series_has_one_label_its_format_and_adopted_formats() {
    let spelled = ours("autodaily20231102_Thursday", Some(1_698_883_200));
    let snapshots = [spelled, daily(1)];
    let verdicts =
        |series: Series| decide(&snapshots, &Policy::new(series, Rules::keep_last(0)), None);
    let by_format = verdicts(series("daily", "yyyyMMdd_dddd"));
    assert_eq!(names(removals(&by_format)), ["autodaily20231102_Thursday"]);
    let other = |format: &str| Reason::OtherFormat {
        format: format.to_owned(),
    };
    assert_eq!(by_format[1].reason, other(TimestampFormat::DEFAULT));
    let by_default = verdicts(series("daily", TimestampFormat::DEFAULT));
    assert_eq!(names(removals(&by_default)), ["autodaily231101000000"]);
    assert_eq!(by_default[0].reason, other("yyyyMMdd_dddd"));
    let label = Label::parse("daily").unwrap();
    let format = TimestampFormat::parse("yyyyMMdd_dddd").unwrap();
    let adopting = Series::with_formats(label, format, vec![TimestampFormat::default()]);
    assert_eq!(removals(&verdicts(adopting)).count(), 2);
}

#[test]
fn a_snapshot_with_an_ambiguous_name_stays() {
    let ambiguous = ours("autodaily20231105000000", Some(1_699_142_400));
    let with_century = series("daily", "yyyyMMddHHmmss");
    let shorter = series("daily20", TimestampFormat::DEFAULT);
    for (series, label) in [(with_century, "daily20"), (shorter, "daily")] {
        let policy = |ambiguous| Policy {
            ambiguous,
            ..Policy::new(series.clone(), Rules::keep_last(0))
        };
        let gone = |snapshots: &[Snapshot], ambiguous| {
            let verdicts = decide(snapshots, &policy(ambiguous), None);
            names(removals(&verdicts)).len()
        };
        let alone = std::slice::from_ref(&ambiguous);
        assert_eq!(gone(alone, AmbiguousNames::Keep), 0);
        assert_eq!(gone(alone, AmbiguousNames::KeepIfLabelPresent), 1);
        assert_eq!(gone(alone, AmbiguousNames::Count), 1);
        // The guest has a snapshot that can only be of the other label.
        let certain = ours(&format!("auto{label}20231104_000000"), Some(1_699_056_000));
        let both = [ambiguous.clone(), certain];
        assert_eq!(
            gone(&both, AmbiguousNames::KeepIfLabelPresent),
            0,
            "{label}"
        );
        assert_eq!(gone(&both, AmbiguousNames::Count), 1);
    }
}

#[test]
fn the_text_of_a_removal_has_its_rank_from_the_newest() {
    for (rank, expected) in [
        (1, "newest, keep 0"),
        (2, "2nd newest, keep 0"),
        (3, "3rd newest, keep 0"),
        (4, "4th newest, keep 0"),
        (11, "11th newest, keep 0"),
        (12, "12th newest, keep 0"),
        (13, "13th newest, keep 0"),
        (21, "21st newest, keep 0"),
        (102, "102nd newest, keep 0"),
        (111, "111th newest, keep 0"),
        (113, "113th newest, keep 0"),
    ] {
        let reason = Reason::Removed { rank, keep: 0 };
        assert_eq!(reason.to_string(), expected);
    }
    let kept = decide(&[daily(1), daily(2)], &policy("daily", 3), None);
    let reasons = kept.iter().map(|verdict| verdict.reason.to_string());
    assert!(reasons.eq(["1 of 3", "2 of 3"]));
}

#[test]
fn an_unfinished_removal_is_retried_only_on_request_and_never_counted() {
    let half = Snapshot {
        state: SnapshotState::Deleting,
        ..daily(9)
    };
    let foreign = Snapshot {
        description: "by hand".into(),
        state: SnapshotState::Deleting,
        ..daily(8)
    };
    let snapshots = [half, foreign, daily(1), daily(2)];
    let retry = Policy {
        stuck: StuckRemovals::Retry,
        ..policy("daily", 2)
    };
    let retried = decide(&snapshots, &retry, None);
    assert_eq!(names(removals(&retried)), ["autodaily231109000000"]);
    let left = decide(&snapshots, &policy("daily", 2), None);
    assert_eq!(names(removals(&left)), Vec::<&str>::new());
}
