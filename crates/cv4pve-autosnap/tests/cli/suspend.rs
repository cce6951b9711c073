// SPDX-License-Identifier: GPL-3.0-only
//! A process that is stopped for a while, as on a suspended machine: tasks end meanwhile, and the
//! server closes the connections.

use pve_sim::journal::Request;
use serde_json::json;

use crate::harness::{Lab, until};
use crate::paused_run::{PausingHook, Run};
use crate::world::{World, vm};

/// Stops the process, and waits until it is stopped.
pub(crate) fn suspend(run: &Run<'_>) {
    run.signal("STOP");
    let state = || {
        let shown = std::process::Command::new("ps")
            .args(["-o", "stat=", "-p", &run.pid().to_string()])
            .output();
        String::from_utf8(shown.unwrap().stdout).unwrap()
    };
    until("the process is stopped", || state().starts_with('T'));
}

#[test]
fn a_task_that_ends_while_the_program_is_stopped_is_a_success() {
    let slow = json!({"create": 3600, "delete": 3600});
    let guest = vm(100, "web01").taken("daily", &[1]);
    let lab = Lab::new(&World::new([guest.with("task_seconds", slow)]));
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(&lab, "--vmid=100 --timeout=300 snap --label=daily --keep=1");
    run.go_to("snap-create-pre 100");
    run.resume();
    let mut written = 0;
    for verb in ["POST", "DELETE"] {
        lab.until_requested("the request is sent", |one| {
            one.method == verb && one.path.contains("/snapshot")
        });
        let requests = lab.simulator.journal().len();
        let is_poll = |one: &Request| one.path.contains("/tasks/");
        let poll_count = || {
            let journal = lab.simulator.journal().requests();
            journal.iter().filter(|one| is_poll(one)).count()
        };
        let before = poll_count();
        until("the task is polled", || poll_count() > before);
        assert!(lab.simulator.journal().len() > requests);
        suspend(&run);
        lab.simulator.advance(3600.0);
        lab.simulator.close_connections("pve1");
        run.signal("CONT");
        written += 1;
        assert_eq!(lab.writes().len(), written);
        if verb == "POST" {
            assert_eq!(run.reached(), "snap-remove-pre 100");
            run.resume();
        }
    }
    run.finish().assert_status(0);
    assert_eq!(
        lab.changes(),
        [
            "create 100 autodaily<now>",
            "delete 100 autodaily240101000000"
        ]
    );
    assert_eq!(lab.writes().len(), 2, "nothing is sent twice");
}

#[test]
fn connections_closed_while_the_program_was_stopped_are_replaced() {
    let lab = Lab::new(&World::new([vm(100, "web01").taken("daily", &[1])]));
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(&lab, "--vmid=100 snap --label=daily --keep=1");
    for phase in ["snap-create-pre 100", "snap-remove-pre 100"] {
        run.go_to(phase);
        suspend(&run);
        lab.simulator.close_connections("pve1");
        run.signal("CONT");
        run.resume();
    }
    run.finish().assert_status(0);
    assert_eq!(lab.changes().len(), 2);
    assert_eq!(lab.writes().len(), 2, "nothing is sent twice");
}
