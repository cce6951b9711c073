// SPDX-License-Identifier: GPL-3.0-only
//! Replies that do not settle a request: from a proxy instead of the node, from a busy server,
//! or none because the connection was reset or closed.

use crate::harness::Lab;
use crate::paused_run::PausingHook;
use crate::world::{World, vm};

const SNAP: &str = "--vmid=100 --timeout=1 snap --label=daily --keep=1";

/// Runs with this reply to the first creation; `expected` is exit status, changes and POSTs.
#[track_caller]
fn check(effect: &str, expected: (i32, usize, usize), message: &str) {
    let lab = Lab::new(&World::new([vm(100, "web01").taken("daily", &[1])]));
    let rule = format!(r#"{{"requests": [{{"method": "POST", "times": 1, "effect": {effect}}}]}}"#);
    lab.set_faults(&rule);
    let output = lab.run(SNAP);
    let posts = lab
        .writes()
        .iter()
        .filter(|one| one.starts_with("POST"))
        .count();
    let found = (output.status, lab.changes().len(), posts);
    assert_eq!(found, expected, "{effect}\n{output}");
    output.assert_out(message);
}

#[test]
fn a_creation_of_a_silent_node_is_found() {
    for (status, reason) in [
        (596, "Connection timed out"),
        (599, "Too many redirections"),
        (504, "Gateway Timeout"),
    ] {
        let answer = format!(
            r#"{{"answer": {{"status": {status}, "reason": "{reason}", "handled": true, "after": 0.3}}}}"#
        );
        check(
            &answer,
            (0, 2, 1),
            "the answer was lost; PVE shows that it was done",
        );
    }
}

#[test]
fn a_request_without_effect_on_a_silent_node_is_unknown_and_not_repeated() {
    for (status, reason) in [
        (596, "Connection timed out"),
        (599, "Too many redirections"),
    ] {
        let answer =
            format!(r#"{{"answer": {{"status": {status}, "reason": "{reason}", "after": 0.3}}}}"#);
        check(&answer, (1, 0, 1), "it is not known whether it was done");
    }
}

#[test]
fn a_request_to_a_busy_server_is_retried() {
    for (status, reason) in [
        (503, "Service Unavailable"),
        (429, "Too Many Requests"),
        (595, "Connection refused"),
    ] {
        let answer = format!(r#"{{"answer": {{"status": {status}, "reason": "{reason}"}}}}"#);
        check(&answer, (0, 2, 2), "\n1 snapshot created, 1 removed;");
    }
}

#[test]
fn a_connection_reset_leaves_the_effect_unknown() {
    check(
        r#""refuse""#,
        (1, 0, 1),
        "it is not known whether it was done",
    );
    check(
        r#""cut_answer""#,
        (0, 2, 1),
        "the answer was lost; PVE shows that it was done",
    );
}

/// A pveproxy worker that retires closes its idle connections.
#[test]
fn a_connection_whose_worker_has_retired_is_replaced() {
    let lab = Lab::new(&World::new([vm(100, "web01").taken("daily", &[1, 2, 3])]));
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(&lab, "--vmid=100 snap --label=daily --keep=1");
    loop {
        let phase = run.reached();
        if phase == "ended" {
            break;
        }
        lab.simulator.close_connections("pve1");
        run.resume();
    }
    run.ended().assert_status(0);
    assert_eq!(lab.changes().len(), 4);
    assert_eq!(lab.writes().len(), 4, "nothing is sent twice");
}
