// SPDX-License-Identifier: GPL-3.0-only
//! The terms of a selection, and what is said about those that cannot be meant.
//!
//! | term | guests |
//! |---|---|
//! | `100`, `100:110` | with this ID, with an ID in this closed range |
//! | `web`, `web%`, `%web`, `%web%` | with this name, or one that starts, ends or goes on like it |
//! | `@all`, `all` | all |
//! | `@node-NAME`, `@all-NAME`, `all-NAME` | on this node |
//! | `@pool-NAME`, `@tag-NAME` | in this pool or one below it, with this tag |
//! | `-TERM` | take away what the term matches |
//!
//! Nothing here depends on upper and lower case, but for the bare `all` and `all-NAME`: in other letters
//! they are the name of a guest, as in the C# tool. The C# library has `web%` and `%web` the wrong
//! way round against its manual; this follows the manual.

use std::fmt;

use crate::guest::{Guest, Vmid};

use super::nearest::nearest_group;
use super::shape;

/// A selection that cannot be meant, with what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// No text at all.
    #[error("the selection of guests is empty: name guests, such as `100,web%`, or take `@all`")]
    Empty,
    /// A `-` with nothing after it.
    #[error(
        "selection `{selection}` has a `-` with nothing after it: name what to leave out, or remove the `-`"
    )]
    EmptyExclusion {
        /// The whole selection.
        selection: String,
    },
    /// A keyword in other letters than the C# tool knows.
    #[error(
        "`{term}` matches nothing in the C# tool, whose keywords are in lower case: write `{correction}`"
    )]
    KeywordCase {
        /// The term.
        term: String,
        /// The same in the letters that both know.
        correction: String,
    },
    /// A character that no term has.
    #[error("`{term}` cannot match a guest: {problem}{}", suggestion(correction.as_deref()))]
    Shape {
        /// The term.
        term: String,
        /// What is wrong with it.
        problem: String,
        /// What was probably meant, ready to be typed.
        correction: Option<String>,
    },
    /// Something with a colon that is no range of IDs.
    #[error(
        "`{term}` is not a range of guest IDs: {}",
        correction.as_deref().map_or_else(
            || "write the first and the last ID with a colon between, such as `100:110`".to_owned(),
            |correction| format!("it goes downwards, write `{correction}`"),
        )
    )]
    Range {
        /// The term.
        term: String,
        /// The range from its lower end, if both ends are numbers.
        correction: Option<String>,
    },
    /// A number that no guest can have.
    #[error(
        "`{term}` cannot be the ID of a guest: PVE numbers its guests from {} to {}",
        Vmid::MIN,
        Vmid::MAX
    )]
    Id {
        /// The term.
        term: String,
    },
    /// A `%` where it cannot stand.
    #[error(
        "`{term}`: `%` can stand at the beginning or the end of a part of a guest's name, as in \
         `web%`; all guests are `@all`"
    )]
    Wildcard {
        /// The term.
        term: String,
    },
    /// An `@` with a word that means nothing.
    #[error(
        "`{term}` is not a group of guests: groups are `@all`, `@node-NAME`, `@pool-NAME` and `@tag-NAME`{}",
        proposal(nearest.as_deref())
    )]
    Group {
        /// The term.
        term: String,
        /// The group that was probably meant, ready to be typed.
        nearest: Option<String>,
    },
    /// A group without the name it needs.
    #[error("`{term}` lacks the name of a {kind} after the `-`")]
    GroupName {
        /// The term.
        term: String,
        /// What is to be named: `node`, `pool` or `tag`.
        kind: &'static str,
    },
    /// An exclusion of an exclusion.
    #[error("`{term}` begins with more than one `-`: one takes guests away, none adds them")]
    DoubleExclusion {
        /// The term.
        term: String,
    },
    /// Nothing that the exclusions could be taken from.
    #[error(
        "selection `{selection}` only takes guests away: say from what, as in `@all,{selection}`"
    )]
    ExclusionsOnly {
        /// The whole selection.
        selection: String,
    },
}

impl SelectionError {
    /// What was probably meant by the term, ready to be typed.
    pub fn correction(&self) -> Option<&str> {
        match self {
            Self::Shape { correction, .. } | Self::Range { correction, .. } => {
                correction.as_deref()
            }
            Self::KeywordCase { correction, .. } => Some(correction),
            Self::Group { nearest, .. } => nearest.as_deref(),
            Self::Empty
            | Self::EmptyExclusion { .. }
            | Self::Id { .. }
            | Self::Wildcard { .. }
            | Self::GroupName { .. }
            | Self::DoubleExclusion { .. }
            | Self::ExclusionsOnly { .. } => None,
        }
    }

    /// Whether the C# tool selects guests by such a term: `%` alone is every guest, `@tag-` those without tags.
    fn means_guests_in_csharp(&self) -> bool {
        matches!(self, Self::Wildcard { .. } | Self::GroupName { .. })
    }

    /// The same about a term with a `-` before it.
    fn of_exclusion(mut self) -> Self {
        let (term, correction) = match &mut self {
            Self::Range { term, correction } => (term, correction),
            Self::Group { term, nearest } => (term, nearest),
            _ => return self,
        };
        for text in std::iter::once(term).chain(correction) {
            text.insert(0, '-');
        }
        self
    }
}

/// A term that can match nothing.
#[derive(Debug)]
pub(super) struct InvalidTerm {
    /// Why.
    pub(super) error: SelectionError,
    /// Whether the selection must not be evaluated without it: it takes guests away, or may have been meant to; or it
    /// selects guests in the C# tool.
    pub(super) is_fatal: bool,
}

/// A term of a selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    /// As it was typed, without blanks around it.
    pub(super) text: String,
    /// Whether it takes guests away.
    pub(super) excludes: bool,
    /// What it matches.
    pub(super) matcher: Matcher,
}

/// What a term matches. Texts are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Matcher {
    All,
    Id(Vmid),
    Range { first: u32, last: u32 },
    Name(String),
    NameStart(String),
    NameEnd(String),
    NamePart(String),
    Node(String),
    Pool(String),
    Tag(String),
}

/// A guest with its texts in lower case.
pub(super) struct Candidate<'a> {
    guest: &'a Guest,
    name: Option<String>,
    node: String,
    pool: Option<String>,
    tags: Vec<String>,
}

impl<'a> Candidate<'a> {
    pub(super) fn new(guest: &'a Guest) -> Self {
        Self {
            guest,
            name: guest.name.as_deref().map(str::to_lowercase),
            node: guest.node.to_lowercase(),
            pool: guest.pool.as_deref().map(str::to_lowercase),
            tags: guest.tags.iter().map(|tag| tag.to_lowercase()).collect(),
        }
    }

    pub(super) fn vmid(&self) -> Vmid {
        self.guest.vmid
    }
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
            is_fatal: excludes || shape::may_exclude(positive) || error.means_guests_in_csharp(),
            error,
        };
        if positive.starts_with('-') {
            return Err(invalid(SelectionError::DoubleExclusion {
                term: text.to_owned(),
            }));
        }
        if let Some(problem) = shape::problem(positive) {
            return Err(invalid(shape::error(text, problem, excludes)));
        }
        let parsed = Matcher::parse(positive);
        let matcher = parsed.map_err(|error| {
            invalid(if excludes {
                error.of_exclusion()
            } else {
                error
            })
        })?;
        Ok(Self {
            text: text.to_owned(),
            excludes,
            matcher,
        })
    }

    /// The text with its keyword in lower case.
    pub(super) fn in_lower_case(&self) -> String {
        let keyword = self.text.find('@').map(|at| {
            let rest = &self.text[at..];
            let length = rest.find('-').unwrap_or(rest.len());
            at..at + length
        });
        let mut text = self.text.clone();
        if let Some(keyword) = keyword.filter(|_| self.is_group()) {
            text[keyword].make_ascii_lowercase();
        }
        text
    }

    /// Whether it is a keyword with an `@`.
    fn is_group(&self) -> bool {
        match &self.matcher {
            Matcher::All | Matcher::Node(_) | Matcher::Pool(_) | Matcher::Tag(_) => true,
            Matcher::Id(_)
            | Matcher::Range { .. }
            | Matcher::Name(_)
            | Matcher::NameStart(_)
            | Matcher::NameEnd(_)
            | Matcher::NamePart(_) => false,
        }
    }

    /// Whether it asks for a guest by its ID or its exact name.
    pub(super) fn names_a_guest(&self) -> bool {
        !self.excludes && matches!(self.matcher, Matcher::Id(_) | Matcher::Name(_))
    }
}

impl fmt::Display for Term {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.text)
    }
}

impl Matcher {
    pub(super) fn matches(&self, candidate: &Candidate<'_>) -> bool {
        let named = |fits: &dyn Fn(&str) -> bool| candidate.name.as_deref().is_some_and(fits);
        match self {
            Self::All => true,
            Self::Id(vmid) => candidate.guest.vmid == *vmid,
            Self::Range { first, last } => (*first..=*last).contains(&candidate.guest.vmid.get()),
            Self::Name(wanted) => named(&|name| name == wanted),
            Self::NameStart(start) => named(&|name| name.starts_with(start)),
            Self::NameEnd(end) => named(&|name| name.ends_with(end)),
            Self::NamePart(part) => named(&|name| name.contains(part)),
            Self::Node(node) => candidate.node == *node,
            Self::Pool(pool) => candidate
                .pool
                .as_deref()
                .is_some_and(|of| is_within(of, pool)),
            Self::Tag(tag) => candidate.tags.contains(tag),
        }
    }

    /// Whether it is a part of a name, which any number of guests may have.
    pub(super) fn is_pattern(&self) -> bool {
        match self {
            Self::NameStart(_) | Self::NameEnd(_) | Self::NamePart(_) => true,
            Self::All
            | Self::Id(_)
            | Self::Range { .. }
            | Self::Name(_)
            | Self::Node(_)
            | Self::Pool(_)
            | Self::Tag(_) => false,
        }
    }

    /// Whether it matches all guests of this pool.
    pub(super) fn includes_pool(&self, pool: &str) -> bool {
        match self {
            Self::Pool(wanted) => is_within(&pool.to_lowercase(), wanted),
            _ => false,
        }
    }

    /// Whether it matches guests of this pool only because the pool is nested in another one.
    pub(super) fn includes_nested_pool(&self, pool: &str) -> bool {
        match self {
            Self::Pool(wanted) => {
                let pool = pool.to_lowercase();
                pool != *wanted && is_within(&pool, wanted)
            }
            _ => false,
        }
    }

    /// Whether it matches guests by name.
    pub(super) fn is_about_names(&self) -> bool {
        matches!(self, Self::Name(_)) || self.is_pattern()
    }

    pub(super) fn parse(term: &str) -> Result<Self, SelectionError> {
        let lower = term.to_lowercase();
        if lower == "@all" || term == "all" {
            return Ok(Self::All);
        }
        // In other letters a bare keyword is the name of a guest, as in the C# tool.
        let is_name =
            |group: &Group| !group.prefix.starts_with('@') && !term.starts_with(group.prefix);
        let group = GROUPS
            .iter()
            .filter(|group| !is_name(group))
            .find_map(|group| Some((group, lower.strip_prefix(group.prefix)?)));
        if let Some((group, name)) = group {
            return group.of(name.trim(), term);
        }
        if lower.starts_with('@') {
            return Err(SelectionError::Group {
                term: term.to_owned(),
                nearest: nearest_group(term),
            });
        }
        if term.bytes().all(|byte| byte.is_ascii_digit()) {
            let error = |_| SelectionError::Id {
                term: term.to_owned(),
            };
            return term.parse().map(Self::Id).map_err(error);
        }
        match term.split_once(':') {
            Some((first, last)) => range(term, first.trim(), last.trim()),
            None if term.contains('%') => wildcard(term, &lower),
            None => Ok(Self::Name(lower)),
        }
    }
}

/// A way to name guests by what they belong to.
pub(super) struct Group {
    /// What the term begins with.
    pub(super) prefix: &'static str,
    /// The word for what is named after it.
    kind: &'static str,
    /// Makes a matcher of the name.
    matcher: fn(String) -> Matcher,
}

pub(super) const GROUPS: [Group; 5] = [
    Group {
        prefix: "@node-",
        kind: "node",
        matcher: Matcher::Node,
    },
    Group {
        prefix: "@all-",
        kind: "node",
        matcher: Matcher::Node,
    },
    Group {
        prefix: "all-",
        kind: "node",
        matcher: Matcher::Node,
    },
    Group {
        prefix: "@pool-",
        kind: "pool",
        matcher: Matcher::Pool,
    },
    Group {
        prefix: "@tag-",
        kind: "tag",
        matcher: Matcher::Tag,
    },
];

impl Group {
    fn of(&self, name: &str, term: &str) -> Result<Matcher, SelectionError> {
        let term = term.to_owned();
        if name.is_empty() {
            Err(SelectionError::GroupName {
                term,
                kind: self.kind,
            })
        } else if name.contains('%') {
            Err(SelectionError::Wildcard { term })
        } else {
            Ok((self.matcher)(name.to_owned()))
        }
    }
}

fn proposal(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| {
        format!("; the nearest is `{nearest}`")
    })
}

fn suggestion(correction: Option<&str>) -> String {
    correction.map_or_else(String::new, |correction| format!("; write `{correction}`"))
}

/// Whether a pool is the other one or nested in it; PVE writes the parents of a pool before its
/// name (`PVE/API2/Pool.pm`).
pub(super) fn is_within(pool: &str, parent: &str) -> bool {
    pool.strip_prefix(parent)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn range(term: &str, first: &str, last: &str) -> Result<Matcher, SelectionError> {
    let number = |text: &str| {
        let digits_only = text.bytes().all(|byte| byte.is_ascii_digit());
        digits_only.then(|| text.parse::<u32>().ok()).flatten()
    };
    let correction = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => return Ok(Matcher::Range { first, last }),
        (Some(first), Some(last)) => Some(format!("{last}:{first}")),
        (None | Some(_), None) | (None, Some(_)) => None,
    };
    Err(SelectionError::Range {
        term: term.to_owned(),
        correction,
    })
}

fn wildcard(term: &str, lower: &str) -> Result<Matcher, SelectionError> {
    let start = lower.strip_suffix('%');
    let end = lower.strip_prefix('%');
    let part = start.and_then(|start| start.strip_prefix('%'));
    let (matcher, wanted): (fn(String) -> Matcher, &str) = match (part, start, end) {
        (Some(part), _, _) => (Matcher::NamePart, part),
        (None, Some(start), _) => (Matcher::NameStart, start),
        (None, None, Some(end)) => (Matcher::NameEnd, end),
        (None, None, None) => (Matcher::Name, lower),
    };
    if wanted.is_empty() || wanted.contains('%') {
        return Err(SelectionError::Wildcard {
            term: term.to_owned(),
        });
    }
    Ok(matcher(wanted.to_owned()))
}
