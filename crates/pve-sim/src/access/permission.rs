// SPDX-License-Identifier: GPL-3.0-only
//! Effective permissions: roles along a path, pools, privilege separation (`roles` in
//! `PVE/AccessControl.pm`, `permissions` in `PVE/RPCEnvironment.pm`).

use std::collections::{BTreeMap, BTreeSet};

use super::{Access, Grant, split_token};

/// Roles or privileges with their propagation flag.
pub type PropagationFlags = BTreeMap<String, bool>;

/// The superuser, for whom all checks succeed.
pub const ROOT: &str = "root@pam";

/// Pool lookups that permission checks need.
pub trait Pools {
    /// The pools that contain the object of an access control path.
    fn pools_of(&self, path: &str) -> Vec<&str>;
    /// The access control paths of all pool members.
    fn member_paths(&self) -> Vec<String>;
}

impl Access {
    /// The privileges of a user or token on a path.
    pub fn permissions(&self, pools: &impl Pools, who: &str, path: &str) -> PropagationFlags {
        if who == ROOT {
            return self
                .roles
                .get("Administrator")
                .into_iter()
                .flatten()
                .map(|name| (name.clone(), true))
                .collect();
        }
        let Some((userid, _)) = split_token(who) else {
            return self.own_privileges(pools, who, path);
        };
        match self.token(who) {
            None => PropagationFlags::new(),
            Some(token) if !token.separated => self.permissions(pools, userid, path),
            Some(_) => {
                let users = self.permissions(pools, userid, path);
                self.own_privileges(pools, who, path)
                    .into_iter()
                    .filter_map(|(name, flag)| {
                        let users_flag = *users.get(&name)?;
                        Some((name, flag && users_flag))
                    })
                    .collect()
            }
        }
    }

    /// Whether a user or token has one privilege on a path.
    pub fn allows(&self, pools: &impl Pools, who: &str, path: &str, privilege: &str) -> bool {
        who == ROOT || self.permissions(pools, who, path).contains_key(privilege)
    }

    /// All permissions of a user or token, by path (`get_effective_permissions`).
    pub fn effective(&self, pools: &impl Pools, who: &str) -> BTreeMap<String, PropagationFlags> {
        let mut paths = self.granted_paths(&[
            "/",
            "/access",
            "/access/groups",
            "/nodes",
            "/pool",
            "/sdn",
            "/storage",
            "/vms",
        ]);
        paths.extend(pools.member_paths());
        paths
            .into_iter()
            .map(|path| (self.permissions(pools, who, &path), path))
            .filter(|(privileges, _)| !privileges.is_empty())
            .map(|(privileges, path)| (path, privileges))
            .collect()
    }

    /// The capabilities in a login response (`compute_api_permission`).
    pub fn capabilities(
        &self,
        pools: &impl Pools,
        who: &str,
    ) -> BTreeMap<&'static str, BTreeMap<String, u8>> {
        let mut found: BTreeMap<&'static str, BTreeMap<String, u8>> = BTreeMap::new();
        for section in ["vms", "access", "storage", "nodes", "sdn", "dc", "mapping"] {
            found.entry(section).or_default();
        }
        let paths = self.granted_paths(&[
            "/",
            "/nodes",
            "/access/groups",
            "/vms",
            "/storage",
            "/sdn",
            "/mapping",
        ]);
        for path in paths {
            let top = path
                .trim_start_matches('/')
                .split('/')
                .next()
                .unwrap_or_default();
            for privilege in self.permissions(pools, who, &path).into_keys() {
                for section in sections(top, &privilege) {
                    found
                        .entry(section)
                        .or_default()
                        .insert(privilege.clone(), 1);
                }
            }
        }
        found
    }

    /// The given paths, and all paths of grants with their ancestors.
    fn granted_paths(&self, paths: &[&str]) -> BTreeSet<String> {
        let granted = self.grants.iter().flat_map(|grant| ancestors(&grant.path));
        paths
            .iter()
            .map(|path| (*path).to_owned())
            .chain(granted)
            .collect()
    }

    /// Privileges from the grants of exactly this user or token.
    fn own_privileges(&self, pools: &impl Pools, who: &str, path: &str) -> PropagationFlags {
        let mut roles = self.roles_on(who, path);
        let from_pools: BTreeSet<String> = pools
            .pools_of(path)
            .into_iter()
            .flat_map(|pool| self.roles_on(who, &format!("/pool/{pool}")).into_keys())
            .collect();
        // NoAccess on the path itself wins, then NoAccess on the pool; otherwise all roles add up.
        if !from_pools.is_empty() && !roles.contains_key("NoAccess") {
            if from_pools.contains("NoAccess") {
                return PropagationFlags::new();
            }
            for role in from_pools {
                roles.entry(role).or_insert(false);
            }
        }
        let mut privileges = PropagationFlags::new();
        for (role, propagate) in &roles {
            for privilege in self.roles.get(role).into_iter().flatten() {
                *privileges.entry(privilege.clone()).or_insert(false) |= propagate;
            }
        }
        privileges
    }

    /// The roles on a path: the nearest grant replaces those above it.
    fn roles_on(&self, who: &str, path: &str) -> PropagationFlags {
        let mut roles = PropagationFlags::new();
        if !path.starts_with('/') {
            return roles;
        }
        for above in ancestors(path) {
            let last = above == path;
            let here: PropagationFlags = self
                .grants
                .iter()
                .filter(|grant| applies(grant, who, &above) && (last || grant.propagate))
                .map(|grant| (grant.role.clone(), grant.propagate))
                .collect();
            if !here.is_empty() {
                roles = here;
            }
        }
        if let Some(flag) = roles.get("NoAccess") {
            return [("NoAccess".to_owned(), *flag)].into();
        }
        roles
    }
}

fn applies(grant: &Grant, who: &str, path: &str) -> bool {
    grant.who == who && grant.path == path
}

/// `/`, `/pool` and `/pool/lab` for `/pool/lab`.
fn ancestors(path: &str) -> Vec<String> {
    let mut found = vec!["/".to_owned()];
    let mut current = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        current.push('/');
        current.push_str(part);
        found.push(current.clone());
    }
    found
}

/// The capability sections for a privilege on a path.
fn sections(top: &str, privilege: &str) -> Vec<&'static str> {
    let modify = privilege == "Permissions.Modify";
    let family = |prefix: &str| privilege.starts_with(prefix);
    match top {
        "pool" => [
            ("vms", family("VM.") || modify),
            ("storage", family("Datastore.") || modify),
        ]
        .into_iter()
        .filter_map(|(section, included)| included.then_some(section))
        .collect(),
        "vms" if family("VM.") || modify => vec!["vms"],
        "access" if family("User.") || family("Group.") || modify => vec!["access"],
        "storage" if family("Datastore.") || modify => vec!["storage"],
        "nodes" if family("Sys.") || modify => vec!["nodes"],
        "sdn" if family("SDN.") || modify => vec!["sdn"],
        "mapping" if family("Mapping.") || modify => vec!["mapping"],
        "" if family("Sys.Audit") || family("Sys.Modify") || family("SDN.") => vec!["dc"],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Token, User, roles};

    struct Lab;

    impl Pools for Lab {
        fn pools_of(&self, path: &str) -> Vec<&str> {
            match path {
                "/vms/105" => vec!["lab"],
                "/vms/106" => vec!["lab/nested"],
                _ => Vec::new(),
            }
        }
        fn member_paths(&self) -> Vec<String> {
            vec!["/vms/105".to_owned(), "/vms/106".to_owned()]
        }
    }

    fn grant(path: &str, who: &str, role: &str) -> Grant {
        Grant {
            path: path.to_owned(),
            who: who.to_owned(),
            role: role.to_owned(),
            propagate: true,
        }
    }

    fn access() -> Access {
        let token = |separated| Token {
            separated,
            expires: 0,
            secret: None,
        };
        let backup = User {
            tokens: [
                ("auto".to_owned(), token(false)),
                ("limited".to_owned(), token(true)),
            ]
            .into(),
            ..User::default()
        };
        let mut roles = roles::predefined(crate::release::Release::V8);
        let runner = ["VM.Audit", "VM.Snapshot", "Pool.Audit"].map(str::to_owned);
        roles.insert("SnapRunner".to_owned(), runner.to_vec());
        Access {
            users: [("backup@pve".to_owned(), backup)].into(),
            roles,
            grants: vec![
                grant("/", "backup@pve", "SnapRunner"),
                grant("/vms/100", "backup@pve!limited", "SnapRunner"),
                grant("/pool/lab", "backup@pve!limited", "PVEAuditor"),
                grant("/vms/300", "backup@pve", "NoAccess"),
            ],
        }
    }

    #[test]
    fn a_separated_token_has_only_the_common_privileges() {
        let access = access();
        let may = |who: &str, path: &str, what: &str| access.allows(&Lab, who, path, what);
        assert!(may("backup@pve!auto", "/vms/7", "VM.Snapshot"));
        assert!(may("backup@pve!limited", "/vms/100", "VM.Snapshot"));
        assert!(!may("backup@pve!limited", "/vms/101", "VM.Audit"));
        assert!(
            may("backup@pve!limited", "/vms/105", "VM.Audit"),
            "through its pool"
        );
        assert!(
            may("backup@pve!limited", "/vms/106", "VM.Audit"),
            "through the outer pool"
        );
        assert!(!may("backup@pve!limited", "/vms/105", "VM.Snapshot"));
        assert!(
            !may("backup@pve!limited", "/pool/lab", "Datastore.Audit"),
            "the user lacks it"
        );
    }

    #[test]
    fn no_access_removes_inherited_privileges() {
        let access = access();
        assert!(!access.allows(&Lab, "backup@pve", "/vms/300", "VM.Audit"));
        assert!(access.allows(&Lab, ROOT, "/vms/300", "VM.Audit"));
        assert!(!access.allows(&Lab, "stranger@pve", "/", "VM.Audit"));
    }

    #[test]
    fn a_path_without_a_slash_grants_nothing() {
        assert!(
            access()
                .permissions(&Lab, "backup@pve", "nonsense")
                .is_empty()
        );
    }
}
