// SPDX-License-Identifier: GPL-3.0-only
//! The reports of `jobs check` and `coverage`: text for people, JSON for programs.
//!
//! The JSON is a wire type of its own, version 1: keys may be added, never renamed.

mod findings;
mod wire;

use autosnap::coverage::{ClusterCoverage, JobReading};
use autosnap::severity::Severity;
use autosnap_core::coverage::{CoverageState, GuestCoverage};

use super::units::padded;
use super::{Console, Lines};
use crate::args::JobOutput;
use crate::command_error::CommandError;
use crate::exit_status::ExitStatus;
use crate::job_folder::FolderReport;

use findings::{Finding, findings};

/// The columns of the table of guests.
const COLUMNS: [&str; 6] = ["VMID", "TYPE", "NAME", "NODE", "STATE", "JOBS"];

/// Which report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FolderView {
    /// The files, and whether they fit together and the cluster.
    Check,
    /// The guests, and how they are protected.
    Coverage,
}

impl FolderView {
    /// The command that prints it.
    fn command(self) -> &'static str {
        match self {
            Self::Check => "jobs check",
            Self::Coverage => "coverage",
        }
    }
}

/// Prints the report. Returns the exit status: that of the connection if no cluster could be read.
pub(crate) fn print_folder(
    console: &Console,
    report: &FolderReport,
    view: FolderView,
    output: JobOutput,
) -> Result<ExitStatus, CommandError> {
    let findings = findings(report, view);
    let status = exit_status(report, &findings);
    match output {
        JobOutput::Text => console.out(&text(report, view, &findings)),
        JobOutput::Json => {
            console.json(&wire::document(
                report,
                view,
                &findings,
                status,
                serde_json::to_string,
            )?);
        }
        JobOutput::JsonPretty => {
            let write = serde_json::to_string_pretty;
            console.json(&wire::document(report, view, &findings, status, write)?);
        }
    }
    Ok(status)
}

fn exit_status(report: &FolderReport, findings: &[Finding]) -> ExitStatus {
    let first_failed = report.failed.first();
    match first_failed.filter(|_| report.clusters.is_empty()) {
        Some(failed) if failed.error.exit == ExitStatus::Connection => ExitStatus::Connection,
        _ if count(findings, Severity::Problem) > 0 => ExitStatus::Failure,
        _ => ExitStatus::Success,
    }
}

fn count(findings: &[Finding], severity: Severity) -> usize {
    let matching = findings.iter().filter(|one| one.severity == severity);
    matching.count()
}

fn text(report: &FolderReport, view: FolderView, findings: &[Finding]) -> Lines {
    let mut lines = Lines::default();
    for cluster in &report.clusters {
        lines.line(cluster_line(cluster));
        match view {
            FolderView::Check => {
                for job in &cluster.jobs {
                    lines.line(job_line(job));
                }
            }
            FolderView::Coverage => {
                lines.line("");
                table(cluster, &mut lines);
            }
        }
        lines.line("");
    }
    for finding in findings {
        let weight = finding.severity.as_str().to_uppercase();
        lines.line(format_args!("{weight}: {}", finding.message));
        if let Some(hint) = &finding.hint {
            lines.line(format_args!("    hint: {hint}"));
        }
    }
    lines.line(total_line(report, view, findings));
    lines
}

/// `Cluster lab (pve1:8006): 2 jobs, 6 guests`
fn cluster_line(cluster: &ClusterCoverage) -> String {
    let hosts: Vec<String> = cluster.hosts.iter().map(ToString::to_string).collect();
    let name = match &cluster.name {
        Some(name) => format!("Cluster {name} ({})", hosts.join(", ")),
        None => format!("Cluster at {}", hosts.join(", ")),
    };
    let jobs = counted(cluster.jobs.len(), "job");
    let guests = counted(cluster.coverage.guests.len(), "guest");
    format!("{name}: {jobs}, {guests}")
}

/// `    gold.conf: snap, label gold, 12 guests (@tag-autosnap-gold)`
fn job_line(reading: &JobReading) -> String {
    let settings = &reading.job.settings;
    format!(
        "    {}: {}, label {}, {} ({})",
        reading.job.name,
        settings.command(),
        settings.label(),
        counted(reading.selected.guests.len(), "guest"),
        settings.selection,
    )
}

/// `3 guests`
fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn table(cluster: &ClusterCoverage, lines: &mut Lines) {
    let rows: Vec<[String; 6]> = std::iter::once(COLUMNS.map(ToOwned::to_owned))
        .chain(cluster.coverage.guests.iter().map(|one| row(cluster, one)))
        .collect();
    let widths: [usize; 6] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    });
    for row in &rows {
        let cells: [String; 6] = std::array::from_fn(|column| padded(&row[column], widths[column]));
        lines.line(cells.join("  ").trim_end());
    }
}

fn row(cluster: &ClusterCoverage, one: &GuestCoverage) -> [String; 6] {
    let guest = &one.guest;
    let jobs = one.jobs.iter();
    let jobs: Vec<&str> = jobs
        .map(|job| cluster.jobs[*job].job.name.as_str())
        .collect();
    let mut details = vec![if jobs.is_empty() {
        "-".to_owned()
    } else {
        jobs.join(", ")
    }];
    let tags = one.unknown_tags.iter();
    details.extend(tags.map(|unknown| format!("tag {}", unknown.tag)));
    if !one.left.is_empty() {
        details.push(findings::left(cluster, one));
    }
    if one.unread.is_some() {
        details.push("snapshots not read".to_owned());
    }
    [
        guest.vmid.to_string(),
        guest.kind.short_name().to_owned(),
        guest.name.clone().unwrap_or_else(|| "-".to_owned()),
        guest.node.clone(),
        state_text(one.state).to_owned(),
        details.join("; "),
    ]
    .map(|cell| autosnap_core::text::one_line(&cell).into_owned())
}

/// The state in the table; those that need attention are in capitals.
fn state_text(state: CoverageState) -> &'static str {
    match state {
        CoverageState::Uncovered => "NOT COVERED",
        CoverageState::LostPolicy => "LOST POLICY",
        CoverageState::UnknownTag => "UNKNOWN TAG",
        CoverageState::Conflict => "CONFLICT",
        CoverageState::Unknown => "UNKNOWN",
        CoverageState::Covered => "covered",
        CoverageState::Off => "off",
        CoverageState::Template => "template",
    }
}

/// `Coverage: 1 not covered, 5 covered, 1 off; 1 problem, 0 warnings, 0 notes`
fn total_line(report: &FolderReport, view: FolderView, findings: &[Finding]) -> String {
    let found = [Severity::Problem, Severity::Warning, Severity::Note]
        .map(|severity| counted(count(findings, severity), severity.as_str()))
        .join(", ");
    match view {
        FolderView::Check => {
            let jobs = counted(report.folder.jobs().count(), "job");
            format!("Jobs: {jobs} in {}; {found}", report.folder.path.display())
        }
        FolderView::Coverage => {
            let states = CoverageState::ALL.into_iter().filter_map(|state| {
                let guests = report
                    .clusters
                    .iter()
                    .flat_map(|cluster| &cluster.coverage.guests);
                let count = guests.filter(|one| one.state == state).count();
                (count > 0).then(|| format!("{count} {}", state_text(state).to_lowercase()))
            });
            let states: Vec<String> = states.collect();
            let states = if states.is_empty() {
                "no guests".to_owned()
            } else {
                states.join(", ")
            };
            format!("Coverage: {states}; {found}")
        }
    }
}
