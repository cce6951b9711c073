// SPDX-License-Identifier: GPL-3.0-only
//! Notes on a guest: what the administrator should know, whatever the plan decides.

use std::collections::BTreeMap;

use super::{Action, Reading, Request, Steps};
use crate::guest::AgentSetting;
use crate::retention::Reason;
use crate::snapshot::{Snapshot, SnapshotState};
use crate::storage::UncheckedStorage;

/// What the administrator should know of a guest, whatever is done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A VM without the guest agent enabled: its file systems are not frozen for the snapshot.
    AgentDisabled,
    /// A snapshot that was never finished or never quite removed. It is neither counted nor removed.
    HalfMade {
        /// Its name.
        name: String,
        /// How far it got.
        state: SnapshotState,
    },
    /// The last snapshot of the series came too late for the removals of its run: they come before the new
    /// snapshot.
    RemovalsOverdue {
        /// How many.
        count: usize,
    },
    /// The snapshot is taken although the usage of this storage is not known.
    LimitNotChecked(UncheckedStorage),
    /// Snapshots that are kept because their names are ambiguous.
    AmbiguousNames {
        /// Their names, oldest first.
        names: Vec<String>,
        /// How the run reads them: label and format.
        own: (String, String),
        /// How else they can be read: label and format.
        other: (String, String),
    },
    /// A snapshot that is kept and not counted, because its time is impossible.
    ImpossibleTime {
        /// Its name.
        name: String,
        /// PVE's time, in seconds since the epoch.
        taken_at: i64,
        /// Whether the time is in the future; otherwise it differs from the time in the name.
        future: bool,
    },
    /// More snapshots are due than one run removes.
    RemovalLimit {
        /// How many are removed.
        limit: u32,
        /// How many are left to the next runs.
        left: usize,
    },
}

/// The half-made snapshots that stay, oldest first: PVE lists them in no order.
pub(super) fn half_made(snapshots: &[Snapshot], steps: Option<&Steps>) -> Vec<Note> {
    let goes = |snapshot: &Snapshot| {
        steps.is_some_and(|steps| steps.removals().any(|other| other.name == snapshot.name))
    };
    let mut half: Vec<&Snapshot> = snapshots
        .iter()
        .filter(|snapshot| snapshot.state != SnapshotState::Complete && !goes(snapshot))
        .collect();
    half.sort_by_key(|snapshot| (snapshot.taken_at, &snapshot.name));
    let notes = half.into_iter().map(|snapshot| Note::HalfMade {
        name: snapshot.name.clone(),
        state: snapshot.state.clone(),
    });
    notes.collect()
}

/// That removals come before the creation.
pub(super) fn overdue(steps: Option<&Steps>) -> Option<Note> {
    let count = steps?.overdue.len();
    (count > 0).then_some(Note::RemovalsOverdue { count })
}

/// Notes on snapshots that are not counted because of ambiguous names or impossible times.
pub(super) fn not_counted(steps: Option<&Steps>, request: &Request) -> Vec<Note> {
    let Some(steps) = steps else {
        return Vec::new();
    };
    let series = &request.policy.series;
    let own = || (series.label().to_string(), series.format().to_string());
    let mut ambiguous: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut notes = Vec::new();
    for verdict in steps.verdicts.iter().rev() {
        let name = verdict.snapshot.name.clone();
        let taken_at = verdict.snapshot.taken_at.unwrap_or_default();
        match &verdict.reason {
            Reason::Ambiguous { label, format } => {
                let other = (label.clone(), format.clone());
                ambiguous.entry(other).or_default().push(name);
            }
            reason @ (Reason::FutureTime | Reason::WrongTime) => {
                notes.push(Note::ImpossibleTime {
                    name,
                    taken_at,
                    future: *reason == Reason::FutureTime,
                });
            }
            Reason::Kept { .. }
            | Reason::KeptNew
            | Reason::Removed { .. }
            | Reason::RemovalRetried
            | Reason::LeftToNextRuns { .. }
            | Reason::NotOurs
            | Reason::OtherLabel
            | Reason::OtherFormat { .. }
            | Reason::HalfMade(_)
            | Reason::Undated => {}
        }
    }
    let ambiguous = ambiguous
        .into_iter()
        .map(|(other, names)| Note::AmbiguousNames {
            names,
            own: own(),
            other,
        });
    notes.extend(ambiguous);
    notes
}

/// The note on removals that the limit leaves to the next runs.
pub(super) fn removal_limit(steps: Option<&Steps>, request: &Request) -> Option<Note> {
    let left = steps?.left_to_next_runs();
    let limit = request.removals_per_guest()?.get();
    (left > 0).then_some(Note::RemovalLimit { limit, left })
}

pub(super) fn agent_disabled(reading: &Reading, action: &Action) -> bool {
    matches!(action, Action::Snap(_))
        && reading
            .config
            .as_ref()
            .is_some_and(|config| config.agent == AgentSetting::Disabled)
}
