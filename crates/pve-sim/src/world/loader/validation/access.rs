// SPDX-License-Identifier: GPL-3.0-only
//! Validates users, tokens, roles, grants and secrets.

use std::collections::BTreeSet;

use crate::access::{roles, split_token};
use crate::release::Release;

use super::super::Document;
use super::super::file::{CredentialsFile, WorldFile};
use super::{Findings, not_found, problem};

/// Top-level components of permission paths (`check_path` in `PVE/AccessControl.pm`).
const ACL_PATHS: &[&str] = &[
    "access", "mapping", "nodes", "pool", "sdn", "storage", "vms",
];

/// Validates users, tokens, roles and grants; returns all user IDs and full token IDs.
pub(super) fn check<'a>(
    world: &'a WorldFile,
    release: Release,
    findings: &mut Findings,
) -> BTreeSet<&'a str> {
    let mut roles = roles::predefined(release);
    let privileges: BTreeSet<String> = roles.values().flatten().cloned().collect();
    for (role, granted) in &world.roles {
        for privilege in granted.iter().filter(|one| !privileges.contains(*one)) {
            findings.error(format!("roles.{role}"), not_found("privilege", privilege));
        }
        roles.insert(role.clone(), granted.clone());
    }
    let entries = world.users.iter().enumerate();
    findings.unique(
        entries.map(|(index, user)| (format!("users[{index}].userid"), user.userid.as_str())),
    );
    let mut who: BTreeSet<&str> = BTreeSet::new();
    for (index, user) in world.users.iter().enumerate() {
        if user
            .userid
            .split('@')
            .filter(|part| !part.is_empty())
            .count()
            != 2
        {
            let text = format!("invalid user ID '{}': expected NAME@REALM", user.userid);
            findings.error(format!("users[{index}].userid"), text);
        }
        who.insert(&user.userid);
    }
    let entries = world.tokens.iter().enumerate();
    findings.unique(
        entries.map(|(index, token)| (format!("tokens[{index}].tokenid"), token.tokenid.as_str())),
    );
    for (index, token) in world.tokens.iter().enumerate() {
        let location = format!("tokens[{index}].tokenid");
        match split_token(&token.tokenid) {
            None => {
                let text = format!(
                    "invalid token ID '{}': expected NAME@REALM!TOKEN",
                    token.tokenid
                );
                findings.error(location, text);
            }
            Some((user, _)) if !who.contains(user) => {
                findings.error(location, not_found("user", user));
            }
            Some(_) => {}
        }
    }
    who.extend(world.tokens.iter().map(|token| token.tokenid.as_str()));
    for (index, line) in world.acl.iter().enumerate() {
        if !roles.contains_key(&line.role) {
            findings.error(format!("acl[{index}].role"), not_found("role", &line.role));
        }
        if !who.contains(line.who.as_str()) {
            let text = not_found("user or token", &line.who);
            findings.error(format!("acl[{index}].who"), text);
        }
        let top = line
            .path
            .strip_prefix('/')
            .map(|path| path.split('/').next());
        if line.path != "/" && !top.flatten().is_some_and(|top| ACL_PATHS.contains(&top)) {
            let text = format!("invalid permission path '{}'", line.path);
            findings.error(format!("acl[{index}].path"), text);
        }
    }
    who
}

/// Checks that every secret belongs to a known user or token.
pub(super) fn check_secrets(
    credentials: &CredentialsFile,
    who: &BTreeSet<&str>,
    findings: &mut Findings,
) {
    let lists = [
        ("passwords", &credentials.passwords),
        ("tokens", &credentials.tokens),
        ("totp", &credentials.totp),
    ];
    let mut unknown = Vec::new();
    let mut useful = false;
    for (list, secrets) in lists {
        for name in secrets.keys() {
            if who.contains(name.as_str()) {
                useful = true;
            } else {
                let kind = if list == "tokens" { "token" } else { "user" };
                let text = format!("{kind} '{name}' not found in the world");
                unknown.push(problem(
                    Document::Credentials,
                    format!("{list}.{name}"),
                    text,
                ));
            }
        }
    }
    if useful || unknown.is_empty() {
        findings.warnings.extend(unknown);
    } else {
        findings.errors.extend(unknown);
    }
}
