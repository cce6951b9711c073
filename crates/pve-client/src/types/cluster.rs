// SPDX-License-Identifier: GPL-3.0-only
//! The version of PVE, the status of the cluster, and the privileges of the login.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::lenient;

/// The version of PVE: `GET /version` (`PVE/API2.pm`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "WireVersion")]
pub struct Version {
    /// The full version of pve-manager, such as `8.4.21`.
    pub version: String,
    /// The release, such as `8.4`.
    pub release: String,
}

impl Version {
    /// The number before the first dot, such as 8.
    pub fn major(&self) -> Option<u32> {
        self.version.split('.').next()?.parse().ok()
    }
}

#[derive(Deserialize)]
struct WireVersion {
    #[serde(default, deserialize_with = "lenient::text")]
    version: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    release: Option<String>,
}

impl From<WireVersion> for Version {
    fn from(wire: WireVersion) -> Self {
        Self {
            version: wire.version.unwrap_or_default(),
            release: wire.release.unwrap_or_default(),
        }
    }
}

/// The status of the cluster: `GET /cluster/status` (`PVE/API2/Cluster.pm`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterStatus {
    /// The cluster's name; absent on a host outside of any cluster.
    pub name: Option<String>,
    /// Whether the cluster has quorum; absent on a host outside of any cluster.
    pub quorate: Option<bool>,
    /// The nodes.
    pub nodes: Vec<ClusterNode>,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterNode {
    /// Its name.
    pub name: String,
    /// Whether it is online.
    pub online: bool,
    /// Whether it is the node that replied.
    pub local: bool,
    /// Its IP address, if the cluster knows it.
    pub address: Option<String>,
}

#[derive(Deserialize)]
struct WireStatus {
    #[serde(default, rename = "type", deserialize_with = "lenient::text")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional_boolean")]
    quorate: Option<bool>,
    #[serde(default, deserialize_with = "lenient::boolean")]
    online: bool,
    #[serde(default, deserialize_with = "lenient::boolean")]
    local: bool,
    #[serde(default, deserialize_with = "lenient::text")]
    ip: Option<String>,
}

impl<'de> Deserialize<'de> for ClusterStatus {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let mut status = Self::default();
        for wire in lenient::List::<WireStatus>::deserialize(input)?.0 {
            match (wire.kind.as_deref(), wire.name) {
                (Some("cluster"), name) => {
                    status.name = name;
                    status.quorate = wire.quorate;
                }
                (Some("node"), Some(name)) => status.nodes.push(ClusterNode {
                    name,
                    online: wire.online,
                    local: wire.local,
                    address: wire.ip,
                }),
                _ => {}
            }
        }
        Ok(status)
    }
}

/// The privileges of the login by path: `GET /access/permissions` (`PVE/API2/AccessControl.pm`).
///
/// It contains the paths that have an entry, not every object below them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(BTreeMap<String, BTreeMap<String, bool>>);

impl Permissions {
    /// Whether exactly this path has an entry with the privilege.
    pub fn has_entry(&self, path: &str, privilege: &str) -> bool {
        self.0
            .get(path)
            .is_some_and(|privileges| privileges.contains_key(privilege))
    }

    /// Whether the login has the privilege on the path, by the entry of the path itself or by the nearest
    /// entry above it that propagates.
    ///
    /// `GET /access/permissions` omits paths without any privilege, so a path blocked by `NoAccess` seems to
    /// inherit.
    pub fn holds(&self, path: &str, privilege: &str) -> bool {
        match self.0.get(path) {
            Some(on_path) => on_path.contains_key(privilege),
            None => self.propagates(path, privilege),
        }
    }

    /// Whether the privilege applies to everything below the path, by the entry of the path itself or of the
    /// nearest one above it.
    pub fn propagates(&self, path: &str, privilege: &str) -> bool {
        let mut at = path;
        loop {
            let entry = if at.is_empty() { "/" } else { at };
            if let Some(on_path) = self.0.get(entry) {
                return on_path.get(privilege) == Some(&true);
            }
            match at.rsplit_once('/') {
                Some((above, _)) => at = above,
                None => return false,
            }
        }
    }

    /// Each path with its privileges, and for each privilege whether it also applies below the path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &BTreeMap<String, bool>)> {
        self.0
            .iter()
            .map(|(path, privileges)| (path.as_str(), privileges))
    }

    /// Whether the login has no privileges.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(BTreeMap::is_empty)
    }
}

impl<P: Into<String>, N: Into<String>, L: IntoIterator<Item = (N, bool)>> FromIterator<(P, L)>
    for Permissions
{
    /// Builds permissions from paths and the privileges on each.
    fn from_iter<I: IntoIterator<Item = (P, L)>>(paths: I) -> Self {
        let named = |list: L| {
            let list = list.into_iter();
            list.map(|(name, below)| (name.into(), below)).collect()
        };
        let paths = paths.into_iter();
        Self(
            paths
                .map(|(path, list)| (path.into(), named(list)))
                .collect(),
        )
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        type Wire = BTreeMap<String, Option<BTreeMap<String, lenient::Flag>>>;
        let paths = Option::<Wire>::deserialize(input)?.unwrap_or_default();
        let plain = |privileges: BTreeMap<String, lenient::Flag>| {
            privileges
                .into_iter()
                .map(|(name, propagates)| (name, propagates.0))
                .collect()
        };
        let listed = paths.into_iter();
        Ok(Self(
            listed
                .map(|(path, privileges)| (path, plain(privileges.unwrap_or_default())))
                .collect(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_and_a_single_host_are_parsed() {
        let cluster: ClusterStatus = serde_json::from_str(
            r#"[{"version":3,"type":"cluster","name":"lab","nodes":3,"id":"cluster","quorate":1},
                {"id":"node/pve1","type":"node","name":"pve1","ip":"10.99.0.1","local":1,"online":1},
                {"online":0,"local":0,"type":"node","name":"pve3"},{"type":"future"}]"#,
        )
        .unwrap();
        assert_eq!(
            (cluster.name.as_deref(), cluster.quorate),
            (Some("lab"), Some(true))
        );
        assert_eq!(cluster.nodes.len(), 2);
        assert_eq!(cluster.nodes[0].address.as_deref(), Some("10.99.0.1"));
        assert!(cluster.nodes[0].local && !cluster.nodes[1].online);
        let single: ClusterStatus =
            serde_json::from_str(r#"[{"name":"pve1","local":1,"type":"node","online":1}]"#)
                .unwrap();
        assert_eq!((single.quorate, single.nodes.len()), (None, 1));
    }

    #[test]
    fn the_nearest_entry_applies() {
        let permissions: Permissions = [
            ("/", vec![("VM.Audit", true), ("VM.Snapshot", true)]),
            ("/vms/100", vec![("VM.Audit", true)]),
            ("/pool", vec![("Pool.Audit", false)]),
        ]
        .into_iter()
        .collect();
        for (path, privilege, expected) in [
            ("/vms/101", "VM.Snapshot", true),
            ("/vms/100", "VM.Snapshot", false),
            ("/vms/100", "VM.Audit", true),
            ("/pool", "Pool.Audit", true),
            ("/pool/lab", "Pool.Audit", false),
            ("/", "Sys.Audit", false),
        ] {
            assert_eq!(permissions.holds(path, privilege), expected, "{path}");
        }
        assert!(!permissions.is_empty());
        assert!(Permissions::default().is_empty());
    }

    #[test]
    fn privileges_propagate_from_the_nearest_entry() {
        let permissions: Permissions = serde_json::from_str(
            r#"{"/":{"Pool.Audit":1},"/pool/a":{"Pool.Audit":0},"/pool/a/b":{"Pool.Audit":1}}"#,
        )
        .unwrap();
        for (path, expected) in [
            ("/", true),
            ("/pool/x", true),
            ("/pool/a", false),
            ("/pool/a/c", false),
            ("/pool/a/b", true),
            ("/pool/a/b/d", true),
        ] {
            assert_eq!(
                permissions.propagates(path, "Pool.Audit"),
                expected,
                "{path}"
            );
        }
        assert!(!permissions.propagates("/pool/x", "VM.Audit"));
        assert!(!Permissions::default().propagates("/pool/x", "VM.Audit"));
    }

    #[test]
    fn privileges_are_found_by_path() {
        let permissions: Permissions = serde_json::from_str(
            r#"{"/vms":{"VM.Audit":1,"VM.Snapshot":0},"/storage":{"Datastore.Audit":1},"/x":null}"#,
        )
        .unwrap();
        assert!(permissions.has_entry("/vms", "VM.Snapshot"));
        assert!(!permissions.has_entry("/vms/100", "VM.Snapshot"));
        let vms = permissions
            .iter()
            .find(|(path, _)| *path == "/vms")
            .unwrap()
            .1;
        assert_eq!((vms["VM.Audit"], vms["VM.Snapshot"]), (true, false));
        assert_eq!(permissions.iter().count(), 3);
        assert!(!permissions.is_empty());
        assert!(
            serde_json::from_str::<Permissions>("null")
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn the_major_version_is_a_number() {
        let version: Version =
            serde_json::from_str(r#"{"release":"8.4","version":"8.4.21","repoid":"2606"}"#)
                .unwrap();
        assert_eq!(
            (version.major(), version.release.as_str()),
            (Some(8), "8.4")
        );
        assert_eq!(Version::default().major(), None);
    }
}
