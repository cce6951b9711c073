// SPDX-License-Identifier: GPL-3.0-only
//! The terms of a selection, without operators.
//!
//! | term | guests |
//! |---|---|
//! | `100`, `100:110` | with this ID, with an ID in this closed range |
//! | `web`, `web%`, `%web`, `%web%` | with this name, or one that starts with it, ends with it or contains it |
//! | `@all`, `all` | all |
//! | `@node-NAME`, `@all-NAME`, `all-NAME` | on this node |
//! | `@pool-NAME`, `@tag-NAME` | in this pool or a pool nested in it, with this tag |
//! | `@type-vm`, `@type-ct` | virtual machines, containers |
//! | `@running`, `@stopped` | in this state |
//!
//! Terms are case-insensitive, except the bare `all` and `all-NAME`: in upper case they are the name of a guest,
//! as in the C# tool. The C# library swaps `web%` and `%web` against its manual; this follows the manual.

use super::error::SelectionError;
use super::foreign_syntax;
use super::matcher::Matcher;

/// A term of a selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    /// As it was typed, without its `-` and without blanks around it.
    pub(super) text: String,
    /// The guests it matches.
    pub(super) matcher: Matcher,
}

impl Term {
    /// Parses a term. `typed` is the term with its `-`, if it has one; `text` is the term without it.
    pub(super) fn parse(typed: &str, text: &str) -> Result<Self, SelectionError> {
        let excludes = typed.len() > text.len();
        if let Some(problem) = foreign_syntax::problem(text) {
            return Err(foreign_syntax::error(typed, problem, excludes));
        }
        let matcher = Matcher::parse(text);
        let matcher = matcher.map_err(|error| if excludes { error.with_minus() } else { error })?;
        Ok(Self {
            text: text.to_owned(),
            matcher,
        })
    }

    /// The text with its keyword in lower case.
    pub(super) fn with_lower_case_keyword(&self) -> String {
        let mut text = self.text.clone();
        if self.matcher.is_group() && text.starts_with('@') {
            let end = text.find('-').unwrap_or(text.len());
            text[..end].make_ascii_lowercase();
        }
        text
    }

    /// Whether it names a guest by its ID or its exact name.
    pub(super) fn names_a_guest(&self) -> bool {
        matches!(self.matcher, Matcher::Id(_) | Matcher::Name(_))
    }

    /// The name of the pool as it was typed, if the term is a pool.
    pub(super) fn pool(&self) -> Option<&str> {
        let Matcher::Pool(_) = &self.matcher else {
            return None;
        };
        let (_, name) = self.text.split_once('-')?;
        Some(name.trim())
    }
}
