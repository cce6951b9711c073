// SPDX-License-Identifier: GPL-3.0-only
//! Output that stalls because its reader does not read, signals during that time, and process
//! limits.

use std::fs::File;
use std::io::{PipeReader, Read};
use std::process::{Child, Command, Stdio};

use crate::harness::{Lab, until};
use crate::world::{World, vm};

const SNAP: &str = "--vmid=@all --max-parallel=1 snap --label=daily --keep=1";
/// A hook that prints 60 KB in every phase: two calls fill a pipe (64 KiB).
const LOUD_HOOK: &str = "#!/bin/sh\nhead -c 60000 /dev/zero | tr '\\0' x\n";

fn lab() -> Lab {
    Lab::new(&World::new([
        vm(100, "web01").taken("daily", &[1, 2]),
        vm(101, "web02").taken("daily", &[3]),
    ]))
}

/// The number of changes of a run of `SNAP`.
const CHANGES: usize = 5;

/// Starts a run whose stdout is a pipe that stays open and is not read.
fn start_unread(lab: &Lab, args: &str, stderr: Stdio) -> (Child, PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = with_default_signals(lab);
    command
        .arg(format!("--host={}", lab.host()))
        .arg("--api-token=file:token")
        .args(args.split_whitespace())
        .stdout(writer)
        .stderr(stderr);
    (command.spawn().unwrap(), reader)
}

fn with_default_signals(lab: &Lab) -> Command {
    if cfg!(target_os = "linux") {
        let mut command = lab.command_of("env");
        command.args(["--default-signal", env!("CARGO_BIN_EXE_cv4pve-autosnap")]);
        command
    } else {
        lab.command()
    }
}

fn terminate(child: &Child) {
    let sent = Command::new("/bin/kill")
        .args(["-TERM", &child.id().to_string()])
        .stderr(Stdio::null())
        .status();
    // `kill` fails for a process that has ended; the test checks its exit status.
    let _ = sent.unwrap();
}

/// Sends SIGTERM until the process ends, as several signals may be merged; returns the exit status.
fn terminated(mut child: Child) -> Option<i32> {
    let mut status = None;
    until("the process ends", || {
        terminate(&child);
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap().code()
}

/// The report stalls, but the run continues, and signals end the process.
#[test]
fn an_unread_pipe_stalls_only_the_report() {
    for output in ["Text", "Json"] {
        let lab = lab();
        let script = lab.script("loud.sh", LOUD_HOOK);
        lab.file("loud.conf", format!("--script=\"{}\"\n", script.display()));
        // The JSON report has no hook output, so `--debug` fills stderr, which is not read either.
        let args = format!("@loud.conf {SNAP} --output={output} --debug");
        let (stalled, errors) = std::io::pipe().unwrap();
        let (child, _unread) = start_unread(&lab, &args, Stdio::from(errors));
        until("all changes are made", || lab.changes().len() == CHANGES);
        assert_eq!(terminated(child), Some(143), "{output}");
        drop(stalled);
    }
}

/// The delayed output is written as soon as the reader continues, complete and in order.
#[test]
fn a_reader_that_pauses_gets_the_whole_report() {
    let lab = lab();
    let script = lab.script("loud.sh", LOUD_HOOK);
    lab.file("loud.conf", format!("--script=\"{}\"\n", script.display()));
    let args = format!("@loud.conf {SNAP}");
    let (mut child, mut reader) = start_unread(&lab, &args, Stdio::null());
    until("all changes are made", || lab.changes().len() == CHANGES);
    let mut report = String::new();
    reader.read_to_string(&mut report).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(report.starts_with("ACTION Snap\n"), "{report:.200}");
    let last = report.lines().last().unwrap_or_default();
    assert!(last.starts_with("Total execution "), "{last}");
    // Two phases of the job, and for each guest two for the creation and two for each removal.
    let hooks = report.lines().filter(|line| line.starts_with("xxxx"));
    assert_eq!(hooks.count(), 2 + 2 * 2 + 3 * 2);
}

/// The first signal stops the run in order and the second one immediately, even if the report is
/// stalled.
#[test]
fn signals_work_while_the_report_is_stalled() {
    let lab = lab();
    let loud = lab.script(
        "loud-wait.sh",
        "#!/bin/sh\nhead -c 70000 /dev/zero | tr '\\0' x\n\
         case $CV4PVE_AUTOSNAP_PHASE in snap-remove-pre) : > reached; exec sleep 90;; esac\n",
    );
    lab.file("loud.conf", format!("--script=\"{}\"\n", loud.display()));
    let args = format!("@loud.conf {SNAP}");
    let (child, _unread) = start_unread(&lab, &args, Stdio::null());
    until("the hook before a removal runs", || {
        lab.folder().join("reached").exists()
    });
    terminate(&child);
    assert_eq!(terminated(child), Some(143));
    assert_eq!(lab.changes(), ["create 100 autodaily<now>"]);
}

/// A hook and its child processes end when the second signal ends the program, whether they handle
/// SIGTERM or not.
#[test]
fn a_second_signal_ends_the_running_hooks() {
    for trap in ["", "trap '' TERM"] {
        let lab = lab();
        let alive = lab.folder().join("alive.pipe");
        let mkfifo = Command::new("mkfifo").arg(&alive).status().unwrap();
        assert!(mkfifo.success());
        // The hook and its child keep the pipe open while they run.
        let script = lab.script(
            "hook.sh",
            &format!(
                "#!/bin/sh\n[ \"$CV4PVE_AUTOSNAP_PHASE\" = snap-create-pre ] || exit 0\n\
                 exec 3>alive.pipe\n{trap}\nsleep 90 &\n: >reached\nwait\n"
            ),
        );
        lab.file("hook.conf", format!("--script=\"{}\"\n", script.display()));
        let opened = std::thread::spawn(move || File::open(alive).unwrap());
        let (child, _unread) = start_unread(&lab, &format!("@hook.conf {SNAP}"), Stdio::null());
        until("the hook runs", || lab.folder().join("reached").exists());
        let mut pipe = opened.join().unwrap();
        assert_eq!(terminated(child), Some(143), "{trap}");
        // End of file: all processes that had the pipe open are gone.
        let read = std::thread::spawn(move || pipe.read(&mut [0]).unwrap());
        until("the hook is gone", || read.is_finished());
        assert_eq!(read.join().unwrap(), 0, "{trap}");
        lab.assert_unchanged();
    }
}

/// A file size limit (SIGXFSZ) truncates the report and does not stop the run.
#[test]
fn a_file_size_limit_does_not_stop_the_run() {
    let lab = lab();
    let report = File::create(lab.folder().join("report.txt")).unwrap();
    let mut command = lab.command_of("/bin/sh");
    command
        .args(["-c", "ulimit -f 0; exec \"$@\"", "sh"])
        .arg(env!("CARGO_BIN_EXE_cv4pve-autosnap"))
        .arg(format!("--host={}", lab.host()))
        .arg("--api-token=file:token")
        .args(SNAP.split_whitespace())
        .stdout(report);
    let output = lab.finish_with_own_stdout(command);
    output
        .assert_status(1)
        .assert_err("ERROR: the report could not be written: File too large");
    assert_eq!(lab.changes().len(), CHANGES);
}

/// No core dump is written, even if the limit of the process is raised from outside, or if a
/// program collects core dumps, which ignores the limit.
#[cfg(target_os = "linux")]
#[test]
fn a_crash_leaves_no_core_dump() {
    use std::os::unix::process::ExitStatusExt;

    let lab = lab();
    lab.set_faults(r#"{"requests": [{"method": "GET", "path": "/nodes/*/*/*/snapshot", "effect": {"stall": 900}}]}"#);
    let (mut child, _unread) = start_unread(&lab, SNAP, Stdio::null());
    lab.until_fault_applied(0);
    let pid = child.id().to_string();
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert!(core.split_whitespace().any(|word| word == "0"), "{core}");
    // This may not be permitted on this machine.
    let _ = Command::new("prlimit")
        .args(["--core=unlimited", "--pid", &pid])
        .stderr(Stdio::null())
        .status();
    let killed = Command::new("/bin/kill").args(["-ABRT", &pid]).status();
    assert!(killed.unwrap().success());
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(6));
    assert!(!status.core_dumped());
}
