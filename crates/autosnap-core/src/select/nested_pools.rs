// SPDX-License-Identifier: GPL-3.0-only
//! The pools whose guests a term selects because they are nested in its pool.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::guest::Guest;

use super::expression::PlacedTerm;

/// The pools nested in the pool of a term: the term selects their guests as well.
///
/// The C# tool up to 2.0.1 selects only the members of the pool itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NestedPools {
    /// The term.
    pub term: String,
    /// The nested pools with the number of their selected guests, by name.
    pub pools: BTreeMap<String, usize>,
}

/// The nested pools with selected guests, in the order of the terms.
pub(super) fn find<'a>(
    terms: impl Iterator<Item = PlacedTerm<'a>>,
    selected: &[Guest],
) -> Vec<NestedPools> {
    let mut distinct = Vec::new();
    for PlacedTerm { term, .. } in terms.filter(|placed| !placed.excludes) {
        let mut pools = BTreeMap::new();
        for pool in selected.iter().filter_map(|guest| guest.pool.as_ref()) {
            if term.matcher.includes_nested_pool(pool) {
                *pools.entry(pool.clone()).or_default() += 1;
            }
        }
        let found = NestedPools {
            term: term.text.clone(),
            pools,
        };
        if !found.pools.is_empty() && !distinct.contains(&found) {
            distinct.push(found);
        }
    }
    distinct
}

impl fmt::Display for NestedPools {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: with ", self.term)?;
        for (position, (pool, guests)) in self.pools.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(formatter, "{comma}{pool} ({guests})")?;
        }
        Ok(())
    }
}
