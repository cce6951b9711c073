// SPDX-License-Identifier: GPL-3.0-only
//! A small simulated cluster for tests, and logins for it.

use pve_client::{
    ApiToken, Client, ClientOptions, Credentials, Endpoint, Error, GuestKind, NewSnapshot, Trust,
    Upid,
};
use pve_sim::faults::FaultPlan;
use pve_sim::simulator::{Options, Simulator};
use serde_json::{Value, json};

/// The secret of the token `backup@pve!auto`.
pub(crate) const TOKEN: &str = "22222222-2222-4222-8222-222222222222";
/// The password of `backup@pve`.
pub(crate) const PASSWORD: &str = "example-backup";

/// Two nodes that are online and one that is off, guests of both kinds, users with and without
/// privileges.
fn world() -> (Value, Value) {
    let world = json!({
        "cluster": {"name": "lab", "quorate": true, "this_node": "pve1", "nodes": [
            {"name": "pve1", "nodeid": 1, "ip": "10.99.0.1", "online": true},
            {"name": "pve2", "nodeid": 2, "ip": "10.99.0.2", "online": true},
            {"name": "pve3", "nodeid": 3, "online": false,
             "proxying_gives": "595 No route to host"}]},
        "storages": [{"storage": "local", "type": "dir", "path": "/var/lib/vz",
            "content": ["images", "rootdir"], "snapshots": {"qcow2": true, "raw": false}}],
        "guests": [
            {"vmid": 100, "type": "qemu", "node": "pve1", "name": "web01", "status": "stopped",
             "config": {"scsi0": "local:100/vm-100-disk-0.qcow2,size=1G", "tags": "prod;web"}},
            {"vmid": 101, "type": "qemu", "node": "pve2", "name": "db", "status": "stopped",
             "config": {"scsi0": "local:101/vm-101-disk-0.raw,size=1G"}},
            {"vmid": 105, "type": "qemu", "node": "pve1", "name": "locked", "status": "stopped",
             "config": {"scsi0": "local:105/vm-105-disk-0.qcow2,size=1G", "lock": "backup"}},
            {"vmid": 120, "type": "qemu", "node": "pve3", "name": "far", "status": "unknown",
             "config": {"scsi0": "local:120/vm-120-disk-0.qcow2,size=1G"}}],
        "users": [{"userid": "backup@pve"}, {"userid": "nobody@pve"}, {"userid": "totp@pve"}],
        "tokens": [{"tokenid": "backup@pve!auto", "privsep": 0}],
        "acl": [{"path": "/", "who": "backup@pve", "role": "Administrator"}],
    });
    let credentials = json!({
        "passwords": {"backup@pve": PASSWORD, "nobody@pve": "x-nobody", "totp@pve": "x-totp"},
        "tokens": {"backup@pve!auto": TOKEN},
        "totp": {"totp@pve": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"},
    });
    (world, credentials)
}

/// Starts a simulator with the world of these tests.
pub(crate) fn start(change: impl FnOnce(&mut Options)) -> Simulator {
    let (world, credentials) = world();
    let mut options = Options::new(world, credentials);
    change(&mut options);
    Simulator::start(options).unwrap()
}

/// Faults of requests.
pub(crate) fn faults(requests: &Value) -> FaultPlan {
    FaultPlan::parse(&json!({"seed": 1, "requests": requests}).to_string()).unwrap()
}

/// A token with all privileges.
pub(crate) fn token() -> Credentials {
    Credentials::Token(ApiToken::parse(&format!("backup@pve!auto={TOKEN}")).unwrap())
}

/// A user with a password.
pub(crate) fn user(username: &str, password: &str) -> Credentials {
    Credentials::Password {
        username: username.into(),
        password: password.into(),
    }
}

/// A user with all privileges.
pub(crate) fn password_user() -> Credentials {
    user("backup@pve", PASSWORD)
}

/// Options for a client that trusts only this simulator.
pub(crate) fn options(simulator: &Simulator, credentials: Credentials) -> ClientOptions {
    let address = simulator.addresses()[0];
    let endpoint = Endpoint {
        host: address.ip().to_string(),
        port: address.port(),
    };
    let mut options = crate::raw_server::options(vec![endpoint], credentials);
    options.trust = Trust::Fingerprints(vec![simulator.fingerprint().parse().unwrap()]);
    options
}

/// Connects to the simulator.
pub(crate) async fn connect(simulator: &Simulator, credentials: Credentials) -> Client {
    Client::connect(options(simulator, credentials))
        .await
        .unwrap()
}

/// Starts a task that creates a snapshot of guest 100.
pub(crate) async fn create(client: &Client, name: &str) -> Result<Upid, Error> {
    let snapshot = NewSnapshot {
        name: name.into(),
        description: "cv4pve-autosnap".into(),
        with_memory: false,
    };
    client
        .create_snapshot("pve1", GuestKind::Qemu, 100, &snapshot)
        .await
}
