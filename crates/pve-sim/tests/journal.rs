// SPDX-License-Identifier: GPL-3.0-only
//! The journal as used by tests and other programs, in memory and in a file.

use pve_sim::journal::{Action, Entry, Journal, Moment, Mutation, Request, Task};

fn moment(at: f64) -> Moment {
    Moment {
        at,
        epoch: 1_700_000_000,
    }
}

fn request(path: &str) -> Entry {
    Entry::Request(Request {
        moment: moment(0.25),
        client: "127.0.0.1:40000".to_owned(),
        connection: 1,
        node: None,
        method: "GET".to_owned(),
        path: path.to_owned(),
        user: Some("backup@pve!auto".to_owned()),
        status: Some(200),
        reason: "OK".to_owned(),
        fault: None,
        note: None,
        seconds: 0.001,
    })
}

fn mutation(action: Action) -> Entry {
    Entry::Mutation(Mutation {
        moment: moment(1.5),
        action,
        node: "pve1".to_owned(),
        kind: "qemu".to_owned(),
        vmid: 100,
        snapshot: Some("autodaily241123000000".to_owned()),
        description: Some("cv4pve-autosnap".to_owned()),
        upid: None,
    })
}

fn task() -> Entry {
    Entry::Task(Task {
        moment: moment(2.0),
        upid: "UPID:pve1:00000001:00000002:6553F100:qmsnapshot:100:backup@pve!auto:".to_owned(),
        node: "pve1".to_owned(),
        vmid: Some(100),
        kind: "qmsnapshot".to_owned(),
        user: "backup@pve!auto".to_owned(),
        started: 1_700_000_000,
        seconds: 0.5,
        exitstatus: Some("OK".to_owned()),
    })
}

#[test]
fn file_and_memory_hold_the_same_entries() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let journal = Journal::in_memory_and_to_file(&path).unwrap();
    let entries = [
        request("/version"),
        mutation(Action::Create),
        task(),
        mutation(Action::Delete),
    ];
    for entry in &entries {
        journal.record(entry.clone());
    }
    assert_eq!(journal.entries(), entries);
    assert_eq!(Journal::read(&path).unwrap(), entries);
    assert_eq!((journal.requests().len(), journal.tasks().len()), (1, 1));
    let actions: Vec<_> = journal.mutations().iter().map(|one| one.action).collect();
    assert_eq!(actions, [Action::Create, Action::Delete]);
    assert_eq!(journal.failure(), None);
}

#[test]
fn a_line_is_flat_and_contains_its_type() {
    let line = serde_json::to_value(mutation(Action::Rollback)).unwrap();
    let expected = serde_json::json!({
        "entry": "mutation", "at": 1.5, "epoch": 1_700_000_000, "action": "rollback",
        "node": "pve1", "kind": "qemu", "vmid": 100,
        "snapshot": "autodaily241123000000", "description": "cv4pve-autosnap",
    });
    assert_eq!(line, expected);
}

#[test]
fn secrets_are_masked() {
    let cases = [
        (
            "/access/ticket?username=a@pve&password=s3cret",
            "/access/ticket?username=a@pve&password=***",
        ),
        (
            "/access/ticket?PassWord=s3cret&x=1",
            "/access/ticket?PassWord=***&x=1",
        ),
        (
            "/access/ticket?%70assword=s3cret;otp=1",
            "/access/ticket?%70assword=***&otp=***",
        ),
        ("/version?password", "/version?password"),
        ("/nodes?a=b;c=d", "/nodes?a=b;c=d"),
        ("/version", "/version"),
    ];
    let journal = Journal::in_memory();
    for (given, _) in cases {
        journal.record(request(given));
    }
    let recorded = journal.requests();
    let expected = cases.map(|(_, masked)| masked);
    assert_eq!(
        recorded
            .iter()
            .map(|one| one.path.as_str())
            .collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn concurrent_entries_are_all_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let journal = Journal::in_memory_and_to_file(&path).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..2_500).for_each(|_| journal.record(mutation(Action::Update))));
        }
    });
    assert_eq!(journal.len(), 10_000);
    assert_eq!(Journal::read(&path).unwrap().len(), 10_000);
}

#[test]
fn a_journal_with_only_a_file_keeps_no_entries_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let journal = Journal::to_file(&path).unwrap();
    journal.record(task());
    assert!(journal.is_empty());
    assert_eq!(Journal::read(&path).unwrap(), [task()]);
}

#[test]
fn file_errors_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let error = Journal::to_file(folder.path()).unwrap_err().to_string();
    assert!(error.starts_with("cannot create the journal '"), "{error}");
    let path = folder.path().join("broken.jsonl");
    std::fs::write(&path, "{\"entry\":\"party\"}\n").unwrap();
    let error = Journal::read(&path).unwrap_err().to_string();
    assert!(
        error.contains("line 1 of the journal") && error.contains("unknown variant `party`"),
        "{error}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_write_error_is_remembered() {
    let full = Journal::to_file(std::path::Path::new("/dev/full")).unwrap();
    full.record(task());
    assert!(full.failure().is_some());
}

#[test]
fn a_bounded_journal_drops_the_oldest_entries() {
    let journal = Journal::bounded(3);
    for number in 0..10 {
        journal.record(request(&format!("/version?{number}")));
    }
    let paths: Vec<String> = journal.requests().into_iter().map(|one| one.path).collect();
    assert_eq!(paths, ["/version?7", "/version?8", "/version?9"]);
    assert_eq!(journal.len(), 3);
}
