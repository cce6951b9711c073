// SPDX-License-Identifier: GPL-3.0-only
//! `simulate`: shows what a schedule and keep rules hold of a guest, without a cluster.

use autosnap_core::simulation::{SimulationError, simulate};

use super::Context;
use crate::args::SimulateArgs;
use crate::command_error::CommandError;
use crate::exit_status::ExitStatus;
use crate::report::{self, Simulated};
use crate::settings;

/// Runs the command.
pub(super) fn run(args: &SimulateArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let console = context.console;
    let settings = settings::from_simulate_args(args, &context.clock.now())?;
    let schedule = &settings.schedule;
    let simulation =
        simulate(schedule, settings.rules, &settings.start, &settings.end).map_err(explain)?;
    for trap in schedule.traps(&settings.start) {
        console.error(&format!("WARNING: schedule `{schedule}`: {trap}"));
    }
    if settings.rules.keeps_all() {
        console.error("WARNING: no rule removes a snapshot: all of them stay");
    }
    let zone = settings.start.time_zone();
    let simulated = Simulated {
        schedule,
        rules: settings.rules,
        zone: zone.iana_name().map_or_else(
            || settings.start.strftime("%:z").to_string(),
            ToOwned::to_owned,
        ),
        simulation: &simulation,
    };
    report::print_simulation(console, &simulated, args.output)?;
    Ok(ExitStatus::Success)
}

fn explain(error: SimulationError) -> CommandError {
    let hint = match error {
        SimulationError::NoRun { .. } => "choose another --schedule, --start or --for",
        SimulationError::TooLarge { .. } => {
            "choose a shorter --for, a --schedule with fewer runs, or smaller numbers"
        }
    };
    CommandError::usage(error).with_hint(hint)
}
