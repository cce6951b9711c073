// SPDX-License-Identifier: GPL-3.0-only
//! A small, realistic cluster for the demo and for trying commands.
//!
//! It contains every important case: production and test, virtual machines and containers, a
//! template, a guest locked by a backup, a guest that PVE cannot snapshot because of a bind mount,
//! a nearly full storage, snapshots of previous runs, and a manual snapshot that the tool must not
//! touch.
//!
//! Its tasks are short, so that the demo is.

use serde_json::{Value, json};

use super::GeneratedWorld;
use super::parts::{self, GIB};

/// The demo's cluster, with snapshots from the days before `now` (seconds since the Unix epoch).
///
/// Snapshot names contain local time, `utc_offset_seconds` from UTC.
pub fn demo_world(now: i64, utc_offset_seconds: i32) -> GeneratedWorld {
    let clock = DemoClock {
        now,
        utc_offset_seconds,
    };
    let (access, credentials) = parts::access();
    let mut world = json!({
        "note": "The demo's cluster.",
        "cluster": {"name": "demo", "quorate": true, "this_node": "pve1", "nodes": [
            {"name": "pve1", "nodeid": 1, "ip": "10.0.0.11", "online": true},
            {"name": "pve2", "nodeid": 2, "ip": "10.0.0.12", "online": true},
            {"name": "pve3", "nodeid": 3, "ip": "10.0.0.13", "online": true},
        ]},
        "storages": storages(),
        "guest_defaults": parts::guest_defaults(),
        "guests": guests(clock),
        "pools": [
            {"poolid": "prod", "comment": "production guests", "guests": [103, 104, 105, 106, 108]},
            {"poolid": "prod/web", "guests": [100, 101]},
            {"poolid": "prod/data", "comment": "databases", "guests": [102]},
            {"poolid": "lab", "comment": "everything that may break", "guests": [109, 110, 111]},
        ],
    });
    parts::merge(&mut world, access);
    parts::size_nodes(&mut world);
    GeneratedWorld { world, credentials }
}

/// `local-zfs` is nearly full on `pve3`, but below the 95 % at which cv4pve-autosnap stops.
fn storages() -> Value {
    let mut zfs = parts::local_zfs();
    let usage = json!({"pve3": {"total": 1_800 * GIB, "used": 1_660 * GIB}});
    parts::merge(
        &mut zfs,
        json!({"total": 1_800 * GIB, "used": 760 * GIB, "usage": usage}),
    );
    json!([
        parts::local_folder(),
        parts::backup_share(),
        parts::ceph(12_000 * GIB, 7_320 * GIB),
        zfs,
    ])
}

fn guests(clock: DemoClock) -> Vec<Value> {
    let machine = |vmid, name, node| DemoGuest::new(clock, vmid, name, node, Kind::Machine);
    let container = |vmid, name, node| DemoGuest::new(clock, vmid, name, node, Kind::Container);
    vec![
        machine(100, "web01", "pve1")
            .tags("prod;web")
            .days(3)
            .value(),
        machine(101, "web02", "pve2")
            .tags("prod;web")
            .days(3)
            .value(),
        machine(102, "db01", "pve1")
            .tags("prod;db")
            .manual_snapshot()
            .days(3)
            .value(),
        machine(103, "mail", "pve2").tags("prod").days(3).value(),
        container(104, "files", "pve3").tags("prod").days(3).value(),
        container(105, "dns", "pve1")
            .tags("prod;infra")
            .days(3)
            .value(),
        container(106, "wiki", "pve2").tags("prod").days(2).value(),
        machine(107, "gitlab", "pve3").tags("dev").value(),
        machine(108, "erp", "pve2")
            .tags("prod")
            .days(2)
            .with("lock", "backup")
            .value(),
        machine(109, "web-test", "pve2")
            .tags("test;web")
            .days(1)
            .value(),
        machine(110, "db-test", "pve3")
            .tags("test;db")
            .stopped()
            .value(),
        container(111, "media", "pve3")
            .tags("test")
            .with("mp0", "/srv/media,mp=/media")
            .value(),
        template(),
    ]
}

fn template() -> Value {
    json!({"vmid": 900, "type": "qemu", "node": "pve1", "name": "debian12", "status": "stopped",
        "config": parts::machine_config(900, "ceph-vm", 8, true)})
}

#[derive(Clone, Copy)]
struct DemoClock {
    now: i64,
    utc_offset_seconds: i32,
}

#[derive(Clone, Copy)]
enum Kind {
    Machine,
    Container,
}

/// Builds a guest.
struct DemoGuest {
    clock: DemoClock,
    vmid: u32,
    snapshots: Vec<Value>,
    guest: Value,
}

impl DemoGuest {
    fn new(clock: DemoClock, vmid: u32, name: &str, node: &str, kind: Kind) -> Self {
        let local = node == "pve3";
        let storage = if local { "local-zfs" } else { "ceph-vm" };
        let (kind, name_key, config) = match kind {
            Kind::Machine => (
                "qemu",
                "name",
                parts::machine_config(vmid, storage, 32, false),
            ),
            Kind::Container => (
                "lxc",
                "hostname",
                parts::container_config(vmid, storage, 8, false),
            ),
        };
        // 0.2 to 0.5 seconds, different for each guest.
        let seconds = 0.2 + f64::from(vmid % 7) * 0.05;
        let mut guest = json!({
            "vmid": vmid,
            "type": kind,
            "node": node,
            "status": "running",
            "config": config,
            "task_seconds": {"create": seconds, "delete": seconds / 2.0},
        });
        guest[name_key] = json!(name);
        if kind == "qemu" {
            guest["agent_answers"] = json!(true);
        }
        Self {
            clock,
            vmid,
            snapshots: Vec::new(),
            guest,
        }
    }

    fn tags(self, tags: &str) -> Self {
        self.with("tags", tags)
    }

    /// Adds an option to the configuration.
    fn with(mut self, key: &str, value: &str) -> Self {
        self.guest["config"][key] = json!(value);
        self
    }

    fn stopped(mut self) -> Self {
        self.guest["status"] = json!("stopped");
        if let Some(guest) = self.guest.as_object_mut() {
            guest.remove("agent_answers");
        }
        self
    }

    /// Adds a manual snapshot, taken before an upgrade forty days ago.
    fn manual_snapshot(mut self) -> Self {
        let taken_at = self.clock.now - 40 * 86_400;
        let description = "before the upgrade to PostgreSQL 17, do not remove";
        self.add("before-upgrade", taken_at, description);
        self
    }

    /// Adds the snapshots of the nightly runs of the last days.
    fn days(mut self, days: i64) -> Self {
        for back in (0..days).rev() {
            let DemoClock {
                now,
                utc_offset_seconds,
            } = self.clock;
            // The last midnight, at least one minute ago, so that no snapshot is in the future.
            let run = parts::run("daily", now - 60, utc_offset_seconds, back);
            let taken_at = run.started + i64::from(self.vmid % 50);
            self.add(&run.snapshot, taken_at, parts::OUR_DESCRIPTION);
        }
        self
    }

    fn add(&mut self, name: &str, taken_at: i64, description: &str) {
        let parent = self.snapshots.last().and_then(|last| last["name"].as_str());
        let snapshot = parts::snapshot(name, taken_at, description, parent);
        self.snapshots.push(snapshot);
    }

    fn value(mut self) -> Value {
        self.guest["snapshots"] = Value::Array(self.snapshots);
        self.guest
    }
}
