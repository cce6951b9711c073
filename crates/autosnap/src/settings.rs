// SPDX-License-Identifier: GPL-3.0-only
//! The settings of a run and of the list of snapshots: checked values.

use std::time::Duration;

use autosnap_core::name::{AmbiguousNames, Label, Series, TimestampFormat};
use autosnap_core::plan::RemovalLimit;
use autosnap_core::retention::StuckRemovals;
use autosnap_core::schedule::Limits;
use autosnap_core::select::{ExclusionRule, Selection};
use autosnap_core::storage::StorageLimit;

use crate::hook::Hook;

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
    /// The states of the guests that are worked on.
    pub states: GuestStates,
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

/// `status`, as it is meant.
#[derive(Debug, Clone)]
pub struct StatusSettings {
    /// Which guests.
    pub selection: Selection,
    /// Only snapshots of this label.
    pub series: Option<Series>,
    /// The timestamp formats: that of `--timestamp-format`, then those of `--also-format`.
    pub formats: Vec<TimestampFormat>,
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
            exclusions: exclusion_rule(job, false),
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
            states: GuestStates::Any,
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

    /// Whether a run takes snapshots, which a dry run does not.
    pub fn takes_snapshots(&self) -> bool {
        match self.job {
            Job::Snap { .. } => !self.dry_run,
            Job::Clean => false,
        }
    }

    /// Whether the run saves the RAM.
    pub fn saves_ram(&self) -> bool {
        match self.job {
            Job::Snap { with_ram } => with_ram,
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

/// What the exclusions have to match. A `clean` that spares less than it was asked to spare loses
/// snapshots; a `snap` takes snapshots of all it works on, and old crontab lines name tags and guests
/// that do not exist yet.
pub fn exclusion_rule(job: Job, may_be_unmatched: bool) -> ExclusionRule {
    match job {
        _ if may_be_unmatched => ExclusionRule::MayBeUnmatched,
        Job::Snap { .. } => ExclusionRule::MustExist,
        Job::Clean => ExclusionRule::MustMatch,
    }
}

/// What a failing hook does in the phases before a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookFailure {
    /// Report it and go on, as the C# tool does.
    Ignore,
    /// Leave the guest out; it counts as failed.
    SkipGuest,
    /// Start nothing new; everything not yet done counts as failed.
    AbortRun,
}
