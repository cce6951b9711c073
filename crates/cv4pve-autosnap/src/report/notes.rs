// SPDX-License-Identifier: GPL-3.0-only
//! Texts that `check` and the reports share.

use autosnap_core::marks::LINE_EXCERPT;
use autosnap_core::plan::Note;
use autosnap_core::text::excerpt;

/// What to do about a storage that PVE cannot use.
pub(super) const UNUSABLE_STORAGE_ADVICE: &str =
    "see Datacenter > Storage: add or enable the storage, or move or detach the disks of the guest";

/// What should be known of a guest.
pub(super) fn note(vmid: impl std::fmt::Display, note: &Note) -> String {
    match note {
        Note::AgentDisabled => {
            format!(
                "VM {vmid} consider enabling QEMU agent see https://pve.proxmox.com/wiki/Qemu-guest-agent"
            )
        }
        Note::Incomplete { name, state } => {
            format!(
                "Snapshot {name} is not complete (snapstate {state}): neither counted nor removed"
            )
        }
        Note::RemovalsOverdue { count } => format!(
            "The last snapshot took longer than --timeout: {} of that run {} before the new snapshot",
            counted(*count, "removal"),
            if *count == 1 { "comes" } else { "come" }
        ),
        Note::LimitNotChecked(storage) => format!("Warning: {storage}"),
        Note::AmbiguousNames { names, own, other } => {
            let pair =
                |(label, format): &(String, String)| format!("label {label} with format {format}");
            format!(
                "{} kept because ambiguous: {} can be read as {} or as {}",
                counted(names.len(), "snapshot"),
                names.join(", "),
                pair(own),
                pair(other)
            )
        }
        Note::Held { names } => format!(
            "{} kept because of a hold: {}",
            counted(names.len(), "snapshot"),
            names.join(", ")
        ),
        Note::OldHold { name, since } => format!(
            "Snapshot {name} has been held for more than a year, since {}",
            since.strftime("%Y-%m-%d")
        ),
        Note::UnreadableMark { name, line } => {
            let line = excerpt(line, LINE_EXCERPT);
            format!("Snapshot {name} is kept because of the line '{line}' in its description")
        }
        Note::RemovalLimit { limit, left } => format!(
            "{} left to the next runs: {limit} removals at most in one run (--max-removals-per-guest)",
            counted(*left, "removal")
        ),
        Note::ImpossibleTime {
            name,
            taken_at,
            future,
        } => {
            if *future {
                format!(
                    "Snapshot {name} is dated in the future ({taken_at}): it is kept and not counted"
                )
            } else {
                format!(
                    "Snapshot {name} is dated {taken_at} by Proxmox VE, far from the time in its name: it is kept and not counted"
                )
            }
        }
    }
}

/// `1 snapshot`, `2 snapshots`.
pub(super) fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
