// SPDX-License-Identifier: GPL-3.0-only
//! What is said about a term that matches nothing: why, and the nearest one that would. And about a
//! pattern that may mean more guests than have a name here.

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
    /// Why it matches nothing; `None` if it does match.
    pub reason: Option<Unmatched>,
    /// The nearest term that matches something, ready to be typed.
    pub nearest: Option<String>,
    /// How many guests have no name here because their node is offline, if the term may mean one of
    /// them.
    pub nameless: usize,
    /// The term takes guests away.
    pub excludes: bool,
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
    pub(super) fn of_some(term: &Term, nameless: usize) -> Option<Self> {
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
        write!(formatter, "`{}` matches no guest: {reason}", self.term)?;
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
            Self::NoIdInRange => "no guest has an ID in this range",
            Self::NoSuchName => "no guest has this name",
            Self::NoNameLikeIt => "no guest has such a name",
            Self::NoSuchNode => "there is no such node",
            Self::EmptyNode => "there are no guests on this node",
            Self::NoSuchPool => "there is no such pool, or this login may not see it (Pool.Audit)",
            Self::EmptyPool => "there are no guests in this pool",
            Self::NoSuchTag => "no guest has this tag",
        })
    }
}

impl Unmatched {
    /// Whether something else may have been meant. What exists and is empty was meant.
    fn may_be_a_slip(self) -> bool {
        match self {
            Self::NoSuchId
            | Self::NoIdInRange
            | Self::NoSuchName
            | Self::NoNameLikeIt
            | Self::NoSuchNode
            | Self::NoSuchPool
            | Self::NoSuchTag => true,
            Self::NoGuests | Self::EmptyNode | Self::EmptyPool => false,
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
                let known = inventory
                    .pools
                    .iter()
                    .any(|known| is_within(&known.to_lowercase(), pool));
                if known {
                    Self::EmptyPool
                } else {
                    Self::NoSuchPool
                }
            }
            Matcher::Tag(_) => Self::NoSuchTag,
        }
    }
}
