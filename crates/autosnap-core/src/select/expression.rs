// SPDX-License-Identifier: GPL-3.0-only
//! The expression tree of a selection.

use std::fmt;

use super::term::Term;

/// One of the parts of a selection that commas separate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// As it was typed, without blanks around it.
    pub(super) text: String,
    /// Whether its guests are taken away from the whole selection.
    pub(super) excludes: bool,
    /// The guests it matches.
    pub(super) expression: Expression,
}

/// A term, or several terms joined by operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    /// A single term.
    Term(Term),
    /// `A&B&-C`: the guests that all operands match. There are at least two, and the first does not exclude.
    Intersection(Vec<Operand>),
    /// `(A|B)`: the guests that at least one part matches. There are at least two.
    Union(Vec<Expression>),
}

/// An operand of an intersection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operand {
    /// Whether it matches the guests that its expression does not match.
    pub(super) excludes: bool,
    /// Its expression.
    pub(super) expression: Expression,
}

/// A term of an expression, with its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlacedTerm<'a> {
    /// The term.
    pub(super) term: &'a Term,
    /// Whether a guest that it matches is less likely to be selected: it is below an odd number of `-`.
    pub(super) excludes: bool,
}

impl Item {
    /// The item's only term, if it has no operators.
    pub(super) fn single_term(&self) -> Option<&Term> {
        match &self.expression {
            Expression::Term(term) => Some(term),
            Expression::Intersection(_) | Expression::Union(_) => None,
        }
    }

    /// All terms, in their order.
    pub(super) fn terms(&self) -> Vec<PlacedTerm<'_>> {
        let mut terms = Vec::new();
        self.expression.collect_terms(self.excludes, &mut terms);
        terms
    }

    /// Whether the item or an operand in it excludes.
    pub(super) fn has_exclusion(&self) -> bool {
        self.excludes || self.expression.has_exclusion()
    }

    /// The text with the keywords of its groups in lower case.
    pub(super) fn with_lower_case_keywords(&self) -> String {
        let mut terms = Vec::new();
        self.expression.collect_terms(false, &mut terms);
        let mut text = String::new();
        let mut rest = self.text.as_str();
        for PlacedTerm { term, .. } in terms {
            let Some((before, after)) = rest.split_once(&term.text) else {
                break;
            };
            text.push_str(before);
            text.push_str(&term.with_lower_case_keyword());
            rest = after;
        }
        text + rest
    }
}

impl Expression {
    fn collect_terms<'a>(&'a self, excludes: bool, terms: &mut Vec<PlacedTerm<'a>>) {
        match self {
            Self::Term(term) => terms.push(PlacedTerm { term, excludes }),
            Self::Intersection(operands) => {
                for operand in operands {
                    let excludes = excludes != operand.excludes;
                    operand.expression.collect_terms(excludes, terms);
                }
            }
            Self::Union(parts) => {
                for part in parts {
                    part.collect_terms(excludes, terms);
                }
            }
        }
    }

    fn has_exclusion(&self) -> bool {
        match self {
            Self::Term(_) => false,
            Self::Intersection(operands) => operands
                .iter()
                .any(|operand| operand.excludes || operand.expression.has_exclusion()),
            Self::Union(parts) => parts.iter().any(Self::has_exclusion),
        }
    }
}

/// Writes the parts with a separator between them.
fn write_joined(
    formatter: &mut fmt::Formatter<'_>,
    parts: &[impl fmt::Display],
    separator: char,
) -> fmt::Result {
    for (position, part) in parts.iter().enumerate() {
        if position > 0 {
            write!(formatter, "{separator}")?;
        }
        part.fmt(formatter)?;
    }
    Ok(())
}

impl fmt::Display for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Term(term) => formatter.write_str(&term.text),
            Self::Intersection(operands) => write_joined(formatter, operands, '&'),
            Self::Union(parts) => {
                formatter.write_str("(")?;
                write_joined(formatter, parts, '|')?;
                formatter.write_str(")")
            }
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.excludes {
            formatter.write_str("-")?;
        }
        match &self.expression {
            Expression::Intersection(_) => write!(formatter, "({})", self.expression),
            Expression::Term(_) | Expression::Union(_) => self.expression.fmt(formatter),
        }
    }
}
