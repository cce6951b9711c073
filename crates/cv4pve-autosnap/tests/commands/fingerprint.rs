// SPDX-License-Identifier: GPL-3.0-only
//! `fingerprint` prints the fingerprint that PVE shows, and the printed value can be pinned.

use crate::support::{cluster, host, program, program_as, run};

#[test]
fn the_fingerprint_is_shown_without_a_login_and_can_be_pinned() {
    let simulator = cluster();
    let hosts = format!("--host={}", host(&simulator));
    let (status, stdout, stderr) = run(program().args(["fingerprint", &hosts]));
    assert_eq!((status, stderr.as_str()), (0, ""), "{stdout}");
    let mut words = stdout.split_whitespace();
    assert_eq!(words.next(), Some(host(&simulator).as_str()));
    let fingerprint = words.next().unwrap();
    assert_eq!(fingerprint, simulator.fingerprint());
    assert!(simulator.journal().requests().is_empty());
    let pin = format!("--fingerprint={fingerprint}");
    let (status, _, stderr) =
        run(program_as("auto", &simulator).args(["--vmid=100", &pin, "status"]));
    assert_eq!(status, 0, "{stderr}");
}

#[test]
fn an_unreachable_host_exits_with_3_and_the_others_are_printed() {
    let simulator = cluster();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // The local port of an open connection has no listener, and no other process can take it.
    let connection = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let off = connection.local_addr().unwrap();
    let hosts = format!("--host={off},{}", host(&simulator));
    let (status, stdout, stderr) = run(program().args([&hosts, "fingerprint"]));
    assert_eq!(status, 3);
    assert!(stdout.contains(&simulator.fingerprint()), "{stdout}");
    assert!(stderr.contains(&format!("ERROR: {off}: ")), "{stderr}");
}

#[test]
fn the_notice_about_unchecked_certificates_is_printed_only_with_debug() {
    let simulator = cluster();
    let status = ["--vmid=100", "status"];
    let (_, _, stderr) = run(program_as("auto", &simulator).args(status));
    assert_eq!(stderr, "");
    let (_, _, stderr) = run(program_as("auto", &simulator).args(status).arg("--debug"));
    let pin = format!("--fingerprint={}", simulator.fingerprint());
    let notices = stderr.lines().filter(|line| line.starts_with("NOTICE: "));
    let notices: Vec<&str> = notices.collect();
    assert_eq!(notices.len(), 1, "{stderr}");
    assert!(notices[0].ends_with(&pin), "{stderr}");
}
