// SPDX-License-Identifier: GPL-3.0-only
//! The part of a guest's configuration that matters to snapshots.
//!
//! Limits: only volumes that can never be snapshotted are found here; support by storages is in
//! [`crate::snapshot_support`].

use std::fmt;

use super::GuestKind;

/// Whether the QEMU guest agent of a virtual machine is enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentSetting {
    /// The agent freezes the file systems while PVE takes a snapshot.
    Enabled,
    /// No agent: a snapshot is crash-consistent, as after a power failure.
    Disabled,
    /// Containers have no agent.
    NotApplicable,
}

/// The part of a guest's configuration that matters to snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestConfig {
    /// All volumes that a snapshot of the guest includes, sorted by key.
    pub volumes: Vec<Volume>,
    /// The setting of the QEMU guest agent.
    pub agent: AgentSetting,
    /// The configured memory in MiB, which a snapshot with RAM stores; `None` is PVE's default.
    pub memory_mib: Option<u64>,
    /// The reason of the guest's lock (`backup`, `snapshot`, …).
    pub lock: Option<String>,
    /// Whether it is a template.
    pub template: bool,
}

/// One disk or mount point of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its key in the configuration, such as `scsi0` or `rootfs`.
    pub key: String,
    /// The location of its data.
    pub location: VolumeLocation,
}

/// The location of a volume's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeLocation {
    /// The volume is on a storage that PVE manages.
    Storage {
        /// The storage's ID.
        storage: String,
        /// The volume's name on it.
        volume: String,
    },
    /// Outside of PVE's storages: a directory (bind mount) or device of the node.
    Path(String),
}

impl fmt::Display for Volume {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            VolumeLocation::Storage { storage, volume } => {
                write!(formatter, "{}: {storage}:{volume}", self.key)
            }
            VolumeLocation::Path(path) => write!(formatter, "{}: {path}", self.key),
        }
    }
}

impl GuestConfig {
    /// Parses the keys and values of a guest's configuration; other keys are ignored.
    ///
    /// Volumes are those of `foreach_volume` in `PVE/AbstractConfig.pm`, without CD drives, which PVE leaves out of
    /// snapshots (`has_feature` in `PVE/QemuConfig.pm`). Pass the current values, not pending ones: a snapshot includes
    /// the current volumes.
    pub fn parse<'a>(
        kind: GuestKind,
        entries: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut config = Self {
            volumes: Vec::new(),
            agent: match kind {
                GuestKind::Qemu => AgentSetting::Disabled,
                GuestKind::Lxc => AgentSetting::NotApplicable,
            },
            memory_mib: None,
            lock: None,
            template: false,
        };
        for (key, value) in entries {
            config.set(kind, key, value);
        }
        config.volumes.sort_by(|one, other| one.key.cmp(&other.key));
        config
    }

    /// The volumes that PVE can never snapshot: bind mounts and devices.
    ///
    /// An absolute path has no features in `volume_has_feature` of `PVE/Storage.pm`.
    pub fn unsupported_volumes(&self) -> impl Iterator<Item = &Volume> {
        self.volumes
            .iter()
            .filter(|volume| volume.storage().is_none())
    }

    /// The storages that the guest has volumes on, sorted, each once.
    pub fn storages(&self) -> impl Iterator<Item = &str> {
        let mut storages: Vec<&str> = self.volumes.iter().filter_map(Volume::storage).collect();
        storages.sort_unstable();
        storages.dedup();
        storages.into_iter()
    }

    fn set(&mut self, kind: GuestKind, key: &str, value: &str) {
        match (key, kind) {
            ("lock", _) => self.lock = Some(value.to_owned()),
            ("template", _) => self.template = parse_bool(value),
            ("memory", _) => {
                self.memory_mib = property(value, "current").and_then(|number| number.parse().ok());
            }
            ("agent", GuestKind::Qemu) => {
                if property(value, "enabled").is_some_and(parse_bool) {
                    self.agent = AgentSetting::Enabled;
                }
            }
            _ => self.volumes.extend(Volume::parse(kind, key, value)),
        }
    }
}

impl Volume {
    /// The storage the volume is on, unless it is outside of PVE's storages.
    pub fn storage(&self) -> Option<&str> {
        match &self.location {
            VolumeLocation::Storage { storage, .. } => Some(storage),
            VolumeLocation::Path(_) => None,
        }
    }

    fn parse(kind: GuestKind, key: &str, value: &str) -> Option<Self> {
        if !is_volume_key(kind, key) || property(value, "media") == Some("cdrom") {
            return None;
        }
        let default_key = match kind {
            GuestKind::Qemu => "file",
            GuestKind::Lxc => "volume",
        };
        let file = value
            .split(',')
            .map(str::trim)
            .find(|part| !part.contains('='))
            .or_else(|| property(value, default_key))?;
        if matches!(file, "" | "none" | "cdrom") {
            return None;
        }
        Some(Self {
            key: key.to_owned(),
            location: VolumeLocation::parse(file),
        })
    }
}

impl VolumeLocation {
    /// Parses a volume ID. Any other text cannot be snapshotted and becomes a path.
    fn parse(file: &str) -> Self {
        match file.split_once(':') {
            Some((storage, volume)) if !file.starts_with('/') => Self::Storage {
                storage: storage.to_owned(),
                volume: volume.to_owned(),
            },
            _ => Self::Path(file.to_owned()),
        }
    }
}

/// Whether a key of the configuration is the name of a disk or mount point with its number.
fn is_volume_key(kind: GuestKind, key: &str) -> bool {
    let prefixes: &[&str] = match kind {
        GuestKind::Qemu => &["efidisk", "tpmstate", "virtio", "ide", "scsi", "sata"],
        GuestKind::Lxc if key == "rootfs" => return true,
        GuestKind::Lxc => &["mp"],
    };
    prefixes.iter().any(|prefix| {
        key.strip_prefix(prefix).is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    })
}

/// The value of `name` in a property string such as `1,type=virtio`.
///
/// The part without a name is the value of `enabled` (agent) or `current` (memory), as in `parse_property_string` of
/// `PVE/JSONSchema.pm`.
fn property<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let unnamed = matches!(name, "enabled" | "current");
    value
        .split(',')
        .map(str::trim)
        .find_map(|part| match part.split_once('=') {
            Some((key, value)) => (key == name).then_some(value),
            None => unnamed.then_some(part),
        })
}

/// Whether PVE parses the value as true (`parse_boolean` in `PVE/JSONSchema.pm`).
fn parse_bool(value: &str) -> bool {
    ["1", "on", "yes", "true"]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(value))
}
