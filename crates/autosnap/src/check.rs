// SPDX-License-Identifier: GPL-3.0-only
//! `check`: whether a `snap` or `clean` with these options would do all that is asked for, found
//! without changing anything.
//!
//! [`dry_run`] performs the dry run of the line, [`reading`] asks PVE for what explains it and for
//! what will matter later, [`judge`] turns both into findings without asking anybody, and
//! [`crate::report`] prints them. A finding is a problem if and only if it makes the dry run exit
//! with another status than 0.
//!
//! Limits: it sees what the login may see. Tasks of others are hidden from logins without
//! `Sys.Audit`, so that a lock may look left behind while root's task still runs; the words say so.
//! How much space a snapshot will take nobody can know, but for RAM.

pub mod dry_run;
pub mod finding;
pub mod judge;
pub mod reading;
pub mod storages;
mod words;

use std::path::Path;

use autosnap_core::name::{self, Label};
use autosnap_core::outcome::ExitStatus;
use jiff::Zoned;
use pve_client::{ClientOptions, Trust};

use crate::args::{CheckArgs, CheckedCommand, Usage, usage};
use crate::fault::Fault;
use crate::hook::{self, Hook, HookError};
use crate::notice::Notice;
use crate::settings::{self, JobSettings};

use finding::{Finding, Severity};
use reading::Reading;

/// The label of the dry run if none or an invalid one is given.
const PLACEHOLDER_LABEL: &str = "check";

/// `check`, as it is meant.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The run that is checked, as a dry run.
    pub job: JobSettings,
    /// Findings about the options, made before a connection is opened.
    pub option_findings: Vec<Finding>,
}

/// What was read and what was found.
#[derive(Debug)]
pub struct Report {
    /// The command that was checked.
    pub command: &'static str,
    /// What was read.
    pub reading: Reading,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
}

impl Settings {
    /// Reads the options of `check`. A label, format, number to keep or hook that a run would
    /// refuse is a finding, not an error, so that the rest is checked too.
    pub fn read(args: &CheckArgs) -> Result<Self, Fault> {
        let mut line = args.clone();
        let mut findings: Vec<Finding> = missing_options(args).into_iter().collect();
        if let Some(error) = name_error(args) {
            findings.push(Finding::InvalidName(error));
            line.job.label = None;
            line.root.timestamp_format = String::new();
        }
        let format = settings::read_format(&args.root).ok();
        if let Some(warning) = format.and_then(|format| format.warning()) {
            findings.push(Finding::TimestampFormat(warning.to_string()));
        }
        match args.job.script.as_deref().map(find_hook) {
            Some(Err(error)) => {
                findings.push(Finding::InvalidHook(error.to_string()));
                line.job.script = None;
            }
            Some(Ok(hook)) => findings.extend(hook.start_error().map(|error| {
                Finding::Local(Notice::warning("hook-cannot-start", error.to_string()))
            })),
            None => {}
        }
        if args.command == CheckedCommand::Snap && args.keep == Some(0) {
            findings.push(Finding::InvalidOption(
                "--keep=0 is for clean; snap keeps 1 to 100 snapshots, the new one included"
                    .to_owned(),
            ));
            line.keep = None;
        }
        line.job
            .label
            .get_or_insert_with(|| PLACEHOLDER_LABEL.to_owned());
        Ok(Self {
            job: JobSettings::of_check(&line)?,
            option_findings: findings,
        })
    }

    /// Adds findings for the options that the checked command refuses because it does not use them. `in_files` are
    /// the IDs of those that parameter files set for several commands.
    pub fn refuse_unused(&mut self, args: &CheckArgs, in_files: &[String]) {
        let given = [
            ("state", args.state),
            ("max_parallel_ram", args.root.max_parallel_ram.is_some()),
        ];
        let command = self.job.command();
        for (id, _) in given.iter().filter(|(_, given)| *given) {
            let typed = !in_files.iter().any(|in_file| in_file == id);
            if typed && usage(command, id) != Usage::Used {
                let option = id.replace('_', "-");
                let text = format!("{command} does not use --{option}");
                self.option_findings.push(Finding::InvalidOption(text));
            }
        }
    }
}

/// The required options of the checked command that are missing. This is only a note: a parameter file
/// may be checked without its label.
fn missing_options(args: &CheckArgs) -> Option<Finding> {
    let missing: Vec<&str> = [
        ("--label", args.job.label.is_none()),
        ("--keep", args.keep.is_none()),
    ]
    .into_iter()
    .filter_map(|(option, is_missing)| is_missing.then_some(option))
    .collect();
    let command = match args.command {
        CheckedCommand::Snap => "snap",
        CheckedCommand::Clean => "clean",
    };
    (!missing.is_empty()).then(|| Finding::MissingOption {
        command,
        options: missing.join(" and "),
    })
}

/// Why PVE would refuse the names.
fn name_error(args: &CheckArgs) -> Option<String> {
    let label = args.job.label.as_deref();
    let label = match Label::parse(label.unwrap_or(PLACEHOLDER_LABEL)) {
        Ok(label) => label,
        Err(error) => return Some(error.to_string()),
    };
    match settings::read_format(&args.root) {
        Err(fault) => Some(fault.message),
        Ok(format) => name::check(&label, &format)
            .err()
            .map(|error| error.to_string()),
    }
}

/// The hook, by the rules of a run.
fn find_hook(path: &Path) -> Result<Hook, HookError> {
    Hook::new(path, hook::Settings::default())
}

impl Report {
    /// Adds the notices about this machine.
    pub fn add(&mut self, notices: Vec<Notice>) {
        self.findings
            .extend(notices.into_iter().map(Finding::Local));
        self.findings.sort_by_key(Finding::severity);
    }

    /// 0 if the checked run would do everything, 1 if not, 3 if no host let us in or PVE refuses
    /// what the run needs as a whole.
    pub fn exit_status(&self) -> ExitStatus {
        let Some(cluster) = &self.reading.cluster else {
            return ExitStatus::Connection;
        };
        if cluster.dry_run.exit == ExitStatus::Connection {
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

/// Connects, performs the dry run and judges. `now` is the time for the names, as in a run.
pub async fn run(
    settings: &Settings,
    options: ClientOptions,
    now: &Zoned,
) -> Result<Report, Fault> {
    let accepts_any = match options.trust {
        Trust::AcceptAny => true,
        Trust::SystemStore | Trust::Fingerprints(_) | Trust::CaFile(_) => false,
    };
    let reading = reading::read(settings, options, now).await;
    let seconds = now.timestamp().as_second();
    let mut findings = judge::judge(settings, &reading, accepts_any, seconds);
    // Stable: within a weight the order of the judgement stays.
    findings.sort_by_key(Finding::severity);
    Ok(Report {
        command: settings.job.command(),
        reading,
        findings,
    })
}
