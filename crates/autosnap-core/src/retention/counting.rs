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
    /// The guest's labels other than those of the series.
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

    /// The time of a snapshot that the policy counts, or the reason why it does not count it.
    pub(super) fn check(&self, snapshot: &Snapshot) -> Result<Timestamp, Reason> {
        if !snapshot.is_ours() {
            return Err(Reason::NotOurs);
        }
        let (series, ambiguous) = (&self.policy.series, self.policy.ambiguous);
        let membership =
            series.classify(&snapshot.name, snapshot.taken_at, ambiguous, &self.others);
        match membership {
            Membership::Other => return Err(Reason::OtherLabel),
            Membership::OtherFormat(format) => return Err(Reason::OtherFormat { format }),
            Membership::Member | Membership::Ambiguous { .. } | Membership::WrongTime => {}
        }
        let retries = self.policy.stuck == StuckRemovals::Retry
            && !matches!(membership, Membership::Ambiguous { .. });
        match &snapshot.state {
            SnapshotState::Complete => {}
            SnapshotState::Deleting if retries => return Err(Reason::RemovalRetried),
            SnapshotState::Preparing | SnapshotState::Deleting | SnapshotState::Other(_) => {
                return Err(Reason::Incomplete(snapshot.state.clone()));
            }
        }
        if let Membership::Ambiguous { label, format } = membership {
            return Err(Reason::Ambiguous { label, format });
        }
        let Some(taken_at) = snapshot.taken_at else {
            return Err(Reason::Undated);
        };
        if self.removes_all {
            Ok(taken_at)
        } else if taken_at > self.latest {
            Err(Reason::FutureTime)
        } else if membership == Membership::WrongTime {
            Err(Reason::WrongTime)
        } else {
            Ok(taken_at)
        }
    }

    /// The time of the snapshot that the run takes: `now` until the list has it with a possible time.
    pub(super) fn time_of_new(&self, listed: Option<&Snapshot>, now: Timestamp) -> Timestamp {
        let taken_at = listed.and_then(|snapshot| snapshot.taken_at);
        taken_at
            .filter(|taken_at| *taken_at <= self.latest)
            .unwrap_or(now)
    }
}
