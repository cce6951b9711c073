// SPDX-License-Identifier: GPL-3.0-only
//! Options of the world file and `pve-sim control` for guests, storages and replication.

use serde_json::{Value, json};

use crate::common::{
    call, control, create_snapshot, data, exit_status, rejection, remove_snapshot, serve,
};

const WEB: &str = "/nodes/pve1/qemu/100";
const DB: &str = "/nodes/pve2/qemu/102";

fn log(simulator: &pve_sim::simulator::Simulator, upid: &Value) -> Vec<String> {
    let upid = upid.as_str().expect("a UPID");
    let node = upid.split(':').nth(1).expect("a node");
    let lines = data(
        simulator,
        "GET",
        &format!("/nodes/{node}/tasks/{upid}/log"),
        "",
    );
    let lines = lines.as_array().expect("a list").iter();
    lines
        .map(|line| line["t"].as_str().expect("a text").to_owned())
        .collect()
}

/// Storages are activated first: PVE does not wait for an agent, and rolls back the snapshot.
#[test]
fn a_snapshot_fails_when_a_storage_cannot_be_activated() {
    for (change, text) in [
        (json!({"disable": 1}), "storage 'local' is disabled"),
        (
            json!({"nodes": ["pve2"]}),
            "storage 'local' is not available on node 'pve1'",
        ),
    ] {
        let simulator = serve(|options| {
            for (key, value) in change.as_object().expect("an object") {
                options.world["storages"][0][key] = value.clone();
            }
            options.world["guests"][0]["config"]["agent"] = json!("1");
        });
        let upid = data(
            &simulator,
            "POST",
            &format!("{WEB}/snapshot"),
            "snapname=one",
        );
        assert_eq!(
            log(&simulator, &upid),
            [
                "snapshot create failed: starting cleanup".to_owned(),
                format!("TASK ERROR: {text} ")
            ]
        );
        // The RAM's volume is allocated before the snapshot exists: nothing has to be taken back.
        let upid = data(
            &simulator,
            "POST",
            &format!("{WEB}/snapshot"),
            "snapname=two&vmstate=1",
        );
        assert_eq!(log(&simulator, &upid), [format!("TASK ERROR: {text}")]);
        let list = data(&simulator, "GET", &format!("{WEB}/snapshot"), "");
        assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
        let config = data(&simulator, "GET", &format!("{WEB}/config"), "");
        assert!(config.get("lock").is_none(), "{config}");
    }
}

/// A snapshot with an unknown time is listed with 0.
#[test]
fn a_snapshot_without_a_time_is_listed_with_zero() {
    let simulator = serve(|options| {
        options.world["guests"][0]["snapshots"] = json!([{"name": "old"}]);
    });
    let list = data(&simulator, "GET", &format!("{WEB}/snapshot"), "");
    let list = list.as_array().expect("a list");
    let old = list.iter().find(|entry| entry["name"] == "old");
    assert_eq!(old.expect("the entry")["snaptime"], 0);
    let config = data(&simulator, "GET", &format!("{WEB}/snapshot/old/config"), "");
    assert!(config.get("snaptime").is_none(), "{config}");
}

/// A guest moves to another node during its task.
#[test]
fn a_guest_moves_during_a_task() {
    let simulator = serve(|options| options.timing.task_seconds = 10.0);
    let upid = data(
        &simulator,
        "POST",
        &format!("{WEB}/snapshot"),
        "snapname=one",
    );
    simulator.advance(1.0);
    control(&simulator, "move-guest 100 pve2");
    let (status, reason, _) = rejection(&simulator, "GET", &format!("{WEB}/config"), "");
    assert_eq!(
        (status, reason.as_str()),
        (
            500,
            "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist"
        )
    );
    let config = data(&simulator, "GET", "/nodes/pve2/qemu/100/config", "");
    assert_eq!(config["lock"], "snapshot");
    let resources = data(&simulator, "GET", "/cluster/resources?type=vm", "");
    let resources = resources.as_array().expect("a list");
    let moved = resources.iter().find(|entry| entry["vmid"] == 100);
    assert_eq!(moved.expect("the entry")["node"], "pve2");
    simulator.advance(20.0);
    let exit = exit_status(&simulator, upid.as_str().expect("a UPID")).expect("an end");
    assert!(
        exit.starts_with("Configuration file 'nodes/pve1/"),
        "{exit}"
    );
}

/// A removed guest disappears from all listings.
#[test]
fn a_guest_is_removed() {
    let simulator = serve(|_| {});
    control(&simulator, "remove-guest 100");
    let response = call(&simulator, "GET", &format!("{WEB}/config"), "").expect("a response");
    assert_eq!(response.status, 500);
    let resources = data(&simulator, "GET", "/cluster/resources?type=vm", "");
    assert_eq!(resources.as_array().map(Vec::len), Some(2));
    let pool = data(&simulator, "GET", "/pools/prod", "");
    assert_eq!(pool["members"], json!([]));
    assert_eq!(data(&simulator, "GET", "/cluster/nextid", ""), "100");
}

/// A storage that does not respond is unknown to the cluster although its node is online.
#[test]
fn a_storage_is_unknown_on_a_node_that_is_online() {
    let simulator = serve(|_| {});
    control(&simulator, "storage-silent local pve1");
    let storage = |node: &str| {
        let list = data(&simulator, "GET", "/cluster/resources?type=storage", "");
        let list = list.as_array().expect("a list");
        let id = format!("storage/{node}/local");
        list.iter()
            .find(|entry| entry["id"] == id)
            .expect("the entry")
            .clone()
    };
    assert_eq!(storage("pve1")["status"], "unknown");
    assert!(storage("pve1").get("maxdisk").is_none());
    assert_eq!(storage("pve2")["status"], "available");
    let status = data(&simulator, "GET", "/nodes/pve1/storage/local/status", "");
    assert_eq!(
        ["active", "enabled", "total"].map(|key| &status[key]),
        [&json!(0), &json!(1), &json!(0)]
    );
    assert_eq!(
        create_snapshot(&simulator, WEB, "snapname=one"),
        "unable to activate storage 'local' - directory '/var/lib/vz' does not exist or is unreachable "
    );
    control(&simulator, "storage-works local pve1");
    assert_eq!(storage("pve1")["status"], "available");
    assert_eq!(create_snapshot(&simulator, WEB, "snapname=one"), "OK");
}

/// A replication job that is running or has run has its own snapshot and does not prevent removals.
#[test]
fn a_running_replication_does_not_prevent_removal() {
    for (state, expected) in [
        (
            "pending",
            "snapshot 'one' needed by replication job '102-0' - run replication first",
        ),
        ("running", "OK"),
        ("synced", "OK"),
    ] {
        let simulator = serve(|options| {
            options.world["guests"][2]["replication_job"] = json!({"id": "102-0", "state": state});
        });
        assert_eq!(create_snapshot(&simulator, DB, "snapname=one"), "OK");
        assert_eq!(remove_snapshot(&simulator, DB, "one"), expected);
    }
}

/// Booleans may be written as in JSON, or as 0 and 1.
#[test]
fn booleans_may_be_numbers() {
    for (truth, status) in [
        (json!(1), "0"),
        (json!(true), "0"),
        (json!(0), "1"),
        (json!(false), "1"),
    ] {
        let simulator = serve(|options| options.world["storages"][0]["disable"] = truth.clone());
        let storage = data(&simulator, "GET", "/nodes/pve1/storage/local/status", "");
        assert_eq!(storage["enabled"].to_string(), status, "{truth}");
    }
}
