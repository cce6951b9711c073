// SPDX-License-Identifier: GPL-3.0-only
//! Entries in the systemd journal if stderr is connected to it; the test replaces the journal's
//! socket.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use crate::support::{SECRET, cluster, program, program_as};

type Entry = HashMap<String, String>;

/// Runs the program with a stderr that `JOURNAL_STREAM` names; returns the journal entries, stdout
/// and stderr.
fn journal_of(folder: &Path, mut command: Command) -> (Vec<Entry>, String, String) {
    let socket = folder.join("socket");
    let listener = UnixDatagram::bind(&socket).unwrap();
    let stderr = File::create(folder.join("stderr")).unwrap();
    let metadata = stderr.metadata().unwrap();
    command
        .env("CV4PVE_JOURNAL_SOCKET", &socket)
        .env(
            "JOURNAL_STREAM",
            format!("{}:{}", metadata.dev(), metadata.ino()),
        )
        .stderr(stderr);
    let (entries, output) = std::thread::scope(|scope| {
        // The queue of a socket is short, so it is read during the run. An empty datagram ends the
        // loop.
        let reading = scope.spawn(|| {
            let mut entries = Vec::new();
            let mut buffer = vec![0; 1 << 20];
            loop {
                match listener.recv(&mut buffer).unwrap() {
                    0 => return entries,
                    length => entries.push(parsed(&buffer[..length])),
                }
            }
        });
        let output = command.output().unwrap();
        let end = UnixDatagram::unbound().unwrap();
        end.send_to(&[], &socket).unwrap();
        (reading.join().unwrap(), output)
    });
    let stderr = std::fs::read_to_string(folder.join("stderr")).unwrap();
    (entries, String::from_utf8(output.stdout).unwrap(), stderr)
}

/// Parses an entry without line breaks in its values.
fn parsed(bytes: &[u8]) -> Entry {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(!text.contains(SECRET));
    let fields = text.lines().map(|line| line.split_once('=').unwrap());
    fields
        .map(|(field, value)| (field.to_owned(), value.to_owned()))
        .collect()
}

fn values<'a>(entry: &'a Entry, fields: &[&str]) -> Vec<&'a str> {
    fields
        .iter()
        .map(|field| entry.get(*field).map_or("-", String::as_str))
        .collect()
}

/// A run that is refused because of an exclusion is an error in the journal, with its exit status.
#[test]
fn an_unresolved_exclusion_is_a_journal_entry() {
    let simulator = cluster();
    let folder = tempfile::tempdir().unwrap();
    let mut command = program_as("auto", &simulator);
    command.args(["--vmid=@all,-web99", "clean", "--label=daily", "--keep=0"]);
    command.env("XDG_RUNTIME_DIR", folder.path());
    let (entries, _, _) = journal_of(folder.path(), command);
    let is_run = |entry: &&Entry| entry.get("STEP").is_some_and(|step| step == "run");
    let run = entries.iter().find(is_run).unwrap();
    let fields = ["PRIORITY", "RESULT", "RUN_STATUS", "REMOVED_COUNT"];
    assert_eq!(values(run, &fields), ["3", "failed", "2", "0"]);
    let message = &run["MESSAGE"];
    assert!(message.contains("`-web99` matches no guest"), "{message}");
    assert!(simulator.journal().mutations().is_empty());
}

#[test]
fn every_guest_has_journal_entries_with_fields() {
    let simulator = cluster();
    let folder = tempfile::tempdir().unwrap();
    let mut command = program_as("auto", &simulator);
    command.args(["--vmid=100,102", "snap", "--label=daily", "--keep=2"]);
    command.env("XDG_RUNTIME_DIR", folder.path());
    let (entries, stdout, stderr) = journal_of(folder.path(), command);
    let of_guest = |vmid: &str| {
        let is_meant = |entry: &&Entry| entry.get("VMID").is_some_and(|found| found == vmid);
        entries.iter().rfind(is_meant).unwrap()
    };
    let results_of = |vmid: &str| -> Vec<&str> {
        let of_guest = entries
            .iter()
            .filter(|entry| entry.get("VMID").is_some_and(|found| found == vmid));
        of_guest.map(|entry| entry["RESULT"].as_str()).collect()
    };
    // A parallel run shows in the journal which guests it has begun.
    assert_eq!(results_of("100"), ["started", "done"]);
    assert_eq!(results_of("102"), ["started", "refused"]);
    let fields = [
        "PRIORITY", "NODE", "GUEST", "LABEL", "COMMAND", "KEEP", "RESULT", "STEP",
    ];
    let web = of_guest("100");
    assert_eq!(
        values(web, &fields),
        ["6", "pve1", "web01", "daily", "snap", "2", "done", "guest"]
    );
    let name = &web["SNAPSHOT"];
    assert!(
        stdout.contains(&format!("Create snapshot: {name}")),
        "{stdout}"
    );
    assert_eq!(
        web["MESSAGE"],
        format!("VM 100 web01 on pve1: done, {name} created")
    );
    let busy = of_guest("102");
    assert_eq!(
        values(busy, &fields),
        [
            "3", "pve1", "busy", "daily", "snap", "2", "refused", "guest"
        ]
    );
    assert_eq!(
        busy["MESSAGE"],
        "VM 102 busy on pve1: VM is locked (backup)"
    );

    let run = entries.last().unwrap();
    let fields = [
        "STEP",
        "RESULT",
        "RUN_STATUS",
        "CREATED_COUNT",
        "REMOVED_COUNT",
        "FAILED_COUNT",
    ];
    assert_eq!(values(run, &fields), ["run", "failed", "1", "1", "0", "1"]);
    assert!(
        entries
            .iter()
            .all(|entry| entry["SYSLOG_IDENTIFIER"] == "cv4pve-autosnap")
    );
    // The report is on stdout as usual, and nothing is printed twice.
    assert!(stdout.contains("FAILED VM 102 busy on pve1"), "{stdout}");
    assert_eq!(stderr, "");
}

#[test]
fn a_usage_error_is_a_journal_entry() {
    let simulator = cluster();
    let folder = tempfile::tempdir().unwrap();
    let mut command = program_as("auto", &simulator);
    command.args(["--vmid=100", "snap", "--label=dai/ly", "--keep=2"]);
    let (entries, _, stderr) = journal_of(folder.path(), command);
    assert_eq!(entries[0]["PRIORITY"], "3");
    assert!(entries[0]["MESSAGE"].starts_with("ERROR: "), "{entries:?}");
    assert_eq!(stderr, "");
}

/// The fields of the last entry, the entry of the run.
fn run_of(entries: &[Entry]) -> Vec<&str> {
    let fields = [
        "STEP",
        "RESULT",
        "RUN_STATUS",
        "COMMAND",
        "LABEL",
        "DRY_RUN",
    ];
    values(entries.last().unwrap(), &fields)
}

#[test]
fn a_run_that_cannot_start_is_a_failed_run() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let off = listener.local_addr().unwrap();
    drop(listener);
    for output in ["Text", "Json"] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = program();
        command
            .env("CV4PVE_API_TOKEN", format!("backup@pve!auto={SECRET}"))
            .env("XDG_RUNTIME_DIR", folder.path())
            .arg(format!("--host={off}"))
            .args(["--vmid=100", "clean", "--label=daily", "--keep=2"])
            .args(["--output", output]);
        let (entries, _, stderr) = journal_of(folder.path(), command);
        let run = entries.iter().find(|entry| entry.contains_key("STEP"));
        let run = std::slice::from_ref(run.unwrap());
        assert_eq!(run_of(run), ["run", "failed", "3", "clean", "daily", "-"]);
        let message = &run[0]["MESSAGE"];
        assert!(
            message.starts_with("clean daily: nothing done; "),
            "{message}"
        );
        assert_eq!(stderr, "");
    }
}

#[test]
fn every_warning_is_one_journal_entry_for_each_output_format() {
    let simulator = cluster();
    for output in ["Text", "Json"] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = program_as("auto", &simulator);
        command.args(["--vmid=100,nobody", "clean", "--label=daily", "--keep=2"]);
        command.args(["--output", output]);
        command.env("XDG_RUNTIME_DIR", folder.path());
        let (entries, _, stderr) = journal_of(folder.path(), command);
        let warnings: Vec<&Entry> = entries
            .iter()
            .filter(|entry| entry["MESSAGE"].contains("nobody"))
            .collect();
        assert_eq!(warnings.len(), 1, "{output}: {entries:?}");
        let fields = ["PRIORITY", "COMMAND", "LABEL", "KEEP", "POLICY"];
        let expected = ["4", "clean", "daily", "2", "keep-last=2"];
        assert_eq!(values(warnings[0], &fields), expected);
        assert_eq!(stderr, "");
    }
}

#[test]
fn a_dry_run_has_the_result_planned() {
    let simulator = cluster();
    for (guests, status) in [("100", "0"), ("100,102", "1")] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = program_as("auto", &simulator);
        command.args(["snap", "--label=daily", "--keep=2", "--dry-run", "--vmid"]);
        command.arg(guests).env("XDG_RUNTIME_DIR", folder.path());
        let (entries, _, _) = journal_of(folder.path(), command);
        assert_eq!(
            run_of(&entries),
            ["run", "planned", status, "snap", "daily", "1"]
        );
        let message = &entries.last().unwrap()["MESSAGE"];
        assert_eq!(message, "snap daily: dry run, nothing was changed");
    }
}

/// A socket whose queue is full, as of a hanging journal, and a socket without a listener.
#[test]
fn stderr_is_used_if_the_journal_accepts_nothing() {
    let simulator = cluster();
    for is_there in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let listener = is_there.then(|| UnixDatagram::bind(&socket).unwrap());
        let filling = UnixDatagram::unbound().unwrap();
        filling.set_nonblocking(true).unwrap();
        while filling.send_to(b"MESSAGE=full\n", &socket).is_ok() {}
        let stderr = File::create(folder.path().join("stderr")).unwrap();
        let metadata = stderr.metadata().unwrap();
        let stream = format!("{}:{}", metadata.dev(), metadata.ino());
        let mut command = program_as("auto", &simulator);
        command
            .args(["--vmid=100,102,nobody", "snap", "--label=stuck", "--keep=2"])
            .args(["--output=Json"])
            .env("XDG_RUNTIME_DIR", folder.path())
            .env("CV4PVE_JOURNAL_SOCKET", &socket)
            .env("JOURNAL_STREAM", stream)
            .stderr(stderr);
        command.output().unwrap();
        let stderr = std::fs::read_to_string(folder.path().join("stderr")).unwrap();
        for (line, times) in [
            ("nobody", 1),
            ("ERROR: VM 102 busy on pve1: VM is locked (backup)\n", 1),
            ("ERROR: snap stuck: ", 1),
        ] {
            assert_eq!(stderr.matches(line).count(), times, "{line}: {stderr}");
        }
        assert!(stderr.starts_with("NOTICE: any certificate"), "{stderr}");
        drop(listener);
    }
}

/// stderr is not the journal (`2>file` in a service), or the socket does not exist.
#[test]
fn stderr_is_used_if_it_is_not_connected_to_the_journal() {
    let simulator = cluster();
    for (stream, socket) in [("1:1", "/dev/null"), ("", "/dev/null")] {
        let mut command = program_as("auto", &simulator);
        command.args(["--vmid=100", "snap", "--label=dai/ly", "--keep=2"]);
        command
            .env("JOURNAL_STREAM", stream)
            .env("CV4PVE_JOURNAL_SOCKET", socket);
        let stderr = command.output().unwrap().stderr;
        assert!(stderr.starts_with(b"ERROR: "), "{stream}");
    }
    let folder = tempfile::tempdir().unwrap();
    let stderr = File::create(folder.path().join("stderr")).unwrap();
    let metadata = stderr.metadata().unwrap();
    let mut command = program_as("auto", &simulator);
    command
        .args(["--vmid=100", "snap", "--label=dai/ly", "--keep=2"])
        .env(
            "JOURNAL_STREAM",
            format!("{}:{}", metadata.dev(), metadata.ino()),
        )
        .env("CV4PVE_JOURNAL_SOCKET", folder.path().join("gone"))
        .stderr(stderr);
    command.output().unwrap();
    let stderr = std::fs::read_to_string(folder.path().join("stderr")).unwrap();
    assert!(stderr.starts_with("ERROR: "), "{stderr}");
}
