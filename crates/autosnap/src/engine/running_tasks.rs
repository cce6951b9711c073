// SPDX-License-Identifier: GPL-3.0-only
//! The tasks in PVE that a run has started and whose end it has not seen yet.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use autosnap_core::guest::Vmid;
use pve_client::Upid;

/// The running tasks of a run, at most one per guest. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct RunningTasks(Arc<Mutex<BTreeMap<Vmid, Upid>>>);

impl RunningTasks {
    /// The UPIDs, ordered by guest.
    pub fn upids(&self) -> Vec<Upid> {
        self.lock().values().cloned().collect()
    }

    pub(super) fn insert(&self, vmid: Vmid, upid: &Upid) {
        self.lock().insert(vmid, upid.clone());
    }

    pub(super) fn remove(&self, vmid: Vmid) {
        self.lock().remove(&vmid);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Vmid, Upid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
