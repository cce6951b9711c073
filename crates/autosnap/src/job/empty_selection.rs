// SPDX-License-Identifier: GPL-3.0-only
//! Whether it is certain that a selection is empty.

use autosnap_core::select::Inventory;
use autosnap_core::warning::Uncertainty;

/// Why it is uncertain that the cluster has no such guest; `None` if it is certain.
///
/// A login without `VM.Audit` sees no guest. The host that answered may have lost the connection to the others: it
/// lists them as offline, and what it knows of tags and pools may be old.
pub(super) fn uncertainty(inventory: &Inventory) -> Option<Uncertainty> {
    let offline = inventory.nodes.iter().find(|node| !node.online);
    if inventory.guests.is_empty() {
        return Some(Uncertainty::NoVisibleGuest);
    }
    if let Some(node) = offline {
        return Some(Uncertainty::NodeOffline(node.name.clone()));
    }
    let silent = inventory.nodes_without_statistics.first();
    silent.cloned().map(Uncertainty::NoStatistics)
}
