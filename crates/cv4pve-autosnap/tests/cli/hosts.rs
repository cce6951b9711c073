// SPDX-License-Identifier: GPL-3.0-only
//! Hosts: several hosts, a host that is lost during a run, addresses without a PVE host, and certificates.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use insta::assert_snapshot;
use pve_sim::simulator::Options;

use crate::harness::{Lab, Output, UnusedPort};
use crate::paused_run::PausingHook;
use crate::world::{World, credentials, vm};

fn world() -> World {
    World::new([vm(100, "web01").taken("daily", &[1, 2])])
}

/// A host that sends these bytes on every connection, for any request.
pub(crate) fn host_that_sends(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            // A client may close the connection early.
            let _ = stream
                .read(&mut buffer)
                .and_then(|_| stream.write_all(answer));
        }
    });
    address
}

/// The same service with TLS.
pub(crate) fn tls_host_with_reply(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let certified = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key =
        rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(session, stream.unwrap());
            let mut buffer = [0; 4096];
            let answered = stream
                .read(&mut buffer)
                .and_then(|_| stream.write_all(answer));
            if answered.is_ok() {
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    address
}

/// Calls `snap` with these hosts and options.
fn snap(lab: &Lab, host: &str, options: &[&str]) -> Output {
    let host = format!("--host={host}");
    let usual = [
        "--api-token=file:token",
        "--vmid=100",
        "snap",
        "--label=daily",
        "--keep=1",
    ];
    let own = [host.as_str()];
    lab.bare(own.iter().chain(&usual).chain(options).copied())
}

#[test]
fn the_first_host_that_answers_is_used() {
    let lab = Lab::new(&world());
    let unused = UnusedPort::new();
    let hosts = format!("{},{}", unused.address(), lab.host());
    snap(&lab, &hosts, &[]).assert_status(0);
    assert_eq!(lab.changes().len(), 3);
}

#[test]
fn a_host_may_be_an_address_of_version_six() {
    // Without IPv6 on this machine there is nothing to try.
    let Ok(free) = TcpListener::bind("[::1]:0") else {
        return;
    };
    let address = free.local_addr().unwrap();
    drop(free);
    let options = Options {
        listen: vec![address],
        ..Options::new(world().to_json(), credentials())
    };
    let lab = Lab::with(options);
    assert!(lab.host().starts_with("[::1]:"));
    lab.run("--vmid=100 snap --label=daily --keep=1")
        .assert_status(0);
}

#[test]
fn another_host_takes_over_during_the_run() {
    let lab = Lab::with(Options {
        listen_nodes: true,
        ..Options::new(world().to_json(), credentials())
    });
    let hosts: Vec<String> = lab
        .simulator
        .node_addresses()
        .iter()
        .map(|(_, address)| address.to_string())
        .collect();
    let hook = PausingHook::new(&lab);
    let args = format!(
        "--host={} --vmid=100 snap --label=daily --keep=1",
        hosts.join(",")
    );
    let mut run = hook.start(&lab, &args);
    run.go_to("snap-create-pre 100");
    lab.simulator.stop_listener("pve1");
    run.resume();
    run.finish().assert_status(0);
    assert_eq!(lab.changes().len(), 3);
}

#[test]
fn hosts_that_do_not_run_pve_are_distinguished() {
    let lab = Lab::new(&world());
    let page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\nConnection: close\r\n\r\n<html>no</html>";
    let garbage = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\nConnection: close\r\n\r\n{\"data\": [1,";
    let not_found = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    // Runs with the same label and host wait for each other, also runs of other test processes.
    let unresolved = format!("pve{}.invalid", std::process::id());
    let unused = UnusedPort::new();
    let mut errors = String::new();
    for (what, host) in [
        ("does not resolve", unresolved.clone()),
        ("refuses", unused.address()),
        (
            "plain HTTP",
            host_that_sends(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        ),
        ("no HTTP", host_that_sends(b"SSH-2.0-OpenSSH_9.2\r\n")),
        ("a page", tls_host_with_reply(page)),
        ("garbage", tls_host_with_reply(garbage)),
        ("not found", tls_host_with_reply(not_found)),
        ("no HTTP in TLS", tls_host_with_reply(b"220 mail ESMTP\r\n")),
    ] {
        let output = snap(&lab, &host, &["--timeout=2"]);
        errors.extend([what, ": ", &output.status.to_string(), " ", &output.stderr]);
    }
    lab.assert_unchanged();
    assert_snapshot!(errors.replace(&unresolved, "pve.invalid"), @r#"
    does not resolve: 3 ERROR: cannot connect to pve.invalid:8006: host name not found
    hint: check --host and the network; PVE serves its API on port 8006
    refuses: 3 ERROR: cannot connect to 127.0.0.1:<port>: connection refused
    hint: check --host and the network; PVE serves its API on port 8006
    plain HTTP: 3 ERROR: 127.0.0.1:<port> does not reply like a Proxmox VE host (GET /version): it does not use TLS; is this the HTTPS port of Proxmox VE (usually 8006)?
    hint: check --host: it must name nodes of a Proxmox VE cluster
    no HTTP: 3 ERROR: 127.0.0.1:<port> does not reply like a Proxmox VE host (GET /version): it does not use TLS; is this the HTTPS port of Proxmox VE (usually 8006)?
    hint: check --host: it must name nodes of a Proxmox VE cluster
    a page: 3 ERROR: 127.0.0.1:<port> does not reply like a Proxmox VE host (GET /version): the reply is not the expected JSON (invalid at line 1, column 1)
    hint: check --host: it must name nodes of a Proxmox VE cluster
    garbage: 3 ERROR: 127.0.0.1:<port> does not reply like a Proxmox VE host (GET /version): the reply is not the expected JSON (it ends too early)
    hint: check --host: it must name nodes of a Proxmox VE cluster
    not found: 3 ERROR: 127.0.0.1:<port> does not reply like a Proxmox VE host (GET /version): HTTP status 404 Not Found
    hint: check --host: it must name nodes of a Proxmox VE cluster
    no HTTP in TLS: 3 ERROR: 127.0.0.1:<port> does not reply like a Proxmox VE host (GET /version): the reply is not HTTP
    hint: check --host: it must name nodes of a Proxmox VE cluster
    "#);
}

#[test]
fn certificates_are_checked_when_asked() {
    let lab = Lab::new(&world());
    let host = lab.host();
    lab.file("ca.pem", lab.simulator.certificate_pem());
    lab.file("empty.pem", "nothing");
    let right = format!("--fingerprint={}", lab.simulator.fingerprint());
    let wrong = format!(
        "--fingerprint={}",
        lab.simulator
            .fingerprint()
            .replace(':', "")
            .chars()
            .rev()
            .collect::<String>()
    );
    let mut errors = String::new();
    for (options, expected) in [
        (["--validate-certificate"].as_slice(), 3),
        (&[wrong.as_str()], 3),
        (&["--ca-file=missing.pem"], 2),
        (&["--ca-file=empty.pem"], 2),
        (&["--fingerprint=12:34"], 2),
        (&[right.as_str(), "--ca-file=ca.pem"], 2),
        (&["--dry-run", "--ca-file=ca.pem"], 0),
        (&["--dry-run", right.as_str()], 0),
        (&["--dry-run", "--validate-certificate=false"], 0),
    ] {
        let output = snap(&lab, &host, options);
        output.assert_status(expected);
        errors.push_str(&output.stderr);
    }
    lab.assert_unchanged();
    assert_snapshot!(errors, @r#"
    ERROR: the certificate of 127.0.0.1:<port> is not trusted: it is not signed by a trusted authority
    hint: if it is the right host and its certificate is meant to be this one: --fingerprint=<fingerprint>, or --ca-file with the certificate of its authority
    ERROR: the certificate of 127.0.0.1:<port> is not trusted: its fingerprint is not one of the trusted fingerprints
    hint: if it is the right host and its certificate is meant to be this one: --fingerprint=<fingerprint>, or --ca-file with the certificate of its authority
    ERROR: cannot read certificate authorities from missing.pem: file not found
    ERROR: cannot read certificate authorities from empty.pem: it contains no PEM certificate
    ERROR: invalid SHA-256 fingerprint '12:34': expected 64 hexadecimal digits such as AA:BB:CC:…, as PVE shows them under Node > System > Certificates
    ERROR: --fingerprint and --ca-file contradict each other
    hint: a fingerprint needs no authority: give one of the two
    "#);
}
