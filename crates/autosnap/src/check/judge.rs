// SPDX-License-Identifier: GPL-3.0-only
//! From what was read to what was found: pure judgement.
//!
//! The hosts and the login are judged here, guests in `guests`, storages in `storages`.

mod guests;
mod migration;
mod privileges;
mod storages;

use pve_client::OtherCluster;

use super::Settings;
use super::finding::Finding;
use super::reading::{ClusterReading, HostReading, HostState, Reading};

/// From how many seconds on a clock that differs is worth a word. `Date` is exact to a second, and
/// answers may take a few.
const CLOCK_TOLERANCE: i64 = 30;

/// How many days before its end a certificate is worth a word: so late that whatever renews it
/// should have done so.
const CERTIFICATE_WARNING_DAYS: i64 = 10;

/// Judges everything. `accepts_any` says that no certificate is checked, `now` is in seconds since
/// the epoch.
pub fn judge(settings: &Settings, reading: &Reading, accepts_any: bool, now: i64) -> Vec<Finding> {
    let mut findings: Vec<Finding> = reading
        .hosts
        .iter()
        .flat_map(|host| judge_host(host, now))
        .collect();
    findings.extend(judge_clusters(&reading.hosts));
    if accepts_any {
        findings.push(any_certificate(&reading.hosts));
    }
    findings.extend(settings.name_trouble.clone().map(Finding::InvalidName));
    findings.extend(
        settings
            .format_warning
            .clone()
            .map(Finding::TimestampFormat),
    );
    findings.extend(settings.hook_trouble.clone().map(Finding::InvalidHook));
    if let Some(cluster) = &reading.cluster {
        findings.extend(judge_selection(settings, cluster));
        findings.extend(privileges::judge(settings, &reading.login, cluster));
        findings.extend(guests::judge(cluster));
        if settings.strict {
            findings.extend(guests::judge_skips(cluster));
        }
        findings.extend(storages::judge(settings, cluster));
    }
    findings
}

fn judge_host(host: &HostReading, now: i64) -> Vec<Finding> {
    let name = host.endpoint.to_string();
    let mut findings = Vec::new();
    match &host.state {
        HostState::Unreachable(reason) => findings.push(Finding::HostUnreachable {
            host: name.clone(),
            reason: reason.clone(),
        }),
        HostState::Refused(reason) => findings.push(Finding::HostRefuses {
            host: name.clone(),
            reason: reason.clone(),
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
    let others = named.filter(|(_, found)| !expected.may_equal(found));
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

fn judge_selection(settings: &Settings, cluster: &ClusterReading) -> Vec<Finding> {
    let mut findings = Vec::new();
    let status = cluster.status.as_ref();
    if status.is_some_and(|status| status.quorate == Some(false)) {
        findings.push(Finding::NoQuorum);
    }
    if cluster.selected == 0 {
        findings.push(Finding::NothingSelected);
    }
    let terms = cluster.warnings.iter().map(|warning| {
        let text = warning.to_string();
        if warning.violates(settings.exclusions) {
            Finding::UnresolvedExclusion(text)
        } else if warning.is_missing_object() || warning.may_miss_a_guest() {
            Finding::MissingObject(text)
        } else {
            Finding::EmptyTerm(text)
        }
    });
    findings.extend(terms);
    let entries = cluster.inventory.unreadable.iter().cloned();
    findings.extend(entries.map(Finding::EntryNotRead));
    findings
}

#[cfg(test)]
mod tests;
