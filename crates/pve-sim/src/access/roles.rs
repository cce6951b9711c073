// SPDX-License-Identifier: GPL-3.0-only
//! The privileges and predefined roles of PVE 8.4 and 9.2, based on `$privgroups` in
//! `PVE/AccessControl.pm`.

use std::collections::BTreeMap;

use crate::release::Release;

/// A group of privileges, split by the roles that include them.
struct Family {
    /// Name part of the roles `PVE<name>Admin` and `PVE<name>User`.
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

/// Groups that exist in only one of the releases.
fn families_of(release: Release) -> &'static [Family] {
    match release {
        Release::V8 => &[Family {
            name: "VM",
            root: &[],
            admin: &["VM.Monitor"],
            user: &[],
            audit: &[],
        }],
        Release::V9 => &[Family {
            name: "VM",
            root: &[],
            admin: &["VM.GuestAgent.Unrestricted", "VM.Replicate"],
            user: &[
                "VM.GuestAgent.FileRead",
                "VM.GuestAgent.FileSystemMgmt",
                "VM.GuestAgent.FileWrite",
            ],
            audit: &["VM.GuestAgent.Audit"],
        }],
    }
}

/// The predefined roles with their privileges.
pub fn predefined(release: Release) -> BTreeMap<String, Vec<String>> {
    let mut roles: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut add = |role: String, privileges: &[&'static str]| {
        let list = roles.entry(role).or_default();
        list.extend(privileges.iter().map(|name| (*name).to_owned()));
    };
    add("NoAccess".to_owned(), &[]);
    add("PVETemplateUser".to_owned(), &["VM.Audit", "VM.Clone"]);
    for family in FAMILIES.iter().chain(families_of(release)) {
        for part in [family.root, family.admin, family.user, family.audit] {
            add("Administrator".to_owned(), part);
        }
        for part in [family.admin, family.user, family.audit] {
            // A user who maps a device gives guests a part of the host.
            if part != ["Mapping.Modify"] {
                add("PVEAdmin".to_owned(), part);
            }
            add(format!("PVE{}Admin", family.name), part);
        }
        if !family.user.is_empty() || family.name == "Pool" {
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
    fn roles_have_the_privileges_of_pve() {
        let roles = predefined(Release::V8);
        let has = |role: &str, privilege: &str| roles[role].iter().any(|name| name == privilege);
        assert!(has("Administrator", "Sys.Modify") && !has("PVEAdmin", "Sys.Modify"));
        assert!(has("PVEVMAdmin", "VM.Snapshot") && !has("PVEVMUser", "VM.Snapshot"));
        assert!(has("PVEAuditor", "Datastore.Audit") && !has("PVEAuditor", "VM.Console"));
        assert!(roles["NoAccess"].is_empty());
        assert!(has("PVEVMAdmin", "VM.Monitor") && !has("PVEVMUser", "VM.Monitor"));
    }

    /// PVE 9 has no `VM.Monitor`, and separate privileges for the agent.
    #[test]
    fn privileges_of_pve_9_differ() {
        let roles = predefined(Release::V9);
        let has = |role: &str, privilege: &str| roles[role].iter().any(|name| name == privilege);
        assert!(roles.values().flatten().all(|name| name != "VM.Monitor"));
        assert!(has("PVEVMUser", "VM.GuestAgent.FileRead") && !has("PVEVMUser", "VM.Replicate"));
        assert!(has("PVEAuditor", "VM.GuestAgent.Audit") && has("PVEVMAdmin", "VM.Replicate"));
    }
}
