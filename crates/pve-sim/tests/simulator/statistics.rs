// SPDX-License-Identifier: GPL-3.0-only
//! `/cluster/resources` while a node's `pvestatd` is silent or a status is stale, as recorded from
//! PVE 9.2.

use pve_sim::control::send;
use pve_sim::simulator::Simulator;
use serde_json::{Value, json};

use crate::common::{control, data, serve, task, world};

fn resource(simulator: &Simulator, id: &str) -> Value {
    let list = data(simulator, "GET", "/cluster/resources", "");
    let list = list.as_array().expect("a list");
    let found = list.iter().find(|entry| entry["id"] == id);
    found.expect("the entry").clone()
}

#[test]
fn a_silent_pvestatd_causes_stale_then_unknown_figures() {
    let simulator = serve(|_| {});
    let before = resource(&simulator, "qemu/100");
    control(&simulator, "pvestatd-silent pve1 30");
    control(&simulator, "usage local pve1 99000000000");
    assert_eq!(
        task(&simulator, "POST", "/nodes/pve1/qemu/100/status/stop", ""),
        "OK"
    );
    let old = resource(&simulator, "qemu/100");
    assert_eq!(
        (&old["status"], &old["name"]),
        (&json!("running"), &json!("web01"))
    );
    let age = before["uptime"].as_i64().zip(old["uptime"].as_i64());
    assert!(
        age.is_some_and(|(before, old)| (29..=31).contains(&(before - old))),
        "{before} {old}"
    );
    let storage = resource(&simulator, "storage/pve1/local");
    assert_eq!(storage["disk"], json!(10_000_000_000_u64));
    assert_eq!(resource(&simulator, "node/pve1")["status"], "online");

    simulator.advance(271.0);
    assert_eq!(
        resource(&simulator, "qemu/100"),
        json!({"id": "qemu/100", "vmid": 100, "type": "qemu", "node": "pve1", "status": "unknown", "pool": "prod"})
    );
    let node = resource(&simulator, "node/pve1");
    assert_eq!(node["status"], "unknown");
    assert!(
        node.get("uptime").is_none() && node.get("level").is_none(),
        "{node}"
    );
    let storage = resource(&simulator, "storage/pve1/local");
    assert_eq!(storage["status"], "unknown");
    assert_eq!(storage["plugintype"], "dir");
    assert!(storage.get("maxdisk").is_none(), "{storage}");
    // The other node is unchanged, and the node itself knows its guests.
    assert_eq!(resource(&simulator, "qemu/102")["status"], "stopped");
    let listed = data(&simulator, "GET", "/nodes/pve1/qemu", "");
    assert_eq!(
        (&listed[0]["name"], &listed[0]["status"]),
        (&json!("web01"), &json!("stopped"))
    );

    control(&simulator, "pvestatd-works pve1");
    assert_eq!(resource(&simulator, "qemu/100")["status"], "stopped");
    assert_eq!(resource(&simulator, "node/pve1")["status"], "online");
}

#[test]
fn a_world_may_start_with_a_silent_pvestatd() {
    let simulator = serve(|options| {
        let mut world = world();
        world["cluster"]["nodes"][1]["pvestatd_silent"] = json!(300);
        options.world = world;
    });
    assert_eq!(resource(&simulator, "node/pve2")["status"], "unknown");
    assert_eq!(resource(&simulator, "qemu/102")["status"], "unknown");
    assert_eq!(resource(&simulator, "qemu/100")["status"], "running");
}

#[test]
fn a_listed_status_can_be_stale() {
    let simulator = serve(|_| {});
    for (word, name) in [
        ("stopped", json!("web01")),
        ("unknown", Value::Null),
        ("running", json!("web01")),
    ] {
        control(&simulator, &format!("listed-status 100 {word}"));
        let listed = resource(&simulator, "qemu/100");
        assert_eq!((&listed["status"], &listed["name"]), (&json!(word), &name));
        assert_eq!(
            listed["uptime"].as_i64().unwrap_or(0) > 0,
            word == "running"
        );
        let current = data(&simulator, "GET", "/nodes/pve1/qemu/100/status/current", "");
        assert_eq!(current["status"], "running");
    }
    control(&simulator, "listed-status 100 current");
    assert_eq!(resource(&simulator, "qemu/100")["status"], "running");
    for wrong in [
        "listed-status 100 paused",
        "pvestatd-silent pve9",
        "pvestatd-works pve9",
    ] {
        let arguments: Vec<String> = wrong.split(' ').map(str::to_owned).collect();
        assert!(send(&simulator.url(), &arguments).is_err(), "{wrong}");
    }
}

/// PVE silently ignores `vmstate=1` for a stopped VM (recorded).
#[test]
fn vmstate_is_ignored_for_a_stopped_vm() {
    let simulator = serve(|_| {});
    control(&simulator, "listed-status 102 running");
    let path = "/nodes/pve2/qemu/102/snapshot";
    assert_eq!(
        task(&simulator, "POST", path, "snapname=one&vmstate=1"),
        "OK"
    );
    let list = data(&simulator, "GET", path, "");
    assert_eq!(list[0]["vmstate"], 0);
}
