// SPDX-License-Identifier: GPL-3.0-only
//! Retention: which snapshots of a guest stay and which go. This is the only place where that is
//! decided.
//!
//! [`decide`] gives every snapshot a verdict with its reason and removes nothing by itself. It
//! counts only what is ours, complete, dated, and of the series in question beyond doubt; everything
//! else stays and takes no place among the kept ones. There is no policy that stands for "remove all"
//! by leaving something out: a [`KeepPolicy`] always has its series and its number.
//!
//! The newest is the one with the latest `snaptime`, among equals the one with the greatest name.
//! `snaptime` is what the node's clock said, so that neither the format of a name nor the end of
//! summer time can turn the order around. Where that clock was wrong, because it contradicts the time
//! in the name or is in the future, the snapshot stays and takes no place. The snapshot that a run is
//! about to take is the newest by definition, whatever the clocks say: it always stays.

use std::collections::HashMap;
use std::fmt;

use crate::name::{AmbiguousNames, Membership, OtherLabels, Series, SnapName};
use crate::snapshot::{Snapshot, SnapshotState};

/// How far a snapshot may be dated after now, in seconds, before its time is impossible: clocks of a
/// cluster differ a little.
const FUTURE_TOLERANCE: i64 = 300;

/// How many snapshots of a series a guest keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepPolicy {
    /// The series whose snapshots are counted; all others are left alone.
    pub series: Series,
    /// How many stay, the new one included. 0 removes all of them, which `clean --keep=0` asks for;
    /// with a new snapshot it means 1.
    pub keep: u32,
    /// What becomes of removals that PVE did not finish.
    pub stuck: StuckRemovals,
    /// How names are treated that can also be read as another label with another format.
    pub ambiguous: AmbiguousNames,
}

impl KeepPolicy {
    /// The policy of a series with the defaults for everything else.
    pub fn new(series: Series, keep: u32) -> Self {
        Self {
            series,
            keep,
            stuck: StuckRemovals::default(),
            ambiguous: AmbiguousNames::KeepIfLabelPresent,
        }
    }
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
    /// Older than all that stay, but left to the next runs: one run removes at most this many.
    LeftToNextRuns {
        /// The limit.
        limit: u32,
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
    /// Ours and of this label, but PVE's time is more than 26 hours from the one in the name: one of
    /// the clocks was wrong.
    WrongTime,
}

impl Reason {
    /// Whether the snapshot goes.
    pub fn is_removal(&self) -> bool {
        match self {
            Self::Removed { .. } | Self::RemovalRetried => true,
            Self::Kept { .. }
            | Self::KeptNew
            | Self::LeftToNextRuns { .. }
            | Self::NotOurs
            | Self::OtherLabel
            | Self::HalfMade(_)
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
            Self::Kept { rank } => write!(formatter, "kept as number {rank} from the newest"),
            Self::KeptNew => write!(formatter, "kept as the new one"),
            Self::Removed { rank, keep } => {
                write!(formatter, "number {rank} from the newest, keep is {keep}")
            }
            Self::LeftToNextRuns { limit } => {
                write!(
                    formatter,
                    "left to the next runs: {limit} removals at most in one run"
                )
            }
            Self::NotOurs => write!(formatter, "not taken by this tool"),
            Self::OtherLabel => write!(formatter, "has another label"),
            Self::RemovalRetried => write!(formatter, "its removal was not finished"),
            Self::HalfMade(state) => write!(formatter, "not complete (snapstate {state})"),
            Self::Undated => write!(
                formatter,
                "left alone, as PVE does not say when it was taken"
            ),
            Self::OtherFormat { format } => {
                write!(formatter, "its timestamp has the format {format}")
            }
            Self::Ambiguous { label, format } => write!(
                formatter,
                "ambiguous name: can also be read as label {label} with format {format}"
            ),
            Self::FutureTime => write!(formatter, "not counted: dated in the future"),
            Self::WrongTime => write!(
                formatter,
                "not counted: Proxmox VE's time differs from the one in its name"
            ),
        }
    }
}

/// One verdict for every snapshot of a guest, newest first, undated ones last.
///
/// `new` is the name of the snapshot that this run takes. It counts as the newest whether it is
/// among `snapshots` already or not, so that the plan made before the creation and a look after it
/// come to the same removals. `now` is in seconds since the epoch, by the server's clock. A name that
/// is listed twice counts once.
pub fn decide(
    snapshots: &[Snapshot],
    policy: &KeepPolicy,
    new: Option<&SnapName>,
    now: i64,
) -> Vec<Verdict> {
    let keep = policy.keep.max(u32::from(new.is_some()));
    let mut rank = u32::from(new.is_some());
    let ours = snapshots.iter().filter(|snapshot| snapshot.is_ours());
    let named = ours.map(|snapshot| (snapshot.name.as_str(), snapshot.taken_at));
    let counting = CountingRules {
        policy,
        others: policy.series.other_labels(named),
        removes_all: keep == 0,
        now,
    };
    let mut newest_first: Vec<&Snapshot> = snapshots.iter().collect();
    newest_first
        .sort_by(|one, other| (other.taken_at, &other.name).cmp(&(one.taken_at, &one.name)));
    let mut counted = HashMap::new();
    newest_first
        .into_iter()
        .map(|snapshot| {
            let reason = if let Some(reason) = counting.exclusion_reason(snapshot) {
                reason
            } else if new.is_some_and(|new| new.as_str() == snapshot.name) {
                Reason::KeptNew
            } else {
                let rank = *counted.entry(&snapshot.name).or_insert_with(|| {
                    rank = rank.saturating_add(1);
                    rank
                });
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

/// The rules by which a snapshot is counted.
struct CountingRules<'a> {
    policy: &'a KeepPolicy,
    /// The guest's labels beside the one of the series.
    others: OtherLabels<'a>,
    /// All snapshots are removed (`--keep=0`), so wrong times do not matter.
    removes_all: bool,
    now: i64,
}

impl CountingRules<'_> {
    /// Why the policy does not count a snapshot; `None` if it does.
    fn exclusion_reason(&self, snapshot: &Snapshot) -> Option<Reason> {
        let KeepPolicy {
            series,
            keep: _,
            stuck,
            ambiguous,
        } = self.policy;
        if !snapshot.is_ours() {
            return Some(Reason::NotOurs);
        }
        let membership =
            series.classify(&snapshot.name, snapshot.taken_at, *ambiguous, &self.others);
        match membership {
            Membership::Other => return Some(Reason::OtherLabel),
            Membership::OtherFormat(format) => return Some(Reason::OtherFormat { format }),
            Membership::Member | Membership::Ambiguous { .. } | Membership::WrongTime => {}
        }
        let retries =
            *stuck == StuckRemovals::Retry && !matches!(membership, Membership::Ambiguous { .. });
        match &snapshot.state {
            SnapshotState::Complete => {}
            SnapshotState::Deleting if retries => return Some(Reason::RemovalRetried),
            SnapshotState::Preparing | SnapshotState::Deleting | SnapshotState::Other(_) => {
                return Some(Reason::HalfMade(snapshot.state.clone()));
            }
        }
        if let Membership::Ambiguous { label, format } = membership {
            return Some(Reason::Ambiguous { label, format });
        }
        let Some(taken_at) = snapshot.taken_at else {
            return Some(Reason::Undated);
        };
        if self.removes_all {
            None
        } else if taken_at > self.now.saturating_add(FUTURE_TOLERANCE) {
            Some(Reason::FutureTime)
        } else if membership == Membership::WrongTime {
            Some(Reason::WrongTime)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests;
