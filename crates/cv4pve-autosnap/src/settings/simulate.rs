// SPDX-License-Identifier: GPL-3.0-only
//! The options of `simulate`.

use autosnap_core::calendar::CalendarEvent;
use autosnap_core::retention::{Rules, suggested_rules};
use jiff::{Span, ToSpan, Zoned};

use super::keep::read_rules;
use super::time::{DayEnd, parse_absolute};
use crate::args::{KeepArgs, SimulateArgs};
use crate::command_error::CommandError;

/// What is simulated.
#[derive(Debug)]
pub struct SimulationSettings {
    /// When the job runs.
    pub schedule: CalendarEvent,
    /// Which snapshots stay.
    pub rules: Rules,
    /// The runs after this time are simulated, in its zone.
    pub start: Zoned,
    /// The last possible run.
    pub end: Zoned,
}

/// Reads the options of `simulate`.
pub fn from_simulate_args(
    args: &SimulateArgs,
    now: &Zoned,
) -> Result<SimulationSettings, CommandError> {
    let schedule = CalendarEvent::parse(&args.schedule)
        .map_err(|error| CommandError::usage(error).about("--schedule"))?;
    let rules = read_simulated_rules(args)?.ok_or_else(|| {
        CommandError::usage("simulate needs keep rules")
            .with_hint("for example: simulate keep-last=3,keep-daily=7 --schedule=hourly")
    })?;
    let now = match &args.keep_rules.timezone {
        Some(zone) => now.with_time_zone(zone.clone()),
        None => now.clone(),
    };
    let too_long = |_| CommandError::usage("the simulated time is too long").about("--for");
    let time = args.simulated_time;
    let (start, end) = if let Some(start) = &args.start {
        let start = parse_absolute(start, &now, DayEnd::First).ok_or_else(|| {
            CommandError::usage(format!(
                "invalid time '{start}' for --start: expected e.g. 2026-01-31 or 2026-01-31T18:00"
            ))
            .about("--start")
        })?;
        // A run at the start is one of them, and one at the end is not.
        let start = start.to_zoned(now.time_zone().clone());
        let before = |time: &Zoned| time.checked_sub(1.second());
        let end = start.checked_add(time).and_then(|end| before(&end));
        (before(&start).map_err(too_long)?, end.map_err(too_long)?)
    } else {
        (now.checked_sub(time).map_err(too_long)?, now)
    };
    Ok(SimulationSettings {
        schedule,
        rules,
        start,
        end,
    })
}

/// The rules of the argument, which replace those of a parameter file, else those of the options.
fn read_simulated_rules(args: &SimulateArgs) -> Result<Option<Rules>, CommandError> {
    let Some(rules) = &args.rules else {
        return read_rules(args.keep, &args.keep_rules);
    };
    Rules::parse(rules).map_err(|error| {
        let error = CommandError::usage(error);
        match suggested_rules(rules) {
            Some(meant) => error.with_hint(format!("simulate {meant} --schedule=...")),
            None => error,
        }
    })?;
    let guards = args.keep_rules.clone();
    let keep = KeepArgs {
        prune_backups: Some(rules.clone()),
        keep_within: guards.keep_within,
        min_age: guards.min_age,
        keep_min: guards.keep_min,
        ..KeepArgs::default()
    };
    read_rules(None, &keep)
}

/// Parses a time span: `90d`, `26w`, `6mo`, `3y`.
pub fn parse_span(text: &str) -> Result<Span, String> {
    let invalid = || format!("invalid time '{text}': expected e.g. 90d, 26w, 6mo, 3y");
    let span: Span = text.parse().map_err(|_| invalid())?;
    if span.is_positive() {
        Ok(span)
    } else {
        Err(invalid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_unit() {
        for text in ["90d", "26w", "6mo", "3y", "1y 6mo", "12h"] {
            assert!(parse_span(text).is_ok(), "{text}");
        }
        for text in ["", "26", "0w", "-1w", "soon"] {
            let message = parse_span(text).unwrap_err();
            assert_eq!(
                message,
                format!("invalid time '{text}': expected e.g. 90d, 26w, 6mo, 3y")
            );
        }
    }
}
