// SPDX-License-Identifier: GPL-3.0-only
//! `check`: finds the problems of a job without changing anything.

use crate::exit_status::ExitStatus;
use autosnap::check;
use autosnap::notice::Notice;

use super::Context;
use crate::args::{self, CheckArgs};
use crate::command_error::CommandError;
use crate::command_line::CommandLine;
use crate::runtime::block_on;
use crate::{other_program, preflight, report, settings};

/// Runs the command.
pub(super) fn run(
    args: &CheckArgs,
    command_line: &CommandLine,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    let console = context.console;
    let mut settings = settings::check_settings(args)?;
    settings::refuse_unused(&mut settings, args, &command_line.in_files);
    let connection = preflight::read_connection(&args.common, command_line)?;
    let hook = preflight::hook_notice(&command_line.cli.command);
    let notices = [
        command_line.notices.clone(),
        connection.notices,
        hook.into_iter().collect(),
        unused_options(command_line),
        other_program::notices(),
    ];
    block_on(async {
        let now = settings::in_time_zone(&args.job.keep, context.clock.now());
        let mut report = check::run(&settings, connection.options, &now).await;
        report.add(notices.concat());
        if report.reading.cluster.is_some()
            && let Some(warning) = preflight::store_password(connection.to_store.as_ref(), console)
        {
            let line = format!("WARNING: {}", report::warning(&warning));
            console.notice(&line, args.common.output.shows_debug());
        }
        report::print_check(console, &report, args.job.output)?;
        Ok(report.result().into())
    })
}

/// Notices about options of the parameter files that `clean` and `status` do not use. `--keep` is left out: every
/// job sets it, and it has no meaning for `status`.
fn unused_options(command_line: &CommandLine) -> Vec<Notice> {
    let unused = ["clean", "status"].into_iter().filter_map(|command| {
        let ids = command_line.in_files.iter().filter(|id| *id != "keep");
        let options = args::unused(command, ids);
        (!options.is_empty()).then(|| {
            let options = options.join(", ");
            let text = format!("{command} with this parameter file does not use {options}");
            Notice::note("unused-option", text)
        })
    });
    unused.collect()
}
