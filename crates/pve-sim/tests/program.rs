// SPDX-License-Identifier: GPL-3.0-only
//! The program `pve-sim`: what it prints, how it ends, what it refuses.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use pve_sim::journal::{Entry, Journal};
use serde_json::json;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pve-sim");

/// A running server and what it printed first.
struct Server {
    child: Child,
    lines: Vec<String>,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
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
            .is_some_and(|line: &String| line.starts_with("fingerprint "))
        {
            let mut line = String::new();
            let length = reader.read_line(&mut line).expect("readable");
            assert!(length > 0, "it ended after {lines:?}");
            lines.push(line.trim_end().to_owned());
        }
        Self { child, lines }
    }

    fn url(&self) -> &str {
        self.lines[0]
            .strip_prefix("listening on ")
            .expect("the address comes first")
    }

    fn control(&self, words: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM);
        command.args(["control", "--url", self.url()]).args(words);
        command.output().expect("the program runs")
    }

    /// Ends it as a service manager does; whether it ended well.
    #[cfg(unix)]
    fn terminate(mut self) -> bool {
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
        // Errors mean that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn failure(arguments: &[&str]) -> String {
    let output = Command::new(PROGRAM)
        .args(arguments)
        .output()
        .expect("the program runs");
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("writable");
    path.to_str().expect("text").to_owned()
}

#[test]
fn it_says_where_it_listens_and_ends_well_when_told_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = folder.path().join("journal.jsonl");
    let path = journal.to_str().expect("text");
    let server = Server::start(&[
        "--nodes",
        "2",
        "--guests",
        "5",
        "--listen-nodes",
        "--journal",
        path,
    ]);
    assert!(server.url().starts_with("https://127.0.0.1:"));
    assert!(server.lines[1].starts_with("node pve1 listening on https://127.0.0.1:"));
    assert_eq!(server.lines.len(), 4, "{:?}", server.lines);
    let ticket = server.control(&["ticket", "backup@pve", "-30"]);
    assert!(String::from_utf8_lossy(&ticket.stdout).starts_with("PVE:backup@pve:"));
    assert!(server.control(&["release"]).status.success());
    let unknown = server.control(&["unlock", "7"]);
    assert!(!unknown.status.success());
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no guest 7"));
    #[cfg(unix)]
    assert!(server.terminate());
    #[cfg(not(unix))]
    drop(server);
    let entries = Journal::read(&journal).expect("a journal");
    assert!(
        matches!(entries.first(), Some(Entry::Request(request)) if request.path == "/sim/control")
    );
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let credentials = write(folder.path(), "credentials.json", "{}");
    let broken = write(folder.path(), "broken.json", "{");
    let text = failure(&["serve", "--world", &broken, "--credentials", &credentials]);
    assert!(
        text.contains("broken.json") && text.contains("no JSON"),
        "{text}"
    );
    let missing = folder.path().join("missing.json");
    let missing = missing.to_str().expect("text");
    let text = failure(&["serve", "--world", missing, "--credentials", &credentials]);
    assert!(
        text.contains("cannot read") && text.contains("missing.json"),
        "{text}"
    );
    let text = failure(&["serve", "--world", &broken]);
    assert!(text.contains("--credentials"), "{text}");
    let world = json!({"cluster": {"this_node": "x", "nodes": [{"name": "pve1"}]}});
    let world = write(folder.path(), "world.json", &world.to_string());
    let text = failure(&["serve", "--world", &world, "--credentials", &credentials]);
    assert!(text.contains("this_node 'x' is no node"), "{text}");
    let faults = write(
        folder.path(),
        "faults.json",
        r#"{"requests": [{"effect": "explode"}]}"#,
    );
    let text = failure(&["serve", "--faults", &faults]);
    assert!(
        text.contains("faults.json") && text.contains("explode"),
        "{text}"
    );
}

#[test]
fn an_address_in_use_or_without_simulator_is_named() {
    let server = Server::start(&["--guests", "1"]);
    let address = server.url().trim_start_matches("https://").to_owned();
    let text = failure(&["serve", "--guests", "1", "--listen", &address]);
    assert!(
        text.contains(&format!("cannot listen on {address}")),
        "{text}"
    );
    let url = server.url().to_owned();
    drop(server);
    let text = failure(&["control", "--url", &url, "journal"]);
    assert!(
        text.contains(&format!("cannot talk to the simulator at {url}")),
        "{text}"
    );
}
