// SPDX-License-Identifier: GPL-3.0-only
//! The command line as it was typed: one struct per command, filled by clap.
//!
//! What the values mean together is decided in [`crate::settings`]. The spellings that the C# tool
//! accepts and clap does not are translated before, in [`crate::normalize`].

mod definition;
mod usage;

use std::convert::Infallible;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use secrecy::SecretString;

pub use definition::{asks_for_all, command, showing_all};
pub use usage::{Usage, unused, usage};

use crate::help::{self, CONNECTION, EXECUTION, OUTPUT, RETENTION, SELECTION};

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
    /// Take a snapshot of each selected guest, then remove the old ones beyond --keep.
    #[command(after_help = help::SNAP)]
    Snap(SnapArgs),
    /// Remove the old snapshots beyond --keep, without taking a new one.
    #[command(after_help = help::CLEAN)]
    Clean(CleanArgs),
    /// List the snapshots of the selected guests that this tool has taken.
    #[command(after_help = help::STATUS)]
    Status(StatusArgs),
    /// Check whether a snap or clean with these options would succeed; changes nothing.
    #[command(mut_arg("vmid", |arg| arg.required(false).default_value("@all")),
              mut_arg("label", |arg| arg.required(false)), mut_args(definition::hide_in_check),
              after_help = help::CHECK)]
    Check(CheckArgs),
    /// Print the pveum lines for a least-privilege role, user and API token; runs nothing.
    #[command(after_help = help::SETUP)]
    Setup(SetupArgs),
    /// Show the fingerprint of each host's certificate, without signing on.
    #[command(mut_arg("vmid", |arg| arg.required(false).default_value("@all")), after_help = help::FINGERPRINT)]
    Fingerprint(FingerprintArgs),
    /// See it work on a simulated cluster inside this program; touches nothing else.
    #[cfg(feature = "demo")]
    #[command(after_help = help::DEMO)]
    Demo(DemoArgs),
    /// Print what makes the Tab key complete options in a shell.
    #[command(after_help = help::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Say what could stand at the cursor, for the scripts of `completions`.
    ///
    /// The words up to the cursor come by stdin, each with a NUL behind it.
    #[command(hide = true)]
    Complete,
    /// Write the manual pages, for packages.
    #[command(hide = true)]
    Manual(ManualArgs),
}

/// Options that every command accepts, as the C# tool's root options.
#[derive(Debug, Clone, Args)]
pub struct RootArgs {
    /// Hosts of the cluster, `HOST[:PORT],HOST2`, ...
    ///
    /// The port is 8006 if none is given. The next host takes over when one does not answer.
    #[arg(long, value_name = "HOSTS", help_heading = CONNECTION, value_hint = ValueHint::Hostname)]
    pub host: String,
    /// API token, USER@REALM!TOKENID=UUID or `file:PATH`.
    ///
    /// Without it, the variable `CV4PVE_API_TOKEN` and the systemd credential `api-token` are looked at.
    #[arg(long, value_name = "TOKEN", help_heading = CONNECTION, value_parser = secret)]
    pub api_token: Option<SecretString>,
    /// User with a password, `USER[@REALM]` (realm pam).
    ///
    /// Used when there is no API token.
    #[arg(long, value_name = "USER", help_heading = CONNECTION, value_hint = ValueHint::Username)]
    pub username: Option<String>,
    /// Password, or `file:PATH`; asked for if absent.
    ///
    /// A file that does not exist is written after asking, once the password has proved right. Without the option, the
    /// variable `CV4PVE_PASSWORD` and the systemd credential `password` are looked at.
    #[arg(long, value_name = "PASSWORD", help_heading = CONNECTION, value_parser = secret)]
    pub password: Option<SecretString>,
    /// Accept these certificates only, by SHA-256.
    ///
    /// Fingerprints as PVE shows them, separated by commas.
    #[arg(long, value_name = "SHA256", help_heading = CONNECTION, value_delimiter = ',')]
    pub fingerprint: Vec<String>,
    /// Accept certificates of the CAs in this PEM file.
    #[arg(long, value_name = "FILE", help_heading = CONNECTION, value_hint = ValueHint::FilePath,
          hide_short_help = true)]
    pub ca_file: Option<PathBuf>,
    /// Accept certificates of the system's CAs only.
    ///
    /// Without this option, --fingerprint or --ca-file any certificate is accepted, as the C# tool does.
    #[arg(long, help_heading = CONNECTION)]
    pub validate_certificate: bool,

    /// Guests: 100, 100:110, name, web%, @all, @pool-NAME
    ///
    /// Terms separated by commas: IDs, ranges 100:110, names, web%, %web, %web%, @all, @node-NAME, @pool-NAME,
    /// @tag-NAME. Terms that begin with - are taken away: @all,-105,-@tag-scratch.
    #[arg(long, value_name = "GUESTS", help_heading = SELECTION, allow_hyphen_values = true)]
    pub vmid: String,
    /// Skip guests on storages above N % [default: 95].
    ///
    /// A guest with a disk on a storage that is fuller than this many per cent is skipped and counts as failed.
    #[arg(long, value_name = "N", help_heading = SELECTION, default_value_t = 95, hide_default_value = true,
          value_parser = clap::value_parser!(u8).range(1..=100))]
    pub max_perc_storage: u8,

    /// Time in snapshot name.
    ///
    /// Timestamp in snapshot names, as a .NET custom format.
    #[arg(long, value_name = "FORMAT", help_heading = RETENTION, default_value = "yyMMddHHmmss",
          hide_short_help = true)]
    pub timestamp_format: String,
    /// Also count snapshots with this FORMAT.
    ///
    /// Adopts snapshots of the label whose names have this timestamp format: they are counted and removed like
    /// those of --timestamp-format. May be given several times. Without it a job leaves every other format alone.
    #[arg(long, value_name = "FORMAT", help_heading = RETENTION, hide_short_help = true)]
    pub also_format: Vec<String>,

    /// Seconds to wait for a task [default: 30].
    #[arg(long, value_name = "SECONDS", help_heading = EXECUTION, default_value_t = 30, hide_default_value = true,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub timeout: u32,
    /// Guests at once, in all [default: 48].
    ///
    /// Given alone it lifts the limit per node as well.
    #[arg(long, value_name = "N", help_heading = EXECUTION, value_parser = clap::value_parser!(u16).range(1..=50))]
    pub max_parallel: Option<u16>,
    /// Guests at once per node [default: 2].
    ///
    /// Guests at the same time on one node.
    #[arg(long, value_name = "N", help_heading = EXECUTION, value_parser = clap::value_parser!(u16).range(1..=50),
          hide_short_help = true)]
    pub max_parallel_per_node: Option<u16>,
    /// Guests at once per storage [default: 24].
    ///
    /// Guests at the same time with disks on one shared storage.
    #[arg(long, value_name = "N", help_heading = EXECUTION, value_parser = clap::value_parser!(u16).range(1..=50),
          hide_short_help = true)]
    pub max_parallel_per_storage: Option<u16>,
    /// RAM saves at once per node [default: 1].
    ///
    /// How many snapshots with RAM are taken at once on a node. --max-parallel does not lift this: RAM is written out at the pace of the storage.
    #[arg(long, value_name = "N", help_heading = EXECUTION, value_parser = clap::value_parser!(u16).range(1..=50),
          hide_short_help = true)]
    pub max_parallel_ram: Option<u16>,
    /// Print the plan; change nothing.
    ///
    /// Each removal and each skipped guest comes with its reason. No hook is run.
    #[arg(long, help_heading = EXECUTION)]
    pub dry_run: bool,
    /// Show requests and answers, secrets masked.
    ///
    /// Goes to stderr. With --dry-run the hook phases are shown as well.
    #[arg(long, help_heading = OUTPUT)]
    pub debug: bool,
    /// As in the C# tool: Debug means --debug.
    ///
    /// Trace means --debug as well; the other levels change nothing.
    #[arg(long, value_name = "LEVEL", help_heading = OUTPUT, value_enum, ignore_case = true, hide_short_help = true,
          hide_long_help = true, hide_possible_values = true)]
    pub log_level: Option<LogLevel>,
}

/// A value that is never printed, not even for debugging.
#[expect(clippy::unnecessary_wraps, reason = "clap takes parsers that may fail")]
fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(text.into())
}

impl RootArgs {
    /// Whether debug messages are wanted, in either spelling.
    pub fn shows_debug(&self) -> bool {
        match self.log_level {
            Some(LogLevel::Trace | LogLevel::Debug) => true,
            Some(
                LogLevel::Information
                | LogLevel::Warning
                | LogLevel::Error
                | LogLevel::Critical
                | LogLevel::None,
            )
            | None => self.debug,
        }
    }
}

/// The levels of .NET's logging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "verbatim")]
pub enum LogLevel {
    /// The most.
    Trace,
    /// Much.
    Debug,
    /// What .NET shows by default.
    Information,
    /// Warnings and worse.
    Warning,
    /// Errors and worse.
    Error,
    /// The worst.
    Critical,
    /// Nothing.
    None,
}

/// Options that say how exactly the selection is taken.
#[derive(Debug, Clone, Copy, Args)]
pub struct SelectionArgs {
    /// Fail if a guest given by ID or name is skipped.
    ///
    /// A template, a guest that --only-running leaves out, or one that Proxmox VE cannot snapshot counts as failed if --vmid
    /// has its ID or its exact name. Without the option such guests do not count.
    #[arg(long, help_heading = SELECTION, hide_short_help = true)]
    pub strict: bool,
    /// Accept a -TERM that matches no guest.
    ///
    /// Without the option clean does nothing if an exclusion in --vmid matches no guest that the login can see, and snap does
    /// nothing if the pool or node of an exclusion does not exist.
    #[arg(long, help_heading = EXECUTION, hide_short_help = true)]
    pub allow_unmatched_exclusions: bool,
}

/// Options of the commands that change something, and of `check`.
#[derive(Debug, Clone, Args)]
pub struct JobArgs {
    /// Label of the series: daily, weekly, ...
    ///
    /// Each label has its own snapshots and its own --keep.
    #[arg(long, value_name = "LABEL", help_heading = RETENTION, allow_hyphen_values = true, required = true)]
    pub label: Option<String>,
    /// How exactly the selection is taken.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Hook: program to call at every phase.
    ///
    /// It finds what happens in variables whose names begin with `CV4PVE_AUTOSNAP_`; see the templates in
    /// /usr/share/cv4pve-autosnap/hooks.
    #[arg(long, alias = "script-hook", value_name = "FILE", help_heading = EXECUTION, value_hint = ValueHint::FilePath)]
    pub script: Option<PathBuf>,
    /// Seconds a hook may run.
    ///
    /// A hook that runs longer is ended, with all it has started.
    #[arg(long, value_name = "SECONDS", help_heading = EXECUTION, default_value_t = 3600, hide_short_help = true,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub hook_timeout: u32,
    /// If hook fails: ignore|skip-guest|abort-run.
    ///
    /// What a failing hook does in the phases before a change.
    #[arg(long, value_name = "ACTION", help_heading = EXECUTION, value_enum, ignore_case = true,
          default_value = "ignore", hide_default_value = true, hide_possible_values = true, hide_short_help = true)]
    pub hook_failure: HookFailure,
    /// Remove snapshots with PVE's force=1.
    ///
    /// The snapshot leaves the configuration even if its disk part stays behind.
    #[arg(long, help_heading = RETENTION, hide_short_help = true)]
    pub force_remove: bool,
    /// Count names that can be read in two ways.
    ///
    /// A name such as autodaily20260101000000 is label daily with yyyyMMddHHmmss or label daily20 with the default
    /// format. clean leaves such snapshots alone, snap if the guest has others of the other label.
    #[arg(long, help_heading = RETENTION, hide_short_help = true)]
    pub allow_ambiguous_names: bool,
    /// Repeat removals that PVE did not finish.
    ///
    /// Those that PVE did not finish, where the guest is unlocked.
    #[arg(long, help_heading = RETENTION, hide_short_help = true)]
    pub retry_stuck_removal: bool,
    /// Wait for locked guests, 10m or TIME.
    ///
    /// Guests locked by a backup, a migration or another snapshot are tried again until this long after the start,
    /// for example 90s, 10m, 1h. Without the option they fail at once.
    #[arg(long, value_name = "TIME", help_heading = EXECUTION, num_args = 0..=1, require_equals = true,
          default_missing_value = "10m", value_parser = crate::settings::parse_duration)]
    pub wait_locked: Option<std::time::Duration>,
    /// Leave removals after TIME to the next run.
    ///
    /// For example 30m. The time counts from the first step of the run. Removals that are left are not failures: the next run does
    /// them, and begins with the guests that have most to remove.
    #[arg(long, value_name = "TIME", help_heading = EXECUTION, hide_short_help = true,
          value_parser = crate::settings::parse_duration)]
    pub removal_budget: Option<std::time::Duration>,
    /// If the same job runs: wait, skip or fail.
    ///
    /// What to do while another run on this machine has the same label, guests and hosts; wait if not said.
    #[arg(long, value_name = "ACTION", help_heading = EXECUTION, value_enum, ignore_case = true, default_value = "wait",
          hide_default_value = true, hide_possible_values = true, hide_short_help = true)]
    pub on_overlap: OnOverlap,
    /// Longest wait for same job.
    ///
    /// How long --on-overlap=wait waits for the other run, for example 90s, 10m, 1h.
    #[arg(long, value_name = "TIME", help_heading = EXECUTION, default_value = "1h", hide_short_help = true,
          value_parser = crate::settings::parse_duration)]
    pub overlap_timeout: std::time::Duration,
    /// Form of the report.
    #[arg(help = "Text, Json or JsonPretty [default: Text]", long, short = 'o', value_name = "FORM", help_heading = OUTPUT, value_enum, ignore_case = true,
          default_value = "Text", hide_default_value = true, hide_possible_values = true)]
    pub output: JobOutput,
}

/// What a run does while another one has the same label, guests and hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnOverlap {
    /// Wait until it has ended, and fail if that takes too long.
    Wait,
    /// Leave at once; nothing is wrong with that.
    Skip,
    /// Leave at once, as a failure.
    Fail,
}

/// The forms in which `snap`, `clean` and `check` report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "verbatim")]
pub enum JobOutput {
    /// The C# tool's words, as it happens.
    Text,
    /// One JSON document at the end.
    Json,
    /// The same, indented.
    JsonPretty,
}

/// `snap`.
#[derive(Debug, Args)]
pub struct SnapArgs {
    /// Options of every command.
    #[command(flatten)]
    pub root: RootArgs,
    /// Options of the commands that change something.
    #[command(flatten)]
    pub job: JobArgs,
    /// Snapshots to keep, with the new one.
    ///
    /// The newest of each guest and label stay; the others of the label are removed, oldest first.
    #[arg(long, value_name = "N", help_heading = RETENTION, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub keep: u32,
    /// Save the RAM of running VMs as well.
    #[arg(long, help_heading = EXECUTION)]
    pub state: bool,
    /// Skip guests that are not running.
    #[arg(long, help_heading = SELECTION)]
    pub only_running: bool,
}

/// `clean`.
#[derive(Debug, Args)]
pub struct CleanArgs {
    /// Options of every command.
    #[command(flatten)]
    pub root: RootArgs,
    /// Options of the commands that change something.
    #[command(flatten)]
    pub job: JobArgs,
    /// Snapshots to keep; 0 removes them all.
    ///
    /// The newest of each guest and label stay; the others of the label are removed, oldest first.
    #[arg(long, value_name = "N", help_heading = RETENTION, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub keep: Option<u32>,
    /// Leave out guests that are not running.
    #[arg(long, help_heading = SELECTION, hide_short_help = true)]
    pub only_running: bool,
}

/// `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Options of every command.
    #[command(flatten)]
    pub root: RootArgs,
    /// Show only the snapshots of this label.
    #[arg(long, value_name = "LABEL", help_heading = RETENTION, allow_hyphen_values = true)]
    pub label: Option<String>,
    /// Form of the list.
    #[arg(long, short = 'o', value_name = "FORM", help_heading = OUTPUT, value_enum, ignore_case = true, default_value = "Text")]
    pub output: StatusOutput,
    /// Leave out guests that are not running.
    #[arg(long, help_heading = SELECTION, hide_short_help = true)]
    pub only_running: bool,
}

/// `check`. It takes every option of `snap` and `clean`, so that in a line that works the word
/// `snap` can be replaced by `check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// Options of every command.
    #[command(flatten)]
    pub root: RootArgs,
    /// Options of the commands that change something.
    #[command(flatten)]
    pub job: JobArgs,
    /// Command to check: snap|clean [default: snap].
    ///
    /// The command whose line is checked. In the line of a clean, replace the word clean by check --for=clean.
    #[arg(long = "for", value_name = "COMMAND", help_heading = EXECUTION, value_enum, ignore_case = true,
          default_value = "snap", hide_default_value = true, hide_possible_values = true)]
    pub command: CheckedCommand,
    /// Snapshots to keep.
    ///
    /// As in the line that is checked.
    #[arg(long, value_name = "N", help_heading = RETENTION, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub keep: Option<u32>,
    /// Would the RAM of running VMs fit?
    #[arg(long, help_heading = EXECUTION)]
    pub state: bool,
    /// Skip guests that are not running.
    #[arg(long, help_heading = SELECTION)]
    pub only_running: bool,
}

/// The command whose line `check` judges.
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
    #[arg(long, value_name = "ROLE", default_value = crate::setup::ROLE)]
    pub role: String,
    /// Where the role is granted, separated by commas: /, /vms/100, /pool/NAME, /storage/NAME.
    #[arg(long, value_name = "PATHS", default_value = "/", value_delimiter = ',')]
    pub path: Vec<String>,
    /// Hosts of the cluster, for the parameter file.
    #[arg(long, value_name = "HOSTS")]
    pub host: Option<String>,
    /// File that will hold the API token.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/cv4pve-autosnap/token"
    )]
    pub token_file: PathBuf,
    /// Write a parameter file that only you can read; an existing one is left alone.
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
}

/// `fingerprint`. Options of every command are accepted, so that a parameter file can be given.
#[derive(Debug, Args)]
pub struct FingerprintArgs {
    /// Options of every command.
    #[command(flatten)]
    pub root: RootArgs,
}

/// `demo`.
#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Leave the simulated cluster running, to try commands by hand.
    #[arg(long)]
    pub serve: bool,
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
    /// The folder to write the pages to; it is made if it does not exist.
    #[arg(value_hint = ValueHint::DirPath)]
    pub folder: PathBuf,
}

/// What a failing hook does in the phases before a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HookFailure {
    /// Report it and go on, as the C# tool does.
    Ignore,
    /// Leave the guest out; it counts as failed.
    SkipGuest,
    /// Start nothing new; everything not yet done counts as failed.
    AbortRun,
}

/// The forms in which `status` prints its list; the first five are the C# tool's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "verbatim")]
pub enum StatusOutput {
    /// A table.
    Text,
    /// An HTML page.
    Html,
    /// A Markdown table.
    Markdown,
    /// A JSON array on one line.
    Json,
    /// A JSON array, indented.
    JsonPretty,
    /// A JSON object a line.
    Jsonl,
    /// A YAML list.
    Yaml,
    /// Comma-separated values with a head line.
    Csv,
}
