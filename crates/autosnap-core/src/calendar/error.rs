// SPDX-License-Identifier: GPL-3.0-only
//! The error of an invalid calendar event: where it is, and what to write instead.

use std::fmt;

use super::{MAX_LENGTH, Unit};

/// An invalid calendar event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid schedule `{text}`: {problem}{}", place_and_instruction(self))]
pub struct CalendarError {
    pub(super) text: String,
    /// The character where the problem begins, counted from 1.
    pub(super) position: usize,
    pub(super) problem: CalendarProblem,
    /// What was probably meant, ready to be typed.
    pub(super) correction: Option<String>,
}

impl CalendarError {
    /// The character where the problem begins, counted from 1, in the event without the blanks around it.
    pub fn position(&self) -> usize {
        self.position
    }

    /// What is wrong.
    pub fn problem(&self) -> &CalendarProblem {
        &self.problem
    }

    /// What was probably meant, ready to be typed.
    pub fn correction(&self) -> Option<&str> {
        self.correction.as_deref()
    }
}

fn place_and_instruction(error: &CalendarError) -> String {
    let mut text = match error.problem {
        CalendarProblem::Empty | CalendarProblem::TooLong | CalendarProblem::Cron => String::new(),
        CalendarProblem::UnknownWord(_)
        | CalendarProblem::TooLarge { .. }
        | CalendarProblem::Reversed { .. }
        | CalendarProblem::ZeroStep
        | CalendarProblem::StarInList
        | CalendarProblem::TimeZone(_)
        | CalendarProblem::Unexpected(_) => format!(" (character {})", error.position),
    };
    if let Some(correction) = &error.correction {
        text.push_str("; write `");
        text.push_str(correction);
        text.push('`');
    }
    text
}

/// What is wrong with a calendar event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CalendarProblem {
    /// There is nothing, or only `UTC`.
    Empty,
    /// It has more characters than PVE accepts.
    TooLong,
    /// A word that is neither a keyword nor a weekday.
    UnknownWord(String),
    /// A number that the unit does not have.
    TooLarge {
        /// The unit.
        unit: Unit,
        /// The number as it was written.
        digits: String,
    },
    /// A range whose first value is greater than its last one.
    Reversed {
        /// The first value.
        first: u32,
        /// The last value.
        last: u32,
    },
    /// `*/0`.
    ZeroStep,
    /// A list with `*` and other values.
    StarInList,
    /// A time zone other than `UTC`.
    TimeZone(String),
    /// The five fields of a cron line.
    Cron,
    /// Text that has no meaning at its place.
    Unexpected(String),
}

impl fmt::Display for CalendarProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => {
                formatter.write_str("expected e.g. `daily`, `22:00` or `mon..fri 8..17:0/30`")
            }
            Self::TooLong => write!(
                formatter,
                "it must not have more than {MAX_LENGTH} characters"
            ),
            Self::UnknownWord(word) => {
                write!(
                    formatter,
                    "`{word}` is neither a weekday nor a keyword such as `daily`"
                )
            }
            Self::TooLarge { unit, digits } => {
                write!(
                    formatter,
                    "{unit} `{digits}` must be at most {}",
                    unit.last()
                )
            }
            Self::Reversed { first, last } => write!(
                formatter,
                "the first value of `{first}..{last}` must not be greater than the last"
            ),
            Self::ZeroStep => formatter.write_str("the step must be at least 1"),
            Self::StarInList => formatter.write_str("`*` must stand alone, not in a list"),
            Self::TimeZone(zone) => {
                write!(
                    formatter,
                    "`{zone}`: the only time zone in a schedule is `UTC`, at its end"
                )
            }
            Self::Cron => {
                formatter.write_str("expected a calendar event of Proxmox VE, not a cron line")
            }
            Self::Unexpected(rest) => write!(formatter, "unexpected `{rest}`"),
        }
    }
}
