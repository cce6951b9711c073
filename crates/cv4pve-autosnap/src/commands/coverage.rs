// SPDX-License-Identifier: GPL-3.0-only
//! `coverage`: shows which job files protect each guest.

use autosnap::coverage::Depth;
use autosnap_core::schedule::Limits;

use super::Context;
use crate::args::{CoverageArgs, JobFolderArgs};
use crate::command_error::CommandError;
use crate::command_line::CommandLine;
use crate::exit_status::ExitStatus;
use crate::job_folder::{self, JobFolder};
use crate::report::FolderView;
use crate::runtime::block_on;
use crate::{logging, report};

/// Runs the command.
pub(super) fn run(
    args: &CoverageArgs,
    command_line: &CommandLine,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    let depth = Depth::Snapshots {
        reads_at_once: Limits::default().total,
    };
    read_folder(
        &args.folder,
        FolderView::Coverage,
        depth,
        command_line,
        context,
    )
}

/// Reads the job files and their clusters, and prints the report.
pub(super) fn read_folder(
    args: &JobFolderArgs,
    view: FolderView,
    depth: Depth,
    command_line: &CommandLine,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    let (console, shows_debug) = (context.console, args.debug.shows_debug());
    if shows_debug {
        logging::show_debug();
    }
    for notice in &command_line.notices {
        console.notice(&format!("WARNING: {}", notice.message), shows_debug);
    }
    let folder = JobFolder::load(&args.folder, &args.connection)?;
    block_on(async {
        let report = job_folder::read(folder, depth, &command_line.typed, console).await;
        report::print_folder(console, &report, view, args.output)
    })
}
