// SPDX-License-Identifier: GPL-3.0-only
//! Operations on a guest's snapshots, and their effect as the snapshots show it.

use autosnap_core::plan::{self, DropReason, NewSnapshot, TakenSnapshot};
use autosnap_core::retention::Policy;
use autosnap_core::snapshot::Snapshot;
use jiff::Zoned;
use pve_client::{GuestKind, SnapshotListing};

use crate::inventory;

/// A creation or a removal.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) enum Operation<'a> {
    Create(&'a NewSnapshot),
    Remove {
        /// The snapshot that was confirmed: its name and its date.
        snapshot: &'a Snapshot,
        /// The policy that confirmed the removal.
        policy: &'a Policy,
        /// The snapshot that this run has taken of the guest.
        new: Option<&'a TakenSnapshot>,
        /// The time by the server's clock.
        now: &'a Zoned,
        force: bool,
        /// Whether to list the snapshots while the task runs, because more removals follow.
        list_snapshots: bool,
    },
}

/// The effect of an operation, as the guest's snapshots show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestEffect {
    Applied,
    Partial,
    NotApplied,
}

impl Operation<'_> {
    /// The effect for messages. `effect` is `None` if the snapshots could not be listed.
    pub(super) fn describe_effect(&self, effect: Option<RequestEffect>) -> String {
        let name = self.snapshot_name();
        match (self, effect) {
            (Self::Create(_), Some(RequestEffect::NotApplied)) => {
                format!("there is no snapshot {name} now")
            }
            (Self::Create(_), Some(RequestEffect::Partial)) => {
                format!("snapshot {name} is incomplete")
            }
            (Self::Remove { .. }, Some(RequestEffect::NotApplied)) => {
                format!("snapshot {name} is still there")
            }
            (Self::Remove { .. }, Some(RequestEffect::Partial)) => {
                format!("snapshot {name} is half removed")
            }
            (Self::Create(_) | Self::Remove { .. }, Some(RequestEffect::Applied) | None) => {
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

    /// The effect that this list shows. A removal compares the date as well: another snapshot may have the name.
    pub(super) fn effect_in(&self, listing: &SnapshotListing) -> RequestEffect {
        let entry = listing.find(self.snapshot_name());
        match (self, entry) {
            (Self::Create(_), Some(entry)) if entry.state.is_none() => RequestEffect::Applied,
            (Self::Create(_), None) => RequestEffect::NotApplied,
            (Self::Remove { .. }, None) => RequestEffect::Applied,
            (Self::Remove { snapshot, .. }, Some(entry))
                if inventory::taken_at(entry.taken_at) != snapshot.taken_at =>
            {
                RequestEffect::Applied
            }
            (Self::Remove { .. }, Some(entry)) if entry.state.is_none() => {
                RequestEffect::NotApplied
            }
            (Self::Create(_) | Self::Remove { .. }, Some(_)) => RequestEffect::Partial,
        }
    }

    /// Why a removal no longer applies, by a fresh list of the guest's snapshots.
    pub(super) fn drop_reason(&self, listing: &SnapshotListing) -> Option<DropReason> {
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
