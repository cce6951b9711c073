// SPDX-License-Identifier: GPL-3.0-only
//! One call of a hook: how it starts, when it ends, and where its output goes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::harness::{Lab, Output};
use crate::world::{World, ct, vm};

fn lab() -> Lab {
    Lab::new(&World::new([vm(100, "web01")]))
}

fn snap(lab: &Lab, script: &str, options: &str) -> Output {
    lab.run(&format!(
        "--vmid=100 snap --label=daily --keep=1 --script={script} {options}"
    ))
}

fn pipe(lab: &Lab, name: &str) {
    let status = Command::new("mkfifo").arg(lab.folder().join(name)).status();
    assert!(status.unwrap().success());
}

/// The scripts that cannot be started, with the error for each.
fn broken(lab: &Lab) -> [(&'static str, &'static str); 4] {
    lab.file("plain.sh", "#!/bin/sh\n");
    lab.script("dos.sh", "#!/bin/sh\r\nexit 0\r\n");
    lab.script("lost.sh", "#!/no/such/shell\n");
    lab.script("env.sh", "#!/usr/bin/env sh\r\nexit 0\r\n");
    [
        (
            "plain.sh",
            "hook script <folder>/plain.sh is not executable; run: chmod +x '<folder>/plain.sh'",
        ),
        (
            "dos.sh",
            r"hook script <folder>/dos.sh has Windows line ends; run: sed -i 's/\r$//' '<folder>/dos.sh'",
        ),
        (
            "lost.sh",
            "hook script <folder>/lost.sh needs the interpreter /no/such/shell, which does not exist; correct its first line or install it",
        ),
        (
            "env.sh",
            r"hook script <folder>/env.sh has Windows line ends; run: sed -i 's/\r$//' '<folder>/env.sh'",
        ),
    ]
}

/// A hook that cannot be started is a failed hook: the snapshots are taken as with a hook that fails, and only a
/// missing file is a usage error.
#[test]
fn a_hook_that_cannot_be_started_is_a_failed_hook() {
    let lab = lab();
    for (number, (script, reason)) in broken(&lab).into_iter().enumerate() {
        let output = snap(&lab, script, "--timestamp-format=yyMMddHHmmssfff");
        output
            .assert_status(0)
            .assert_out(&format!("WARNING: {reason}\n"))
            .assert_out(&format!(
                "running ----- web01\nScript could not be started: {reason}\nCreate snapshot: "
            ));
        assert_eq!(output.lines("Script could not be started: ").len() % 2, 0);
        assert_eq!(output.stderr, "", "{output}");
        assert!(lab.changes().len() > number, "{output}");
        let before = lab.changes();
        snap(&lab, script, "--hook-failure=skip-guest").assert_status(1);
        snap(&lab, script, "--hook-failure=abort-run").assert_status(1);
        assert_eq!(lab.changes(), before, "{script}");
    }
    let before = lab.changes();
    snap(&lab, "missing.sh", "")
        .assert_status(2)
        .assert_err("hook script <folder>/missing.sh does not exist\n");
    assert_eq!(lab.changes(), before);
}

/// A dry run, its JSON and `check` warn that the hook cannot be started; none of them fails for it.
#[test]
fn a_hook_that_cannot_be_started_is_a_warning_in_advance() {
    let lab = lab();
    for (script, reason) in broken(&lab) {
        snap(&lab, script, "--dry-run")
            .assert_status(0)
            .assert_out(&format!("WARNING: {reason}\n"));
        let json = snap(&lab, script, "--dry-run --output=Json").json();
        assert!(json["warnings"].to_string().contains("hook script"));
        let line = format!("--vmid=100 check --label=daily --keep=1 --script={script}");
        lab.run(&line)
            .assert_status(0)
            .assert_out(&format!("WARNING: {reason}\n"));
    }
    lab.run("--vmid=100 check --label=daily --keep=1 --script=missing.sh")
        .assert_status(1)
        .assert_out("PROBLEM: hook script <folder>/missing.sh does not exist\n");
    lab.assert_unchanged();
}

/// `#!` decides, regardless of the suffix, and a script without it is for bash, as in the C# tool.
#[test]
fn scripts_without_an_interpreter_line_run_in_bash() {
    let lab = lab();
    for (script, text) in [
        ("hook.ps1", "#!/bin/sh\necho it ran\n"),
        ("hook.cmd", "#!/bin/sh\necho it ran\n"),
        ("plain.cmd", "echo it ran\n"),
        (
            "plain",
            "[[ ! -e /bin/bash || $BASH_VERSION ]] && echo it ran\n",
        ),
    ] {
        lab.script(script, text);
        let line = format!("--vmid=100 clean --label=x --keep=1 --script={script}");
        let output = lab.run(&line);
        output.assert_status(0);
        assert_eq!(output.lines("it ran").len(), 2, "{output}");
    }
}

/// A background process of a hook is waited for while it holds the hook's stdout. At --hook-timeout the call
/// fails, and with --hook-failure=skip-guest no snapshot is taken.
#[test]
fn a_child_in_the_background_is_waited_for() {
    let lab = lab();
    lab.script(
        "pause.sh",
        "#!/bin/sh\n[ $CV4PVE_AUTOSNAP_PHASE = snap-create-pre ] || exit 0\n(sleep 600) 2>/dev/null &\necho $! > child.pid\n",
    );
    let output = snap(
        &lab,
        "pause.sh",
        "--hook-timeout=1 --hook-failure=skip-guest",
    );
    // The process is not killed: it may be what pauses or resumes the service.
    let killed = Command::new("sh")
        .args(["-c", "kill $(cat child.pid)"])
        .current_dir(lab.folder())
        .status();
    assert!(killed.unwrap().success(), "the child is gone: {output}");
    output.assert_status(1).assert_out(
        "Script has ended, but a process that it started did not within --hook-timeout and still runs\n",
    );
    lab.assert_unchanged();
}

/// A step waits for the background processes of the hook before it, and their output is reported.
#[test]
fn a_pause_in_the_background_comes_before_the_snapshot() {
    let lab = lab();
    lab.script(
        "pause.sh",
        "#!/bin/sh
case $CV4PVE_AUTOSNAP_PHASE in
snap-create-pre) (sleep 1; echo paused | tee -a order.log) & ;;
snap-create-post) echo taken >> order.log; (sleep 1; echo resumed; echo resumed >> order.log) & ;;
esac
",
    );
    let output = snap(&lab, "pause.sh", "");
    output
        .assert_status(0)
        .assert_out("running ----- web01\npaused\nCreate snapshot: ")
        .assert_out("resumed\nVM execution");
    let order = std::fs::read_to_string(lab.folder().join("order.log")).unwrap();
    assert_eq!(order, "paused\ntaken\nresumed\n");
}

/// A background process that outlives --hook-timeout can write until the run ends: SIGPIPE does not kill it.
#[test]
fn a_child_that_was_not_waited_for_can_continue_writing() {
    let lab = lab();
    pipe(&lab, "go.pipe");
    pipe(&lab, "resumed.pipe");
    lab.script(
        "resume.sh",
        "#!/bin/sh
case $CV4PVE_AUTOSNAP_PHASE in
snap-create-pre) (read -r _ < go.pipe; head -c 300000 /dev/zero; echo resumed; echo yes > resumed.pipe) & ;;
snap-create-post) echo > go.pipe; read -r answer < resumed.pipe; echo \"resumed: $answer\" ;;
esac
",
    );
    let output = snap(&lab, "resume.sh", "--hook-timeout=2");
    output.assert_status(0).assert_out("resumed: yes\n");
}

/// A hook inherits stderr, as in the C# tool: cron mails it, and the report contains only its stdout.
#[test]
fn a_hook_inherits_stderr() {
    let lab = lab();
    lab.script(
        "talk.sh",
        "#!/bin/sh\necho \"$CV4PVE_AUTOSNAP_PHASE\"; echo \"$CV4PVE_AUTOSNAP_PHASE failed\" >&2\n",
    );
    let phases = [
        "snap-job-start",
        "snap-create-pre",
        "snap-create-post",
        "snap-job-end",
    ];
    let output = snap(&lab, "talk.sh", "");
    output.assert_status(0);
    assert_eq!(output.lines("snap-"), phases, "{output}");
    let failed = phases.map(|phase| format!("{phase} failed\n"));
    assert_eq!(output.stderr, failed.concat());
    let output = snap(
        &lab,
        "talk.sh",
        "--output=Json --timestamp-format=yyMMddHHmmssfff",
    );
    assert_eq!(output.json()["exit_status"], 0, "{output}");
    assert_eq!(output.stderr, failed.concat());
}

/// A hook's stderr appears while it runs, not when it has ended.
#[test]
fn stderr_of_a_hook_appears_while_it_runs() {
    let lab = lab();
    pipe(&lab, "go.pipe");
    lab.script(
        "ask.sh",
        "#!/bin/sh\n[ $CV4PVE_AUTOSNAP_PHASE = snap-create-pre ] || exit 0\necho pausing >&2\nread -r _ < go.pipe\n",
    );
    let mut command = lab.command();
    command
        .arg(format!("--host={}", lab.host()))
        .args("--api-token=file:token --vmid=100 snap --label=daily --keep=1".split(' '))
        .args([
            "--script=ask.sh",
            "--hook-timeout=30",
            "--hook-failure=skip-guest",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    assert_eq!(line, "pausing\n");
    // Blocks until the hook reads, which ends at its time limit if the line above came too late.
    let path = lab.folder().join("go.pipe");
    let mut go = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    go.write_all(b"\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(lab.changes(), ["create 100 autodaily<now>"]);
}

#[test]
fn a_dry_run_with_debug_prints_all_hook_calls() {
    let lab = Lab::new(&World::new([vm(100, "web01").set("lock", "backup")]));
    lab.script(
        "hook.sh",
        "#!/bin/sh\necho \"$CV4PVE_AUTOSNAP_PHASE\" >>phases\n",
    );
    for (command, status) in [("snap --keep=1", 1), ("clean --keep=1", 0)] {
        let args = format!("--vmid=100 {command} --label=daily --script=hook.sh");
        let dry = lab.run(&format!("{args} --dry-run --debug"));
        let shown: Vec<String> = dry
            .assert_status(status)
            .lines("  hook would be called: ")
            .iter()
            .filter_map(|line| line.rsplit(' ').next().map(ToOwned::to_owned))
            .collect();
        lab.run(&args).assert_status(status);
        let phases = std::fs::read_to_string(lab.folder().join("phases")).unwrap();
        assert_eq!(shown, phases.lines().collect::<Vec<_>>());
        std::fs::remove_file(lab.folder().join("phases")).unwrap();
    }
}

#[test]
fn a_powershell_hook_fails_without_powershell() {
    let lab = Lab::new(&World::new([vm(100, "web01")]));
    lab.file("hook.ps1", "exit 0\n");
    let mut command = lab.command();
    command
        .env("PATH", lab.folder())
        .arg(format!("--host={}", lab.host()))
        .args(["--api-token=file:token", "--vmid=100", "snap"])
        .args(["--label=daily", "--keep=1", "--script=hook.ps1"])
        .arg("--hook-failure=skip-guest");
    lab.finish(command)
        .assert_status(1)
        .assert_out("needs PowerShell: no pwsh in PATH");
    lab.assert_unchanged();
}

#[test]
fn vmstate_is_1_only_if_the_ram_of_the_guest_is_saved() {
    let lab = Lab::new(&World::new([
        vm(100, "web01"),
        vm(101, "off").stopped(),
        ct(200, "proxy"),
    ]));
    lab.script(
        "hook.sh",
        "#!/bin/sh\necho \"$CV4PVE_AUTOSNAP_PHASE $CV4PVE_AUTOSNAP_VMID $CV4PVE_AUTOSNAP_VMSTATE\" >>phases\n",
    );
    lab.run("--vmid=@all --max-parallel=1 snap --label=daily --keep=1 --state --script=hook.sh")
        .assert_status(0);
    let phases = std::fs::read_to_string(lab.folder().join("phases")).unwrap();
    assert_eq!(
        phases.lines().collect::<Vec<_>>(),
        [
            "snap-job-start  1",
            "snap-create-pre 100 1",
            "snap-create-post 100 1",
            "snap-create-pre 101 0",
            "snap-create-post 101 0",
            "snap-create-pre 200 0",
            "snap-create-post 200 0",
            "snap-job-end  1",
        ]
    );
}
