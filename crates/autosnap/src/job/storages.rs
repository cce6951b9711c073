// SPDX-License-Identifier: GPL-3.0-only
//! The usage limit of the storages, and the events about them.

use autosnap_core::event::EventKind;
use autosnap_core::plan::Plan;
use autosnap_core::select::Inventory;
use autosnap_core::storage;

use super::Context;
use crate::settings::{Job, JobSettings};

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
    if settings.job == Job::Clean || nodes.is_empty() {
        return None;
    }
    if super::major(version).is_some_and(|major| major < STORAGE_CHECK_SINCE) {
        context
            .events
            .emit(EventKind::StoragesNotRead(version.to_owned()));
        return None;
    }
    for node in &inventory.nodes_without_statistics {
        if nodes.contains(node) {
            context
                .events
                .emit(EventKind::Warned(no_statistics_warning(node)));
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

/// The warning for a node that sends no statistics.
pub fn no_statistics_warning(node: &str) -> String {
    format!(
        "node {node} sends no statistics (its pvestatd hangs, or it has just started): how full its storages are is not known, the limit is not checked there"
    )
}
