// SPDX-License-Identifier: GPL-3.0-only
//! Notes on a guest for the administrator, independent of the decision.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Action, Reading, Steps};
use crate::guest::AgentSetting;
use crate::name::Series;
use crate::retention::{Reason, Rules, Verdict};
use crate::snapshot::{Snapshot, SnapshotState};
use crate::storage::UncheckedStorage;

/// A note on a guest for the administrator, independent of the decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    /// A VM without the guest agent enabled: its file systems are not frozen for the snapshot.
    AgentDisabled,
    /// A snapshot whose creation or removal was not finished. It is neither counted nor removed.
    Incomplete {
        /// Its name.
        name: String,
        /// Its state.
        state: SnapshotState,
    },
    /// The last snapshot of the series was completed too late for the removals of its run: they come
    /// before the new snapshot.
    RemovalsOverdue {
        /// How many.
        count: usize,
    },
    /// The snapshot is taken although the usage of this storage is unknown.
    LimitNotChecked(UncheckedStorage),
    /// Snapshots that stay because their names are ambiguous.
    AmbiguousNames {
        /// Their names, oldest first.
        names: Vec<String>,
        /// How the run reads them: label and format.
        own: (String, String),
        /// How else they can be read: label and format.
        other: (String, String),
    },
    /// A snapshot that stays and is not counted, because its time is impossible.
    ImpossibleTime {
        /// Its name.
        name: String,
        /// PVE's time.
        taken_at: Timestamp,
        /// Whether the time is in the future; otherwise it differs from the time in the name.
        future: bool,
    },
    /// Snapshots that stay although all of the series are removed (`clean --keep=0`), because marks hold them.
    Held {
        /// Their names, oldest first.
        names: Vec<String>,
    },
    /// A snapshot that has been held for more than a year.
    OldHold {
        /// Its name.
        name: String,
        /// Since when it is held; its own time if the mark has none.
        since: Timestamp,
    },
    /// A snapshot that stays because of a line in its description that is not a mark.
    UnreadableMark {
        /// Its name.
        name: String,
        /// The line.
        line: String,
    },
    /// The guest has more removals than one run carries out.
    RemovalLimit {
        /// How many snapshots are removed.
        limit: u32,
        /// How many are left to the next runs.
        left: usize,
    },
}

/// Notes on the incomplete snapshots that stay, oldest first: PVE lists them in no order.
pub(super) fn incomplete(snapshots: &[Snapshot], steps: Option<&Steps>) -> Vec<Note> {
    let is_removed = |snapshot: &Snapshot| {
        steps.is_some_and(|steps| steps.removals().any(|other| other.name == snapshot.name))
    };
    let mut incomplete: Vec<&Snapshot> = snapshots
        .iter()
        .filter(|snapshot| snapshot.state != SnapshotState::Complete && !is_removed(snapshot))
        .collect();
    incomplete.sort_by_key(|snapshot| (snapshot.taken_at, &snapshot.name));
    let notes = incomplete.into_iter().map(|snapshot| Note::Incomplete {
        name: snapshot.name.clone(),
        state: snapshot.state.clone(),
    });
    notes.collect()
}

/// The note on removals that come before the creation.
pub(super) fn overdue(steps: Option<&Steps>) -> Option<Note> {
    let count = steps?.overdue.len();
    (count > 0).then_some(Note::RemovalsOverdue { count })
}

/// Notes on snapshots that are not counted because of ambiguous names or impossible times.
pub(super) fn not_counted(steps: Option<&Steps>, series: &Series) -> Vec<Note> {
    let Some(steps) = steps else {
        return Vec::new();
    };
    let own = || (series.label().to_string(), series.format().to_string());
    let mut ambiguous: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut notes = Vec::new();
    for Verdict { snapshot, reason } in steps.verdicts.iter().rev() {
        let name = || snapshot.name.clone();
        match reason {
            Reason::Ambiguous { label, format } => {
                let other = (label.clone(), format.clone());
                ambiguous.entry(other).or_default().push(name());
            }
            Reason::FutureTime | Reason::WrongTime => {
                notes.extend(snapshot.taken_at.map(|taken_at| Note::ImpossibleTime {
                    name: name(),
                    taken_at,
                    future: *reason == Reason::FutureTime,
                }));
            }
            Reason::Kept { .. }
            | Reason::KeptBy(_)
            | Reason::KeptNew
            | Reason::Removed { .. }
            | Reason::SamePeriod { .. }
            | Reason::NotReached
            | Reason::RemovalRetried
            | Reason::Held { .. }
            | Reason::UnreadableMark { .. }
            | Reason::Expired { .. }
            | Reason::LeftToNextRuns { .. }
            | Reason::NotOurs
            | Reason::OtherLabel
            | Reason::OtherFormat { .. }
            | Reason::Incomplete(_)
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

/// How long a hold may last before a note names it.
const OLD_HOLD: SignedDuration = SignedDuration::from_hours(365 * 24);

/// Notes on snapshots that marks hold.
pub(super) fn marks(steps: Option<&Steps>, rules: Rules, now: Timestamp) -> Vec<Note> {
    let verdicts = steps
        .into_iter()
        .flat_map(|steps| steps.verdicts.iter().rev());
    let mut notes = Vec::new();
    let mut names = Vec::new();
    for Verdict { snapshot, reason } in verdicts {
        let name = snapshot.name.clone();
        if let Reason::UnreadableMark { line } = reason {
            let line = line.clone();
            notes.push(Note::UnreadableMark { name, line });
        } else if matches!(reason, Reason::Held { .. }) {
            let hold = snapshot.marks().hold;
            let since = hold.and_then(|hold| hold.since).or(snapshot.taken_at);
            if let Some(since) = since.filter(|since| now.duration_since(*since) > OLD_HOLD) {
                let name = name.clone();
                notes.push(Note::OldHold { name, since });
            }
            names.push(name);
        }
    }
    if rules.keep_none() && !names.is_empty() {
        notes.push(Note::Held { names });
    }
    notes
}

/// The note on removals that the limit leaves to the next runs.
pub(super) fn removal_limit(steps: Option<&Steps>) -> Option<Note> {
    let (limit, left) = steps?.over_limit()?;
    Some(Note::RemovalLimit { limit, left })
}

pub(super) fn agent_disabled(reading: &Reading, action: &Action) -> bool {
    matches!(action, Action::Snap(_))
        && reading
            .config
            .as_ref()
            .is_some_and(|config| config.agent == AgentSetting::Disabled)
}
