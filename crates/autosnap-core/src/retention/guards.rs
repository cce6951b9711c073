// SPDX-License-Identifier: GPL-3.0-only
//! The guards: they hold snapshots that the rules would remove.

use jiff::{SignedDuration, Timestamp};

use super::reason::{Holds, Reason};
use super::rules::Rules;

/// The guards that depend on the age of a snapshot.
pub(super) struct AgeGuards {
    /// Snapshots after this time stay (`keep-within`).
    within: Option<Timestamp>,
    /// Snapshots after this time are not removed yet (`min-age`).
    min_age: Option<Timestamp>,
}

impl AgeGuards {
    pub(super) fn new(rules: Rules, now: Timestamp) -> Self {
        let limit = |age: SignedDuration| {
            let limit = now.checked_sub(age).unwrap_or(Timestamp::MIN);
            (!age.is_zero()).then_some(limit)
        };
        Self {
            within: limit(rules.within()),
            min_age: limit(rules.min_age()),
        }
    }

    /// The guards that hold a snapshot of this time.
    pub(super) fn holds(&self, taken_at: Timestamp) -> Holds {
        let is_after = |limit: Option<Timestamp>| limit.is_some_and(|limit| taken_at > limit);
        Holds {
            within: is_after(self.within),
            min_age: is_after(self.min_age),
            ..Holds::default()
        }
    }
}

/// Lets the newest expired snapshots stay until so many snapshots stay. `others` stay in any case.
pub(super) fn keep_expired(reasons: &mut [Reason], minimum: u32, others: usize) {
    let is_expired = |reason: &Reason| matches!(reason, Reason::Expired { .. });
    keep_newest(reasons, minimum, others, is_expired);
}

/// Lets the newest removals stay until so many snapshots stay. `others` stay in any case.
pub(super) fn keep_min(reasons: &mut [Reason], minimum: u32, others: usize) {
    keep_newest(reasons, minimum, others, Reason::is_removal);
}

/// Lets the newest of the snapshots that `may_stay` chooses stay until so many snapshots stay.
fn keep_newest(
    reasons: &mut [Reason],
    minimum: u32,
    others: usize,
    may_stay: impl Fn(&Reason) -> bool,
) {
    let kept = reasons.iter().filter(|reason| reason.is_kept_by_rules());
    let enough = usize::try_from(minimum).unwrap_or(usize::MAX);
    let missing = enough.saturating_sub(kept.count() + others);
    let chosen = reasons.iter_mut().filter(|reason| may_stay(reason));
    for reason in chosen.take(missing) {
        *reason = Reason::KeptBy(Holds {
            keep_min: true,
            ..Holds::default()
        });
    }
}
