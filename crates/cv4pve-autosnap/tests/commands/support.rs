// SPDX-License-Identifier: GPL-3.0-only
//! A small cluster with one guest for each kind of problem, and commands that run on it.

use std::process::{Command, Output};

use pve_sim::faults::FaultPlan;
use pve_sim::simulator::{Options, Simulator};
use serde_json::{Value, json};

/// The secret of every token of the simulated cluster, which must never be printed.
pub(crate) const SECRET: &str = "22222222-2222-4222-8222-222222222222";

/// A cluster of two nodes, one of which is offline.
pub(crate) fn world() -> Value {
    json!({
        "cluster": {"name": "lab", "this_node": "pve1", "nodes": [
            {"name": "pve1", "nodeid": 1, "ip": "10.0.0.1"},
            {"name": "pve2", "nodeid": 2, "ip": "10.0.0.2", "online": false,
             "proxying_gives": "595 No route to host"}
        ]},
        "storages": [
            {"storage": "local", "type": "dir", "path": "/var/lib/vz", "content": ["images", "rootdir"],
             "snapshots": {"qcow2": true, "raw": false}, "total": 100_000_000_000_u64, "used": 1_000_000_000},
            {"storage": "bulk", "type": "dir", "path": "/mnt/pve/bulk", "content": ["images"],
             "snapshots": {"qcow2": true, "raw": false}, "total": 100_000_000_000_u64, "used": 97_000_000_000_u64}
        ],
        "guest_defaults": {"qemu": {"memory": 128}},
        "guests": [
            {"vmid": 100, "type": "qemu", "node": "pve1", "name": "web01", "status": "running",
             "config": {"scsi0": "local:100/vm-100-disk-0.qcow2,size=1G"}},
            {"vmid": 101, "type": "qemu", "node": "pve1", "name": "rawbox", "status": "stopped",
             "config": {"scsi0": "local:101/vm-101-disk-0.raw,size=1G"}},
            {"vmid": 102, "type": "qemu", "node": "pve1", "name": "busy", "status": "stopped",
             "config": {"scsi0": "local:102/vm-102-disk-0.qcow2,size=1G", "lock": "backup"}},
            {"vmid": 103, "type": "qemu", "node": "pve1", "name": "left", "status": "stopped",
             "config": {"scsi0": "local:103/vm-103-disk-0.qcow2,size=1G", "lock": "snapshot-delete"},
             "snapshots": [{"name": "autodaily260101000000", "snaptime": 1_700_000_000,
                            "description": "cv4pve-autosnap", "snapstate": "delete"}]},
            {"vmid": 104, "type": "qemu", "node": "pve1", "name": "crowded", "status": "stopped",
             "config": {"scsi0": "bulk:104/vm-104-disk-0.qcow2,size=1G"}},
            {"vmid": 105, "type": "qemu", "node": "pve2", "name": "away", "status": "running",
             "config": {"scsi0": "local:105/vm-105-disk-0.qcow2,size=1G"}}
        ],
        "roles": {"Autosnap": ["VM.Audit", "VM.Snapshot", "Datastore.Audit", "Pool.Audit"],
                  "Reader": ["VM.Audit", "Datastore.Audit"]},
        "users": [{"userid": "backup@pve"}],
        "tokens": [{"tokenid": "backup@pve!auto", "privsep": 0},
                   {"tokenid": "backup@pve!reader", "privsep": 1},
                   {"tokenid": "backup@pve!empty", "privsep": 1}],
        "acl": [{"path": "/", "who": "backup@pve", "role": "Autosnap"},
                {"path": "/", "who": "backup@pve!reader", "role": "Reader"}]
    })
}

/// Starts the cluster.
pub(crate) fn cluster() -> Simulator {
    cluster_of(world())
}

/// Starts another cluster with the same logins.
pub(crate) fn cluster_of(world: Value) -> Simulator {
    cluster_with_faults(world, FaultPlan::default())
}

/// Starts another cluster whose requests fail as planned.
pub(crate) fn cluster_with_faults(world: Value, faults: FaultPlan) -> Simulator {
    let token = |id: &str| (format!("backup@pve!{id}"), Value::from(SECRET));
    let tokens: serde_json::Map<String, Value> =
        ["auto", "reader", "empty"].into_iter().map(token).collect();
    let credentials = json!({"passwords": {"backup@pve": "secret"}, "tokens": tokens});
    let mut options = Options::new(world, credentials);
    options.faults = faults;
    Simulator::start(options).unwrap()
}

/// The address for `--host`.
pub(crate) fn host(simulator: &Simulator) -> String {
    simulator.addresses()[0].to_string()
}

/// The program without the logins of this process' environment.
pub(crate) fn program() -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("cv4pve-autosnap"));
    forget_logins(&mut command);
    command
}

/// Removes the logins of this process' environment.
pub(crate) fn forget_logins(command: &mut Command) {
    for name in [
        "CV4PVE_API_TOKEN",
        "CV4PVE_PASSWORD",
        "CREDENTIALS_DIRECTORY",
    ] {
        command.env_remove(name);
    }
}

/// The program with a token of the cluster, passed in the environment.
pub(crate) fn program_as(token: &str, simulator: &Simulator) -> Command {
    program_at(token, &host(simulator))
}

/// The same with the value of `--host`.
pub(crate) fn program_at(token: &str, hosts: &str) -> Command {
    let mut command = program();
    command
        .env("CV4PVE_API_TOKEN", format!("backup@pve!{token}={SECRET}"))
        .arg(format!("--host={hosts}"));
    command
}

/// Runs a command; returns exit status, stdout and stderr.
pub(crate) fn run(command: &mut Command) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let (stdout, stderr) = (text(stdout), text(stderr));
    assert!(!stdout.contains(SECRET) && !stderr.contains(SECRET));
    (status.code().unwrap(), stdout, stderr)
}

/// The same with an input on stdin.
#[cfg(unix)]
pub(crate) fn run_with(command: &mut Command, input: &str) -> (i32, String, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), input).unwrap();
    run(command.stdin(std::fs::File::open(file.path()).unwrap()))
}

/// The output of a command that succeeded without writing to stderr.
pub(crate) fn successful(result: (i32, String, String), arguments: &[&str]) -> String {
    let (status, stdout, stderr) = result;
    assert_eq!(
        (status, stderr.as_str()),
        (0, ""),
        "{arguments:?}: {stdout}"
    );
    stdout
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}
