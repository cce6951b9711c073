// SPDX-License-Identifier: GPL-3.0-only
//! The warnings of a run that concern no single guest, as data: each front end renders its own text.
//!
//! Notes on single guests are [`Note`](crate::plan::Note)s of the plan.

use std::time::Duration;

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::guest::{GuestKind, Vmid};
use crate::name::{FormatWarning, LabelsFound};
use crate::select::{SelectionWarning, Unmatched, UnreadableEntry};

/// A warning about the options, the selection or the cluster. The run continues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Warning {
    /// A term matches no guest, or perhaps not all guests that it means.
    Term(SelectionWarning),
    /// Several terms match no guest for the same reason.
    Terms {
        /// The terms as they were typed, in their order.
        terms: Vec<String>,
        /// Why they match no guest.
        reason: Unmatched,
        /// Whether each names one guest, pool or node that is not visible.
        are_missing_objects: bool,
    },
    /// A term can match nothing, for this reason.
    InvalidTerm(String),
    /// An exclusion is empty.
    EmptyExclusion(String),
    /// Guests have the tag [`OFF_TAG`](crate::select::OFF_TAG), and are selected because a term names them.
    NamedTaggedOff(Vec<(GuestKind, Vmid)>),
    /// No guest is selected, but whether that is true is uncertain.
    UncertainSelection(Uncertainty),
    /// An entry of a listing cannot be used, and may be a selected guest.
    UnreadableEntry(UnreadableEntry),
    /// Another label with another format gives the same names.
    Collision {
        /// The label of the run.
        label: String,
        /// Its format.
        format: String,
        /// The other label.
        other_label: String,
        /// Its format.
        other_format: String,
    },
    /// The timestamp format is valid but probably not what its author meant.
    TimestampFormat(FormatWarning),
    /// All keep rules are 0, so that no snapshot is removed.
    NothingIsRemoved,
    /// The hook cannot be started, for this reason.
    Hook(String),
    /// A node of selected guests sends no statistics.
    NoStatistics {
        /// The node.
        node: String,
    },
    /// The statistics of a node are old.
    OldStatistics {
        /// The node.
        node: String,
        /// How old they are.
        age: Duration,
    },
    /// Snapshots stay because their names are ambiguous.
    AmbiguousNames {
        /// The label of the run.
        label: String,
        /// How many.
        count: usize,
    },
    /// Guests have more removals than one run carries out.
    RemovalLimit {
        /// How many snapshots of a guest one run removes.
        limit: u32,
        /// The guests, with the number of removals left to the next runs.
        guests: Vec<(GuestKind, Vmid, usize)>,
    },
    /// Snapshots look like the label in another format, and are not counted.
    OtherFormat {
        /// The label.
        label: String,
        /// The other format.
        format: String,
        /// How many.
        count: usize,
    },
    /// No snapshot of the selected guests has the label.
    UnknownLabel {
        /// The label.
        label: String,
        /// The labels that exist.
        found: LabelsFound,
    },
    /// The label is new to the selected guests and similar to one of theirs.
    SimilarLabel {
        /// The new label.
        label: String,
        /// The existing label.
        similar: String,
        /// How many snapshots have it.
        count: usize,
    },
    /// The time zone of this machine is unknown, so that names use UTC.
    UnknownTimeZone {
        /// The configured zone.
        zone: String,
    },
    /// The run waited for another run of the same job.
    WaitedForRun {
        /// The process of the other run.
        pid: Option<u32>,
        /// The local time at which the other run started.
        since: Option<DateTime>,
        /// The local time at which the wait began.
        at: DateTime,
    },
    /// Overlapping runs are not prevented, because no lock file can be created, for this reason.
    NoOverlapLock(String),
    /// The typed password could not be stored, for this reason.
    PasswordNotStored(String),
}

/// Why it is uncertain that a selection is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Uncertainty {
    /// The login sees no guest at all.
    NoVisibleGuest,
    /// This node is offline.
    NodeOffline(String),
    /// This node sends no statistics.
    NoStatistics(String),
}

impl Warning {
    /// Whether guests may have been missed, so that the run is incomplete.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Term(warning) => warning.is_missing_object() || warning.may_miss_a_guest(),
            Self::Terms {
                are_missing_objects,
                ..
            } => *are_missing_objects,
            Self::InvalidTerm(_) | Self::UnreadableEntry(_) => true,
            Self::EmptyExclusion(_)
            | Self::NamedTaggedOff(_)
            | Self::UncertainSelection(_)
            | Self::Collision { .. }
            | Self::TimestampFormat(_)
            | Self::NothingIsRemoved
            | Self::Hook(_)
            | Self::NoStatistics { .. }
            | Self::OldStatistics { .. }
            | Self::AmbiguousNames { .. }
            | Self::RemovalLimit { .. }
            | Self::OtherFormat { .. }
            | Self::UnknownLabel { .. }
            | Self::SimilarLabel { .. }
            | Self::UnknownTimeZone { .. }
            | Self::WaitedForRun { .. }
            | Self::NoOverlapLock(_)
            | Self::PasswordNotStored(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(reason: Option<Unmatched>, nameless: usize, excludes: bool) -> Warning {
        Warning::Term(SelectionWarning {
            term: "web01".to_owned(),
            reason,
            nearest: None,
            nameless,
            stateless: 0,
            excludes,
        })
    }

    fn terms(are_missing_objects: bool) -> Warning {
        Warning::Terms {
            terms: vec!["998".to_owned(), "999".to_owned()],
            reason: Unmatched::NoSuchId,
            are_missing_objects,
        }
    }

    #[test]
    fn a_warning_is_a_failure_if_guests_may_have_been_missed() {
        for (warning, expected) in [
            (term(Some(Unmatched::NoSuchId), 0, false), true),
            (term(None, 1, false), true),
            (term(Some(Unmatched::NoSuchTag), 0, false), false),
            (term(Some(Unmatched::NoSuchId), 1, true), false),
            (terms(true), true),
            (terms(false), false),
            (Warning::InvalidTerm("@".to_owned()), true),
            (
                Warning::UnreadableEntry(UnreadableEntry::Repeated {
                    vmid: Vmid::new(100).unwrap(),
                    is_left_out: false,
                }),
                true,
            ),
            (Warning::EmptyExclusion("-@pool-a".to_owned()), false),
            (
                Warning::UncertainSelection(Uncertainty::NoVisibleGuest),
                false,
            ),
            (
                Warning::UnknownTimeZone {
                    zone: "Europe/Rome".to_owned(),
                },
                false,
            ),
        ] {
            assert_eq!(warning.is_failure(), expected, "{warning:?}");
        }
    }
}
