// SPDX-License-Identifier: GPL-3.0-only
//! The comparison of a plan with other rules, for programs.

use autosnap_core::plan::{self, Difference, GuestComparison};
use serde::Serialize;

use super::reasons;

/// The comparison of all guests.
#[derive(Debug, Serialize)]
pub(super) struct Comparison<'a> {
    /// The other rules.
    policy: String,
    /// What the rules of the plan keep and remove, without the limit of removals.
    own: Counts,
    /// What the other rules keep and remove.
    other: Counts,
    /// The guests whose snapshots were read, those with differences first.
    guests: Vec<Guest<'a>>,
    /// The IDs of the guests whose snapshots were not read.
    not_compared: Vec<u32>,
}

#[derive(Debug, Serialize)]
struct Guest<'a> {
    vmid: u32,
    own: Counts,
    other: Counts,
    /// The snapshots that only the rules of the plan keep.
    lost: Vec<ComparedSnapshot<'a>>,
    /// The snapshots that only the other rules keep.
    gained: Vec<ComparedSnapshot<'a>>,
}

#[derive(Debug, Serialize)]
struct Counts {
    keep: usize,
    remove: usize,
}

#[derive(Debug, Serialize)]
struct ComparedSnapshot<'a> {
    snapshot: &'a str,
    taken: Option<String>,
    /// The reasons by the rules of the plan.
    own: Vec<String>,
    /// The reasons by the other rules.
    other: Vec<String>,
}

impl<'a> From<&'a plan::Comparison> for Comparison<'a> {
    fn from(comparison: &'a plan::Comparison) -> Self {
        let not_compared = comparison.not_compared.iter();
        Self {
            policy: comparison.rules.to_string(),
            own: comparison.own().into(),
            other: comparison.other().into(),
            guests: comparison.guests.iter().map(Guest::from).collect(),
            not_compared: not_compared.map(|guest| guest.vmid.get()).collect(),
        }
    }
}

impl<'a> From<&'a GuestComparison> for Guest<'a> {
    fn from(comparison: &'a GuestComparison) -> Self {
        let snapshots = |is_kept_by_other: bool| {
            let differences = comparison.differences.iter();
            let differences =
                differences.filter(move |one| one.is_kept_by_other() == is_kept_by_other);
            differences.map(ComparedSnapshot::from).collect()
        };
        Self {
            vmid: comparison.guest.vmid.get(),
            own: comparison.own.into(),
            other: comparison.other.into(),
            lost: snapshots(false),
            gained: snapshots(true),
        }
    }
}

impl<'a> From<&'a Difference> for ComparedSnapshot<'a> {
    fn from(difference: &'a Difference) -> Self {
        let snapshot = &difference.snapshot;
        Self {
            snapshot: &snapshot.name,
            taken: snapshot.taken_at.map(|time| time.to_string()),
            own: reasons(&difference.own),
            other: reasons(&difference.other),
        }
    }
}

impl From<plan::RuleCounts> for Counts {
    fn from(counts: plan::RuleCounts) -> Self {
        Self {
            keep: counts.kept,
            remove: counts.removed,
        }
    }
}
