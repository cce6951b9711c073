// SPDX-License-Identifier: GPL-3.0-only
//! The keep rules, applied to the snapshots that count.

use std::collections::HashMap;

use super::{Reason, Rules};

/// Why each of these snapshots stays or is removed, by name.
///
/// `counted` are the names of the snapshots that count, newest first, without the new one. With a new
/// one (`has_new`), that has rank 1. A name that is listed twice has its first rank.
pub(super) fn apply<'a>(
    counted: impl Iterator<Item = &'a str>,
    rules: Rules,
    has_new: bool,
) -> HashMap<&'a str, Reason> {
    let keep = rules.last();
    let mut rank = u32::from(has_new);
    let mut reasons = HashMap::new();
    for name in counted {
        reasons.entry(name).or_insert_with(|| {
            rank = rank.saturating_add(1);
            if rank <= keep {
                Reason::Kept { rank, keep }
            } else {
                Reason::Removed { rank, keep }
            }
        });
    }
    reasons
}
