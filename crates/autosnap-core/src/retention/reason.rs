// SPDX-License-Identifier: GPL-3.0-only
//! Why a snapshot stays or is removed.

use std::fmt;
use std::sync::Arc;

use jiff::Zoned;

use super::period::Period;
use crate::marks::{LINE_EXCERPT, MarkText};
use crate::snapshot::SnapshotState;
use crate::text::excerpt;

/// Why a snapshot stays or is removed ([`Reason::is_removal`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Among the newest of its series.
    Kept {
        /// Its rank, counted from 1 for the newest.
        rank: u32,
        /// How many stay.
        keep: u32,
    },
    /// Held by a rule or by guards.
    KeptBy(Holds),
    /// It has the name of the new snapshot, which always stays and has rank 1.
    KeptNew,
    /// Older than all that stay.
    Removed {
        /// Its rank, counted from 1 for the newest.
        rank: u32,
        /// How many stay.
        keep: u32,
    },
    /// Another snapshot stays for this period, and no other rule keeps this one.
    SamePeriod {
        /// The period of the rule.
        period: Period,
        /// The name of the snapshot that stays.
        kept: Arc<str>,
    },
    /// All rules had their number of snapshots before this one.
    NotReached,
    /// Older than all that stay, but left to the next runs: one run removes at most this many.
    LeftToNextRuns {
        /// The limit.
        limit: u32,
    },
    /// Its description is not that of this tool.
    NotOurs,
    /// Ours, but its name does not consist of this label and a timestamp.
    OtherLabel,
    /// Ours and of this label, but incomplete. It is removed only on request, as a repair.
    Incomplete(SnapshotState),
    /// Ours and of this label, but its removal was not finished: the removal is sent again.
    RemovalRetried,
    /// Ours and of this label, but PVE does not report when it was taken, so that its rank is unknown.
    Undated,
    /// Ours and of this label, but in another timestamp format: another series.
    OtherFormat {
        /// The format.
        format: String,
    },
    /// Ours and of this label, but a mark holds it: it is not counted.
    Held {
        /// When the hold ends; `None` for a hold without an end.
        until: Option<Box<Zoned>>,
        /// Why it is held.
        reason: Option<MarkText>,
    },
    /// Ours and of this label, but its description has a line that is not a mark: it is not counted.
    UnreadableMark {
        /// The line.
        line: String,
    },
    /// Its mark has expired: it is removed even if a rule would keep it.
    Expired {
        /// The time of the mark.
        at: Box<Zoned>,
    },
    /// Ours, but its name can also be read as another label with another format.
    Ambiguous {
        /// The label of the other reading.
        label: String,
        /// The format of the other reading.
        format: String,
    },
    /// Ours and of this label, but dated in the future.
    FutureTime,
    /// Ours and of this label, but its `snaptime` is more than 26 hours from the time in its name: one
    /// of the clocks was wrong.
    WrongTime,
}

/// What a reason means for its snapshot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    KeptByRules,
    RemovedByRules,
    RemovalRetried,
    Expired,
    NotCounted,
}

impl Reason {
    /// Whether the snapshot is removed.
    pub fn is_removal(&self) -> bool {
        match self.class() {
            Class::RemovedByRules | Class::RemovalRetried | Class::Expired => true,
            Class::KeptByRules | Class::NotCounted => false,
        }
    }

    /// Whether the snapshot counts, and a rule or a guard holds it. The new snapshot is not among them.
    pub fn is_kept_by_rules(&self) -> bool {
        self.class() == Class::KeptByRules
    }

    /// Whether the snapshot counts, and no rule and no guard holds it.
    pub fn is_removed_by_rules(&self) -> bool {
        self.class() == Class::RemovedByRules
    }

    fn class(&self) -> Class {
        match self {
            Self::Kept { .. } | Self::KeptBy(_) => Class::KeptByRules,
            Self::Removed { .. } | Self::SamePeriod { .. } | Self::NotReached => {
                Class::RemovedByRules
            }
            Self::RemovalRetried => Class::RemovalRetried,
            Self::Expired { .. } => Class::Expired,
            Self::KeptNew
            | Self::Held { .. }
            | Self::UnreadableMark { .. }
            | Self::LeftToNextRuns { .. }
            | Self::NotOurs
            | Self::OtherLabel
            | Self::Incomplete(_)
            | Self::Undated
            | Self::OtherFormat { .. }
            | Self::Ambiguous { .. }
            | Self::FutureTime
            | Self::WrongTime => Class::NotCounted,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept { rank, keep } => write!(formatter, "{rank} of {keep}"),
            Self::KeptBy(holds) => holds.fmt(formatter),
            Self::KeptNew => formatter.write_str("new"),
            Self::Removed { rank, keep } => {
                write!(formatter, "{}, keep {keep}", ordinal_from_newest(*rank))
            }
            Self::SamePeriod { period, kept } => {
                write!(formatter, "same {} as {kept}, {period}", period.unit())
            }
            Self::NotReached => formatter.write_str("not reached by any rule"),
            Self::LeftToNextRuns { limit } => write!(
                formatter,
                "left to the next runs, at most {limit} removals per run"
            ),
            Self::NotOurs => formatter.write_str("not taken by this tool"),
            Self::OtherLabel => formatter.write_str("has another label"),
            Self::RemovalRetried => formatter.write_str("unfinished removal, retried"),
            Self::Incomplete(state) => write!(formatter, "incomplete (snapstate {state})"),
            Self::Undated => formatter.write_str("not counted: Proxmox VE reports no time"),
            Self::OtherFormat { format } => {
                write!(formatter, "has another timestamp format, {format}")
            }
            Self::Held { until, reason } => {
                formatter.write_str("held")?;
                if let Some(until) = until {
                    write!(formatter, " until {}", minute(until))?;
                }
                match reason {
                    Some(reason) => write!(formatter, ": {reason}"),
                    None => Ok(()),
                }
            }
            Self::UnreadableMark { line } => write!(
                formatter,
                "kept because of the line '{}' in its description",
                excerpt(line, LINE_EXCERPT)
            ),
            Self::Expired { at } => write!(formatter, "expired {}", minute(at)),
            Self::Ambiguous { label, format } => write!(
                formatter,
                "ambiguous name: can also be label {label} with format {format}"
            ),
            Self::FutureTime => formatter.write_str("not counted: dated in the future"),
            Self::WrongTime => {
                formatter.write_str("not counted: its time differs from the one in its name")
            }
        }
    }
}

/// The local time, to the minute.
fn minute(time: &Zoned) -> impl fmt::Display {
    time.strftime("%Y-%m-%d %H:%M")
}

/// `newest`, `2nd newest`, `3rd newest`, …
fn ordinal_from_newest(rank: u32) -> String {
    let suffix = match (rank % 100, rank % 10) {
        _ if rank == 1 => return "newest".to_owned(),
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{rank}{suffix} newest")
}

/// Everything that holds a snapshot: at most one rule, and any guards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// [`Hold::All`] or a [`Hold::Rule`].
    pub(super) rule: Option<Hold>,
    pub(super) within: bool,
    pub(super) min_age: bool,
    pub(super) keep_min: bool,
}

/// A rule or guard that holds a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// All snapshots stay (`keep-all`).
    All,
    /// A rule has taken it.
    Rule {
        /// The period of the rule.
        period: Period,
        /// Which of the snapshots of this rule it is, counted from 1 for the newest.
        ordinal: u32,
    },
    /// It is younger than `keep-within`.
    Within,
    /// It is too young to be removed (`min-age`).
    MinAge,
    /// Without it there would be too few (`keep-min`).
    KeepMin,
}

impl Holds {
    /// Everything that holds the snapshot: the rule first, then the guards.
    pub fn iter(self) -> impl Iterator<Item = Hold> {
        let guards = [
            (self.within, Hold::Within),
            (self.min_age, Hold::MinAge),
            (self.keep_min, Hold::KeepMin),
        ];
        let guards = guards
            .into_iter()
            .filter_map(|(holds, guard)| holds.then_some(guard));
        self.rule.into_iter().chain(guards)
    }

    /// The period of the rule that has taken the snapshot; `None` if only guards hold it or all stay.
    pub fn period(self) -> Option<Period> {
        match self.rule? {
            Hold::Rule { period, .. } => Some(period),
            Hold::All | Hold::Within | Hold::MinAge | Hold::KeepMin => None,
        }
    }

    /// Whether nothing holds the snapshot.
    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl fmt::Display for Holds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for hold in self.iter() {
            write!(formatter, "{separator}{hold}")?;
            separator = ", ";
        }
        Ok(())
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => formatter.write_str("keep-all"),
            Self::Rule { period, ordinal } => write!(formatter, "{period} {ordinal}"),
            Self::Within => formatter.write_str("keep-within"),
            Self::MinAge => formatter.write_str("younger than min-age"),
            Self::KeepMin => formatter.write_str("needed for keep-min"),
        }
    }
}
