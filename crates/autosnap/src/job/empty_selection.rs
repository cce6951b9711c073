// SPDX-License-Identifier: GPL-3.0-only
//! Whether it is certain that a selection is empty (`--allow-empty`).

use autosnap_core::select::Inventory;

/// Why it is not certain that the cluster has no such guest; `None` if it is.
///
/// A login without `VM.Audit` sees no guest. The host that answered may have lost the connection to the others: it
/// lists them as offline, and what it knows of tags and pools may be old.
pub(super) fn doubt(inventory: &Inventory) -> Option<String> {
    let offline = inventory.nodes.iter().find(|node| !node.online);
    let reason = if inventory.guests.is_empty() {
        "this login sees no guest (VM.Audit)".to_owned()
    } else if let Some(node) = offline {
        format!("node {} is offline", node.name)
    } else {
        let silent = inventory.nodes_without_statistics.first()?;
        format!("node {silent} sends no statistics")
    };
    Some(format!(
        "--allow-empty does not apply: it is not certain that no guest is meant, because {reason}"
    ))
}
