// SPDX-License-Identifier: GPL-3.0-only
//! Which snapshots a policy counts: ours, complete, dated, and certainly of its series.

use jiff::{SignedDuration, Timestamp, Zoned};

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
    now: &'a Zoned,
}

impl<'a> Counting<'a> {
    pub(super) fn new(
        snapshots: &'a [Snapshot],
        policy: &'a Policy,
        removes_all: bool,
        now: &'a Zoned,
    ) -> Self {
        let present = now.timestamp();
        let ours = snapshots.iter().filter(|snapshot| snapshot.is_ours());
        let named = ours.map(|snapshot| (snapshot.name.as_str(), snapshot.taken_at));
        Self {
            policy,
            others: policy.series.other_labels(named),
            removes_all,
            latest: present.saturating_add(FUTURE_TOLERANCE).unwrap_or(present),
            now,
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
        let held = self.held_by_marks(snapshot);
        let retries = self.policy.stuck == StuckRemovals::Retry
            && held.is_none()
            && !matches!(membership, Membership::Ambiguous { .. });
        match &snapshot.state {
            SnapshotState::Complete => {}
            SnapshotState::Deleting if retries => return Err(Reason::RemovalRetried),
            SnapshotState::Preparing | SnapshotState::Deleting | SnapshotState::Other(_) => {
                return Err(Reason::Incomplete(snapshot.state.clone()));
            }
        }
        if let Some(reason) = held {
            return Err(reason);
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

    /// The reason if the marks of a snapshot hold it.
    fn held_by_marks(&self, snapshot: &Snapshot) -> Option<Reason> {
        let marks = snapshot.marks();
        let now = self.now.timestamp();
        if let Some(hold) = marks.hold.filter(|hold| hold.is_active(now)) {
            let zone = self.now.time_zone();
            return Some(Reason::Held {
                until: hold
                    .until
                    .map(|until| Box::new(until.to_zoned(zone.clone()))),
                reason: hold.reason,
            });
        }
        let line = marks.unreadable.into_iter().next()?;
        Some(Reason::UnreadableMark { line })
    }

    /// The reason if the mark of a snapshot that counts has expired.
    pub(super) fn expired(&self, snapshot: &Snapshot) -> Option<Reason> {
        let at = snapshot.marks().expired_at(self.now.timestamp())?;
        let zone = self.now.time_zone();
        Some(Reason::Expired {
            at: Box::new(at.to_zoned(zone.clone())),
        })
    }

    /// The time of the snapshot that the run takes: now until the list has it with a possible time.
    pub(super) fn time_of_new(&self, listed: Option<&Snapshot>) -> Timestamp {
        let taken_at = listed.and_then(|snapshot| snapshot.taken_at);
        taken_at
            .filter(|taken_at| *taken_at <= self.latest)
            .unwrap_or(self.now.timestamp())
    }
}
