// SPDX-License-Identifier: GPL-3.0-only
//! Guests, their configuration and their snapshots, as stored by PVE in `qemu-server/<vmid>.conf`
//! and `lxc/<vmid>.conf`.
//!
//! This module holds data and read-only functions; [`crate::tasks`] changes the data.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::clock::Seconds;
use crate::hash::sha1;

use super::statistics::ListedStatus;

/// The configuration of a guest or snapshot, without the values that have their own fields: `lock`,
/// `parent`, `digest` and the snapshots.
pub type Config = BTreeMap<String, Value>;

/// Virtual machine or container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GuestKind {
    /// A virtual machine.
    Qemu,
    /// A container.
    Lxc,
}

impl GuestKind {
    /// The name in paths and listings: `qemu` or `lxc`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Lxc => "lxc",
        }
    }

    /// Parses `qemu` or `lxc`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "qemu" => Some(Self::Qemu),
            "lxc" => Some(Self::Lxc),
            _ => None,
        }
    }

    /// The name in PVE's messages: `VM` or `CT`.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Qemu => "VM",
            Self::Lxc => "CT",
        }
    }

    /// Path of the configuration file below `/etc/pve`, as in error texts.
    pub fn config_file(self, node: &str, vmid: u32) -> String {
        let folder = match self {
            Self::Qemu => "qemu-server",
            Self::Lxc => "lxc",
        };
        format!("nodes/{node}/{folder}/{vmid}.conf")
    }

    /// Path of the file that PVE locks to change the configuration.
    pub fn lock_file(self, vmid: u32) -> String {
        match self {
            Self::Qemu => format!("/var/lock/qemu-server/lock-{vmid}.conf"),
            Self::Lxc => format!("/run/lock/lxc/pve-config-{vmid}.lock"),
        }
    }
}

/// The process of a running guest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Running {
    /// When it was started.
    pub since: Seconds,
    /// Its process ID.
    pub pid: u32,
}

/// A snapshot section of a configuration.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// `snaptime` in seconds since the epoch; 0: unknown, as in very old configurations.
    pub taken_at: i64,
    /// The description as PVE returns it; see [`stored_description`].
    pub description: Option<String>,
    /// The snapshot this one was taken on top of.
    pub parent: Option<String>,
    /// `snapstate`: `prepare` or `delete` while a task runs or after it failed.
    pub state: Option<String>,
    /// The volume with the RAM; only virtual machines have one.
    pub vmstate: Option<String>,
    /// The configuration at that time; identical configurations are shared.
    pub config: Arc<Config>,
    /// Bytes used by the snapshot, per storage.
    pub bytes: BTreeMap<String, u64>,
}

/// A replication job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationJob {
    /// Its ID: the VMID and a number, such as `100-0`.
    pub id: String,
    /// Its progress.
    pub state: ReplicationState,
}

/// Progress of a replication job. PVE refuses to remove snapshots only while a job has no snapshot
/// of its own on the disks (`snapshot_delete_assert_not_needed_by_replication` in
/// `PVE/AbstractConfig.pm`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplicationState {
    /// It has not run yet.
    Pending,
    /// It runs now.
    Running,
    /// It has run.
    Synced,
}

/// Duration of a guest's tasks in seconds; `None`: the default.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TaskSeconds {
    /// Creating a snapshot.
    pub create: Option<f64>,
    /// Removing a snapshot.
    pub delete: Option<f64>,
}

/// A virtual machine or container.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Its VMID, unique in the cluster.
    pub vmid: u32,
    /// Virtual machine or container.
    pub kind: GuestKind,
    /// The node whose folder holds its configuration.
    pub node: String,
    /// The process, if it is running.
    pub running: Option<Running>,
    /// Whether the process is paused; has no meaning while the guest is stopped.
    pub paused: bool,
    /// Overrides the status in `/cluster/resources`; `None`: the status of the last broadcast.
    pub listed_status: Option<ListedStatus>,
    /// The current configuration, with `name` or `hostname`.
    pub config: Arc<Config>,
    /// `lock`: `backup`, `snapshot`, `snapshot-delete`, `rollback`, ...
    pub lock: Option<String>,
    /// The snapshot that is the parent of the current state.
    pub parent: Option<String>,
    /// The snapshots by name.
    pub snapshots: BTreeMap<String, Snapshot>,
    /// The pool it belongs to.
    pub pool: Option<String>,
    /// Another process holds the configuration's lock file until this time.
    pub held_until: Seconds,
    /// Names of snapshots whose disk snapshots were deleted behind PVE's back.
    pub lost_disk_snapshots: BTreeSet<String>,
    /// Whether its disk files are unreadable.
    pub is_disk_unreadable: bool,
    /// The replication job of the guest.
    pub replication_job: Option<ReplicationJob>,
    /// Whether the guest agent responds, if it is configured.
    pub agent_answers: bool,
    /// Duration of its tasks.
    pub task_seconds: TaskSeconds,
}

/// One disk, drive or mount point of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// `scsi0`, `rootfs`, `mp1`, ...
    pub key: String,
    /// `local:100/vm-100-disk-0.qcow2`, or a path for a bind mount.
    pub id: String,
    /// Its size in bytes, from the configuration.
    pub size: u64,
    /// Whether it is a drive for removable media.
    pub cdrom: bool,
}

impl Volume {
    /// The storage; `None` for a bind mount or a physical drive.
    pub fn storage(&self) -> Option<&str> {
        if self.id.starts_with('/') {
            return None;
        }
        self.id.split_once(':').map(|(storage, _)| storage)
    }

    /// The image format, derived from the file name as in `PVE/Storage.pm`.
    pub fn format(&self) -> &str {
        let name = self.id.rsplit('/').next().unwrap_or(&self.id);
        let name = name.rsplit(':').next().unwrap_or(name);
        match name.rsplit_once('.') {
            Some((_, extension)) => extension,
            None if name.starts_with("subvol-") || name.starts_with("basevol-") => "subvol",
            None => "raw",
        }
    }
}

impl Guest {
    /// A string from the configuration.
    pub fn config_text(&self, key: &str) -> Option<&str> {
        self.config.get(key).and_then(Value::as_str)
    }

    /// A number from the configuration, stored as a number or as a string.
    pub fn config_number(&self, key: &str) -> Option<u64> {
        let value = self.config.get(key)?;
        value
            .as_u64()
            .or_else(|| value.as_str()?.trim().parse().ok())
    }

    /// The name in listings; a virtual machine without a name is called `VM 111`, a container
    /// `CT111` (`vmstatus` in `PVE/QemuServer.pm` and `PVE/LXC.pm`).
    pub fn name(&self) -> String {
        let (key, unnamed) = match self.kind {
            GuestKind::Qemu => ("name", format!("VM {}", self.vmid)),
            GuestKind::Lxc => ("hostname", format!("CT{}", self.vmid)),
        };
        self.config_text(key).map_or(unnamed, str::to_owned)
    }

    /// Whether it is running and paused.
    pub fn is_paused(&self) -> bool {
        self.running.is_some() && self.paused
    }

    /// Ends its process.
    pub fn power_off(&mut self) {
        self.running = None;
        self.paused = false;
    }

    /// Whether it is a template.
    pub fn is_template(&self) -> bool {
        self.config_number("template") == Some(1)
    }

    /// Whether the configuration enables the guest agent.
    pub fn has_agent(&self) -> bool {
        let setting = match self.config.get("agent") {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => return false,
        };
        setting
            .split(',')
            .any(|part| matches!(part, "1" | "enabled=1"))
    }

    /// The disks, drives and mount points, in PVE's order.
    pub fn volumes(&self) -> Vec<Volume> {
        volumes(self.kind, &self.config)
    }

    /// The disk, drive or mount point with this key.
    pub fn volume(&self, key: &str) -> Option<Volume> {
        volume_key(self.kind, key)?;
        Some(parse_volume(key, self.config_text(key)?))
    }

    /// Path of the configuration file, as in error texts.
    pub fn config_file(&self) -> String {
        self.kind.config_file(&self.node, self.vmid)
    }

    /// SHA-1 of the configuration, like PVE's `digest` of the file.
    pub fn digest(&self) -> String {
        let Self {
            config,
            lock,
            parent,
            snapshots,
            ..
        } = self;
        sha1(&format!("{config:?} {lock:?} {parent:?} {snapshots:?}"))
    }
}

/// The disks, drives and mount points of a configuration.
pub fn volumes(kind: GuestKind, config: &Config) -> Vec<Volume> {
    let mut found: Vec<(String, u32, Volume)> = config
        .iter()
        .filter_map(|(key, value)| {
            let (bus, index) = volume_key(kind, key)?;
            Some((bus.to_owned(), index, parse_volume(key, value.as_str()?)))
        })
        .collect();
    found.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    found.into_iter().map(|(_, _, volume)| volume).collect()
}

/// The description as PVE returns it later. Virtual machines lose trailing white space, containers
/// end in exactly one newline, and Perl treats the text `0` as missing (`PVE/QemuServer.pm`,
/// `PVE/LXC/Config.pm`; recorded in `snap.descriptions`).
pub fn stored_description(kind: GuestKind, text: &str) -> Option<String> {
    let kept = match kind {
        GuestKind::Qemu => text.trim_end(),
        GuestKind::Lxc => text.trim_end_matches('\n'),
    };
    if kept.is_empty() || kept == "0" {
        return None;
    }
    Some(match kind {
        GuestKind::Qemu => kept.to_owned(),
        GuestKind::Lxc => format!("{kept}\n"),
    })
}

/// Parses a size from a configuration into bytes: `8G`, `512M`, `0T`, `1024`.
pub fn parse_size(text: &str) -> u64 {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let shift = match text.as_bytes().last() {
        Some(b'K') => 10,
        Some(b'M') => 20,
        Some(b'G') => 30,
        Some(b'T') => 40,
        _ => 0,
    };
    digits.parse::<u64>().map_or(0, |number| number << shift)
}

fn volume_key(kind: GuestKind, key: &str) -> Option<(&str, u32)> {
    let split = key
        .find(|letter: char| letter.is_ascii_digit())
        .unwrap_or(key.len());
    let (bus, index) = key.split_at(split);
    let index = match (kind, bus) {
        (GuestKind::Qemu, "ide" | "sata" | "scsi" | "virtio" | "efidisk" | "tpmstate")
        | (GuestKind::Lxc, "mp") => index.parse().ok()?,
        (GuestKind::Lxc, "rootfs") if index.is_empty() => 0,
        (GuestKind::Qemu | GuestKind::Lxc, _) => return None,
    };
    // `rootfs` sorts before the other mount points.
    Some((if bus == "rootfs" { "" } else { bus }, index))
}

fn parse_volume(key: &str, line: &str) -> Volume {
    let mut parts = line.split(',');
    let first = parts.next().unwrap_or_default();
    let mut volume = Volume {
        key: key.to_owned(),
        id: first
            .trim_start_matches("file=")
            .trim_start_matches("volume=")
            .to_owned(),
        size: 0,
        cdrom: false,
    };
    for part in parts {
        match part.split_once('=') {
            Some(("size", size)) => volume.size = parse_size(size),
            Some(("media", media)) => volume.cdrom = media == "cdrom",
            _ => {}
        }
    }
    volume
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_stored_as_recorded() {
        let cases = [
            ("plain\n\n", Some("plain"), Some("plain\n")),
            ("  one  ", Some("  one"), Some("  one  \n")),
            ("\n", None, None),
            ("0", None, None),
            ("\none", Some("\none"), Some("\none\n")),
            ("one\r\ntwo", Some("one\r\ntwo"), Some("one\r\ntwo\n")),
        ];
        for (sent, qemu, lxc) in cases {
            assert_eq!(
                stored_description(GuestKind::Qemu, sent).as_deref(),
                qemu,
                "{sent:?}"
            );
            assert_eq!(
                stored_description(GuestKind::Lxc, sent).as_deref(),
                lxc,
                "{sent:?}"
            );
        }
    }

    #[test]
    fn volumes_are_parsed_from_options() {
        let config: Config = [
            ("scsi10", "tank:vm-1-disk-9,size=2G"),
            ("scsi2", "local:1/vm-1-disk-0.qcow2,backup=0,size=512M"),
            ("ide2", "local:iso/x.iso,media=cdrom,size=1M"),
            ("net0", "virtio=AA"),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .collect();
        let found = volumes(GuestKind::Qemu, &config);
        let keys: Vec<_> = found.iter().map(|volume| volume.key.as_str()).collect();
        assert_eq!(keys, ["ide2", "scsi2", "scsi10"]);
        assert!(found[0].cdrom && !found[1].cdrom);
        assert_eq!((found[1].format(), found[2].format()), ("qcow2", "raw"));
        assert_eq!((found[1].size, found[2].size), (512 << 20, 2 << 30));
        assert_eq!(found[2].storage(), Some("tank"));
    }
}
