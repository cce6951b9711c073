// SPDX-License-Identifier: GPL-3.0-only
//! `check`: predicts whether a `snap` or `clean` with these options would succeed, without changing anything.
//!
//! [`dry_run`] performs the dry run of the command. [`reading`] reads what a plan does not contain (hosts,
//! certificates, clocks, privileges, replication). `rules` derives the findings from both without sending a request. A
//! front end renders their texts. A finding is a problem if and only if the dry run fails because of it.
//!
//! Limits: `check` sees only what the login may read. Without `Sys.Audit` PVE hides the tasks of other users, so a lock
//! may look stale while a task of root is running; such findings have `sees_all_tasks`. The space that a snapshot will
//! need is known for RAM only.

pub mod dry_run;
pub mod finding;
pub mod login;
pub mod reading;
mod rules;
pub mod settings;
pub mod storages;

use autosnap_core::event::FailureKind;
use autosnap_core::record::RunResult;
use jiff::Zoned;
use pve_client::{ClientOptions, Trust};

use crate::notice::Notice;
use crate::severity::Severity;

use finding::Finding;
use reading::Reading;
use settings::Settings;

/// The result of a `check`: the data that was read, and the findings.
#[derive(Debug)]
pub struct Report {
    /// The command that was checked.
    pub command: &'static str,
    /// The data that was read.
    pub reading: Reading,
    /// The findings, the most severe first.
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

    /// The number of findings with this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.severity() == severity)
            .count()
    }
}

/// Connects, performs the dry run and derives the findings. `now` is the time for the names, as in a run.
pub async fn run(settings: &Settings, options: ClientOptions, now: &Zoned) -> Report {
    let accepts_any = match options.trust {
        Trust::AcceptAny => true,
        Trust::SystemStore | Trust::Fingerprints(_) | Trust::CaFile(_) => false,
    };
    let reading = reading::read(settings, options, now).await;
    let seconds = now.timestamp().as_second();
    let mut findings = rules::apply(settings, &reading, accepts_any, seconds);
    // The sort is stable: findings of one severity keep the order of the rules.
    findings.sort_by_key(Finding::severity);
    Report {
        command: settings.job.command(),
        reading,
        findings,
    }
}
