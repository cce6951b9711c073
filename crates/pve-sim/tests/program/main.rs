// SPDX-License-Identifier: GPL-3.0-only
//! The program `pve-sim`: output, exit and error messages.

mod common;
mod readme;
mod worlds;

use pve_sim::journal::{Entry, Journal};
use serde_json::json;

use common::{Server, failure, write};

#[test]
fn serve_prints_its_address_and_ends_on_sigterm() {
    let folder = tempfile::tempdir().expect("a temporary folder");
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
    assert!(server.lines[2].starts_with("node pve2 listening on https://127.0.0.1:"));
    assert!(server.lines[3].starts_with("fingerprint "));
    let ticket = server.control(&["ticket", "backup@pve", "-30"]);
    assert!(String::from_utf8_lossy(&ticket.stdout).starts_with("PVE:backup@pve:"));
    assert!(server.control(&["release"]).status.success());
    let unknown = server.control(&["unlock", "7"]);
    assert!(!unknown.status.success());
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("guest 7 not found"));
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
fn errors_name_invalid_files() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let credentials = write(folder.path(), "credentials.json", "{}");
    let broken = write(folder.path(), "broken.json", "{");
    let text = failure(&["serve", "--world", &broken, "--credentials", &credentials]);
    assert!(
        text.contains("broken.json") && text.contains("invalid JSON"),
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
    assert!(
        text.contains("cluster.this_node: node 'x' not found"),
        "{text}"
    );
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
fn errors_name_unusable_addresses() {
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
        text.contains(&format!("cannot connect to the simulator at {url}")),
        "{text}"
    );
}

/// `paths` lists exactly the supported paths.
#[test]
fn paths_lists_the_supported_paths() {
    let output = std::process::Command::new(common::PROGRAM)
        .arg("paths")
        .output()
        .expect("the program runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lists = |line: &str| text.lines().any(|one| one == line);
    assert!(lists("POST /nodes/{node}/qemu/{vmid}/snapshot"), "{text}");
    assert!(lists("GET /version") && lists("GET /cluster/resources"));
    assert!(!lists("POST /nodes/{node}/qemu"), "{text}");
}
