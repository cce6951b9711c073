// SPDX-License-Identifier: GPL-3.0-only
//! Builds guests and snapshots from their entries in the world file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::clock::{Seconds, whole};
use crate::world::guest::{
    Config, Guest, GuestKind, ReplicationJob, ReplicationState, Running, Snapshot, TaskSeconds,
    stored_description, volumes,
};
use crate::world::statistics::ListedStatus;

use super::file::{GuestFile, KindFile, ReplicationFile, SnapshotFile, SnapstateFile, StatusFile};

impl GuestFile {
    pub(super) fn build(self, defaults: &BTreeMap<String, Config>, boot: Seconds) -> Guest {
        let kind = match self.kind {
            KindFile::Qemu => GuestKind::Qemu,
            KindFile::Lxc => GuestKind::Lxc,
        };
        let mut config = self.config;
        let lock = config
            .remove("lock")
            .and_then(|lock| lock.as_str().map(str::to_owned));
        for (key, value) in defaults.get(kind.as_str()).into_iter().flatten() {
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
        let running = matches!(self.status, Some(StatusFile::Running)).then_some(Running {
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
                StatusFile::Running => ListedStatus::Running,
                StatusFile::Stopped => ListedStatus::Stopped,
                StatusFile::Unknown => ListedStatus::Unknown,
            }),
            config,
            lock,
            parent,
            snapshots,
            pool: None,
            held_until: 0.0,
            lost_disk_snapshots: BTreeSet::new(),
            is_disk_unreadable: false,
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
            state: self.snapstate.map(|state| {
                let value = match state {
                    SnapstateFile::Prepare => "prepare",
                    SnapstateFile::Delete => "delete",
                };
                value.to_owned()
            }),
            vmstate,
            config: Arc::clone(config),
            bytes: BTreeMap::new(),
        };
        (self.name, snapshot)
    }
}

/// The last complete snapshot is the parent of the current state.
fn newest_complete(snapshots: &[SnapshotFile]) -> Option<String> {
    snapshots
        .iter()
        .rev()
        .find(|snapshot| snapshot.snapstate != Some(SnapstateFile::Prepare))
        .map(|snapshot| snapshot.name.clone())
}

/// Adds the options that PVE writes into a new guest's configuration.
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

/// The default boot order: first disk, first drive, first network card (`get_default_bootdevices`
/// in `PVE/QemuServer.pm`).
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
