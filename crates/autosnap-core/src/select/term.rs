// SPDX-License-Identifier: GPL-3.0-only
//! The terms of a selection.
//!
//! | term | guests |
//! |---|---|
//! | `100`, `100:110` | with this ID, with an ID in this closed range |
//! | `web`, `web%`, `%web`, `%web%` | with this name, or one that starts with it, ends with it or contains it |
//! | `@all`, `all` | all |
//! | `@node-NAME`, `@all-NAME`, `all-NAME` | on this node |
//! | `@pool-NAME`, `@tag-NAME` | in this pool or a pool nested in it, with this tag |
//! | `-TERM` | excludes the guests that the term matches |
//!
//! Terms are case-insensitive, except the bare `all` and `all-NAME`: in upper case they are the name of a guest,
//! as in the C# tool. The C# library swaps `web%` and `%web` against its manual; this follows the manual.

use super::error::SelectionError;
use super::foreign_syntax;
use super::matcher::Matcher;

/// A term that can match nothing.
#[derive(Debug)]
pub(super) struct InvalidTerm {
    /// The error.
    pub(super) error: SelectionError,
    /// Whether the selection must not be evaluated without the term: it may be meant as an exclusion, or it selects
    /// guests in the C# tool.
    pub(super) is_fatal: bool,
}

/// A term of a selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    /// As it was typed, without blanks around it.
    pub(super) text: String,
    /// Whether it is an exclusion.
    pub(super) excludes: bool,
    /// The guests it matches.
    pub(super) matcher: Matcher,
}

impl Term {
    /// Parses one term, which is not empty.
    pub(super) fn parse(term: &str) -> Result<Self, InvalidTerm> {
        let text = term.trim();
        let (excludes, positive) = match text.strip_prefix('-') {
            Some(positive) => (true, positive.trim_start()),
            None => (false, text),
        };
        let invalid = |error: SelectionError| InvalidTerm {
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
        if let Some(problem) = foreign_syntax::problem(positive) {
            return Err(invalid(foreign_syntax::error(text, problem, excludes)));
        }
        let parsed = Matcher::parse(positive);
        let matcher =
            parsed.map_err(|error| invalid(if excludes { error.with_minus() } else { error }))?;
        Ok(Self {
            text: text.to_owned(),
            excludes,
            matcher,
        })
    }

    /// The text with its keyword in lower case.
    pub(super) fn with_lower_case_keyword(&self) -> String {
        let keyword = self.text.find('@').map(|at| {
            let rest = &self.text[at..];
            let length = rest.find('-').unwrap_or(rest.len());
            at..at + length
        });
        let mut text = self.text.clone();
        if let Some(keyword) = keyword.filter(|_| self.matcher.is_group()) {
            text[keyword].make_ascii_lowercase();
        }
        text
    }

    /// Whether it names a guest by its ID or its exact name.
    pub(super) fn names_a_guest(&self) -> bool {
        !self.excludes && matches!(self.matcher, Matcher::Id(_) | Matcher::Name(_))
    }
}
