// SPDX-License-Identifier: GPL-3.0-only
//! The evaluation of an expression on the guests of an inventory, in three-valued logic.
//!
//! PVE does not list names and states of guests on nodes without statistics, and hides pools from logins without
//! `Pool.Audit`. Whether a term matches such a guest is unknown, and stays unknown below a `-`: a guest is selected only
//! if it certainly matches, so that a hidden pool or a typo under a `-` never selects more guests.

use super::expression::{Expression, Item};
use super::inventory::Inventory;
use super::matcher::{Candidate, Matcher};
use super::warning::{SelectionWarning, Subject, Uncertain, lists_pool};

/// Whether an expression matches a guest. The order is that of a conjunction: the smallest operand decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Truth {
    No,
    Unknown,
    Yes,
}

/// The guests on which expressions are evaluated.
pub(super) struct Guests<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) candidates: Vec<Candidate<'a>>,
}

/// The result of an item.
pub(super) struct Evaluation<'a> {
    /// Whether it matches each candidate.
    pub(super) truths: Vec<Truth>,
    /// Its terms and its empty intersections, in their order.
    parts: Vec<Part<'a>>,
}

/// A part of an expression that a warning may be about.
struct Part<'a> {
    /// As it was typed, with its `-`.
    text: String,
    /// Whether it is an exclusion.
    excludes: bool,
    /// The matcher of a term; `None` for an intersection that matches no guest.
    matcher: Option<&'a Matcher>,
    /// Whether it matches a guest.
    matches: bool,
}

impl Truth {
    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
            Self::Yes => Self::No,
        }
    }
}

impl From<bool> for Truth {
    fn from(is_true: bool) -> Self {
        if is_true { Self::Yes } else { Self::No }
    }
}

impl<'a> Guests<'a> {
    pub(super) fn new(inventory: &'a Inventory) -> Self {
        Self {
            inventory,
            candidates: inventory.guests.iter().map(Candidate::new).collect(),
        }
    }

    /// Evaluates an item.
    pub(super) fn evaluate<'b>(&self, item: &'b Item) -> Evaluation<'b> {
        let mut walk = Walk {
            guests: self,
            assumes_visible: item.excludes,
            parts: Vec::new(),
        };
        let text = match item.single_term() {
            Some(_) => item.text.clone(),
            None => item.expression.to_string(),
        };
        let truths = walk.expression(&item.expression, text, item.excludes);
        Evaluation {
            truths,
            parts: walk.parts,
        }
    }

    /// Whether the login sees all guests that the term means: the pool or node is visible.
    fn is_visible(&self, matcher: &Matcher) -> bool {
        match matcher {
            Matcher::Pool(pool) => lists_pool(self.inventory, pool),
            Matcher::Node(node) => {
                let mut nodes = self.inventory.nodes.iter();
                nodes.any(|known| known.name.to_lowercase() == *node)
                    || self.candidates.iter().any(|guest| guest.is_on(node))
            }
            Matcher::All
            | Matcher::Id(_)
            | Matcher::Range { .. }
            | Matcher::Name(_)
            | Matcher::NameStart(_)
            | Matcher::NameEnd(_)
            | Matcher::NamePart(_)
            | Matcher::Tag(_)
            | Matcher::Kind(_)
            | Matcher::Status(_) => true,
        }
    }
}

/// The evaluation of one item.
struct Walk<'a, 'b> {
    guests: &'a Guests<'a>,
    /// Whether pools and nodes that are not visible have no guests. For an exclusion from the whole selection the
    /// command decides whether that is allowed ([`ExclusionRule`](super::ExclusionRule)).
    assumes_visible: bool,
    parts: Vec<Part<'b>>,
}

impl<'b> Walk<'_, 'b> {
    fn expression(
        &mut self,
        expression: &'b Expression,
        text: String,
        excludes: bool,
    ) -> Vec<Truth> {
        match expression {
            Expression::Term(term) => self.term(&term.matcher, text, excludes),
            Expression::Union(parts) => {
                let mut union = vec![Truth::No; self.guests.candidates.len()];
                for part in parts {
                    let truths = self.expression(part, part.to_string(), excludes);
                    join(&mut union, truths, Truth::max);
                }
                union
            }
            Expression::Intersection(operands) => {
                let first_part = self.parts.len();
                let mut common = vec![Truth::Yes; self.guests.candidates.len()];
                for operand in operands {
                    let is_exclusion = excludes != operand.excludes;
                    let text = operand.to_string();
                    let mut truths = self.expression(&operand.expression, text, is_exclusion);
                    if operand.excludes {
                        truths = truths.into_iter().map(Truth::not).collect();
                    }
                    join(&mut common, truths, Truth::min);
                }
                let is_reported = self.parts[first_part..]
                    .iter()
                    .any(|part| part.excludes == excludes && !part.matches);
                if !is_reported && !common.contains(&Truth::Yes) {
                    self.parts.push(Part {
                        text,
                        excludes,
                        matcher: None,
                        matches: false,
                    });
                }
                common
            }
        }
    }

    fn term(&mut self, matcher: &'b Matcher, text: String, excludes: bool) -> Vec<Truth> {
        let is_visible = self.assumes_visible || self.guests.is_visible(matcher);
        let truths: Vec<Truth> = self
            .guests
            .candidates
            .iter()
            .map(|guest| {
                if matcher.matches(guest) {
                    Truth::Yes
                } else if !is_visible
                    || (matcher.is_about_names() && guest.is_nameless())
                    || (matcher.is_about_states() && guest.is_stateless())
                {
                    Truth::Unknown
                } else {
                    Truth::No
                }
            })
            .collect();
        self.parts.push(Part {
            text,
            excludes,
            matcher: Some(matcher),
            matches: truths.contains(&Truth::Yes),
        });
        truths
    }
}

fn join(into: &mut [Truth], truths: Vec<Truth>, operator: fn(Truth, Truth) -> Truth) {
    for (joined, truth) in into.iter_mut().zip(truths) {
        *joined = operator(*joined, truth);
    }
}

impl Evaluation<'_> {
    /// The warnings about the parts. `uncertain` is the number of guests that a single term may mean.
    pub(super) fn warnings(
        &self,
        inventory: &Inventory,
        uncertain: Uncertain,
    ) -> Vec<SelectionWarning> {
        let warnings = self.parts.iter().filter_map(|part| {
            let Some(matcher) = part.matcher else {
                let text = part.text.clone();
                return Some(SelectionWarning::from_empty_intersection(
                    text,
                    part.excludes,
                ));
            };
            let subject = Subject {
                text: &part.text,
                matcher,
                excludes: part.excludes,
            };
            if part.matches {
                SelectionWarning::from_matched(subject, inventory, uncertain)
            } else {
                Some(SelectionWarning::from_unmatched(
                    subject, inventory, uncertain,
                ))
            }
        });
        warnings.collect()
    }
}
