// SPDX-License-Identifier: GPL-3.0-only
//! Retention: the decision which snapshots of a guest stay and which are removed. No other code makes it.
//!
//! [`decide`] gives every snapshot a verdict with its reason and removes nothing. Only snapshots that
//! are ours, complete, dated and certainly of the series are counted (`counting`); all others stay and
//! do not count towards the number that is kept. The [`Rules`] of the [`Policy`] decide about those that count
//! (`prune_marks`), and guards hold some of those that the rules would remove (`guards`). A mark of a snapshot
//! ([`crate::marks`]) wins over the rules: a held one stays and is not counted; an expired one is removed and not
//! counted, unless `keep-min` needs it.
//!
//! The newest snapshot is the one with the latest `snaptime`; of equal ones, the one with the greatest
//! name. `snaptime` comes from the node's clock, so that neither the format of the name nor the end of
//! summer time changes the order. A snapshot whose time is wrong, because it contradicts the time in
//! the name or is in the future, stays and is not counted. The snapshot that a run is about to take counts as
//! the newest regardless of the clocks: it always stays.

mod apply;
mod compare;
mod counting;
mod guards;
mod period;
mod policy;
mod prune_marks;
mod prune_string;
mod reason;
mod rules;

use std::collections::HashMap;

use jiff::{Timestamp, Zoned};

use crate::name::SnapName;
use crate::snapshot::Snapshot;
use apply::Counted;
use counting::Counting;

pub use compare::{Difference, compare};
pub use period::{KeepCounts, Period};
pub use policy::{Policy, StuckRemovals};
pub use prune_string::{RulesError, suggested_rules};
pub use reason::{Hold, Holds, Reason};
pub use rules::Rules;

/// A snapshot with the reason why it stays or is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Why it stays or is removed.
    pub reason: Reason,
}

/// One verdict for every snapshot of a guest, newest first, undated ones last.
///
/// `new` is the name of the snapshot that this run takes. It counts as the newest whether `snapshots`
/// holds it already or not, so that the plan before the creation and the confirmation after it agree.
/// `now` is the time by the server's clock, in the zone whose hours and days the rules count. A name
/// that is listed twice counts once.
pub fn decide(
    snapshots: &[Snapshot],
    policy: &Policy,
    new: Option<&SnapName>,
    now: &Zoned,
) -> Vec<Verdict> {
    let judged = judge(snapshots, policy, policy.rules, new, now).into_iter();
    let verdicts = judged.map(|(snapshot, reason)| Verdict {
        snapshot: snapshot.clone(),
        reason,
    });
    verdicts.collect()
}

/// The reason for every snapshot under these rules instead of those of the policy, newest first.
pub(crate) fn judge<'a>(
    snapshots: &'a [Snapshot],
    policy: &Policy,
    rules: Rules,
    new: Option<&SnapName>,
    now: &Zoned,
) -> Vec<(&'a Snapshot, Reason)> {
    let rules = match new {
        Some(_) => rules.with_new(),
        None => rules,
    };
    let counting = Counting::new(snapshots, policy, rules.keep_none(), now);
    let mut newest_first: Vec<&Snapshot> = snapshots.iter().collect();
    newest_first
        .sort_by(|one, other| (other.taken_at, &other.name).cmp(&(one.taken_at, &one.name)));
    let is_new = |snapshot: &Snapshot| new.is_some_and(|new| new.as_str() == snapshot.name);
    let listed = snapshots.iter().find(|snapshot| is_new(snapshot));
    // A hold that another user has set since the creation counts as well.
    let is_held = |new: &Snapshot| new.marks().is_held(now.timestamp());
    let holds_new = policy.holds_new || listed.is_some_and(is_held);
    let new = new.filter(|_| !holds_new).map(|name| Counted {
        name: name.as_str(),
        taken_at: counting.time_of_new(listed),
    });

    let mut counted: Vec<Counted<'_>> = Vec::new();
    let mut by_name = HashMap::new();
    let mut place = |snapshot: &'a Snapshot| -> Result<usize, Reason> {
        let taken_at = counting.check(snapshot)?;
        if is_new(snapshot) {
            return Err(Reason::KeptNew);
        }
        if let Some(expired) = counting.expired(snapshot) {
            return Err(expired);
        }
        let name = snapshot.name.as_str();
        Ok(*by_name.entry(name).or_insert_with(|| {
            counted.push(Counted { name, taken_at });
            counted.len() - 1
        }))
    };
    let placed: Vec<Result<usize, Reason>> = newest_first.iter().map(|one| place(one)).collect();
    let reasons = apply::reasons(&counted, new, rules, now);
    let judged = placed.into_iter().map(|place| match place {
        Ok(place) => reasons[place].clone(),
        Err(reason) => reason,
    });
    let mut judged: Vec<Reason> = judged.collect();
    guards::keep_expired(&mut judged, rules.keep_min(), usize::from(new.is_some()));
    newest_first.into_iter().zip(judged).collect()
}

/// Why each of the snapshots of these times stays or is removed in a run that takes the first of them, newest first.
///
/// All of them count.
pub(crate) fn judge_times(newest_first: &[Timestamp], rules: Rules, now: &Zoned) -> Vec<Reason> {
    let counted = newest_first.iter().map(|taken_at| Counted {
        name: "",
        taken_at: *taken_at,
    });
    let counted: Vec<Counted<'_>> = counted.collect();
    apply::reasons(&counted, None, rules.with_new(), now)
}

/// The snapshots to remove, oldest first: a run that is cut short has removed the oldest ones.
pub fn removals(verdicts: &[Verdict]) -> impl Iterator<Item = &Snapshot> {
    verdicts
        .iter()
        .rev()
        .filter(|verdict| verdict.reason.is_removal())
        .map(|verdict| &verdict.snapshot)
}

#[cfg(test)]
mod tests;
