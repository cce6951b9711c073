// SPDX-License-Identifier: GPL-3.0-only
//! Why a host could not be connected to. In every case no request was written.

use std::fmt;

use crate::cluster_identity::OtherCluster;
use crate::endpoint::Endpoint;
use crate::fingerprint::Fingerprint;

/// The kind of a failed attempt to use a host, for choosing a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectProblem {
    /// The host name does not resolve to an address.
    NameNotFound,
    /// The host refuses connections on this port.
    ConnectionRefused,
    /// The network has no route to the host.
    NoRoute,
    /// The host did not accept the connection, agree on TLS or reply within the timeout.
    TimedOut,
    /// The connection broke before a request was written, or failed for another reason.
    ConnectionLost,
    /// The HTTP proxy cannot be used, or does not connect to the host.
    Proxy,
    /// The host did not report which cluster it belongs to.
    UnknownCluster,
    /// The host belongs to another cluster.
    OtherCluster,
    /// The host does not use TLS.
    NotTls,
    /// The host has no TLS version, cipher or key that is supported.
    UnsupportedTls,
    /// The certificate of the host is not trusted.
    Certificate,
}

/// A host that could not be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedAttempt {
    /// The host.
    pub endpoint: Endpoint,
    /// What kind of problem it was.
    pub problem: ConnectProblem,
    /// The problem as a text for an administrator, without the host.
    pub message: String,
}

impl fmt::Display for FailedAttempt {
    /// `pve1:8006: connection refused`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.endpoint, self.message)
    }
}

/// A host that did not accept the connection, or a connection that broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreachable {
    pub(crate) problem: ConnectProblem,
    pub(crate) message: String,
}

impl Unreachable {
    pub(crate) fn new(problem: ConnectProblem, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { problem, message }
    }
}

/// Why there is no connection to a host.
#[derive(Debug)]
pub(crate) enum ConnectFailure {
    /// The host did not accept the connection or it broke; a later attempt may succeed.
    Unreachable(Unreachable),
    /// The proxy refuses to connect to the host.
    ProxyRefused(String),
    /// The host replied, but not with TLS.
    NotTls(String),
    /// The host has no TLS version, cipher or key that is supported.
    UnsupportedTls(String),
    /// The certificate of the host is not trusted.
    Certificate(String, Option<Fingerprint>),
    /// The host belongs to another cluster.
    OtherCluster(Box<OtherCluster>),
}

impl ConnectFailure {
    pub(crate) fn into_attempt(self, endpoint: &Endpoint) -> FailedAttempt {
        let (problem, message) = match self {
            Self::Unreachable(Unreachable { problem, message }) => (problem, message),
            Self::ProxyRefused(message) => (ConnectProblem::Proxy, message),
            Self::NotTls(message) => (ConnectProblem::NotTls, message),
            Self::UnsupportedTls(message) => (ConnectProblem::UnsupportedTls, message),
            Self::Certificate(message, _) => (ConnectProblem::Certificate, message),
            Self::OtherCluster(other) => (ConnectProblem::OtherCluster, other.to_string()),
        };
        FailedAttempt {
            endpoint: endpoint.clone(),
            problem,
            message,
        }
    }
}
