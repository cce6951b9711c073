// SPDX-License-Identifier: GPL-3.0-only
//! Retention: which snapshots of a guest stay and which go. This is the only place where that is
//! decided.
//!
//! [`decide`] gives every snapshot a verdict with its reason and removes nothing by itself. It
//! counts only what is ours, complete, dated and of the label in question; everything else stays
//! and takes no place among the kept ones. There is no policy that stands for "remove all" by
//! leaving something out: a [`KeepPolicy`] always has its label and its number.
//!
//! The newest is the one with the latest `snaptime`, among equals the one with the greatest name.
//! `snaptime` is what the node's clock said, so that neither the format of a name nor the end of
//! summer time can turn the order around. A snapshot dated in the future is ordered like any
//! other. The snapshot that a run is about to take is the newest by definition, whatever the
//! clocks say: it always stays.

use std::fmt;

use crate::name::{self, Label, SnapName, TimestampFormat};
use crate::snapshot::{Snapshot, SnapshotState};

/// How many snapshots of a label a guest keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepPolicy {
    /// The label whose snapshots are counted; all others are left alone.
    pub label: Label,
    /// The format of the timestamps in their names; the default format is always understood too.
    pub format: TimestampFormat,
    /// How many stay, the new one included. 0 removes all of them, which `clean --keep=0` asks for;
    /// with a new snapshot it means 1.
    pub keep: u32,
    /// What becomes of removals that PVE did not finish.
    pub stuck: StuckRemovals,
}

/// What becomes of snapshots of the label that PVE left half removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum StuckRemovals {
    /// They are left alone and reported.
    #[default]
    Leave,
    /// Their removal is sent again, as PVE allows once the guest is unlocked.
    Retry,
}

/// A snapshot with what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Why it stays or goes.
    pub reason: Reason,
}

/// Why a snapshot stays or goes. Everything but [`Reason::Removed`] stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Among the newest of its label.
    Kept {
        /// Its place, counted from 1 for the newest.
        rank: u32,
    },
    /// It has the name that this run takes, so that it always stays and has the first place.
    KeptNew,
    /// Older than all that stay.
    Removed {
        /// Its place, counted from 1 for the newest.
        rank: u32,
        /// How many stay.
        keep: u32,
    },
    /// Its description says that somebody else took it.
    NotOurs,
    /// Ours, but its name is not made of this label and a timestamp.
    OtherLabel,
    /// Ours and of this label, but not whole. Removing it is a repair that somebody has to want.
    HalfMade(SnapshotState),
    /// Ours and of this label, but its removal was not finished: it is sent again.
    RemovalRetried,
    /// Ours and of this label, but PVE does not say when it was taken: nobody knows its place.
    Undated,
}

impl Reason {
    /// Whether the snapshot goes.
    pub fn is_removal(&self) -> bool {
        match self {
            Self::Removed { .. } | Self::RemovalRetried => true,
            Self::Kept { .. }
            | Self::KeptNew
            | Self::NotOurs
            | Self::OtherLabel
            | Self::HalfMade(_)
            | Self::Undated => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept { rank } => write!(formatter, "kept as number {rank} from the newest"),
            Self::KeptNew => write!(formatter, "kept as the new one"),
            Self::Removed { rank, keep } => {
                write!(formatter, "number {rank} from the newest, keep is {keep}")
            }
            Self::NotOurs => write!(formatter, "not taken by this tool"),
            Self::OtherLabel => write!(formatter, "has another label"),
            Self::RemovalRetried => write!(formatter, "its removal was not finished"),
            Self::HalfMade(state) => write!(formatter, "not complete (snapstate {state})"),
            Self::Undated => write!(
                formatter,
                "left alone, as PVE does not say when it was taken"
            ),
        }
    }
}

/// One verdict for every snapshot of a guest, newest first, undated ones last.
///
/// `new` is the name of the snapshot that this run takes. It counts as the newest whether it is
/// among `snapshots` already or not, so that the plan made before the creation and a look after it
/// come to the same removals.
pub fn decide(snapshots: &[Snapshot], policy: &KeepPolicy, new: Option<&SnapName>) -> Vec<Verdict> {
    let keep = policy.keep.max(u32::from(new.is_some()));
    let mut rank = u32::from(new.is_some());
    let mut newest_first: Vec<&Snapshot> = snapshots.iter().collect();
    newest_first
        .sort_by(|one, other| (other.taken_at, &other.name).cmp(&(one.taken_at, &one.name)));
    newest_first
        .into_iter()
        .map(|snapshot| {
            let reason = if let Some(reason) = not_counted(snapshot, policy) {
                reason
            } else if new.is_some_and(|new| new.as_str() == snapshot.name) {
                Reason::KeptNew
            } else {
                rank = rank.saturating_add(1);
                if rank <= keep {
                    Reason::Kept { rank }
                } else {
                    Reason::Removed { rank, keep }
                }
            };
            Verdict {
                snapshot: snapshot.clone(),
                reason,
            }
        })
        .collect()
}

/// The snapshots to remove, oldest first: a run that is cut short has removed the oldest ones.
pub fn removals(verdicts: &[Verdict]) -> impl Iterator<Item = &Snapshot> {
    verdicts
        .iter()
        .rev()
        .filter(|verdict| verdict.reason.is_removal())
        .map(|verdict| &verdict.snapshot)
}

/// Why a snapshot is none of those that the policy counts, if so.
fn not_counted(snapshot: &Snapshot, policy: &KeepPolicy) -> Option<Reason> {
    let KeepPolicy {
        label,
        format,
        keep: _,
        stuck,
    } = policy;
    if !snapshot.is_ours() {
        return Some(Reason::NotOurs);
    }
    if !name::has_label_at(&snapshot.name, label, format, snapshot.taken_at) {
        return Some(Reason::OtherLabel);
    }
    match &snapshot.state {
        SnapshotState::Complete => snapshot.taken_at.is_none().then_some(Reason::Undated),
        SnapshotState::Deleting if *stuck == StuckRemovals::Retry => Some(Reason::RemovalRetried),
        SnapshotState::Preparing | SnapshotState::Deleting | SnapshotState::Other(_) => {
            Some(Reason::HalfMade(snapshot.state.clone()))
        }
    }
}

#[cfg(test)]
mod tests;
