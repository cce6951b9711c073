// SPDX-License-Identifier: GPL-3.0-only
//! Hosts and connections: the types first, the wire follows in the next commit.

use crate::client::Statistics;
use crate::endpoint::Endpoint;
use crate::fingerprint::Fingerprint;
use crate::options::ClientOptions;

#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) options: ClientOptions,
}

impl Transport {
    pub(crate) fn statistics(&self) -> Statistics {
        Statistics {
            requests: 0,
            connections_opened: 0,
        }
    }

    pub(crate) fn current_endpoint(&self) -> Endpoint {
        self.options.endpoints[0].clone()
    }

    pub(crate) fn peer_fingerprint(&self) -> Option<Fingerprint> {
        None.filter(|_| self.options.endpoints.is_empty())
    }
}
