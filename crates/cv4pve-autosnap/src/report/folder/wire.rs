// SPDX-License-Identifier: GPL-3.0-only
//! The JSON of `jobs check` and `coverage`.

use autosnap::coverage::ClusterCoverage;
use autosnap_core::coverage::{CoverageState, GuestCoverage};
use serde::Serialize;

use super::FolderView;
use super::findings::Finding;
use crate::command_error::CommandError;
use crate::exit_status::ExitStatus;
use crate::job_folder::FolderReport;

#[derive(Serialize)]
pub(super) struct WireReport<'a> {
    version: u32,
    command: &'static str,
    exit_status: u8,
    ok: bool,
    folder: String,
    clusters: Vec<WireCluster<'a>>,
    findings: Vec<WireFinding<'a>>,
}

#[derive(Serialize)]
struct WireCluster<'a> {
    name: Option<&'a str>,
    hosts: Vec<String>,
    jobs: Vec<WireJob<'a>>,
    /// Only in `coverage`.
    #[serde(skip_serializing_if = "Option::is_none")]
    guests: Option<Vec<WireGuest<'a>>>,
}

#[derive(Serialize)]
struct WireJob<'a> {
    file: &'a str,
    command: &'static str,
    label: &'a str,
    vmid: &'a str,
    guests: usize,
}

#[derive(Serialize)]
struct WireGuest<'a> {
    vmid: u32,
    kind: &'static str,
    node: &'a str,
    name: Option<&'a str>,
    state: &'static str,
    jobs: Vec<&'a str>,
    unknown_tags: Vec<WireTag<'a>>,
    left_snapshots: Vec<WireLeft<'a>>,
    unread: Option<&'a str>,
}

#[derive(Serialize)]
struct WireTag<'a> {
    tag: &'a str,
    nearest: Option<&'a str>,
}

#[derive(Serialize)]
struct WireLeft<'a> {
    file: &'a str,
    count: usize,
}

#[derive(Serialize)]
struct WireFinding<'a> {
    severity: &'static str,
    kind: &'static str,
    files: &'a [String],
    vmids: Vec<u32>,
    message: &'a str,
    hint: Option<&'a str>,
}

/// The document, with a line break at its end.
pub(super) fn document<'a>(
    report: &'a FolderReport,
    view: FolderView,
    findings: &'a [Finding],
    status: ExitStatus,
    write: fn(&WireReport<'a>) -> serde_json::Result<String>,
) -> Result<String, CommandError> {
    let clusters = report.clusters.iter();
    let wire = WireReport {
        version: 1,
        command: view.command(),
        exit_status: status.code(),
        ok: status == ExitStatus::Success,
        folder: report.folder.path.display().to_string(),
        clusters: clusters
            .map(|cluster| wire_cluster(cluster, view))
            .collect(),
        findings: findings.iter().map(wire_finding).collect(),
    };
    let text = write(&wire)
        .map_err(|error| CommandError::failure(format!("the report cannot be written: {error}")))?;
    Ok(text + "\n")
}

fn wire_cluster(cluster: &ClusterCoverage, view: FolderView) -> WireCluster<'_> {
    let jobs = cluster.jobs.iter().map(|reading| WireJob {
        file: &reading.job.name,
        command: reading.job.settings.command(),
        label: reading.job.settings.label().as_str(),
        vmid: reading.job.settings.selection.as_str(),
        guests: reading.selected.guests.len(),
    });
    let guests = cluster.coverage.guests.iter();
    WireCluster {
        name: cluster.name.as_deref(),
        hosts: cluster.hosts.iter().map(ToString::to_string).collect(),
        jobs: jobs.collect(),
        guests: match view {
            FolderView::Check => None,
            FolderView::Coverage => Some(guests.map(|one| wire_guest(cluster, one)).collect()),
        },
    }
}

fn wire_guest<'a>(cluster: &'a ClusterCoverage, one: &'a GuestCoverage) -> WireGuest<'a> {
    let file = |job: usize| cluster.jobs[job].job.name.as_str();
    let tags = one.unknown_tags.iter().map(|unknown| WireTag {
        tag: &unknown.tag,
        nearest: unknown.nearest.as_deref(),
    });
    let left = one.left.iter().map(|left| WireLeft {
        file: file(left.job),
        count: left.count,
    });
    WireGuest {
        vmid: one.guest.vmid.get(),
        kind: one.guest.kind.as_str(),
        node: &one.guest.node,
        name: one.guest.name.as_deref(),
        state: match one.state {
            CoverageState::Uncovered => "uncovered",
            CoverageState::LostPolicy => "lost-policy",
            CoverageState::UnknownTag => "unknown-tag",
            CoverageState::Conflict => "conflict",
            CoverageState::Unknown => "unknown",
            CoverageState::Covered => "covered",
            CoverageState::Off => "off",
            CoverageState::Template => "template",
        },
        jobs: one.jobs.iter().copied().map(file).collect(),
        unknown_tags: tags.collect(),
        left_snapshots: left.collect(),
        unread: one.unread.as_deref(),
    }
}

fn wire_finding(finding: &Finding) -> WireFinding<'_> {
    WireFinding {
        severity: finding.severity.as_str(),
        kind: finding.kind,
        files: &finding.files,
        vmids: finding.vmids.iter().map(|vmid| vmid.get()).collect(),
        message: &finding.message,
        hint: finding.hint.as_deref(),
    }
}
