// SPDX-License-Identifier: GPL-3.0-only
//! The report of `simulate`: what is held at the end, as a calendar of weeks, as JSON, or as a page.

mod calendar;
mod json;
mod page;
mod text;

use std::io::{self, IsTerminal};

use autosnap_core::calendar::CalendarEvent;
use autosnap_core::retention::Rules;
use autosnap_core::simulation::{RuleUse, Simulation};

use super::Console;
use super::units::counted;
use crate::args::SimulateOutput;
use crate::command_error::CommandError;

/// A simulation with its settings.
#[derive(Debug)]
pub struct Simulated<'a> {
    /// The schedule of the job.
    pub schedule: &'a CalendarEvent,
    /// The rules of the job.
    pub rules: Rules,
    /// The name of the time zone.
    pub zone: String,
    /// What is held.
    pub simulation: &'a Simulation,
}

impl Simulated<'_> {
    /// `hourly with keep-last=3,keep-daily=7 in Europe/Berlin`
    fn title(&self) -> String {
        let rules = match self.rules.is_simple() {
            Some(count) => format!("keep={count}"),
            None => self.rules.to_string(),
        };
        format!("{} with {rules} in {}", self.schedule, self.zone)
    }

    /// `4368 runs from 2026-05-30 14:00 to 2026-11-28 13:00`
    fn runs(&self) -> String {
        let Simulation {
            runs,
            first_and_last: (first, last),
            ..
        } = self.simulation;
        let minute = "%Y-%m-%d %H:%M";
        format!(
            "{} from {} to {}",
            counted(*runs, "run"),
            first.strftime(minute),
            last.strftime(minute)
        )
    }

    /// How many snapshots are held.
    fn counts(&self) -> String {
        let Simulation {
            held,
            most,
            most_during_run,
            ..
        } = self.simulation;
        format!(
            "{} held at the end; at most {most} after a run, {most_during_run} during a run",
            counted(held.len(), "snapshot")
        )
    }
}

/// `at most 1 of 2, never filled`
fn filled(rule: RuleUse) -> String {
    if rule.is_filled() {
        format!("{} of {}", rule.most, rule.count)
    } else {
        format!("at most {} of {}, never filled", rule.most, rule.count)
    }
}

/// Prints the report.
pub fn print(
    console: &Console,
    simulated: &Simulated<'_>,
    output: SimulateOutput,
) -> Result<(), CommandError> {
    match output {
        SimulateOutput::Text => {
            let style = text::Style {
                columns: columns(),
                colors: has_colors(),
            };
            console.stream(|out| out.write_all(text::report(simulated, style).as_bytes()));
        }
        SimulateOutput::Json => {
            let document = serde_json::to_string(&json::document(simulated));
            console.json(&(document.map_err(not_written)? + "\n"));
        }
        SimulateOutput::JsonPretty => {
            let document = serde_json::to_string_pretty(&json::document(simulated));
            console.json(&(document.map_err(not_written)? + "\n"));
        }
        SimulateOutput::Page => console.document(&page::document(simulated)),
    }
    Ok(())
}

fn not_written(error: impl std::fmt::Display) -> CommandError {
    CommandError::failure(format!("cannot write JSON: {error}"))
}

/// The width of the terminal, or that of an ordinary one.
fn columns() -> usize {
    let set = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    let terminal = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    set.or_else(terminal).unwrap_or(80)
}

/// Whether stdout is a terminal that may have colors.
fn has_colors() -> bool {
    let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() && !is_dumb
}
