// SPDX-License-Identifier: GPL-3.0-only
//! HTTP/1 over TLS, exactly as pveproxy implements it.
//!
//! Hand-written instead of using an HTTP library, because a library hides the details that matter:
//! error texts in the reason phrase, two `Connection` headers, responses without a length, no
//! response after too many header lines, HTTP/1.0 in response to garbage, connections closed at any
//! point. The model is `PVE/APIServer/AnyEvent.pm` of pve-http-server 5.2.

mod altered_reply;
mod authentication;
mod connection;
mod handler;
mod latency;
mod listener;
mod params;
mod reader;
mod response;
mod tls;

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::world::World;

pub use latency::Latency;
pub(crate) use listener::{Listener, spawn};
pub use tls::{Identity, IdentityError, insecure_client_config};
pub(crate) use tls::{names_for, placeholder_fingerprint};

/// The state shared by all connections.
pub(crate) struct Shared {
    world: Mutex<World>,
    /// Notifies waiting requests about changes of the clock or of locks.
    pub(crate) changed: Notify,
    pub(crate) latency: Latency,
    pub(crate) identity: Identity,
    connections: std::sync::atomic::AtomicU64,
    /// Lines already written to stderr.
    reported: Mutex<BTreeSet<String>>,
}

impl Shared {
    /// Creates the shared state.
    pub(crate) fn new(world: World, latency: Latency, identity: Identity) -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::new(world),
            changed: Notify::new(),
            latency,
            identity,
            connections: std::sync::atomic::AtomicU64::new(0),
            reported: Mutex::new(BTreeSet::new()),
        })
    }

    /// Locks the world. A poisoned lock is usable: every change is complete before the next one can
    /// fail.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line to stderr, but only once, because clients repeat requests.
    fn report_once(&self, line: &str) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.insert(line.to_owned()) {
            // stderr may be closed.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    fn next_connection(&self) -> u64 {
        self.connections
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
            + 1
    }
}
