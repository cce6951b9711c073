// SPDX-License-Identifier: GPL-3.0-only
//! A cluster and what all its runs share: the client, the limits and leases of the work, and the learned pace of
//! its tasks.

use std::sync::Arc;

use autosnap_core::schedule::Limits;
use pve_client::{Client, ClientOptions, Error};

use crate::engine::{Pace, WorkQueue};

/// A connected cluster. It lives as long as the process and serves several concurrent runs. Clones share it.
#[derive(Debug, Clone)]
pub struct Cluster {
    client: Client,
    identity: Arc<str>,
    pace: Arc<Pace>,
    queue: WorkQueue,
}

impl Cluster {
    /// Connects and logs in. The limits hold over all runs of the cluster; those of a job
    /// ([`Execution::limits`](crate::settings::Execution::limits)) apply to each of its runs as well.
    pub async fn connect(options: ClientOptions, limits: Limits) -> Result<Self, Error> {
        let identity = options.credentials.identity();
        Ok(Self::new(
            Client::connect(options).await?,
            &identity,
            limits,
        ))
    }

    /// A cluster by a client that is logged in, with the limits over all its runs. `identity` is the user or token, as PVE
    /// writes it into tasks.
    pub fn new(client: Client, identity: &str, limits: Limits) -> Self {
        Self {
            client,
            identity: identity.into(),
            pace: Arc::default(),
            queue: WorkQueue::new(limits),
        }
    }

    /// The client, which is logged in.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The user or token, as PVE writes it into the tasks of this login.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The pace of tasks, learned by all runs.
    pub(crate) fn pace(&self) -> &Arc<Pace> {
        &self.pace
    }

    /// The work of all runs.
    pub(crate) fn queue(&self) -> &WorkQueue {
        &self.queue
    }
}
