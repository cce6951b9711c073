// SPDX-License-Identifier: GPL-3.0-only
//! Checks that the parts of a world file and its credentials fit together.
//!
//! Refused is what cannot be in a cluster, or what would silently mean something else than its
//! author thinks: numbers used twice, names that nothing has, words that PVE does not know. Only a
//! warning is what PVE itself lives with: a disk on a storage that was removed, a snapshot whose
//! parent is gone, a guest in two pools (`parse_user_config` in `PVE/AccessControl.pm` warns too),
//! and secrets of users of other worlds, since one credentials file may serve several worlds.

mod access;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::release::Release;
use crate::schema::Schema;
use crate::world::guest::{Config, GuestKind, volumes};

use super::file::{CredentialsFile, GuestFile, KindFile, StorageFile, WorldFile};
use super::{Document, LoadError, Problem};

/// What PVE takes as the number of a guest (`pve-vmid` in `PVE/JSONSchema.pm`).
const VMIDS: std::ops::RangeInclusive<u32> = 100..=999_999_999;

/// The kinds of storages that PVE brings along, those that were dropped in 9 included.
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

/// What a storage may hold (`pve-storage-content` in `PVE/Storage/Plugin.pm`).
const CONTENT: &[&str] = &[
    "backup", "images", "import", "iso", "none", "rootdir", "snippets", "vztmpl",
];

/// `lock` of a virtual machine (`PVE/QemuServer.pm`).
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

/// `lock` of a container (`PVE/LXC/Config.pm`).
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

/// Looks for contradictions; gives back the warnings.
///
/// # Errors
///
/// Everything that is wrong, in the order of the files.
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

/// A place with the number or name of the guest, storage or pool it lies in.
pub(super) fn named_place(file: &Value, place: &str) -> String {
    let Some((list, rest)) = place.split_once('[') else {
        return place.to_owned();
    };
    let (Some((index, _)), Some(list)) = (rest.split_once(']'), file.get(list)) else {
        return place.to_owned();
    };
    let element = index.parse().ok().and_then(|index: usize| list.get(index));
    let name = element.and_then(|element| {
        ["vmid", "storage", "poolid", "userid", "tokenid"]
            .iter()
            .find_map(|key| Some((key, element.get(key)?)))
    });
    match name {
        Some((&"vmid", vmid)) => format!("{place} (guest {vmid})"),
        Some((_, name)) => format!("{place} ({})", name.as_str().unwrap_or_default()),
        None => place.to_owned(),
    }
}

#[derive(Default)]
struct Findings {
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Findings {
    fn error(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.errors.push(problem(Document::World, place, text));
    }

    fn warning(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.warnings.push(problem(Document::World, place, text));
    }

    /// Refuses a word that is not among those PVE knows.
    fn word(&mut self, place: impl Into<String>, word: &str, known: &[&str]) {
        if !known.contains(&word) {
            let text = format!(
                "unknown word '{word}', expected one of {}",
                known.join(", ")
            );
            self.error(place, text);
        }
    }

    /// Refuses names that were used before in the same list.
    fn unique<T: Ord + ToString>(&mut self, names: impl IntoIterator<Item = (String, T)>) {
        let mut seen: BTreeMap<T, String> = BTreeMap::new();
        for (place, name) in names {
            if let Some(first) = seen.get(&name) {
                let text = format!("'{}' is already at {first}", name.to_string());
                self.error(place, text);
            } else {
                seen.insert(name, place);
            }
        }
    }
}

fn problem(document: Document, place: impl Into<String>, text: impl Into<String>) -> Problem {
    Problem {
        document,
        place: place.into(),
        text: text.into(),
    }
}

fn nodes<'a>(world: &'a WorldFile, findings: &mut Findings) -> BTreeSet<&'a str> {
    let cluster = &world.cluster;
    if cluster.nodes.is_empty() {
        findings.error("cluster.nodes", "a cluster needs at least one node");
    }
    let places = cluster.nodes.iter().enumerate();
    findings.unique(
        places.map(|(index, node)| (format!("cluster.nodes[{index}].name"), node.name.as_str())),
    );
    let names: BTreeSet<&str> = cluster
        .nodes
        .iter()
        .map(|node| node.name.as_str())
        .collect();
    if let Some(this) = &cluster.this_node
        && !names.contains(this.as_str())
    {
        findings.error("cluster.this_node", no_such("node", this));
    }
    names
}

fn storages<'a>(
    world: &'a WorldFile,
    nodes: &BTreeSet<&str>,
    findings: &mut Findings,
) -> BTreeSet<&'a str> {
    let places = world.storages.iter().enumerate();
    findings.unique(places.map(|(index, storage)| {
        (
            format!("storages[{index}].storage"),
            storage.storage.as_str(),
        )
    }));
    for (index, storage) in world.storages.iter().enumerate() {
        let place = |member: &str| format!("storages[{index}].{member} ({})", storage.storage);
        // A plugin of somebody else: the world has to say what it can do.
        if storage.snapshots.is_none() {
            findings.word(place("type"), &storage.kind, STORAGE_TYPES);
        }
        for word in &storage.content {
            findings.word(place("content"), word, CONTENT);
        }
        for (member, node) in nodes_of(storage) {
            if !nodes.contains(node) {
                findings.error(place(member), no_such("node", node));
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
    let places = world.guests.iter().enumerate();
    findings.unique(places.map(|(index, guest)| (format!("guests[{index}].vmid"), guest.vmid)));
    for kind in world.guest_defaults.keys() {
        findings.word(format!("guest_defaults.{kind}"), kind, &["qemu", "lxc"]);
    }
    for (index, guest) in world.guests.iter().enumerate() {
        let place = Place { index, guest };
        if !VMIDS.contains(&guest.vmid) {
            let text = format!(
                "a guest's number lies between {} and {}",
                VMIDS.start(),
                VMIDS.end()
            );
            findings.error(place.of("vmid"), text);
        }
        if !nodes.contains(guest.node.as_str()) {
            findings.error(place.of("node"), no_such("node", &guest.node));
        }
        config(&place, storages, findings);
        snapshots(&place, findings);
    }
}

/// A guest and its position in the file.
struct Place<'a> {
    index: usize,
    guest: &'a GuestFile,
}

impl Place<'_> {
    fn of(&self, member: &str) -> String {
        format!(
            "guests[{}].{member} (guest {})",
            self.index, self.guest.vmid
        )
    }
}

fn config(place: &Place<'_>, storages: &BTreeSet<&str>, findings: &mut Findings) {
    let guest = place.guest;
    let (kind, locks) = match guest.kind {
        KindFile::Qemu => (GuestKind::Qemu, VM_LOCKS),
        KindFile::Lxc => (GuestKind::Lxc, CT_LOCKS),
    };
    if let Some(lock) = guest.config.get("lock") {
        let word = lock.as_str().unwrap_or_default();
        findings.word(place.of("config.lock"), word, locks);
    }
    for key in unknown_lines(kind, &guest.config) {
        let text = format!("a {} has no such line in its configuration", kind.noun());
        findings.error(place.of(&format!("config.{key}")), text);
    }
    for volume in volumes(kind, &guest.config) {
        if let Some(storage) = volume.storage()
            && !storages.contains(storage)
        {
            let member = format!("config.{}", volume.key);
            findings.warning(place.of(&member), no_such("storage", storage));
        }
    }
}

/// Lines that neither the schema of `PUT …/config` knows nor PVE writes by itself.
fn unknown_lines(kind: GuestKind, config: &Config) -> Vec<&str> {
    const OWN: &[&str] = &[
        "meta",
        "vmstate",
        "runningcpu",
        "runningmachine",
        "parent",
        "swap",
    ];
    let path = ["nodes", "node", kind.word(), "100", "config"];
    let route = Schema::builtin().route(&path);
    let Some(put) = route.and_then(|route| route.node.method("PUT")) else {
        return Vec::new();
    };
    let keys = config.keys().map(String::as_str);
    keys.filter(|key| !put.takes(key) && !OWN.contains(key) && !key.starts_with("lxc."))
        .collect()
}

fn snapshots(place: &Place<'_>, findings: &mut Findings) {
    let snapshots = &place.guest.snapshots;
    let places = snapshots.iter().enumerate();
    findings.unique(places.map(|(number, snapshot)| {
        (
            place.of(&format!("snapshots[{number}].name")),
            snapshot.name.as_str(),
        )
    }));
    let parents: BTreeMap<&str, Option<&str>> = snapshots
        .iter()
        .map(|snapshot| (snapshot.name.as_str(), snapshot.parent.as_deref()))
        .collect();
    if let Some(parent) = &place.guest.parent
        && !parents.contains_key(parent.as_str())
    {
        findings.error(place.of("parent"), no_such("snapshot", parent));
    }
    for (number, snapshot) in snapshots.iter().enumerate() {
        let member = || place.of(&format!("snapshots[{number}].parent"));
        let Some(parent) = snapshot.parent.as_deref() else {
            continue;
        };
        if !parents.contains_key(parent) {
            findings.warning(member(), no_such("snapshot", parent));
        }
    }
    if let Some(name) = in_a_circle(&parents) {
        let text = format!("snapshot '{name}' is its own ancestor");
        findings.error(place.of("snapshots"), text);
    }
}

/// A snapshot that is reached again by going from parent to parent.
fn in_a_circle<'a>(parents: &BTreeMap<&'a str, Option<&'a str>>) -> Option<&'a str> {
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
    let places = world.pools.iter().enumerate();
    findings.unique(
        places.map(|(index, pool)| (format!("pools[{index}].poolid"), pool.poolid.as_str())),
    );
    let guests: BTreeSet<u32> = world.guests.iter().map(|guest| guest.vmid).collect();
    let mut members: BTreeMap<u32, &str> = BTreeMap::new();
    for (index, pool) in world.pools.iter().enumerate() {
        let place = |member: &str| format!("pools[{index}].{member} ({})", pool.poolid);
        for vmid in &pool.guests {
            if !guests.contains(vmid) {
                findings.error(place("guests"), no_such("guest", vmid));
            }
            if let Some(other) = members.insert(*vmid, &pool.poolid) {
                let text = format!("guest {vmid} is in the pool '{other}' already");
                findings.warning(place("guests"), text);
            }
        }
        for storage in &pool.storages {
            if !storages.contains(storage.as_str()) {
                findings.error(place("storages"), no_such("storage", storage));
            }
        }
    }
}

fn no_such(what: &str, name: impl std::fmt::Display) -> String {
    format!("there is no {what} '{name}'")
}
