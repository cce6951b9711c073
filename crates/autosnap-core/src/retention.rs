// SPDX-License-Identifier: GPL-3.0-only
//! Retention: the decision which snapshots of a guest stay and which are removed. No other code makes it.
//!
//! [`decide`] gives every snapshot a verdict with its reason and removes nothing. Only snapshots that
//! are ours, complete, dated and certainly of the series are counted (`counting`); all others stay and
//! do not count towards the number that is kept. The [`Rules`] of the [`Policy`] decide about those that count
//! (`rules`).
//!
//! The newest snapshot is the one with the latest `snaptime`; of equal ones, the one with the greatest
//! name. `snaptime` comes from the node's clock, so that neither the format of the name nor the end of
//! summer time changes the order. A snapshot whose time is wrong, because it contradicts the time in
//! the name or is in the future, stays and is not counted. The snapshot that a run is about to take counts as
//! the newest regardless of the clocks: it always stays.

mod counting;
mod policy;
mod rules;

use std::fmt;

use jiff::Zoned;

use crate::name::SnapName;
use crate::snapshot::{Snapshot, SnapshotState};
use counting::Counting;

pub use policy::{Policy, Rules, StuckRemovals};

/// A snapshot with the reason why it stays or is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Why it stays or is removed.
    pub reason: Reason,
}

/// Why a snapshot stays or is removed ([`Reason::is_removal`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Among the newest of its series.
    Kept {
        /// Its rank, counted from 1 for the newest.
        rank: u32,
        /// How many stay.
        keep: u32,
    },
    /// It has the name of the new snapshot, which always stays and has rank 1.
    KeptNew,
    /// Older than all that stay.
    Removed {
        /// Its rank, counted from 1 for the newest.
        rank: u32,
        /// How many stay.
        keep: u32,
    },
    /// Older than all that stay, but left to the next runs: one run removes at most this many.
    LeftToNextRuns {
        /// The limit.
        limit: u32,
    },
    /// Its description is not that of this tool.
    NotOurs,
    /// Ours, but its name does not consist of this label and a timestamp.
    OtherLabel,
    /// Ours and of this label, but incomplete. It is removed only on request, as a repair.
    Incomplete(SnapshotState),
    /// Ours and of this label, but its removal was not finished: the removal is sent again.
    RemovalRetried,
    /// Ours and of this label, but PVE does not report when it was taken, so that its rank is unknown.
    Undated,
    /// Ours and of this label, but in another timestamp format: another series.
    OtherFormat {
        /// The format.
        format: String,
    },
    /// Ours, but its name can also be read as another label with another format.
    Ambiguous {
        /// The label of the other reading.
        label: String,
        /// The format of the other reading.
        format: String,
    },
    /// Ours and of this label, but dated in the future.
    FutureTime,
    /// Ours and of this label, but its `snaptime` is more than 26 hours from the time in its name: one
    /// of the clocks was wrong.
    WrongTime,
}

impl Reason {
    /// Whether the snapshot is removed.
    pub fn is_removal(&self) -> bool {
        match self {
            Self::Removed { .. } | Self::RemovalRetried => true,
            Self::Kept { .. }
            | Self::KeptNew
            | Self::LeftToNextRuns { .. }
            | Self::NotOurs
            | Self::OtherLabel
            | Self::Incomplete(_)
            | Self::Undated
            | Self::OtherFormat { .. }
            | Self::Ambiguous { .. }
            | Self::FutureTime
            | Self::WrongTime => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept { rank, keep } => write!(formatter, "{rank} of {keep}"),
            Self::KeptNew => formatter.write_str("new"),
            Self::Removed { rank, keep } => {
                write!(formatter, "{}, keep {keep}", ordinal_from_newest(*rank))
            }
            Self::LeftToNextRuns { limit } => write!(
                formatter,
                "left to the next runs, at most {limit} removals per run"
            ),
            Self::NotOurs => formatter.write_str("not taken by this tool"),
            Self::OtherLabel => formatter.write_str("has another label"),
            Self::RemovalRetried => formatter.write_str("unfinished removal, retried"),
            Self::Incomplete(state) => write!(formatter, "incomplete (snapstate {state})"),
            Self::Undated => formatter.write_str("not counted: Proxmox VE reports no time"),
            Self::OtherFormat { format } => {
                write!(formatter, "has another timestamp format, {format}")
            }
            Self::Ambiguous { label, format } => write!(
                formatter,
                "ambiguous name: can also be label {label} with format {format}"
            ),
            Self::FutureTime => formatter.write_str("not counted: dated in the future"),
            Self::WrongTime => {
                formatter.write_str("not counted: its time differs from the one in its name")
            }
        }
    }
}

/// `newest`, `2nd newest`, `3rd newest`, …
fn ordinal_from_newest(rank: u32) -> String {
    let suffix = match (rank % 100, rank % 10) {
        _ if rank == 1 => return "newest".to_owned(),
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{rank}{suffix} newest")
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
    let rules = match new {
        Some(_) => policy.rules.with_new(),
        None => policy.rules,
    };
    let counting = Counting::new(snapshots, policy, rules.keep_none(), now.timestamp());
    let mut newest_first: Vec<&Snapshot> = snapshots.iter().collect();
    newest_first
        .sort_by(|one, other| (other.taken_at, &other.name).cmp(&(one.taken_at, &one.name)));
    let is_new = |snapshot: &Snapshot| new.is_some_and(|new| new.as_str() == snapshot.name);
    let without_rules: Vec<(&Snapshot, Option<Reason>)> = newest_first
        .into_iter()
        .map(|snapshot| {
            let excluded = counting.exclusion_reason(snapshot);
            let reason = excluded.or_else(|| is_new(snapshot).then_some(Reason::KeptNew));
            (snapshot, reason)
        })
        .collect();
    let counted = without_rules.iter().filter(|(_, reason)| reason.is_none());
    let names = counted.map(|(snapshot, _)| snapshot.name.as_str());
    let by_rules = rules::apply(names, rules, new.is_some());
    let verdicts = without_rules.into_iter().map(|(snapshot, reason)| Verdict {
        snapshot: snapshot.clone(),
        reason: reason.unwrap_or_else(|| by_rules[snapshot.name.as_str()].clone()),
    });
    verdicts.collect()
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
