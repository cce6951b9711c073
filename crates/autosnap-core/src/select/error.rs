// SPDX-License-Identifier: GPL-3.0-only
//! The errors of an invalid selection, each with what to write instead.

use crate::guest::Vmid;

/// An invalid selection or term, with what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// The selection has no term.
    #[error("empty selection of guests: expected e.g. `100,web%`, or `@all` for all guests")]
    Empty,
    /// A `-` with nothing after it.
    #[error(
        "invalid selection `{selection}`: a `-` must be followed by the term to exclude; add the term or remove the `-`"
    )]
    EmptyExclusion {
        /// The whole selection.
        selection: String,
    },
    /// A keyword in upper case, which the C# tool does not recognize.
    #[error(
        "`{term}` selects no guest in the C# tool, where keywords must be in lower case: write `{correction}`"
    )]
    KeywordCase {
        /// The term.
        term: String,
        /// The term with its keyword in lower case.
        correction: String,
    },
    /// A character that no term contains.
    #[error("invalid term `{term}`: {problem}{}", instruction(correction.as_deref()))]
    ForeignSyntax {
        /// The term.
        term: String,
        /// What is wrong with it.
        problem: String,
        /// What was probably meant, ready to be typed.
        correction: Option<String>,
    },
    /// A term with a colon that is not a range of IDs.
    #[error(
        "invalid range of guest IDs `{term}`: {}",
        correction.as_deref().map_or_else(
            || "expected the first and the last ID, e.g. `100:110`".to_owned(),
            |correction| format!("the first ID must not be greater than the last; write `{correction}`"),
        )
    )]
    Range {
        /// The term.
        term: String,
        /// The range from its lower end, if both ends are numbers.
        correction: Option<String>,
    },
    /// A number outside of the range of guest IDs.
    #[error(
        "invalid guest ID `{term}`: must be between {} and {}",
        Vmid::MIN,
        Vmid::MAX
    )]
    Id {
        /// The term.
        term: String,
    },
    /// A `%` where none is allowed.
    #[error(
        "invalid term `{term}`: `%` must stand before or after a part of a guest name, e.g. `web%`; for all guests \
         write `@all`"
    )]
    Wildcard {
        /// The term.
        term: String,
    },
    /// An `@` with an unknown word.
    #[error(
        "invalid group `{term}`: expected `@all`, `@node-NAME`, `@pool-NAME`, `@tag-NAME`, `@type-vm`, `@type-ct`, \
         `@running` or `@stopped`{}",
        question(nearest.as_deref())
    )]
    Group {
        /// The term.
        term: String,
        /// The group that was probably meant, ready to be typed.
        nearest: Option<String>,
    },
    /// A group without the name it needs.
    #[error("invalid group `{term}`: expected the name of a {kind} after the `-`")]
    GroupName {
        /// The term.
        term: String,
        /// What the name stands for: `node`, `pool` or `tag`.
        kind: &'static str,
    },
    /// A type of guests that PVE does not have.
    #[error("invalid type of guests `{term}`: expected `@type-vm` or `@type-ct`{}", question(nearest.as_deref()))]
    GuestType {
        /// The term.
        term: String,
        /// The term that was probably meant, ready to be typed.
        nearest: Option<String>,
    },
    /// Operators that do not make an expression.
    #[error("invalid term `{term}`: {problem} (character {position})")]
    Syntax {
        /// The term.
        term: String,
        /// What is wrong.
        problem: SyntaxProblem,
        /// The position of the problem in the term, from 1.
        position: usize,
    },
    /// A term with more than one `-` before it.
    #[error("invalid exclusion `{term}`: expected one `-` before the term")]
    DoubleExclusion {
        /// The term.
        term: String,
    },
    /// Exclusions without a term to exclude them from.
    #[error(
        "invalid selection `{selection}`: all terms are exclusions; to exclude them from all guests write `@all,{selection}`"
    )]
    ExclusionsOnly {
        /// The whole selection.
        selection: String,
    },
}

/// What is wrong with the operators of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxProblem {
    /// An operator or parenthesis without a term next to it.
    #[error("expected a term")]
    MissingTerm,
    /// Two terms without an operator between them.
    #[error("expected `&`, `|` or `,` between two terms")]
    MissingOperator,
    /// `&&`, `||` or `--`.
    #[error("write one `{0}`, not two")]
    DoubledOperator(char),
    /// A `(` without its `)`.
    #[error("this `(` is not closed; in parentheses terms are separated by `|`, not by commas")]
    UnclosedParenthesis,
    /// A `)` without its `(`.
    #[error("this `)` closes no `(`; in parentheses terms are separated by `|`, not by commas")]
    UnopenedParenthesis,
    /// A `|` that is not in parentheses.
    #[error(
        "`|` must be in parentheses, e.g. `(web%|db%)&@running`; otherwise terms are separated by commas"
    )]
    UnionOutsideParentheses,
    /// `-A&B`, which could mean `-(A&B)` or `B&-A`.
    #[error(
        "`-` before `&` is ambiguous: write `-(A&B)` to exclude the guests that match A and B, or `B&-A` to select \
         those that match B and not A"
    )]
    ExclusionBeforeIntersection,
    /// A `-` in parentheses that does not follow a `&`.
    #[error("in parentheses `-` must follow `&`, e.g. `(web%&-@tag-test|db%)`")]
    ExclusionWithoutIntersection,
    /// More nested parentheses than allowed.
    #[error("parentheses must not be nested deeper than {0} levels")]
    TooDeep(usize),
}

impl SelectionError {
    /// What was probably meant by the term, ready to be typed.
    pub fn correction(&self) -> Option<&str> {
        match self {
            Self::ForeignSyntax { correction, .. } | Self::Range { correction, .. } => {
                correction.as_deref()
            }
            Self::KeywordCase { correction, .. } => Some(correction),
            Self::Group { nearest, .. } | Self::GuestType { nearest, .. } => nearest.as_deref(),
            Self::Empty
            | Self::EmptyExclusion { .. }
            | Self::Id { .. }
            | Self::Wildcard { .. }
            | Self::GroupName { .. }
            | Self::Syntax { .. }
            | Self::DoubleExclusion { .. }
            | Self::ExclusionsOnly { .. } => None,
        }
    }

    /// Whether the C# tool selects guests by such a term: `%` alone is every guest, `@tag-` those without tags.
    pub(super) fn selects_guests_in_csharp(&self) -> bool {
        matches!(self, Self::Wildcard { .. } | Self::GroupName { .. })
    }

    /// The same error about the term with a `-` before it.
    pub(super) fn with_minus(mut self) -> Self {
        let (term, correction) = match &mut self {
            Self::Range { term, correction } => (term, correction),
            Self::Group { term, nearest } | Self::GuestType { term, nearest } => (term, nearest),
            Self::Empty
            | Self::EmptyExclusion { .. }
            | Self::KeywordCase { .. }
            | Self::ForeignSyntax { .. }
            | Self::Id { .. }
            | Self::Wildcard { .. }
            | Self::GroupName { .. }
            | Self::Syntax { .. }
            | Self::DoubleExclusion { .. }
            | Self::ExclusionsOnly { .. } => return self,
        };
        for text in std::iter::once(term).chain(correction) {
            text.insert(0, '-');
        }
        self
    }
}

fn instruction(correction: Option<&str>) -> String {
    correction.map_or_else(String::new, |correction| format!("; write `{correction}`"))
}

fn question(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| {
        format!("; did you mean `{nearest}`?")
    })
}
