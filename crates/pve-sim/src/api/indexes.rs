// SPDX-License-Identifier: GPL-3.0-only
//! Indexes: the lists of sub-paths that PVE returns for inner paths. Like PVE's, they include paths
//! that are not simulated; the texts are recorded or from the modules in `PVE/API2`.

use serde_json::{Value, json};

use crate::world::World;
use crate::world::guest::GuestKind;

use super::{Args, Failure, Reply};

const CLUSTER: &[&str] = &[
    "acme",
    "backup",
    "backup-info",
    "ceph",
    "config",
    "firewall",
    "ha",
    "jobs",
    "log",
    "mapping",
    "metrics",
    "notifications",
    "nextid",
    "options",
    "replication",
    "resources",
    "status",
    "tasks",
    "sdn",
];

const NODE: &[&str] = &[
    "aplinfo",
    "apt",
    "capabilities",
    "ceph",
    "certificates",
    "config",
    "disks",
    "dns",
    "firewall",
    "hardware",
    "hosts",
    "journal",
    "lxc",
    "migrateall",
    "netstat",
    "network",
    "qemu",
    "query-url-metadata",
    "replication",
    "report",
    "rrd",
    "rrddata",
    "scan",
    "services",
    "spiceshell",
    "startall",
    "status",
    "stopall",
    "storage",
    "subscription",
    "suspendall",
    "syslog",
    "tasks",
    "termproxy",
    "time",
    "version",
    "vncshell",
    "vzdump",
    "wakeonlan",
    "sdn",
];

const QEMU: &[&str] = &[
    "config",
    "cloudinit",
    "pending",
    "status",
    "unlink",
    "vncproxy",
    "termproxy",
    "migrate",
    "resize",
    "move",
    "rrd",
    "rrddata",
    "monitor",
    "agent",
    "snapshot",
    "spiceproxy",
    "sendkey",
    "firewall",
    "mtunnel",
    "remote_migrate",
];

const LXC: &[&str] = &[
    "config",
    "pending",
    "status",
    "vncproxy",
    "termproxy",
    "vncwebsocket",
    "spiceproxy",
    "migrate",
    "clone",
    "rrd",
    "rrddata",
    "firewall",
    "snapshot",
    "resize",
    "interfaces",
    "mtunnel",
    "remote_migrate",
];

const STORAGE: &[&str] = &[
    "content",
    "download-url",
    "file-restore",
    "import-metadata",
    "prunebackups",
    "rrd",
    "rrddata",
    "status",
    "upload",
];

fn index(key: &str, names: &[&str]) -> Reply {
    let entries: Vec<Value> = names.iter().map(|name| json!({ key: name })).collect();
    Reply::new(&entries)
}

/// An index with names added in PVE 9.
fn with_new(world: &World, key: &str, names: &[&str], new: &[&str]) -> Reply {
    let new = if world.release.is_9() { new } else { &[] };
    index(key, &[names, new].concat())
}

type Answer = Result<Reply, Failure>;

/// `GET /`.
pub(super) fn root(_: &mut World, _: &Args<'_>) -> Answer {
    Ok(index(
        "subdir",
        &["version", "cluster", "nodes", "storage", "access", "pools"],
    ))
}

/// `GET /access`.
pub(super) fn access(_: &mut World, _: &Args<'_>) -> Answer {
    let names = [
        "users", "groups", "roles", "acl", "domains", "openid", "tfa", "ticket", "password",
    ];
    Ok(index("subdir", &names))
}

/// `GET /cluster`.
pub(super) fn cluster(world: &mut World, _: &Args<'_>) -> Answer {
    Ok(with_new(world, "name", CLUSTER, &["bulk-action", "qemu"]))
}

/// `GET /nodes/{node}`: does not check whether the node exists.
pub(super) fn node(world: &mut World, _: &Args<'_>) -> Answer {
    Ok(with_new(world, "name", NODE, &["query-oci-repo-tags"]))
}

/// `GET /nodes/{node}/storage/{storage}`.
pub(super) fn node_storage(_: &mut World, _: &Args<'_>) -> Answer {
    Ok(index("subdir", STORAGE))
}

/// `GET /nodes/{node}/tasks/{upid}`.
pub(super) fn task(_: &mut World, _: &Args<'_>) -> Answer {
    Ok(index("name", &["log", "status"]))
}

/// `GET /nodes/{node}/{qemu,lxc}/{vmid}`.
pub(super) fn guest(_: &mut World, args: &Args<'_>) -> Answer {
    Ok(match args.kind() {
        GuestKind::Qemu => index("subdir", QEMU),
        GuestKind::Lxc => index("subdir", LXC),
    })
}

/// `GET /nodes/{node}/{qemu,lxc}/{vmid}/status`.
pub(super) fn guest_status(world: &mut World, args: &Args<'_>) -> Answer {
    world.guest_on(args.kind(), &args.node(), args.vmid())?;
    Ok(match args.kind() {
        GuestKind::Qemu => index(
            "subdir",
            &[
                "current", "start", "stop", "reset", "shutdown", "suspend", "reboot",
            ],
        ),
        GuestKind::Lxc => {
            let names = ["current", "start", "stop", "shutdown", "migrate"];
            with_new(world, "subdir", &names, &["reboot"])
        }
    })
}

/// `GET …/snapshot/{snapname}`: does not check whether the snapshot exists.
pub(super) fn snapshot(_: &mut World, _: &Args<'_>) -> Answer {
    Ok(index("cmd", &["rollback", "config"]))
}
