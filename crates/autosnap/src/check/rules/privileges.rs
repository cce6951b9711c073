// SPDX-License-Identifier: GPL-3.0-only
//! The rules for the privileges that a run needs.

use std::collections::BTreeSet;

use autosnap_core::plan::Decision;
use pve_client::Permissions;

use crate::check::finding::{Finding, Grant, Privilege};
use crate::check::login::Login;
use crate::check::reading::ClusterReading;
use crate::check::settings::Settings;
use crate::check::storages::Unlisted;
use crate::severity::Severity;

/// Checks the privileges of the login.
pub(super) fn check(settings: &Settings, login: &Login, cluster: &ClusterReading) -> Vec<Finding> {
    let Some(privileges) = &cluster.privileges else {
        return Vec::new();
    };
    let grant = |path: &str| Grant {
        path: path.to_owned(),
        login: login.clone(),
        separated: cluster.separated,
    };
    if privileges.is_empty() {
        return vec![Finding::NoPrivileges { grant: grant("/") }];
    }
    let missing = |path: &str, privilege, severity| Finding::MissingPrivilege {
        grant: grant(path),
        path: path.to_owned(),
        privilege,
        severity,
    };
    // A missing privilege is a problem if the dry run fails; another finding has the failure.
    let fails = !cluster.dry_run.succeeds();
    let problem_if = |fails, otherwise| if fails { Severity::Problem } else { otherwise };
    let mut findings = Vec::new();
    if !privileges.holds("/vms", "VM.Audit") {
        let severity = problem_if(fails && cluster.dry_run.selected() == 0, Severity::Note);
        findings.push(missing("/vms", Privilege::VmAudit, severity));
    }
    for path in without_snapshot(privileges, cluster) {
        findings.push(missing(&path, Privilege::VmSnapshot, Severity::Problem));
    }
    for storage in hidden_storages(cluster) {
        let path = format!("/storage/{storage}");
        findings.push(missing(&path, Privilege::DatastoreAudit, Severity::Warning));
    }
    for pool in hidden_pools(settings, privileges, cluster) {
        let severity = problem_if(fails, Severity::Warning);
        let path = format!("/pool/{pool}");
        findings.push(missing(&path, Privilege::PoolAudit, severity));
    }
    findings
}

/// The paths on which `VM.Snapshot` is missing: those of single guests, or `/vms` if it is missing for all of several.
fn without_snapshot(privileges: &Permissions, cluster: &ClusterReading) -> Vec<String> {
    // Skipped guests and those with nothing to do need no privilege.
    let needs_it = cluster
        .guests
        .iter()
        .filter(|reading| match &reading.plan.decision {
            Decision::Skip(_) => false,
            Decision::Refuse(_) => true,
            Decision::Proceed(steps) => steps.change_anything(),
        });
    let all: Vec<String> = needs_it
        .map(|reading| format!("/vms/{}", reading.guest().vmid))
        .collect();
    let lacks = |path: &&String| !privileges.holds(path, "VM.Snapshot");
    let lacking: Vec<String> = all.iter().filter(lacks).cloned().collect();
    if lacking.len() > 1 && lacking.len() == all.len() {
        vec!["/vms".to_owned()]
    } else {
        lacking
    }
}

/// Storages with disks of the guests for which the login lacks `Datastore.Audit`.
fn hidden_storages(cluster: &ClusterReading) -> BTreeSet<&str> {
    let unlisted = cluster.unlisted.iter();
    unlisted
        .filter(|(_, why)| **why == Unlisted::NotPermitted)
        .map(|((storage, _), _)| storage.as_str())
        .collect()
}

/// Pools of the selection that PVE does not list and for which the login lacks `Pool.Audit`.
fn hidden_pools<'a>(
    settings: &'a Settings,
    privileges: &Permissions,
    cluster: &ClusterReading,
) -> Vec<&'a str> {
    let is_listed = |pool: &str| {
        let mut pools = cluster.inventory.pools.iter();
        pools.any(|listed| listed.eq_ignore_ascii_case(pool))
    };
    let named = settings.job.selection.pools();
    named
        .filter(|pool| {
            !is_listed(pool) && !privileges.holds(&format!("/pool/{pool}"), "Pool.Audit")
        })
        .collect()
}
