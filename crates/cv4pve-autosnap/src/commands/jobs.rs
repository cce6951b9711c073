// SPDX-License-Identifier: GPL-3.0-only
//! `jobs`: works with a folder of job files.

use autosnap::coverage::Depth;

use super::{Context, coverage};
use crate::args::{JobsAction, JobsArgs};
use crate::command_error::CommandError;
use crate::command_line::CommandLine;
use crate::exit_status::ExitStatus;
use crate::report::FolderView;

/// Runs the command.
pub(super) fn run(
    args: &JobsArgs,
    command_line: &CommandLine,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    match args.action {
        JobsAction::Check => coverage::read_folder(
            &args.folder,
            FolderView::Check,
            Depth::Guests,
            command_line,
            context,
        ),
    }
}
