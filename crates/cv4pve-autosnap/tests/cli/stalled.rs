// SPDX-License-Identifier: GPL-3.0-only
//! Outputs that nobody reads, signals that must work nevertheless, and limits of the process.

use std::fs::File;
use std::io::{PipeReader, Read};
use std::process::{Child, Command, Stdio};

use crate::harness::{Lab, until};
use crate::world::{World, vm};

const SNAP: &str = "--vmid=@all --max-parallel=1 snap --label=daily --keep=1";
/// Prints more than a pipe takes (64 KiB), in every phase.
const LOUD_HOOK: &str = "#!/bin/sh\nhead -c 60000 /dev/zero | tr '\\0' x\n";

fn lab() -> Lab {
    Lab::new(&World::of([
        vm(100, "web01").taken("daily", &[1, 2]),
        vm(101, "web02").taken("daily", &[3]),
    ]))
}

/// All that the run of `SNAP` does.
const CHANGES: usize = 5;

/// A run whose stdout is a pipe that nobody reads. The pipe stays open.
fn start_unread(lab: &Lab, words: &str, stderr: Stdio) -> (Child, PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = hearing_signals(lab);
    command
        .arg(format!("--host={}", lab.host()))
        .arg("--api-token=file:token")
        .args(words.split_whitespace())
        .stdout(writer)
        .stderr(stderr);
    (command.spawn().unwrap(), reader)
}

fn hearing_signals(lab: &Lab) -> Command {
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
    // Fails for a process that has ended: the test looks at how it did.
    let _ = sent.unwrap();
}

/// Sends SIGTERM again and again, as several may arrive as one, and returns the exit status.
fn terminated(mut child: Child) -> Option<i32> {
    let mut status = None;
    until("the process ends", || {
        terminate(&child);
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap().code()
}

/// The report stalls, the run does not, and signals end the process.
#[test]
fn a_reader_that_does_not_read_stalls_only_the_report() {
    for output in ["Text", "Json"] {
        let lab = lab();
        let script = lab.script("loud.sh", LOUD_HOOK);
        lab.file("loud.conf", format!("--script=\"{}\"\n", script.display()));
        // The JSON report has no hook output; --debug fills stderr, which nobody reads either.
        let words = format!("@loud.conf {SNAP} --output={output} --debug");
        let (stalled, errors) = std::io::pipe().unwrap();
        let (child, _unread) = start_unread(&lab, &words, Stdio::from(errors));
        until("the run comes to its end", || {
            lab.changes().len() == CHANGES
        });
        assert_eq!(terminated(child), Some(143), "{output}");
        drop(stalled);
    }
}

/// What was held up is written as soon as somebody reads, complete and in order.
#[test]
fn a_reader_that_pauses_gets_the_whole_report() {
    let lab = lab();
    let script = lab.script("loud.sh", LOUD_HOOK);
    lab.file("loud.conf", format!("--script=\"{}\"\n", script.display()));
    let words = format!("@loud.conf {SNAP}");
    let (mut child, mut reader) = start_unread(&lab, &words, Stdio::null());
    until("the run comes to its end", || {
        lab.changes().len() == CHANGES
    });
    let mut report = String::new();
    reader.read_to_string(&mut report).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(report.starts_with("ACTION Snap\n"), "{report:.200}");
    let last = report.lines().last().unwrap_or_default();
    assert!(last.starts_with("Total execution "), "{last}");
    // Two phases of the job, and of each guest two for the creation and two for each removal.
    let hooks = report.lines().filter(|line| line.starts_with("xxxx"));
    assert_eq!(hooks.count(), 2 + 2 * 2 + 3 * 2);
}

/// While the run goes on, the first signal stops it in order and the second one leaves,
/// although the report is stalled.
#[test]
fn signals_are_heard_while_the_report_is_stalled() {
    let lab = lab();
    let loud = lab.script(
        "loud-gate.sh",
        "#!/bin/sh\nhead -c 70000 /dev/zero | tr '\\0' x\n\
         case $CV4PVE_AUTOSNAP_PHASE in snap-remove-pre) : > reached; exec sleep 90;; esac\n",
    );
    lab.file("loud.conf", format!("--script=\"{}\"\n", loud.display()));
    let words = format!("@loud.conf {SNAP}");
    let (child, _unread) = start_unread(&lab, &words, Stdio::null());
    until("the hook before a removal runs", || {
        lab.folder().join("reached").exists()
    });
    terminate(&child);
    assert_eq!(terminated(child), Some(143));
    assert_eq!(lab.changes(), ["create 100 autodaily<now>"]);
}

/// A hook and what it has started do not outlive the process that leaves at once, whether
/// they obey SIGTERM or not.
#[test]
fn a_second_signal_ends_the_hooks_that_run() {
    for trap in ["", "trap '' TERM"] {
        let lab = lab();
        let alive = lab.folder().join("alive.pipe");
        let made = Command::new("mkfifo").arg(&alive).status().unwrap();
        assert!(made.success());
        // The hook and its child hold the pipe open as long as they live.
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
        // The end of the file: all who had it open are gone.
        let read = std::thread::spawn(move || pipe.read(&mut [0]).unwrap());
        until("the hook is gone", || read.is_finished());
        assert_eq!(read.join().unwrap(), 0, "{trap}");
        lab.assert_unchanged();
    }
}

/// A limit for the size of files (SIGXFSZ) makes the report incomplete and stops nothing.
#[test]
fn a_limit_for_the_size_of_files_does_not_stop_the_run() {
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

/// No core dump, even where the limit of the process is raised from outside and where a program
/// collects core dumps, which ignores the limit.
#[cfg(target_os = "linux")]
#[test]
fn a_crash_leaves_no_core_dump() {
    use std::os::unix::process::ExitStatusExt;

    let lab = lab();
    lab.set_faults(r#"{"requests": [{"method": "GET", "path": "/nodes/*/*/*/snapshot", "effect": {"stall": 900}}]}"#);
    let (mut child, _unread) = start_unread(&lab, SNAP, Stdio::null());
    lab.until_met(0);
    let pid = child.id().to_string();
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert!(core.split_whitespace().any(|word| word == "0"), "{core}");
    // As far as this machine allows it.
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
