// SPDX-License-Identifier: GPL-3.0-only
//! The settings of a run and of the list of snapshots: checked values.
//!
//! They are grouped by lifetime: [`JobSettings`] and its [`Execution`] apply to all runs of a job, an
//! [`Invocation`] to one run.

use std::time::Duration;

use autosnap_core::event::SerialReason;
use autosnap_core::marks::{Hold, Mark, MarkText, MarkedDescription};
use autosnap_core::name::{AmbiguousNames, FormatError, Label, Series, TimestampFormat};
use autosnap_core::plan::RemovalLimit;
use autosnap_core::retention::{Period, Policy, Rules};
use autosnap_core::schedule::Limits;
use autosnap_core::select::{ExclusionRule, Selection};
use autosnap_core::storage::StorageLimit;
use jiff::{Span, Timestamp, Zoned};

use crate::hook::Hook;

/// How long a guest is retried by default while other snapshot tasks lock it: several labels that start in
/// the same minute snapshot a guest one after another.
const DEFAULT_SNAPSHOT_LOCK_WAIT: Duration = Duration::from_secs(600);

/// A job: what a `snap` or `clean` does, and how it is executed.
#[derive(Debug, Clone)]
pub struct JobSettings {
    /// `snap` or `clean`.
    pub kind: JobKind,
    /// Which guests.
    pub selection: Selection,
    /// What the exclusions of the selection must match.
    pub exclusions: ExclusionRule,
    /// Whether the skip of a guest that is selected by ID or name is a failure.
    pub strict: bool,
    /// Whether a run that certainly selects no guest succeeds.
    pub allow_empty: bool,
    /// The series of the snapshots, and how many of them stay.
    pub policy: Policy,
    /// The marks of the snapshots that the job takes.
    pub marks: NewMarks,
    /// The storage limit.
    pub max_percent_storage: StorageLimit,
    /// The hook.
    pub hook: Option<Hook>,
    /// What to do when a pre-phase hook fails.
    pub hook_failure: HookFailure,
    /// The states of the guests that are selected.
    pub states: GuestStates,
    /// How the job is executed.
    pub execution: Execution,
}

/// The marks of the snapshots that a job takes.
#[derive(Debug, Clone, Default)]
pub struct NewMarks {
    /// Hold them, without an end.
    pub hold: bool,
    /// How long after the start of the run they expire.
    pub expires_after: Option<Span>,
    /// A note on them.
    pub note: Option<MarkText>,
}

impl NewMarks {
    /// The description of the snapshots of a run at this time.
    pub fn description(&self, now: &Zoned) -> MarkedDescription {
        let second = |time: &Zoned| Timestamp::from_second(time.timestamp().as_second()).ok();
        let mut description = MarkedDescription::default();
        if self.hold {
            description.set(Mark::Hold(Hold {
                since: second(now),
                ..Hold::default()
            }));
        }
        // A time after the end of the calendar never comes.
        let expires = self.expires_after.map(|span| now.checked_add(span).ok());
        if let Some(at) = expires.flatten().as_ref().and_then(second) {
            description.set(Mark::Expire(at));
        }
        if let Some(note) = &self.note {
            description.set(Mark::Note(note.clone()));
        }
        description
    }
}

/// How a job is executed: parallelism, timeouts, waits and limits on removals.
#[derive(Debug, Clone)]
pub struct Execution {
    /// How many guests of one run are processed in parallel. The limits of the [`Cluster`](crate::cluster::Cluster),
    /// which hold over all its runs, apply as well: of each number the smaller one.
    pub limits: Limits,
    /// Why `limits` allow one guest at a time, for the report; empty if they allow more or the user has set them.
    pub serial_reasons: Vec<SerialReason>,
    /// How many guests are read in parallel.
    pub reads_at_once: usize,
    /// How long to wait for each task.
    pub timeout: Duration,
    /// Remove with `force=1`.
    pub force_remove: bool,
    /// How long after the plan locked guests are retried; `None`: they fail immediately.
    pub wait_locked: Option<Duration>,
    /// How long a guest is retried while other snapshot tasks lock it, counted from the first attempt that met
    /// such a lock; `None`: it fails immediately.
    pub wait_snapshot_lock: Option<Duration>,
    /// How long after the plan removals are started; `None`: without a limit.
    pub removal_budget: Option<Duration>,
    /// How many snapshots of a guest are removed at most.
    pub removal_limit: RemovalLimit,
}

impl Default for Execution {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            serial_reasons: Vec::new(),
            reads_at_once: Limits::default().total,
            timeout: Duration::from_secs(600),
            force_remove: false,
            wait_locked: None,
            wait_snapshot_lock: Some(DEFAULT_SNAPSHOT_LOCK_WAIT),
            removal_budget: None,
            removal_limit: RemovalLimit::default(),
        }
    }
}

/// The values of a single run of a job.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The time of the run, in the zone whose time goes into the names and whose days the keep rules count.
    pub now: Zoned,
    /// Change nothing.
    pub dry_run: bool,
    /// Other rules that a dry run compares its plan with.
    pub compare_with: Option<Rules>,
    /// Whether the hook is started with its debug variable set.
    pub debug: bool,
}

impl Invocation {
    /// A run at this time that is not a dry run.
    pub fn new(now: Zoned) -> Self {
        Self {
            now,
            dry_run: false,
            compare_with: None,
            debug: false,
        }
    }
}

/// The kinds of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// `snap`.
    Snap {
        /// Save the RAM.
        with_ram: bool,
    },
    /// `clean`.
    Clean,
}

/// The states in which guests are worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestStates {
    /// All.
    Any,
    /// Only guests that are running.
    Running,
}

/// The settings of `status`.
#[derive(Debug, Clone)]
pub struct StatusSettings {
    /// Which guests.
    pub selection: Selection,
    /// Only snapshots of this label.
    pub series: Option<Series>,
    /// The timestamp formats: first of the names that a run creates, then of names it also counts.
    pub formats: Vec<TimestampFormat>,
    /// How many guests are read in parallel.
    pub reads_at_once: usize,
    /// Leave out guests that are not running.
    pub only_running: bool,
    /// Why the timestamp format is invalid and the default one is used instead, if it is.
    pub invalid_format: Option<FormatError>,
}

impl JobSettings {
    /// A job with the defaults of the command line for everything else.
    pub fn new(kind: JobKind, selection: Selection, label: Label, rules: Rules) -> Self {
        let series = Series::new(label, TimestampFormat::default());
        Self {
            kind,
            selection,
            exclusions: exclusion_rule(kind, false),
            strict: false,
            allow_empty: false,
            policy: Policy {
                ambiguous: match kind {
                    // The snapshot that the run takes shows that the guest has this series.
                    JobKind::Snap { .. } => AmbiguousNames::KeepIfLabelPresent,
                    JobKind::Clean => AmbiguousNames::Keep,
                },
                ..Policy::new(series, rules)
            },
            marks: NewMarks::default(),
            max_percent_storage: StorageLimit::default(),
            hook: None,
            hook_failure: HookFailure::Ignore,
            states: GuestStates::Any,
            execution: Execution::default(),
        }
    }

    /// The label of the snapshots.
    pub fn label(&self) -> &Label {
        self.policy.series.label()
    }

    /// The label of the snapshots, then the adopted ones.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        let adopted = self.policy.series.adopted().iter();
        let adopted = adopted.map(|series| series.label().as_str());
        std::iter::once(self.label().as_str()).chain(adopted)
    }

    /// The number of `--keep`, or the rules as one text.
    pub fn keep_text(&self) -> String {
        self.policy.rules.to_string()
    }

    /// The rules as one text, `keep-last=7` for `--keep=7`.
    pub fn policy_text(&self) -> String {
        match self.policy.rules.is_simple() {
            Some(keep) => format!("{}={keep}", Period::Last),
            None => self.keep_text(),
        }
    }

    /// How many of the newest snapshots stay.
    pub fn keep(&self) -> u32 {
        self.policy.rules.count(Period::Last)
    }

    /// Whether the job takes snapshots.
    pub fn takes_snapshots(&self) -> bool {
        match self.kind {
            JobKind::Snap { .. } => true,
            JobKind::Clean => false,
        }
    }

    /// Whether the job saves the RAM.
    pub fn saves_ram(&self) -> bool {
        match self.kind {
            JobKind::Snap { with_ram } => with_ram,
            JobKind::Clean => false,
        }
    }

    /// The command's name.
    pub fn command(&self) -> &'static str {
        match self.kind {
            JobKind::Snap { .. } => "snap",
            JobKind::Clean => "clean",
        }
    }
}

/// What the exclusions must match.
///
/// A `clean` that ignores an exclusion loses snapshots. A `snap` only takes more of them, and old crontab
/// lines exclude tags and guests that do not exist yet.
pub fn exclusion_rule(kind: JobKind, may_be_unmatched: bool) -> ExclusionRule {
    match kind {
        _ if may_be_unmatched => ExclusionRule::MayBeUnmatched,
        JobKind::Snap { .. } => ExclusionRule::MustExist,
        JobKind::Clean => ExclusionRule::MustMatch,
    }
}

/// The consequence of a hook that fails in a pre-phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookFailure {
    /// Report it and continue, as the C# tool does.
    Ignore,
    /// Leave the guest out; it counts as failed.
    SkipGuest,
    /// Start nothing new; everything not yet done counts as failed.
    AbortRun,
}
