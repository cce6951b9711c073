// SPDX-License-Identifier: GPL-3.0-only
//! The options of a client.

use std::path::PathBuf;
use std::time::Duration;

use crate::credentials::Credentials;
use crate::endpoint::Endpoint;
use crate::fingerprint::Fingerprint;
use crate::proxy::ProxyRules;

/// Which certificates are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Any certificate, as the C# tool accepts by default. This protects against eavesdropping, but not
    /// against a server that impersonates PVE.
    AcceptAny,
    /// Certificates issued by an authority of the operating system's store, for the name of the host.
    SystemStore,
    /// Certificates with one of these fingerprints. Name, validity and issuer are not checked.
    Fingerprints(Vec<Fingerprint>),
    /// Certificates issued by an authority in this PEM file (such as `pve-root-ca.pem`), for the name of
    /// the host.
    CaFile(PathBuf),
}

/// The options of a [`Client`](crate::Client).
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The hosts of one cluster, in the order in which they are tried.
    pub endpoints: Vec<Endpoint>,
    /// The login.
    pub credentials: Credentials,
    /// Which certificates are trusted.
    pub trust: Trust,
    /// The HTTP proxies for connections to the hosts.
    pub proxy: ProxyRules,
    /// The timeout for one address of a host to accept a connection, and again for the TLS handshake and
    /// for the reply of a proxy. Addresses are tried in parallel.
    pub connect_timeout: Duration,
    /// The timeout for a complete reply. PVE itself stops waiting for another node after 30 s and reports
    /// that (595, 596), so the timeout should be longer.
    pub request_timeout: Duration,
    /// The pauses before each retry; there are as many retries as pauses. Requests of any method are
    /// retried if no host could be reached; a GET also within 35 s if its reply was lost or was a
    /// transient error. A request that timed out is retried once, or once per host.
    pub retry_pauses: Vec<Duration>,
    /// The age at which a ticket is renewed; PVE accepts it for two hours.
    pub ticket_lifetime: Duration,
}

impl ClientOptions {
    /// Creates options without a proxy, with 4 s to connect (as the C# tool), 40 s for a reply, three
    /// retries after 0.25 s, 1 s and 3 s, and a new ticket every hour.
    pub fn new(endpoints: Vec<Endpoint>, credentials: Credentials, trust: Trust) -> Self {
        Self {
            endpoints,
            credentials,
            trust,
            proxy: ProxyRules::default(),
            connect_timeout: Duration::from_secs(4),
            request_timeout: Duration::from_secs(40),
            retry_pauses: [250, 1_000, 3_000].map(Duration::from_millis).to_vec(),
            ticket_lifetime: Duration::from_secs(3600),
        }
    }
}
