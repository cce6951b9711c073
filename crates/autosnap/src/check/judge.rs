// SPDX-License-Identifier: GPL-3.0-only
//! From what was read to what was found: pure judgement.
//!
//! The hosts and the login are judged here, guests in `guests`, storages in `storages`.

mod guests;
mod migration;
mod privileges;
mod storages;

use std::sync::Arc;

use autosnap_core::plan::{Decision, GuestPlan, Refusal};
use autosnap_core::select::SelectionWarning;
use autosnap_core::warning::Warning;
use pve_client::OtherCluster;

use super::Settings;
use super::finding::{Finding, Severity};
use super::reading::{ClusterReading, HostReading, HostState, Reading};

/// From how many seconds on a clock that differs is worth a word. `Date` is exact to a second, and
/// answers may take a few.
const CLOCK_TOLERANCE: i64 = 30;

/// How many days before its end a certificate is worth a word: so late that whatever renews it
/// should have done so.
const CERTIFICATE_WARNING_DAYS: i64 = 10;

/// Judges everything. `accepts_any` says that no certificate is checked, `now` is in seconds since
/// the epoch.
pub(super) fn judge(
    settings: &Settings,
    reading: &Reading,
    accepts_any: bool,
    now: i64,
) -> Vec<Finding> {
    let blocks = reading.cluster.is_none();
    let mut findings: Vec<Finding> = reading
        .hosts
        .iter()
        .flat_map(|host| judge_host(host, blocks, now))
        .collect();
    findings.extend(judge_clusters(&reading.hosts));
    findings.extend(reading.not_connected.clone().map(Finding::RunFails));
    if accepts_any {
        findings.push(any_certificate(&reading.hosts));
    }
    findings.extend(settings.option_findings.iter().cloned());
    if let Some(cluster) = &reading.cluster {
        findings.extend(judge_quorum(cluster));
        findings.extend(judge_selection(settings, cluster));
        findings.extend(privileges::judge(settings, &reading.login, cluster));
        findings.extend(guests::judge(settings, cluster));
        findings.extend(storages::judge(settings, cluster));
        findings.extend(judge_end(cluster, &findings));
    }
    findings
}

fn judge_host(host: &HostReading, blocks: bool, now: i64) -> Vec<Finding> {
    let name = host.endpoint.to_string();
    let mut findings = Vec::new();
    match &host.state {
        HostState::Unreachable(reason) => findings.push(Finding::HostUnreachable {
            host: name.clone(),
            reason: reason.clone(),
            blocks,
        }),
        HostState::Refused(reason) => findings.push(Finding::HostRefuses {
            host: name.clone(),
            reason: reason.clone(),
            blocks,
        }),
        HostState::Ok { clock_lead, .. } => {
            let far = clock_lead.filter(|lead| lead.abs() >= CLOCK_TOLERANCE);
            findings.extend(far.map(|seconds| Finding::ClockDiffers {
                host: name.clone(),
                seconds,
            }));
        }
    }
    let ends = host.certificate.as_ref().and_then(|shown| shown.not_after);
    let days = ends.map(|ends| (ends - now).div_euclid(86_400));
    let soon = days.filter(|days| *days < CERTIFICATE_WARNING_DAYS);
    findings.extend(soon.map(|days| Finding::CertificateEnds { host: name, days }));
    findings
}

/// Every host is compared with the first that names its cluster.
fn judge_clusters(hosts: &[HostReading]) -> Vec<Finding> {
    let mut named = hosts
        .iter()
        .filter_map(|host| Some((&host.endpoint, host.cluster.as_ref()?)));
    let Some((reference, expected)) = named.next() else {
        return Vec::new();
    };
    let others = named.filter(|(_, found)| !expected.is_compatible_with(found));
    let others = others.map(|(endpoint, found)| OtherCluster {
        reference: reference.clone(),
        expected: expected.clone(),
        endpoint: endpoint.clone(),
        found: found.clone(),
    });
    others.map(Box::new).map(Finding::OtherCluster).collect()
}

fn any_certificate(hosts: &[HostReading]) -> Finding {
    let shown = hosts.iter().filter_map(|host| host.certificate.as_ref());
    let mut pins: Vec<String> = shown.map(|shown| shown.fingerprint.to_string()).collect();
    pins.sort_unstable();
    pins.dedup();
    Finding::AnyCertificate { pins }
}

/// A login that does not see the quorum cannot be told whether runs will fail.
fn judge_quorum(cluster: &ClusterReading) -> Option<Finding> {
    let Some(status) = &cluster.status else {
        return Some(Finding::QuorumUnknown);
    };
    let is_refused = |plan: &GuestPlan| match &plan.decision {
        Decision::Refuse(refusal) => *refusal == Refusal::NoQuorum,
        Decision::Skip(_) | Decision::Proceed(_) => false,
    };
    (status.quorate == Some(false)).then(|| Finding::NoQuorum {
        blocks: cluster.dry_run.guests().iter().any(is_refused),
    })
}

/// What the run would say of the selection, and its other warnings.
fn judge_selection(settings: &Settings, cluster: &ClusterReading) -> Vec<Finding> {
    let dry_run = &cluster.dry_run;
    let mut findings = Vec::new();
    if dry_run.error.is_none() && dry_run.selected() == 0 && !dry_run.succeeds() {
        findings.push(Finding::NothingSelected);
    }
    let (missing, others): (Vec<&Warning>, Vec<&Warning>) =
        dry_run.record.warnings.iter().partition(|warning| {
            warning.is_failure() && !matches!(warning, Warning::UnreadableEntry(_))
        });
    findings.extend(missing.into_iter().cloned().map(Finding::MissingObject));
    if dry_run.error.is_some() {
        let evaluated = settings.job.selection.evaluate(&cluster.inventory);
        let violates = |warning: &SelectionWarning| warning.violates(settings.job.exclusions);
        let violations = evaluated.warnings.into_iter().filter(violates);
        findings.extend(violations.map(Finding::UnresolvedExclusion));
    }
    let (entries, others): (Vec<&Warning>, Vec<&Warning>) = others
        .into_iter()
        .partition(|warning| matches!(warning, Warning::UnreadableEntry(_)));
    findings.extend(others.into_iter().chain(entries).map(judge_warning));
    findings
}

/// The finding for a warning of the dry run that is no failure, or about an entry of a listing.
fn judge_warning(warning: &Warning) -> Finding {
    match warning {
        Warning::Term(term) => Finding::EmptyTerm(term.clone()),
        Warning::NoStatistics { node } => Finding::NodeWithoutStatistics(node.clone()),
        Warning::UnreadableEntry(entry) => Finding::UnreadableEntry(entry.clone()),
        Warning::Terms { .. }
        | Warning::InvalidTerm(_)
        | Warning::EmptyExclusion(_)
        | Warning::UncertainSelection(_)
        | Warning::Collision { .. }
        | Warning::TimestampFormat(_)
        | Warning::Hook(_)
        | Warning::OldStatistics { .. }
        | Warning::AmbiguousNames { .. }
        | Warning::RemovalLimit { .. }
        | Warning::OtherFormat { .. }
        | Warning::UnknownLabel { .. }
        | Warning::SimilarLabel { .. }
        | Warning::Other(_) => Finding::RunWarns(warning.clone()),
    }
}

/// What ends the dry run as a whole; and whatever makes it fail without a finding that says so.
fn judge_end(cluster: &ClusterReading, findings: &[Finding]) -> Option<Finding> {
    let dry_run = &cluster.dry_run;
    let is_exclusion = |finding: &Finding| matches!(finding, Finding::UnresolvedExclusion(_));
    if let Some(error) = &dry_run.error {
        let is_named = findings.iter().any(is_exclusion);
        return (!is_named).then(|| Finding::RunFails(Arc::clone(error)));
    }
    let is_problem = |finding: &Finding| finding.severity() == Severity::Problem;
    let fails = !dry_run.succeeds() && !findings.iter().any(is_problem);
    fails.then_some(Finding::DryRunFails)
}

#[cfg(test)]
mod tests;
