// SPDX-License-Identifier: GPL-3.0-only
//! Invalid world files: everything that could silently have another meaning is rejected.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use pve_sim::simulator::{Options, Simulator};

use crate::common::{Server, failure, write};

/// A valid world.
fn world() -> Value {
    json!({
        "note": "all is well",
        "cluster": {"name": "lab", "this_node": "pve1", "nodes": [
            {"name": "pve1", "nodeid": 1}, {"name": "pve2", "nodeid": 2}]},
        "storages": [{"storage": "tank", "type": "zfspool", "content": ["images"], "nodes": ["pve1"]}],
        "guests": [
            {"vmid": 100, "type": "qemu", "node": "pve1", "name": "web01", "status": "running",
             "config": {"scsi0": "tank:vm-100-disk-0,size=8G", "net0": "virtio,bridge=vmbr0"},
             "snapshots": [{"name": "one"}, {"name": "two", "parent": "one"}]},
            {"vmid": 101, "type": "lxc", "node": "pve2", "hostname": "dns"}],
        "pools": [{"poolid": "prod", "guests": [100], "storages": ["tank"]}, {"poolid": "lab"}],
        "roles": {"Runner": ["VM.Audit", "VM.Snapshot"]},
        "users": [{"userid": "backup@pve"}],
        "tokens": [{"tokenid": "backup@pve!auto", "privsep": 0}],
        "acl": [{"path": "/", "who": "backup@pve", "role": "Runner"}],
    })
}

fn credentials() -> Value {
    json!({"passwords": {"backup@pve": "secret"}, "tokens": {"backup@pve!auto": "also-secret"}})
}

/// The world with one value replaced; the last part of the pointer may be a new member.
fn changed(mut file: Value, pointer: &str, value: Value) -> Value {
    let (above, member) = pointer.rsplit_once('/').expect("a pointer");
    let parent = file.pointer_mut(above).expect("it exists");
    if let (Value::Array(list), "-") = (&mut *parent, member) {
        list.push(value);
    } else {
        parent[member] = value;
    }
    file
}

/// Changed member, its new value, and the expected error.
#[expect(clippy::too_many_lines, reason = "a table")]
fn invalid_worlds() -> Vec<(&'static str, Value, &'static str)> {
    let twice = json!({"vmid": 100, "type": "lxc", "node": "pve1"});
    vec![
        (
            "/guests/-",
            twice,
            "guests[2].vmid: duplicate '100', first used at guests[0].vmid",
        ),
        (
            "/guests/1/vmid",
            json!(99),
            "guests[1].vmid (guest 99): VMID must be between 100",
        ),
        (
            "/guests/1/type",
            json!("kvm"),
            "guests[1].type (guest 101): unknown variant `kvm`",
        ),
        (
            "/guests/1/stauts",
            json!("running"),
            "guests[1].stauts (guest 101): unknown field `stauts`",
        ),
        (
            "/guests/1/status",
            json!("paused"),
            "guests[1].status (guest 101): unknown variant `paused`",
        ),
        (
            "/guests/1/node",
            json!("pve9"),
            "guests[1].node (guest 101): node 'pve9' not found",
        ),
        (
            "/guests/1/config",
            json!({"rotfs": "tank:x"}),
            "guests[1].config.rotfs (guest 101): unknown option in the configuration of a CT",
        ),
        (
            "/guests/1/config",
            json!({"lock": "bakup"}),
            "guests[1].config.lock (guest 101): unknown value 'bakup'",
        ),
        (
            "/guests/0/parent",
            json!("three"),
            "guests[0].parent (guest 100): snapshot 'three' not found",
        ),
        (
            "/guests/0/snapshots/1/name",
            json!("one"),
            "guests[0].snapshots[1].name (guest 100): duplicate 'one', first used at",
        ),
        (
            "/guests/0/snapshots/0/parent",
            json!("two"),
            "guests[0].snapshots (guest 100): snapshot 'one' is its own ancestor",
        ),
        (
            "/guests/0/snapshots/0/snapstate",
            json!("gone"),
            "guests[0].snapshots[0].snapstate (guest 100): unknown variant `gone`",
        ),
        (
            "/guests/0/snapshots/0/snaptime",
            json!("now"),
            "guests[0].snapshots[0].snaptime (guest 100): invalid type",
        ),
        (
            "/storages/0/type",
            json!("zfs-pool"),
            "storages[0].type (tank): unknown value 'zfs-pool'",
        ),
        (
            "/storages/0/content",
            json!(["image"]),
            "storages[0].content (tank): unknown value 'image'",
        ),
        (
            "/storages/0/nodes",
            json!(["pve3"]),
            "storages[0].nodes (tank): node 'pve3' not found",
        ),
        (
            "/storages/0/usage",
            json!({"pve3": {"total": 1, "used": 1}}),
            "storages[0].usage (tank): node 'pve3' not found",
        ),
        (
            "/pools/1/guests",
            json!([102]),
            "pools[1].guests (lab): guest '102' not found",
        ),
        (
            "/pools/1/storages",
            json!(["tink"]),
            "pools[1].storages (lab): storage 'tink' not found",
        ),
        (
            "/pools/1/poolid",
            json!("prod"),
            "pools[1].poolid: duplicate 'prod', first used at pools[0].poolid",
        ),
        (
            "/roles/Runner",
            json!(["VM.Snap"]),
            "roles.Runner: privilege 'VM.Snap' not found",
        ),
        (
            "/tokens/0/tokenid",
            json!("eve@pve!auto"),
            "tokens[0].tokenid: user 'eve@pve' not found",
        ),
        (
            "/tokens/0/tokenid",
            json!("backup"),
            "tokens[0].tokenid: invalid token ID 'backup': expected",
        ),
        (
            "/acl/0/role",
            json!("Nope"),
            "acl[0].role: role 'Nope' not found",
        ),
        (
            "/acl/0/who",
            json!("eve@pve"),
            "acl[0].who: user or token 'eve@pve' not found",
        ),
        (
            "/acl/0/path",
            json!("/vm/100"),
            "acl[0].path: invalid permission path '/vm/100'",
        ),
        (
            "/cluster/nodes",
            json!([]),
            "cluster.nodes: a cluster needs at least one node",
        ),
        (
            "/cluster/nodes/1/name",
            json!("pve1"),
            "cluster.nodes[1].name: duplicate 'pve1', first used at",
        ),
        (
            "/cluster/nodes/1/onlin",
            json!(true),
            "cluster.nodes[1].onlin: unknown field `onlin`",
        ),
    ]
}

/// Typos, unknown names, duplicate IDs and unknown values are rejected with file and location.
#[test]
fn invalid_worlds_are_rejected_with_file_and_location() {
    Simulator::start(Options::new(world(), credentials())).expect("a valid world");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let secrets = write(folder.path(), "secrets.json", &credentials().to_string());
    for (pointer, value, expected) in invalid_worlds() {
        let wrong = changed(world(), pointer, value.clone());
        let file = write(folder.path(), "wrong.json", &wrong.to_string());
        let text = failure(&["serve", "--world", &file, "--credentials", &secrets]);
        assert!(
            text.contains(&format!("wrong.json': {expected}")),
            "{pointer}: {text}"
        );
        let first = text.lines().next().unwrap_or_default();
        assert_eq!(text.matches(first).count(), 1, "printed twice: {text}");
        assert!(
            !text.contains("Caused by") && !text.contains("<unknown>"),
            "{text}"
        );
    }
}

/// A credentials file with an unknown list, or with no secret of a known user, is rejected.
#[test]
fn invalid_credentials_are_rejected() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = write(folder.path(), "world.json", &world().to_string());
    for (secrets, expected) in [
        (
            json!({"password": {"backup@pve": "x"}}),
            "wrong.json': password: unknown field `password`",
        ),
        (
            json!({"passwords": {"backup@pve": 1}}),
            "wrong.json': passwords.backup@pve: invalid type",
        ),
        (
            json!({"passwords": {"eve@pve": "x"}}),
            "wrong.json': passwords.eve@pve: user 'eve@pve' not found",
        ),
        (json!([]), "wrong.json': "),
    ] {
        let secrets = write(folder.path(), "wrong.json", &secrets.to_string());
        let text = failure(&["serve", "--world", &file, "--credentials", &secrets]);
        assert!(text.contains(expected), "{text}");
    }
}

/// States that PVE tolerates are warnings with file and location, and errors with `--strict`.
#[test]
fn states_that_pve_tolerates_are_warnings() {
    let cases = [
        (
            "/guests/0/config/scsi1",
            json!("gone:vm-100-disk-1,size=1G"),
            "guests[0].config.scsi1 (guest 100): storage 'gone' not found",
        ),
        (
            "/guests/0/snapshots/0/parent",
            json!("zero"),
            "guests[0].snapshots[0].parent (guest 100): snapshot 'zero' not found",
        ),
        (
            "/pools/1/guests",
            json!([100]),
            "pools[1].guests (lab): guest 100 is already in pool 'prod'",
        ),
    ];
    let folder = tempfile::tempdir().expect("a temporary folder");
    let secrets = changed(credentials(), "/passwords/eve@pve", json!("x"));
    let secrets = write(folder.path(), "secrets.json", &secrets.to_string());
    let mut wrong = world();
    for (pointer, value, _) in &cases {
        wrong = changed(wrong, pointer, value.clone());
    }
    let file = write(folder.path(), "wrong.json", &wrong.to_string());
    let arguments = ["--world", file.as_str(), "--credentials", secrets.as_str()];
    let simulator = Simulator::start(Options::new(wrong, credentials())).expect("a simulator");
    assert_eq!(simulator.world(|world| world.warnings.len()), cases.len());
    let text = failure(&[&["serve", "--strict"], arguments.as_slice()].concat());
    for (_, _, expected) in &cases {
        assert!(text.contains(&format!("wrong.json': {expected}")), "{text}");
    }
    assert!(
        text.contains("secrets.json': passwords.eve@pve: user 'eve@pve' not found"),
        "{text}"
    );
    drop(Server::start(&arguments));
}

/// The worlds shared with this project can be loaded.
#[test]
fn shared_worlds_can_be_loaded() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let read = |path: &Path| -> Value {
        let text = std::fs::read_to_string(path).expect("readable");
        serde_json::from_str(&text).expect("JSON")
    };
    let secrets = read(&shared.join("pve-recordings/credentials.example.json"));
    let mut files: Vec<PathBuf> = std::fs::read_dir(shared.join("oracles/csharp/worlds"))
        .expect("a temporary folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| !path.to_string_lossy().ends_with(".faults.json"))
        .collect();
    files.push(shared.join("pve-recordings/world.json"));
    assert!(files.len() > 200, "{}", files.len());
    for file in files {
        let started = Simulator::start(Options::new(read(&file), secrets.clone()));
        if let Err(error) = started {
            panic!("{}: {error}", file.display());
        }
    }
}
