// SPDX-License-Identifier: GPL-3.0-only
//! Properties of the keep rules and guards for any history of snapshots.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::retention::{Hold, KeepCounts, Period, compare};

/// Any rules but `--keep`.
pub(crate) fn any_rules() -> impl Strategy<Value = Rules> {
    let count = || prop::option::weighted(0.6, 0..6u32);
    let counts = (count(), count(), count(), count(), count(), count());
    let guards = (
        prop::sample::select(vec![0, 0, 1, 30]),
        prop::sample::select(vec![0, 1, 1, 5]),
        prop::sample::select(vec![0, 0, 1, 4]),
    );
    let keeps_all = prop::bool::weighted(0.05);
    (counts, guards, keeps_all).prop_map(|(counts, (within, min_age, keep_min), keeps_all)| {
        let (last, hourly, daily, weekly, monthly, yearly) = counts;
        let counts = KeepCounts {
            last,
            hourly,
            daily,
            weekly,
            monthly,
            yearly,
        };
        let rules = if keeps_all {
            Rules::keep_all()
        } else {
            Rules::from_counts(counts)
        };
        rules
            .with_within(SignedDuration::from_hours(within))
            .with_min_age(SignedDuration::from_hours(min_age))
            .with_keep_min(keep_min)
    })
}

/// Snapshots of four years that count, dense in the last days; some were taken in one second.
fn history() -> impl Strategy<Value = Vec<Snapshot>> {
    let minutes = prop_oneof![0..300i64, 0..20_000i64, 0..2_000_000i64];
    let twin = prop::bool::weighted(0.1);
    prop::collection::btree_map(minutes, twin, 0..40)
        .prop_map(|times| {
            times
                .into_iter()
                .flat_map(|(minutes, twin)| taken(minutes, twin))
                .collect::<Vec<_>>()
        })
        .prop_shuffle()
}

fn taken(minutes: i64, twin: bool) -> Vec<Snapshot> {
    let at = second(NOW - minutes * 60);
    let formats = if twin {
        &["%y%m%d%H%M%S", "%Y%m%d%H%M%S"][..]
    } else {
        &["%y%m%d%H%M%S"]
    };
    let names = formats
        .iter()
        .map(|format| format!("autodaily{}", at.strftime(format)));
    names
        .map(|name| ours(&name, Some(at.as_second())))
        .collect()
}

fn both_formats(rules: Rules) -> Policy {
    let formats = [TimestampFormat::DEFAULT, "yyyyMMddHHmmss"];
    let [own, also] = formats.map(|format| TimestampFormat::parse(format).unwrap());
    let series = Series::with_formats(Label::parse("daily").unwrap(), own, vec![also]);
    Policy {
        ambiguous: AmbiguousNames::Count,
        ..Policy::new(series, rules)
    }
}

/// A zone with summer time, one far from UTC, and UTC.
fn zones() -> impl Strategy<Value = TimeZone> {
    let zone = |text| TimeZone::posix(text).unwrap();
    prop::sample::select(vec![
        TimeZone::UTC,
        zone("CET-1CEST,M3.5.0,M10.5.0/3"),
        zone("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"),
    ])
}

fn new_snapshot() -> impl Strategy<Value = Option<SnapName>> {
    any::<bool>().prop_map(|new| new.then(|| new_name("autodaily231201000001")))
}

fn decide_in(
    zone: &TimeZone,
    snapshots: &[Snapshot],
    rules: Rules,
    new: Option<&SnapName>,
) -> Vec<Verdict> {
    let now = second(NOW + 2).to_zoned(zone.clone());
    crate::retention::decide(snapshots, &both_formats(rules), new, &now)
}

fn kept(verdicts: &[Verdict]) -> Vec<Snapshot> {
    let kept = verdicts
        .iter()
        .filter(|verdict| !verdict.reason.is_removal());
    kept.map(|verdict| verdict.snapshot.clone()).collect()
}

/// The rule that holds a snapshot.
fn rule(verdict: &Verdict) -> Option<(Period, u32)> {
    let Reason::KeptBy(holds) = &verdict.reason else {
        return None;
    };
    let rule = |hold| match hold {
        Hold::Rule { period, ordinal } => Some((period, ordinal)),
        Hold::All | Hold::Within | Hold::MinAge | Hold::KeepMin => None,
    };
    holds.iter().find_map(rule)
}

proptest! {
    #[test]
    fn the_newest_always_stays(snapshots in history(), rules in any_rules(), zone in zones()) {
        let verdicts = decide_in(&zone, &snapshots, rules, None);
        let newest = snapshots.iter().map(|snapshot| snapshot.taken_at).max();
        for verdict in verdicts.iter().filter(|verdict| Some(verdict.snapshot.taken_at) == newest) {
            prop_assert!(!verdict.reason.is_removal(), "{verdict:?}");
        }
    }

    /// Each rule numbers the snapshots that it has taken from 1, and takes no more than its number.
    #[test]
    fn the_rules_keep_no_more_than_their_numbers(
        snapshots in history(),
        rules in any_rules(),
        zone in zones(),
        new in new_snapshot(),
    ) {
        let verdicts = decide_in(&zone, &snapshots, rules, new.as_ref());
        let held: BTreeSet<_> = verdicts
            .iter()
            .filter_map(|verdict| Some((rule(verdict)?, verdict.snapshot.taken_at)))
            .collect();
        for period in Period::ALL {
            let ordinals: Vec<u32> = held
                .iter()
                .filter_map(|((of, ordinal), _)| (*of == period).then_some(*ordinal))
                .collect();
            // The new one has the first number of the first rule.
            let first = ordinals.first().copied().unwrap_or(1);
            let expected: Vec<u32> = (first..).take(ordinals.len()).collect();
            prop_assert_eq!(&ordinals, &expected);
            prop_assert!(first <= 1 + u32::from(new.is_some()));
            prop_assert!(ordinals.last().is_none_or(|last| *last <= rules.count(period)));
        }
        if let Some(capacity) = rules.capacity() {
            prop_assert!(held.len() + usize::from(new.is_some()) <= usize::try_from(capacity).unwrap());
        }
    }

    #[test]
    fn rules_remove_nothing_the_second_time(
        snapshots in history(),
        rules in any_rules(),
        zone in zones(),
        new in new_snapshot(),
    ) {
        let once = kept(&decide_in(&zone, &snapshots, rules, new.as_ref()));
        let again = decide_in(&zone, &once, rules, new.as_ref());
        prop_assert_eq!(names(removals(&again)), [] as [&str; 0]);
    }

    /// Execution may shrink the plan: what is removed first decides about nothing that is left.
    #[test]
    fn removing_a_part_of_the_removals_changes_nothing_about_the_rest(
        snapshots in history(),
        rules in any_rules(),
        zone in zones(),
        new in new_snapshot(),
        removed_first: u64,
    ) {
        let verdicts = decide_in(&zone, &snapshots, rules, new.as_ref());
        let mut bit = 0;
        let mut left = verdicts.clone();
        left.retain(|verdict| {
            bit += u32::from(verdict.reason.is_removal());
            !verdict.reason.is_removal() || removed_first >> (bit % 64) & 1 == 0
        });
        let listed: Vec<Snapshot> = left.iter().map(|verdict| verdict.snapshot.clone()).collect();
        let again = decide_in(&zone, &listed, rules, new.as_ref());
        prop_assert_eq!(names(removals(&again)), names(removals(&left)));
        // What stays has the same reason.
        let reasons_of_kept = |verdicts: &[Verdict]| -> Vec<Reason> {
            let kept = verdicts.iter().filter(|verdict| !verdict.reason.is_removal());
            kept.map(|verdict| verdict.reason.clone()).collect()
        };
        prop_assert_eq!(reasons_of_kept(&again), reasons_of_kept(&left));
    }

    #[test]
    fn guards_hold_what_they_promise(
        snapshots in history(),
        rules in any_rules(),
        new in new_snapshot(),
    ) {
        let verdicts = decide_in(&TimeZone::UTC, &snapshots, rules, new.as_ref());
        for removed in removals(&verdicts) {
            let age = second(NOW + 2).duration_since(removed.taken_at.unwrap());
            prop_assert!(age >= rules.min_age() && age >= rules.within(), "{age}");
        }
        let total = snapshots.len() + usize::from(new.is_some());
        let kept = total - removals(&verdicts).count();
        prop_assert!(kept >= total.min(rules.keep_min() as usize));
        // Without guards the same rules keep a part of these.
        let bare = rules.counts().map_or(Rules::keep_all(), Rules::from_counts);
        let bare = bare.with_min_age(SignedDuration::ZERO);
        if rules.within().is_zero() {
            let without = decide_in(&TimeZone::UTC, &snapshots, bare, new.as_ref());
            let removed: BTreeSet<_> = removals(&without).map(|one| one.name.clone()).collect();
            prop_assert!(removals(&verdicts).all(|one| removed.contains(&one.name)));
        }
    }

    #[test]
    fn the_order_of_the_list_does_not_matter(snapshots in history(), rules in any_rules(), zone in zones()) {
        let mut sorted = snapshots.clone();
        sorted.sort_by(|one, other| one.name.cmp(&other.name));
        prop_assert_eq!(
            decide_in(&zone, &snapshots, rules, None),
            decide_in(&zone, &sorted, rules, None)
        );
    }

    /// The text of a removal names a snapshot that stays, or the new one.
    #[test]
    fn a_removal_names_a_snapshot_that_stays(
        snapshots in history(),
        rules in any_rules(),
        zone in zones(),
        new in new_snapshot(),
    ) {
        let verdicts = decide_in(&zone, &snapshots, rules, new.as_ref());
        let stays = |name: &str| {
            new.as_ref().is_some_and(|new| new.as_str() == name)
                || verdicts.iter().any(|verdict| verdict.snapshot.name == name && rule(verdict).is_some())
        };
        for verdict in &verdicts {
            if let Reason::SamePeriod { period, kept } = &verdict.reason {
                prop_assert!(stays(kept) && rules.count(*period) > 0, "{verdict:?}");
            }
        }
    }

    #[test]
    fn a_comparison_explains_the_whole_difference(
        snapshots in history(),
        one in any_rules(),
        other in any_rules(),
    ) {
        let now = at(NOW + 2);
        let differences = compare(&snapshots, &both_formats(one), other, None, &now);
        let kept_by = |rules: Rules| -> BTreeSet<String> {
            kept(&decide_in(&TimeZone::UTC, &snapshots, rules, None)).into_iter().map(|kept| kept.name).collect()
        };
        let (by_one, by_other) = (kept_by(one), kept_by(other));
        let named = |is_kept_by_other: bool| -> BTreeSet<String> {
            let named = differences.iter().filter(|found| found.is_kept_by_other() == is_kept_by_other);
            named.map(|found| found.snapshot.name.clone()).collect()
        };
        prop_assert_eq!(named(false), &by_one - &by_other);
        prop_assert_eq!(named(true), &by_other - &by_one);
    }

    #[test]
    fn the_text_of_rules_is_parsed_back(rules in any_rules()) {
        let bare = rules.with_within(SignedDuration::ZERO).with_min_age(Rules::DEFAULT_MIN_AGE).with_keep_min(0);
        let parsed = Rules::parse(&bare.to_string()).unwrap();
        prop_assert_eq!(parsed.keeps_all(), bare.keeps_all());
        prop_assert_eq!(parsed.to_string(), bare.to_string());
    }

    #[test]
    fn any_text_is_rules_or_an_error(text in "(keep-(last|daily|all)|[a-z =,0-9-]{0,3}|=|,| ){0,12}") {
        if let Ok(rules) = Rules::parse(&text) {
            prop_assert!(rules.keeps_all() || rules.capacity() > Some(0));
        }
    }
}
