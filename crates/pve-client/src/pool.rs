// SPDX-License-Identifier: GPL-3.0-only
//! Connections of one host that wait for the next request.
//!
//! The one used last is used next, so that after a burst the others grow old and are dropped. PVE
//! closes a connection after 5 s without a request and after 100 requests
//! (`PVE/APIServer/AnyEvent.pm`); both limits are met from our side first, because a request
//! written into a closing connection leaves open whether it was processed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::connection::Connection;

/// Below PVE's 5 s with room for a slow network.
const IDLE_LIMIT: Duration = Duration::from_secs(4);

/// How many requests PVE answers on one connection.
const REQUEST_LIMIT: u32 = 100;

/// Idle connections, the oldest first.
#[derive(Default)]
pub(crate) struct Pool(Mutex<Vec<Idle>>);

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Pool {
    /// Takes the connection used last, if one is still good. It is alive as far as this machine
    /// knows.
    pub(crate) async fn take(&self) -> Option<Connection> {
        while let Some(mut connection) = self.take_youngest() {
            if connection.is_ready().await {
                return Some(connection);
            }
        }
        None
    }

    /// Puts a connection back after a complete answer.
    pub(crate) fn put(&self, connection: Connection) {
        if connection.served() < REQUEST_LIMIT {
            self.lock().push(Idle {
                connection,
                since: Instant::now(),
            });
        }
    }

    /// Drops all connections of a host that does not answer.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn take_youngest(&self) -> Option<Connection> {
        let mut idle = self.lock();
        let youngest = idle.pop()?;
        if youngest.since.elapsed() < IDLE_LIMIT {
            return Some(youngest.connection);
        }
        // The others have waited even longer.
        idle.clear();
        None
    }

    /// A panic elsewhere cannot leave a list of connections half changed.
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
