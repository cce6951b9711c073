// SPDX-License-Identifier: GPL-3.0-only
//! Stopping a run: signals, and outputs that cannot be written.
//!
//! The hook is the synchronisation point: a run is stopped while it waits in a phase.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Read;
use std::process::{Command, Stdio};

use insta::assert_snapshot;
use serde_json::json;

use crate::harness::{Lab, until};
use crate::paused_run::{PausingHook, Run};
use crate::world::{World, ct, vm};

const SNAP: &str = "--vmid=@all --max-parallel=1 snap --label=daily --keep=1";

fn lab() -> Lab {
    Lab::new(&World::new([
        vm(100, "web01").taken("daily", &[1, 2]),
        ct(200, "proxy").taken("daily", &[3]),
    ]))
}

/// Sends a signal and waits until the program reports it.
fn stop(run: &mut Run<'_>, signal: &str) {
    run.signal(signal);
    run.wait_for_stderr("nothing new is started");
}

#[test]
fn a_signal_finishes_the_current_guests_and_starts_no_other() {
    for (signal, status) in [("INT", 130), ("HUP", 130), ("TERM", 143)] {
        let lab = lab();
        let hook = PausingHook::new(&lab);
        let mut run = hook.start(&lab, SNAP);
        run.go_to("snap-create-pre 100");
        stop(&mut run, signal);
        run.resume();
        assert_eq!(
            run.resume_to_the_end(),
            ["snap-create-post 100", "snap-job-end"],
            "{signal}"
        );
        let output = run.ended();
        output.assert_status(status);
        assert_eq!(lab.changes(), ["create 100 autodaily<now>"], "{signal}");
        if signal == "TERM" {
            assert_snapshot!(output.report(), @r#"
            exit status 143
            --- stdout ---
            ----- VM 100 qemu running ----- web01
            Create snapshot: autodaily<now>
            Error: left to the next run: 2 removals, the run was stopped
            ----- VM 200 lxc running ----- proxy
            Error: left out: the run was stopped
            Broken off after <time>: 1 snapshot created, 0 removed; guests: 0 done, 0 skipped, 1 with errors, 1 not reached
            2 removals are left to the next run
            Error: termination requested; not reached: CT 200 proxy
            FAILED VM 100 web01 on pve1: removals are left to the next run
            --- stderr ---
            WARNING: termination requested; nothing new is started, guests in progress are finished
            "#);
        }
    }
}

#[test]
fn the_json_report_of_an_interrupted_run() {
    let lab = lab();
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(&lab, &format!("{SNAP} --output=Json"));
    run.go_to("snap-create-pre 100");
    stop(&mut run, "TERM");
    let report = run.finish().assert_status(143).json();
    assert_eq!(report["exit_status"], 143);
    assert_eq!(report["postponed"], 2);
    let results = report["guests"].as_array().unwrap().iter();
    let results: Vec<_> = results.map(|guest| &guest["result"]).collect();
    assert_eq!(results, ["failed", "not-reached"]);
}

#[test]
fn a_signal_during_a_removal_postpones_the_other_removals() {
    let lab = lab();
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(&lab, "--vmid=100 clean --label=daily --keep=0");
    run.go_to("snap-remove-pre 100");
    stop(&mut run, "TERM");
    assert_eq!(
        run.resume_to_the_end(),
        ["snap-remove-post 100", "clean-job-end"]
    );
    let output = run.ended();
    output
        .assert_status(143)
        .assert_out("Error: left to the next run: 1 removal, the run was stopped");
    assert_eq!(lab.changes(), ["delete 100 autodaily240101000000"]);
}

#[test]
fn a_signal_before_the_first_guest_changes_nothing() {
    let lab = lab();
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(&lab, SNAP);
    assert_eq!(run.reached(), "snap-job-start");
    run.signal("TERM");
    // Before the first guest the program does not print that it was interrupted, so check the
    // hooks.
    assert_eq!(run.resume_to_the_end(), ["snap-job-end"]);
    run.ended()
        .assert_status(143)
        .assert_out("\nBroken off after <time>: nothing was created or removed\n");
    lab.assert_unchanged();
}

#[test]
fn a_signal_stops_a_run_that_waits_for_a_silent_guest() {
    let lab = lab();
    let silent = r#"{"requests": [{"method": "GET", "path": "/nodes/*/*/*/snapshot", "effect": {"stall": 900}}]}"#;
    lab.set_faults(silent);
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(&lab, SNAP);
    assert_eq!(run.reached(), "snap-job-start");
    run.resume();
    run.signal("TERM");
    assert_eq!(run.reached(), "snap-job-end");
    run.resume();
    run.ended().assert_status(143);
    lab.assert_unchanged();
}

#[test]
fn a_guest_that_waits_for_a_lock_gets_its_abort_hook() {
    let lab = Lab::with_faults(
        &World::new([vm(100, "locked").taken("daily", &[1, 2]), vm(101, "web01")]),
        r#"{"tasks": [{"vmid": 100, "effect": {"fail": "VM is locked (backup)"}}]}"#,
    );
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(&lab, &format!("{SNAP} --wait-locked=20s"));
    // Guests run one at a time: when the second one starts, the first one is waiting for its lock.
    run.go_to("snap-create-pre 101");
    stop(&mut run, "INT");
    let mut phases = run.resume_to_the_end();
    phases.sort_unstable();
    assert_eq!(
        phases,
        [
            "snap-create-abort 100",
            "snap-create-post 101",
            "snap-job-end"
        ]
    );
    let output = run.ended();
    output
        .assert_status(130)
        .assert_out("VM is locked (backup)");
    assert_eq!(lab.changes(), ["create 101 autodaily<now>"]);
}

/// A guest that was locked at the start, so that the run still waits for its lock, is "not
/// reached".
#[test]
fn a_guest_that_was_locked_from_the_start_is_not_reached() {
    let lab = Lab::new(&World::new([
        vm(100, "locked").set("lock", "backup"),
        vm(101, "web01"),
    ]));
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(&lab, &format!("{SNAP} --wait-locked=20s"));
    run.go_to("snap-create-pre 101");
    stop(&mut run, "INT");
    assert_eq!(
        run.resume_to_the_end(),
        ["snap-create-post 101", "snap-job-end"]
    );
    run.ended().assert_status(130).assert_out("not reached");
}

#[test]
fn a_second_signal_exits_immediately_and_names_the_running_tasks() {
    for (first, second, status) in [("INT", "INT", 130), ("HUP", "TERM", 143)] {
        let slow = json!({"create": 3600, "delete": 3600});
        let lab = Lab::new(&World::new([
            vm(100, "slow").with("task_seconds", slow.clone()),
            vm(101, "slow").with("task_seconds", slow),
            vm(102, "unreached"),
        ]));
        let hook = PausingHook::new(&lab);
        let args = "--vmid=@all --max-parallel=2 --timeout=20 snap --label=daily --keep=1";
        let mut run = hook.start(&lab, args);
        run.go_to("snap-create-pre 100");
        run.resume();
        run.resume();
        // Wait until both tasks are polled: only then does the program know their UPIDs.
        until("both tasks are polled", || {
            let requests = lab.simulator.journal().requests();
            let polls = requests
                .iter()
                .filter(|request| request.method == "GET" && request.path.contains("/tasks/"));
            let tasks: BTreeSet<&str> = polls.map(|request| request.path.as_str()).collect();
            tasks.len() >= 2
        });
        stop(&mut run, first);
        run.signal(second);
        let output = run.ended();
        output
            .assert_status(status)
            .assert_err("ERROR: interrupted a second time; exiting immediately");
        let named = output
            .stderr
            .lines()
            .filter(|line| *line == "still running in PVE: <upid>");
        assert_eq!(named.count(), 2, "{output}");
    }
}

#[test]
fn an_ignored_hangup_stays_ignored() {
    let lab = lab();
    let hook = PausingHook::new(&lab);
    let mut command = lab.command_of("nohup");
    command
        .arg(env!("CARGO_BIN_EXE_cv4pve-autosnap"))
        .stdout(Stdio::piped());
    let mut run = hook.start_with(&lab, SNAP, command);
    run.go_to("snap-create-pre 100");
    run.signal("HUP");
    run.finish().assert_status(0);
    assert_eq!(lab.changes().len(), 5);
}

#[test]
fn a_closed_stdout_pipe_does_not_stop_the_run() {
    let lab = lab();
    let hook = PausingHook::new(&lab);
    let mut command = lab.command();
    let (reader, writer) = std::io::pipe().unwrap();
    command.stdout(writer);
    let mut run = hook.start_with(&lab, SNAP, command);
    assert_eq!(run.reached(), "snap-job-start");
    drop(reader);
    run.finish().assert_status(0);
    assert_eq!(lab.changes().len(), 5);
}

/// Whether a process is gone or a zombie.
fn has_ended(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

/// `script` runs the program in a terminal. When `script` is killed, the terminal closes: the
/// program gets a SIGHUP, unless that is ignored, and its writes fail (EIO). The test resets SIGHUP
/// because the process that started the tests may ignore it, as nohup does, and child processes
/// inherit that.
#[test]
fn a_closed_terminal_stops_the_run_in_order() {
    for (trap, status, changes) in [("trap : HUP", "130", 1), ("trap '' HUP", "1", 5)] {
        let lab = lab();
        let hook = PausingHook::new(&lab);
        let mkfifo = Command::new("mkfifo")
            .arg(lab.folder().join("status.pipe"))
            .status();
        assert!(mkfifo.unwrap().success());
        let program = env!("CARGO_BIN_EXE_cv4pve-autosnap");
        lab.script(
            "inside.sh",
            &format!(
                "#!/bin/sh\n{trap}\necho $PPID >leader\n'{program}' \"$@\"\necho $? >status.pipe\n"
            ),
        );
        // `script` takes the command as one text, so each argument is quoted.
        lab.script(
            "terminal.sh",
            "#!/bin/sh\nfor word; do words=\"$words '$word'\"; done\nexec env --default-signal=HUP script -qec \"./inside.sh $words\" /dev/null\n",
        );
        let path = lab.folder().join("terminal.sh");
        let mut command = lab.command_of(path.to_str().unwrap());
        command.stdout(Stdio::piped());
        let mut run = hook.start_with(&lab, SNAP, command);
        run.go_to("snap-create-pre 100");
        run.signal("KILL");
        // Only `script` is killed; the program runs on.
        assert_eq!(run.reached(), "ended");
        // The shell that `script` started leads the session: the kernel sends SIGHUP to it, and to
        // the program when the shell dies.
        let leader = std::fs::read_to_string(lab.folder().join("leader")).unwrap();
        until("the session has ended", || has_ended(leader.trim()));
        run.resume();
        run.go_to("snap-job-end");
        run.resume();
        let mut exit_status = String::new();
        let mut pipe = std::fs::File::open(lab.folder().join("status.pipe")).unwrap();
        pipe.read_to_string(&mut exit_status).unwrap();
        assert_eq!(exit_status.trim(), status, "{trap}");
        assert_eq!(lab.changes().len(), changes, "{trap}");
    }
}

#[test]
fn a_full_disk_is_reported_and_does_not_stop_the_run() {
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    for (args, changes) in [
        ("snap --label=daily --keep=1", 5),
        ("snap --label=daily --keep=1 --output=Json", 5),
        ("clean --label=daily --keep=0", 3),
        ("status", 0),
        ("status --output=Csv", 0),
    ] {
        let lab = lab();
        let mut command = lab.command();
        command
            .stdout(full())
            .arg(format!("--host={}", lab.host()))
            .args(["--api-token=file:token", "--vmid=@all"])
            .args(args.split(' '));
        let output = lab.finish_with_own_stdout(command);
        output
            .assert_status(1)
            .assert_err("ERROR: the report could not be written: No space left on device");
        assert_eq!(lab.changes().len(), changes, "{args}");
    }
}

#[test]
fn a_run_interrupted_while_reading_reports_every_guest() {
    for (form, shown) in [("Json", false), ("Text", true)] {
        let lab = Lab::with_faults(
            &World::new([vm(100, "web01"), ct(200, "proxy")]),
            r#"{"requests": [{"path": "/nodes/*/*/*/config", "effect": {"stall": 900}}]}"#,
        );
        let hook = PausingHook::new(&lab);
        let args = format!("--vmid=@all snap --label=daily --keep=1 --output={form}");
        let mut run = hook.start(&lab, &args);
        assert_eq!(run.reached(), "snap-job-start");
        run.resume();
        let are_listed = || {
            let requests = lab.simulator.journal().requests();
            requests
                .iter()
                .any(|one| one.path.ends_with("/cluster/resources"))
        };
        until("the guests are listed", are_listed);
        run.signal("TERM");
        run.wait_for_stderr("termination requested");
        let output = run.finish();
        output.assert_status(143);
        if shown {
            output
                .assert_out(
                    "Error: termination requested; not reached: VM 100 web01, CT 200 proxy\n",
                )
                .assert_out(
                    "----- VM 200 lxc running ----- proxy\nError: left out: the run was stopped\n",
                );
            continue;
        }
        let report = output.json();
        assert_eq!(report["error"], "termination requested");
        let guests = report["guests"].as_array().unwrap();
        let results: Vec<_> = guests
            .iter()
            .map(|guest| {
                (
                    guest["vmid"].as_u64().unwrap(),
                    guest["result"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(results, [(100, "not-reached"), (200, "not-reached")]);
    }
}
