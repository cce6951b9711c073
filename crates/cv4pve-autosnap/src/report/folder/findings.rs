// SPDX-License-Identifier: GPL-3.0-only
//! What is wrong with the jobs of a folder and the guests that they protect.

use std::collections::BTreeMap;

use autosnap::coverage::{ClusterCoverage, JobReading};
use autosnap::severity::Severity;
use autosnap_core::coverage::{Conflict, CoverageState, GuestCoverage, LeftSnapshots, UnknownTag};
use autosnap_core::guest::{Guest, Vmid};
use autosnap_core::select::is_policy_tag;

use super::FolderView;
use crate::job_folder::{FolderReport, JobFile, JobFileContent};
use crate::report::warnings;

/// How many guests a message names.
const NAMED_GUESTS: usize = 10;

/// A problem, warning or note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// A stable identifier for programs.
    pub(super) kind: &'static str,
    /// The job files.
    pub(super) files: Vec<String>,
    /// The guests.
    pub(super) vmids: Vec<Vmid>,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Finding {
    fn new(severity: Severity, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity,
            kind,
            files: Vec::new(),
            vmids: Vec::new(),
            message: message.into(),
            hint: None,
        }
    }

    fn problem(kind: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Problem, kind, message)
    }

    fn with_file(self, name: &str) -> Self {
        self.with_files([name.to_owned()])
    }

    fn with_files(self, files: impl IntoIterator<Item = String>) -> Self {
        Self {
            files: files.into_iter().collect(),
            ..self
        }
    }

    fn with_guests(self, vmids: impl IntoIterator<Item = Vmid>) -> Self {
        Self {
            vmids: vmids.into_iter().collect(),
            ..self
        }
    }

    fn with_hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

/// All findings, the most severe first.
pub(super) fn findings(report: &FolderReport, view: FolderView) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in &report.folder.files {
        found.extend(file_findings(file));
    }
    for connection in &report.failed {
        let error = &connection.error;
        let mut finding = Finding::problem("connection", error.message.clone())
            .with_files(connection.files.iter().cloned());
        finding.hint.clone_from(&error.hint);
        found.push(finding);
    }
    for cluster in &report.clusters {
        let unreadable = cluster.unreadable.iter();
        found.extend(
            unreadable.map(|entry| {
                Finding::problem("unreadable-entry", warnings::unreadable_entry(entry))
            }),
        );
        for job in &cluster.jobs {
            found.extend(selection_findings(job));
        }
        found.extend(conflict_findings(cluster));
        found.extend(tag_findings(cluster));
        match view {
            FolderView::Check => {}
            FolderView::Coverage => found.extend(coverage_findings(cluster)),
        }
    }
    // The sort is stable: findings of one severity keep their order.
    found.sort_by_key(|finding| finding.severity);
    found
}

fn file_findings(file: &JobFile) -> Vec<Finding> {
    let content = match &file.content {
        JobFileContent::Job(_) => None,
        JobFileContent::Options => Some(Finding::new(
            Severity::Note,
            "no-job",
            format!("{} is no job: it has neither --vmid nor --label", file.name),
        )),
        JobFileContent::Invalid(error) => Some(Finding {
            hint: error.hint.clone(),
            ..Finding::problem("invalid-file", format!("{}: {}", file.name, error.message))
        }),
    };
    let notices = file
        .notices
        .iter()
        .map(|notice| Finding::new(notice.severity(), notice.kind, notice.message.clone()));
    let findings = content.into_iter().chain(notices);
    findings
        .map(|finding| finding.with_file(&file.name))
        .collect()
}

/// Terms that match nothing, by the rules of a run.
fn selection_findings(reading: &JobReading) -> Vec<Finding> {
    let (name, settings) = (&reading.job.name, &reading.job.settings);
    let problem = |kind, text: String| Finding::problem(kind, format!("{name}: {text}"));
    let mut found: Vec<Finding> = settings
        .selection
        .invalid_terms()
        .iter()
        .cloned()
        .chain(settings.selection.empty_exclusion())
        .map(|error| problem("invalid-term", error.to_string()))
        .collect();
    for warning in &reading.selected.warnings {
        let is_problem = warning.violates(settings.exclusions) || warning.is_missing_object();
        found.push(if is_problem {
            problem("unmatched-term", warning.to_string())
        } else {
            let text = format!("{name}: {warning}");
            Finding::new(Severity::Warning, "unmatched-term", text)
        });
    }
    if reading.selected.guests.is_empty() {
        found.push(if settings.allow_empty {
            let text = format!("{name}: no guest is selected, which --allow-empty allows");
            Finding::new(Severity::Note, "nothing-selected", text)
        } else {
            problem("nothing-selected", "no guest is selected".to_owned())
                .with_hint("if its tag or pool may be empty, add --allow-empty to the file")
        });
    }
    found.into_iter().map(|one| one.with_file(name)).collect()
}

fn conflict_findings(cluster: &ClusterCoverage) -> Vec<Finding> {
    let finding = |conflict: &Conflict| {
        let name = |position: usize| cluster.jobs[position].job.name.as_str();
        let (one, other) = (name(conflict.jobs.0), name(conflict.jobs.1));
        let guests = named(cluster, conflict.guests.iter().copied());
        Finding::problem(
            "conflict",
            format!(
                "{one} and {other} own the same series (label {}) on {guests}: each removes what the other one keeps",
                conflict.label
            ),
        )
        .with_files([one.to_owned(), other.to_owned()])
        .with_guests(conflict.guests.iter().copied())
        .with_hint("give one of the jobs another --label, or let only one of them select these guests")
    };
    cluster.coverage.conflicts.iter().map(finding).collect()
}

/// One finding for each unknown tag, with its guests.
fn tag_findings(cluster: &ClusterCoverage) -> Vec<Finding> {
    let mut tags: BTreeMap<String, (&UnknownTag, Vec<Vmid>)> = BTreeMap::new();
    for one in &cluster.coverage.guests {
        for unknown in &one.unknown_tags {
            let entry = tags.entry(unknown.tag.to_lowercase());
            let (_, guests) = entry.or_insert((unknown, Vec::new()));
            guests.push(one.guest.vmid);
        }
    }
    let finding = |(tag, (unknown, guests)): (String, (&UnknownTag, Vec<Vmid>))| {
        let named = named(cluster, guests.iter().copied());
        let meant = unknown
            .nearest
            .as_ref()
            .map_or_else(String::new, |nearest| format!(" (nearest tag: {nearest})"));
        Finding::problem(
            "unknown-tag",
            format!(
                "tag {tag} of {named}: no job selects it{meant}; no snapshot is removed because of it"
            ),
        )
        .with_guests(guests)
        .with_hint(format!(
            "correct the tag, or add a job with --vmid=@tag-{tag}"
        ))
    };
    tags.into_iter().map(finding).collect()
}

/// Guests that no job protects, and snapshots that no job removes.
fn coverage_findings(cluster: &ClusterCoverage) -> Vec<Finding> {
    let mut found = Vec::new();
    let of_state = |state: CoverageState| {
        let guests = cluster.coverage.guests.iter();
        guests.filter(move |one| one.state == state)
    };
    let uncovered: Vec<Vmid> = of_state(CoverageState::Uncovered).map(vmid).collect();
    if !uncovered.is_empty() {
        let guests = named(cluster, uncovered.iter().copied());
        found.push(
            Finding::problem("uncovered", format!("in no job: {guests}"))
                .with_guests(uncovered)
                .with_hint(
                    "add a tag that a job selects, or autosnap-off to leave a guest out on purpose",
                ),
        );
    }
    let unknown: Vec<Vmid> = of_state(CoverageState::Unknown).map(vmid).collect();
    if !unknown.is_empty() {
        let guests = named(cluster, unknown.iter().copied());
        let text =
            format!("in no job as far as is known, because the node sends no statistics: {guests}");
        found.push(Finding::problem("unknown", text).with_guests(unknown));
    }
    for one in &cluster.coverage.guests {
        found.extend(left_finding(cluster, one));
    }
    let mut unread: BTreeMap<&str, Vec<Vmid>> = BTreeMap::new();
    for one in &cluster.coverage.guests {
        if let Some(reason) = &one.unread {
            unread.entry(reason).or_default().push(vmid(one));
        }
    }
    found.extend(unread.into_iter().map(|(reason, guests)| {
        let named = named(cluster, guests.iter().copied());
        let text = format!("the snapshots of {named} cannot be read: {reason}");
        Finding::problem("unread", text).with_guests(guests)
    }));
    found
}

/// Snapshots whose jobs do not select the guest: a lost tag, or a guest that has moved to another job.
fn left_finding(cluster: &ClusterCoverage, one: &GuestCoverage) -> Option<Finding> {
    if one.left.is_empty() {
        return None;
    }
    let left = left(cluster, one);
    let guest = guest_name(&one.guest);
    let files = one.left.iter();
    let files = files.map(|left| cluster.jobs[left.job].job.name.clone());
    let finding = if one.state == CoverageState::LostPolicy || lost_tag(cluster, one) {
        // Another job protects the guest, but with fewer snapshots than its policy says.
        let severity = if one.state == CoverageState::LostPolicy {
            Severity::Problem
        } else {
            Severity::Warning
        };
        let text = format!("{guest} lost its policy tag but still has {left}; they are kept");
        Finding::new(severity, "lost-policy", text)
            .with_hint("a rollback restores the old tags of a guest: add the tag again")
    } else {
        let text = format!(
            "{guest} still has {left}, which does not select it any more; no job removes them"
        );
        Finding::new(Severity::Note, "left-snapshots", text)
    };
    Some(finding.with_files(files).with_guests([one.guest.vmid]))
}

/// Whether the guest has no policy tag, but snapshots of a job that selects by one.
fn lost_tag(cluster: &ClusterCoverage, one: &GuestCoverage) -> bool {
    let by_tag = |left: &LeftSnapshots| {
        let selection = &cluster.jobs[left.job].job.settings.selection;
        selection.named_tags().any(is_policy_tag)
    };
    one.left.iter().any(by_tag) && !one.guest.tags.iter().any(|tag| is_policy_tag(tag))
}

/// `7 snapshots of gold.conf and 1 snapshot of silver.conf`
pub(super) fn left(cluster: &ClusterCoverage, one: &GuestCoverage) -> String {
    let parts = one.left.iter().map(|left| {
        let plural = if left.count == 1 { "" } else { "s" };
        let name = &cluster.jobs[left.job].job.name;
        format!("{} snapshot{plural} of {name}", left.count)
    });
    parts.collect::<Vec<_>>().join(" and ")
}

fn vmid(one: &GuestCoverage) -> Vmid {
    one.guest.vmid
}

/// `VM 100 (web01), CT 105 (dns)`, and how many more there are.
fn named(cluster: &ClusterCoverage, vmids: impl Iterator<Item = Vmid>) -> String {
    let mut guests: Vec<Vmid> = vmids.collect();
    guests.sort_unstable();
    let names = guests.iter().take(NAMED_GUESTS).map(|vmid| {
        let mut known = cluster.coverage.guests.iter();
        let guest = known.find(|one| one.guest.vmid == *vmid);
        guest.map_or_else(|| vmid.to_string(), |one| guest_name(&one.guest))
    });
    let names = names.collect::<Vec<_>>().join(", ");
    match guests.len().saturating_sub(NAMED_GUESTS) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

fn guest_name(guest: &Guest) -> String {
    let (kind, vmid) = (guest.kind.short_name(), guest.vmid);
    match &guest.name {
        Some(name) => format!("{kind} {vmid} ({name})"),
        None => format!("{kind} {vmid}"),
    }
}
