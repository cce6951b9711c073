// SPDX-License-Identifier: GPL-3.0-only
//! `check`: whether a `snap` or `clean` with these options would do all that is asked for, found
//! without changing anything.
//!
//! It is the plan plus findings: [`dry_run`] runs the real reading and `plan::decide`, [`reading`] adds
//! what a plan cannot know (hosts, certificates, clocks, privileges, replication), and `judge` turns both
//! into findings without a request. A front end renders their texts. A finding is a problem if and only if
//! the dry run fails because of it.
//!
//! Limits: it sees what the login may see. Without `Sys.Audit` PVE hides the tasks of other users, so a
//! lock may look abandoned while root's task still runs; such findings carry `sees_all_tasks`. The space
//! that a snapshot will need is known for RAM only.

pub mod dry_run;
pub mod finding;
mod judge;
pub mod reading;
pub mod storages;

use autosnap_core::event::FailureKind;
use autosnap_core::record::RunResult;
use jiff::Zoned;
use pve_client::{ClientOptions, Trust};

use crate::notice::Notice;
use crate::settings::JobSettings;

use finding::{Finding, Severity};
use reading::Reading;

/// What `check` checks.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The job, of which a dry run is performed.
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

    /// The result of the check: incomplete if there is a problem, failed without a connection.
    pub fn result(&self) -> RunResult {
        let connection = RunResult::Failed(FailureKind::Connection);
        let Some(cluster) = &self.reading.cluster else {
            return connection;
        };
        if cluster.dry_run.result() == connection {
            connection
        } else if self.count(Severity::Problem) > 0 {
            RunResult::Incomplete
        } else {
            RunResult::Success
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
pub async fn run(settings: &Settings, options: ClientOptions, now: &Zoned) -> Report {
    let accepts_any = match options.trust {
        Trust::AcceptAny => true,
        Trust::SystemStore | Trust::Fingerprints(_) | Trust::CaFile(_) => false,
    };
    let reading = reading::read(settings, options, now).await;
    let seconds = now.timestamp().as_second();
    let mut findings = judge::judge(settings, &reading, accepts_any, seconds);
    // Stable: within a weight the order of the judgement stays.
    findings.sort_by_key(Finding::severity);
    Report {
        command: settings.job.command(),
        reading,
        findings,
    }
}
