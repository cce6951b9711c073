// SPDX-License-Identifier: GPL-3.0-only
//! The parser of an item of a selection, by recursive descent.
//!
//! ```text
//! selection    = [ item ] { "," [ item ] }
//! item         = [ "-" ] operand | intersection
//! intersection = operand { "&" [ "-" ] operand }
//! operand      = term | "(" intersection { "|" intersection } ")"
//! ```
//!
//! `&` binds tighter than `|`, which stands in parentheses only. A `-` at the beginning of an item takes guests away from
//! the whole selection; after `&` it is a complement. An intersection begins with a positive operand, so that no
//! expression means "everything but". No name in PVE contains `&`, `|`, `(` or `)` (`dns-name`, `pve-node`, `pve-poolid`
//! and `pve-tag` in `PVE/JSONSchema.pm` and `PVE/AccessControl.pm`): terms without operators are parsed as before there
//! were any.

use super::error::{SelectionError, SyntaxProblem};
use super::expression::{Expression, Item, Operand};
use super::foreign_syntax;
use super::term::Term;

/// How deeply parentheses may be nested: the recursion of all functions on expressions is this deep.
const MAX_DEPTH: usize = 32;

/// The characters that end a term.
pub(super) const OPERATORS: [char; 4] = ['&', '|', '(', ')'];

/// An item that can match nothing.
#[derive(Debug)]
pub(super) struct InvalidItem {
    /// The error.
    pub(super) error: SelectionError,
    /// Whether the selection must not be evaluated without the item: it may be meant as an exclusion, or it selects
    /// guests in the C# tool.
    pub(super) is_fatal: bool,
}

impl Item {
    /// Parses one item, which is not empty.
    pub(super) fn parse(item: &str) -> Result<Self, InvalidItem> {
        let text = item.trim();
        let (excludes, positive) = match text.strip_prefix('-') {
            Some(positive) => (true, positive.trim_start()),
            None => (false, text),
        };
        let invalid = |error: SelectionError| InvalidItem {
            is_fatal: excludes
                || foreign_syntax::may_exclude(positive)
                || error.selects_guests_in_csharp(),
            error,
        };
        if positive.starts_with('-') {
            return Err(invalid(SelectionError::DoubleExclusion {
                term: text.to_owned(),
            }));
        }
        let expression = if has_operators(positive) {
            Parser::new(text, positive).item(excludes)
        } else {
            Term::parse(text, positive).map(Expression::Term)
        };
        Ok(Self {
            text: text.to_owned(),
            excludes,
            expression: expression.map_err(invalid)?,
        })
    }
}

/// Whether an item is more than a term. A `|` alone is an error about the separator of terms.
pub(super) fn has_operators(item: &str) -> bool {
    item.contains(['&', '(', ')'])
}

struct Parser<'a> {
    /// The whole item.
    text: &'a str,
    /// The part that is not parsed yet.
    rest: &'a str,
    /// How many parentheses are open.
    depth: usize,
}

impl<'a> Parser<'a> {
    /// A parser of an item; `rest` is its end after the `-`.
    fn new(text: &'a str, rest: &'a str) -> Self {
        Self {
            text,
            rest,
            depth: 0,
        }
    }

    fn item(&mut self, excludes: bool) -> Result<Expression, SelectionError> {
        let expression = if excludes {
            let operand = self.operand("")?;
            if self.peek() == Some('&') {
                return Err(self.problem(SyntaxProblem::ExclusionBeforeIntersection));
            }
            operand
        } else {
            self.intersection()?
        };
        match self.peek() {
            None => Ok(expression),
            Some(')') => Err(self.problem(SyntaxProblem::UnopenedParenthesis)),
            Some('|') => Err(self.problem(SyntaxProblem::UnionOutsideParentheses)),
            Some(_) => Err(self.problem(SyntaxProblem::MissingOperator)),
        }
    }

    fn intersection(&mut self) -> Result<Expression, SelectionError> {
        if self.peek() == Some('-') {
            return Err(self.problem(SyntaxProblem::ExclusionWithoutIntersection));
        }
        let first = self.operand("")?;
        if self.peek() != Some('&') {
            return Ok(first);
        }
        let mut operands = vec![Operand {
            excludes: false,
            expression: first,
        }];
        while self.take('&') {
            self.refuse_doubled('&')?;
            let typed = self.rest.trim_start();
            let excludes = self.take('-');
            if excludes && self.peek() == Some('-') {
                return Err(self.problem(SyntaxProblem::DoubledOperator('-')));
            }
            operands.push(Operand {
                excludes,
                expression: self.operand(if excludes { typed } else { "" })?,
            });
        }
        Ok(Expression::Intersection(operands))
    }

    /// A term or a union. `typed` begins with the term's `-`, if it has one.
    fn operand(&mut self, typed: &'a str) -> Result<Expression, SelectionError> {
        self.rest = self.rest.trim_start();
        if self.rest.starts_with('(') {
            return self.union();
        }
        let end = self.rest.find(OPERATORS).unwrap_or(self.rest.len());
        let (term, rest) = self.rest.split_at(end);
        let term = term.trim_end();
        if term.is_empty() {
            return Err(self.problem(SyntaxProblem::MissingTerm));
        }
        let typed = match typed.len() - typed.len().min(self.rest.len()) {
            0 => term,
            sign => &typed[..sign + term.len()],
        };
        let term = Term::parse(typed, term)?;
        self.rest = rest;
        Ok(Expression::Term(term))
    }

    fn union(&mut self) -> Result<Expression, SelectionError> {
        let opened = self.problem(SyntaxProblem::UnclosedParenthesis);
        if self.depth == MAX_DEPTH {
            return Err(self.problem(SyntaxProblem::TooDeep(MAX_DEPTH)));
        }
        self.depth += 1;
        self.take('(');
        let mut parts = vec![self.intersection()?];
        while self.take('|') {
            self.refuse_doubled('|')?;
            parts.push(self.intersection()?);
        }
        self.depth -= 1;
        if self.take(')') {
            Ok(match parts.pop() {
                Some(only) if parts.is_empty() => only,
                last => Expression::Union(parts.into_iter().chain(last).collect()),
            })
        } else if self.rest.is_empty() {
            Err(opened)
        } else {
            Err(self.problem(SyntaxProblem::MissingOperator))
        }
    }

    /// The next character that is not a blank.
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    /// Skips the character, if it is the next one.
    fn take(&mut self, character: char) -> bool {
        self.peek();
        match self.rest.strip_prefix(character) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Refuses `&&` and `||`, after their first character.
    fn refuse_doubled(&self, operator: char) -> Result<(), SelectionError> {
        if self.rest.starts_with(operator) {
            Err(self.problem(SyntaxProblem::DoubledOperator(operator)))
        } else {
            Ok(())
        }
    }

    /// The error about the next character.
    fn problem(&self, problem: SyntaxProblem) -> SelectionError {
        let parsed = &self.text[..self.text.len() - self.rest.len()];
        SelectionError::Syntax {
            term: self.text.to_owned(),
            problem,
            position: parsed.chars().count() + 1,
        }
    }
}
