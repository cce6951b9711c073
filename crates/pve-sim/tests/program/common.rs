// SPDX-License-Identifier: GPL-3.0-only
//! Runs the simulator as a program.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// Path of the program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_pve-sim");

/// A running server and its initial output.
pub(crate) struct Server {
    child: Child,
    /// The lines on stdout.
    pub(crate) lines: Vec<String>,
}

impl Server {
    /// Starts `pve-sim serve` and waits for its complete output.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM)
            .arg("serve")
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut reader = BufReader::new(child.stdout.take().expect("piped"));
        let mut lines = Vec::new();
        while !lines
            .last()
            .is_some_and(|line: &String| line.starts_with("example "))
        {
            let mut line = String::new();
            let length = reader.read_line(&mut line).expect("readable");
            assert!(length > 0, "it ended after {lines:?}");
            lines.push(line.trim_end().to_owned());
        }
        Self { child, lines }
    }

    /// The first address.
    pub(crate) fn url(&self) -> &str {
        self.lines[0]
            .strip_prefix("listening on ")
            .expect("the address comes first")
    }

    /// Sends a control command.
    pub(crate) fn control(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM);
        command
            .args(["control", "--url", self.url()])
            .args(arguments);
        command.output().expect("the program runs")
    }

    /// Sends SIGTERM and returns whether the exit status was 0.
    #[cfg(unix)]
    pub(crate) fn terminate(mut self) -> bool {
        let kill = format!("kill -TERM {}", self.child.id());
        let sent = Command::new("sh")
            .args(["-c", &kill])
            .status()
            .expect("a shell");
        assert!(sent.success());
        self.child.wait().expect("it ends").success()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The error output of a program that refuses to start.
pub(crate) fn failure(arguments: &[&str]) -> String {
    let output = Command::new(PROGRAM)
        .args(arguments)
        .output()
        .expect("the program runs");
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Writes a file and returns its path.
pub(crate) fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("writable");
    path.to_str().expect("text").to_owned()
}
