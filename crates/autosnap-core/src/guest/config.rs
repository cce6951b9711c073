// SPDX-License-Identifier: GPL-3.0-only
//! The configuration of a guest, as far as it matters to snapshots.
//!
//! Whether a storage can make snapshots is not known here: only what no storage can do.

use std::fmt;

use super::GuestKind;

/// Whether a virtual machine has the QEMU guest agent switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentSetting {
    /// PVE asks the agent to freeze the file systems while it takes a snapshot.
    Enabled,
    /// No agent, so that a snapshot is only what a power cut would leave.
    Disabled,
    /// Containers have no agent.
    NotApplicable,
}

/// The part of a guest's configuration that matters to snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestConfig {
    /// Everything a snapshot of the guest includes, ordered by key.
    pub volumes: Vec<Volume>,
    /// The setting of the QEMU guest agent.
    pub agent: AgentSetting,
    /// The configured memory in MiB: what a snapshot with RAM has to store. Absent means PVE's
    /// default.
    pub memory_mib: Option<u64>,
    /// What the guest is locked for (`backup`, `snapshot`, …).
    pub lock: Option<String>,
    /// Whether it is a template.
    pub template: bool,
}

/// One disk or mount point of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its key in the configuration, such as `scsi0` or `rootfs`.
    pub key: String,
    /// Where its data is.
    pub location: VolumeLocation,
}

/// Where the data of a volume is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeLocation {
    /// On a storage that PVE manages.
    Storage {
        /// The storage's ID.
        storage: String,
        /// The volume's name on it.
        volume: String,
    },
    /// Outside of PVE's storages: a directory of the node (a bind mount) or one of its devices.
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
    /// Understands the keys and values of a guest's configuration; keys that do not matter are
    /// passed over.
    ///
    /// Volumes are what `foreach_volume` of `PVE/AbstractConfig.pm` visits, without the CD drives,
    /// which PVE leaves out of snapshots (`has_feature` in `PVE/QemuConfig.pm`). Pass the current
    /// values, not pending ones: a snapshot is taken of what the guest has now.
    pub fn read<'a>(
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
            config.take(kind, key, value);
        }
        config.volumes.sort_by(|one, other| one.key.cmp(&other.key));
        config
    }

    /// The volumes that PVE can never take a snapshot of, whatever the storage: bind mounts
    /// and devices.
    ///
    /// `volume_has_feature` of `PVE/Storage.pm` knows no features of an absolute path. Whether a
    /// storage supports snapshots is not known here.
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

    fn take(&mut self, kind: GuestKind, key: &str, value: &str) {
        match (key, kind) {
            ("lock", _) => self.lock = Some(value.to_owned()),
            ("template", _) => self.template = is_true(value),
            ("memory", _) => {
                self.memory_mib = property(value, "current").and_then(|number| number.parse().ok());
            }
            ("agent", GuestKind::Qemu) => {
                if property(value, "enabled").is_some_and(is_true) {
                    self.agent = AgentSetting::Enabled;
                }
            }
            _ => self.volumes.extend(Volume::read(kind, key, value)),
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

    fn read(kind: GuestKind, key: &str, value: &str) -> Option<Self> {
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
            location: VolumeLocation::read(file),
        })
    }
}

impl VolumeLocation {
    /// What is neither an absolute path nor a volume ID cannot be snapshotted either, so that it is
    /// shown as a path.
    fn read(file: &str) -> Self {
        match file.split_once(':') {
            Some((storage, volume)) if !file.starts_with('/') => Self::Storage {
                storage: storage.to_owned(),
                volume: volume.to_owned(),
            },
            _ => Self::Path(file.to_owned()),
        }
    }
}

/// Whether a key of the configuration is a disk or mount point, followed by its number.
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

/// The value of `name` in a property string such as `1,type=virtio`; for the agent and the memory,
/// the part without a name is theirs (`parse_property_string` in `PVE/JSONSchema.pm`).
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

/// What PVE takes for true (`parse_boolean` in `PVE/JSONSchema.pm`).
fn is_true(value: &str) -> bool {
    ["1", "on", "yes", "true"]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(value))
}
