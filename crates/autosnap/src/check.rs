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

use autosnap_core::outcome::ExitStatus;
use jiff::Zoned;
use pve_client::{ClientOptions, Trust};

use crate::fault::Fault;
use crate::notice::Notice;
use crate::settings::JobSettings;

use finding::{Finding, Severity};
use reading::Reading;

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
