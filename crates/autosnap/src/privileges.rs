// SPDX-License-Identifier: GPL-3.0-only
//! The privileges of the login, by path.
//!
//! `GET /access/permissions` lists the paths with an entry of their own (`PVE/RPCEnvironment.pm`,
//! `get_effective_permissions`); paths below inherit the privileges that propagate. Paths without any
//! privilege are left out, so a guest blocked by `NoAccess` would seem to inherit; but such a guest is not
//! listed either.

use std::collections::BTreeMap;

use pve_client::Client;

/// The privileges of a login: by path, each with whether it holds below the path too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Privileges(BTreeMap<String, BTreeMap<String, bool>>);

impl Privileges {
    /// Reads the caller's privileges; `None` if Proxmox VE does not list them.
    pub async fn read(client: &Client) -> Option<Self> {
        let permissions = client.permissions(None).await.ok()?;
        let listed = permissions.iter();
        Some(Self(
            listed
                .map(|(path, privileges)| (path.to_owned(), privileges.clone()))
                .collect(),
        ))
    }

    /// Whether the login may do nothing anywhere.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(BTreeMap::is_empty)
    }

    /// Whether the login holds a privilege on a path, by an entry of the path or by the nearest
    /// entry above that is passed on.
    pub fn holds(&self, path: &str, privilege: &str) -> bool {
        if let Some(on_path) = self.0.get(path) {
            return on_path.contains_key(privilege);
        }
        let mut above = path;
        while let Some((parent, _)) = above.rsplit_once('/') {
            above = parent;
            let entry = if above.is_empty() { "/" } else { above };
            if let Some(on_path) = self.0.get(entry) {
                return on_path.get(privilege) == Some(&true);
            }
        }
        false
    }
}

impl<P: Into<String>, N: Into<String>, L: IntoIterator<Item = (N, bool)>> FromIterator<(P, L)>
    for Privileges
{
    /// From paths and the privileges on each.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_entry_decides() {
        let privileges: Privileges = [
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
            assert_eq!(privileges.holds(path, privilege), expected, "{path}");
        }
        assert!(!privileges.is_empty());
        assert!(Privileges::default().is_empty());
    }
}
