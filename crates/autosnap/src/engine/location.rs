// SPDX-License-Identifier: GPL-3.0-only
//! The location of a guest, and its last list of snapshots.

use std::collections::HashSet;
use std::time::Duration;

use autosnap_core::guest::Vmid;
use autosnap_core::remedy::GuestRemedy;
use autosnap_core::snapshot::Snapshot;
use pve_client::{GuestKind, Upid};
use tokio::time::Instant;

use crate::inventory;

/// How long a list of snapshots is trusted after the last moment at which it was known to be current.
const FRESH: Duration = Duration::from_secs(1);

/// The location of a guest. The VMID identifies the guest; the node may change.
#[derive(Debug, Clone)]
pub(super) struct GuestLocation {
    pub(super) node: String,
    pub(super) kind: GuestKind,
    pub(super) vmid: Vmid,
    /// The tasks that were followed for the guest so far.
    pub(super) followed: HashSet<Upid>,
    /// When the last of these tasks started, in seconds since the epoch by the node's clock.
    pub(super) task_started: Option<i64>,
    /// The last list of its snapshots, until it is used.
    pub(super) listed: Option<SnapshotList>,
    /// The deadline for reads of the current operation.
    pub(super) reads_end_at: Option<Instant>,
}

/// A list of snapshots and the last moment at which it was current.
#[derive(Debug, Clone)]
pub(super) struct SnapshotList {
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) current_at: Instant,
}

impl GuestLocation {
    /// A guest on this node, before the first operation.
    pub(super) fn new(node: String, kind: GuestKind, vmid: Vmid) -> Self {
        Self {
            node,
            kind,
            vmid,
            followed: HashSet::new(),
            task_started: None,
            listed: None,
            reads_end_at: None,
        }
    }

    /// The remedy for a snapshot that PVE has left incomplete.
    pub(super) fn repair(&self, snapshot: &str) -> GuestRemedy {
        GuestRemedy::Repair {
            kind: inventory::kind(self.kind),
            vmid: self.vmid,
            node: self.node.clone(),
            snapshot: snapshot.to_owned(),
        }
    }

    /// Takes the list if it is still fresh.
    pub(super) fn take_fresh_list(&mut self) -> Option<Vec<Snapshot>> {
        let listed = self.listed.take()?;
        (listed.current_at.elapsed() < FRESH).then_some(listed.snapshots)
    }

    /// Sets the node; returns whether it is another one.
    pub(super) fn move_to(&mut self, node: String) -> bool {
        if node == self.node {
            return false;
        }
        tracing::debug!(vmid = %self.vmid, from = self.node, to = node, "the guest has moved");
        self.node = node;
        true
    }
}
