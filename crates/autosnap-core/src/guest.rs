// SPDX-License-Identifier: GPL-3.0-only
//! Guests (virtual machines and containers) and the part of their configuration that matters to snapshots.
//!
//! The types hold parsed values of PVE. The caller parses the JSON; [`GuestConfig::parse`] parses the keys and values
//! of a guest's configuration.

mod config;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::shell_word;

pub use config::{AgentSetting, GuestConfig, Volume, VolumeLocation};

/// The number that identifies a guest in its cluster.
///
/// PVE allows 100 to 999 999 999 (`pve-vmid` in `PVE/JSONSchema.pm`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Vmid(u32);

/// An invalid guest ID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid guest ID `{0}`: must be between {min} and {max}", min = Vmid::MIN, max = Vmid::MAX)]
pub struct VmidError(String);

impl Vmid {
    /// The smallest ID that PVE gives to a guest.
    pub const MIN: u32 = 100;
    /// The largest ID that PVE gives to a guest.
    pub const MAX: u32 = 999_999_999;

    /// Checks that the number is in the range of guest IDs.
    pub fn new(number: u32) -> Result<Self, VmidError> {
        if (Self::MIN..=Self::MAX).contains(&number) {
            Ok(Self(number))
        } else {
            Err(VmidError(number.to_string()))
        }
    }

    /// The plain number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Vmid {
    type Error = VmidError;

    fn try_from(number: u32) -> Result<Self, VmidError> {
        Self::new(number)
    }
}

impl From<Vmid> for u32 {
    fn from(vmid: Vmid) -> Self {
        vmid.0
    }
}

impl FromStr for Vmid {
    type Err = VmidError;

    fn from_str(text: &str) -> Result<Self, VmidError> {
        let digits_only = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if digits_only { text.parse().ok() } else { None };
        number
            .and_then(|number| Self::new(number).ok())
            .ok_or_else(|| VmidError(text.to_owned()))
    }
}

impl fmt::Display for Vmid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Whether a guest is a virtual machine or a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuestKind {
    /// A virtual machine, run by QEMU.
    Qemu,
    /// A container, run by LXC.
    Lxc,
}

impl GuestKind {
    /// The name in API paths (`/nodes/{node}/qemu/…`) and in the `type` of `/cluster/resources`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Lxc => "lxc",
        }
    }

    /// The abbreviation in PVE's messages: `VM` or `CT`.
    pub fn short_name(self) -> &'static str {
        match self {
            Self::Qemu => "VM",
            Self::Lxc => "CT",
        }
    }
}

/// The commands that unlock a guest and remove its incomplete snapshot (`qm`, `pct`).
///
/// Root must run them on the guest's node: an API token cannot unlock a guest.
pub fn repair_command(kind: GuestKind, vmid: Vmid, snapshot: Option<&str>) -> String {
    let tool = match kind {
        GuestKind::Qemu => "qm",
        GuestKind::Lxc => "pct",
    };
    match snapshot {
        Some(snapshot) => {
            let snapshot = shell_word(snapshot, "SNAPSHOT");
            format!("{tool} unlock {vmid} && {tool} delsnapshot {vmid} {snapshot} --force")
        }
        None => format!("{tool} unlock {vmid}"),
    }
}

/// The note about [`repair_command`] with a snapshot: `delsnapshot --force` reports a disk snapshot that is already
/// gone, and continues.
pub const REPAIR_NOTE: &str = "with --force, delsnapshot may print an error and still succeed";

impl fmt::Display for GuestKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// The `status` of a guest in `/cluster/resources` (`PVE/API2/Cluster.pm`, `extract_vm_stats` of
/// `PVE/API2Tools.pm`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GuestStatus {
    /// The guest runs.
    Running,
    /// The guest does not run.
    Stopped,
    /// The guest's node sends no statistics: it is powered off or disconnected from the cluster, its `pvestatd` hangs,
    /// or it has just booted.
    Unknown,
    /// A status of another version of PVE, unchanged.
    Other(String),
}

impl GuestStatus {
    /// PVE's name of the status.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Unknown => "unknown",
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for GuestStatus {
    fn from(word: &str) -> Self {
        match word {
            "running" => Self::Running,
            "stopped" => Self::Stopped,
            "unknown" => Self::Unknown,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for GuestStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A guest as `/cluster/resources` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// The guest's ID, which never changes.
    pub vmid: Vmid,
    /// Virtual machine or container.
    pub kind: GuestKind,
    /// The node that has the guest's configuration now.
    pub node: String,
    /// The guest's name; absent while PVE has no statistics of the guest.
    pub name: Option<String>,
    /// Whether it runs.
    pub status: GuestStatus,
    /// Whether it is a template, which PVE takes no snapshots of (`__snapshot_prepare` in
    /// `PVE/AbstractConfig.pm`).
    pub template: bool,
    /// The guest's tags, spelled as in PVE.
    pub tags: Vec<String>,
    /// The guest's pool with its parents (`lab/nested`); only for logins that have `Pool.Audit` on it.
    pub pool: Option<String>,
    /// The reason of the guest's lock (`backup`, `snapshot`, …).
    pub lock: Option<String>,
}

/// The parts of a guest that texts name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedGuest<'a> {
    /// The guest's ID.
    pub vmid: Vmid,
    /// Virtual machine or container.
    pub kind: GuestKind,
    /// The guest's node.
    pub node: &'a str,
    /// The guest's name, if PVE lists one.
    pub name: Option<&'a str>,
}

impl<'a> From<&'a Guest> for NamedGuest<'a> {
    fn from(guest: &'a Guest) -> Self {
        Self {
            vmid: guest.vmid,
            kind: guest.kind,
            node: &guest.node,
            name: guest.name.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests;
