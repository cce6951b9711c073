// SPDX-License-Identifier: GPL-3.0-only
//! The guard against mass removals: one run removes a limited number of snapshots of a guest.
//!
//! The guard delays removals and never prevents them: a run removes the oldest snapshots and leaves
//! the others to the next runs. If it prevented them, a backlog would grow until the storage is full.

use super::{Action, Intent};
use crate::retention::{Reason, Verdict};

/// The maximum number of snapshots of a guest that one run removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemovalLimit(u32);

impl RemovalLimit {
    /// The smallest limit. Each `snap` adds one snapshot, so that a backlog would never shrink with 1.
    pub const MIN: u32 = 2;

    /// A limit of `removals` for each guest; `None` below [`RemovalLimit::MIN`].
    pub fn new(removals: u32) -> Option<Self> {
        (removals >= Self::MIN).then_some(Self(removals))
    }

    /// The number of removals.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for RemovalLimit {
    fn default() -> Self {
        Self(20)
    }
}

impl Intent {
    /// The removal limit of a guest; `None` for `clean --keep=0`, which requests the removal of all snapshots.
    pub fn removals_per_guest(&self) -> Option<RemovalLimit> {
        match self.action {
            Action::Clean if self.policy.rules.keep_none() => None,
            Action::Clean | Action::Snap(_) => Some(self.removal_limit),
        }
    }
}

/// Leaves the removals over the limit to the next runs: the oldest snapshots are removed first.
///
/// `verdicts` are those of one guest, newest first.
pub(super) fn apply(mut verdicts: Vec<Verdict>, intent: &Intent) -> Vec<Verdict> {
    let Some(limit) = intent.removals_per_guest() else {
        return verdicts;
    };
    let limited = usize::try_from(limit.get()).unwrap_or(usize::MAX);
    let removals = verdicts
        .iter_mut()
        .rev()
        .filter(|verdict| verdict.reason.is_removal());
    for verdict in removals.skip(limited) {
        verdict.reason = Reason::LeftToNextRuns { limit: limit.get() };
    }
    verdicts
}
