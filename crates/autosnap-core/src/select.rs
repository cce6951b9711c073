// SPDX-License-Identifier: GPL-3.0-only
//! The selection of guests: the expression of `--vmid`, parsed once, evaluated on an inventory.
//!
//! The syntax is that of the C# tool; the module `term` lists its terms. Whether a selected guest
//! can be snapshotted at all (a template, an offline node) is not decided here.

mod nearest;
mod shape;
mod term;
mod warning;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use crate::guest::{Guest, GuestKind, GuestStatus, Vmid};
use crate::storage::StorageUsage;

use term::{Candidate, Term};

pub use shape::corrected;
pub use term::SelectionError;
pub use warning::{ExclusionRule, SelectionWarning, Unmatched};

/// What is known of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// All guests the login may see.
    pub guests: Vec<Guest>,
    /// All nodes.
    pub nodes: Vec<NodeInfo>,
    /// All pools the login may see, nested ones with their parents (`lab/nested`).
    pub pools: Vec<String>,
    /// The storages of all nodes.
    pub storages: Vec<StorageUsage>,
    /// Sentences about entries that could not be read: each may be a selected guest.
    pub unreadable: Vec<String>,
    /// The online nodes that send no statistics (`status: unknown`), although everything on them may
    /// work: how full their storages are is not known.
    pub nodes_without_statistics: Vec<String>,
    /// How many seconds the running guests had been running when they were listed.
    pub listed_uptimes: BTreeMap<Vmid, u64>,
    /// The guests without statistics whose nodes could not list them either.
    pub unlisted: Vec<UnlistedGuests>,
}

/// The guests of one kind on one node whose name and state neither the cluster nor the node could list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlistedGuests {
    /// The node.
    pub node: String,
    /// Virtual machines or containers.
    pub kind: GuestKind,
    /// Why the node could not list them.
    pub reason: String,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its name.
    pub name: String,
    /// Whether it belongs to the running part of the cluster. A node without statistics does, too.
    pub online: bool,
}

impl Inventory {
    /// Whether PVE calls the node offline. One that sends no statistics is not.
    pub fn is_offline(&self, node: &str) -> bool {
        self.nodes
            .iter()
            .any(|known| known.name == node && !known.online)
    }

    /// Why the guest's state is not known, if its node could not list it.
    pub fn unlisted_reason(&self, guest: &Guest) -> Option<&str> {
        if guest.status != GuestStatus::Unknown {
            return None;
        }
        let unlisted = self
            .unlisted
            .iter()
            .find(|unlisted| unlisted.node == guest.node && unlisted.kind == guest.kind)?;
        Some(&unlisted.reason)
    }
}

/// A parsed selection, known to select something as far as that can be known without a cluster.
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
    /// Why each positive term that can match nothing is ignored.
    invalid: Vec<SelectionError>,
    has_empty_exclusion: bool,
}

/// The pools nested in the pool of a term, whose guests the term selects as well. The C# tool up to 2.0.1 selects
/// the members of the pool alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NestedPools {
    /// The term.
    pub term: String,
    /// The nested pools with the number of their selected guests, by name.
    pub pools: BTreeMap<String, usize>,
}

/// What a selection selects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// The guests, ordered by node, then ID; each once.
    pub guests: Vec<Guest>,
    /// The terms that match nothing, or perhaps not everything that they mean, in the order of the
    /// expression.
    pub warnings: Vec<SelectionWarning>,
    /// The IDs of the guests that a term names by ID or by exact name, whether they are excluded by
    /// another term or not.
    pub named: BTreeSet<Vmid>,
    /// The selected guests without a known name that an exclusion by name may mean, with the
    /// exclusion. They must not be worked on.
    pub unresolved: BTreeMap<Vmid, String>,
    /// The nested pools with selected guests, in the order of the terms.
    pub nested_pools: Vec<NestedPools>,
    /// The position of the first term that selects each guest.
    positions: BTreeMap<Vmid, usize>,
}

impl Selected {
    /// Puts the guests into the order of the terms that select them, inside a term by node, then ID: the
    /// order of the C# tool.
    pub fn sort_by_terms(&mut self) {
        let positions = &self.positions;
        self.guests
            .sort_by_key(|guest| positions.get(&guest.vmid).copied());
    }
}

impl Selection {
    /// Parses an expression. Empty terms are ignored, and so are positive terms that can match nothing
    /// ([`Selection::invalid_terms`]), as in the C# tool.
    ///
    /// # Errors
    ///
    /// An exclusion that can match nothing, or a term that may have been meant as one; `%` or `@tag-` alone, which select
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

    /// Why each positive term that can match nothing is ignored, in the order of the expression. `snap` and
    /// `status` do the others and fail.
    pub fn invalid_terms(&self) -> &[SelectionError] {
        &self.invalid
    }

    /// The error about a `-` with nothing after it, which takes nothing away.
    pub fn empty_exclusion(&self) -> Option<SelectionError> {
        self.has_empty_exclusion
            .then(|| SelectionError::EmptyExclusion {
                selection: self.text.trim().to_owned(),
            })
    }

    /// Checks the expression by the rules of `clean`, which only removes.
    ///
    /// # Errors
    ///
    /// A term that can match nothing, a `-` with nothing after it, or a keyword that the C# tool does not know in
    /// these letters.
    pub fn check_for_removal(&self) -> Result<(), SelectionError> {
        let invalid = self.invalid.first().cloned();
        if let Some(error) = invalid.or_else(|| self.empty_exclusion()) {
            return Err(error);
        }
        let mut terms = self.terms.iter();
        let other_case = terms.find_map(|term| {
            let correction = term.in_lower_case();
            (correction != term.text).then(|| SelectionError::KeywordCase {
                term: term.text.clone(),
                correction,
            })
        });
        other_case.map_or(Ok(()), Err)
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

    /// Whether any term is an exclusion.
    pub fn has_exclusions(&self) -> bool {
        self.terms.iter().any(|term| term.excludes)
    }

    /// Selects guests of an inventory: whatever the positive terms match together, without
    /// whatever the negative ones match, wherever they stand.
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

    /// The guests whose name is not known, with the exclusion by name that may mean them.
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

    /// What is said of the terms, given which of them match something and whom they select.
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
        // Whoever is selected or excluded anyway is not missed.
        let open = nameless
            .iter()
            .filter(|(included, excluded)| !**included && !**excluded)
            .count();
        let terms = self.terms.iter().zip(matching);
        let warnings = terms.filter_map(|(term, matches)| {
            let nameless = if term.excludes { nameless.len() } else { open };
            if *matches {
                SelectionWarning::of_some(term, inventory, nameless)
            } else {
                Some(SelectionWarning::of_nothing(term, inventory, nameless))
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

/// By node, then ID. A guest that PVE lists twice, as it may for a moment while it moves to
/// another node, is taken once.
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
