// SPDX-License-Identifier: GPL-3.0-only
//! Requests of third-party clients: paths, storages, logins and raw HTTP. The expected responses
//! are recorded from a real PVE or derived from its sources.

use pve_sim::simulator::Simulator;
use serde_json::json;

use crate::common::{ADMIN, Connection, as_user, data, exit_status, ids, rejection, serve, world};

/// `localhost` is the node that receives the request, for guests, snapshots and tasks.
#[test]
fn localhost_is_the_receiving_node() {
    let simulator = serve(|_| {});
    let list = data(&simulator, "GET", "/nodes/localhost/qemu", "");
    assert_eq!(ids(&list, "vmid"), ["100"]);
    let config = data(&simulator, "GET", "/nodes/localhost/qemu/100/config", "");
    assert_eq!(config["name"], "web01");
    let path = "/nodes/localhost/qemu/100/snapshot";
    let upid = data(&simulator, "POST", path, "snapname=one");
    let upid = upid.as_str().expect("a UPID");
    assert!(upid.starts_with("UPID:pve1:"), "{upid}");
    assert_eq!(exit_status(&simulator, upid).as_deref(), Some("OK"));
    let status = data(
        &simulator,
        "GET",
        &format!("/nodes/localhost/tasks/{upid}/status"),
        "",
    );
    assert_eq!(status["exitstatus"], "OK");
    let tasks = data(&simulator, "GET", "/nodes/localhost/tasks", "");
    assert_eq!(ids(&tasks, "upid"), [upid]);
    let (status, reason, _) = rejection(&simulator, "GET", "/nodes/localhost/qemu/102/config", "");
    assert_eq!(status, 500);
    assert_eq!(
        reason,
        "Configuration file 'nodes/pve1/qemu-server/102.conf' does not exist"
    );
}

fn storages() -> Simulator {
    serve(|options| {
        let storages = options.world["storages"].as_array_mut().expect("a list");
        storages.push(
            json!({"storage": "off", "type": "nfs", "disable": 1, "shared": true,
            "content": ["images"]}),
        );
        storages.push(
            json!({"storage": "far", "type": "dir", "path": "/far", "nodes": ["pve2"],
            "content": ["backup"]}),
        );
    })
}

/// Lists storages that are disabled or on other nodes, unless `content` is given.
#[test]
fn unavailable_storages_are_listed() {
    let simulator = storages();
    let list = data(&simulator, "GET", "/nodes/pve1/storage", "");
    assert_eq!(ids(&list, "storage"), ["ceph", "far", "local", "off"]);
    for id in ["off", "far"] {
        let entries = list.as_array().expect("a list");
        let entry = entries.iter().find(|entry| entry["storage"] == id);
        let entry = entry.expect("the entry");
        let status = data(
            &simulator,
            "GET",
            &format!("/nodes/pve1/storage/{id}/status"),
            "",
        );
        for one in [entry, &status] {
            let numbers = ["enabled", "active", "total", "used", "avail"].map(|key| &one[key]);
            assert_eq!(numbers, [&json!(0); 5], "{one}");
            assert!(one.get("used_fraction").is_none(), "{one}");
        }
    }
    let list = data(
        &simulator,
        "GET",
        "/nodes/pve1/storage?content=images,backup",
        "",
    );
    assert_eq!(ids(&list, "storage"), ["ceph", "local"]);
}

/// The parameters of a node's storage list.
#[test]
fn storages_are_filtered_by_name_and_target() {
    let simulator = storages();
    let (status, _, body) = rejection(&simulator, "GET", "/nodes/pve1/storage?storage=nope", "");
    assert_eq!(
        (status, &body["errors"]),
        (400, &json!({"storage": "No such storage."}))
    );
    let list = |query: &str| {
        data(
            &simulator,
            "GET",
            &format!("/nodes/pve1/storage?{query}"),
            "",
        )
    };
    assert_eq!(ids(&list("storage=off"), "storage"), ["off"]);
    assert_eq!(ids(&list("target=pve2"), "storage"), ["ceph", "off"]);
    assert_eq!(ids(&list("enabled=1"), "storage"), ["ceph", "far", "local"]);
    let formats = list("format=1&storage=local");
    assert_eq!(
        formats[0]["format"],
        json!([{"qcow2": 1, "raw": 1, "subvol": 1, "vmdk": 1}, "raw"])
    );
}

/// PVE 9 lists the formats in a second form as well.
#[test]
fn pve_9_lists_formats_in_two_forms() {
    let simulator = serve(|options| {
        options.world["cluster"]["version"] = json!("9.2.11");
    });
    let path = "/nodes/pve1/storage?format=1&storage=local";
    assert_eq!(
        data(&simulator, "GET", path, "")[0]["formats"],
        json!({"supported": ["qcow2", "raw", "subvol", "vmdk"], "default": "raw"})
    );
}

/// A login with `path` and `privs` only checks a permission.
#[test]
fn a_permission_check_returns_no_ticket() {
    let simulator = serve(|_| {});
    let ask = |user: &str, privilege: &str| {
        let form = format!("{user}&path=/vms/100&privs={privilege}");
        as_user(&simulator, "X-Nothing: 1", "POST", "/access/ticket", &form)
    };
    let response = ask("username=admin@pve&password=geheim", "VM.Audit,VM.Snapshot");
    let found = response.data();
    assert_eq!(found["username"], "admin@pve");
    assert!(found["cap"]["vms"]["VM.Audit"] == 1, "{found}");
    assert!(found.get("ticket").is_none() && found.get("CSRFPreventionToken").is_none());
    let response = ask("username=eve@pve&password=eve", "VM.PowerMgmt");
    assert_eq!(
        (response.status, response.reason.as_str()),
        (401, "authentication failure")
    );
}

/// The journal distinguishes paths that only PVE has from typos.
#[test]
fn the_journal_notes_paths_that_are_not_simulated() {
    let simulator = serve(|_| {});
    for path in ["/nodes/pve1/disks/list", "/nodes/pve1/disk/list"] {
        let (status, reason, _) = rejection(&simulator, "GET", path, "");
        assert_eq!(
            (status, reason),
            (501, format!("Method 'GET {path}' not implemented"))
        );
    }
    let notes: Vec<Option<String>> = simulator
        .journal()
        .requests()
        .into_iter()
        .map(|request| request.note)
        .collect();
    assert_eq!(
        notes,
        [
            Some("in PVE, not simulated: GET /nodes/{node}/disks/list".to_owned()),
            None
        ]
    );
}

/// Pool members are sorted by VMID as text.
#[test]
fn pool_members_are_sorted_as_text() {
    let simulator = serve(|options| {
        let mut changed = world();
        let guests = changed["guests"].as_array_mut().expect("a list");
        for vmid in [1000, 99_999, 110] {
            guests.push(json!({"vmid": vmid, "type": "qemu", "node": "pve1"}));
        }
        changed["pools"] = json!([{"poolid": "all", "guests": [100, 101, 110, 1000, 99_999]}]);
        options.world = changed;
    });
    let pool = data(&simulator, "GET", "/pools/all", "");
    let order: Vec<u64> = pool["members"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|member| member["vmid"].as_u64())
        .collect();
    assert_eq!(order, [100, 1000, 101, 110, 99_999]);
}

/// Unusual raw requests.
#[test]
fn other_http_versions_and_the_web_interface_get_responses() {
    let simulator = serve(|_| {});
    let raw = |line: &str| {
        let mut connection =
            Connection::open(&simulator, simulator.addresses()[0]).expect("a connection");
        let response = connection.raw(&format!("{line}\r\nAuthorization: {ADMIN}\r\n\r\n"));
        let response = response.expect("a response");
        let media = response
            .headers("Content-Type")
            .first()
            .map(|one| (*one).to_owned());
        (response.status, response.reason, media)
    };
    assert_eq!(
        raw("GET / HTTP/2.0"),
        (
            506,
            "http protocol version 2.0 not supported".to_owned(),
            None
        )
    );
    assert_eq!(
        raw("GET / HTTP/1.1"),
        (
            200,
            "OK".to_owned(),
            Some("text/html; charset=utf-8".to_owned())
        )
    );
    let (status, _, media) = raw("GET /api2/htmljs/version HTTP/1.1");
    assert_eq!(
        (status, media.as_deref()),
        (200, Some("text/html;charset=UTF-8"))
    );
    assert_eq!(raw("GET /nothing HTTP/1.1").1, "no such file '/nothing'");
}
