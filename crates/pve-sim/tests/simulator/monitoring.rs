// SPDX-License-Identifier: GPL-3.0-only
//! Paths that monitoring and inventory tools read, with and without permissions, compared with a
//! real PVE.

use pve_sim::simulator::Simulator;
use serde_json::{Value, json};

use crate::common::{as_user, control, data, ids, rejection, serve};

const RUNNER: &str = "Authorization: PVEAPIToken=eve@pve!run=run-secret";
const EMPTY: &str = "Authorization: PVEAPIToken=eve@pve!empty=empty-secret";

/// Serves two tokens: one with the privileges of a snapshot tool, one without privileges.
fn serve_runner() -> Simulator {
    serve(|options| {
        let list = |world: &mut Value, key: &str, value: Value| {
            world[key].as_array_mut().expect("a list").push(value);
        };
        let world = &mut options.world;
        world["roles"] =
            json!({"Runner": ["VM.Audit", "VM.Snapshot", "Datastore.Audit", "Pool.Audit"]});
        list(
            world,
            "tokens",
            json!({"tokenid": "eve@pve!run", "privsep": 0}),
        );
        list(
            world,
            "tokens",
            json!({"tokenid": "eve@pve!empty", "privsep": 1}),
        );
        list(
            world,
            "acl",
            json!({"path": "/", "who": "eve@pve", "role": "Runner"}),
        );
        world["guests"][0]["config"]["ide2"] = json!("local:iso/debian.iso,media=cdrom,size=1M");
        world["guests"][0]["config"]["net0"] = json!("virtio=BC:24:11:00:01:00,bridge=vmbr0");
        world["users"][1]["comment"] = json!("snapshot runner");
        options.credentials["tokens"]["eve@pve!run"] = json!("run-secret");
        options.credentials["tokens"]["eve@pve!empty"] = json!("empty-secret");
    })
}

/// The response for a token with the privileges of a snapshot tool.
fn get(simulator: &Simulator, auth: &str, path: &str) -> Value {
    let response = as_user(simulator, auth, "GET", path, "");
    assert_eq!(response.status, 200, "{path}: {}", response.reason);
    response.data()
}

/// Paths that require a privilege reject other users.
#[test]
fn auditing_requires_privileges() {
    let simulator = serve_runner();
    for path in [
        "/cluster/ha/status/current",
        "/cluster/ha/resources",
        "/cluster/ha/groups",
        "/cluster/backup",
        "/cluster/backup-info/not-backed-up",
        "/cluster/config/nodes",
        "/cluster/metrics/server",
        "/cluster/notifications/targets",
        "/cluster/notifications/matchers",
        "/nodes/pve1/status",
        "/nodes/pve1/time",
        "/nodes/pve1/rrddata?timeframe=hour",
        "/nodes/pve1/qemu/100/agent/network-get-interfaces",
    ] {
        for auth in [RUNNER, EMPTY] {
            let response = as_user(&simulator, auth, "GET", path, "");
            assert_eq!(response.status, 403, "{path}");
            let what = match path {
                _ if path.contains("notifications") => String::new(),
                _ if path.contains("agent") => " (/vms/100, VM.Monitor)".to_owned(),
                _ if path.contains("nodes/pve1") => " (/nodes/pve1, Sys.Audit)".to_owned(),
                _ => " (/, Sys.Audit)".to_owned(),
            };
            assert_eq!(response.reason, format!("Permission check failed{what}"));
        }
    }
    for (path, reason) in [
        (
            "/nodes/pve1/qemu/100/rrddata?timeframe=day",
            "(/vms/100, VM.Audit)",
        ),
        ("/nodes/pve1/lxc/101/interfaces", "(/vms/101, VM.Audit)"),
        (
            "/nodes/pve1/storage/local/content",
            "(/storage/local, Datastore.Audit|Datastore.AllocateSpace)",
        ),
        (
            "/nodes/pve1/storage/local/rrddata?timeframe=day",
            "(/storage/local, Datastore.Audit|Datastore.AllocateSpace)",
        ),
    ] {
        assert_eq!(
            as_user(&simulator, RUNNER, "GET", path, "").status,
            200,
            "{path}"
        );
        let response = as_user(&simulator, EMPTY, "GET", path, "");
        assert_eq!(response.reason, format!("Permission check failed {reason}"));
    }
}

#[test]
fn a_node_reports_its_status() {
    let simulator = serve_runner();
    let status = data(&simulator, "GET", "/nodes/pve1/status", "");
    assert_eq!(status["memory"]["total"], json!(24_u64 << 30));
    assert_eq!(status["rootfs"]["total"], json!(100_000_000_000_u64));
    assert_eq!(status["cpuinfo"]["cpus"], 2);
    let version = status["pveversion"].as_str().expect("a text");
    assert!(version.starts_with("pve-manager/8.4."), "{version}");
    assert_eq!(status["loadavg"].as_array().map(Vec::len), Some(3));
    let time = data(&simulator, "GET", "/nodes/localhost/time", "");
    assert_eq!(time["time"], time["localtime"]);
    assert_eq!(
        data(&simulator, "GET", "/nodes/pve1/rrddata?timeframe=hour", ""),
        json!([])
    );
    let (status, _, body) = rejection(&simulator, "GET", "/nodes/pve1/rrddata", "");
    assert_eq!(
        (status, &body["errors"]),
        (
            400,
            &json!({"timeframe": "property is missing and it is not optional"})
        )
    );
    let own = data(&simulator, "GET", "/nodes/pve1/subscription", "");
    assert_eq!(own["serverid"].as_str().map(str::len), Some(32));
    let foreign = get(&simulator, EMPTY, "/nodes/pve1/subscription");
    assert_eq!(
        foreign,
        json!({"status": "notfound", "message": "There is no subscription key",
            "url": "https://www.proxmox.com/en/proxmox-virtual-environment/pricing"})
    );
    let network = data(&simulator, "GET", "/nodes/pve1/network", "");
    assert_eq!(
        (&network[0]["iface"], &network[0]["cidr"]),
        (&json!("vmbr0"), &json!("10.0.0.1/24"))
    );
    assert_eq!(get(&simulator, RUNNER, "/nodes/pve1/network"), json!([]));
    assert_eq!(
        data(&simulator, "GET", "/nodes/pve1/network?type=eth", ""),
        json!([])
    );
}

/// Free VMIDs, backups, replication, members, HA and notifications.
#[test]
fn a_cluster_lists_its_jobs_and_members() {
    let simulator = serve_runner();
    assert_eq!(get(&simulator, EMPTY, "/cluster/nextid"), "103");
    assert_eq!(
        data(&simulator, "GET", "/cluster/nextid?vmid=105", ""),
        "105"
    );
    let (status, _, body) = rejection(&simulator, "GET", "/cluster/nextid?vmid=100", "");
    assert_eq!(
        (status, &body["errors"]),
        (400, &json!({"vmid": "VM 100 already exists"}))
    );
    assert_eq!(
        data(&simulator, "GET", "/cluster/backup-info/not-backed-up", ""),
        json!([
            {"vmid": 100, "type": "qemu", "name": "web01"},
            {"vmid": 101, "type": "lxc", "name": "files"},
            {"vmid": 102, "type": "qemu", "name": "db01"},
        ])
    );
    for path in [
        "/cluster/backup",
        "/cluster/ha/resources",
        "/cluster/ha/groups",
        "/cluster/metrics/server",
    ] {
        assert_eq!(data(&simulator, "GET", path, ""), json!([]), "{path}");
    }
    let jobs = get(&simulator, RUNNER, "/cluster/replication");
    assert_eq!(
        (&jobs[0]["id"], &jobs[0]["guest"], &jobs[0]["target"]),
        (&json!("102-0"), &json!(102), &json!("pve1"))
    );
    assert_eq!(get(&simulator, EMPTY, "/cluster/replication"), json!([]));
    let state = get(&simulator, RUNNER, "/nodes/pve2/replication");
    assert_eq!(
        (&state[0]["fail_count"], &state[0]["last_sync"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(
        get(&simulator, RUNNER, "/nodes/pve1/replication"),
        json!([])
    );
    assert_eq!(
        data(&simulator, "GET", "/cluster/config/nodes", "")[0],
        json!({"name": "pve1", "node": "pve1", "nodeid": "1", "ring0_addr": "10.0.0.1", "quorum_votes": "1"})
    );
    let quorum = || data(&simulator, "GET", "/cluster/ha/status/current", "")[0].clone();
    assert_eq!(
        quorum(),
        json!({"id": "quorum", "type": "quorum", "node": "pve1", "status": "OK", "quorate": 1})
    );
    control(&simulator, "lose-quorum");
    assert_eq!(
        (&quorum()["quorate"], &quorum()["status"]),
        (&json!(0), &json!("No quorum on node 'pve1'!"))
    );
    let targets = data(&simulator, "GET", "/cluster/notifications/targets", "");
    assert_eq!(targets[0]["name"], "mail-to-root");
}

#[test]
fn users_roles_and_permissions_are_listed() {
    let simulator = serve_runner();
    let users = data(&simulator, "GET", "/access/users?full=1", "");
    assert_eq!(ids(&users, "userid"), ["admin@pve", "eve@pve", "root@pam"]);
    let list = users.as_array().expect("a list");
    let eve = list.iter().find(|user| user["userid"] == "eve@pve");
    assert_eq!(eve.expect("the user")["comment"], "snapshot runner");
    let tokens = users
        .as_array()
        .expect("a list")
        .iter()
        .find(|user| user["userid"] == "admin@pve")
        .map(|user| ids(&user["tokens"], "tokenid"));
    assert_eq!(tokens, Some(vec!["full".to_owned(), "pool".to_owned()]));
    let roles = get(&simulator, EMPTY, "/access/roles");
    let role = |name: &str| {
        let list = roles.as_array().expect("a list");
        list.iter()
            .find(|role| role["roleid"] == name)
            .expect("the role")
            .clone()
    };
    assert_eq!(
        role("Runner"),
        json!({"roleid": "Runner", "special": 0, "privs": "Datastore.Audit,Pool.Audit,VM.Audit,VM.Snapshot"})
    );
    assert_eq!(
        role("NoAccess"),
        json!({"roleid": "NoAccess", "special": 1, "privs": ""})
    );
    let acl = data(&simulator, "GET", "/access/acl", "");
    assert_eq!(
        ids(&acl, "ugid"),
        ["admin@pve", "admin@pve!pool", "eve@pve"]
    );
    for auth in [RUNNER, EMPTY] {
        for path in [
            "/access/users",
            "/access/acl",
            "/access/groups",
            "/access/tfa",
        ] {
            assert_eq!(get(&simulator, auth, path), json!([]), "{path}");
        }
    }
    let realms = get(&simulator, "X-Nothing: 1", "/access/domains");
    assert_eq!(ids(&realms, "realm"), ["pam", "pve"]);
}

/// Lists a storage's volumes, depending on the caller's permissions.
#[test]
fn volumes_of_a_storage_are_listed() {
    let simulator = serve_runner();
    let path = "/nodes/pve1/storage/local/content";
    data(
        &simulator,
        "POST",
        "/nodes/pve1/qemu/100/snapshot",
        "snapname=one&vmstate=1",
    );
    let all = data(&simulator, "GET", path, "");
    assert_eq!(
        ids(&all, "volid"),
        [
            "local:100/vm-100-disk-0.qcow2",
            "local:100/vm-100-state-one.raw",
            "local:iso/debian.iso"
        ]
    );
    let images = data(
        &simulator,
        "GET",
        &format!("{path}?content=images&vmid=100"),
        "",
    );
    assert_eq!(images.as_array().map(Vec::len), Some(2));
    assert_eq!(
        (
            &images[0]["format"],
            &images[0]["size"],
            &images[0]["parent"]
        ),
        (&json!("qcow2"), &json!(10_u64 << 30), &Value::Null)
    );
    let visible = get(&simulator, RUNNER, path);
    assert_eq!(ids(&visible, "volid"), ["local:iso/debian.iso"]);
    let ceph = data(&simulator, "GET", "/nodes/pve1/storage/ceph/content", "");
    assert_eq!(ids(&ceph, "content"), ["images", "rootdir"]);
    control(&simulator, "storage-silent ceph pve1");
    let (status, reason, _) = rejection(&simulator, "GET", "/nodes/pve1/storage/ceph/content", "");
    assert_eq!(
        (status, reason.as_str()),
        (500, "storage 'ceph' is not online")
    );
}

#[test]
fn interfaces_of_guests_are_listed() {
    for (agent, answers, text) in [
        (false, false, Some("No QEMU guest agent configured")),
        (true, false, Some("QEMU guest agent is not running")),
        (true, true, None),
    ] {
        let simulator = serve(|options| {
            let guest = &mut options.world["guests"][0];
            guest["config"]["net0"] = json!("virtio=BC:24:11:00:01:00,bridge=vmbr0");
            guest["config"]["agent"] = json!(if agent { "1" } else { "0" });
            guest["agent_answers"] = json!(answers);
        });
        let path = "/nodes/pve1/qemu/100/agent/network-get-interfaces";
        if let Some(text) = text {
            let (status, reason, _) = rejection(&simulator, "GET", path, "");
            assert_eq!((status, reason.as_str()), (500, text));
            continue;
        }
        let found = data(&simulator, "GET", path, "");
        assert_eq!(ids(&found["result"], "name"), ["eth0", "lo"]);
        assert_eq!(found["result"][1]["hardware-address"], "bc:24:11:00:01:00");
        data(&simulator, "POST", "/nodes/pve1/qemu/100/status/stop", "");
        let (_, reason, _) = rejection(&simulator, "GET", path, "");
        assert_eq!(reason, "VM 100 is not running");
    }
    let simulator = serve_runner();
    let path = "/nodes/pve1/lxc/101/interfaces";
    assert_eq!(get(&simulator, RUNNER, path), Value::Null);
    data(&simulator, "POST", "/nodes/pve1/lxc/101/status/start", "");
    let found = get(&simulator, RUNNER, path);
    assert_eq!(
        (&found[0]["name"], &found[0]["hwaddr"], &found[0]["inet"]),
        (
            &json!("lo"),
            &json!("00:00:00:00:00:00"),
            &json!("127.0.0.1/8")
        )
    );
}

#[test]
fn pools_are_created_changed_and_removed() {
    let simulator = serve(|_| {});
    data(&simulator, "POST", "/pools", "poolid=tmp&comment=x");
    let reason = |method: &str, path: &str, form: &str| {
        let (status, reason, _) = rejection(&simulator, method, path, form);
        assert_eq!(status, 500, "{reason}");
        reason
    };
    assert_eq!(
        reason("POST", "/pools", "poolid=tmp"),
        "create pool failed: pool 'tmp' already exists"
    );
    assert_eq!(
        reason("PUT", "/pools", "poolid=tmp&vms=100"),
        "update pools failed: VM 100 belongs already to pool 'prod' and 'allow-move' is not set"
    );
    assert_eq!(
        reason("PUT", "/pools", "poolid=tmp&vms=100&delete=1"),
        "update pools failed: VM 100 is not a pool member"
    );
    assert_eq!(
        data(&simulator, "GET", "/pools?poolid=tmp", ""),
        json!([{"poolid": "tmp", "comment": "x", "members": []}])
    );
    data(
        &simulator,
        "PUT",
        "/pools",
        "poolid=tmp&vms=100,101&allow-move=1&storage=ceph",
    );
    let pool = data(&simulator, "GET", "/pools/tmp", "");
    assert_eq!(
        ids(&pool["members"], "id"),
        ["lxc/101", "qemu/100", "storage/pve1/ceph"]
    );
    let resources = data(&simulator, "GET", "/cluster/resources?type=vm", "");
    assert_eq!(resources[0]["pool"], "tmp");
    assert_eq!(
        reason("DELETE", "/pools?poolid=tmp", ""),
        "delete pool failed: pool 'tmp' is not empty"
    );
    data(
        &simulator,
        "PUT",
        "/pools/tmp",
        "vms=100,101&storage=ceph&delete=1",
    );
    data(&simulator, "DELETE", "/pools?poolid=tmp", "");
    assert_eq!(
        reason("DELETE", "/pools/tmp", ""),
        "delete pool failed: pool 'tmp' does not exist"
    );
}

#[test]
fn tags_are_registered_in_the_cluster_options() {
    let simulator = serve_runner();
    data(
        &simulator,
        "PUT",
        "/cluster/options",
        "registered-tags=gold%3Boff",
    );
    let options = data(&simulator, "GET", "/cluster/options", "");
    assert_eq!(
        (&options["registered-tags"], &options["allowed-tags"]),
        (&json!(["gold", "off"]), &json!(["gold", "off"]))
    );
    let visible = get(&simulator, EMPTY, "/cluster/options");
    assert_eq!(visible, json!({"allowed-tags": ["gold", "off"]}));
    data(
        &simulator,
        "PUT",
        "/cluster/options",
        "delete=registered-tags",
    );
    let options = data(&simulator, "GET", "/cluster/options", "");
    assert!(options.get("registered-tags").is_none(), "{options}");
    let response = as_user(&simulator, RUNNER, "PUT", "/cluster/options", "keyboard=de");
    assert_eq!(response.reason, "Permission check failed (/, Sys.Modify)");
}

#[test]
fn token_details_require_user_modify() {
    let simulator = serve_runner();
    let path = "/access/users/eve@pve/token/empty";
    let token = data(&simulator, "GET", path, "");
    assert_eq!(token, json!({"privsep": 1, "expire": 0}));
    let itself = as_user(&simulator, EMPTY, "GET", path, "");
    assert_eq!(itself.status, 403, "{}", itself.reason);
    let unknown = rejection(&simulator, "GET", "/access/users/eve@pve/token/none", "");
    assert!(
        unknown
            .1
            .contains("no such token 'none' for user 'eve@pve'")
    );
}
