// SPDX-License-Identifier: GPL-3.0-only
//! Warnings about terms that match no guest, or perhaps not all guests that they mean.
//!
//! Some of them are errors: an exclusion that matches nothing must not widen a selection, and a guest, pool or node
//! that is selected but not visible is a failure.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::guest::{Guest, GuestStatus};

use super::inventory::Inventory;
use super::matcher::{Matcher, is_within};
use super::suggestion::nearest_term;

/// A term that matches no guest, or perhaps not all guests that it means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelectionWarning {
    /// The term as it was typed.
    pub term: String,
    /// Why it matches no guest, or not all that it means; `None` if it may only miss guests without a name or state.
    pub reason: Option<Unmatched>,
    /// The nearest term that matches something, ready to be typed.
    pub nearest: Option<String>,
    /// The number of guests whose name is not known because their node is offline, if the term may mean one of them.
    pub nameless: usize,
    /// The number of guests of which it is unknown whether they run, if the term may mean one of them.
    #[serde(default)]
    pub stateless: usize,
    /// Whether the term is an exclusion.
    pub excludes: bool,
}

/// A term as a warning names it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    /// As it was typed, with its `-`.
    pub(super) text: &'a str,
    /// The guests it matches.
    pub(super) matcher: &'a Matcher,
    /// Whether it is an exclusion.
    pub(super) excludes: bool,
}

/// The number of guests that a term may mean, because PVE does not list what decides it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Uncertain {
    /// Guests without a name.
    pub(super) nameless: usize,
    /// Guests without a state.
    pub(super) stateless: usize,
}

/// What a command requires of the exclusions of a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExclusionRule {
    /// Each must match a visible guest: the rule of `clean`.
    MustMatch,
    /// A pool or node must exist, whether it has guests or not: the rule of `snap`. Names, IDs, tags
    /// and patterns may match nothing.
    MustExist,
    /// An exclusion may match no guest (`--allow-unmatched-exclusions`).
    MayBeUnmatched,
}

/// Why a term matches no guest.
///
/// PVE lists only what the login may see: a guest that is not listed may still exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unmatched {
    /// There are no guests at all.
    NoGuests,
    /// No guest has the ID.
    NoSuchId,
    /// No guest has an ID in the range.
    NoIdInRange,
    /// No guest has the name.
    NoSuchName,
    /// No guest's name matches the pattern.
    NoNameLikeIt,
    /// The node does not exist.
    NoSuchNode,
    /// The node has no guests.
    EmptyNode,
    /// The pool does not exist.
    NoSuchPool,
    /// Only pools nested in the pool are visible to the login. Every nested pool has a parent (`PVE/API2/Pool.pm`): it
    /// exists, but its guests are not known.
    HiddenPool,
    /// The pool has no guests.
    EmptyPool,
    /// No guest has the tag.
    NoSuchTag,
    /// There are no guests of the type.
    NoSuchType,
    /// No guest is in the state.
    NoSuchState,
    /// Each operand matches guests, but no guest matches all of them.
    NoCommonGuest,
}

impl SelectionWarning {
    /// The warning about a term that matches no guest, except perhaps the uncertain ones.
    pub(super) fn from_unmatched(
        subject: Subject<'_>,
        inventory: &Inventory,
        uncertain: Uncertain,
    ) -> Self {
        let reason = Unmatched::new(subject.matcher, inventory);
        let sign = if subject.text.starts_with('-') {
            "-"
        } else {
            ""
        };
        let nearest = reason
            .may_be_typo()
            .then(|| nearest_term(subject.matcher, inventory))
            .flatten();
        Self {
            term: subject.text.to_owned(),
            reason: Some(reason),
            nearest: nearest.map(|nearest| format!("{sign}{nearest}")),
            nameless: if subject.matcher.is_about_names() {
                uncertain.nameless
            } else {
                0
            },
            stateless: if subject.matcher.is_about_states() {
                uncertain.stateless
            } else {
                0
            },
            excludes: subject.excludes,
        }
    }

    /// The warning about a term that matches guests, if it may match more of them: guests of a hidden pool, or uncertain
    /// ones.
    pub(super) fn from_matched(
        subject: Subject<'_>,
        inventory: &Inventory,
        uncertain: Uncertain,
    ) -> Option<Self> {
        if let Matcher::Pool(pool) = subject.matcher
            && !lists_pool(inventory, pool)
        {
            let none = Uncertain::default();
            return Some(Self::from_unmatched(subject, inventory, none));
        }
        let uncertain = Uncertain {
            nameless: if subject.matcher.is_pattern() {
                uncertain.nameless
            } else {
                0
            },
            stateless: if subject.matcher.is_about_states() {
                uncertain.stateless
            } else {
                0
            },
        };
        if subject.excludes {
            return None;
        }
        Self::from_uncertain(subject.text, uncertain)
    }

    /// The warning about a selecting term that may match uncertain guests, if there are any.
    pub(super) fn from_uncertain(text: &str, uncertain: Uncertain) -> Option<Self> {
        (uncertain != Uncertain::default()).then(|| Self {
            term: text.to_owned(),
            reason: None,
            nearest: None,
            nameless: uncertain.nameless,
            stateless: uncertain.stateless,
            excludes: false,
        })
    }

    /// The warning about an intersection whose operands have no guest in common.
    pub(super) fn from_empty_intersection(text: String, excludes: bool) -> Self {
        Self {
            term: text,
            reason: Some(Unmatched::NoCommonGuest),
            nearest: None,
            nameless: 0,
            stateless: 0,
            excludes,
        }
    }

    /// Whether the selection may lack a guest that the term means.
    pub fn may_miss_a_guest(&self) -> bool {
        (self.nameless > 0 || self.stateless > 0) && !self.excludes
    }

    /// Whether the term names one guest, pool or node that is not visible.
    ///
    /// A pool or node that exists without guests is not missing. Tags, patterns and ranges match
    /// any number of guests, including none.
    pub fn is_missing_object(&self) -> bool {
        !self.excludes && self.reason.is_some_and(Unmatched::is_missing_object)
    }

    /// Whether the term is an exclusion that violates the rule: the run must not start.
    pub fn violates(&self, rule: ExclusionRule) -> bool {
        let Some(reason) = self.reason else {
            return false;
        };
        self.excludes
            && match rule {
                ExclusionRule::MustMatch => true,
                ExclusionRule::MustExist => reason.is_missing_group(),
                ExclusionRule::MayBeUnmatched => false,
            }
    }
}

/// Whether the pool itself is visible. `pool` is in lower case.
pub(super) fn lists_pool(inventory: &Inventory, pool: &str) -> bool {
    let mut pools = inventory.pools.iter();
    pools.any(|listed| listed.to_lowercase() == *pool)
}

/// Whether the name is unknown: PVE lists names only while the node is online.
pub(super) fn is_nameless(guest: &Guest) -> bool {
    guest.name.is_none() && guest.status == GuestStatus::Unknown
}

impl fmt::Display for SelectionWarning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(reason) = self.reason else {
            write!(formatter, "`{}` may match more guests", self.term)?;
            return self.write_uncertain(formatter);
        };
        let effect = if reason == Unmatched::HiddenPool {
            "may match more guests than this login can see"
        } else {
            "matches no guest"
        };
        write!(formatter, "`{}` {effect}: {reason}", self.term)?;
        self.write_uncertain(formatter)?;
        match &self.nearest {
            Some(nearest) => write!(formatter, "; did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}

impl SelectionWarning {
    fn write_uncertain(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.nameless {
            0 => {}
            1 => formatter.write_str(
                "; the name of 1 guest on an offline node is not known, use the ID instead",
            )?,
            several => write!(
                formatter,
                "; the names of {several} guests on offline nodes are not known, use the ID instead"
            )?,
        }
        match self.stateless {
            0 => Ok(()),
            1 => formatter.write_str("; it is not known whether 1 guest runs"),
            several => write!(formatter, "; it is not known whether {several} guests run"),
        }
    }
}

impl fmt::Display for Unmatched {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoGuests => "there are no guests, or this login may not see them (VM.Audit)",
            Self::NoSuchId => "no guest has this ID, or this login may not see it (VM.Audit)",
            Self::NoIdInRange => {
                "no guest has an ID in this range, or this login may not see it (VM.Audit)"
            }
            Self::NoSuchName => "no guest has this name, or this login may not see it (VM.Audit)",
            Self::NoNameLikeIt => {
                "no guest has such a name, or this login may not see it (VM.Audit)"
            }
            Self::NoSuchNode => "there is no such node",
            Self::EmptyNode => {
                "there are no guests on this node, or this login may not see them (VM.Audit)"
            }
            Self::NoSuchPool => "there is no such pool, or this login may not see it (Pool.Audit)",
            Self::HiddenPool => {
                "only pools nested in it are visible to this login, not the pool itself (Pool.Audit)"
            }
            Self::EmptyPool => {
                "there are no guests in this pool, or this login may not see them (VM.Audit)"
            }
            Self::NoSuchTag => "no guest has this tag, or this login may not see it (VM.Audit)",
            Self::NoSuchType => "there are no guests of this type, or this login may not see them (VM.Audit)",
            Self::NoSuchState => "no guest is in this state, or this login may not see it (VM.Audit)",
            Self::NoCommonGuest => "no guest is known to match all of its parts",
        })
    }
}

impl Unmatched {
    /// Whether the term names one guest, pool or node that is not visible.
    fn is_missing_object(self) -> bool {
        match self {
            Self::NoSuchId
            | Self::NoSuchName
            | Self::NoSuchNode
            | Self::NoSuchPool
            | Self::HiddenPool => true,
            Self::NoGuests
            | Self::NoIdInRange
            | Self::NoNameLikeIt
            | Self::EmptyNode
            | Self::EmptyPool
            | Self::NoSuchTag
            | Self::NoSuchType
            | Self::NoSuchState
            | Self::NoCommonGuest => false,
        }
    }

    /// Whether the term names a pool or node that is not visible.
    fn is_missing_group(self) -> bool {
        match self {
            Self::NoSuchNode | Self::NoSuchPool | Self::HiddenPool => true,
            Self::NoGuests
            | Self::NoSuchId
            | Self::NoIdInRange
            | Self::NoSuchName
            | Self::NoNameLikeIt
            | Self::EmptyNode
            | Self::EmptyPool
            | Self::NoSuchTag
            | Self::NoSuchType
            | Self::NoSuchState
            | Self::NoCommonGuest => false,
        }
    }

    /// Whether the term may be a typo of the nearest term.
    ///
    /// Something that exists and is empty is not a typo. A similar ID belongs to another guest.
    fn may_be_typo(self) -> bool {
        match self {
            Self::NoSuchName
            | Self::NoNameLikeIt
            | Self::NoSuchNode
            | Self::NoSuchPool
            | Self::NoSuchTag => true,
            Self::NoGuests
            | Self::NoSuchId
            | Self::NoIdInRange
            | Self::EmptyNode
            | Self::HiddenPool
            | Self::EmptyPool
            | Self::NoSuchType
            | Self::NoSuchState
            | Self::NoCommonGuest => false,
        }
    }

    fn new(matcher: &Matcher, inventory: &Inventory) -> Self {
        match matcher {
            Matcher::All => Self::NoGuests,
            Matcher::Id(_) => Self::NoSuchId,
            Matcher::Range { .. } => Self::NoIdInRange,
            Matcher::Name(_) => Self::NoSuchName,
            Matcher::NameStart(_) | Matcher::NameEnd(_) | Matcher::NamePart(_) => {
                Self::NoNameLikeIt
            }
            Matcher::Node(node) => {
                let known = inventory
                    .nodes
                    .iter()
                    .any(|known| known.name.to_lowercase() == *node);
                if known {
                    Self::EmptyNode
                } else {
                    Self::NoSuchNode
                }
            }
            Matcher::Pool(pool) => {
                let mut pools = inventory.pools.iter().map(|listed| listed.to_lowercase());
                let mut of_guests = inventory.guests.iter().filter_map(|one| one.pool.as_ref());
                if lists_pool(inventory, pool) {
                    Self::EmptyPool
                } else if pools.any(|listed| is_within(&listed, pool))
                    || of_guests.any(|listed| is_within(&listed.to_lowercase(), pool))
                {
                    Self::HiddenPool
                } else {
                    Self::NoSuchPool
                }
            }
            Matcher::Tag(_) => Self::NoSuchTag,
            Matcher::Kind(_) => Self::NoSuchType,
            Matcher::Status(_) => Self::NoSuchState,
        }
    }
}
