// SPDX-License-Identifier: GPL-3.0-only
//! Names, tags and pools of the guests in generated clusters.
//!
//! Limits: the pools are fixed; a small cluster may not use all of them.

/// The purpose of a guest.
#[derive(Debug)]
pub(super) struct Role {
    /// First part of the guest's name; a number follows.
    pub(super) name: &'static str,
    /// The matching tag.
    pub(super) tag: &'static str,
    /// Whether it can be a container.
    pub(super) may_be_container: bool,
}

const fn role(name: &'static str, tag: &'static str, may_be_container: bool) -> Role {
    Role {
        name,
        tag,
        may_be_container,
    }
}

/// All purposes, with equal probability.
pub(super) const ROLES: &[Role] = &[
    role("web", "web", true),
    role("app", "web", true),
    role("proxy", "web", true),
    role("db", "db", true),
    role("db-replica", "db", false),
    role("cache", "db", true),
    role("mail", "mail", false),
    role("dns", "infra", true),
    role("ldap", "infra", true),
    role("vpn", "infra", false),
    role("monitor", "infra", true),
    role("log", "infra", true),
    role("files", "files", true),
    role("print", "files", false),
    role("git", "dev", true),
    role("ci-runner", "dev", true),
    role("wiki", "office", true),
    role("erp", "office", false),
    role("crm", "office", false),
    role("Win-App", "windows", false),
    role("desktop", "windows", false),
    role("k8s-node", "k8s", false),
];

/// The environments of guests; production is listed twice, because most guests belong to it.
pub(super) const ENVIRONMENTS: &[&str] = &["prod", "prod", "test", "dev"];

/// Pools with their comments; PVE supports nested pools since 8.1.
pub(super) const POOLS: &[(&str, &str)] = &[
    ("prod", "production guests"),
    ("prod/data", "databases and mail"),
    ("prod/frontend", "what customers see"),
    ("lab", "everything that may break"),
    ("lab/windows", ""),
];

/// The pool for a guest.
pub(super) fn pool(environment: &str, role: &Role) -> &'static str {
    match (environment, role.tag) {
        ("prod", "web") => "prod/frontend",
        ("prod", "db" | "mail") => "prod/data",
        ("prod", _) => "prod",
        (_, "windows") => "lab/windows",
        _ => "lab",
    }
}
