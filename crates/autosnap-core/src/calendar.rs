// SPDX-License-Identifier: GPL-3.0-only
//! Calendar events: when a job runs, in the words of Proxmox VE (`mon..fri 22:00`, `hourly`, `*/15`).
//!
//! The grammar (`parser`) is exactly that of PVE 9 (proxmox-time, `calendar_event.rs`). The runs ([`next_after`],
//! in `runs`) are those of PVE, with two differences, both of which add runs and leave out none:
//!
//! - A time that a clock change skips runs after the gap; PVE leaves the run out. In the repeated hour an event
//!   that names its hours runs once, at the first occurrence; an event of every hour runs in both.
//! - A list or a step has all its values. PVE passes the end of the hour, month or year by the same step, and leaves
//!   out the first value of the next one where the step does not fit: minute 0 of `*/25`, 1 March of `*-*-1,31`.
//!
//! Valid events that are probably not what was meant are found by [`traps`](CalendarEvent::traps).
//!
//! [`next_after`]: CalendarEvent::next_after

mod correction;
mod error;
mod parser;
mod runs;
mod traps;
mod values;

use std::fmt;
use std::str::FromStr;

use parser::TimeForm;
use values::{Values, Weekdays, Years};

pub use error::{CalendarError, CalendarProblem};
pub use runs::Runs;
pub use traps::Trap;
pub use values::Unit;

/// The longest calendar event that PVE accepts, in characters.
const MAX_LENGTH: usize = 128;

/// A calendar event of Proxmox VE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarEvent {
    /// As it was written, without the blanks around it.
    text: String,
    /// The event is in UTC instead of the zone of the job.
    utc: bool,
    weekdays: Weekdays,
    years: Years,
    months: Values,
    days: Values,
    hours: Values,
    minutes: Values,
    seconds: Values,
    /// How the time was written, for the traps.
    form: TimeForm,
}

impl CalendarEvent {
    /// Parses an event as PVE does: blanks around it are ignored.
    pub fn parse(text: &str) -> Result<Self, CalendarError> {
        let text = text.trim();
        parser::parse(text).map_err(|failure| correction::explain(text, failure))
    }

    /// Whether the event is in UTC, whatever the zone of the job.
    pub fn is_utc(&self) -> bool {
        self.utc
    }
}

impl fmt::Display for CalendarEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl FromStr for CalendarEvent {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests;
