// SPDX-License-Identifier: GPL-3.0-only
//! The check of every planned removal against a fresh list, right before it is sent.
//!
//! [`confirm_removals`] can only drop removals. It drops all of them when the list does not hold the
//! snapshot that the run has just taken.

use crate::name::SnapName;
use crate::retention::{self, KeepPolicy, Verdict};
use crate::snapshot::{Snapshot, SnapshotState};

/// A planned removal after a second look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// It may be sent.
    Remove(Snapshot),
    /// It is not sent, for this reason.
    Drop(Snapshot, DropReason),
}

/// Why a planned removal is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// It is no longer there.
    Gone,
    /// A snapshot of that name is there, but not the one that was planned for.
    Replaced,
    /// With what is there now, the policy keeps it.
    KeptNow,
    /// The list does not hold the snapshot that this run has taken.
    NewNotListed,
    /// The list holds the snapshot that this run has taken, but it is not complete.
    NewIncomplete,
    /// A snapshot with the name of the new one is there, but it was taken before this run asked for
    /// it, is undated, or has another description: it is not the one that this run has taken.
    NewIsAnother,
}

impl DropReason {
    /// Whether the guest has failed: the run took a snapshot that the guest's list does not show.
    pub fn is_failure(self) -> bool {
        match self {
            Self::Gone | Self::Replaced | Self::KeptNow => false,
            Self::NewNotListed | Self::NewIncomplete | Self::NewIsAnother => true,
        }
    }
}

/// The snapshot that a run has just taken of a guest: what the guest's list must hold before
/// anything is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenSnapshot {
    /// Its name.
    pub name: SnapName,
    /// The earliest `snaptime` it can have, in seconds since the epoch: the time of the request by
    /// the server's clock, less a tolerance for clocks that differ.
    pub not_before: i64,
}

impl TakenSnapshot {
    /// Why a list does not prove that this snapshot exists; `None` if it does.
    fn missing_from(&self, listed: &[Snapshot]) -> Option<DropReason> {
        let Some(entry) = listed
            .iter()
            .find(|snapshot| snapshot.name == self.name.as_str())
        else {
            return Some(DropReason::NewNotListed);
        };
        if entry.state != SnapshotState::Complete {
            return Some(DropReason::NewIncomplete);
        }
        let is_it = entry.is_ours()
            && entry
                .taken_at
                .is_some_and(|taken_at| taken_at >= self.not_before);
        (!is_it).then_some(DropReason::NewIsAnother)
    }
}

/// Which of the planned removals still hold, given a fresh list of the guest's snapshots, oldest
/// first. A removal passes only if the very snapshot (name and `snaptime`) is still there and the
/// policy, applied to the fresh list, removes it as well.
///
/// `new` is the snapshot that this run has just taken of the guest. It counts as the newest, as it
/// did in the plan, and the list must hold it, complete and taken by this run; a list that does not
/// confirms nothing, because it may be that of another guest, another cluster or another time. `now`
/// is the server's time in seconds since the epoch.
pub fn confirm_removals<'a>(
    planned: impl IntoIterator<Item = &'a Snapshot>,
    listed: &[Snapshot],
    policy: &KeepPolicy,
    new: Option<&TakenSnapshot>,
    now: i64,
) -> Vec<Confirmation> {
    let new_is_missing = new.and_then(|new| new.missing_from(listed));
    let verdicts = retention::decide(listed, policy, new.map(|new| &new.name), now);
    planned
        .into_iter()
        .map(|snapshot| match new_is_missing {
            Some(reason) => Confirmation::Drop(snapshot.clone(), reason),
            None => confirm(snapshot, listed, &verdicts),
        })
        .collect()
}

fn confirm(planned: &Snapshot, listed: &[Snapshot], verdicts: &[Verdict]) -> Confirmation {
    let Some(now) = listed.iter().find(|snapshot| snapshot.name == planned.name) else {
        return Confirmation::Drop(planned.clone(), DropReason::Gone);
    };
    if now.taken_at != planned.taken_at {
        return Confirmation::Drop(planned.clone(), DropReason::Replaced);
    }
    let removed =
        |verdict: &Verdict| verdict.snapshot.name == planned.name && verdict.reason.is_removal();
    if verdicts.iter().any(removed) {
        Confirmation::Remove(planned.clone())
    } else {
        Confirmation::Drop(planned.clone(), DropReason::KeptNow)
    }
}
