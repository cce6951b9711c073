// SPDX-License-Identifier: GPL-3.0-only
//! The command line as it was typed: one struct per command, filled by clap.
//!
//! What the values mean together is decided in [`crate::settings`]. The spellings that the C# tool
//! accepts and clap does not are translated before, in [`crate::normalize`].

mod common;
mod definition;
mod job;
mod job_folder;
mod keep;
mod marks;
mod simulate;
mod usage;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

pub use common::{
    CommonArgs, ConnectionArgs, DebugArgs, FormatArgs, GuestArgs, HostArgs, LimitArgs, LogLevel,
    ModeArgs, ProxyArgs,
};
pub use definition::{command, replace_long_help, with_all_options_shown};
pub use job::{HookFailure, JobArgs, JobOutput, OnOverlap, SelectionArgs};
pub use job_folder::{CoverageArgs, JobFolderArgs, JobsAction, JobsArgs};
pub use keep::KeepArgs;
pub use marks::{ExpireArgs, HoldArgs, MarkTargetArgs, NewMarksArgs, NoteArgs, ReleaseArgs};
pub use simulate::{SimulateArgs, SimulateOutput};
pub use usage::{Usage, unused, usage};

use crate::help::{self, EXECUTION, OUTPUT, RETENTION, SELECTION};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = help::PROGRAM,
    version,
    about = "Takes, keeps and removes snapshots of Proxmox VE guests by policy",
    after_help = help::ROOT,
    args_override_self = true,
    subcommand_required = true,
    max_term_width = 100
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take a snapshot of each selected guest, then remove those that no rule keeps.
    #[command(after_help = help::SNAP)]
    Snap(SnapArgs),
    /// Print what snap would do and why, and compare keep rules; changes nothing.
    #[command(after_help = help::PLAN)]
    Plan(PlanArgs),
    /// Remove the snapshots that no rule keeps, without taking a new one.
    #[command(after_help = help::CLEAN)]
    Clean(CleanArgs),
    /// List the snapshots that this tool has taken of the selected guests.
    #[command(after_help = help::STATUS)]
    Status(StatusArgs),
    /// Keep one snapshot: it is not removed and not counted.
    #[command(after_help = help::HOLD)]
    Hold(HoldArgs),
    /// Remove the hold of a snapshot; the keep rules decide again.
    #[command(after_help = help::RELEASE)]
    Release(ReleaseArgs),
    /// Set when a snapshot is removed, even if a keep rule holds it.
    #[command(after_help = help::EXPIRE)]
    Expire(ExpireArgs),
    /// Write a note on a snapshot.
    #[command(after_help = help::NOTE)]
    Note(NoteArgs),
    /// Check whether a snap or clean with these options would succeed, without changing anything.
    #[command(mut_arg("vmid", |arg| arg.required(false).default_value("@all")),
              mut_arg("label", |arg| arg.required(false)), mut_args(definition::hide_in_check),
              after_help = help::CHECK)]
    Check(CheckArgs),
    /// Work with a folder of job files: check them and whether they fit together and the cluster.
    #[command(mut_arg("host", definition::optional_host), after_help = help::JOBS)]
    Jobs(JobsArgs),
    /// Show which job files protect each guest; guests in no job come first.
    #[command(mut_arg("host", definition::optional_host), after_help = help::COVERAGE)]
    Coverage(CoverageArgs),
    /// Show what a schedule and keep rules hold of a guest after some time; needs no cluster.
    #[command(mut_arg("adopt_labels", |arg| arg.hide(true)), after_help = help::SIMULATE)]
    Simulate(SimulateArgs),
    /// Print the pveum commands that create a least-privilege role, user and API token; runs none of them.
    #[command(after_help = help::SETUP)]
    Setup(SetupArgs),
    /// Show the fingerprint of each host's certificate, without logging in.
    #[command(after_help = help::FINGERPRINT)]
    Fingerprint(FingerprintArgs),
    /// Demonstrate the commands on a built-in simulated cluster; touches nothing else.
    #[cfg(feature = "demo")]
    #[command(after_help = help::DEMO)]
    Demo(DemoArgs),
    /// Print the tab completion script for a shell.
    #[command(after_help = help::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Print candidates for the word at the cursor, for the scripts of `completions`.
    ///
    /// Reads the words up to the cursor from stdin, each terminated by NUL.
    #[command(hide = true)]
    Complete,
    /// Write the manual pages, for packages.
    #[command(hide = true)]
    Manual(ManualArgs),
}

impl Command {
    /// The options of the job that the command carries out or checks.
    pub fn job(&self) -> Option<&JobArgs> {
        match self {
            Self::Snap(args) => Some(&args.job),
            Self::Plan(args) => Some(&args.snap.job),
            Self::Clean(args) => Some(&args.job),
            Self::Check(args) => Some(&args.job),
            Self::Status(_)
            | Self::Hold(_)
            | Self::Release(_)
            | Self::Expire(_)
            | Self::Note(_)
            | Self::Jobs(_)
            | Self::Coverage(_)
            | Self::Simulate(_)
            | Self::Setup(_)
            | Self::Fingerprint(_)
            | Self::Completions(_)
            | Self::Complete
            | Self::Manual(_) => None,
            #[cfg(feature = "demo")]
            Self::Demo(_) => None,
        }
    }
}

/// `plan`: the dry run of `snap`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The options of `snap`.
    #[command(flatten)]
    pub snap: SnapArgs,
    /// Show what other RULES would keep and remove.
    ///
    /// Rules as for --prune-backups, such as keep-daily=4,keep-weekly=8, on the real snapshots, guest by guest; the guests
    /// with differences come first.
    #[arg(long, value_name = "RULES", help_heading = RETENTION, display_order = 15)]
    pub compare: Option<String>,
}

/// `snap`.
#[derive(Debug, Clone, Args)]
pub struct SnapArgs {
    /// The options that these commands share.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Options of the commands that change something.
    #[command(flatten)]
    pub job: JobArgs,
    /// Keep the N newest, including the new one.
    ///
    /// The newest snapshots of each guest and label stay; the others of the label are removed, oldest first. It cannot be
    /// combined with the keep rules.
    #[arg(long, value_name = "N", help_heading = RETENTION, display_order = 6,
          value_parser = clap::value_parser!(u32).range(1..=100))]
    pub keep: Option<u32>,
    /// Save the RAM of running VMs as well.
    #[arg(long, help_heading = EXECUTION)]
    pub state: bool,
    /// The marks of the new snapshots.
    #[command(flatten)]
    pub marks: NewMarksArgs,
    /// Skip guests that are not running.
    #[arg(long, help_heading = SELECTION)]
    pub only_running: bool,
}

/// `clean`.
#[derive(Debug, Args)]
pub struct CleanArgs {
    /// The options that these commands share.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Options of the commands that change something.
    #[command(flatten)]
    pub job: JobArgs,
    /// Keep the N newest; 0 removes them all.
    ///
    /// The newest snapshots of each guest and label stay; the others of the label are removed, oldest first. It cannot be
    /// combined with the keep rules.
    #[arg(long, value_name = "N", help_heading = RETENTION, display_order = 6,
          value_parser = clap::value_parser!(u32).range(0..=100))]
    pub keep: Option<u32>,
    /// Skip guests that are not running.
    #[arg(long, help_heading = SELECTION, hide_short_help = true)]
    pub only_running: bool,
}

/// `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The options that these commands share.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Show only the snapshots of this label.
    #[arg(long, value_name = "LABEL", help_heading = RETENTION, allow_hyphen_values = true)]
    pub label: Option<String>,
    /// Output format [default: Text; on a terminal: Plain].
    #[arg(long, short = 'o', value_name = "FORM", help_heading = OUTPUT, value_enum, ignore_case = true)]
    pub output: Option<StatusOutput>,
    /// Skip guests that are not running.
    #[arg(long, help_heading = SELECTION, hide_short_help = true)]
    pub only_running: bool,
}

/// `check`. It accepts every option of `snap` and `clean`, so that `snap` can be replaced by `check` in a valid
/// command line.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// The options that these commands share.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Options of the commands that change something.
    #[command(flatten)]
    pub job: JobArgs,
    /// Command to check: snap|clean [default: snap].
    ///
    /// To check a clean job, replace the word clean in its command line with check --for=clean.
    #[arg(long = "for", value_name = "COMMAND", help_heading = EXECUTION, value_enum, ignore_case = true,
          default_value = "snap", hide_default_value = true, hide_possible_values = true)]
    pub command: CheckedCommand,
    /// Snapshots to keep.
    ///
    /// The --keep of the job that is checked.
    #[arg(long, value_name = "N", help_heading = RETENTION, display_order = 6,
          value_parser = clap::value_parser!(u32).range(0..=100))]
    pub keep: Option<u32>,
    /// Check the space for the RAM of running VMs.
    #[arg(long, help_heading = EXECUTION)]
    pub state: bool,
    /// The marks of the new snapshots.
    #[command(flatten)]
    pub marks: NewMarksArgs,
    /// Skip guests that are not running.
    #[arg(long, help_heading = SELECTION)]
    pub only_running: bool,
}

/// The command whose options `check` verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckedCommand {
    /// `snap`.
    Snap,
    /// `clean`.
    Clean,
}

/// `setup`.
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// User to create, NAME@REALM.
    #[arg(long, value_name = "USER", default_value = "autosnap@pve")]
    pub user: String,
    /// ID of the user's API token.
    #[arg(long, value_name = "ID", default_value = "autosnap")]
    pub token_id: String,
    /// Role to create.
    #[arg(long, value_name = "ROLE", default_value = crate::privileges::ROLE)]
    pub role: String,
    /// Comma-separated ACL paths on which to grant the role: /, /vms/100, /pool/NAME, /storage/NAME.
    #[arg(long, value_name = "PATHS", default_value = "/", value_delimiter = ',')]
    pub path: Vec<String>,
    /// Hosts of the cluster, for the parameter file.
    #[arg(long, value_name = "HOSTS")]
    pub host: Option<String>,
    /// File that will hold the API token [default: "token" in the folder of the --write file, else /etc/cv4pve-autosnap/token].
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Print only the pvesh commands that register the tags autosnap-NAME of these policies, with colors: gold,silver.
    ///
    /// Registered tags may be set only by users with Sys.Modify on /. The tag autosnap-off is always among them. Tags
    /// and colors that are registered already are kept.
    #[arg(long, value_name = "NAMES", value_delimiter = ',',
          conflicts_with_all = ["user", "token_id", "role", "path", "host", "token_file", "write"])]
    pub policy_tags: Vec<String>,
    /// Write a parameter file that only you can read; its name sets the label: /etc/cv4pve-autosnap/daily.conf.
    ///
    /// The job keeps 7 snapshots of each guest; the systemd timer of that name can run it. An existing file is not overwritten.
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
}

/// `fingerprint`. It accepts a parameter file with the options of other commands and ignores them.
#[derive(Debug, Args)]
pub struct FingerprintArgs {
    /// The hosts of the cluster.
    #[command(flatten)]
    pub hosts: HostArgs,
    /// The HTTP proxy.
    #[command(flatten)]
    pub proxy: ProxyArgs,
    /// Whether anything is changed; it has no effect here.
    #[command(flatten)]
    pub mode: ModeArgs,
    /// Debug messages.
    #[command(flatten)]
    pub output: DebugArgs,
}

/// `demo`.
#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keep the simulated cluster running, to try commands by hand.
    #[arg(long)]
    pub serve: bool,
    /// Do not wait for Enter before each part.
    #[arg(long, conflicts_with = "serve")]
    pub yes: bool,
}

/// `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// `manual`.
#[derive(Debug, Args)]
pub struct ManualArgs {
    /// The folder for the pages; created if it does not exist.
    #[arg(value_hint = ValueHint::DirPath)]
    pub folder: PathBuf,
}

/// The output formats of `status`; the first five are the C# tool's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "verbatim")]
pub enum StatusOutput {
    /// A table in a frame.
    Text,
    /// An HTML table, not a whole document.
    Html,
    /// A Markdown table.
    Markdown,
    /// A JSON array on one line.
    Json,
    /// A JSON array, indented.
    JsonPretty,
    /// One JSON object per line.
    Jsonl,
    /// A YAML list.
    Yaml,
    /// Comma-separated values with a header line.
    Csv,
    /// Columns without a frame.
    Plain,
}
