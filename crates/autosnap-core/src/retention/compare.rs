// SPDX-License-Identifier: GPL-3.0-only
//! The difference between two sets of rules on the snapshots of a guest.
//!
//! More rules or greater numbers do not always keep more: a snapshot that one rule takes covers its periods for the
//! rules after it. So a change of the rules has to be shown on the real snapshots.

use jiff::Zoned;

use super::{Policy, Reason, Rules, judge};
use crate::name::SnapName;
use crate::snapshot::Snapshot;

/// A snapshot that only one of two sets of rules keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference<'a> {
    /// The snapshot.
    pub snapshot: &'a Snapshot,
    /// Why the rules of the policy keep or remove it.
    pub reason: Reason,
    /// Why the other rules keep or remove it.
    pub other: Reason,
}

impl Difference<'_> {
    /// Whether only the other rules keep the snapshot; otherwise only the rules of the policy do.
    pub fn is_kept_by_other(&self) -> bool {
        self.reason.is_removal()
    }
}

/// The snapshots of a guest that either the rules of its policy or the `other` rules keep, but not both, newest first.
///
/// `new` and `now` are those of [`decide`](super::decide).
pub fn compare<'a>(
    snapshots: &'a [Snapshot],
    policy: &Policy,
    other: Rules,
    new: Option<&SnapName>,
    now: &Zoned,
) -> Vec<Difference<'a>> {
    let by_policy = judge(snapshots, policy, policy.rules, new, now);
    let by_other = judge(snapshots, policy, other, new, now);
    let differences = by_policy
        .into_iter()
        .zip(by_other)
        .filter(|((_, reason), (_, other))| reason.is_removal() != other.is_removal())
        .map(|((snapshot, reason), (_, other))| Difference {
            snapshot,
            reason,
            other,
        });
    differences.collect()
}
