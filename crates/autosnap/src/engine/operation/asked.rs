// SPDX-License-Identifier: GPL-3.0-only
//! What is asked of PVE, and what a guest's snapshots say about it.

use autosnap_core::plan::{self, DropReason, NewSnapshot, TakenSnapshot};
use autosnap_core::retention::Policy;
use autosnap_core::snapshot::Snapshot;
use jiff::Zoned;
use pve_client::{GuestKind, SnapshotListing};

use crate::inventory;

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) enum Operation<'a> {
    Create(&'a NewSnapshot),
    Remove {
        /// The very snapshot that was confirmed, not only its name.
        snapshot: &'a Snapshot,
        /// What it was confirmed by, and would be again.
        policy: &'a Policy,
        /// The snapshot that this run has taken of the guest.
        new: Option<&'a TakenSnapshot>,
        /// The server's time.
        now: &'a Zoned,
        force: bool,
        /// More removals are to follow: list the snapshots while the task runs.
        and_list: bool,
    },
}

/// What the guest's snapshots say about the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Done,
    Half,
    NotDone,
}

impl Operation<'_> {
    /// What the guest's snapshots show of it, in words.
    pub(super) fn seen_in_words(&self, seen: Option<Seen>) -> String {
        let name = self.snapshot_name();
        match (self, seen) {
            (Self::Create(_), Some(Seen::NotDone)) => {
                format!("there is no snapshot {name} now")
            }
            (Self::Create(_), Some(Seen::Half)) => format!("snapshot {name} is incomplete"),
            (Self::Remove { .. }, Some(Seen::NotDone)) => {
                format!("snapshot {name} is still there")
            }
            (Self::Remove { .. }, Some(Seen::Half)) => format!("snapshot {name} is half removed"),
            (Self::Create(_) | Self::Remove { .. }, Some(Seen::Done) | None) => {
                "the guest's snapshots could not be listed".to_owned()
            }
        }
    }

    pub(super) fn snapshot_name(&self) -> &str {
        match self {
            Self::Create(snapshot) => snapshot.name.as_str(),
            Self::Remove { snapshot, .. } => &snapshot.name,
        }
    }

    /// The type of the task in PVE.
    pub(super) fn task_type(&self, kind: GuestKind) -> &'static str {
        match self {
            Self::Create(_) => kind.creation_task_type(),
            Self::Remove { .. } => kind.removal_task_type(),
        }
    }

    /// A snapshot of another time that has got the name of one to be removed is not that one.
    pub(super) fn seen_in(&self, listing: &SnapshotListing) -> Seen {
        let entry = listing.find(self.snapshot_name());
        match (self, entry) {
            (Self::Create(_), Some(entry)) if entry.state.is_none() => Seen::Done,
            (Self::Create(_), None) => Seen::NotDone,
            (Self::Remove { .. }, None) => Seen::Done,
            (Self::Remove { snapshot, .. }, Some(entry))
                if inventory::taken_at(entry.taken_at) != snapshot.taken_at =>
            {
                Seen::Done
            }
            (Self::Remove { .. }, Some(entry)) if entry.state.is_none() => Seen::NotDone,
            (Self::Create(_) | Self::Remove { .. }, Some(_)) => Seen::Half,
        }
    }

    /// Why a removal may no longer be asked for, by a fresh list of the guest's snapshots.
    pub(super) fn dropped_by(&self, listing: &SnapshotListing) -> Option<DropReason> {
        match self {
            Self::Create(_) => None,
            Self::Remove {
                snapshot,
                policy,
                new,
                now,
                ..
            } => {
                let listed = inventory::snapshots(listing.clone());
                plan::confirm_removal(snapshot, &listed, policy, *new, now).err()
            }
        }
    }
}

#[cfg(test)]
mod tests;
