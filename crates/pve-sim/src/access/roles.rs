// SPDX-License-Identifier: GPL-3.0-only
//! The privileges and predefined roles of PVE 8.4, after the table
//! `$privgroups` in `PVE/AccessControl.pm`.

use std::collections::BTreeMap;

/// One family of privileges, split by whom PVE gives them to.
struct Family {
    /// `PVE<name>Admin` and, where it makes sense, `PVE<name>User` are made of it.
    name: &'static str,
    root: &'static [&'static str],
    admin: &'static [&'static str],
    user: &'static [&'static str],
    audit: &'static [&'static str],
}

const FAMILIES: &[Family] = &[
    Family {
        name: "VM",
        root: &[],
        admin: &[
            "VM.Config.Disk",
            "VM.Config.CPU",
            "VM.Config.Memory",
            "VM.Config.Network",
            "VM.Config.HWType",
            "VM.Config.Options",
            "VM.Allocate",
            "VM.Clone",
            "VM.Migrate",
            "VM.Monitor",
            "VM.Snapshot",
            "VM.Snapshot.Rollback",
        ],
        user: &[
            "VM.Config.CDROM",
            "VM.Config.Cloudinit",
            "VM.Console",
            "VM.Backup",
            "VM.PowerMgmt",
        ],
        audit: &["VM.Audit"],
    },
    Family {
        name: "Sys",
        root: &[
            "Sys.PowerMgmt",
            "Sys.Modify",
            "Sys.Incoming",
            "Sys.AccessNetwork",
        ],
        admin: &["Sys.Console", "Sys.Syslog"],
        user: &[],
        audit: &["Sys.Audit"],
    },
    Family {
        name: "Datastore",
        root: &[],
        admin: &["Datastore.Allocate", "Datastore.AllocateTemplate"],
        user: &["Datastore.AllocateSpace"],
        audit: &["Datastore.Audit"],
    },
    Family {
        name: "SDN",
        root: &[],
        admin: &["SDN.Allocate"],
        user: &["SDN.Use"],
        audit: &["SDN.Audit"],
    },
    Family {
        name: "User",
        root: &["Realm.Allocate", "Permissions.Modify"],
        admin: &["User.Modify", "Group.Allocate", "Realm.AllocateUser"],
        user: &[],
        audit: &[],
    },
    Family {
        name: "Pool",
        root: &[],
        admin: &["Pool.Allocate"],
        user: &[],
        audit: &["Pool.Audit"],
    },
    Family {
        name: "Mapping",
        root: &[],
        admin: &["Mapping.Modify"],
        user: &["Mapping.Use"],
        audit: &["Mapping.Audit"],
    },
];

/// The predefined roles with their privileges.
pub fn predefined() -> BTreeMap<String, Vec<String>> {
    let mut roles: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut add = |role: String, privileges: &[&'static str]| {
        let list = roles.entry(role).or_default();
        list.extend(privileges.iter().map(|name| (*name).to_owned()));
    };
    add("NoAccess".to_owned(), &[]);
    for family in FAMILIES {
        for part in [family.root, family.admin, family.user, family.audit] {
            add("Administrator".to_owned(), part);
        }
        for part in [family.admin, family.user, family.audit] {
            add("PVEAdmin".to_owned(), part);
            add(format!("PVE{}Admin", family.name), part);
        }
        if !family.user.is_empty() {
            for part in [family.user, family.audit] {
                add(format!("PVE{}User", family.name), part);
            }
        }
        add("PVEAuditor".to_owned(), family.audit);
    }
    roles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_hold_what_pve_says() {
        let roles = predefined();
        let has = |role: &str, privilege: &str| roles[role].iter().any(|name| name == privilege);
        assert!(has("Administrator", "Sys.Modify") && !has("PVEAdmin", "Sys.Modify"));
        assert!(has("PVEVMAdmin", "VM.Snapshot") && !has("PVEVMUser", "VM.Snapshot"));
        assert!(has("PVEAuditor", "Datastore.Audit") && !has("PVEAuditor", "VM.Console"));
        assert!(roles["NoAccess"].is_empty());
    }
}
