// SPDX-License-Identifier: GPL-3.0-only
//! The guard against mass removals: a run removes a limited number of snapshots of a guest.
//!
//! It slows removals down and never stops them. A run that refused to remove anything would let a
//! backlog grow until the storage is full; this one removes the oldest and leaves the rest to the
//! next runs.

use super::{Action, Request};
use crate::retention::{Reason, Verdict};

/// How many snapshots of a guest one run removes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemovalLimit(u32);

impl RemovalLimit {
    /// The smallest limit. A `snap` adds one snapshot in each run, so that with 1 a backlog would never
    /// shrink.
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

impl Request {
    /// How many snapshots of a guest are removed at most; `None` for `clean --keep=0`, which asks for the
    /// removal of all of them.
    pub fn removals_per_guest(&self) -> Option<RemovalLimit> {
        match self.action {
            Action::Clean if self.policy.keep == 0 => None,
            Action::Clean | Action::Snap(_) => Some(self.removal_limit),
        }
    }
}

/// Leaves the removals beyond the limit to the next runs: the oldest are removed first.
///
/// `verdicts` are those of one guest, newest first.
pub(super) fn apply(mut verdicts: Vec<Verdict>, request: &Request) -> Vec<Verdict> {
    let Some(limit) = request.removals_per_guest() else {
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
