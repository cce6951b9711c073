// SPDX-License-Identifier: GPL-3.0-only
//! A run that stops in every phase of its hook until the test lets it go on, so that tests need
//! no sleeping to be at the right place at the right time.
//!
//! The hook says where it is into one pipe and waits for a line in another one.

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

/// A run that is under way.
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
    /// A hook in the folder of the lab.
    pub(crate) fn new(lab: &Lab) -> Self {
        let pipe = |name: &str| {
            let path = lab.folder().join(name);
            let made = Command::new("mkfifo").arg(&path).status().unwrap();
            assert!(made.success());
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
    pub(crate) fn start<'a>(&self, lab: &'a Lab, words: &str) -> Run<'a> {
        let mut command = hearing_signals(lab);
        command.stdout(Stdio::piped());
        self.start_with(lab, words, command)
    }

    /// Starts the program with a stdout of its own.
    pub(crate) fn start_with<'a>(&self, lab: &'a Lab, words: &str, command: Command) -> Run<'a> {
        self.start_as(lab, "--api-token=file:token", words, command)
    }

    /// Starts the program with a sign-on of its own.
    pub(crate) fn start_as<'a>(
        &self,
        lab: &'a Lab,
        sign_on: &str,
        words: &str,
        mut command: Command,
    ) -> Run<'a> {
        let typed: Vec<&str> = sign_on
            .split_whitespace()
            .chain(words.split_whitespace())
            .collect();
        let own = [
            format!("--host={}", lab.host()),
            // A test that forgets to let a hook go on fails instead of hanging.
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
        let (teller, errors) = channel();
        let stderr = read_all(child.stderr.take(), Some(teller));
        // Whoever waits for a run that has ended would wait for ever: it says so in the pipe.
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
    /// Waits for the next phase: `snap-create-pre 100`, or `ended` when there is none.
    pub(crate) fn reached(&mut self) -> String {
        let mut line = String::new();
        self.reached.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Lets the hook that waits go on.
    pub(crate) fn go_on(&mut self) {
        self.go.write_all(b"\n").unwrap();
    }

    /// Goes on until that phase is reached.
    #[track_caller]
    pub(crate) fn go_to(&mut self, phase: &str) {
        loop {
            let reached = self.reached();
            assert_ne!(reached, "ended", "{phase} was never reached");
            if reached == phase {
                return;
            }
            self.go_on();
        }
    }

    /// Lets all hooks go on, and gives back the phases that were reached until the end.
    pub(crate) fn go_on_to_the_end(&mut self) -> Vec<String> {
        let mut phases = Vec::new();
        loop {
            self.go_on();
            match self.reached() {
                end if end == "ended" => return phases,
                phase => phases.push(phase),
            }
        }
    }

    /// The program has not ended yet.
    #[cfg(target_os = "linux")]
    pub(crate) fn goes_on(&self) -> bool {
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

    /// Waits until a line on stderr says so.
    pub(crate) fn heard(&self, words: &str) {
        while !self.errors.recv().unwrap().contains(words) {}
    }

    /// Lets everything go on and waits for the end.
    pub(crate) fn finish(mut self) -> Output {
        self.go_on_to_the_end();
        self.ended()
    }

    /// Waits for the end without letting anything go on.
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

/// The program, which hears signals even if the tests themselves were started in the background of
/// a script: what is ignored there is ignored by all that is started from there.
fn hearing_signals(lab: &Lab) -> Command {
    if cfg!(target_os = "linux") {
        let mut command = lab.command_of("env");
        command.args(["--default-signal", env!("CARGO_BIN_EXE_cv4pve-autosnap")]);
        command
    } else {
        lab.command()
    }
}

/// Opened for both directions, so that opening never waits for the other side.
fn open(path: &Path) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap()
}

/// Reads in a thread of its own, so that no pipe runs full, and tells every line.
fn read_all<R: Read + Send + 'static>(
    stream: Option<R>,
    teller: Option<Sender<String>>,
) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let Some(stream) = stream else { return bytes };
        let mut stream = BufReader::new(stream);
        let mut begin = 0;
        while stream.read_until(b'\n', &mut bytes).unwrap() > 0 {
            if let Some(teller) = &teller {
                let line = String::from_utf8_lossy(&bytes[begin..]).into_owned();
                // Not every test listens to the end.
                let _ = teller.send(line);
            }
            begin = bytes.len();
        }
        bytes
    })
}
