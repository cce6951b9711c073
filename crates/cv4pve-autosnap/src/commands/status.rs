// SPDX-License-Identifier: GPL-3.0-only
//! `status`: lists snapshots.

use crate::exit_status::ExitStatus;
use autosnap::status;

use super::Context;
use crate::args::StatusArgs;
use crate::command_error::CommandError;
use crate::command_line::CommandLine;
use crate::runtime::block_on;
use crate::{preflight, report, settings};

/// Runs the command.
pub(super) fn run(
    args: &StatusArgs,
    command_line: &CommandLine,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    let console = context.console;
    let shows_debug = args.common.output.shows_debug();
    let settings = settings::from_status_args(args)?;
    let output = args.output.unwrap_or_else(settings::default_output);
    let connection = preflight::connection(&args.common, command_line, console)?;
    let now = context.clock.now();
    block_on(async {
        let trust = connection.options.trust.clone();
        let (client, warning) = preflight::log_in(connection, console).await?;
        if let Some(warning) = warning {
            console.notice(
                &format!("WARNING: {}", report::warning(&warning)),
                shows_debug,
            );
        }
        preflight::warn_about_unchecked_certificate(&trust, &client, shows_debug, console);
        let status = status::read(&settings, &client, now.timestamp()).await?;
        for warning in &status.warnings {
            let line = format!("WARNING: {}", report::status_warning(warning));
            if status.is_complete() {
                console.notice(&line, shows_debug);
            } else {
                console.error(&line);
            }
        }
        // On a terminal only: a run that succeeds writes nothing to stderr.
        for pools in &status.nested_pools {
            console.notice(&format!("NOTICE: {pools}"), shows_debug);
        }
        report::print_status(console, &status, output, &now)?;
        Ok(if status.is_complete() {
            ExitStatus::Success
        } else {
            ExitStatus::Failure
        })
    })
}
