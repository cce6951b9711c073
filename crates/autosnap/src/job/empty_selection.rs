// SPDX-License-Identifier: GPL-3.0-only
//! Whether it is certain that a selection is empty.

use autosnap_core::select::Inventory;
use autosnap_core::warning::Uncertainty;

/// Why an empty selection is uncertain; `None` if the cluster certainly has no such guest.
///
/// A login without `VM.Audit` sees no guest. The host that replied may have lost the connection to the others: it
/// lists them as offline, and its tags and pools may be stale.
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
