// SPDX-License-Identifier: GPL-3.0-only
//! The simulated major release of PVE. The differences were recorded from PVE 9.2; paths and
//! parameters are those of 8.4 in both.

use std::fmt;

/// A major release.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// PVE 8.4.
    #[default]
    V8,
    /// PVE 9.2.
    V9,
}

impl Release {
    /// Parses the value of `--pve-version`.
    pub fn parse(number: &str) -> Option<Self> {
        match number {
            "8" => Some(Self::V8),
            "9" => Some(Self::V9),
            _ => None,
        }
    }

    /// `VERSION/REPOID` of pve-manager, as printed by `pveversion`.
    pub fn version(self) -> &'static str {
        match self {
            Self::V8 => crate::schema::Schema::builtin().version(),
            Self::V9 => "9.2.11/14a22df35955d97d",
        }
    }

    /// QEMU's default machine type. The recording of 8.4 lacks the suffix of Proxmox's own QEMU.
    pub(crate) fn machine(self) -> &'static str {
        match self {
            Self::V8 => "pc-i440fx-10.0",
            Self::V9 => "pc-i440fx-10.0+pve0",
        }
    }

    pub(crate) fn is_9(self) -> bool {
        self >= Self::V9
    }
}

impl fmt::Display for Release {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::V8 => "8",
            Self::V9 => "9",
        })
    }
}
