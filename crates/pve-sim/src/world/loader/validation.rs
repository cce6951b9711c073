// SPDX-License-Identifier: GPL-3.0-only
//! Validates a world file and its credentials.
//!
//! Errors are states that a cluster cannot have and likely typos: duplicate IDs, unknown names,
//! unknown values. Warnings are states that PVE tolerates: a disk on a removed storage, a snapshot
//! without its parent, a guest in two pools (`parse_user_config` in `PVE/AccessControl.pm` warns as
//! well). Secrets of unknown users are warnings because several worlds may share a credentials
//! file.

mod access;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::release::Release;
use crate::schema::Schema;
use crate::world::guest::{Config, GuestKind, volumes};

use super::file::{CredentialsFile, GuestFile, KindFile, StorageFile, WorldFile};
use super::{Document, LoadError, Problem};

/// Valid VMIDs (`pve-vmid` in `PVE/JSONSchema.pm`).
const VMIDS: std::ops::RangeInclusive<u32> = 100..=999_999_999;

/// PVE's storage types, including those removed in PVE 9.
const STORAGE_TYPES: &[&str] = &[
    "btrfs",
    "cephfs",
    "cifs",
    "dir",
    "esxi",
    "glusterfs",
    "iscsi",
    "iscsidirect",
    "lvm",
    "lvmthin",
    "nfs",
    "pbs",
    "rbd",
    "zfs",
    "zfspool",
];

/// Content types of storages (`pve-storage-content` in `PVE/Storage/Plugin.pm`).
const CONTENT: &[&str] = &[
    "backup", "images", "import", "iso", "none", "rootdir", "snippets", "vztmpl",
];

/// Values of `lock` for virtual machines (`PVE/QemuServer.pm`).
const VM_LOCKS: &[&str] = &[
    "backup",
    "clone",
    "create",
    "migrate",
    "rollback",
    "snapshot",
    "snapshot-delete",
    "suspended",
    "suspending",
];

/// Values of `lock` for containers (`PVE/LXC/Config.pm`).
const CT_LOCKS: &[&str] = &[
    "backup",
    "create",
    "destroyed",
    "disk",
    "fstrim",
    "migrate",
    "mounted",
    "rollback",
    "snapshot",
    "snapshot-delete",
];

/// Validates the files and returns warnings.
///
/// # Errors
///
/// All errors, in the order of the files.
pub(super) fn check(
    world: &WorldFile,
    credentials: &CredentialsFile,
    release: Release,
) -> Result<Vec<Problem>, LoadError> {
    let mut findings = Findings::default();
    let nodes = nodes(world, &mut findings);
    let storages = storages(world, &nodes, &mut findings);
    guests(world, &nodes, &storages, &mut findings);
    pools(world, &storages, &mut findings);
    let who = access::check(world, release, &mut findings);
    access::check_secrets(credentials, &who, &mut findings);
    if findings.errors.is_empty() {
        Ok(findings.warnings)
    } else {
        Err(LoadError {
            problems: findings.errors,
        })
    }
}

/// Adds the VMID or name of the guest, storage or pool to a location.
pub(super) fn describe_location(file: &Value, location: &str) -> String {
    let Some((list, rest)) = location.split_once('[') else {
        return location.to_owned();
    };
    let (Some((index, _)), Some(list)) = (rest.split_once(']'), file.get(list)) else {
        return location.to_owned();
    };
    let element = index.parse().ok().and_then(|index: usize| list.get(index));
    let name = element.and_then(|element| {
        ["vmid", "storage", "poolid", "userid", "tokenid"]
            .iter()
            .find_map(|key| Some((key, element.get(key)?)))
    });
    match name {
        Some((&"vmid", vmid)) => format!("{location} (guest {vmid})"),
        Some((_, name)) => format!("{location} ({})", name.as_str().unwrap_or_default()),
        None => location.to_owned(),
    }
}

#[derive(Default)]
struct Findings {
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Findings {
    fn error(&mut self, location: impl Into<String>, text: impl Into<String>) {
        self.errors.push(problem(Document::World, location, text));
    }

    fn warning(&mut self, location: impl Into<String>, text: impl Into<String>) {
        self.warnings.push(problem(Document::World, location, text));
    }

    /// Rejects a value that PVE does not know.
    fn known_value(&mut self, location: impl Into<String>, value: &str, known: &[&str]) {
        if !known.contains(&value) {
            let text = format!(
                "unknown value '{value}', expected one of {}",
                known.join(", ")
            );
            self.error(location, text);
        }
    }

    /// Rejects duplicate names in a list.
    fn unique<T: Ord + ToString>(&mut self, names: impl IntoIterator<Item = (String, T)>) {
        let mut seen: BTreeMap<T, String> = BTreeMap::new();
        for (location, name) in names {
            if let Some(first) = seen.get(&name) {
                let text = format!("duplicate '{}', first used at {first}", name.to_string());
                self.error(location, text);
            } else {
                seen.insert(name, location);
            }
        }
    }
}

fn problem(document: Document, location: impl Into<String>, text: impl Into<String>) -> Problem {
    Problem {
        document,
        location: location.into(),
        text: text.into(),
    }
}

fn nodes<'a>(world: &'a WorldFile, findings: &mut Findings) -> BTreeSet<&'a str> {
    let cluster = &world.cluster;
    if cluster.nodes.is_empty() {
        findings.error("cluster.nodes", "a cluster needs at least one node");
    }
    let entries = cluster.nodes.iter().enumerate();
    findings.unique(
        entries.map(|(index, node)| (format!("cluster.nodes[{index}].name"), node.name.as_str())),
    );
    let names: BTreeSet<&str> = cluster
        .nodes
        .iter()
        .map(|node| node.name.as_str())
        .collect();
    if let Some(this) = &cluster.this_node
        && !names.contains(this.as_str())
    {
        findings.error("cluster.this_node", not_found("node", this));
    }
    names
}

fn storages<'a>(
    world: &'a WorldFile,
    nodes: &BTreeSet<&str>,
    findings: &mut Findings,
) -> BTreeSet<&'a str> {
    let entries = world.storages.iter().enumerate();
    findings.unique(entries.map(|(index, storage)| {
        (
            format!("storages[{index}].storage"),
            storage.storage.as_str(),
        )
    }));
    for (index, storage) in world.storages.iter().enumerate() {
        let location = |member: &str| format!("storages[{index}].{member} ({})", storage.storage);
        // A third-party plugin: the world must declare its snapshot formats.
        if storage.snapshots.is_none() {
            findings.known_value(location("type"), &storage.kind, STORAGE_TYPES);
        }
        for value in &storage.content {
            findings.known_value(location("content"), value, CONTENT);
        }
        for (member, node) in nodes_of(storage) {
            if !nodes.contains(node) {
                findings.error(location(member), not_found("node", node));
            }
        }
    }
    world
        .storages
        .iter()
        .map(|storage| storage.storage.as_str())
        .collect()
}

fn nodes_of(storage: &StorageFile) -> impl Iterator<Item = (&'static str, &str)> {
    let listed = storage
        .nodes
        .iter()
        .flatten()
        .map(|node| ("nodes", node.as_str()));
    listed.chain(storage.usage.keys().map(|node| ("usage", node.as_str())))
}

fn guests(
    world: &WorldFile,
    nodes: &BTreeSet<&str>,
    storages: &BTreeSet<&str>,
    findings: &mut Findings,
) {
    let entries = world.guests.iter().enumerate();
    findings.unique(entries.map(|(index, guest)| (format!("guests[{index}].vmid"), guest.vmid)));
    for kind in world.guest_defaults.keys() {
        findings.known_value(format!("guest_defaults.{kind}"), kind, &["qemu", "lxc"]);
    }
    for (index, guest) in world.guests.iter().enumerate() {
        let path = GuestPath { index, guest };
        if !VMIDS.contains(&guest.vmid) {
            let text = format!("VMID must be between {} and {}", VMIDS.start(), VMIDS.end());
            findings.error(path.member("vmid"), text);
        }
        if !nodes.contains(guest.node.as_str()) {
            findings.error(path.member("node"), not_found("node", &guest.node));
        }
        config(&path, storages, findings);
        snapshots(&path, findings);
    }
}

/// A guest and its index in the file.
struct GuestPath<'a> {
    index: usize,
    guest: &'a GuestFile,
}

impl GuestPath<'_> {
    fn member(&self, member: &str) -> String {
        format!(
            "guests[{}].{member} (guest {})",
            self.index, self.guest.vmid
        )
    }
}

fn config(path: &GuestPath<'_>, storages: &BTreeSet<&str>, findings: &mut Findings) {
    let guest = path.guest;
    let (kind, locks) = match guest.kind {
        KindFile::Qemu => (GuestKind::Qemu, VM_LOCKS),
        KindFile::Lxc => (GuestKind::Lxc, CT_LOCKS),
    };
    if let Some(lock) = guest.config.get("lock") {
        let value = lock.as_str().unwrap_or_default();
        findings.known_value(path.member("config.lock"), value, locks);
    }
    for key in unknown_options(kind, &guest.config) {
        let text = format!("unknown option in the configuration of a {}", kind.noun());
        findings.error(path.member(&format!("config.{key}")), text);
    }
    for volume in volumes(kind, &guest.config) {
        if let Some(storage) = volume.storage()
            && !storages.contains(storage)
        {
            let member = format!("config.{}", volume.key);
            findings.warning(path.member(&member), not_found("storage", storage));
        }
    }
}

/// Options that are neither in the schema of `PUT …/config` nor written by PVE itself.
fn unknown_options(kind: GuestKind, config: &Config) -> Vec<&str> {
    const OWN: &[&str] = &[
        "meta",
        "vmstate",
        "runningcpu",
        "runningmachine",
        "parent",
        "swap",
    ];
    let path = ["nodes", "node", kind.as_str(), "100", "config"];
    let route = Schema::builtin().route(&path);
    let Some(put) = route.and_then(|route| route.node.method("PUT")) else {
        return Vec::new();
    };
    let keys = config.keys().map(String::as_str);
    keys.filter(|key| !put.takes(key) && !OWN.contains(key) && !key.starts_with("lxc."))
        .collect()
}

fn snapshots(path: &GuestPath<'_>, findings: &mut Findings) {
    let snapshots = &path.guest.snapshots;
    let entries = snapshots.iter().enumerate();
    findings.unique(entries.map(|(number, snapshot)| {
        (
            path.member(&format!("snapshots[{number}].name")),
            snapshot.name.as_str(),
        )
    }));
    let parents: BTreeMap<&str, Option<&str>> = snapshots
        .iter()
        .map(|snapshot| (snapshot.name.as_str(), snapshot.parent.as_deref()))
        .collect();
    if let Some(parent) = &path.guest.parent
        && !parents.contains_key(parent.as_str())
    {
        findings.error(path.member("parent"), not_found("snapshot", parent));
    }
    for (number, snapshot) in snapshots.iter().enumerate() {
        let member = || path.member(&format!("snapshots[{number}].parent"));
        let Some(parent) = snapshot.parent.as_deref() else {
            continue;
        };
        if !parents.contains_key(parent) {
            findings.warning(member(), not_found("snapshot", parent));
        }
    }
    if let Some(name) = find_cycle(&parents) {
        let text = format!("snapshot '{name}' is its own ancestor");
        findings.error(path.member("snapshots"), text);
    }
}

/// A snapshot that is its own ancestor.
fn find_cycle<'a>(parents: &BTreeMap<&'a str, Option<&'a str>>) -> Option<&'a str> {
    let mut harmless: BTreeSet<&str> = BTreeSet::new();
    for start in parents.keys() {
        let mut way: BTreeSet<&str> = BTreeSet::new();
        let mut at = Some(*start);
        while let Some(name) = at.filter(|name| !harmless.contains(name)) {
            if !way.insert(name) {
                return Some(name);
            }
            at = parents.get(name).copied().flatten();
        }
        harmless.extend(way);
    }
    None
}

fn pools(world: &WorldFile, storages: &BTreeSet<&str>, findings: &mut Findings) {
    let entries = world.pools.iter().enumerate();
    findings.unique(
        entries.map(|(index, pool)| (format!("pools[{index}].poolid"), pool.poolid.as_str())),
    );
    let guests: BTreeSet<u32> = world.guests.iter().map(|guest| guest.vmid).collect();
    let mut members: BTreeMap<u32, &str> = BTreeMap::new();
    for (index, pool) in world.pools.iter().enumerate() {
        let location = |member: &str| format!("pools[{index}].{member} ({})", pool.poolid);
        for vmid in &pool.guests {
            if !guests.contains(vmid) {
                findings.error(location("guests"), not_found("guest", vmid));
            }
            if let Some(other) = members.insert(*vmid, &pool.poolid) {
                let text = format!("guest {vmid} is already in pool '{other}'");
                findings.warning(location("guests"), text);
            }
        }
        for storage in &pool.storages {
            if !storages.contains(storage.as_str()) {
                findings.error(location("storages"), not_found("storage", storage));
            }
        }
    }
}

fn not_found(what: &str, name: impl std::fmt::Display) -> String {
    format!("{what} '{name}' not found")
}
