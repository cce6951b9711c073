// SPDX-License-Identifier: GPL-3.0-only
//! A small HTTPS client, independent of all others: one connection, requests as text, parsed
//! responses.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use pve_sim::simulator::{Options, Simulator};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

/// A token with all privileges.
pub(crate) const ADMIN: &str = "PVEAPIToken=admin@pve!full=admin-secret";

/// Two nodes, three guests, two storages.
pub(crate) fn world() -> Value {
    json!({
        "cluster": {"name": "lab", "this_node": "pve1", "nodes": [
            {"name": "pve1", "nodeid": 1, "ip": "10.0.0.1", "task_slots": 2},
            {"name": "pve2", "nodeid": 2, "ip": "10.0.0.2"},
        ]},
        "storages": [
            {"storage": "local", "type": "dir", "path": "/var/lib/vz", "content": ["images"],
             "total": 100_000_000_000_u64, "used": 10_000_000_000_u64},
            {"storage": "ceph", "type": "rbd", "content": ["images", "rootdir"], "shared": true},
        ],
        "guests": [
            {"vmid": 100, "type": "qemu", "node": "pve1", "name": "web01", "status": "running",
             "config": {"scsi0": "local:100/vm-100-disk-0.qcow2,size=10G", "memory": 1024}},
            {"vmid": 101, "type": "lxc", "node": "pve1", "hostname": "files",
             "config": {"rootfs": "ceph:vm-101-disk-0,size=4G"}},
            {"vmid": 102, "type": "qemu", "node": "pve2", "name": "db01",
             "config": {"scsi0": "ceph:vm-102-disk-0,size=20G"}, "replication_job": "102-0"},
        ],
        "pools": [{"poolid": "prod", "guests": [100]}],
        "users": [{"userid": "admin@pve"}, {"userid": "eve@pve"}],
        "tokens": [{"tokenid": "admin@pve!full", "privsep": 0},
                   {"tokenid": "admin@pve!pool", "privsep": 1}],
        "acl": [{"path": "/", "who": "admin@pve", "role": "Administrator"},
                {"path": "/pool/prod", "who": "admin@pve!pool", "role": "PVEVMAdmin"}],
    })
}

/// The secrets of [`world`].
pub(crate) fn credentials() -> Value {
    json!({
        "passwords": {"admin@pve": "geheim", "eve@pve": "eve"},
        "tokens": {"admin@pve!full": "admin-secret", "admin@pve!pool": "pool-secret"},
    })
}

/// Serves [`world`] after `change` has modified the options.
pub(crate) fn serve(change: impl FnOnce(&mut Options)) -> Simulator {
    let mut options = Options::new(world(), credentials());
    change(&mut options);
    Simulator::start(options).expect("the simulator starts")
}

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The member `data`.
    pub(crate) fn data(&self) -> Value {
        let body: Value = serde_json::from_slice(&self.body).expect("a JSON body");
        body["data"].clone()
    }

    /// All headers of that name.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let same = self
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_str()).collect()
    }
}

/// A connection that verifies the server's certificate.
pub(crate) struct Connection(StreamOwned<ClientConnection, TcpStream>);

impl Connection {
    pub(crate) fn open(simulator: &Simulator, address: SocketAddr) -> io::Result<Self> {
        let pem = simulator.certificate_pem();
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::IpAddress(address.ip().into());
        let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self(StreamOwned::new(session, socket)))
    }

    /// Sends a request and reads the response. `auth` contains header lines.
    pub(crate) fn call(
        &mut self,
        method: &str,
        path: &str,
        auth: &str,
        form: &str,
    ) -> io::Result<Response> {
        let length = if form.is_empty() && method == "GET" {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", form.len())
        };
        let head = format!("{method} /api2/json{path} HTTP/1.1\r\nHost: sim\r\n{auth}\r\n{length}");
        self.0.write_all(format!("{head}\r\n{form}").as_bytes())?;
        self.0.flush()?;
        self.read_response()
    }

    /// Sends raw text and reads the response.
    pub(crate) fn raw(&mut self, text: &str) -> io::Result<Response> {
        self.0.write_all(text.as_bytes())?;
        self.0.flush()?;
        self.read_response()
    }

    fn read_response(&mut self) -> io::Result<Response> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("text");
        let mut lines = head.trim_end().split("\r\n");
        let mut first = lines.next().expect("a status line").splitn(3, ' ').skip(1);
        let status = first
            .next()
            .and_then(|text| text.parse().ok())
            .expect("a status");
        let reason = first.next().unwrap_or_default().to_owned();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "Content-Length");
        let length = length.map_or(0, |(_, value)| value.parse().expect("a length"));
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(Response {
            status,
            reason,
            headers,
            body,
        })
    }
}

/// Sends one request on a new connection, with the administrator's token.
pub(crate) fn call(
    simulator: &Simulator,
    method: &str,
    path: &str,
    form: &str,
) -> io::Result<Response> {
    let address = simulator.addresses()[0];
    let auth = format!("Authorization: {ADMIN}");
    Connection::open(simulator, address)?.call(method, path, &auth, form)
}

/// Like [`call`], but must succeed; returns `data`.
pub(crate) fn data(simulator: &Simulator, method: &str, path: &str, form: &str) -> Value {
    let response = call(simulator, method, path, form).expect("a response");
    assert_eq!(
        (response.status, response.reason.as_str()),
        (200, "OK"),
        "{method} {path}"
    );
    response.data()
}

/// Starts a task, which must end immediately; returns its exit status.
pub(crate) fn task(simulator: &Simulator, method: &str, path: &str, form: &str) -> String {
    let upid = data(simulator, method, path, form);
    exit_status(simulator, upid.as_str().expect("a UPID")).expect("the task has ended")
}

/// Creates a snapshot of `guest` (its API path); returns the task's exit status.
pub(crate) fn create_snapshot(simulator: &Simulator, guest: &str, form: &str) -> String {
    task(simulator, "POST", &format!("{guest}/snapshot"), form)
}

/// Removes a snapshot of `guest` (its API path); returns the task's exit status.
pub(crate) fn remove_snapshot(simulator: &Simulator, guest: &str, name: &str) -> String {
    task(simulator, "DELETE", &format!("{guest}/snapshot/{name}"), "")
}

/// Executes a command of `pve-sim control`.
pub(crate) fn control(simulator: &Simulator, command: &str) {
    let arguments: Vec<String> = command.split(' ').map(str::to_owned).collect();
    pve_sim::control::send(&simulator.url(), &arguments).expect("the command succeeds");
}

/// The exit status of a task; `None` while it is running.
pub(crate) fn exit_status(simulator: &Simulator, upid: &str) -> Option<String> {
    let node = upid.split(':').nth(1).expect("a node");
    let status = data(
        simulator,
        "GET",
        &format!("/nodes/{node}/tasks/{upid}/status"),
        "",
    );
    status["exitstatus"].as_str().map(str::to_owned)
}

/// A guest's snapshots with their `snapstate`, sorted.
pub(crate) fn snapshots(simulator: &Simulator, guest: &str) -> Vec<(String, Option<String>)> {
    let list = data(simulator, "GET", &format!("{guest}/snapshot"), "");
    let mut found: Vec<_> = list
        .as_array()
        .expect("a list")
        .iter()
        .filter(|entry| entry["name"] != "current")
        .map(|entry| {
            let text = |key: &str| entry[key].as_str().map(str::to_owned);
            (text("name").expect("a name"), text("snapstate"))
        })
        .collect();
    found.sort();
    found
}

/// Status, reason and body of a rejected request.
pub(crate) fn rejection(
    simulator: &Simulator,
    method: &str,
    path: &str,
    form: &str,
) -> (u16, String, Value) {
    let response = call(simulator, method, path, form).expect("a response");
    let body = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
    (response.status, response.reason, body)
}

/// A request with other authentication headers instead of the token.
pub(crate) fn as_user(
    simulator: &Simulator,
    auth: &str,
    method: &str,
    path: &str,
    form: &str,
) -> Response {
    let address = simulator.addresses()[0];
    let mut connection = Connection::open(simulator, address).expect("a connection");
    connection
        .call(method, path, auth, form)
        .expect("a response")
}

/// A member of all list entries, as sorted text.
pub(crate) fn ids(list: &Value, key: &str) -> Vec<String> {
    let entries = list.as_array().expect("a list");
    let mut found: Vec<String> = entries
        .iter()
        .map(|entry| {
            entry[key]
                .as_str()
                .map_or_else(|| entry[key].to_string(), str::to_owned)
        })
        .collect();
    found.sort();
    found
}
