// SPDX-License-Identifier: GPL-3.0-only
//! The selection of guests: the expression of `--vmid`, parsed once, evaluated on an inventory.
//!
//! The syntax is that of the C# tool with operators: the module `term` lists its terms, `parser` has the grammar. Whether
//! a selected guest can be snapshotted at all (a template, an offline node) is not decided here.

mod correction;
mod error;
mod evaluation;
mod expression;
mod foreign_syntax;
mod inventory;
mod matcher;
mod nested_pools;
mod parser;
mod policy_tag;
mod similarity;
mod suggestion;
mod term;
mod warning;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use crate::guest::{Guest, Vmid};

use evaluation::{Evaluation, Guests, Truth};
use expression::{Item, PlacedTerm};
use matcher::{Candidate, Matcher};
use warning::Uncertain;

pub use error::{SelectionError, SyntaxProblem};
pub use inventory::{Inventory, NodeInfo, UnlistedGuests, UnreadableEntry};
pub use nested_pools::NestedPools;
pub use policy_tag::{
    OFF_TAG, POLICY_TAG_PREFIX, is_policy_tag, is_tagged_off, nearest_policy_tag,
};
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
    items: Vec<Item>,
    /// The errors of the positive terms that can match nothing and are ignored.
    invalid: Vec<SelectionError>,
    has_empty_exclusion: bool,
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
    /// The selected guests without a known name or state, with the exclusion that may mean them. A run must skip them.
    pub unresolved: BTreeMap<Vmid, String>,
    /// The guests that a run leaves out because of the tag [`OFF_TAG`], ordered by node, then ID.
    pub tagged_off: Vec<Vmid>,
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
            items: Vec::new(),
            invalid: Vec::new(),
            has_empty_exclusion: false,
        };
        for item in items(text) {
            if item == "-" {
                selection.has_empty_exclusion = true;
                continue;
            }
            match Item::parse(item) {
                Ok(item) => selection.items.push(item),
                Err(invalid) if invalid.is_fatal => return Err(invalid.error),
                Err(invalid) => selection.invalid.push(invalid.error),
            }
        }
        if selection.items.iter().any(|item| !item.excludes) {
            return Ok(selection);
        }
        Err(match selection.invalid.into_iter().next() {
            Some(error) => error,
            None if selection.items.is_empty() => SelectionError::Empty,
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
        let mut items = self.items.iter();
        let upper_case = items.find_map(|item| {
            let correction = item.with_lower_case_keywords();
            (correction != item.text).then(|| SelectionError::KeywordCase {
                term: item.text.clone(),
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
    /// assert_eq!(Selection::suggestion("(web*,db%)&&@tag-x").as_deref(), Some("(web%|db%)&@tag-x"));
    /// assert_eq!(Selection::suggestion("100,$OTHERS"), None);
    /// ```
    pub fn suggestion(text: &str) -> Option<String> {
        let suggestion = correction::corrected(text)?;
        let is_valid = |parsed: Self| parsed.invalid.is_empty() && !parsed.has_empty_exclusion;
        Self::parse(&suggestion)
            .is_ok_and(is_valid)
            .then_some(suggestion)
    }

    /// The expression as it was typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The visible pools that are excluded together with all pools nested in them.
    pub fn excluded_pools<'a>(&'a self, inventory: &'a Inventory) -> impl Iterator<Item = &'a str> {
        let excludes = |pool: &str| {
            let mut exclusions = self.terms().filter(|placed| placed.excludes);
            exclusions.any(|placed| placed.term.matcher.includes_pool(pool))
        };
        let pools = inventory.pools.iter().map(String::as_str);
        pools.filter(move |pool| excludes(pool))
    }

    /// The names of all pools in the terms, as they were typed.
    pub fn pools(&self) -> impl Iterator<Item = &str> {
        self.terms().filter_map(|placed| placed.term.pool())
    }

    /// The tags that the terms name, exclusions included, in lower case.
    pub fn named_tags(&self) -> impl Iterator<Item = &str> {
        self.terms().filter_map(|placed| placed.term.matcher.tag())
    }

    /// Whether any term is an exclusion.
    pub fn has_exclusions(&self) -> bool {
        self.items.iter().any(Item::has_exclusion)
    }

    /// All terms, in their order.
    fn terms(&self) -> impl Iterator<Item = PlacedTerm<'_>> {
        self.items.iter().flat_map(Item::terms)
    }

    /// Selects guests of an inventory: all that a positive term matches and no exclusion matches.
    pub fn evaluate(&self, inventory: &Inventory) -> Selected {
        self.select(inventory, false)
    }

    /// Selects the guests of a run: as [`Self::evaluate`], without those that have the tag [`OFF_TAG`] and that no term
    /// names by ID or exact name.
    pub fn evaluate_for_run(&self, inventory: &Inventory) -> Selected {
        self.select(inventory, true)
    }

    fn select(&self, inventory: &Inventory, leaves_out_tagged_off: bool) -> Selected {
        let guests = Guests::new(inventory);
        let mut marks = Marks::new(&guests);
        let mut evaluations = Vec::with_capacity(self.items.len());
        for (position, item) in self.items.iter().enumerate() {
            let mut evaluation = guests.evaluate(item);
            marks.mark(position, item, &evaluation.truths, &guests);
            if item.single_term().is_some() {
                // A selection may list thousands of guests.
                evaluation.truths = Vec::new();
            }
            evaluations.push(evaluation);
        }
        let chosen = inventory.guests.iter().zip(&marks.guests);
        let chosen = chosen.filter(|(_, marks)| marks.position.is_some() && !marks.is_excluded);
        let chosen = ordered(chosen.map(|(guest, _)| guest));
        let is_left_out = |guest: &Guest| {
            leaves_out_tagged_off && is_tagged_off(guest) && !marks.named.contains(&guest.vmid)
        };
        let (left_out, selected): (Vec<Guest>, Vec<Guest>) =
            chosen.into_iter().partition(is_left_out);
        let vmids: BTreeSet<Vmid> = selected.iter().map(|guest| guest.vmid).collect();
        let marked = guests.candidates.iter().zip(&marks.guests);
        let unresolved = marked.clone().filter_map(|(candidate, marks)| {
            let item = &self.items[marks.doubt?];
            Some((candidate.guest().vmid, item.text.clone()))
        });
        let positions =
            marked.filter_map(|(candidate, marks)| Some((candidate.guest().vmid, marks.position?)));
        Selected {
            warnings: self.warnings(&guests, &evaluations, &marks.guests),
            unresolved: unresolved
                .filter(|(vmid, _)| vmids.contains(vmid))
                .collect(),
            // Of a guest that is listed twice, the first entry counts.
            positions: positions.rev().collect(),
            nested_pools: nested_pools::find(self.terms(), &selected),
            tagged_off: left_out.iter().map(|guest| guest.vmid).collect(),
            guests: selected,
            named: marks.named,
        }
    }

    /// The warnings about the terms.
    fn warnings(
        &self,
        guests: &Guests<'_>,
        evaluations: &[Evaluation<'_>],
        marks: &[GuestMarks],
    ) -> Vec<SelectionWarning> {
        let count = |counts: &dyn Fn(usize, &Candidate<'_>) -> bool| {
            let candidates = guests.candidates.iter().enumerate();
            candidates.filter(|(at, guest)| counts(*at, guest)).count()
        };
        // A guest that another term selects or excludes is not missed.
        let is_open = |at: usize| marks[at].position.is_none() && !marks[at].is_excluded;
        let of_terms = |excludes: bool| Uncertain {
            nameless: count(&|at, guest| {
                (excludes || is_open(at)) && warning::is_nameless(guest.guest())
            }),
            stateless: count(&|at, guest| (excludes || is_open(at)) && guest.is_stateless()),
        };
        let (of_selecting, of_excluding) = (of_terms(false), of_terms(true));
        let mut warnings = Vec::new();
        for (item, evaluation) in self.items.iter().zip(evaluations) {
            if item.single_term().is_some() {
                let uncertain = if item.excludes {
                    of_excluding
                } else {
                    of_selecting
                };
                warnings.extend(evaluation.warnings(guests.inventory, uncertain));
                continue;
            }
            warnings.extend(evaluation.warnings(guests.inventory, Uncertain::default()));
            if !item.excludes {
                let has = |test: fn(&Matcher) -> bool| {
                    item.terms().iter().any(|placed| test(&placed.term.matcher))
                };
                let (by_name, by_state) =
                    (has(Matcher::is_about_names), has(Matcher::is_about_states));
                let is_uncertain =
                    |at: usize| is_open(at) && evaluation.truths[at] == Truth::Unknown;
                let uncertain = Uncertain {
                    nameless: count(&|at, guest| {
                        by_name && is_uncertain(at) && guest.is_nameless()
                    }),
                    stateless: count(&|at, guest| {
                        by_state && is_uncertain(at) && guest.is_stateless()
                    }),
                };
                warnings.extend(SelectionWarning::from_uncertain(&item.text, uncertain));
            }
        }
        warnings
    }
}

/// The effect of a selection.
struct Marks {
    /// For each candidate.
    guests: Vec<GuestMarks>,
    /// The guests that are selected by ID or exact name.
    named: BTreeSet<Vmid>,
}

impl Marks {
    fn new(guests: &Guests<'_>) -> Self {
        Self {
            guests: vec![GuestMarks::default(); guests.candidates.len()],
            named: BTreeSet::new(),
        }
    }

    /// Adds the effect of the item at a position.
    fn mark(&mut self, position: usize, item: &Item, truths: &[Truth], guests: &Guests<'_>) {
        let terms = item.terms().into_iter();
        let naming: Vec<&Matcher> = terms
            .filter(|placed| !placed.excludes && placed.term.names_a_guest())
            .map(|placed| &placed.term.matcher)
            .collect();
        let marked = self.guests.iter_mut().zip(&guests.candidates);
        for ((mark, candidate), truth) in marked.zip(truths) {
            match (truth, item.excludes) {
                (Truth::Yes, true) => mark.is_excluded = true,
                (Truth::Unknown, true) => mark.doubt = mark.doubt.or(Some(position)),
                (Truth::Yes, false) => {
                    mark.position = mark.position.or(Some(position));
                    if naming.iter().any(|matcher| matcher.matches(candidate)) {
                        self.named.insert(candidate.guest().vmid);
                    }
                }
                (Truth::Unknown, false) | (Truth::No, _) => {}
            }
        }
    }
}

/// The effect of a selection on one guest.
#[derive(Clone, Debug, Default)]
struct GuestMarks {
    /// The position of the first item that selects it.
    position: Option<usize>,
    /// Whether an item excludes it.
    is_excluded: bool,
    /// The first item that may exclude it.
    doubt: Option<usize>,
}

impl fmt::Display for Selection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.text)
    }
}

/// The items of a selection that are not empty, without blanks around them.
fn items(selection: &str) -> impl Iterator<Item = &str> {
    let items = selection.split(',').map(str::trim);
    items.filter(|item| !item.is_empty())
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
