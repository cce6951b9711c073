// SPDX-License-Identifier: GPL-3.0-only
//! The options of `snap`, `clean` and `check`.

use std::path::PathBuf;

use autosnap::settings;
use clap::{Args, ValueEnum, ValueHint};

use super::KeepArgs;
use crate::help::{EXECUTION, OUTPUT, RETENTION, SELECTION};

/// Options for guests that are skipped, missing or excluded.
#[derive(Debug, Clone, Copy, Args)]
pub struct SelectionArgs {
    /// Fail if a guest given by ID or name is skipped.
    ///
    /// A template, a guest that --only-running skips, or one that Proxmox VE cannot snapshot counts as failed if --vmid
    /// names it by ID or exact name. Without the option, such guests do not count as failed.
    #[arg(long, help_heading = SELECTION, hide_short_help = true)]
    pub strict: bool,
    /// Succeed if no guest is selected.
    ///
    /// For jobs on a tag or pool that may be empty. It does not apply if the login sees no guest at all, if a term of --vmid
    /// is invalid or names a guest, pool or node that is not visible, or while a node is offline or sends no statistics.
    #[arg(long, help_heading = SELECTION, hide_short_help = true)]
    pub allow_empty: bool,
    /// Accept a -TERM that matches no guest.
    ///
    /// Without the option, clean does nothing if an exclusion in --vmid matches no guest that the login can see, and snap does
    /// nothing if the pool or node of an exclusion does not exist.
    #[arg(long, help_heading = EXECUTION, hide_short_help = true)]
    pub allow_unmatched_exclusions: bool,
}

/// Options of the commands that change something, and of `check`.
#[derive(Debug, Clone, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub struct JobArgs {
    /// Label of the series: daily, weekly, ...
    ///
    /// Each label has its own snapshots and its own rules.
    #[arg(long, value_name = "LABEL", help_heading = RETENTION, display_order = 12, allow_hyphen_values = true,
          required = true)]
    pub label: Option<String>,
    /// How many snapshots stay.
    #[command(flatten)]
    pub keep: KeepArgs,
    /// Guests that are skipped, missing or excluded.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Hook program, called at every phase.
    ///
    /// The phase and its details are in environment variables whose names begin with `CV4PVE_AUTOSNAP_`. Templates are in
    /// /usr/share/cv4pve-autosnap/hooks.
    #[arg(long, alias = "script-hook", value_name = "FILE", help_heading = EXECUTION, value_hint = ValueHint::FilePath)]
    pub script: Option<PathBuf>,
    /// Maximum run time of a hook.
    ///
    /// For example 90s, 10m, 1h; a plain number is seconds. A hook that runs longer is terminated, with the
    /// processes it has started.
    #[arg(long, value_name = "TIME", help_heading = EXECUTION, default_value = "1h", hide_short_help = true,
          value_parser = crate::settings::parse_time_limit)]
    pub hook_timeout: std::time::Duration,
    /// On failure: ignore|skip-guest|abort-run.
    ///
    /// The effect of a failed hook in a phase before a change.
    #[arg(long, value_name = "ACTION", help_heading = EXECUTION, value_enum, ignore_case = true,
          default_value = "ignore", hide_default_value = true, hide_possible_values = true, hide_short_help = true)]
    pub hook_failure: HookFailure,
    /// Remove snapshots with PVE's force=1.
    ///
    /// The snapshot is removed from the configuration even if its disk snapshots cannot be removed.
    #[arg(long, help_heading = RETENTION, hide_short_help = true)]
    pub force_remove: bool,
    /// Count names that can belong to two labels.
    ///
    /// A name such as autodaily20260101000000 is label daily with yyyyMMddHHmmss or label daily20 with the default
    /// format. Without the option, clean leaves such snapshots alone; snap does so if the guest has other snapshots of the
    /// other label.
    #[arg(long, help_heading = RETENTION, hide_short_help = true)]
    pub allow_ambiguous_names: bool,
    /// Repeat removals that PVE did not finish.
    ///
    /// They are repeated only if the guest is unlocked.
    #[arg(long, help_heading = RETENTION, hide_short_help = true)]
    pub retry_stuck_removal: bool,
    /// Wait for locked guests, up to TIME or 10m.
    ///
    /// Guests locked by a backup, a migration or another operation are retried until TIME after the start, for example
    /// 90s, 10m, 1h. Without the option, they are retried once after all other guests, and fail if they are still
    /// locked. For snapshot tasks of other jobs see --wait-snapshot-lock.
    #[arg(long, value_name = "TIME", help_heading = EXECUTION, num_args = 0..=1, require_equals = true,
          default_missing_value = "10m", value_parser = crate::settings::parse_duration)]
    pub wait_locked: Option<std::time::Duration>,
    /// Wait for snapshot locks [default: 10m].
    ///
    /// A guest locked by a snapshot task of another job, "VM is locked (snapshot)" or "(snapshot-delete)", is retried for
    /// this long, after the other guests. With 0 it fails immediately. For backups and other locks see --wait-locked.
    #[arg(long, value_name = "TIME", help_heading = EXECUTION, default_value = "10m", hide_default_value = true,
          hide_short_help = true, value_parser = crate::settings::parse_duration)]
    pub wait_snapshot_lock: std::time::Duration,
    /// Defer removals after TIME to the next run.
    ///
    /// For example 30m. The time counts from the first step of the run. Deferred removals are not failures: the next
    /// run does them, and begins with the guests that have the most to remove.
    #[arg(long, value_name = "TIME", help_heading = EXECUTION, hide_short_help = true,
          value_parser = crate::settings::parse_duration)]
    pub removal_budget: Option<std::time::Duration>,
    /// Maximum removals per guest.
    ///
    /// The oldest snapshots are removed first. The others are reported in a warning and removed by the
    /// next runs. clean --keep=0 is not limited.
    #[arg(long, value_name = "N", help_heading = RETENTION, default_value_t = 20, hide_short_help = true,
          value_parser = clap::value_parser!(u32).range(2..))]
    pub max_removals_per_guest: u32,
    /// If the job is running: wait|skip|fail.
    ///
    /// What to do if a run with the same label, guests and hosts is active on this machine; the default is wait.
    #[arg(long, value_name = "ACTION", help_heading = EXECUTION, value_enum, ignore_case = true, default_value = "wait",
          hide_default_value = true, hide_possible_values = true, hide_short_help = true)]
    pub on_overlap: OnOverlap,
    /// Maximum wait of --on-overlap.
    ///
    /// How long --on-overlap=wait waits for the other run, for example 90s, 10m, 1h.
    #[arg(long, value_name = "TIME", help_heading = EXECUTION, default_value = "1h", hide_short_help = true,
          value_parser = crate::settings::parse_duration)]
    pub overlap_timeout: std::time::Duration,
    /// The output format.
    #[arg(help = "Format: Text, Json or JsonPretty [default: Text]", long, short = 'o', value_name = "FORM", help_heading = OUTPUT, value_enum, ignore_case = true,
          default_value = "Text", hide_default_value = true, hide_possible_values = true)]
    pub output: JobOutput,
    /// Print failures only.
    ///
    /// A run with exit status 0 prints nothing. A failed run prints its summary, with each failure and a hint, or with
    /// --output=Json the whole document. check always prints its report.
    #[arg(long, help_heading = OUTPUT)]
    pub quiet: bool,
}

/// What a run does if another run with the same label, guests and hosts is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnOverlap {
    /// Wait until it has ended, and fail if that takes too long.
    Wait,
    /// Exit immediately; this is not a failure.
    Skip,
    /// Exit immediately with a failure.
    Fail,
}

/// The output formats of `snap`, `clean` and `check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "verbatim")]
pub enum JobOutput {
    /// Text in the format of the C# tool, printed during the run.
    Text,
    /// One JSON document at the end.
    Json,
    /// The same, indented.
    JsonPretty,
}

/// The effect of a failed hook in a phase before a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HookFailure {
    /// Report it and continue, as the C# tool does.
    Ignore,
    /// Skip the guest; it counts as failed.
    SkipGuest,
    /// Start nothing new; everything not yet done counts as failed.
    AbortRun,
}

impl From<HookFailure> for settings::HookFailure {
    fn from(action: HookFailure) -> Self {
        match action {
            HookFailure::Ignore => Self::Ignore,
            HookFailure::SkipGuest => Self::SkipGuest,
            HookFailure::AbortRun => Self::AbortRun,
        }
    }
}
