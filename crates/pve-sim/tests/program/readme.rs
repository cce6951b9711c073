// SPDX-License-Identifier: GPL-3.0-only
//! The commands in the README and in the output of `serve` work in a plain clone.

use std::path::Path;
use std::process::Command;

use crate::common::{PROGRAM, Server};

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    std::fs::read_to_string(folder().join("README.md")).expect("readable")
}

/// The commands after `$ ` in console blocks, with continuation lines joined.
fn commands(text: &str) -> Vec<String> {
    text.replace("\\\n", " ")
        .lines()
        .filter_map(|line| line.strip_prefix("$ "))
        .map(str::to_owned)
        .collect()
}

fn arguments(command: &str) -> Vec<&str> {
    command.split_whitespace().collect()
}

/// Every `serve` command in the README starts.
#[test]
fn the_commands_of_the_readme_serve_a_world() {
    let commands = commands(&readme());
    let serving: Vec<&String> = commands
        .iter()
        .filter(|command| command.contains("pve-sim serve"))
        .collect();
    assert!(serving.len() >= 2, "{commands:?}");
    for command in serving {
        let (_, options) = command.split_once("pve-sim serve").expect("it serves");
        let root = folder().join("../..");
        let options: Vec<String> = arguments(options)
            .iter()
            .map(|word| {
                if word.starts_with("crates/") {
                    root.join(word).to_string_lossy().into_owned()
                } else {
                    (*word).to_owned()
                }
            })
            .collect();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let server = Server::start(&options);
        assert!(server.lines[0].starts_with("listening on "), "{command}");
    }
}

/// `serve` prints its users, its tokens and an example command that works unchanged.
#[test]
fn the_printed_example_lists_the_guests() {
    let server = Server::start(&["--guests", "3"]);
    let has = |line: &str| server.lines.iter().any(|one| one == line);
    assert!(
        has("user backup@pve password example-backup"),
        "{:?}",
        server.lines
    );
    assert!(has(
        "token backup@pve!auto secret 22222222-2222-4222-8222-222222222222"
    ));
    let example = server
        .lines
        .last()
        .and_then(|line| line.strip_prefix("example "));
    let example = example.expect("a command");
    let output = Command::new("sh")
        .args(["-c", example])
        .output()
        .expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.matches("\"vmid\"").count(), 3, "{text}");
}

/// Without a journal file only the latest entries are kept.
#[test]
fn the_journal_in_memory_is_bounded() {
    let server = Server::start(&["--guests", "1", "--journal-entries", "5"]);
    for _ in 0..8 {
        assert!(server.control(&["release"]).status.success());
    }
    let journal = server.control(&["journal"]);
    assert_eq!(String::from_utf8_lossy(&journal.stdout).lines().count(), 5);
}

/// The secrets in a credentials file are not printed.
#[test]
fn secrets_of_a_credentials_file_are_not_printed() {
    let example = |name: &str| {
        let path = folder().join("examples").join(name);
        path.to_str().expect("text").to_owned()
    };
    let (world, secrets) = (example("world.json"), example("credentials.json"));
    let server = Server::start(&["--strict", "--world", &world, "--credentials", &secrets]);
    let text = server.lines.join("\n");
    assert!(
        text.contains(&format!("token backup@pve!auto secret in {secrets}")),
        "{text}"
    );
    assert!(
        !text.contains("22222222") && !text.contains("example-backup"),
        "{text}"
    );
}

/// The README does not refer to the recordings' folder, and its example files exist.
#[test]
fn the_readme_names_only_files_of_the_repository() {
    for line in readme().lines() {
        assert!(!line.contains("../shared"), "{line}");
    }
    for name in [
        "crates/pve-sim/examples/world.json",
        "crates/pve-sim/examples/credentials.json",
    ] {
        assert!(readme().contains(name), "{name}");
        assert!(folder().join("../..").join(name).is_file(), "{name}");
    }
}

/// All options in the README exist.
#[test]
fn options_in_the_readme_exist() {
    let output = Command::new(PROGRAM)
        .args(["serve", "--help"])
        .output()
        .expect("the program runs");
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    let text = readme();
    let (_, table) = text.split_once("| option | meaning |").expect("a table");
    let (table, _) = table.split_once("\n\n").expect("its end");
    let named: Vec<&str> = table
        .split(|character: char| !(character.is_ascii_lowercase() || character == '-'))
        .filter(|word| word.starts_with("--") && word.len() > 3)
        .collect();
    assert!(named.len() > 10, "{named:?}");
    for option in named {
        assert!(help.contains(option), "{option}");
    }
}
