// SPDX-License-Identifier: GPL-3.0-only
//! `check`: everything that a `snap` with these options would stumble over, found without changing
//! anything.
//!
//! [`reading`] asks PVE, [`judge`] turns what was read into findings without asking anybody, and
//! [`crate::report`] prints them.
//!
//! Limits: it sees what the login may see. Tasks of others are hidden from logins without
//! `Sys.Audit`, so that a lock may look left behind while root's task still runs; the words say so.
//! How much space a snapshot will take nobody can know, but for RAM.

pub mod finding;
pub mod judge;
pub mod reading;
mod words;

use std::path::Path;

use autosnap_core::name::{self, Label};
use autosnap_core::outcome::ExitStatus;
use autosnap_core::select::{ExclusionRule, Selection};
use autosnap_core::storage::StorageLimit;
use jiff::Timestamp;
use pve_client::{ClientOptions, Trust};

use crate::args::CheckArgs;
use crate::fault::Fault;
use crate::hook::{self, Hook};
use crate::notice::Notice;
use crate::settings::{self, Job};

use finding::{Finding, Severity};
use reading::Reading;

/// `check`, as it is meant.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which guests.
    pub selection: Selection,
    /// What PVE would say against the names, if a label was given.
    pub name_trouble: Option<String>,
    /// What is doubtful about the timestamp format, though it gives valid names.
    pub format_warning: Option<String>,
    /// Why the hook could not be called, if one was given.
    pub hook_trouble: Option<String>,
    /// Whether the RAM of running VMs is to be saved.
    pub with_ram: bool,
    /// Leave out guests that are not running.
    pub only_running: bool,
    /// What the exclusions of the selection have to match.
    pub exclusions: ExclusionRule,
    /// Whether the skip of a guest that is selected by ID or name is a problem.
    pub strict: bool,
    /// The storage limit.
    pub limit: StorageLimit,
    /// How many guests are asked at once.
    pub reads_at_once: usize,
}

/// What was read and what was found.
#[derive(Debug)]
pub struct Report {
    /// What was read.
    pub reading: Reading,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
}

impl Settings {
    /// Reads the options of `check`. A label or format that gives no valid name is found, not
    /// refused: the rest is worth knowing too.
    pub fn read(args: &CheckArgs) -> Result<Self, Fault> {
        let label = args
            .label
            .as_deref()
            .filter(|label| !label.trim().is_empty());
        let name_trouble = label.and_then(|label| match Label::parse(label) {
            Err(error) => Some(error.to_string()),
            Ok(label) => match settings::read_format(&args.root) {
                Err(fault) => Some(fault.message),
                Ok(format) => name::check(&label, &format)
                    .err()
                    .map(|error| error.to_string()),
            },
        });
        Ok(Self {
            selection: settings::read_selection(&args.root)?,
            name_trouble,
            format_warning: settings::read_format(&args.root)
                .ok()
                .and_then(|format| format.warning())
                .map(|warning| warning.to_string()),
            hook_trouble: args.script.as_deref().and_then(hook_trouble),
            with_ram: args.state,
            only_running: args.only_running,
            exclusions: settings::read_exclusions(
                Job::Snap {
                    with_ram: args.state,
                    only_running: args.only_running,
                },
                args.selection.allow_unmatched_exclusions,
            ),
            strict: args.selection.strict,
            limit: StorageLimit::new(args.root.max_perc_storage).map_err(Fault::usage)?,
            reads_at_once: settings::read_limits(&args.root).total,
        })
    }
}

impl Report {
    /// Adds what was found on this machine.
    pub fn add(&mut self, notices: Vec<Notice>) {
        self.findings
            .extend(notices.into_iter().map(Finding::Local));
        self.findings.sort_by_key(Finding::severity);
    }

    /// 0 if a `snap` would do everything, 1 if not, 3 if no host let us in.
    pub fn exit_status(&self) -> ExitStatus {
        if self.reading.cluster.is_none() {
            ExitStatus::Connection
        } else if self.count(Severity::Problem) > 0 {
            ExitStatus::Failure
        } else {
            ExitStatus::Success
        }
    }

    /// How many findings weigh this much.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.severity() == severity)
            .count()
    }
}

/// Held against the same rules as the hook of a run.
fn hook_trouble(path: &Path) -> Option<String> {
    let hook = Hook::new(path, hook::Settings::default());
    hook.err().map(|error| error.to_string())
}

/// Reads and judges.
pub async fn run(settings: &Settings, options: ClientOptions) -> Result<Report, Fault> {
    let accepts_any = match options.trust {
        Trust::AcceptAny => true,
        Trust::SystemStore | Trust::Fingerprints(_) | Trust::CaFile(_) => false,
    };
    let reading = reading::read(settings, options).await?;
    let mut findings = judge::judge(
        settings,
        &reading,
        accepts_any,
        Timestamp::now().as_second(),
    );
    // Stable: within a weight the order of the judgement stays.
    findings.sort_by_key(Finding::severity);
    Ok(Report { reading, findings })
}
