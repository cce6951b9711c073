// SPDX-License-Identifier: GPL-3.0-only
//! Snapshots of a guest as PVE lists them, and whether this tool has taken them.
//!
//! PVE adds an entry `current` for the guest's present state to every list. It is not a snapshot; callers omit it.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::marks::{self, Marks};

/// The description of every snapshot that this tool takes; its first line if the snapshot has [marks].
///
/// The C# tool writes the same text, so that each tool recognizes the other's snapshots.
pub const DESCRIPTION: &str = "cv4pve-autosnap";

/// The description that the C# tool wrote under its first name.
pub(crate) const FORMER_DESCRIPTION: &str = "eve4pve-autosnap";

/// A description as PVE lists it, without an allocation if it is that of this tool: most are.
pub fn stored_description(listed: String) -> Cow<'static, str> {
    /// [`DESCRIPTION`] as PVE lists it for a container.
    const WITH_NEWLINE: &str = "cv4pve-autosnap\n";
    match listed.as_str() {
        DESCRIPTION => Cow::Borrowed(DESCRIPTION),
        WITH_NEWLINE => Cow::Borrowed(WITH_NEWLINE),
        _ => Cow::Owned(listed),
    }
}

/// A snapshot of a guest, as `GET /nodes/{node}/{qemu,lxc}/{vmid}/snapshot` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The name, unique within its guest.
    pub name: String,
    /// When it was taken (`snaptime`), by the node's clock, to the second.
    ///
    /// PVE writes it with the first lines of the snapshot (`__snapshot_prepare` in
    /// `PVE/AbstractConfig.pm`), so that only a configuration edited by hand lacks it.
    pub taken_at: Option<Timestamp>,
    /// The description; PVE ends its last line with a newline. See [`stored_description`].
    pub description: Cow<'static, str>,
    /// The snapshot that this one was taken after, or rolled back to.
    pub parent: Option<Box<str>>,
    /// Whether the guest's memory is part of it.
    pub with_ram: bool,
    /// Whether it is complete.
    pub state: SnapshotState,
}

/// Whether a snapshot is complete, by its `snapstate` (`PVE/AbstractConfig.pm`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotState {
    /// No `snapstate`: the snapshot is complete.
    Complete,
    /// `prepare`: it is being taken, or its task failed while taking it.
    Preparing,
    /// `delete`: it is being removed, or its task failed while removing it.
    Deleting,
    /// A state of another version of PVE, unchanged.
    Other(Box<str>),
}

impl SnapshotState {
    /// Parses a `snapstate`, which complete snapshots do not have.
    pub fn parse(snapstate: Option<&str>) -> Self {
        match snapstate {
            None | Some("") => Self::Complete,
            Some("prepare") => Self::Preparing,
            Some("delete") => Self::Deleting,
            Some(other) => Self::Other(other.into()),
        }
    }

    /// PVE's `snapstate`; `None` for complete snapshots.
    pub fn snapstate(&self) -> Option<&str> {
        match self {
            Self::Complete => None,
            Self::Preparing => Some("prepare"),
            Self::Deleting => Some("delete"),
            Self::Other(state) => Some(state),
        }
    }
}

impl fmt::Display for SnapshotState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.snapstate().unwrap_or("complete"))
    }
}

impl Snapshot {
    /// Whether this tool or the C# tool took the snapshot, by its description.
    ///
    /// Only newlines are ignored in the description, as in the C# tool; a carriage return is not. A description
    /// with [marks] is ours as well.
    /// Snapshots that are not ours are never removed. The name proves nothing: any name may begin with
    /// `auto`.
    pub fn is_ours(&self) -> bool {
        marks::is_ours(&self.description)
    }

    /// The marks of the snapshot; none if it is not ours.
    pub fn marks(&self) -> Marks {
        Marks::parse(&self.description).unwrap_or_default()
    }

    /// The description without its newlines, as the C# tool reads it.
    pub fn description_without_newlines(&self) -> Cow<'_, str> {
        let description = self.description.trim_end_matches('\n');
        if description.contains('\n') {
            Cow::Owned(description.replace('\n', ""))
        } else {
            Cow::Borrowed(description)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(description: &str) -> Snapshot {
        Snapshot {
            name: "autodaily231123170958".to_owned(),
            taken_at: Timestamp::from_second(1_700_759_398).ok(),
            description: stored_description(description.to_owned()),
            parent: None,
            with_ram: false,
            state: SnapshotState::Complete,
        }
    }

    #[test]
    fn a_snapshot_is_ours_only_with_one_of_two_descriptions() {
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
            ("cv4pve-autosnap\nkept for the auditors", false),
            ("cv4pve-autosnap\nautosnap: hold\n", true),
            ("cv4pve-autosnap\n\nautosnap: hold", true),
            ("eve4pve-autosnap\nautosnap: hold", true),
            (
                "cv4pve-autosnap\nkept for the auditors\nautosnap: hold",
                true,
            ),
            ("cv4pve-autosnap\nautosnap: kept for the auditors", true),
            ("cv4pve-autosnap\n autosnap: hold", false),
            ("cv4pve-autosnap\nAutosnap: hold", false),
            ("cv4pve-autosnap\nautosnap:hold", false),
            ("cv4pve-autosnap\r\nautosnap: hold", false),
            ("cv4pve-\nautosnap\nautosnap: hold", false),
            ("\ncv4pve-autosnap\nautosnap: hold", false),
            ("before the upgrade\nautosnap: hold", false),
            ("autosnap: hold", false),
        ] {
            assert_eq!(described(description).is_ours(), ours, "{description:?}");
        }
    }

    #[test]
    fn snapstates_round_trip() {
        for snapstate in [None, Some("prepare"), Some("delete"), Some("rollback")] {
            assert_eq!(SnapshotState::parse(snapstate).snapstate(), snapstate);
        }
        assert_eq!(SnapshotState::parse(Some("")), SnapshotState::Complete);
        assert_eq!(SnapshotState::parse(None), SnapshotState::Complete);
        assert_eq!(
            SnapshotState::parse(Some("delete")),
            SnapshotState::Deleting
        );
    }
}
