// SPDX-License-Identifier: GPL-3.0-only
//! Delay of responses.

use std::time::Duration;

use crate::api::Via;

/// Delays in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// A new TLS connection.
    pub connect: f64,
    /// A read that pveproxy handles itself.
    pub read: f64,
    /// `/cluster/resources`.
    pub resources: f64,
    /// A read that is forwarded to pvedaemon.
    pub daemon_read: f64,
    /// A write, such as the creation of a snapshot, until the UPID is returned.
    pub write: f64,
    /// Additional delay for another node.
    pub other_node: f64,
}

impl Latency {
    /// No delays.
    pub fn none() -> Self {
        Self {
            connect: 0.0,
            read: 0.0,
            resources: 0.0,
            daemon_read: 0.0,
            write: 0.0,
            other_node: 0.0,
        }
    }

    /// The delays measured on a small PVE 8.4 over loopback.
    pub fn measured() -> Self {
        Self {
            connect: 5.0,
            read: 1.6,
            resources: 4.0,
            daemon_read: 13.0,
            write: 42.0,
            other_node: 3.0,
        }
    }

    /// Multiplies all delays by a factor.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            connect: self.connect * factor,
            read: self.read * factor,
            resources: self.resources * factor,
            daemon_read: self.daemon_read * factor,
            write: self.write * factor,
            other_node: self.other_node * factor,
        }
    }

    /// The delay before the response to a call.
    pub(super) fn for_call(&self, method: &str, path: &str, via: Via) -> Duration {
        let own = match (method, via) {
            ("GET", Via::Proxy | Via::OtherNode) if path == "/cluster/resources" => self.resources,
            ("GET", Via::Proxy | Via::OtherNode) => self.read,
            ("GET", Via::Daemon) => self.daemon_read,
            _ => self.write,
        };
        let extra = match via {
            Via::Proxy | Via::Daemon => 0.0,
            Via::OtherNode => self.other_node,
        };
        milliseconds(own + extra)
    }

    /// The delay before a TLS handshake.
    pub(super) fn for_connection(&self) -> Duration {
        milliseconds(self.connect)
    }
}

fn milliseconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number / 1_000.0).unwrap_or_default()
}
