// SPDX-License-Identifier: GPL-3.0-only
//! Builds a [`World`] from a world file and a credentials file.
//!
//! The format is that of `world.json` of the recordings, with optional further
//! members; the crate's README describes all of it. Members nobody reads, such
//! as `note`, are ignored, so that files can be commented.

mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::access::ticket::Signer;
use crate::access::{Access, Grant, Hidden, Token, roles};
use crate::clock::{Clock, Seconds, whole};
use crate::faults::Faults;
use crate::journal::Journal;
use crate::tasks::TaskTable;

use file::{
    AclFile, CredentialsFile, GuestFile, KindFile, ListedStatusFile, NodeFile, PoolFile,
    ReplicationFile, SnapshotFile, StorageFile, TokenFile, UserFile, WorldFile,
};

use super::guest::{
    Config, Guest, GuestKind, ReplicationJob, ReplicationState, Running, Snapshot, TaskSeconds,
    stored_description, volumes,
};
use super::statistics::ListedStatus;
use super::storage::{Storage, Usage};
use super::{Node, Pool, Reach, Timing, World};

/// A world that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file does not have the form it should have.
    #[error("the {what} is not understood: {source}")]
    Form {
        /// `world` or `credentials`.
        what: &'static str,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The parts do not fit together.
    #[error("the world contradicts itself: {0}")]
    Contradiction(String),
}

/// Builds the world.
///
/// # Errors
///
/// When one of the two values has a wrong form, or when a guest is on a node
/// or in a pool that does not exist.
pub fn world(
    world: &Value,
    credentials: &Value,
    timing: Timing,
    start: Option<Seconds>,
) -> Result<World, LoadError> {
    let file = WorldFile::deserialize(world).map_err(|source| LoadError::Form {
        what: "world",
        source,
    })?;
    let credentials =
        CredentialsFile::deserialize(credentials).map_err(|source| LoadError::Form {
            what: "credentials",
            source,
        })?;
    let clock = Clock::new(start);
    let boot = clock.now();
    let nodes: BTreeMap<String, Node> = file
        .cluster
        .nodes
        .iter()
        .map(|node| (node.name.clone(), node.build()))
        .collect();
    let this_node = match file.cluster.this_node {
        Some(name) => name,
        None => nodes.keys().next().cloned().unwrap_or_default(),
    };
    if !nodes.contains_key(&this_node) {
        return Err(LoadError::Contradiction(format!(
            "this_node '{this_node}' is no node of it"
        )));
    }
    let mut built = World {
        clock,
        cluster_name: file.cluster.name,
        quorate: file.cluster.quorate,
        version: file.cluster.version,
        this_node,
        nodes,
        guests: BTreeMap::new(),
        storages: file.storages.into_iter().map(StorageFile::build).collect(),
        pools: file.pools.into_iter().map(PoolFile::build).collect(),
        datacenter: BTreeMap::new(),
        access: access(file.users, file.tokens, file.roles, file.acl, &credentials),
        signer: Signer::new(),
        tasks: TaskTable::default(),
        timing,
        faults: Faults::default(),
        releases: 0,
        journal: Arc::new(Journal::in_memory()),
        turn: 0,
    };
    for guest in file.guests {
        let guest = guest.build(&file.guest_defaults, boot);
        if !built.nodes.contains_key(&guest.node) {
            let text = format!(
                "guest {} is on the unknown node '{}'",
                guest.vmid, guest.node
            );
            return Err(LoadError::Contradiction(text));
        }
        built.guests.insert(guest.vmid, guest);
    }
    for (name, pool) in &built.pools {
        for vmid in &pool.guests {
            let Some(guest) = built.guests.get_mut(vmid) else {
                let text = format!("pool '{name}' holds the unknown guest {vmid}");
                return Err(LoadError::Contradiction(text));
            };
            guest.pool = Some(name.clone());
        }
    }
    for node in &file.cluster.nodes {
        if let Some(ago) = node.pvestatd_silent {
            built.silence_pvestatd(&node.name, ago);
        }
    }
    Ok(built)
}

impl NodeFile {
    fn build(&self) -> Node {
        let reason = self
            .proxying_gives
            .as_deref()
            .unwrap_or("595 No route to host");
        let reason = reason.strip_prefix("595 ").unwrap_or(reason);
        let reach = if self.online {
            Reach::Online
        } else {
            Reach::Offline(reason.to_owned())
        };
        Node {
            name: self.name.clone(),
            id: self.nodeid,
            ip: self.ip.clone(),
            reach,
            before_silence: None,
            last_broadcast: None,
            fingerprint: String::new(),
            slowness: self.slowness,
            clock_offset: self.clock_offset,
            task_slots: self.task_slots,
            processors: self.processors,
            memory: self.memory,
        }
    }
}

impl StorageFile {
    fn build(self) -> (String, Storage) {
        let mut options = BTreeMap::new();
        options.extend(self.path.map(|path| ("path".to_owned(), path)));
        options.extend(self.is_mountpoint.map(|value| {
            (
                "is_mountpoint".to_owned(),
                crate::schema::perl_text(&value).into_owned(),
            )
        }));
        if self.storage == "local" {
            options.insert("prune-backups".to_owned(), "keep-all=1".to_owned());
        }
        let total = self.total.unwrap_or(256 << 30);
        let storage = Storage {
            snapshot_formats: self
                .snapshots
                .unwrap_or_else(|| Storage::default_snapshot_formats(&self.kind)),
            id: self.storage.clone(),
            kind: self.kind,
            content: self.content,
            shared: self.shared,
            disabled: self.disable,
            nodes: self.nodes,
            unreachable_from: BTreeSet::new(),
            options,
            usage: Usage {
                total,
                used: self.used.unwrap_or(total / 10),
            },
            usage_by_node: self
                .usage
                .into_iter()
                .map(|(node, usage)| {
                    (
                        node,
                        Usage {
                            total: usage.total,
                            used: usage.used,
                        },
                    )
                })
                .collect(),
        };
        (self.storage, storage)
    }
}

impl PoolFile {
    fn build(self) -> (String, Pool) {
        let pool = Pool {
            comment: self.comment,
            guests: self.guests,
            storages: self.storages,
        };
        (self.poolid, pool)
    }
}

impl GuestFile {
    fn build(self, defaults: &BTreeMap<String, Config>, boot: Seconds) -> Guest {
        let kind = match self.kind {
            KindFile::Qemu => GuestKind::Qemu,
            KindFile::Lxc => GuestKind::Lxc,
        };
        let mut config = self.config;
        let lock = config
            .remove("lock")
            .and_then(|lock| lock.as_str().map(str::to_owned));
        for (key, value) in defaults.get(kind.word()).into_iter().flatten() {
            config.entry(key.clone()).or_insert_with(|| value.clone());
        }
        complete_config(
            kind,
            self.vmid,
            &mut config,
            self.name.or(self.hostname),
            boot,
        );
        let config = Arc::new(config);
        let parent = self.parent.or_else(|| newest_complete(&self.snapshots));
        let snapshots = self
            .snapshots
            .into_iter()
            .map(|one| one.build(kind, &config))
            .collect();
        let running = (self.status.as_deref() == Some("running")).then_some(Running {
            since: boot - 3_600.0,
            pid: 20_000 + self.vmid,
        });
        Guest {
            vmid: self.vmid,
            kind,
            node: self.node,
            running,
            paused: false,
            listed_status: self.listed_status.map(|status| match status {
                ListedStatusFile::Running => ListedStatus::Running,
                ListedStatusFile::Stopped => ListedStatus::Stopped,
                ListedStatusFile::Unknown => ListedStatus::Unknown,
            }),
            config,
            lock,
            parent,
            snapshots,
            pool: None,
            held_until: 0.0,
            lost_disk_snapshots: BTreeSet::new(),
            disk_hidden: false,
            replication_job: self.replication_job.map(|job| match job {
                ReplicationFile::Job { id, state } => ReplicationJob { id, state },
                ReplicationFile::Id(id) => ReplicationJob {
                    id,
                    state: ReplicationState::Pending,
                },
            }),
            agent_answers: self.agent_answers,
            task_seconds: TaskSeconds {
                create: self.task_seconds.create,
                delete: self.task_seconds.delete,
            },
        }
    }
}

impl SnapshotFile {
    fn build(self, kind: GuestKind, config: &Arc<Config>) -> (String, Snapshot) {
        let vmstate = match self.vmstate {
            Some(Value::String(volume)) => Some(volume),
            Some(Value::Bool(true)) => Some(format!("local:0/vm-state-{}.raw", self.name)),
            Some(_) | None => None,
        };
        let snapshot = Snapshot {
            taken_at: self.snaptime.unwrap_or_default(),
            description: self
                .description
                .and_then(|text| stored_description(kind, &text)),
            parent: self.parent,
            state: self.snapstate,
            vmstate,
            config: Arc::clone(config),
            bytes: BTreeMap::new(),
        };
        (self.name, snapshot)
    }
}

/// The current state hangs below the last snapshot that was made completely.
fn newest_complete(snapshots: &[SnapshotFile]) -> Option<String> {
    snapshots
        .iter()
        .rev()
        .find(|snapshot| snapshot.snapstate.as_deref() != Some("prepare"))
        .map(|snapshot| snapshot.name.clone())
}

/// Adds what PVE itself writes into a new guest's configuration.
fn complete_config(
    kind: GuestKind,
    vmid: u32,
    config: &mut Config,
    name: Option<String>,
    boot: Seconds,
) {
    let key = match kind {
        GuestKind::Qemu => "name",
        GuestKind::Lxc => "hostname",
    };
    if let Some(name) = name {
        config.insert(key.to_owned(), Value::from(name));
    }
    if kind == GuestKind::Lxc {
        return;
    }
    if let Some(memory) = config.get_mut("memory").filter(|memory| memory.is_number()) {
        *memory = Value::from(memory.to_string());
    }
    let mut add = |key: &str, text: String| {
        config
            .entry(key.to_owned())
            .or_insert_with(|| Value::from(text));
    };
    add(
        "meta",
        format!("creation-qemu=10.0.2,ctime={}", whole(boot) - 86_400),
    );
    add("smbios1", format!("uuid={}", stable_uuid(vmid, 1)));
    add("vmgenid", stable_uuid(vmid, 2));
    let boot_order = default_boot_order(config);
    if !boot_order.is_empty() {
        let order = format!("order={}", boot_order.join(";"));
        config
            .entry("boot".to_owned())
            .or_insert_with(|| Value::from(order));
    }
}

/// First disk, first drive, first network card
/// (`get_default_bootdevices` in `PVE/QemuServer.pm`).
fn default_boot_order(config: &Config) -> Vec<String> {
    let found = volumes(GuestKind::Qemu, config);
    let first = |cdrom| found.iter().find(|volume| volume.cdrom == cdrom);
    let net = config.keys().find(|key| key.starts_with("net"));
    [first(false), first(true)]
        .into_iter()
        .flatten()
        .map(|volume| volume.key.clone())
        .chain(net.cloned())
        .collect()
}

fn stable_uuid(vmid: u32, part: u32) -> String {
    let mixed = u64::from(vmid).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(part) << 40;
    let hex = format!(
        "{:016x}{:016x}",
        mixed,
        mixed.rotate_left(29).wrapping_add(mixed)
    );
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..32],
    ];
    format!(
        "{}-{}-4{}-8{}-{}",
        parts[0], parts[1], parts[2], parts[3], parts[4]
    )
}

fn access(
    users: Vec<UserFile>,
    tokens: Vec<TokenFile>,
    own_roles: BTreeMap<String, Vec<String>>,
    acl: Vec<AclFile>,
    credentials: &CredentialsFile,
) -> Access {
    let hidden = |from: &BTreeMap<String, String>, name: &str| from.get(name).map(Hidden::new);
    let mut access = Access {
        roles: roles::predefined(),
        ..Access::default()
    };
    access.roles.extend(own_roles);
    for user in users {
        let entry = access.users.entry(user.userid.clone()).or_default();
        entry.disabled = user.enable == 0;
        entry.expires = user.expire;
        entry.password = hidden(&credentials.passwords, &user.userid);
        entry.totp = hidden(&credentials.totp, &user.userid);
    }
    for token in tokens {
        let Some((userid, name)) = crate::access::split_token(&token.tokenid) else {
            continue;
        };
        let built = Token {
            separated: token.privsep != 0,
            expires: token.expire,
            secret: hidden(&credentials.tokens, &token.tokenid),
        };
        let owner = access.users.entry(userid.to_owned()).or_default();
        owner.tokens.insert(name.to_owned(), built);
    }
    access.grants = acl
        .into_iter()
        .map(|line| Grant {
            path: line.path,
            who: line.who,
            role: line.role,
            propagate: line.propagate != 0,
        })
        .collect();
    access
}
