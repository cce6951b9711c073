// SPDX-License-Identifier: GPL-3.0-only
//! The usage limit of the storages, and the events about them.

use autosnap_core::event::EventKind;
use autosnap_core::plan::Plan;
use autosnap_core::select::Inventory;
use autosnap_core::storage;
use autosnap_core::warning::Warning;

use super::{Context, major, warn};
use crate::settings::{JobKind, JobSettings};

/// The first version of PVE that reports the usage of storages.
const STORAGE_CHECK_SINCE: u32 = 6;

/// The usage limit of the storages on these nodes; `None` if it does not apply. Warns if usage is unknown.
pub(super) fn storage_limit(
    settings: &JobSettings,
    context: &Context,
    version: &str,
    inventory: &Inventory,
    nodes: &[String],
) -> Option<storage::StorageLimit> {
    if settings.kind == JobKind::Clean || nodes.is_empty() {
        return None;
    }
    if major(version).is_some_and(|major| major < STORAGE_CHECK_SINCE) {
        context.events.emit(EventKind::StorageCheckUnsupported {
            pve_version: version.to_owned(),
        });
        return None;
    }
    for node in &inventory.nodes_without_statistics {
        if nodes.contains(node) {
            warn(context, Warning::NoStatistics { node: node.clone() });
        }
    }
    Some(settings.max_percent_storage)
}

/// Emits the storages on these nodes and those for which the plan refuses a guest.
pub(super) fn emit_storages(
    context: &Context,
    inventory: &Inventory,
    nodes: &[String],
    plan: &Plan,
    limit: storage::StorageLimit,
) {
    let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
    let refusing: Vec<_> = plan.refusing_storages().collect();
    let storages = storage::listed(&inventory.storages, &nodes, &refusing);
    context.events.emit(EventKind::StoragesRead {
        storages: storages.into_iter().cloned().collect(),
        limit,
    });
}
