// SPDX-License-Identifier: GPL-3.0-only
//! The identity of a cluster: its name and its nodes.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer};

use crate::endpoint::Endpoint;
use crate::types::lenient::{self, List};
use crate::types::{ClusterStatus, Resource};

/// What identifies a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterIdentity {
    /// The cluster's name; absent without `Sys.Audit` on `/`, and on a host outside of any cluster.
    pub name: Option<String>,
    /// The names of its nodes.
    pub nodes: BTreeSet<String>,
}

impl ClusterIdentity {
    /// Whether both can be the same cluster: a common node, and not two different names.
    pub fn is_compatible_with(&self, other: &Self) -> bool {
        let same_name = match (&self.name, &other.name) {
            (Some(one), Some(two)) => one == two,
            (None, _) | (_, None) => true,
        };
        same_name && !self.nodes.is_disjoint(&other.nodes)
    }

    /// The nodes in a reply to `GET /cluster/resources`.
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

    /// Name and nodes in a reply to `GET /cluster/status`.
    pub(crate) fn from_status(status: &ClusterStatus) -> Self {
        Self {
            name: status.name.clone(),
            nodes: status.nodes.iter().map(|node| node.name.clone()).collect(),
        }
    }

    /// Adopts the name and the nodes of a newer reply, if it has them.
    pub(crate) fn update(&mut self, newer: Self) {
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
    /// The first host whose cluster was known.
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

impl<'de> Deserialize<'de> for ClusterIdentity {
    /// Reads the reply to `GET /nodes`.
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Node {
            #[serde(default, deserialize_with = "lenient::text")]
            node: Option<String>,
        }
        let nodes = List::<Node>::deserialize(input)?.0.into_iter();
        Ok(Self {
            name: None,
            nodes: nodes.filter_map(|node| node.node).collect(),
        })
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
            assert_eq!(lab.is_compatible_with(&other), expected, "{other}");
            assert_eq!(other.is_compatible_with(&lab), expected, "{other}");
        }
    }
}
