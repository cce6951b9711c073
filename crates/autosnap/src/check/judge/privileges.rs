// SPDX-License-Identifier: GPL-3.0-only
//! What the login may do, held against what a run needs.
//!
//! `GET /access/permissions` lists the paths with an entry of their own (`PVE/RPCEnvironment.pm`,
//! `get_effective_permissions`); what lies below inherits what is passed on. Paths on which nothing
//! is allowed are left out, so that a guest shut off by `NoAccess` would seem to inherit; but such
//! a guest is not listed either, and never comes here.

use std::collections::{BTreeMap, BTreeSet};

use super::guests::read_guests;
use crate::check::Settings;
use crate::check::finding::{Finding, Grant, Severity};
use crate::check::reading::{ClusterReading, Login, Privileges};
use crate::setup;

/// Judges the login.
pub(super) fn judge(settings: &Settings, login: &Login, cluster: &ClusterReading) -> Vec<Finding> {
    let Some(privileges) = &cluster.privileges else {
        return Vec::new();
    };
    let grant = |path: &str| grant(login, cluster.separated, path);
    if privileges.values().all(BTreeMap::is_empty) {
        return vec![Finding::NoPrivileges { grant: grant("/") }];
    }
    let missing = |path: &str, privilege, severity, consequence| Finding::MissingPrivilege {
        grant: grant(path),
        path: path.to_owned(),
        privilege,
        severity,
        consequence,
    };
    let mut findings = Vec::new();
    if !holds(privileges, "/vms", "VM.Audit") {
        let nothing = cluster.selected == 0;
        let severity = if nothing {
            Severity::Problem
        } else {
            Severity::Note
        };
        let consequence = "only the guests it is granted on are seen and selected";
        findings.push(missing("/vms", "VM.Audit", severity, consequence));
    }
    for path in without_snapshot(privileges, cluster) {
        let consequence = "no snapshot can be taken or removed";
        findings.push(missing(
            &path,
            "VM.Snapshot",
            Severity::Problem,
            consequence,
        ));
    }
    for storage in unseen_storages(cluster) {
        let consequence = "how full it is cannot be checked";
        let path = format!("/storage/{storage}");
        findings.push(missing(
            &path,
            "Datastore.Audit",
            Severity::Warning,
            consequence,
        ));
    }
    for pool in unseen_pools(settings, privileges, cluster) {
        let consequence = "the guests of the pool cannot be selected by it";
        let path = format!("/pool/{pool}");
        findings.push(missing(&path, "Pool.Audit", Severity::Problem, consequence));
    }
    findings
}

/// Whether the login holds a privilege on a path, by its own entry or by what the nearest entry
/// above passes on.
pub(super) fn holds(privileges: &Privileges, path: &str, privilege: &str) -> bool {
    if let Some(on_path) = privileges.get(path) {
        return on_path.contains_key(privilege);
    }
    let mut above = path;
    while let Some((parent, _)) = above.rsplit_once('/') {
        above = parent;
        let entry = if above.is_empty() { "/" } else { above };
        if let Some(on_path) = privileges.get(entry) {
            return on_path.get(privilege) == Some(&true);
        }
    }
    false
}

/// One path for all, if no guest has the privilege, else each guest's.
fn without_snapshot(privileges: &Privileges, cluster: &ClusterReading) -> Vec<String> {
    let lacks = |path: &String| !holds(privileges, path, "VM.Snapshot");
    let all: Vec<String> = cluster
        .guests
        .iter()
        .map(|reading| format!("/vms/{}", reading.guest.vmid))
        .collect();
    let lacking: Vec<String> = all.iter().filter(|path| lacks(path)).cloned().collect();
    if lacking.len() > 1 && lacking.len() == all.len() {
        vec!["/vms".to_owned()]
    } else {
        lacking
    }
}

/// Storages with disks of the guests that PVE does not list for this login. Storages of the guests'
/// nodes are listed by name even while they do not answer.
fn unseen_storages(cluster: &ClusterReading) -> BTreeSet<&str> {
    let seen: BTreeSet<&str> = cluster
        .inventory
        .storages
        .iter()
        .map(|usage| usage.storage.as_str())
        .collect();
    let used = read_guests(cluster).flat_map(|(_, details)| details.config.storages());
    used.filter(|storage| !seen.contains(storage)).collect()
}

/// Pools that the selection names, PVE does not list and the login has no privilege on.
fn unseen_pools<'a>(
    settings: &'a Settings,
    privileges: &Privileges,
    cluster: &ClusterReading,
) -> Vec<&'a str> {
    let terms = settings.selection.as_str().split(',').map(str::trim);
    let named = terms.filter_map(|term| term.trim_start_matches('-').strip_prefix("@pool-"));
    let is_listed = |pool: &str| {
        let mut pools = cluster.inventory.pools.iter();
        pools.any(|listed| listed.eq_ignore_ascii_case(pool))
    };
    named
        .filter(|pool| {
            !is_listed(pool) && !holds(privileges, &format!("/pool/{pool}"), "Pool.Audit")
        })
        .collect()
}

/// The command that grants the role, to the one who lacks it: a token without privileges of its own
/// has those of its user; of one with, it is nearly always the token that was forgotten. An entry for
/// the other could take away what they inherit (see [`setup::grant`]).
fn grant(login: &Login, separated: Option<bool>, path: &str) -> Grant {
    let user = &login.user;
    let of_user = setup::grant(path, user);
    let of_token = |token| setup::grant(path, &format!("{user}!{token}"));
    match (&login.token, separated) {
        (None, _) | (Some(_), Some(false)) => Grant {
            command: of_user,
            otherwise: None,
        },
        (Some(token), Some(true)) => Grant {
            command: of_token(token),
            otherwise: Some(format!("if the user lacks it too, also {of_user}")),
        },
        (Some(token), None) => Grant {
            command: of_token(token),
            otherwise: Some(format!(
                "if the user lacks it too, also {of_user}, which alone is right for a token made with --privsep 0"
            )),
        },
    }
}
