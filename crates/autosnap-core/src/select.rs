// SPDX-License-Identifier: GPL-3.0-only
//! The selection of guests: the expression of `--vmid`, parsed once, evaluated on an inventory.
//!
//! The syntax is that of the C# tool; the module `term` lists its terms. Whether a selected guest
//! can be snapshotted at all (a template, an offline node) is not decided here.

mod nearest;
mod term;
mod warning;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use crate::guest::{Guest, GuestKind, GuestStatus, Vmid};
use crate::storage::StorageUsage;

use term::{Candidate, Term};

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
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    text: String,
    terms: Vec<Term>,
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
}

impl Selection {
    /// Understands an expression, or names the term that is wrong and what to write instead.
    pub fn parse(text: &str) -> Result<Self, SelectionError> {
        if text.trim().is_empty() {
            return Err(SelectionError::Empty);
        }
        let terms = text
            .split(',')
            .map(|term| Term::parse(term, text))
            .collect::<Result<Vec<_>, _>>()?;
        if terms.iter().all(|term| term.excludes) {
            return Err(SelectionError::ExclusionsOnly {
                selection: text.trim().to_owned(),
            });
        }
        Ok(Self {
            text: text.to_owned(),
            terms,
        })
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
        for term in &self.terms {
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
            guests,
            warnings,
            named,
        }
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
