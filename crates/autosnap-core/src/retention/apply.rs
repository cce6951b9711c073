// SPDX-License-Identifier: GPL-3.0-only
//! The rules and guards, applied to the snapshots that count.

use std::sync::Arc;

use jiff::{Timestamp, Zoned};

use super::guards::{AgeGuards, keep_min};
use super::period::Period;
use super::prune_marks::{Mark, marks};
use super::reason::{Hold, Holds, Reason};
use super::rules::Rules;

/// A snapshot that counts.
#[derive(Clone, Copy)]
pub(super) struct Counted<'a> {
    pub(super) name: &'a str,
    pub(super) taken_at: Timestamp,
}

/// Why each of these snapshots stays or is removed, in their order: newest first, and each name once.
///
/// `new` is the snapshot that the run takes. It counts as the newest and is not among `counted`.
pub(super) fn reasons(
    counted: &[Counted<'_>],
    new: Option<Counted<'_>>,
    rules: Rules,
    now: &Zoned,
) -> Vec<Reason> {
    let mut reasons = if let Some(keep) = rules.is_simple() {
        by_rank(counted.len(), keep, new.is_some())
    } else if rules.keeps_all() {
        let all = Holds {
            rule: Some(Hold::All),
            ..Holds::default()
        };
        vec![Reason::KeptBy(all); counted.len()]
    } else {
        by_period(counted, new, rules, now)
    };
    let guards = AgeGuards::new(rules, now.timestamp());
    for (reason, snapshot) in reasons.iter_mut().zip(counted) {
        let held = guards.holds(snapshot.taken_at);
        if let Reason::KeptBy(holds) = reason {
            holds.within = held.within;
            holds.min_age = held.min_age;
        } else if reason.is_removal() && !held.is_empty() {
            *reason = Reason::KeptBy(held);
        }
    }
    keep_min(&mut reasons, rules.keep_min(), usize::from(new.is_some()));
    reasons
}

/// `--keep`: the newest stay, whatever their times are.
fn by_rank(count: usize, keep: u32, has_new: bool) -> Vec<Reason> {
    let ranks = (0..count).map(|index| {
        let rank = index + 1 + usize::from(has_new);
        u32::try_from(rank).unwrap_or(u32::MAX)
    });
    let reason = |rank| {
        if rank <= keep {
            Reason::Kept { rank, keep }
        } else {
            Reason::Removed { rank, keep }
        }
    };
    ranks.map(reason).collect()
}

/// PVE's rules: snapshots of one second have one place.
fn by_period(
    counted: &[Counted<'_>],
    new: Option<Counted<'_>>,
    rules: Rules,
    now: &Zoned,
) -> Vec<Reason> {
    let mut places: Vec<Counted<'_>> = Vec::new();
    let mut place_of_each = Vec::new();
    for snapshot in new.iter().chain(counted) {
        let second = |one: &Counted<'_>| one.taken_at.as_second();
        if places
            .last()
            .is_none_or(|last| second(last) != second(snapshot))
        {
            places.push(*snapshot);
        }
        place_of_each.push(places.len() - 1);
    }
    let times: Vec<Timestamp> = places.iter().map(|place| place.taken_at).collect();
    let marks = marks(&times, now.time_zone(), rules);
    let mut names: Vec<Option<Arc<str>>> = vec![None; places.len()];
    let mut removed = |period: Period, by: usize| {
        let name = names[by].get_or_insert_with(|| places[by].name.into());
        Reason::SamePeriod {
            period,
            kept: Arc::clone(name),
        }
    };
    let without_new = place_of_each.into_iter().skip(usize::from(new.is_some()));
    without_new
        .map(|place| match marks[place] {
            Mark::NotReached => Reason::NotReached,
            Mark::Covered { period, by } | Mark::Removed { period, by } => removed(period, by),
            Mark::Kept { period, ordinal } => Reason::KeptBy(Holds {
                rule: Some(Hold::Rule { period, ordinal }),
                ..Holds::default()
            }),
        })
        .collect()
}
