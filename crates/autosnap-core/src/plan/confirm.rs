// SPDX-License-Identifier: GPL-3.0-only
//! The confirmation of a planned removal against a fresh list, right before it is sent.
//!
//! [`confirm_removal`] can only drop a removal. It drops every removal if the list does not contain
//! the snapshot that the run has just taken.

use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Serialize};

use crate::name::SnapName;
use crate::retention::{self, Policy, Reason};
use crate::snapshot::{Snapshot, SnapshotState};

/// Why a planned removal is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropReason {
    /// The snapshot no longer exists.
    Gone,
    /// Another snapshot has its name now.
    Replaced,
    /// The policy keeps it, by the fresh list.
    KeptNow,
    /// The list does not contain the snapshot that this run has taken.
    NewNotListed,
    /// The list contains the snapshot that this run has taken, but it is not complete.
    NewIncomplete,
    /// A snapshot has the name of the new one, but it was taken before this run's request, is undated,
    /// or has another description: this run has not taken it.
    NewIsAnother,
}

impl DropReason {
    /// Whether the guest has failed: its list does not contain the snapshot that the run has taken.
    pub fn is_failure(self) -> bool {
        match self {
            Self::Gone | Self::Replaced | Self::KeptNow => false,
            Self::NewNotListed | Self::NewIncomplete | Self::NewIsAnother => true,
        }
    }
}

/// The snapshot that a run has just taken of a guest, which a list must contain to confirm a removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenSnapshot {
    /// Its name.
    pub name: SnapName,
    /// The earliest `snaptime` it can have: the time of the request by the server's clock, less a
    /// tolerance for clocks that differ.
    pub not_before: Timestamp,
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

/// Confirms one planned removal by a fresh list of the guest's snapshots, or gives the reason to drop it.
///
/// The removal is confirmed only if the same snapshot (name and `snaptime`) still exists and the policy,
/// applied to the fresh list, removes it as well. `new` is the snapshot that this run has just taken of
/// the guest. It counts as the newest, as in the plan, and the list must contain it, complete and taken by
/// this run: a list without it may come from another guest, another cluster or another time. `now` is
/// the time by the server's clock.
pub fn confirm_removal(
    planned: &Snapshot,
    listed: &[Snapshot],
    policy: &Policy,
    new: Option<&TakenSnapshot>,
    now: &Zoned,
) -> Result<(), DropReason> {
    if let Some(reason) = new.and_then(|new| new.missing_from(listed)) {
        return Err(reason);
    }
    let current = listed.iter().find(|snapshot| snapshot.name == planned.name);
    let current = current.ok_or(DropReason::Gone)?;
    if current.taken_at != planned.taken_at {
        return Err(DropReason::Replaced);
    }
    let new = new.map(|new| &new.name);
    let judged = retention::judge(listed, policy, policy.rules, new, now);
    let is_removed = |(snapshot, reason): &(&Snapshot, Reason)| {
        snapshot.name == planned.name && reason.is_removal()
    };
    if judged.iter().any(is_removed) {
        Ok(())
    } else {
        Err(DropReason::KeptNow)
    }
}
