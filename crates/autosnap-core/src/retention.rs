// SPDX-License-Identifier: GPL-3.0-only
//! Retention: which snapshots of a guest stay and which go. This is the only place where that is decided.

use crate::name::{Label, SnapName, TimestampFormat};
use crate::snapshot::{Snapshot, SnapshotState};

/// How many snapshots of a label a guest keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepPolicy {
    /// The label whose snapshots are counted; all others are left alone.
    pub label: Label,
    /// The format of the timestamps in their names; the default format is always understood as well.
    pub format: TimestampFormat,
    /// How many stay. 0 removes all of them, which only `clean --keep=0` may ask for.
    pub keep: u32,
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
    /// It is the one this run takes, which always stays.
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
    /// Ours and of this label, but not whole.
    HalfMade(SnapshotState),
    /// Ours and of this label, but PVE does not say when it was taken.
    Undated,
}

/// One verdict for every snapshot, newest first.
pub fn decide(snapshots: &[Snapshot], policy: &KeepPolicy, new: Option<&SnapName>) -> Vec<Verdict> {
    let _ = (snapshots, policy, new);
    unimplemented!("follows in the next commit")
}

/// The snapshots to remove, oldest first.
pub fn removals(verdicts: &[Verdict]) -> impl Iterator<Item = &Snapshot> {
    verdicts
        .iter()
        .rev()
        .filter_map(|verdict| match verdict.reason {
            Reason::Removed { .. } => Some(&verdict.snapshot),
            Reason::Kept { .. }
            | Reason::KeptNew
            | Reason::NotOurs
            | Reason::OtherLabel
            | Reason::HalfMade(_)
            | Reason::Undated => None,
        })
}
