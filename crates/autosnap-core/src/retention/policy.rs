// SPDX-License-Identifier: GPL-3.0-only
//! The retention policy of a guest: whose snapshots are counted, and how many of them stay.

use crate::name::{AmbiguousNames, Series};

/// Which snapshots of a guest are counted and how many of them stay.
///
/// A policy always has a series and rules: nothing stands for "remove all" by being left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The snapshots that are counted; all others are left alone.
    pub series: Series,
    /// How many of them stay.
    pub rules: Rules,
    /// How removals that PVE did not finish are handled.
    pub stuck: StuckRemovals,
    /// How names are treated that can also be read as another label with another format.
    pub ambiguous: AmbiguousNames,
}

impl Policy {
    /// The policy of a series, with the defaults for everything else.
    pub fn new(series: Series, rules: Rules) -> Self {
        Self {
            series,
            rules,
            stuck: StuckRemovals::default(),
            ambiguous: AmbiguousNames::KeepIfLabelPresent,
        }
    }
}

/// How many snapshots of a series stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    last: u32,
}

impl Rules {
    /// The newest `count` snapshots stay, the new one included (`--keep`).
    ///
    /// 0 removes all of them, which `clean --keep=0` requests; together with a new snapshot it means 1.
    pub const fn keep_last(count: u32) -> Self {
        Self { last: count }
    }

    /// How many of the newest snapshots stay.
    pub const fn last(self) -> u32 {
        self.last
    }

    /// Whether no snapshot of the series stays (`clean --keep=0`).
    pub const fn keep_none(self) -> bool {
        self.last == 0
    }

    /// The rules of a run that takes a snapshot: the new one always stays.
    pub(super) fn with_new(self) -> Self {
        Self {
            last: self.last.max(1),
        }
    }
}

/// How snapshots are handled whose removal PVE did not finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum StuckRemovals {
    /// They are left alone and reported.
    #[default]
    Leave,
    /// Their removal is sent again, as PVE allows once the guest is unlocked.
    Retry,
}
