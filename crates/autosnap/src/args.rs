// SPDX-License-Identifier: GPL-3.0-only
//! The command line as it was typed: one struct per command, filled by clap.
//!
//! What the values mean together is decided in [`crate::settings`]. The spellings that the C# tool
//! accepts and clap does not are translated before, in [`crate::normalize`].

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

const CONNECTION: &str = "Connection";
const SELECTION: &str = "Guests and snapshots";
const EXECUTION: &str = "Execution";
const OUTPUT: &str = "Output";

const AFTER_HELP: &str = "\
Examples:
  cv4pve-autosnap --host=pve1,pve2 --api-token=file:/etc/autosnap.token --vmid=@all,-105 snap --label=daily --keep=7
  cv4pve-autosnap @/etc/autosnap.conf clean --label=daily --keep=3 --dry-run
  cv4pve-autosnap @/etc/autosnap.conf status --output=markdown

Options may stand before or after the command; @FILE reads options from a file.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "cv4pve-autosnap",
    version,
    about = "Takes, keeps and removes snapshots of Proxmox VE guests by policy",
    after_help = AFTER_HELP,
    args_override_self = true,
    subcommand_required = true,
    arg_required_else_help = true,
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
    Snap(SnapArgs),
    /// Remove the old snapshots beyond --keep, without taking a new one.
    Clean(CleanArgs),
    /// List the snapshots of the selected guests that this tool has taken.
    Status(StatusArgs),
    /// Look for whatever a snap would stumble over: hosts, privileges, disks, locks, space.
    #[command(mut_arg("vmid", |arg| arg.required(false).default_value("@all")))]
    Check(CheckArgs),
    /// Print the pveum lines for a least-privilege role, user and API token; runs nothing.
    Setup(SetupArgs),
    /// Show the fingerprint of each host's certificate, without signing on.
    #[command(mut_arg("vmid", |arg| arg.required(false).default_value("@all")))]
    Fingerprint(FingerprintArgs),
    /// See it work on a simulated cluster inside this program; touches nothing else.
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
}

/// Options that every command accepts, as the C# tool's root options.
#[derive(Debug, Args)]
pub struct RootArgs {
    /// Hosts of the cluster, HOST[:PORT],HOST2[:PORT],…; port 8006. The next one takes over when one does not answer.
    #[arg(long, value_name = "HOSTS", help_heading = CONNECTION)]
    pub host: String,
    /// API token, USER@REALM!TOKENID=UUID, or `file:PATH` that holds it.
    #[arg(long, value_name = "TOKEN", help_heading = CONNECTION, hide_env_values = true)]
    pub api_token: Option<String>,
    /// User, USER[@REALM]; realm pam. Used with --password when there is no API token.
    #[arg(long, value_name = "USER", help_heading = CONNECTION)]
    pub username: Option<String>,
    /// Password, or `file:PATH` that holds it; a missing file is asked for and stored.
    #[arg(long, value_name = "PASSWORD", help_heading = CONNECTION)]
    pub password: Option<String>,
    /// Check the certificate against the system's certificate store.
    #[arg(long, help_heading = CONNECTION, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true,
          hide_possible_values = true, value_parser = truth(), value_name = "BOOL")]
    pub validate_certificate: bool,
    /// SHA-256 fingerprints of the certificates to accept, separated by commas, as PVE shows them.
    #[arg(long, value_name = "SHA256", help_heading = CONNECTION, value_delimiter = ',')]
    pub fingerprint: Vec<String>,
    /// Check the certificate against the CA certificates of this PEM file.
    #[arg(long, value_name = "FILE", help_heading = CONNECTION)]
    pub ca_file: Option<PathBuf>,

    /// Guests: IDs, ranges 100:110, names, web%, @all, @node-NAME, @pool-NAME, @tag-NAME, and -TERM to exclude.
    #[arg(long, value_name = "GUESTS", help_heading = SELECTION, allow_hyphen_values = true)]
    pub vmid: String,
    /// Timestamp in snapshot names, as a .NET custom format.
    #[arg(long, value_name = "FORMAT", help_heading = SELECTION, default_value = "yyMMddHHmmss")]
    pub timestamp_format: String,
    /// Skip a guest when a storage of its disks is used above this percentage (snap).
    #[arg(long, value_name = "PERCENT", help_heading = SELECTION, default_value_t = 95,
          value_parser = clap::value_parser!(u8).range(1..=100))]
    pub max_perc_storage: u8,

    /// Seconds to wait for each snapshot or removal task.
    #[arg(long, value_name = "SECONDS", help_heading = EXECUTION, default_value_t = 30,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub timeout: u32,
    /// Guests at the same time; given alone it lifts the limit per node as well [default: 48]
    #[arg(long, value_name = "N", help_heading = EXECUTION, value_parser = clap::value_parser!(u16).range(1..=50))]
    pub max_parallel: Option<u16>,
    /// Guests at the same time on one node [default: 2]
    #[arg(long, value_name = "N", help_heading = EXECUTION, value_parser = clap::value_parser!(u16).range(1..=50))]
    pub max_parallel_per_node: Option<u16>,
    /// Guests at the same time with disks on one shared storage [default: 24]
    #[arg(long, value_name = "N", help_heading = EXECUTION, value_parser = clap::value_parser!(u16).range(1..=50))]
    pub max_parallel_per_storage: Option<u16>,
    /// Print what would be done and why; change nothing, run no hook.
    #[arg(long, help_heading = EXECUTION, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true,
          hide_possible_values = true, value_parser = truth(), value_name = "BOOL")]
    pub dry_run: bool,
    /// Show requests, answers and hook phases on stderr; secrets are masked.
    #[arg(long, help_heading = OUTPUT, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true,
          hide_possible_values = true, value_parser = truth(), value_name = "BOOL")]
    pub debug: bool,
}

/// Options of the commands that change something.
#[derive(Debug, Args)]
pub struct JobArgs {
    /// Label of the snapshots, for example hourly, daily, weekly.
    #[arg(long, value_name = "LABEL", help_heading = SELECTION, allow_hyphen_values = true)]
    pub label: String,
    /// Program or script to call at every phase.
    #[arg(long, alias = "script-hook", value_name = "FILE", help_heading = EXECUTION)]
    pub script: Option<PathBuf>,
    /// End a hook that runs longer than this many seconds.
    #[arg(long, value_name = "SECONDS", help_heading = EXECUTION, default_value_t = 3600,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub hook_timeout: u32,
    /// What a failing hook does in the phases before a change.
    #[arg(long, value_name = "ACTION", help_heading = EXECUTION, value_enum, ignore_case = true, default_value = "ignore")]
    pub hook_failure: HookFailure,
    /// Remove with PVE's force=1: the snapshot leaves the configuration even if its disk part stays behind.
    #[arg(long, help_heading = EXECUTION, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true,
          hide_possible_values = true, value_parser = truth(), value_name = "BOOL")]
    pub force_remove: bool,
    /// Send removals again that PVE did not finish, where the guest is unlocked.
    #[arg(long, help_heading = EXECUTION, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true,
          hide_possible_values = true, value_parser = truth(), value_name = "BOOL")]
    pub retry_stuck_removal: bool,
    /// Try locked guests again until this long after the start, for example 90s, 10m, 1h [default without a value: 10m]
    #[arg(long, value_name = "DURATION", help_heading = EXECUTION, num_args = 0..=1, require_equals = true,
          default_missing_value = "10m", value_parser = crate::settings::parse_duration)]
    pub wait_locked: Option<std::time::Duration>,
    /// What to do while another run on this machine has the same label and hosts.
    #[arg(long, value_name = "ACTION", help_heading = EXECUTION, value_enum, ignore_case = true, default_value = "wait")]
    pub on_overlap: OnOverlap,
    /// How long --on-overlap=wait waits for the other run, for example 90s, 10m, 1h.
    #[arg(long, value_name = "DURATION", help_heading = EXECUTION, default_value = "1h",
          value_parser = crate::settings::parse_duration)]
    pub overlap_timeout: std::time::Duration,
    /// Form of the report.
    #[arg(long, short = 'o', value_name = "FORM", help_heading = OUTPUT, value_enum, ignore_case = true, default_value = "Text")]
    pub output: JobOutput,
}

/// What a run does while another one has the same label and hosts.
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
    /// Snapshots of this label to keep for each guest, the new one included.
    #[arg(long, value_name = "N", help_heading = SELECTION, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub keep: u32,
    /// Save the RAM of running VMs as well.
    #[arg(long, help_heading = SELECTION, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true,
          hide_possible_values = true, value_parser = truth(), value_name = "BOOL")]
    pub state: bool,
    /// Skip guests that are not running.
    #[arg(long, help_heading = SELECTION, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true,
          hide_possible_values = true, value_parser = truth(), value_name = "BOOL")]
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
    /// Snapshots of this label to keep for each guest; 0 removes them all.
    #[arg(long, value_name = "N", help_heading = SELECTION, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub keep: Option<u32>,
}

/// `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Options of every command.
    #[command(flatten)]
    pub root: RootArgs,
    /// Show only the snapshots of this label.
    #[arg(long, value_name = "LABEL", help_heading = SELECTION, allow_hyphen_values = true)]
    pub label: Option<String>,
    /// Form of the list.
    #[arg(long, short = 'o', value_name = "FORM", help_heading = OUTPUT, value_enum, ignore_case = true, default_value = "Text")]
    pub output: StatusOutput,
}

/// `check`. Options of `snap` are accepted, so that its line can be pasted.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Options of every command.
    #[command(flatten)]
    pub root: RootArgs,
    /// Label of the snapshots to come: would their names be valid?
    #[arg(long, value_name = "LABEL", help_heading = SELECTION, allow_hyphen_values = true)]
    pub label: Option<String>,
    /// Accepted, as snap needs it; nothing depends on it.
    #[arg(long, value_name = "N", help_heading = SELECTION, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub keep: Option<u32>,
    /// Would the RAM of running VMs fit on its storage?
    #[arg(long, help_heading = SELECTION, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true,
          hide_possible_values = true, value_parser = truth(), value_name = "BOOL")]
    pub state: bool,
    /// Leave out guests that are not running.
    #[arg(long, help_heading = SELECTION, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true,
          hide_possible_values = true, value_parser = truth(), value_name = "BOOL")]
    pub only_running: bool,
    /// Form of the report.
    #[arg(long, short = 'o', value_name = "FORM", help_heading = OUTPUT, value_enum, ignore_case = true, default_value = "Text")]
    pub output: JobOutput,
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
    #[arg(long, value_name = "ROLE", default_value = "Autosnap")]
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
        default_value = "/etc/cv4pve-autosnap/api-token"
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

/// `true` and `false` in any case, as .NET reads them; also 1 and 0.
fn truth() -> impl TypedValueParser<Value = bool> {
    PossibleValuesParser::new(["true", "false", "1", "0", "True", "False", "TRUE", "FALSE"])
        .map(|text| text.eq_ignore_ascii_case("true") || text == "1")
}
