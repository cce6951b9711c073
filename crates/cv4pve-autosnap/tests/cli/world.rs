// SPDX-License-Identifier: GPL-3.0-only
//! A short way to describe small clusters in the format of the simulator's world files.
//!
//! Guests run on `pve1` with a disk on `local-zfs` by default. Their snapshots are from January
//! 2024, so that they cannot be confused with snapshots that a test creates.

use serde_json::{Value, json};

/// 2024-01-01 00:00:00 UTC.
const NEW_YEAR: i64 = 1_704_067_200;

/// One gibibyte in bytes.
pub(crate) const GIB: u64 = 1 << 30;

/// A simulated cluster.
#[derive(Debug, Clone)]
pub(crate) struct World(Value);

/// A simulated guest.
#[derive(Debug, Clone)]
pub(crate) struct Guest(Value);

/// A VM with a guest agent.
pub(crate) fn vm(vmid: u32, name: &str) -> Guest {
    Guest(json!({
        "vmid": vmid, "type": "qemu", "node": "pve1", "name": name, "status": "running",
        "config": {"scsi0": format!("local-zfs:vm-{vmid}-disk-0,size=8G"), "agent": 1},
        "agent_answers": true, "snapshots": [],
    }))
}

/// A container.
pub(crate) fn ct(vmid: u32, name: &str) -> Guest {
    Guest(json!({
        "vmid": vmid, "type": "lxc", "node": "pve1", "hostname": name, "status": "running",
        "config": {"rootfs": format!("local-zfs:subvol-{vmid}-disk-0,size=8G")}, "snapshots": [],
    }))
}

/// The time of a day in January 2024.
pub(crate) fn day(number: i64) -> i64 {
    NEW_YEAR + (number - 1) * 86_400
}

/// The name of a snapshot of that day in the default format.
pub(crate) fn name(label: &str, day: i64) -> String {
    format!("auto{label}2401{day:02}000000")
}

impl Guest {
    /// Moves the guest to another node.
    pub(crate) fn on(mut self, node: &str) -> Self {
        self.0["node"] = json!(node);
        self
    }

    /// Stops the guest.
    pub(crate) fn stopped(mut self) -> Self {
        self.0["status"] = json!("stopped");
        self
    }

    /// Sets a key of the guest's configuration; null removes it.
    pub(crate) fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let config = self.0["config"].as_object_mut().unwrap();
        if value.is_null() {
            config.remove(key);
        } else {
            config.insert(key.to_owned(), value);
        }
        self
    }

    /// Sets a member of the guest in the world format.
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0[key] = value.into();
        self
    }

    /// Adds snapshots with the program's description for these days.
    pub(crate) fn taken(mut self, label: &str, days: &[i64]) -> Self {
        for &number in days {
            self = self.snapshot(&name(label, number), day(number), "cv4pve-autosnap");
        }
        self
    }

    /// Adds a snapshot as a child of the last one.
    pub(crate) fn snapshot(self, name: &str, taken_at: i64, description: &str) -> Self {
        self.snapshot_with(json!({"name": name, "snaptime": taken_at, "description": description}))
    }

    /// Adds a snapshot with members of the world format.
    pub(crate) fn snapshot_with(mut self, mut snapshot: Value) -> Self {
        let snapshots = self.0["snapshots"].as_array_mut().unwrap();
        if let Some(last) = snapshots.last() {
            snapshot["parent"] = last["name"].clone();
        }
        snapshots.push(snapshot);
        self
    }
}

impl World {
    /// A cluster of `pve1` and `pve2` with these guests.
    pub(crate) fn new(guests: impl IntoIterator<Item = Guest>) -> Self {
        let guests: Vec<Value> = guests.into_iter().map(|guest| guest.0).collect();
        Self(json!({
            "cluster": {"name": "lab", "this_node": "pve1", "nodes": [
                {"name": "pve1", "nodeid": 1}, {"name": "pve2", "nodeid": 2},
            ]},
            "storages": [
                {"storage": "local", "type": "dir", "content": ["iso", "backup"], "total": 100 * GIB, "used": 50 * GIB},
                {"storage": "local-zfs", "type": "zfspool", "content": ["images", "rootdir"],
                 "total": 1000 * GIB, "used": 250 * GIB},
            ],
            "guests": guests,
            "pools": [],
            "roles": {"SnapRunner": ["Datastore.Audit", "Pool.Audit", "VM.Audit", "VM.Snapshot"]},
            "users": [
                {"userid": "backup@pve"}, {"userid": "root@pam"}, {"userid": "nobody@pve"},
                {"userid": "auditor@pve"}, {"userid": "gone@pve", "enable": 0},
                {"userid": "expired@pve", "expire": 1_600_000_000}, {"userid": "totp@pve"},
            ],
            "tokens": [
                {"tokenid": "backup@pve!auto", "privsep": 0},
                {"tokenid": "backup@pve!expired", "privsep": 0, "expire": 1_600_000_000},
                {"tokenid": "auditor@pve!look", "privsep": 0},
                {"tokenid": "nobody@pve!blind", "privsep": 0},
            ],
            "acl": [
                {"path": "/", "who": "backup@pve", "role": "SnapRunner"},
                {"path": "/", "who": "auditor@pve", "role": "PVEAuditor"},
                {"path": "/", "who": "totp@pve", "role": "PVEAuditor"},
            ],
        }))
    }

    /// Adds a pool with these guests.
    pub(crate) fn pool(mut self, poolid: &str, guests: &[u32]) -> Self {
        let pools = self.0["pools"].as_array_mut().unwrap();
        pools.push(json!({"poolid": poolid, "guests": guests}));
        self
    }

    /// Adds a storage.
    pub(crate) fn storage(mut self, storage: Value) -> Self {
        self.0["storages"].as_array_mut().unwrap().push(storage);
        self
    }

    /// Adds a node that is offline.
    pub(crate) fn offline_node(mut self, name: &str) -> Self {
        let nodes = self.0["cluster"]["nodes"].as_array_mut().unwrap();
        let nodeid = nodes.len() + 1;
        nodes.push(json!({"name": name, "nodeid": nodeid, "online": false}));
        self
    }

    /// Adds a node whose `pvestatd` has sent nothing for longer than the cluster remembers.
    pub(crate) fn silent_node(mut self, name: &str) -> Self {
        let nodes = self.0["cluster"]["nodes"].as_array_mut().unwrap();
        let node = nodes.iter_mut().find(|node| node["name"] == name).unwrap();
        node["pvestatd_silent"] = json!(300);
        self
    }

    /// Sets the version of PVE.
    pub(crate) fn version(mut self, version: &str) -> Self {
        self.0["cluster"]["version"] = json!(version);
        self
    }

    /// The world in the format of the simulator.
    pub(crate) fn to_json(&self) -> Value {
        self.0.clone()
    }
}

/// The secrets of all users.
pub(crate) fn credentials() -> Value {
    json!({
        "passwords": {
            "backup@pve": "example-backup", "root@pam": "example-root", "nobody@pve": "example-nobody",
            "gone@pve": "example-gone", "expired@pve": "example-expired", "totp@pve": "example-totp",
        },
        "tokens": {
            "backup@pve!auto": "22222222-2222-4222-8222-222222222222",
            "backup@pve!expired": "55555555-5555-4555-8555-555555555555",
            "auditor@pve!look": "66666666-6666-4666-8666-666666666666",
            "nobody@pve!blind": "77777777-7777-4777-8777-777777777777",
        },
        "totp": {"totp@pve": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"},
    })
}
