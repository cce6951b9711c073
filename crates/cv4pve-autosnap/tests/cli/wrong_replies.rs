// SPDX-License-Identifier: GPL-3.0-only
//! Wrong replies: the UPID of another task, malformed or oversized listings.

use crate::harness::Lab;
use crate::world::{World, ct, name, vm};

/// The message about a reply with another task, which does not confirm the request.
const OTHER_TASK: &str = "names another task than the one requested";

/// Guests 100 and 200 have two snapshots, and a task of guest 101 has just succeeded.
fn lab_with_a_finished_task() -> Lab {
    let lab = Lab::new(&World::new([
        vm(100, "web01").taken("daily", &[1, 2]),
        vm(101, "web02"),
        ct(200, "proxy").taken("daily", &[1, 2]),
    ]));
    lab.run("--vmid=101 snap --label=other --keep=9")
        .assert_status(0);
    lab
}

/// The reply to a creation names a successful task of another guest.
#[test]
fn a_creation_reply_with_the_task_of_another_guest_removes_nothing() {
    for vmid in [100, 200] {
        let lab = lab_with_a_finished_task();
        lab.set_faults(r#"{"requests": [{"method": "POST", "effect": "other_task"}]}"#);
        let args = format!("--vmid={vmid} --timeout=1 snap --label=daily --keep=1");
        lab.run(&args)
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

/// The reply to a removal names a successful task of another guest.
#[test]
fn a_removal_reply_with_the_task_of_another_guest_is_not_reported_as_done() {
    let lab = lab_with_a_finished_task();
    lab.set_faults(r#"{"requests": [{"method": "DELETE", "effect": "other_task"}]}"#);
    let output = lab.run("--vmid=100 --timeout=1 clean --label=daily --keep=0");
    output
        .assert_status(1)
        .assert_out(OTHER_TASK)
        .assert_not_printed("2 removed");
    assert_eq!(lab.changes_of(100), [] as [&str; 0]);
    assert_eq!(lab.snapshots(100).len(), 2);
}

/// The request was executed and only its reply was replaced: the run checks the effect.
#[test]
fn a_creation_whose_reply_was_replaced_is_found() {
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

/// A lab with this fault of the snapshot listings.
fn lab_with_listing(listing: &str) -> Lab {
    let world = World::new([
        vm(100, "web01").taken("daily", &[1, 2, 3, 4, 5]),
        ct(200, "proxy").taken("daily", &[1, 2, 3]),
    ]);
    let rule = format!(
        r#"{{"requests": [{{"method": "GET", "path": "/nodes/*/*/*/snapshot", "effect": {listing}}}]}}"#
    );
    Lab::with_faults(&world, &rule)
}

/// A listing with a repeated name, or without the entry `current`, is invalid.
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

/// The listing for the plan is valid; the one that confirms the removal is doubled.
#[test]
fn a_doubled_listing_does_not_confirm_a_removal() {
    let lab = Lab::with_faults(
        &World::new([vm(100, "web01").taken("daily", &[1, 2, 3])]),
        r#"{"requests": [{"method": "GET", "path": "/nodes/*/*/*/snapshot", "when": {"nth": 2},
            "effect": {"listing": "doubled"}}]}"#,
    );
    lab.run("--vmid=100 clean --label=daily --keep=2")
        .assert_status(1)
        .assert_out("could not be listed");
    lab.assert_unchanged();
}

/// A DELETE is lost, and the listings after it are empty.
#[test]
fn an_empty_listing_does_not_confirm_a_lost_removal() {
    for fault in ["empty", "truncated"] {
        let lab = Lab::with_faults(
            &World::new([vm(100, "web01").taken("daily", &[1, 2])]),
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
            .assert_not_printed("1 removed");
        assert_eq!(lab.changes(), [] as [&str; 0]);
    }
}

/// Replaces text in the replies to GET requests for this path.
fn edit(path: &str, find: &str, with: &str) -> String {
    serde_json::json!({"requests": [
        {"method": "GET", "path": path, "effect": {"edit": {"find": find, "with": with}}}
    ]})
    .to_string()
}

/// An invalid entry of the inventory hides no other guest, is reported, and the exit status is 1.
#[test]
fn an_invalid_guest_entry_is_reported_and_the_others_are_done() {
    for (find, with) in [
        ("\"name\":\"web02\"", "\"name\":NaN"),
        ("\"name\":\"web02\"", "\"name\":\"web\u{ff}2\""),
        ("\"name\":\"web02\"", "\"name\":\"\\ud800\""),
        ("\"vmid\":101", "\"vmid\":-inf"),
        ("\"vmid\":101", "\"vmid\":99"),
    ] {
        let lab = Lab::with_faults(
            &World::new([vm(100, "web01"), vm(101, "web02"), vm(102, "web03")]),
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

/// A guest with an invalid tag stays excluded.
#[test]
fn a_guest_with_an_invalid_tag_is_not_cleaned() {
    for (find, with) in [
        ("\"keep;own\"", "NaN"),
        ("\"keep;own\"", "\"k\u{ff}ep;own\""),
    ] {
        let world = World::new([
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

/// An invalid number in a guest's figures does not hide the guest.
#[test]
fn an_invalid_number_does_not_hide_a_guest() {
    let lab = Lab::with_faults(
        &World::new([vm(100, "web01")]),
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

/// A guest that is listed twice is worked on once, and the report warns of it.
#[test]
fn a_guest_that_is_listed_twice_is_processed_once() {
    let lab = Lab::with_faults(
        &World::new([vm(100, "web01")]),
        r#"{"requests": [{"path": "/cluster/resources", "effect": {"listing": "doubled"}}]}"#,
    );
    lab.run("--vmid=100 snap --label=daily --keep=1")
        .assert_status(1)
        .assert_out("guest 100 is listed more than once");
    assert_eq!(lab.changes().len(), 1);
}

/// An invalid entry may be the newest snapshot, so no snapshot of that guest is removed.
#[test]
fn nothing_is_removed_of_a_guest_with_an_invalid_snapshot_entry() {
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
            &World::new([
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

/// An invalid byte in the description of a foreign snapshot is harmless.
#[test]
fn an_invalid_byte_in_a_description_is_accepted() {
    let lab = Lab::with_faults(
        &World::new([vm(100, "web01").taken("daily", &[1, 2]).snapshot(
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

/// An invalid task entry may be the task that holds the guest's lock.
#[test]
fn an_invalid_task_entry_is_reported() {
    let lab = Lab::with_faults(
        &World::new([vm(100, "web01").set("lock", "snapshot"), vm(101, "web02")]),
        r#"{"requests": [{"path": "/nodes/*/tasks", "effect":
            {"answer": {"status": 200, "reason": "OK", "body": {"data": [{"upid": "nonsense"}]}}}}]}"#,
    );
    let message = "the tasks could not be listed: an entry cannot be read: ";
    lab.run("--vmid=@all snap --label=daily --keep=1")
        .assert_status(1)
        .assert_out(message);
    lab.run("--vmid=@all check")
        .assert_status(1)
        .assert_out(message);
}

/// A valid reply with this many spaces after `find`.
fn padded(path: &str, find: &str, with: &str, bytes: usize) -> String {
    edit(path, find, &format!("{with}{}", " ".repeat(bytes)))
}

/// Each kind of reply has a size limit, well above the replies of Proxmox VE.
#[test]
fn an_oversized_reply_is_refused() {
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
            &World::new([vm(100, "web01")]),
            &padded(path, "\"data\":", "\"data\":", bytes),
        );
        let output = lab.run("--vmid=100 snap --label=daily --keep=1");
        output.assert_status(status);
        let text_of_run = format!("{}{}", output.stdout, output.stderr);
        assert!(text_of_run.contains(text), "{path} {bytes}\n{output}");
    }
}

/// The replies to a login and to a task listing have their own limits.
#[test]
fn login_replies_and_task_listings_have_a_size_limit() {
    const KIB: usize = 1024;
    let world = World::new([vm(100, "web01").set("lock", "snapshot")]);
    let login = "--username=backup@pve --password=example-backup --vmid=100 status";
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
            lab.bare([host.as_str()].into_iter().chain(login.split(' ')))
        } else {
            lab.run("--vmid=100 snap --label=daily --keep=1")
        };
        assert_ne!(output.status, 0, "{path}\n{output}");
        let text_of_run = format!("{}{}", output.stdout, output.stderr);
        assert!(text_of_run.contains(text), "{path}\n{output}");
    }
}

/// An oversized reply to a creation does not show whether the request was executed; the run checks
/// it.
#[test]
fn a_creation_with_an_oversized_reply_is_found() {
    let body = format!("{}\"", "x".repeat(65 * 1024));
    let fault = serde_json::json!({"requests": [
        {"method": "POST", "effect": {"answer":
            {"status": 200, "reason": "OK", "handled": true, "body": body}}}
    ]});
    let lab = Lab::with_faults(&World::new([vm(100, "web01")]), &fault.to_string());
    lab.run("--vmid=100 snap --label=daily --keep=1")
        .assert_status(0)
        .assert_out("the answer was lost; PVE shows that it was done");
    assert_eq!(lab.writes().len(), 1);
}
