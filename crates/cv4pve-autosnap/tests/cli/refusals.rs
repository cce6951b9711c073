// SPDX-License-Identifier: GPL-3.0-only
//! Requests that are refused by a reverse proxy or without quorum, and not because of a wrong
//! token.

use crate::harness::Lab;
use crate::hosts::tls_host_with_reply;
use crate::world::{World, ct, vm};

/// A 401, 403, 405 or 413 with an HTML page comes from a reverse proxy, not from PVE.
#[test]
fn a_refusal_with_an_html_page_is_not_a_wrong_token() {
    let message = "a reverse proxy, not Proxmox VE, refused ";
    for (status, reason) in [
        (401, "Authorization Required"),
        (403, "Forbidden"),
        (405, "Not Allowed"),
        (413, "Request Entity Too Large"),
    ] {
        let effect = format!(
            r#"{{"answer": {{"status": {status}, "reason": "{reason}", "body": "<html><h1>{reason}</h1>"}}}}"#
        );
        let fault = |method: &str, path: &str| {
            format!(
                r#"{{"requests": [{{"method": "{method}", "path": "{path}", "effect": {effect}}}]}}"#
            )
        };
        let world = World::new([vm(100, "web01").taken("daily", &[1])]);
        let lab = Lab::with_faults(&world, &fault("GET", "/version"));
        lab.run("--vmid=100 snap --label=daily --keep=1")
            .assert_status(3)
            .assert_err(message)
            .assert_err("hint: a reverse proxy must pass /api2/json on")
            .assert_not_printed("token is unknown");
        let lab = Lab::with_faults(&world, &fault("POST", "/nodes/**"));
        let output = lab.run("--vmid=100 snap --label=daily --keep=1");
        output.assert_status(1).assert_out(message);
        output.assert_not_printed("it is not known whether it was done");
        assert_eq!(lab.changes(), [] as [&str; 0]);
    }
}

/// A reverse proxy that requires a login.
#[test]
fn a_login_required_by_a_reverse_proxy_is_not_a_wrong_token() {
    let lab = Lab::new(&World::new([]));
    let host = tls_host_with_reply(
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"ops\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
    let host = format!("--host={host}");
    let args = ["--api-token=file:token", "--vmid=100", "status", &host];
    lab.bare(args)
        .assert_status(3)
        .assert_err("401 Unauthorized and requires its own login")
        .assert_not_printed("token is unknown");
}

/// Without quorum PVE fails tasks with "Permission denied", which is not about privileges.
#[test]
fn lost_quorum_is_reported() {
    let lab = Lab::new(&World::new([
        vm(100, "web01").taken("daily", &[1]),
        ct(200, "proxy").taken("daily", &[1]),
    ]));
    lab.simulator.world(|world| world.quorate = false);
    for command in [
        "snap --label=daily --keep=1",
        "clean --label=daily --keep=0",
    ] {
        let output = lab.run(&format!("--vmid=@all {command}"));
        output
            .assert_status(1)
            .assert_out(
                "the cluster has no quorum, /etc/pve is read-only: unable to open file '/etc/pve/",
            )
            .assert_out("pvecm status");
        assert!(output.lines("FAILED").len() >= 2, "{output}");
    }
}

/// The same for a request that PVE refuses immediately.
#[test]
fn a_request_refused_without_quorum_is_reported() {
    let lab = Lab::with_faults(
        &World::new([vm(100, "web01").taken("daily", &[1])]),
        r#"{"requests": [{"method": "POST", "effect":
            {"answer": {"status": 500, "reason": "cluster not ready - no quorum?"}}}]}"#,
    );
    lab.run("--vmid=100 snap --label=daily --keep=1")
        .assert_status(1)
        .assert_out(
            "the cluster has no quorum, /etc/pve is read-only: cluster not ready - no quorum?",
        )
        .assert_out("pvecm status");
}
