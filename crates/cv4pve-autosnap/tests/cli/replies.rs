// SPDX-License-Identifier: GPL-3.0-only
//! Replies that are not what was requested: the UPID of another task, listings that are no listings.

use crate::harness::Lab;
use crate::world::{World, ct, name, vm};

/// A reply with another task does not show whether the request was carried out.
const OTHER_TASK: &str = "names another task than the one requested";

/// Both guests have two snapshots, and a task of guest 101 has just succeeded.
fn lab_with_a_finished_task() -> Lab {
    let lab = Lab::new(&World::of([
        vm(100, "web01").taken("daily", &[1, 2]),
        vm(101, "web02"),
        ct(200, "proxy").taken("daily", &[1, 2]),
    ]));
    lab.run("--vmid=101 snap --label=other --keep=9")
        .assert_status(0);
    lab
}

/// The reply to a creation names a task of another guest, which has succeeded.
#[test]
fn a_creation_answered_with_the_task_of_another_guest_removes_nothing() {
    for vmid in [100, 200] {
        let lab = lab_with_a_finished_task();
        lab.set_faults(r#"{"requests": [{"method": "POST", "effect": "other_task"}]}"#);
        let words = format!("--vmid={vmid} --timeout=1 snap --label=daily --keep=1");
        lab.run(&words)
            .assert_status(1)
            .assert_out(OTHER_TASK)
            .assert_out("it is not known whether it was done");
        assert_eq!(lab.changes_of(vmid), [] as [&str; 0]);
        let posts = lab.writes();
        let posts = posts
            .iter()
            .filter(|line| line.contains(&format!("/{vmid}/")));
        assert_eq!(posts.count(), 1, "nothing is sent twice");
    }
}

/// The reply to a removal names a task of another guest, which has succeeded.
#[test]
fn a_removal_answered_with_the_task_of_another_guest_is_not_reported_as_done() {
    let lab = lab_with_a_finished_task();
    lab.set_faults(r#"{"requests": [{"method": "DELETE", "effect": "other_task"}]}"#);
    let output = lab.run("--vmid=100 --timeout=1 clean --label=daily --keep=0");
    output
        .assert_status(1)
        .assert_out(OTHER_TASK)
        .assert_not_said("2 removed");
    assert_eq!(lab.changes_of(100), [] as [&str; 0]);
    assert_eq!(lab.snapshots(100).len(), 2);
}

/// The request was carried out, and only its reply was exchanged: the truth is looked up.
#[test]
fn a_creation_whose_reply_was_exchanged_is_found() {
    for upid in [
        "UPID:pve2:0000ABCD:00001234:65920080:qmsnapshot:100:backup@pve!auto:",
        "UPID:pve1:0000ABCD:00001234:65920080:qmdelsnapshot:100:backup@pve!auto:",
        "UPID:pve1:0000ABCD:00001234:65920080:qmsnapshot:1000:backup@pve!auto:",
        "UPID:pve1:0000ABCD:00001234:65920080:qmsnapshot:100:root@pam:",
    ] {
        let lab = lab_with_a_finished_task();
        lab.set_faults(&format!(
            r#"{{"requests": [{{"method": "POST", "effect":
                {{"answer": {{"status": 200, "reason": "OK", "handled": true, "body": {{"data": "{upid}"}}}}}}}}]}}"#
        ));
        lab.run("--vmid=100 --timeout=20 snap --label=daily --keep=1")
            .assert_status(0)
            .assert_out("the answer was lost; PVE shows that it was done");
        assert_eq!(lab.changes_of(100).len(), 3, "{upid}");
    }
}

/// A run with a fault on the listings of snapshots.
fn lab_with_listing(listing: &str) -> Lab {
    let world = World::of([
        vm(100, "web01").taken("daily", &[1, 2, 3, 4, 5]),
        ct(200, "proxy").taken("daily", &[1, 2, 3]),
    ]);
    let rule = format!(
        r#"{{"requests": [{{"method": "GET", "path": "/nodes/*/*/*/snapshot", "effect": {listing}}}]}}"#
    );
    Lab::with_faults(&world, &rule)
}

/// A name that is listed twice counts twice, and an empty list shows nothing: both are no listings.
#[test]
fn a_listing_with_repeated_names_or_without_current_removes_nothing() {
    for (fault, flaw) in [
        ("doubled", "more than once"),
        ("truncated", "lacks the entry 'current'"),
        ("empty", "lacks the entry 'current'"),
    ] {
        let lab = lab_with_listing(&format!(r#"{{"listing": "{fault}"}}"#));
        for command in [
            "clean --label=daily --keep=2",
            "snap --label=daily --keep=1",
        ] {
            let output = lab.run(&format!("--vmid=@all {command}"));
            output
                .assert_status(1)
                .assert_out("the snapshots could not be listed: ");
            output.assert_out(flaw);
            lab.run(&format!("--vmid=@all {command} --dry-run"))
                .assert_status(1)
                .assert_out("could not be listed");
        }
        lab.assert_unchanged();
        lab.run("--vmid=@all status")
            .assert_status(1)
            .assert_err("could not be listed");
        lab.run("--vmid=@all check")
            .assert_status(1)
            .assert_out("could not be listed");
    }
}

/// The plan was made from a good list; the one that is to confirm it is doubled.
#[test]
fn a_doubled_list_confirms_no_removal() {
    let lab = Lab::with_faults(
        &World::of([vm(100, "web01").taken("daily", &[1, 2, 3])]),
        r#"{"requests": [{"method": "GET", "path": "/nodes/*/*/*/snapshot", "when": {"nth": 2},
            "effect": {"listing": "doubled"}}]}"#,
    );
    lab.run("--vmid=100 clean --label=daily --keep=2")
        .assert_status(1)
        .assert_out("could not be listed");
    lab.assert_unchanged();
}

/// A DELETE is lost, and the lists that should show its effect are empty.
#[test]
fn a_lost_removal_is_not_done_because_a_list_is_empty() {
    for fault in ["empty", "truncated"] {
        let lab = Lab::with_faults(
            &World::of([vm(100, "web01").taken("daily", &[1, 2])]),
            &format!(
                r#"{{"requests": [
                {{"method": "DELETE", "effect": "drop_before"}},
                {{"method": "GET", "path": "/nodes/*/*/*/snapshot", "when": {{"nth": 1}}, "effect": {{"stall": 0}}}},
                {{"method": "GET", "path": "/nodes/*/*/*/snapshot", "when": {{"nth": 2}}, "effect": {{"stall": 0}}}},
                {{"method": "GET", "path": "/nodes/*/*/*/snapshot", "effect": {{"listing": "{fault}"}}}}]}}"#
            ),
        );
        lab.run("--vmid=100 --timeout=1 clean --label=daily --keep=1")
            .assert_status(1)
            .assert_out("it is not known whether it was done")
            .assert_out("could not be listed")
            .assert_not_said("1 removed");
        assert_eq!(lab.changes(), [] as [&str; 0]);
    }
}

/// Replaces text in the replies to requests for that path.
fn edit(path: &str, find: &str, with: &str) -> String {
    serde_json::json!({"requests": [
        {"method": "GET", "path": path, "effect": {"edit": {"find": find, "with": with}}}
    ]})
    .to_string()
}

/// An entry of the inventory that cannot be read hides no other, is named, and makes exit 1.
#[test]
fn an_unreadable_guest_is_named_and_the_others_are_done() {
    for (find, with) in [
        ("\"name\":\"web02\"", "\"name\":NaN"),
        ("\"name\":\"web02\"", "\"name\":\"web\u{ff}2\""),
        ("\"name\":\"web02\"", "\"name\":\"\\ud800\""),
        ("\"vmid\":101", "\"vmid\":-inf"),
        ("\"vmid\":101", "\"vmid\":99"),
    ] {
        let lab = Lab::with_faults(
            &World::of([vm(100, "web01"), vm(101, "web02"), vm(102, "web03")]),
            &edit("/cluster/resources", find, with),
        );
        let named = "an entry of /cluster/resources cannot be read: ";
        let output = lab.run("--vmid=@all snap --label=daily --keep=1");
        output
            .assert_status(1)
            .assert_out(named)
            .assert_out("2 snapshots created");
        let json = lab
            .run("--vmid=@all clean --label=daily --keep=1 --output=Json")
            .json();
        assert!(
            json["warnings"][0].as_str().unwrap().contains(named),
            "{json}"
        );
        lab.run("--vmid=@all status")
            .assert_status(1)
            .assert_err(named);
        lab.run("--vmid=@all check")
            .assert_status(1)
            .assert_out(named);
    }
}

/// A damaged tag cannot take a guest out of the exclusion that spares it.
#[test]
fn a_guest_with_a_damaged_tag_is_not_cleaned() {
    for (find, with) in [
        ("\"keep;own\"", "NaN"),
        ("\"keep;own\"", "\"k\u{ff}ep;own\""),
    ] {
        let world = World::of([
            vm(100, "web01").taken("daily", &[1]),
            vm(101, "web02")
                .set("tags", "keep;own")
                .taken("daily", &[1]),
            vm(102, "web03").set("tags", "keep"),
        ]);
        let lab = Lab::with_faults(&world, &edit("/cluster/resources", find, with));
        lab.run("--vmid=@all,-@tag-keep clean --label=daily --keep=0")
            .assert_status(1)
            .assert_out("cannot be read");
        assert_eq!(lab.snapshots(101).len(), 1);
        assert_eq!(lab.snapshots(100).len(), 0);
    }
}

/// Figures of a storage or a guest that are no numbers take nothing away from the rest.
#[test]
fn a_figure_that_is_no_number_hides_nothing() {
    let lab = Lab::with_faults(
        &World::of([vm(100, "web01")]),
        &edit(
            "/cluster/resources",
            "\"maxmem\":",
            "\"maxmem\":NaN,\"ignored\":",
        ),
    );
    lab.run("--vmid=100 snap --label=daily --keep=1")
        .assert_status(0)
        .assert_out("1 snapshot created");
}

/// A guest that is listed twice is done once, and that is said.
#[test]
fn a_guest_that_is_listed_twice_is_done_once() {
    let lab = Lab::with_faults(
        &World::of([vm(100, "web01")]),
        r#"{"requests": [{"path": "/cluster/resources", "effect": {"listing": "doubled"}}]}"#,
    );
    lab.run("--vmid=100 snap --label=daily --keep=1")
        .assert_status(1)
        .assert_out("guest 100 is listed more than once");
    assert_eq!(lab.changes().len(), 1);
}

/// The snapshot that cannot be read may be the newest, so nothing of that guest is removed.
#[test]
fn nothing_is_removed_of_a_guest_with_an_unreadable_snapshot() {
    let third = name("daily", 3);
    for (find, with) in [
        (format!("\"name\":\"{third}\""), "\"name\":NaN".to_owned()),
        (third.clone(), format!("{third}\u{ff}")),
        (
            "\"snaptime\":1704240000".to_owned(),
            "\"snaptime\":inf".to_owned(),
        ),
    ] {
        let lab = Lab::with_faults(
            &World::of([
                vm(100, "web01").taken("daily", &[1, 2, 3]),
                ct(200, "proxy"),
            ]),
            &edit("/nodes/*/qemu/100/snapshot", &find, &with),
        );
        for command in [
            "clean --label=daily --keep=1",
            "snap --label=daily --keep=1",
        ] {
            lab.run(&format!("--vmid=@all {command}"))
                .assert_status(1)
                .assert_out("the snapshots could not be listed: an entry cannot be read: ");
        }
        assert_eq!(lab.changes_of(100), [] as [&str; 0]);
        assert_eq!(lab.changes_of(200).len(), 1);
        lab.run("--vmid=@all status")
            .assert_status(1)
            .assert_out(&name("daily", 1))
            .assert_err("a snapshot of guest 100 on node pve1 cannot be read: ");
        lab.run("--vmid=@all check")
            .assert_status(1)
            .assert_out("an entry cannot be read");
    }
}

/// The description of somebody else's snapshot is no reason to stop.
#[test]
fn one_bad_byte_in_a_description_stops_nothing() {
    let lab = Lab::with_faults(
        &World::of([vm(100, "web01").taken("daily", &[1, 2]).snapshot(
            "manual",
            1_700_000_000,
            "before the update",
        )]),
        &edit(
            "/nodes/*/qemu/100/snapshot",
            "before the",
            "before the\u{e9}",
        ),
    );
    lab.run("--vmid=100 clean --label=daily --keep=1")
        .assert_status(0);
    assert_eq!(lab.snapshots(100).len(), 2);
}

/// A task that cannot be read may be the one that holds the guest.
#[test]
fn an_unreadable_entry_of_the_tasks_is_named() {
    let lab = Lab::with_faults(
        &World::of([vm(100, "web01").set("lock", "snapshot"), vm(101, "web02")]),
        r#"{"requests": [{"path": "/nodes/*/tasks", "effect":
            {"answer": {"status": 200, "reason": "OK", "body": {"data": [{"upid": "nonsense"}]}}}}]}"#,
    );
    let words = "the tasks could not be listed: an entry cannot be read: ";
    lab.run("--vmid=@all snap --label=daily --keep=1")
        .assert_status(1)
        .assert_out(words);
    lab.run("--vmid=@all check")
        .assert_status(1)
        .assert_out(words);
}

/// A reply that says what is right, followed by so many bytes of nothing.
fn padded(path: &str, find: &str, with: &str, bytes: usize) -> String {
    edit(path, find, &format!("{with}{}", " ".repeat(bytes)))
}

/// No reply may be larger than any of Proxmox VE to that request.
#[test]
fn a_reply_that_is_too_large_is_refused() {
    const KIB: usize = 1024;
    for (path, bytes, status, text) in [
        ("/version", 60 * KIB, 0, "1 snapshot created"),
        ("/version", 65 * KIB, 3, "the reply is larger than 64 KiB"),
        (
            "/nodes/*/qemu/*/snapshot",
            65 * KIB,
            0,
            "1 snapshot created",
        ),
        (
            "/nodes/*/qemu/*/snapshot",
            8 * KIB * KIB,
            1,
            "the reply is larger than 8 MiB",
        ),
        (
            "/nodes/*/qemu/*/config",
            8 * KIB * KIB,
            1,
            "the reply is larger than 8 MiB",
        ),
        ("/cluster/resources", 9 * KIB * KIB, 0, "1 snapshot created"),
        ("/nodes/*/tasks/*/status", 60 * KIB, 0, "1 snapshot created"),
        (
            "/nodes/*/tasks/*/status",
            65 * KIB,
            0,
            "the answer was lost; PVE shows that it was done",
        ),
    ] {
        let lab = Lab::with_faults(
            &World::of([vm(100, "web01")]),
            &padded(path, "\"data\":", "\"data\":", bytes),
        );
        let output = lab.run("--vmid=100 snap --label=daily --keep=1");
        output.assert_status(status);
        let told = format!("{}{}", output.stdout, output.stderr);
        assert!(told.contains(text), "{path} {bytes}\n{output}");
    }
}

/// The reply to a sign-on is a single object, a list of tasks is small.
#[test]
fn replies_to_a_sign_on_and_lists_of_tasks_have_limits_too() {
    const KIB: usize = 1024;
    let world = World::of([vm(100, "web01").set("lock", "snapshot")]);
    let sign_on = "--username=backup@pve --password=example-backup --vmid=100 status";
    for (path, bytes, text) in [
        (
            "/access/ticket",
            65 * KIB,
            "the reply is larger than 64 KiB",
        ),
        (
            "/nodes/*/tasks",
            4 * KIB * KIB,
            "the reply is larger than 4 MiB",
        ),
    ] {
        let faults = padded(path, "\"data\":", "\"data\":", bytes);
        let method = if path == "/access/ticket" {
            "POST"
        } else {
            "GET"
        };
        let lab = Lab::with_faults(&world, &faults.replace("GET", method));
        let host = format!("--host={}", lab.host());
        let output = if path == "/access/ticket" {
            lab.bare([host.as_str()].into_iter().chain(sign_on.split(' ')))
        } else {
            lab.run("--vmid=100 snap --label=daily --keep=1")
        };
        assert_ne!(output.status, 0, "{path}\n{output}");
        let told = format!("{}{}", output.stdout, output.stderr);
        assert!(told.contains(text), "{path}\n{output}");
    }
}

/// A UPID in a reply that is too large does not show whether the request was carried out.
#[test]
fn a_creation_whose_reply_is_too_large_is_found() {
    let body = format!("{}\"", "x".repeat(65 * 1024));
    let fault = serde_json::json!({"requests": [
        {"method": "POST", "effect": {"answer":
            {"status": 200, "reason": "OK", "handled": true, "body": body}}}
    ]});
    let lab = Lab::with_faults(&World::of([vm(100, "web01")]), &fault.to_string());
    lab.run("--vmid=100 snap --label=daily --keep=1")
        .assert_status(0)
        .assert_out("the answer was lost; PVE shows that it was done");
    assert_eq!(lab.writes().len(), 1);
}
