// SPDX-License-Identifier: GPL-3.0-only
//! Which snapshots a policy counts: ours, complete, dated, and certainly of its series.

use jiff::{SignedDuration, Timestamp};

use super::{Policy, Reason, StuckRemovals};
use crate::name::{Membership, OtherLabels};
use crate::snapshot::{Snapshot, SnapshotState};

/// How far a snapshot may be dated after now before its time is impossible: the clocks of a cluster
/// differ a little.
const FUTURE_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// The snapshots of one guest that a policy counts.
pub(super) struct Counting<'a> {
    policy: &'a Policy,
    /// The guest's labels other than that of the series.
    others: OtherLabels<'a>,
    /// All snapshots are removed (`clean --keep=0`), so that wrong times do not matter.
    removes_all: bool,
    /// The latest time that is possible.
    latest: Timestamp,
}

impl<'a> Counting<'a> {
    pub(super) fn new(
        snapshots: &'a [Snapshot],
        policy: &'a Policy,
        removes_all: bool,
        now: Timestamp,
    ) -> Self {
        let ours = snapshots.iter().filter(|snapshot| snapshot.is_ours());
        let named = ours.map(|snapshot| (snapshot.name.as_str(), snapshot.taken_at));
        Self {
            policy,
            others: policy.series.other_labels(named),
            removes_all,
            latest: now.saturating_add(FUTURE_TOLERANCE).unwrap_or(now),
        }
    }

    /// Why the policy does not count a snapshot; `None` if it does.
    pub(super) fn exclusion_reason(&self, snapshot: &Snapshot) -> Option<Reason> {
        let Policy {
            series,
            rules: _,
            stuck,
            ambiguous,
        } = self.policy;
        if !snapshot.is_ours() {
            return Some(Reason::NotOurs);
        }
        let membership =
            series.classify(&snapshot.name, snapshot.taken_at, *ambiguous, &self.others);
        match membership {
            Membership::Other => return Some(Reason::OtherLabel),
            Membership::OtherFormat(format) => return Some(Reason::OtherFormat { format }),
            Membership::Member | Membership::Ambiguous { .. } | Membership::WrongTime => {}
        }
        let retries =
            *stuck == StuckRemovals::Retry && !matches!(membership, Membership::Ambiguous { .. });
        match &snapshot.state {
            SnapshotState::Complete => {}
            SnapshotState::Deleting if retries => return Some(Reason::RemovalRetried),
            SnapshotState::Preparing | SnapshotState::Deleting | SnapshotState::Other(_) => {
                return Some(Reason::Incomplete(snapshot.state.clone()));
            }
        }
        if let Membership::Ambiguous { label, format } = membership {
            return Some(Reason::Ambiguous { label, format });
        }
        let Some(taken_at) = snapshot.taken_at else {
            return Some(Reason::Undated);
        };
        if self.removes_all {
            None
        } else if taken_at > self.latest {
            Some(Reason::FutureTime)
        } else if membership == Membership::WrongTime {
            Some(Reason::WrongTime)
        } else {
            None
        }
    }
}
