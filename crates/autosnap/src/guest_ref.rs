// SPDX-License-Identifier: GPL-3.0-only
//! The guest that a finding or a warning concerns.

use std::fmt;

use autosnap_core::guest::{Guest, GuestKind, Vmid};

/// The guest that a finding or a warning concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestRef {
    /// Its ID.
    pub vmid: Vmid,
    /// Virtual machine or container.
    pub kind: GuestKind,
    /// Its node.
    pub node: String,
}

impl From<&Guest> for GuestRef {
    fn from(guest: &Guest) -> Self {
        Self {
            vmid: guest.vmid,
            kind: guest.kind,
            node: guest.node.clone(),
        }
    }
}

impl fmt::Display for GuestRef {
    /// As PVE names guests in its own messages.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.short_name();
        write!(formatter, "{kind} {} on node {}", self.vmid, self.node)
    }
}
