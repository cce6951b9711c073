// SPDX-License-Identifier: GPL-3.0-only
//! The selection of guests: the expression of `--vmid`, parsed once, evaluated on an inventory.
//!
//! The syntax is that of the C# tool; the module `term` lists its terms. Whether a selected guest
//! can be snapshotted at all (a template, an offline node) is not decided here.

mod error;
mod foreign_syntax;
mod inventory;
mod matcher;
mod policy_tag;
mod similarity;
mod suggestion;
mod term;
mod warning;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::guest::{Guest, Vmid};

use matcher::Candidate;
use term::Term;

pub use error::SelectionError;
pub use inventory::{Inventory, NodeInfo, UnlistedGuests, UnreadableEntry};
pub use policy_tag::{OFF_TAG, POLICY_TAG_PREFIX, is_policy_tag, nearest_policy_tag};
pub use warning::{ExclusionRule, SelectionWarning, Unmatched};

/// A parsed selection with at least one term that can match a guest.
///
/// ```
/// use autosnap_core::select::{Inventory, Selection};
///
/// let selection = Selection::parse("@pool-prod,web%,-100").unwrap();
/// let selected = selection.evaluate(&Inventory::default());
/// assert!(selected.guests.is_empty());
/// assert_eq!(selected.warnings.len(), 3);
///
/// let error = Selection::parse("110:100").unwrap_err();
/// assert!(error.to_string().ends_with("write `100:110`"));
/// let selection = Selection::parse("110:100,105").unwrap();
/// assert_eq!(selection.invalid_terms(), [error]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    text: String,
    terms: Vec<Term>,
    /// The errors of the positive terms that can match nothing and are ignored.
    invalid: Vec<SelectionError>,
    has_empty_exclusion: bool,
}

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

/// The result of a selection on an inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// The guests, ordered by node, then ID; each once.
    pub guests: Vec<Guest>,
    /// The terms that match no guest, or perhaps not all that they mean, in the order of the expression.
    pub warnings: Vec<SelectionWarning>,
    /// The IDs of the guests that a term names by ID or by exact name, including excluded ones.
    pub named: BTreeSet<Vmid>,
    /// The selected guests without a known name, with the exclusion by name that may mean them. A run must skip them.
    pub unresolved: BTreeMap<Vmid, String>,
    /// The nested pools with selected guests, in the order of the terms.
    pub nested_pools: Vec<NestedPools>,
    /// The position of the first term that selects each guest.
    positions: BTreeMap<Vmid, usize>,
}

impl Selected {
    /// Sorts the guests in the order of the C# tool: by the term that selects them, then by node and ID.
    pub fn sort_by_terms(&mut self) {
        let positions = &self.positions;
        self.guests
            .sort_by_key(|guest| positions.get(&guest.vmid).copied());
    }
}

impl Selection {
    /// Parses an expression. As in the C# tool, empty terms and positive terms that can match nothing
    /// ([`Selection::invalid_terms`]) are ignored.
    ///
    /// # Errors
    ///
    /// An exclusion that can match nothing, or a term that may be meant as one; `%` or `@tag-` alone, which select
    /// guests in the C# tool; a selection without a valid positive term.
    pub fn parse(text: &str) -> Result<Self, SelectionError> {
        let mut selection = Self {
            text: text.to_owned(),
            terms: Vec::new(),
            invalid: Vec::new(),
            has_empty_exclusion: false,
        };
        for term in terms(text) {
            if term == "-" {
                selection.has_empty_exclusion = true;
                continue;
            }
            match Term::parse(term) {
                Ok(term) => selection.terms.push(term),
                Err(invalid) if invalid.is_fatal => return Err(invalid.error),
                Err(invalid) => selection.invalid.push(invalid.error),
            }
        }
        if selection.terms.iter().any(|term| !term.excludes) {
            return Ok(selection);
        }
        Err(match selection.invalid.into_iter().next() {
            Some(error) => error,
            None if selection.terms.is_empty() => SelectionError::Empty,
            None => SelectionError::ExclusionsOnly {
                selection: text.trim().to_owned(),
            },
        })
    }

    /// The errors of the ignored positive terms, in the order of the expression.
    ///
    /// `snap` and `status` work on the guests of the other terms, then fail.
    pub fn invalid_terms(&self) -> &[SelectionError] {
        &self.invalid
    }

    /// The error about a `-` with nothing after it, which excludes nothing.
    pub fn empty_exclusion(&self) -> Option<SelectionError> {
        self.has_empty_exclusion
            .then(|| SelectionError::EmptyExclusion {
                selection: self.text.trim().to_owned(),
            })
    }

    /// Checks the expression by the stricter rules of `clean`.
    ///
    /// # Errors
    ///
    /// A term that can match nothing, a `-` with nothing after it, or a keyword in upper case, which the C# tool does
    /// not recognize.
    pub fn check_for_removal(&self) -> Result<(), SelectionError> {
        let invalid = self.invalid.first().cloned();
        if let Some(error) = invalid.or_else(|| self.empty_exclusion()) {
            return Err(error);
        }
        let mut terms = self.terms.iter();
        let upper_case = terms.find_map(|term| {
            let correction = term.with_lower_case_keyword();
            (correction != term.text).then(|| SelectionError::KeywordCase {
                term: term.text.clone(),
                correction,
            })
        });
        upper_case.map_or(Ok(()), Err)
    }

    /// The text with all terms corrected, if the meaning of each is known: a selection to paste.
    ///
    /// ```
    /// use autosnap_core::select::Selection;
    ///
    /// assert_eq!(Selection::suggestion("100;101, web*,").as_deref(), Some("100,101,web%"));
    /// assert_eq!(Selection::suggestion("100,110:105").as_deref(), Some("100,105:110"));
    /// assert_eq!(Selection::suggestion("100,$OTHERS"), None);
    /// ```
    pub fn suggestion(text: &str) -> Option<String> {
        let terms = terms(text).filter(|term| *term != "-");
        let terms = terms.map(|term| match Term::parse(term) {
            Ok(term) => Some(term.with_lower_case_keyword()),
            Err(invalid) => invalid.error.correction().map(ToOwned::to_owned),
        });
        let suggestion = terms.collect::<Option<Vec<_>>>()?.join(",");
        Self::parse(&suggestion).is_ok().then_some(suggestion)
    }

    /// The expression as it was typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The visible pools that are excluded together with all pools nested in them.
    pub fn excluded_pools<'a>(&'a self, inventory: &'a Inventory) -> impl Iterator<Item = &'a str> {
        let excludes = |pool: &str| {
            let mut exclusions = self.terms.iter().filter(|term| term.excludes);
            exclusions.any(|term| term.matcher.includes_pool(pool))
        };
        let pools = inventory.pools.iter().map(String::as_str);
        pools.filter(move |pool| excludes(pool))
    }

    /// The tags that the terms name, exclusions included, in lower case.
    pub fn named_tags(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().filter_map(|term| term.matcher.tag())
    }

    /// Whether any term is an exclusion.
    pub fn has_exclusions(&self) -> bool {
        self.terms.iter().any(|term| term.excludes)
    }

    /// Selects guests of an inventory: all that a positive term matches and no exclusion matches.
    pub fn evaluate(&self, inventory: &Inventory) -> Selected {
        let candidates: Vec<Candidate<'_>> = inventory.guests.iter().map(Candidate::new).collect();
        let mut included = vec![false; candidates.len()];
        let mut excluded = vec![false; candidates.len()];
        let mut matching = Vec::with_capacity(self.terms.len());
        let mut named = BTreeSet::new();
        let mut positions = BTreeMap::new();
        for (position, term) in self.terms.iter().enumerate() {
            let marks = if term.excludes {
                &mut excluded
            } else {
                &mut included
            };
            let mut matched = false;
            for (candidate, mark) in candidates.iter().zip(marks) {
                if term.matcher.matches(candidate) {
                    *mark = true;
                    matched = true;
                    if !term.excludes {
                        positions.entry(candidate.vmid()).or_insert(position);
                    }
                    if term.names_a_guest() {
                        named.insert(candidate.vmid());
                    }
                }
            }
            matching.push(matched);
        }
        let warnings = self.warnings(inventory, &matching, &included, &excluded);
        let chosen = inventory.guests.iter().zip(included.iter().zip(excluded));
        let guests = chosen
            .filter(|(_, (included, excluded))| **included && !excluded)
            .map(|(guest, _)| guest);
        let guests = ordered(guests);
        Selected {
            unresolved: self.unresolved(&guests),
            nested_pools: self.nested_pools(&guests),
            guests,
            warnings,
            named,
            positions,
        }
    }

    /// The pools whose guests a term selects because they are nested in its pool.
    fn nested_pools(&self, guests: &[Guest]) -> Vec<NestedPools> {
        let terms = self.terms.iter().filter(|term| !term.excludes);
        let nested = terms.filter_map(|term| {
            let mut pools = BTreeMap::new();
            for pool in guests.iter().filter_map(|guest| guest.pool.as_ref()) {
                if term.matcher.includes_nested_pool(pool) {
                    *pools.entry(pool.clone()).or_default() += 1;
                }
            }
            (!pools.is_empty()).then(|| NestedPools {
                term: term.text.clone(),
                pools,
            })
        });
        let mut distinct = Vec::new();
        for pools in nested {
            if !distinct.contains(&pools) {
                distinct.push(pools);
            }
        }
        distinct
    }

    /// The guests without a known name, with the exclusion by name that may mean them.
    fn unresolved(&self, guests: &[Guest]) -> BTreeMap<Vmid, String> {
        let mut exclusions = self.terms.iter().filter(|term| term.excludes);
        let Some(by_name) = exclusions.find(|term| term.matcher.is_about_names()) else {
            return BTreeMap::new();
        };
        guests
            .iter()
            .filter(|guest| guest.name.is_none())
            .map(|guest| (guest.vmid, by_name.text.clone()))
            .collect()
    }

    /// The warnings about the terms. `matching` has a mark for each term, the others for each guest.
    fn warnings(
        &self,
        inventory: &Inventory,
        matching: &[bool],
        included: &[bool],
        excluded: &[bool],
    ) -> Vec<SelectionWarning> {
        let guests = inventory.guests.iter().zip(included.iter().zip(excluded));
        let nameless = guests.filter(|(guest, _)| warning::is_nameless(guest));
        let nameless: Vec<_> = nameless.map(|(_, marks)| marks).collect();
        // A guest that another term selects or excludes is not missed.
        let open = nameless
            .iter()
            .filter(|(included, excluded)| !**included && !**excluded)
            .count();
        let terms = self.terms.iter().zip(matching);
        let warnings = terms.filter_map(|(term, matches)| {
            let nameless = if term.excludes { nameless.len() } else { open };
            if *matches {
                SelectionWarning::from_matched(term, inventory, nameless)
            } else {
                Some(SelectionWarning::from_unmatched(term, inventory, nameless))
            }
        });
        warnings.collect()
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.text)
    }
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

/// The terms of an expression that are not empty, without blanks around them.
fn terms(selection: &str) -> impl Iterator<Item = &str> {
    let terms = selection.split(',').map(str::trim);
    terms.filter(|term| !term.is_empty())
}

/// The guests sorted by node, then ID.
///
/// PVE may list a guest twice while it migrates to another node; the second entry is left out.
fn ordered<'a>(guests: impl Iterator<Item = &'a Guest>) -> Vec<Guest> {
    let mut guests: Vec<&Guest> = guests.collect();
    guests.sort_by(|one, other| (&one.node, one.vmid).cmp(&(&other.node, other.vmid)));
    let mut seen: HashSet<Vmid> = HashSet::with_capacity(guests.len());
    guests.retain(|guest| seen.insert(guest.vmid));
    guests.into_iter().cloned().collect()
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
