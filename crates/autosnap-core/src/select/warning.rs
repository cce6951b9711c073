// SPDX-License-Identifier: GPL-3.0-only
//! What is said about a term that matches nothing: why, and the nearest one that would. And about a
//! pattern that may mean more guests than have a name here.
//!
//! Also which of these terms are errors: an exclusion that cannot be resolved must not widen a
//! selection, and a guest, pool or node that is asked for but not visible is a failure.

use std::fmt;

use super::Inventory;
use super::nearest::nearest_term;
use super::term::{Matcher, Term, is_within};
use crate::guest::{Guest, GuestStatus};

/// A term that matches no guest, or perhaps not all that it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectionWarning {
    /// The term as it was typed.
    pub term: String,
    /// Why it matches nothing, or not all that it means; `None` if it may only miss guests without a
    /// name.
    pub reason: Option<Unmatched>,
    /// The nearest term that matches something, ready to be typed.
    pub nearest: Option<String>,
    /// How many guests have no name here because their node is offline, if the term may mean one of
    /// them.
    pub nameless: usize,
    /// The term takes guests away.
    pub excludes: bool,
}

/// What a command requires of the exclusions of a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExclusionRule {
    /// Each must match a visible guest: the rule of `clean`, which only removes.
    MustMatch,
    /// A pool or node must exist, whether it has guests or not: the rule of `snap`. Names, IDs, tags
    /// and patterns may match nothing.
    MustExist,
    /// None (`--allow-unmatched-exclusions`).
    MayBeUnmatched,
}

/// Why a term matches no guest. PVE lists only what a login may see, so that "there is none"
/// always includes "or not for this login".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmatched {
    /// There are no guests at all.
    NoGuests,
    /// No guest has the ID.
    NoSuchId,
    /// No guest has an ID in the range.
    NoIdInRange,
    /// No guest has the name.
    NoSuchName,
    /// No guest's name fits the `%`.
    NoNameLikeIt,
    /// The node does not exist.
    NoSuchNode,
    /// The node has no guests.
    EmptyNode,
    /// The pool does not exist.
    NoSuchPool,
    /// The login sees only pools that are nested in the pool. A nested pool has a parent
    /// (`PVE/API2/Pool.pm`), so that the parent is hidden, and which guests are in it is not known.
    HiddenPool,
    /// The pool has no guests.
    EmptyPool,
    /// No guest has the tag.
    NoSuchTag,
}

impl SelectionWarning {
    /// A term that matches nothing, when so many guests have no name that it may mean.
    pub(super) fn of_nothing(term: &Term, inventory: &Inventory, nameless: usize) -> Self {
        let reason = Unmatched::of(&term.matcher, inventory);
        Self {
            term: term.text.clone(),
            reason: Some(reason),
            nearest: reason
                .may_be_a_slip()
                .then(|| nearest_term(term, inventory))
                .flatten(),
            nameless: if reason.is_about_names() { nameless } else { 0 },
            excludes: term.excludes,
        }
    }

    /// A term that matches guests, when so many others have no name: they may fit its `%` too.
    pub(super) fn of_some(term: &Term, inventory: &Inventory, nameless: usize) -> Option<Self> {
        if let Matcher::Pool(pool) = &term.matcher
            && !lists_pool(inventory, pool)
        {
            return Some(Self::of_nothing(term, inventory, 0));
        }
        (term.matcher.is_pattern() && !term.excludes && nameless > 0).then(|| Self {
            term: term.text.clone(),
            reason: None,
            nearest: None,
            nameless,
            excludes: false,
        })
    }

    /// Whether a guest that was asked for may have been missed.
    pub fn may_miss_a_guest(&self) -> bool {
        self.nameless > 0 && !self.excludes
    }

    /// Whether the term asks for one guest, pool or node, and it is not visible.
    ///
    /// A pool or node that exists without guests is not missing. Tags, patterns and ranges describe
    /// any number of guests, also none.
    pub fn is_missing_object(&self) -> bool {
        !self.excludes && self.reason.is_some_and(Unmatched::is_missing_object)
    }

    /// Whether the term is an exclusion that breaks the rule: the run must not start.
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

/// Whether the pool itself is visible; its name in lower case.
fn lists_pool(inventory: &Inventory, pool: &str) -> bool {
    let mut pools = inventory.pools.iter();
    pools.any(|listed| listed.to_lowercase() == *pool)
}

/// PVE tells the names of guests only while their nodes are online.
pub(super) fn is_nameless(guest: &Guest) -> bool {
    guest.name.is_none() && guest.status == GuestStatus::Unknown
}

impl fmt::Display for SelectionWarning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(reason) = self.reason else {
            return write!(
                formatter,
                "`{}` may mean more guests than it matches: guests on offline nodes ({}) have no name here: give the ID instead",
                self.term, self.nameless
            );
        };
        let what = match reason {
            Unmatched::HiddenPool => "may mean more guests than are visible",
            _ => "matches no guest",
        };
        write!(formatter, "`{}` {what}: {reason}", self.term)?;
        if self.nameless > 0 {
            write!(
                formatter,
                ", but guests on offline nodes ({}) have no name here: give the ID instead",
                self.nameless
            )?;
        }
        match &self.nearest {
            Some(nearest) => write!(formatter, "; the nearest is `{nearest}`"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Unmatched {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoGuests => "there are none, or none that this login may see (VM.Audit)",
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
            | Self::NoSuchTag => false,
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
            | Self::NoSuchTag => false,
        }
    }

    /// Whether the term may be a typo, so that the nearest one is proposed. Something that exists and is empty
    /// is no typo. For an ID none is proposed: another ID may be any guest.
    fn may_be_a_slip(self) -> bool {
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
            | Self::EmptyPool => false,
        }
    }

    fn is_about_names(self) -> bool {
        match self {
            Self::NoSuchName | Self::NoNameLikeIt => true,
            Self::NoGuests
            | Self::NoSuchId
            | Self::NoIdInRange
            | Self::NoSuchNode
            | Self::EmptyNode
            | Self::NoSuchPool
            | Self::HiddenPool
            | Self::EmptyPool
            | Self::NoSuchTag => false,
        }
    }

    fn of(matcher: &Matcher, inventory: &Inventory) -> Self {
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
        }
    }
}
