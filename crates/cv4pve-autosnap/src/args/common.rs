// SPDX-License-Identifier: GPL-3.0-only
//! The options that several commands share, in groups: connection, selection, formats, limits, output.
//!
//! A command flattens the groups that it uses. The order of the fields is the order in the help.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};
use secrecy::SecretString;

use crate::help::{CONNECTION, EXECUTION, OUTPUT, RETENTION, SELECTION};

/// The options of `snap`, `clean`, `status` and `check`, as the C# tool's root options.
#[derive(Debug, Clone, Args)]
pub struct CommonArgs {
    /// The hosts, the login and the trust in certificates.
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// The guests.
    #[command(flatten)]
    pub selection: GuestArgs,
    /// The timestamp formats.
    #[command(flatten)]
    pub formats: FormatArgs,
    /// Time and parallelism.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Whether anything is changed.
    #[command(flatten)]
    pub mode: ModeArgs,
    /// Debug messages.
    #[command(flatten)]
    pub output: DebugArgs,
}

/// The hosts of the cluster.
#[derive(Debug, Clone, Args)]
pub struct HostArgs {
    /// Hosts of the cluster, `HOST[:PORT],HOST2`, ...
    ///
    /// The default port is 8006. If a host does not answer, the next one is used.
    #[arg(long, value_name = "HOSTS", help_heading = CONNECTION, value_hint = ValueHint::Hostname)]
    pub host: String,
}

/// The hosts, the login and the trust in certificates.
#[derive(Debug, Clone, Args)]
pub struct ConnectionArgs {
    /// The hosts of the cluster.
    #[command(flatten)]
    pub hosts: HostArgs,
    /// API token, USER@REALM!TOKENID=UUID or `file:PATH`.
    ///
    /// Without the option, it is read from the variable `CV4PVE_API_TOKEN` or the systemd credential `api-token`.
    #[arg(long, value_name = "TOKEN", help_heading = CONNECTION, value_parser = secret)]
    pub api_token: Option<SecretString>,
    /// User name, `USER[@REALM]`; default realm: pam.
    ///
    /// Used when there is no API token.
    #[arg(long, value_name = "USER", help_heading = CONNECTION, value_hint = ValueHint::Username)]
    pub username: Option<String>,
    /// Password or `file:PATH`; prompted for if absent.
    ///
    /// If the file does not exist, the password is prompted for and stored in it after a successful login. Without the
    /// option, it is read from the variable `CV4PVE_PASSWORD` or the systemd credential `password`.
    #[arg(long, value_name = "PASSWORD", help_heading = CONNECTION, value_parser = secret)]
    pub password: Option<SecretString>,
    /// Accept only certificates with these fingerprints.
    ///
    /// Comma-separated SHA-256 fingerprints, as PVE shows them.
    #[arg(long, value_name = "SHA256", help_heading = CONNECTION, value_delimiter = ',')]
    pub fingerprint: Vec<String>,
    /// Trust the CAs in this PEM file.
    #[arg(long, value_name = "FILE", help_heading = CONNECTION, value_hint = ValueHint::FilePath,
          hide_short_help = true)]
    pub ca_file: Option<PathBuf>,
    /// Accept only certificates that the system trusts.
    ///
    /// Without this option, --fingerprint and --ca-file, any certificate is accepted, as in the C# tool.
    #[arg(long, help_heading = CONNECTION)]
    pub validate_certificate: bool,
    /// The HTTP proxy.
    #[command(flatten)]
    pub proxy: ProxyArgs,
}

/// The HTTP proxy.
#[derive(Debug, Clone, Copy, Args)]
pub struct ProxyArgs {
    /// Ignore the proxy variables (`HTTPS_PROXY`, ...).
    ///
    /// Without the option, connections use the HTTP proxy in the variables `https_proxy`, `HTTPS_PROXY`, `all_proxy` or
    /// `ALL_PROXY`, unless `no_proxy` or `NO_PROXY` lists the host or its domain (.suffix).
    #[arg(long, help_heading = CONNECTION, hide_short_help = true)]
    pub no_proxy: bool,
}

/// The guest selection and the storage limit.
#[derive(Debug, Clone, Args)]
pub struct GuestArgs {
    /// Guests: 100:110, web%, @all, @pool-A&@tag-B,-105
    ///
    /// Terms separated by commas: IDs, ranges 100:110, names, web%, %web, %web%, @all, @node-NAME, @pool-NAME,
    /// @tag-NAME, @type-vm, @type-ct, @running, @stopped. Terms that begin with - exclude guests:
    /// @all,-105,-@tag-scratch. A&B selects guests that match both, A&-B those that match A and not B, and (A|B) in
    /// parentheses those that match one: '(web%|db%)&-@tag-test'. `snap` and `clean` leave out guests with the tag
    /// autosnap-off, unless a term names the ID or the name.
    #[arg(long, value_name = "GUESTS", help_heading = SELECTION, allow_hyphen_values = true)]
    pub vmid: String,
    /// Skip guests on storages above N % [default: 95].
    ///
    /// A guest with a disk on a storage that is more than N percent full is skipped and counts as failed.
    #[arg(long, value_name = "N", help_heading = SELECTION, default_value_t = 95, hide_default_value = true,
          value_parser = clap::value_parser!(u8).range(1..=100))]
    pub max_perc_storage: u8,
}

/// The timestamp formats of snapshot names.
#[derive(Debug, Clone, Args)]
pub struct FormatArgs {
    /// Timestamp in names.
    ///
    /// Timestamp in snapshot names, as a .NET custom format string.
    #[arg(long, value_name = "FORMAT", help_heading = RETENTION, display_order = 16,
          default_value = "yyMMddHHmmss", hide_short_help = true)]
    pub timestamp_format: String,
    /// Also count snapshots with this FORMAT.
    ///
    /// Adopts snapshots of the label whose names have this timestamp format: they are counted and removed like
    /// those of --timestamp-format. May be given several times. Snapshots with other formats are left alone.
    #[arg(long, value_name = "FORMAT", help_heading = RETENTION, display_order = 17, hide_short_help = true)]
    pub also_format: Vec<String>,
}

/// Time and parallelism.
#[derive(Debug, Clone, Copy, Args)]
pub struct LimitArgs {
    /// Time to wait for a task [default: 10m].
    ///
    /// For example 90s, 10m, 1h; a plain number is seconds. There is no upper limit. A task that takes longer is
    /// polled again after the other guests; it counts as failed if it is still running at the end of the run.
    #[arg(long, value_name = "TIME", help_heading = EXECUTION, default_value = "10m", hide_default_value = true,
          value_parser = crate::settings::parse_time_limit)]
    pub timeout: Duration,
    /// Guests in parallel [default: 48].
    ///
    /// Given alone, it also sets the limit per node. With --script or --state the default is 1. With 1, guests are
    /// processed in the order of the terms of --vmid.
    #[arg(long, value_name = "N", help_heading = EXECUTION, value_parser = clap::value_parser!(u16).range(1..=50))]
    pub max_parallel: Option<u16>,
    /// Guests per node [default: 2].
    ///
    /// The maximum number of guests processed at the same time on one node.
    #[arg(long, value_name = "N", help_heading = EXECUTION, value_parser = clap::value_parser!(u16).range(1..=50),
          hide_short_help = true)]
    pub max_parallel_per_node: Option<u16>,
    /// Guests per storage [default: 24].
    ///
    /// The maximum number of guests with disks on one shared storage that are processed at the same time.
    #[arg(long, value_name = "N", help_heading = EXECUTION, value_parser = clap::value_parser!(u16).range(1..=50),
          hide_short_help = true)]
    pub max_parallel_per_storage: Option<u16>,
    /// RAM snapshots per node [default: 1].
    ///
    /// The maximum number of snapshots with RAM taken at the same time on one node. --max-parallel does not raise this
    /// limit: the speed of the storage limits how fast RAM is saved.
    #[arg(long, value_name = "N", help_heading = EXECUTION, value_parser = clap::value_parser!(u16).range(1..=50),
          hide_short_help = true)]
    pub max_parallel_ram: Option<u16>,
}

/// Whether anything is changed.
#[derive(Debug, Clone, Copy, Args)]
pub struct ModeArgs {
    /// Print the plan; change nothing.
    ///
    /// Each removal and each skipped guest comes with its reason. No hook is run.
    #[arg(long, help_heading = EXECUTION)]
    pub dry_run: bool,
}

/// Debug messages.
#[derive(Debug, Clone, Copy, Args)]
pub struct DebugArgs {
    /// Show requests and replies, with secrets masked.
    ///
    /// Debug messages go to stderr. With --dry-run, the hook phases are shown as well.
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

impl DebugArgs {
    /// Whether debug messages are enabled, by either option.
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
    /// All messages.
    Trace,
    /// Debug messages and above.
    Debug,
    /// What .NET shows by default.
    Information,
    /// Warnings and errors.
    Warning,
    /// Errors.
    Error,
    /// Critical errors.
    Critical,
    /// No messages.
    None,
}
