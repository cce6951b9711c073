// SPDX-License-Identifier: GPL-3.0-only
//! The options of `snap`, `clean` and `check`.

use std::path::PathBuf;

use autosnap::{overlap, settings};
use clap::{Args, ValueEnum, ValueHint};

use crate::help::{EXECUTION, OUTPUT, RETENTION, SELECTION};

/// Options that say how exactly the selection is taken.
#[derive(Debug, Clone, Copy, Args)]
pub struct SelectionArgs {
    /// Fail if a guest given by ID or name is skipped.
    ///
    /// A template, a guest that --only-running leaves out, or one that Proxmox VE cannot snapshot counts as failed if --vmid
    /// has its ID or its exact name. Without the option such guests do not count.
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
    /// Without the option clean does nothing if an exclusion in --vmid matches no guest that the login can see, and snap does
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
    /// Time a hook may run.
    ///
    /// For example 90s, 10m, 1h; a plain number is seconds. A hook that runs longer is ended, with all it has started.
    #[arg(long, value_name = "TIME", help_heading = EXECUTION, default_value = "1h", hide_short_help = true,
          value_parser = crate::settings::parse_time_limit)]
    pub hook_timeout: std::time::Duration,
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
    /// Guests locked by a backup, a migration or anything else are tried again until this long after the start,
    /// for example 90s, 10m, 1h. Without the option they are looked at once more when all other guests have had
    /// their turn, and fail if they are still locked; for other snapshot tasks see --wait-snapshot-lock.
    #[arg(long, value_name = "TIME", help_heading = EXECUTION, num_args = 0..=1, require_equals = true,
          default_missing_value = "10m", value_parser = crate::settings::parse_duration)]
    pub wait_locked: Option<std::time::Duration>,
    /// Wait for snapshot tasks [default: 10m].
    ///
    /// A guest that another job takes or removes a snapshot of, "VM is locked (snapshot)" or "(snapshot-delete)", is tried
    /// again for this long; others go first. 0: it fails at once. For backups and other locks see --wait-locked.
    #[arg(long, value_name = "TIME", help_heading = EXECUTION, default_value = "10m", hide_default_value = true,
          hide_short_help = true, value_parser = crate::settings::parse_duration)]
    pub wait_snapshot_lock: std::time::Duration,
    /// Leave removals after TIME to the next run.
    ///
    /// For example 30m. The time counts from the first step of the run. Removals that are left are not failures: the next run does
    /// them, and begins with the guests that have most to remove.
    #[arg(long, value_name = "TIME", help_heading = EXECUTION, hide_short_help = true,
          value_parser = crate::settings::parse_duration)]
    pub removal_budget: Option<std::time::Duration>,
    /// Most removals per guest.
    ///
    /// The oldest snapshots are removed first. What is left is reported as a warning and goes in the next runs.
    /// clean --keep=0 is not limited.
    #[arg(long, value_name = "N", help_heading = RETENTION, default_value_t = 20, hide_short_help = true,
          value_parser = clap::value_parser!(u32).range(2..))]
    pub max_removals_per_guest: u32,
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
    /// Print failures only.
    ///
    /// A run with exit status 0 prints nothing; any other prints its summary, with each failure and what to do about
    /// it, or with --output=Json the whole document. check prints its report in any case.
    #[arg(long, help_heading = OUTPUT)]
    pub quiet: bool,
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

impl From<HookFailure> for settings::HookFailure {
    fn from(action: HookFailure) -> Self {
        match action {
            HookFailure::Ignore => Self::Ignore,
            HookFailure::SkipGuest => Self::SkipGuest,
            HookFailure::AbortRun => Self::AbortRun,
        }
    }
}

impl From<OnOverlap> for overlap::OnOverlap {
    fn from(action: OnOverlap) -> Self {
        match action {
            OnOverlap::Wait => Self::Wait,
            OnOverlap::Skip => Self::Skip,
            OnOverlap::Fail => Self::Fail,
        }
    }
}
