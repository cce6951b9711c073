// SPDX-License-Identifier: GPL-3.0-only
//! What a client is built from.

use std::path::PathBuf;
use std::time::Duration;

use crate::credentials::Credentials;
use crate::endpoint::Endpoint;
use crate::fingerprint::Fingerprint;
use crate::proxy::ProxyRules;

/// Which certificates are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Any certificate, as the C# tool does by default: protects against listening, not against
    /// somebody who answers in PVE's place.
    AcceptAny,
    /// Certificates that lead to an authority of the operating system's store, for the right name.
    SystemStore,
    /// Certificates with one of these fingerprints, whatever their name, age and issuer.
    Fingerprints(Vec<Fingerprint>),
    /// Certificates that lead to an authority in this PEM file (such as `pve-root-ca.pem`), for
    /// the right name.
    CaFile(PathBuf),
}

/// Everything a [`Client`](crate::Client) needs to know.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The hosts of one cluster in the order in which they are tried.
    pub endpoints: Vec<Endpoint>,
    /// Who signs on.
    pub credentials: Credentials,
    /// Which certificates are trusted.
    pub trust: Trust,
    /// The proxies through which hosts are connected to.
    pub proxy: ProxyRules,
    /// How long one address of a host may take to accept a connection, and again to agree on TLS. Addresses
    /// are tried side by side; a proxy may take as long again to answer.
    pub connect_timeout: Duration,
    /// How long an answer may take, its body included. PVE itself gives up on another node after
    /// 30 s and says so (595, 596), which is worth waiting for.
    pub request_timeout: Duration,
    /// The pauses before a request is repeated: of any method when no host could be reached, of
    /// GET also when the answer was lost, or was an error that may pass, within half a minute. As
    /// many repetitions as there are pauses; one that timed out is repeated once, or once per host.
    pub repeat_pauses: Vec<Duration>,
    /// After what time a ticket is renewed; PVE accepts it for two hours.
    pub ticket_lifetime: Duration,
}

impl ClientOptions {
    /// No proxy, and the usual times: 4 s to connect (as the C# tool), 40 s for an answer, three repetitions
    /// after 0.25 s, 1 s and 3 s, a new ticket every hour.
    pub fn new(endpoints: Vec<Endpoint>, credentials: Credentials, trust: Trust) -> Self {
        Self {
            endpoints,
            credentials,
            trust,
            proxy: ProxyRules::default(),
            connect_timeout: Duration::from_secs(4),
            request_timeout: Duration::from_secs(40),
            repeat_pauses: [250, 1_000, 3_000].map(Duration::from_millis).to_vec(),
            ticket_lifetime: Duration::from_secs(3600),
        }
    }
}
