// SPDX-License-Identifier: GPL-3.0-only
//! What is meant by what was typed: checked values that cannot be wrong any more.
//!
//! Everything that can be refused without asking a server is refused here, with the culprit and
//! the way out in the message.

mod connection;
mod duration;

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::time::Duration;

use autosnap_core::name::{self, AmbiguousNames, FormatError, Label, Series, TimestampFormat};
use autosnap_core::plan::RemovalLimit;
use autosnap_core::retention::StuckRemovals;
use autosnap_core::schedule::Limits;
use autosnap_core::select::{self, ExclusionRule, Selection, SelectionError};
use autosnap_core::storage::StorageLimit;
use autosnap_core::text::shell_word;

use crate::args::{
    CheckArgs, CheckedCommand, CleanArgs, HookFailure, JobArgs, RootArgs, SnapArgs, StatusArgs,
    StatusOutput,
};
use crate::fault::Fault;
use crate::hook::{self, Hook};

pub use connection::{Connection, NewPassword, read_proxy};
pub use duration::{parse_duration, parse_time_limit};

/// How long a guest is tried again while other snapshot tasks hold it, unless the command line says
/// otherwise: several labels that fire at the same minute take turns at a guest.
const DEFAULT_SNAPSHOT_LOCK_WAIT: Duration = Duration::from_secs(600);

/// `snap` or `clean`, as it is meant.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "flags of the command line, each on its own"
)]
pub struct JobSettings {
    /// Which of the two.
    pub job: Job,
    /// Which guests.
    pub selection: Selection,
    /// What the exclusions of the selection have to match.
    pub exclusions: ExclusionRule,
    /// Whether the skip of a guest that is selected by ID or name is a failure.
    pub strict: bool,
    /// Whether it is a success that no guest is selected, where that is certain.
    pub allow_empty: bool,
    /// The label, with the formats of its timestamps.
    pub series: Series,
    /// How many snapshots stay.
    pub keep: u32,
    /// How ambiguous names are treated.
    pub ambiguous: AmbiguousNames,
    /// The storage limit.
    pub max_percent_storage: StorageLimit,
    /// The hook.
    pub hook: Option<Hook>,
    /// What a no of the hook means.
    pub hook_failure: HookFailure,
    /// Which guests a `clean` works on; a `snap` has this in its [`Job`].
    pub clean_states: GuestStates,
    /// How much runs at once.
    pub limits: Limits,
    /// The options for which one guest is worked on at a time, as `--max-parallel` is not given: hooks of
    /// two guests at once disturb each other, and so do RAM snapshots of the members of one cluster.
    pub one_at_a_time: Option<&'static str>,
    /// How many guests are read at once.
    pub reads_at_once: usize,
    /// How long to wait for each task.
    pub timeout: Duration,
    /// Remove with `force=1`.
    pub force_remove: bool,
    /// How long locked guests are tried again.
    pub wait_locked: Option<Duration>,
    /// How long a guest is tried again while other snapshot tasks hold it; `None`: it fails at once.
    pub wait_snapshot_lock: Option<Duration>,
    /// How long after the first step removals are started.
    pub removal_budget: Option<Duration>,
    /// How many snapshots of a guest are removed at most.
    pub removal_limit: RemovalLimit,
    /// What becomes of removals that PVE did not finish.
    pub stuck: StuckRemovals,
    /// Change nothing.
    pub dry_run: bool,
    /// `--debug`.
    pub debug: bool,
}

/// The two jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// `snap`.
    Snap {
        /// Save the RAM.
        with_ram: bool,
        /// Leave out what does not run.
        only_running: bool,
    },
    /// `clean`.
    Clean,
}

/// The states in which guests are worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestStates {
    /// All.
    Any,
    /// Only guests that are running (`--only-running`).
    Running,
}

/// `status`, as it is meant.
#[derive(Debug, Clone)]
pub struct StatusSettings {
    /// Which guests.
    pub selection: Selection,
    /// Only snapshots of this label.
    pub series: Option<Series>,
    /// The timestamp formats: that of `--timestamp-format`, then those of `--also-format`.
    pub formats: Vec<TimestampFormat>,
    /// The form of the list.
    pub output: StatusOutput,
    /// How many guests are asked at once.
    pub reads_at_once: usize,
    /// Leave out guests that are not running.
    pub only_running: bool,
    /// What of the options is not heeded, in sentences.
    pub warnings: Vec<String>,
}

impl JobSettings {
    /// A job with the defaults of the command line for everything else.
    pub fn new(job: Job, selection: Selection, label: Label, keep: u32) -> Self {
        Self {
            job,
            selection,
            exclusions: read_exclusions(job, false),
            strict: false,
            allow_empty: false,
            series: Series::new(label, TimestampFormat::default()),
            keep,
            ambiguous: match job {
                // The snapshot that the run takes shows that the guest has this series.
                Job::Snap { .. } => AmbiguousNames::KeepIfLabelPresent,
                Job::Clean => AmbiguousNames::Keep,
            },
            max_percent_storage: StorageLimit::default(),
            hook: None,
            hook_failure: HookFailure::Ignore,
            clean_states: GuestStates::Any,
            limits: Limits::default(),
            one_at_a_time: None,
            reads_at_once: Limits::default().total,
            timeout: Duration::from_secs(600),
            force_remove: false,
            wait_locked: None,
            wait_snapshot_lock: Some(DEFAULT_SNAPSHOT_LOCK_WAIT),
            removal_budget: None,
            removal_limit: RemovalLimit::default(),
            stuck: StuckRemovals::Leave,
            dry_run: false,
            debug: false,
        }
    }

    /// Reads the options of `snap`.
    pub fn of_snap(args: &SnapArgs) -> Result<Self, Fault> {
        let job = Job::Snap {
            with_ram: args.state,
            only_running: args.only_running,
        };
        Self::read(job, args.keep, &args.root, &args.job)
    }

    /// Reads the options of `clean`.
    pub fn of_clean(args: &CleanArgs) -> Result<Self, Fault> {
        let keep = args.keep.ok_or_else(|| {
            Fault::usage("clean needs --keep, the number of snapshots that stay")
                .hint("--keep=0 removes all snapshots of the label")
        })?;
        let settings = Self::read(Job::Clean, keep, &args.root, &args.job)?;
        Ok(Self {
            clean_states: if args.only_running {
                GuestStates::Running
            } else {
                GuestStates::Any
            },
            ..settings
        })
    }

    /// Reads the options of `check` as those of the command that is checked, as a dry run. Without
    /// `--keep` one snapshot is kept.
    pub fn of_check(args: &CheckArgs) -> Result<Self, Fault> {
        let (root, job) = (args.root.clone(), args.job.clone());
        let keep = args.keep.unwrap_or(1);
        let settings = match args.command {
            CheckedCommand::Snap => Self::of_snap(&SnapArgs {
                root,
                job,
                keep,
                state: args.state,
                only_running: args.only_running,
            }),
            CheckedCommand::Clean => Self::of_clean(&CleanArgs {
                root,
                job,
                keep: Some(keep),
                only_running: args.only_running,
            }),
        };
        Ok(Self {
            dry_run: true,
            ..settings?
        })
    }

    fn read(job: Job, keep: u32, root: &RootArgs, args: &JobArgs) -> Result<Self, Fault> {
        let label =
            Label::parse(args.label.as_deref().unwrap_or_default()).map_err(wrong("--label"))?;
        let format = read_format(root)?;
        name::check(&label, &format).map_err(wrong("--label"))?;
        let series = Series::with_formats(label.clone(), format, read_also_formats(root)?);
        let hook_settings = hook::Settings {
            timeout: Some(args.hook_timeout),
            ..hook::Settings::default()
        };
        let hook = args
            .script
            .as_deref()
            .map(|path| Hook::new(path, hook_settings))
            .transpose();
        let selection = match job {
            Job::Snap { .. } => read_selection(root)?,
            Job::Clean => read_selection_for_removal(root)?,
        };
        let defaults = Self::new(job, selection, label, keep);
        let with_ram = matches!(job, Job::Snap { with_ram: true, .. });
        let one_at_a_time = match (root.max_parallel, args.script.is_some(), with_ram) {
            (Some(_), ..) | (None, false, false) => None,
            (None, true, false) => Some("--script"),
            (None, false, true) => Some("--state"),
            (None, true, true) => Some("--script and --state"),
        };
        let limits = read_limits(root);
        Ok(Self {
            exclusions: read_exclusions(job, args.selection.allow_unmatched_exclusions),
            strict: args.selection.strict,
            allow_empty: args.selection.allow_empty,
            series,
            ambiguous: if args.allow_ambiguous_names {
                AmbiguousNames::Count
            } else {
                defaults.ambiguous
            },
            max_percent_storage: StorageLimit::new(root.max_perc_storage)
                .map_err(wrong("--max-perc-storage"))?,
            hook: hook.map_err(wrong("--script"))?,
            hook_failure: args.hook_failure,
            limits: Limits {
                total: one_at_a_time.map_or(limits.total, |_| 1),
                ..limits
            },
            one_at_a_time,
            reads_at_once: limits.total,
            timeout: root.timeout,
            force_remove: args.force_remove,
            wait_locked: args.wait_locked,
            wait_snapshot_lock: Some(args.wait_snapshot_lock).filter(|wait| !wait.is_zero()),
            removal_budget: args.removal_budget,
            // The option parser accepts nothing smaller.
            removal_limit: RemovalLimit::new(args.max_removals_per_guest).unwrap_or_default(),
            stuck: if args.retry_stuck_removal {
                StuckRemovals::Retry
            } else {
                StuckRemovals::Leave
            },
            dry_run: root.dry_run,
            debug: root.shows_debug(),
            ..defaults
        })
    }

    /// Whether a run takes snapshots, which a dry run does not.
    pub fn takes_snapshots(&self) -> bool {
        match self.job {
            Job::Snap { .. } => !self.dry_run,
            Job::Clean => false,
        }
    }

    /// The command's name.
    pub fn command(&self) -> &'static str {
        match self.job {
            Job::Snap { .. } => "snap",
            Job::Clean => "clean",
        }
    }
}

impl StatusSettings {
    /// Reads the options of `status`.
    pub fn read(args: &StatusArgs) -> Result<Self, Fault> {
        let label = args
            .label
            .as_deref()
            .filter(|label| !label.trim().is_empty());
        let label = label.map(Label::parse).transpose();
        let label = label.map_err(wrong("--label"))?;
        // A list does no harm, and C# takes any format there.
        let (format, warnings) = match parse_format(&args.root.timestamp_format) {
            Ok(format) => (format, Vec::new()),
            Err(error) => {
                let default = TimestampFormat::DEFAULT;
                let warning = format!("{error}; the list uses `{default}`");
                (TimestampFormat::default(), vec![warning])
            }
        };
        let adopted = read_also_formats(&args.root)?;
        let formats = std::iter::once(&format).chain(&adopted).cloned().collect();
        Ok(Self {
            selection: read_selection(&args.root)?,
            series: label.map(|label| Series::with_formats(label, format, adopted)),
            formats,
            output: args.output.unwrap_or_else(usual_output),
            reads_at_once: read_limits(&args.root).total,
            only_running: args.only_running,
            warnings,
        })
    }
}

/// Turns an error about the value of an option into a fault.
fn wrong<E: Display>(option: &'static str) -> impl Fn(E) -> Fault {
    move |error| Fault::usage(error).about(option)
}

/// The form of a list without `--output`: `Plain` on a terminal, the C# tool's table for scripts.
fn usual_output() -> StatusOutput {
    if io::stdout().is_terminal() {
        StatusOutput::Plain
    } else {
        StatusOutput::Text
    }
}

pub(crate) fn read_selection(args: &RootArgs) -> Result<Selection, Fault> {
    Selection::parse(&args.vmid).map_err(|error| invalid_selection(&args.vmid, &error))
}

/// The selection of `clean`, which removes only and therefore refuses what others ignore.
fn read_selection_for_removal(args: &RootArgs) -> Result<Selection, Fault> {
    let selection = read_selection(args)?;
    match selection.check_for_removal() {
        Ok(()) => Ok(selection),
        Err(error) => Err(invalid_selection(&args.vmid, &error)),
    }
}

/// The error about a selection, with the option to paste if it is known what was meant.
fn invalid_selection(vmid: &str, error: &SelectionError) -> Fault {
    let fault = Fault::usage(format!("--vmid={vmid}: {error}")).about("--vmid");
    match select::corrected(vmid) {
        Some(corrected) if corrected != vmid.trim() => {
            fault.hint(format!("--vmid={}", shell_word(&corrected, "GUESTS")))
        }
        Some(_) | None => fault,
    }
}

/// What the exclusions have to match. A `clean` that spares less than it was asked to spare loses
/// snapshots; a `snap` takes snapshots of all it works on, and old crontab lines name tags and guests
/// that do not exist yet.
pub(crate) fn read_exclusions(job: Job, may_be_unmatched: bool) -> ExclusionRule {
    match job {
        _ if may_be_unmatched => ExclusionRule::MayBeUnmatched,
        Job::Snap { .. } => ExclusionRule::MustExist,
        Job::Clean => ExclusionRule::MustMatch,
    }
}

/// The formats of `--also-format`.
pub(crate) fn read_also_formats(args: &RootArgs) -> Result<Vec<TimestampFormat>, Fault> {
    let formats = args.also_format.iter();
    formats
        .map(|format| TimestampFormat::parse(format).map_err(wrong("--also-format")))
        .collect()
}

pub(crate) fn read_format(args: &RootArgs) -> Result<TimestampFormat, Fault> {
    parse_format(&args.timestamp_format).map_err(wrong("--timestamp-format"))
}

/// Parses a timestamp format. As in the C# tool, a blank one means the default.
fn parse_format(format: &str) -> Result<TimestampFormat, FormatError> {
    if format.trim().is_empty() {
        return Ok(TimestampFormat::default());
    }
    TimestampFormat::parse(format)
}

pub(crate) fn read_limits(args: &RootArgs) -> Limits {
    let usual = Limits::default();
    let total = args.max_parallel.map(usize::from);
    Limits {
        total: total.unwrap_or(usual.total),
        per_node: args
            .max_parallel_per_node
            .map(usize::from)
            .or(total)
            .unwrap_or(usual.per_node),
        per_storage: args
            .max_parallel_per_storage
            .map_or(usual.per_storage, usize::from),
        ram_per_node: args
            .max_parallel_ram
            .map_or(usual.ram_per_node, usize::from),
    }
}
