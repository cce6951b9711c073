// SPDX-License-Identifier: GPL-3.0-only
//! The rules that derive findings from the data that was read, without requests.
//!
//! The rules for hosts, quorum and selection are here; the others are in the submodules.

mod guests;
mod migration;
mod privileges;
mod storages;

use std::sync::Arc;

use autosnap_core::plan::{Decision, GuestPlan, Refusal};
use autosnap_core::select::SelectionWarning;
use autosnap_core::warning::Warning;
use pve_client::OtherCluster;

use super::finding::Finding;
use super::reading::{ClusterReading, HostReading, HostState, Reading};
use super::settings::Settings;
use crate::severity::Severity;

/// The clock difference, in seconds, from which on it is reported. `Date` is exact to a second, and replies may take a
/// few.
const CLOCK_TOLERANCE: i64 = 30;

/// How many days before its expiry a certificate is reported: an automatic renewal is due earlier.
const CERTIFICATE_WARNING_DAYS: i64 = 10;

/// Applies all rules. `accepts_any`: no certificate is checked. `now` is in seconds since the epoch.
pub(super) fn apply(
    settings: &Settings,
    reading: &Reading,
    accepts_any: bool,
    now: i64,
) -> Vec<Finding> {
    let blocks = reading.cluster.is_none();
    let mut findings: Vec<Finding> = reading
        .hosts
        .iter()
        .flat_map(|host| check_host(host, blocks, now))
        .collect();
    findings.extend(check_clusters(&reading.hosts));
    findings.extend(reading.not_connected.clone().map(Finding::RunFails));
    if accepts_any {
        findings.push(any_certificate(&reading.hosts));
    }
    findings.extend(settings.option_findings.iter().cloned());
    if let Some(cluster) = &reading.cluster {
        findings.extend(check_quorum(cluster));
        findings.extend(check_selection(settings, cluster));
        findings.extend(privileges::check(settings, &reading.login, cluster));
        findings.extend(guests::check(settings, cluster));
        findings.extend(storages::check(settings, cluster));
        findings.extend(check_dry_run(cluster, &findings));
    }
    findings
}

fn check_host(host: &HostReading, blocks: bool, now: i64) -> Vec<Finding> {
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
    let expiry = host.certificate.as_ref().and_then(|shown| shown.not_after);
    let days = expiry.map(|expiry| (expiry - now).div_euclid(86_400));
    let soon = days.filter(|days| *days < CERTIFICATE_WARNING_DAYS);
    findings.extend(soon.map(|days| Finding::CertificateEnds { host: name, days }));
    findings
}

/// Compares every host with the first one whose cluster is known.
fn check_clusters(hosts: &[HostReading]) -> Vec<Finding> {
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

/// Lost quorum, or a quorum that the login may not see.
fn check_quorum(cluster: &ClusterReading) -> Option<Finding> {
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

/// The warnings of the dry run, about the selection and otherwise.
fn check_selection(settings: &Settings, cluster: &ClusterReading) -> Vec<Finding> {
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
    findings.extend(others.into_iter().chain(entries).map(finding_for));
    findings
}

/// The finding for a warning of the dry run that is not a failure, or that is about an entry of a listing.
fn finding_for(warning: &Warning) -> Finding {
    match warning {
        Warning::Term(term) => Finding::EmptyTerm(term.clone()),
        Warning::NoStatistics { node } => Finding::NodeWithoutStatistics(node.clone()),
        Warning::UnreadableEntry(entry) => Finding::UnreadableEntry(entry.clone()),
        Warning::Terms { .. }
        | Warning::InvalidTerm(_)
        | Warning::EmptyExclusion(_)
        | Warning::NamedTaggedOff(_)
        | Warning::UncertainSelection(_)
        | Warning::Collision { .. }
        | Warning::TimestampFormat(_)
        | Warning::NothingIsRemoved
        | Warning::Hook(_)
        | Warning::OldStatistics { .. }
        | Warning::AmbiguousNames { .. }
        | Warning::RemovalLimit { .. }
        | Warning::OtherFormat { .. }
        | Warning::UnknownLabel { .. }
        | Warning::SimilarLabel { .. }
        | Warning::UnknownTimeZone { .. }
        | Warning::WaitedForRun { .. }
        | Warning::NoOverlapLock(_)
        | Warning::PasswordNotStored(_) => Finding::RunWarns(warning.clone()),
    }
}

/// The error that ended the dry run, or a failure of it that no other finding explains.
fn check_dry_run(cluster: &ClusterReading, findings: &[Finding]) -> Option<Finding> {
    let dry_run = &cluster.dry_run;
    let is_exclusion = |finding: &Finding| matches!(finding, Finding::UnresolvedExclusion(_));
    if let Some(error) = &dry_run.error {
        let is_explained = findings.iter().any(is_exclusion);
        return (!is_explained).then(|| Finding::RunFails(Arc::clone(error)));
    }
    let is_problem = |finding: &Finding| finding.severity() == Severity::Problem;
    let fails = !dry_run.succeeds() && !findings.iter().any(is_problem);
    fails.then_some(Finding::DryRunFails)
}

#[cfg(test)]
mod tests;
