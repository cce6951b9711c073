// SPDX-License-Identifier: GPL-3.0-only
//! The retention policy of a guest: whose snapshots are counted, and which of them stay.

use super::rules::Rules;
use crate::name::{AmbiguousNames, Series};

/// Which snapshots of a guest are counted and which of them stay.
///
/// A policy always has a series and rules, so a missing value can never mean "remove all".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The snapshots that are counted; all others are left alone.
    pub series: Series,
    /// Which of them stay.
    pub rules: Rules,
    /// How removals that PVE did not finish are handled.
    pub stuck: StuckRemovals,
    /// How names are treated that can also be read as another label with another format.
    pub ambiguous: AmbiguousNames,
    /// Whether the run holds the snapshot that it takes: it stays and is not counted.
    pub holds_new: bool,
}

impl Policy {
    /// The policy of a series, with the defaults for everything else.
    pub fn new(series: Series, rules: Rules) -> Self {
        Self {
            series,
            rules,
            stuck: StuckRemovals::default(),
            ambiguous: AmbiguousNames::KeepIfLabelPresent,
            holds_new: false,
        }
    }
}

/// How snapshots are handled whose removal PVE did not finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum StuckRemovals {
    /// They are left alone and reported.
    #[default]
    Leave,
    /// Their removal is sent again, which PVE allows once the guest is unlocked.
    Retry,
}
