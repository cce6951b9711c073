// SPDX-License-Identifier: GPL-3.0-only
//! A run that pauses in every phase of its hook until the test resumes it, so that tests reach a
//! certain step without sleeping.
//!
//! The hook writes the phase into one pipe and waits for a line in another one.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use crate::harness::{Lab, Output};

/// The pipes and the hook.
pub(crate) struct PausingHook {
    reached: PathBuf,
    go: PathBuf,
    script: PathBuf,
}

/// A run in progress.
pub(crate) struct Run<'a> {
    lab: &'a Lab,
    pid: u32,
    end: JoinHandle<ExitStatus>,
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
    errors: Receiver<String>,
    reached: BufReader<File>,
    go: File,
}

impl PausingHook {
    /// Creates the hook in the folder of the lab.
    pub(crate) fn new(lab: &Lab) -> Self {
        let pipe = |name: &str| {
            let path = lab.folder().join(name);
            let mkfifo = Command::new("mkfifo").arg(&path).status().unwrap();
            assert!(mkfifo.success());
            path
        };
        let text = "#!/bin/sh\necho \"$CV4PVE_AUTOSNAP_PHASE $CV4PVE_AUTOSNAP_VMID\" > reached.pipe\nread -r _ < go.pipe\n";
        Self {
            reached: pipe("reached.pipe"),
            go: pipe("go.pipe"),
            script: lab.script("hook.sh", text),
        }
    }

    /// Starts the program with this hook.
    pub(crate) fn start<'a>(&self, lab: &'a Lab, args: &str) -> Run<'a> {
        let mut command = with_default_signals(lab);
        command.stdout(Stdio::piped());
        self.start_with(lab, args, command)
    }

    /// Starts the program with this stdout.
    pub(crate) fn start_with<'a>(&self, lab: &'a Lab, args: &str, command: Command) -> Run<'a> {
        self.start_as(lab, "--api-token=file:token", args, command)
    }

    /// Starts the program with this login.
    pub(crate) fn start_as<'a>(
        &self,
        lab: &'a Lab,
        login: &str,
        args: &str,
        mut command: Command,
    ) -> Run<'a> {
        let typed: Vec<&str> = login
            .split_whitespace()
            .chain(args.split_whitespace())
            .collect();
        let own = [
            format!("--host={}", lab.host()),
            // A test that forgets to resume a hook fails instead of hanging.
            "--hook-timeout=30".to_owned(),
        ];
        let is_typed = |own: &String| {
            let name = own.split('=').next();
            typed.iter().any(|word| word.split('=').next() == name)
        };
        let mut child = command
            .args(own.iter().filter(|own| !is_typed(own)))
            .args(&typed)
            .arg(format!("--script={}", self.script.display()))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = child.id();
        let stdout = read_all(child.stdout.take(), None);
        let (sender, errors) = channel();
        let stderr = read_all(child.stderr.take(), Some(sender));
        // A reader of the pipe would wait forever for a run that has ended: write `ended`.
        let mut ended = open(&self.reached);
        let end = std::thread::spawn(move || {
            let status = child.wait().unwrap();
            ended.write_all(b"ended\n").unwrap();
            status
        });
        Run {
            lab,
            pid,
            end,
            stdout,
            stderr,
            errors,
            reached: BufReader::new(open(&self.reached)),
            go: open(&self.go),
        }
    }
}

impl Run<'_> {
    /// Waits for the next phase, such as `snap-create-pre 100`; returns `ended` after the last one.
    pub(crate) fn reached(&mut self) -> String {
        let mut line = String::new();
        self.reached.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Resumes the waiting hook.
    pub(crate) fn resume(&mut self) {
        self.go.write_all(b"\n").unwrap();
    }

    /// Resumes hooks until this phase is reached.
    #[track_caller]
    pub(crate) fn go_to(&mut self, phase: &str) {
        loop {
            let reached = self.reached();
            assert_ne!(reached, "ended", "{phase} was never reached");
            if reached == phase {
                return;
            }
            self.resume();
        }
    }

    /// Resumes all hooks, and returns the phases reached until the end.
    pub(crate) fn resume_to_the_end(&mut self) -> Vec<String> {
        let mut phases = Vec::new();
        loop {
            self.resume();
            match self.reached() {
                end if end == "ended" => return phases,
                phase => phases.push(phase),
            }
        }
    }

    /// Whether the program is still running.
    #[cfg(target_os = "linux")]
    pub(crate) fn is_running(&self) -> bool {
        !self.end.is_finished()
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends the process a signal: `TERM`, `INT`, `HUP`.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("/bin/kill")
            .args([format!("-{signal}"), self.pid.to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits for a line on stderr that contains the text.
    pub(crate) fn wait_for_stderr(&self, text: &str) {
        while !self.errors.recv().unwrap().contains(text) {}
    }

    /// Resumes all hooks and waits for the end.
    pub(crate) fn finish(mut self) -> Output {
        self.resume_to_the_end();
        self.ended()
    }

    /// Waits for the end without resuming a hook.
    pub(crate) fn ended(self) -> Output {
        let status = self.end.join().unwrap();
        Output {
            status: status
                .code()
                .unwrap_or_else(|| -status.signal().unwrap_or(0)),
            stdout: self.lab.normalized(&self.stdout.join().unwrap()),
            stderr: self.lab.normalized(&self.stderr.join().unwrap()),
        }
    }
}

/// The program with default signal handling, even if the tests were started in the background of a
/// script: child processes inherit ignored signals.
fn with_default_signals(lab: &Lab) -> Command {
    if cfg!(target_os = "linux") {
        let mut command = lab.command_of("env");
        command.args(["--default-signal", env!("CARGO_BIN_EXE_cv4pve-autosnap")]);
        command
    } else {
        lab.command()
    }
}

/// Opens a pipe for reading and writing, so that opening never waits for the other side.
fn open(path: &Path) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap()
}

/// Reads in a thread, so that no pipe fills up, and sends every line.
fn read_all<R: Read + Send + 'static>(
    stream: Option<R>,
    sender: Option<Sender<String>>,
) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let Some(stream) = stream else { return bytes };
        let mut stream = BufReader::new(stream);
        let mut begin = 0;
        while stream.read_until(b'\n', &mut bytes).unwrap() > 0 {
            if let Some(sender) = &sender {
                let line = String::from_utf8_lossy(&bytes[begin..]).into_owned();
                // Not every test reads until the end.
                let _ = sender.send(line);
            }
            begin = bytes.len();
        }
        bytes
    })
}
