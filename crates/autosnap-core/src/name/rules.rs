// SPDX-License-Identifier: GPL-3.0-only
//! PVE's rules for the names of snapshots, and the prefix of ours.

/// The beginning of every name of ours.
pub const PREFIX: &str = "auto";

/// The longest name that PVE accepts, in characters (`pve-snapshot-name` in `PVE/JSONSchema.pm`).
pub const MAX_LENGTH: usize = 40;

/// The names that PVE reserves (`snapshot` in `PVE/API2/Qemu.pm` and `PVE/API2/LXC/Snapshot.pm`).
pub(super) const RESERVED: [&str; 3] = ["current", "pending", "vzdump"];

/// Whether PVE accepts the character in a name, after the first.
pub(super) fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_')
}
