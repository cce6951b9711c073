// SPDX-License-Identifier: GPL-3.0-only
//! Ensures that all hosts of a client belong to one cluster.
//!
//! The first host whose cluster is known is the reference. Every other host is compared with it
//! before the first request; a host of another cluster gets no requests. Every login may read all nodes
//! in `/nodes` and `/cluster/resources`; the cluster's name needs `Sys.Audit` on `/`
//! (`read.nodes.json` and `read.cluster.json` of the recordings).
//!
//! Nothing is sent here; `transport` does that. A copy of a cluster that was restored from a backup
//! has the same names and cannot be distinguished from the original.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cluster_identity::{ClusterIdentity, OtherCluster};
use crate::endpoint::Endpoint;
use crate::error::{Error, Method};
use crate::reply::{self, Reply};
use crate::request::ApiRequest;
use crate::types::ClusterStatus;

/// Parses the reply to the request of [`Admission::Query`].
pub(crate) fn parse_identity(query: &ApiRequest, reply: &Reply) -> Result<ClusterIdentity, Error> {
    let Reply { body, endpoint } = reply;
    if query.path() == "/cluster/status" {
        let status = reply::data::<ClusterStatus>(query, endpoint, body)?;
        return Ok(ClusterIdentity::from_status(&status));
    }
    reply::data(query, endpoint, body)
}

/// Whether a request may be sent to a host.
pub(crate) enum Admission {
    /// The request may be sent.
    Granted,
    /// Unknown until the reply to this request identifies the cluster of the host.
    Query(ApiRequest),
    /// The request must not be sent: the host belongs to another cluster.
    Refused(Box<OtherCluster>),
}

/// The cluster of a client, and which of its hosts belong to it.
pub(crate) struct Membership {
    state: Mutex<State>,
    /// Held during a query, so that concurrent requests send one query per host.
    pub(crate) query_lock: tokio::sync::Mutex<()>,
}

struct State {
    reference: Option<(Endpoint, ClusterIdentity)>,
    hosts: Vec<HostState>,
}

#[derive(Clone)]
enum HostState {
    Unknown,
    Member,
    OtherCluster(Box<OtherCluster>),
}

impl Membership {
    pub(crate) fn new(hosts: usize) -> Self {
        Self {
            state: Mutex::new(State {
                reference: None,
                hosts: vec![HostState::Unknown; hosts],
            }),
            query_lock: tokio::sync::Mutex::default(),
        }
    }

    /// Whether this request may be sent to this host.
    pub(crate) fn admission(&self, host: usize, request: &ApiRequest) -> Admission {
        let state = self.lock();
        // The login comes first, and a single host cannot be the wrong one.
        if state.hosts.len() < 2 || request.is_cluster_independent() {
            return Admission::Granted;
        }
        match (&state.hosts[host], &state.reference) {
            (HostState::Member, _) => Admission::Granted,
            (HostState::OtherCluster(other), _) => Admission::Refused(other.clone()),
            (HostState::Unknown, None) if request.lists_cluster_nodes() => Admission::Granted,
            (HostState::Unknown, Some((_, known))) if known.name.is_some() => {
                Admission::Query(ApiRequest::new(Method::Get, &["cluster", "status"]))
            }
            (HostState::Unknown, _) => Admission::Query(ApiRequest::new(Method::Get, &["nodes"])),
        }
    }

    /// Records the cluster that a host has reported; an error if it differs from the reference.
    pub(crate) fn record(
        &self,
        host: usize,
        endpoint: &Endpoint,
        found: ClusterIdentity,
    ) -> Result<(), Box<OtherCluster>> {
        if found == ClusterIdentity::default() {
            return Ok(());
        }
        let mut state = self.lock();
        let State { reference, hosts } = &mut *state;
        match (&hosts[host], reference.as_mut()) {
            (HostState::OtherCluster(other), _) => return Err(other.clone()),
            (HostState::Member, Some((_, known))) => known.update(found),
            (HostState::Unknown | HostState::Member, None) => {
                *reference = Some((endpoint.clone(), found));
                hosts[host] = HostState::Member;
            }
            (HostState::Unknown, Some((_, known))) if known.is_compatible_with(&found) => {
                hosts[host] = HostState::Member;
            }
            (HostState::Unknown, Some((first, known))) => {
                let other = Box::new(OtherCluster {
                    reference: first.clone(),
                    expected: known.clone(),
                    endpoint: endpoint.clone(),
                    found,
                });
                hosts[host] = HostState::OtherCluster(other.clone());
                return Err(other);
            }
        }
        Ok(())
    }

    /// A panic in another thread cannot leave the state inconsistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_both_hosts_with_their_nodes() {
        let endpoint = |host: &str| Endpoint {
            host: host.to_owned(),
            port: 8006,
        };
        let membership = Membership::new(2);
        let first = ClusterIdentity {
            name: Some("lab".to_owned()),
            nodes: ["pve1", "pve2"].map(ToOwned::to_owned).into(),
        };
        assert!(membership.record(0, &endpoint("a"), first).is_ok());
        let other = membership.record(
            1,
            &endpoint("b"),
            ClusterIdentity {
                name: None,
                nodes: ["node7".to_owned()].into(),
            },
        );
        assert_eq!(
            other.unwrap_err().to_string(),
            "a:8006 and b:8006 belong to different clusters: \
             a:8006 to cluster 'lab' with nodes pve1 and pve2, b:8006 to a cluster with node node7"
        );
    }
}
