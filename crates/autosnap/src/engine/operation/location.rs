// SPDX-License-Identifier: GPL-3.0-only
//! Where a guest is, and what its snapshots were when they were listed last.

use std::collections::HashSet;
use std::time::Duration;

use autosnap_core::guest::Vmid;
use autosnap_core::remedy::GuestRemedy;
use autosnap_core::snapshot::Snapshot;
use pve_client::{GuestKind, Upid};
use tokio::time::Instant;

use crate::inventory;

/// How long a list of snapshots may be trusted after the last moment at which nobody else could
/// have changed them.
const FRESH: Duration = Duration::from_secs(1);

/// Where a guest is. The node is a hint, the ID is the identity.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Place {
    pub(in crate::engine) node: String,
    pub(in crate::engine) kind: GuestKind,
    pub(in crate::engine) vmid: Vmid,
    /// The tasks that were followed for it so far.
    pub(in crate::engine) followed: HashSet<Upid>,
    /// When the last of these tasks was started, in seconds since the epoch by the node's clock.
    pub(in crate::engine) task_started: Option<i64>,
    /// Its snapshots as they were listed last, not yet used.
    pub(in crate::engine) listed: Option<Listed>,
    /// When the reads of the operation under way end at the latest.
    pub(in crate::engine) look_until: Option<Instant>,
}

/// A list of snapshots and the last moment at which it was true.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Listed {
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) true_at: Instant,
}

/// A list read while a task of ours runs.
pub(super) struct Meanwhile {
    pub(super) listed: Listed,
    /// The task held the guest already.
    pub(super) is_held: bool,
}

impl Meanwhile {
    /// The list after the task, which said itself that it was running then.
    pub(super) fn until(self, said_to_run: Instant) -> Listed {
        let mut listed = self.listed;
        if self.is_held {
            listed.true_at = listed.true_at.max(said_to_run);
        }
        listed
    }
}

impl Place {
    /// What to do about a snapshot that PVE has left incomplete.
    pub(super) fn repair(&self, snapshot: &str) -> GuestRemedy {
        GuestRemedy::Repair {
            kind: inventory::kind(self.kind),
            vmid: self.vmid,
            node: self.node.clone(),
            snapshot: snapshot.to_owned(),
        }
    }

    /// The list, if it can still be trusted.
    pub(super) fn take_fresh_list(&mut self) -> Option<Vec<Snapshot>> {
        let listed = self.listed.take()?;
        (listed.true_at.elapsed() < FRESH).then_some(listed.snapshots)
    }

    /// Follows the guest; whether it has moved.
    pub(super) fn go_to(&mut self, node: String) -> bool {
        if node == self.node {
            return false;
        }
        tracing::debug!(vmid = %self.vmid, from = self.node, to = node, "the guest has moved");
        self.node = node;
        true
    }
}
