// SPDX-License-Identifier: GPL-3.0-only
//! Keeps the hosts of a client in one cluster.
//!
//! The first host whose cluster is known is the reference. Every other host is compared with it
//! before a request is sent to it; a host of another cluster gets none. Every login sees all nodes in
//! `/nodes` and `/cluster/resources`; the cluster's name needs `Sys.Audit` on `/`
//! (`read.nodes.json` and `read.cluster.json` of the recordings).
//!
//! Limits: it sends nothing itself; `transport` does. A copy of a cluster that was restored from a
//! backup has the same names and cannot be told from it here.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Deserializer};

use crate::call::Call;
use crate::endpoint::Endpoint;
use crate::error::{Error, Method};
use crate::reply;
use crate::transport::Answer;
use crate::types::loose::{self, List};
use crate::types::{ClusterStatus, Resource};

/// What identifies a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterIdentity {
    /// The cluster's name; absent without `Sys.Audit` on `/` and on a host that is in no cluster.
    pub name: Option<String>,
    /// The names of its nodes.
    pub nodes: BTreeSet<String>,
}

impl ClusterIdentity {
    /// Whether both can be the same cluster: a node in common, and no two different names.
    pub fn may_equal(&self, other: &Self) -> bool {
        let named_alike = match (&self.name, &other.name) {
            (Some(one), Some(two)) => one == two,
            (None, _) | (_, None) => true,
        };
        named_alike && !self.nodes.is_disjoint(&other.nodes)
    }

    /// The identity that `GET /cluster/resources` shows.
    pub(crate) fn from_resources(resources: &[Resource]) -> Self {
        let nodes = resources.iter().filter_map(|resource| match resource {
            Resource::Node(node) => Some(node.node.clone()),
            Resource::Guest(_) | Resource::Storage(_) | Resource::Pool(_) | Resource::Other(_) => {
                None
            }
        });
        Self {
            name: None,
            nodes: nodes.collect(),
        }
    }

    /// The identity that `GET /cluster/status` shows.
    pub(crate) fn from_status(status: &ClusterStatus) -> Self {
        Self {
            name: status.name.clone(),
            nodes: status.nodes.iter().map(|node| node.name.clone()).collect(),
        }
    }

    /// Takes over what a newer reply shows.
    fn update(&mut self, newer: Self) {
        if newer.name.is_some() {
            self.name = newer.name;
        }
        if !newer.nodes.is_empty() {
            self.nodes = newer.nodes;
        }
    }
}

impl fmt::Display for ClusterIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: Vec<&str> = self.nodes.iter().map(String::as_str).collect();
        let nodes = match nodes.as_slice() {
            [] => "without nodes".to_owned(),
            [node] => format!("with node {node}"),
            [first @ .., last] => format!("with nodes {} and {last}", first.join(", ")),
        };
        match &self.name {
            Some(name) => write!(formatter, "cluster '{name}' {nodes}"),
            None => write!(formatter, "a cluster {nodes}"),
        }
    }
}

/// A host that belongs to another cluster than the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherCluster {
    /// The host the client began with.
    pub reference: Endpoint,
    /// The cluster of that host.
    pub expected: ClusterIdentity,
    /// The host of the other cluster.
    pub endpoint: Endpoint,
    /// The other cluster.
    pub found: ClusterIdentity,
}

impl fmt::Display for OtherCluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            reference,
            expected,
            endpoint,
            found,
        } = self;
        write!(
            formatter,
            "{reference} and {endpoint} belong to different clusters: {reference} to {expected}, {endpoint} to {found}"
        )
    }
}

/// The cluster that a reply to [`Admission::Ask`] names.
pub(crate) fn identity(question: &Call, answer: &Answer) -> Result<ClusterIdentity, Error> {
    let Answer { body, endpoint } = answer;
    if question.path() == "/cluster/status" {
        let status = reply::data::<ClusterStatus>(question, endpoint, body)?;
        return Ok(ClusterIdentity::from_status(&status));
    }
    reply::data(question, endpoint, body)
}

impl<'de> Deserialize<'de> for ClusterIdentity {
    /// Reads the reply to `GET /nodes`.
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Node {
            #[serde(default, deserialize_with = "loose::text")]
            node: Option<String>,
        }
        let nodes = List::<Node>::deserialize(input)?.0.into_iter();
        Ok(Self {
            name: None,
            nodes: nodes.filter_map(|node| node.node).collect(),
        })
    }
}

/// Whether a request may go to a host.
pub(crate) enum Admission {
    /// It may.
    Granted,
    /// Only after the host has named its cluster in reply to this request.
    Ask(Call),
    /// It may not: the host belongs to another cluster.
    Refused(Box<OtherCluster>),
}

/// The cluster of a client, and which hosts belong to it.
pub(crate) struct Membership {
    state: Mutex<State>,
    /// Held while a host is asked, so that requests in parallel ask it once.
    pub(crate) asking: tokio::sync::Mutex<()>,
}

struct State {
    reference: Option<(Endpoint, ClusterIdentity)>,
    hosts: Vec<Standing>,
}

#[derive(Clone)]
enum Standing {
    Unknown,
    Member,
    Foreign(Box<OtherCluster>),
}

impl Membership {
    pub(crate) fn new(hosts: usize) -> Self {
        Self {
            state: Mutex::new(State {
                reference: None,
                hosts: vec![Standing::Unknown; hosts],
            }),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// Whether this request may go to this host.
    pub(crate) fn admission(&self, host: usize, call: &Call) -> Admission {
        let state = self.lock();
        // Sign-on comes before everything, and a host alone cannot be the wrong one.
        if state.hosts.len() < 2 || call.is_cluster_independent() {
            return Admission::Granted;
        }
        match (&state.hosts[host], &state.reference) {
            (Standing::Member, _) => Admission::Granted,
            (Standing::Foreign(other), _) => Admission::Refused(other.clone()),
            (Standing::Unknown, None) if call.lists_cluster_nodes() => Admission::Granted,
            (Standing::Unknown, Some((_, known))) if known.name.is_some() => {
                Admission::Ask(Call::new(Method::Get, &["cluster", "status"]))
            }
            (Standing::Unknown, _) => Admission::Ask(Call::new(Method::Get, &["nodes"])),
        }
    }

    /// Records the cluster that a host has reported; an error if it is not the reference's.
    pub(crate) fn learn(
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
            (Standing::Foreign(other), _) => return Err(other.clone()),
            (Standing::Member, Some((_, known))) => known.update(found),
            (Standing::Unknown | Standing::Member, None) => {
                *reference = Some((endpoint.clone(), found));
                hosts[host] = Standing::Member;
            }
            (Standing::Unknown, Some((_, known))) if known.may_equal(&found) => {
                hosts[host] = Standing::Member;
            }
            (Standing::Unknown, Some((first, known))) => {
                let other = Box::new(OtherCluster {
                    reference: first.clone(),
                    expected: known.clone(),
                    endpoint: endpoint.clone(),
                    found,
                });
                hosts[host] = Standing::Foreign(other.clone());
                return Err(other);
            }
        }
        Ok(())
    }

    /// A panic elsewhere cannot leave this half changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(name: Option<&str>, nodes: &[&str]) -> ClusterIdentity {
        ClusterIdentity {
            name: name.map(ToOwned::to_owned),
            nodes: nodes.iter().map(|&node| node.to_owned()).collect(),
        }
    }

    #[test]
    fn clusters_are_compared_by_nodes_and_by_name_if_both_are_known() {
        let lab = identity(Some("lab"), &["pve1", "pve2"]);
        for (other, expected) in [
            (identity(Some("lab"), &["pve2", "pve3"]), true),
            (identity(None, &["pve2"]), true),
            (identity(Some("site"), &["pve1", "pve2"]), false),
            (identity(Some("lab"), &["pve3"]), false),
            (identity(None, &[]), false),
        ] {
            assert_eq!(lab.may_equal(&other), expected, "{other}");
            assert_eq!(other.may_equal(&lab), expected, "{other}");
        }
    }

    #[test]
    fn an_error_names_both_hosts_with_their_nodes() {
        let endpoint = |host: &str| Endpoint {
            host: host.to_owned(),
            port: 8006,
        };
        let membership = Membership::new(2);
        let first = identity(Some("lab"), &["pve1", "pve2"]);
        assert!(membership.learn(0, &endpoint("a"), first).is_ok());
        let other = membership.learn(1, &endpoint("b"), identity(None, &["node7"]));
        assert_eq!(
            other.unwrap_err().to_string(),
            "a:8006 and b:8006 belong to different clusters: \
             a:8006 to cluster 'lab' with nodes pve1 and pve2, b:8006 to a cluster with node node7"
        );
    }
}
