// SPDX-License-Identifier: GPL-3.0-only
//! The arguments of `jobs` and `coverage`, which read a folder of job files.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::{ConnectionArgs, DebugArgs, JobOutput};
use crate::help::OUTPUT;

/// `jobs`. The action is a value, not a command of its own, so that options may stand anywhere on the line.
#[derive(Debug, Args)]
pub struct JobsArgs {
    /// What to do with the job files: check.
    #[arg(value_name = "ACTION", value_enum, hide_possible_values = true)]
    pub action: JobsAction,
    /// The folder and how to read it.
    #[command(flatten)]
    pub folder: JobFolderArgs,
}

/// What `jobs` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum JobsAction {
    /// Check the job files and whether they fit together and the cluster.
    Check,
}

/// `coverage`.
#[derive(Debug, Args)]
pub struct CoverageArgs {
    /// The folder and how to read it.
    #[command(flatten)]
    pub folder: JobFolderArgs,
}

/// A folder of job files. The options of the connection override those in the files.
#[derive(Debug, Args)]
pub struct JobFolderArgs {
    /// Folder of the job files, NAME.conf: parameter files with --vmid and --label.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub folder: PathBuf,
    /// The hosts, the login and the trust in certificates.
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// The output format.
    #[arg(help = "Format: Text, Json or JsonPretty [default: Text]", long, short = 'o', value_name = "FORM", help_heading = OUTPUT, value_enum, ignore_case = true,
          default_value = "Text", hide_default_value = true, hide_possible_values = true)]
    pub output: JobOutput,
    /// Debug messages.
    #[command(flatten)]
    pub debug: DebugArgs,
}
