// SPDX-License-Identifier: GPL-3.0-only
//! Snapshots of a guest as PVE lists them, and the question whether one of them is ours.
//!
//! The entry `current`, which PVE adds to every list for the guest's present state, is no snapshot;
//! callers leave it out.

use std::fmt;

/// The description of every snapshot that we take.
///
/// The C# tool writes the same text, so that each tool sees the other's snapshots.
pub const DESCRIPTION: &str = "cv4pve-autosnap";

/// The description that the C# tool wrote under its first name.
const FORMER_DESCRIPTION: &str = "eve4pve-autosnap";

/// A snapshot of a guest, as `GET /nodes/{node}/{qemu,lxc}/{vmid}/snapshot` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The name, unique within its guest.
    pub name: String,
    /// The instant it was taken, `snaptime`, in seconds since the epoch by the node's clock.
    ///
    /// PVE writes it with the first lines of the snapshot (`__snapshot_prepare` in
    /// `PVE/AbstractConfig.pm`), so that only a configuration edited by hand lacks it.
    pub taken_at: Option<i64>,
    /// The description, in which PVE ends the last line with a newline.
    pub description: String,
    /// The snapshot that this one was taken after, or rolled back to.
    pub parent: Option<String>,
    /// Whether the guest's memory is part of it.
    pub with_ram: bool,
    /// Whether it is whole.
    pub state: SnapshotState,
}

/// Whether a snapshot is whole, as its `snapstate` says (`PVE/AbstractConfig.pm`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SnapshotState {
    /// No `snapstate`: the snapshot is complete.
    Complete,
    /// `prepare`: it is being taken, or was left behind by a task that failed while taking it.
    Preparing,
    /// `delete`: it is being removed, or was left behind by a task that failed while removing it.
    Deleting,
    /// A word that only another version of PVE knows, taken as it is.
    Other(String),
}

impl SnapshotState {
    /// Understands a `snapstate`, which complete snapshots do not have.
    pub fn read(snapstate: Option<&str>) -> Self {
        match snapstate {
            None | Some("") => Self::Complete,
            Some("prepare") => Self::Preparing,
            Some("delete") => Self::Deleting,
            Some(other) => Self::Other(other.to_owned()),
        }
    }

    /// The word PVE uses in `snapstate`; none for complete snapshots.
    pub fn snapstate(&self) -> Option<&str> {
        match self {
            Self::Complete => None,
            Self::Preparing => Some("prepare"),
            Self::Deleting => Some("delete"),
            Self::Other(word) => Some(word),
        }
    }
}

impl fmt::Display for SnapshotState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.snapstate().unwrap_or("complete"))
    }
}

impl Snapshot {
    /// Whether we, or the C# tool, took the snapshot: its description without newlines is the one
    /// both write. Nothing else is left out, a carriage return neither, as in the C# tool.
    ///
    /// Nothing else may ever be removed. The name alone is no proof, as anybody may begin a name
    /// with `auto`.
    pub fn is_ours(&self) -> bool {
        let description = self.description.replace('\n', "");
        description == DESCRIPTION || description == FORMER_DESCRIPTION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(description: &str) -> Snapshot {
        Snapshot {
            name: "autodaily231123170958".to_owned(),
            taken_at: Some(1_700_759_398),
            description: description.to_owned(),
            parent: None,
            with_ram: false,
            state: SnapshotState::Complete,
        }
    }

    #[test]
    fn only_our_two_descriptions_make_a_snapshot_ours() {
        for (description, ours) in [
            ("cv4pve-autosnap", true),
            ("cv4pve-autosnap\n", true),
            ("\ncv4pve-\nautosnap\n\n", true),
            ("cv4pve-autosnap\r\n", false),
            ("eve4pve-autosnap\n", true),
            ("", false),
            ("before the upgrade", false),
            ("cv4pve-autosnap ", false),
            (" cv4pve-autosnap", false),
            ("CV4PVE-autosnap", false),
            ("cv4pve-autosnap kept for the auditors", false),
        ] {
            assert_eq!(described(description).is_ours(), ours, "{description:?}");
        }
    }

    #[test]
    fn states_come_back_unchanged() {
        for snapstate in [None, Some("prepare"), Some("delete"), Some("rollback")] {
            assert_eq!(SnapshotState::read(snapstate).snapstate(), snapstate);
        }
        assert_eq!(SnapshotState::read(Some("")), SnapshotState::Complete);
        assert_eq!(SnapshotState::read(None), SnapshotState::Complete);
        assert_eq!(SnapshotState::read(Some("delete")), SnapshotState::Deleting);
    }
}
