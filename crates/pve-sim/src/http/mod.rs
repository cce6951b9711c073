// SPDX-License-Identifier: GPL-3.0-only
//! The wire: HTTP/1 over TLS as pveproxy speaks it.
//!
//! Written by hand rather than on an HTTP library, because the truth is in the
//! details a library smooths over: error texts in the reason phrase, two
//! `Connection` headers, answers without length, silence after too many header
//! lines, HTTP/1.0 in answer to garbage, connections cut at any point. What is
//! imitated is `PVE/APIServer/AnyEvent.pm` of pve-http-server 5.2.

mod alter;
mod connection;
mod handle;
mod latency;
mod listener;
mod params;
mod read;
mod respond;
mod sign_on;
mod tls;

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::world::World;

pub use latency::Latency;
pub(crate) use listener::{Listener, spawn};
pub use tls::{Identity, IdentityError};
pub(crate) use tls::{client_config, made_up_fingerprint, names_for};

/// What all connections share.
pub(crate) struct Shared {
    world: Mutex<World>,
    /// Rung when somebody moves the clock or changes locks, for those who wait.
    pub(crate) changed: Notify,
    pub(crate) latency: Latency,
    pub(crate) identity: Identity,
    connections: std::sync::atomic::AtomicU64,
    /// What stood on stderr already.
    reported: Mutex<BTreeSet<String>>,
}

impl Shared {
    /// Puts a world behind a lock.
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

    /// The world. A panic elsewhere does not make it unusable: every change
    /// is complete before the next may fail.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line to stderr, unless it was written before: clients ask again and again.
    fn report_once(&self, line: &str) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.insert(line.to_owned()) {
            // Nobody may be there to read it.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    fn next_connection(&self) -> u64 {
        self.connections
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
            + 1
    }
}
