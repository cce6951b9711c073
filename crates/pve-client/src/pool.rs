// SPDX-License-Identifier: GPL-3.0-only
//! The idle connections of one host.
//!
//! The most recently used connection is used next, so that after a burst the others expire. PVE closes a
//! connection after 5 s without a request and after 100 requests (`PVE/APIServer/AnyEvent.pm`). The
//! client drops a connection before that, because a request written to a closing connection may or
//! may not be processed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::connection::Connection;

/// How long an idle connection is kept: less than PVE's 5 s, to leave time for a slow network.
const IDLE_LIMIT: Duration = Duration::from_secs(4);

/// How many requests PVE serves on one connection.
const REQUEST_LIMIT: u32 = 100;

/// Idle connections, the oldest first.
#[derive(Default)]
pub(crate) struct Pool(Mutex<Vec<Idle>>);

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Pool {
    /// Takes the most recently used connection that is still open.
    pub(crate) async fn take(&self) -> Option<Connection> {
        while let Some(mut connection) = self.take_newest() {
            if connection.is_ready().await {
                return Some(connection);
            }
        }
        None
    }

    /// Puts a connection back after a complete reply.
    pub(crate) fn put(&self, connection: Connection) {
        if connection.served() < REQUEST_LIMIT {
            self.lock().push(Idle {
                connection,
                since: Instant::now(),
            });
        }
    }

    /// Drops all connections.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn take_newest(&self) -> Option<Connection> {
        let mut idle = self.lock();
        let newest = idle.pop()?;
        if newest.since.elapsed() < IDLE_LIMIT {
            return Some(newest.connection);
        }
        // The others have been idle for longer.
        idle.clear();
        None
    }

    /// A panic in another thread cannot leave the list inconsistent.
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
