// SPDX-License-Identifier: GPL-3.0-only
//! A small HTTPS client of its own, so that the server is seen through nobody
//! else's eyes: one connection, requests as text, answers taken apart.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use pve_sim::simulator::{Options, Simulator};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

/// A token that may do everything.
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

/// Serves [`world`] after `change` had a go at the options.
pub(crate) fn serve(change: impl FnOnce(&mut Options)) -> Simulator {
    let mut options = Options::new(world(), credentials());
    change(&mut options);
    Simulator::start(options).expect("the simulator starts")
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
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

/// A connection that checks the server's certificate.
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

    /// Sends a request and reads its answer. `auth` are header lines.
    pub(crate) fn call(
        &mut self,
        method: &str,
        path: &str,
        auth: &str,
        form: &str,
    ) -> io::Result<Answer> {
        let length = if form.is_empty() && method == "GET" {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", form.len())
        };
        let head = format!("{method} /api2/json{path} HTTP/1.1\r\nHost: sim\r\n{auth}\r\n{length}");
        self.0.write_all(format!("{head}\r\n{form}").as_bytes())?;
        self.0.flush()?;
        self.answer()
    }

    /// Sends text as it is and reads the answer.
    pub(crate) fn raw(&mut self, text: &str) -> io::Result<Answer> {
        self.0.write_all(text.as_bytes())?;
        self.0.flush()?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<Answer> {
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
        Ok(Answer {
            status,
            reason,
            headers,
            body,
        })
    }
}

/// One request on a connection of its own, with the all-powerful token.
pub(crate) fn call(
    simulator: &Simulator,
    method: &str,
    path: &str,
    form: &str,
) -> io::Result<Answer> {
    let address = simulator.addresses()[0];
    let auth = format!("Authorization: {ADMIN}");
    Connection::open(simulator, address)?.call(method, path, &auth, form)
}

/// [`call`] that has to succeed; gives back `data`.
pub(crate) fn data(simulator: &Simulator, method: &str, path: &str, form: &str) -> Value {
    let answer = call(simulator, method, path, form).expect("an answer");
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (200, "OK"),
        "{method} {path}"
    );
    answer.data()
}

/// Starts a task and gives back how it ended; it has to end at once.
pub(crate) fn task(simulator: &Simulator, method: &str, path: &str, form: &str) -> String {
    let upid = data(simulator, method, path, form);
    exit_of(simulator, upid.as_str().expect("a UPID")).expect("the task has ended")
}

/// Carries out a command of `pve-sim control`.
pub(crate) fn control(simulator: &Simulator, words: &str) {
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    pve_sim::control::send(&simulator.url(), &words).expect("the command is carried out");
}

/// How a task ended, if it has.
pub(crate) fn exit_of(simulator: &Simulator, upid: &str) -> Option<String> {
    let node = upid.split(':').nth(1).expect("a node");
    let status = data(
        simulator,
        "GET",
        &format!("/nodes/{node}/tasks/{upid}/status"),
        "",
    );
    status["exitstatus"].as_str().map(str::to_owned)
}

/// Names of a guest's snapshots with their `snapstate`, sorted.
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

/// Status, reason and body of a request that is refused.
pub(crate) fn refusal(
    simulator: &Simulator,
    method: &str,
    path: &str,
    form: &str,
) -> (u16, String, Value) {
    let answer = call(simulator, method, path, form).expect("an answer");
    let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    (answer.status, answer.reason, body)
}

/// A request with header lines of its own instead of the token.
pub(crate) fn as_user(
    simulator: &Simulator,
    auth: &str,
    method: &str,
    path: &str,
    form: &str,
) -> Answer {
    let address = simulator.addresses()[0];
    let mut connection = Connection::open(simulator, address).expect("a connection");
    connection
        .call(method, path, auth, form)
        .expect("an answer")
}

/// A member of all entries of a list, as sorted texts.
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
