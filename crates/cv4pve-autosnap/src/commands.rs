// SPDX-License-Identifier: GPL-3.0-only
//! The commands, one file for each, and the dispatcher.
//!
//! To add a command: add its arguments to [`Command`], a file here, and an arm in `execute`.

mod check;
pub mod complete;
pub mod completions;
mod coverage;
#[cfg(feature = "demo")]
mod demo;
mod fingerprint;
mod job;
mod jobs;
pub mod manual;
mod marks;
pub mod setup;
mod simulate;
mod status;

#[cfg(feature = "demo")]
use std::ffi::OsString;

use crate::exit_status::ExitStatus;
#[cfg(feature = "demo")]
use jiff::Zoned;

use crate::args::Command;
use crate::clock::Clock;
use crate::command_error::CommandError;
use crate::command_line::CommandLine;
use crate::report::Console;

/// What commands use in addition to their options.
pub(crate) struct Context<'a> {
    /// The time.
    pub(crate) clock: &'a Clock,
    /// The output.
    pub(crate) console: &'a Console,
    /// Runs another command line at a given time.
    #[cfg(feature = "demo")]
    pub(crate) run_line: fn(&[OsString], &Zoned) -> ExitStatus,
}

/// Carries out the command of a line.
pub(crate) fn execute(
    command_line: &CommandLine,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    match &command_line.cli.command {
        Command::Snap(args) => job::snap(args, command_line, context),
        Command::Plan(args) => job::plan(args, command_line, context),
        Command::Clean(args) => job::clean(args, command_line, context),
        Command::Status(args) => status::run(args, command_line, context),
        Command::Hold(args) => marks::hold(args, command_line, context),
        Command::Release(args) => marks::release(args, command_line, context),
        Command::Expire(args) => marks::expire(args, command_line, context),
        Command::Note(args) => marks::note(args, command_line, context),
        Command::Check(args) => check::run(args, command_line, context),
        Command::Jobs(args) => jobs::run(args, command_line, context),
        Command::Coverage(args) => coverage::run(args, command_line, context),
        Command::Simulate(args) => simulate::run(args, context),
        Command::Setup(args) => setup::run(args, context.console),
        Command::Fingerprint(args) => fingerprint::run(args, context.console),
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::run(args, context),
        Command::Completions(args) => Ok(completions::run(args, context.console)),
        Command::Complete => Ok(complete::run(context.console)),
        Command::Manual(args) => manual::run(args),
    }
}
