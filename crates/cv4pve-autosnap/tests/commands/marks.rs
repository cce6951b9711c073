// SPDX-License-Identifier: GPL-3.0-only
//! `hold`, `release`, `expire` and `note`, for a VM and a container, and each way in which they fail.

use pve_sim::faults::FaultPlan;
use pve_sim::simulator::Simulator;
use serde_json::{Value, json};

use crate::support::{cluster_of, cluster_with_faults, program_as, run, successful, world};

/// The newest snapshot of each guest.
const SNAPSHOT: &str = "autodaily260102000000";

/// A VM, a container and a locked VM with two snapshots of this tool and one of another.
fn marked_world() -> Value {
    let mut world = world();
    let entry = |name: &str, second: u64, description: &str| json!({"name": name, "snaptime": second, "description": description});
    let snapshots = json!([
        entry("autodaily260101000000", 1_767_225_600, "cv4pve-autosnap"),
        entry(SNAPSHOT, 1_767_312_000, "cv4pve-autosnap"),
        entry("byhand", 1_767_312_001, "before the\nupgrade"),
    ]);
    let container = json!({"vmid": 106, "type": "lxc", "node": "pve1", "name": "dns", "status": "running",
        "config": {"rootfs": "local:106/vm-106-disk-0.raw,size=1G"}});
    let guests = world["guests"].as_array_mut().unwrap();
    guests.push(container);
    for guest in guests {
        if [100, 102, 105, 106]
            .map(Value::from)
            .contains(&guest["vmid"])
        {
            guest["snapshots"] = snapshots.clone();
        }
    }
    world
}

fn cluster() -> Simulator {
    cluster_of(marked_world())
}

/// Runs a command with a full token; returns exit status, stdout and stderr.
fn call(simulator: &Simulator, arguments: &[&str]) -> (i32, String, String) {
    run(program_as("auto", simulator)
        .env("TZ", "Europe/Rome")
        .args(arguments))
}

/// Runs a command that succeeds; returns its output.
fn ok(simulator: &Simulator, arguments: &[&str]) -> String {
    successful(call(simulator, arguments), arguments)
}

/// The description of a snapshot as PVE stores it.
fn stored(simulator: &Simulator, vmid: u32) -> String {
    simulator.world(|world| {
        let snapshot = &world.guests[&vmid].snapshots[SNAPSHOT];
        snapshot.description.clone().unwrap_or_default()
    })
}

/// The numbers of `PUT` requests so far.
fn writes(simulator: &Simulator) -> usize {
    let requests = simulator.journal().requests();
    requests.iter().filter(|one| one.method == "PUT").count()
}

#[test]
fn marks_are_set_and_removed_one_by_one() {
    for (vmid, title, end) in [("100", "VM 100 (web01)", ""), ("106", "CT 106 (dns)", "\n")] {
        let simulator = cluster();
        let id = vmid.parse().unwrap();
        let described = |lines: &[&str]| {
            let mut expected = "cv4pve-autosnap".to_owned();
            for line in lines {
                expected.extend(["\nautosnap: ", line]);
            }
            assert_eq!(
                without_since(&stored(&simulator, id)),
                format!("{expected}{end}")
            );
        };
        let printed = ok(
            &simulator,
            &["note", vmid, SNAPSHOT, "before\nthe upgrade "],
        );
        assert_eq!(
            printed,
            format!("{title}, snapshot {SNAPSHOT}: note: before\\nthe upgrade\n")
        );
        let note = "note text=before\\nthe upgrade";
        described(&[note]);
        let printed = ok(
            &simulator,
            &[
                "hold",
                vmid,
                SNAPSHOT,
                "--until=2099-01-31",
                "--reason",
                "audit",
            ],
        );
        assert_eq!(
            printed,
            format!(
                "{title}, snapshot {SNAPSHOT}: held until 2099-02-01 00:00 (audit); note: before\\nthe upgrade\n"
            )
        );
        let hold = "hold until=2099-01-31T23:00:00Z reason=audit";
        described(&[note, hold]);
        ok(
            &simulator,
            &["expire", vmid, SNAPSHOT, "--at", "2099-07-31 12:00"],
        );
        let expire = "expire at=2099-07-31T10:00:00Z";
        described(&[note, hold, expire]);
        ok(&simulator, &["note", vmid, SNAPSHOT, ""]);
        described(&[hold, expire]);
        ok(&simulator, &["release", vmid, SNAPSHOT]);
        described(&[expire]);
        let printed = ok(&simulator, &["expire", vmid, SNAPSHOT, "--never"]);
        assert_eq!(printed, format!("{title}, snapshot {SNAPSHOT}: no marks\n"));
        described(&[]);
        assert_eq!(writes(&simulator), 6);
        let printed = ok(&simulator, &["release", vmid, SNAPSHOT]);
        assert_eq!(
            printed,
            format!("{title}, snapshot {SNAPSHOT}: no marks (unchanged)\n")
        );
        assert_eq!(
            writes(&simulator),
            6,
            "nothing is written if nothing changes"
        );
    }
}

/// The description without the time since when the snapshot is held.
fn without_since(description: &str) -> String {
    match description.split_once(" since=") {
        None => description.to_owned(),
        Some((before, after)) => {
            let end = after.find([' ', '\n']).unwrap_or(after.len());
            assert!(after[..end].ends_with('Z'), "{description}");
            format!("{before}{}", &after[end..])
        }
    }
}

#[test]
fn the_result_is_one_json_document() {
    let simulator = cluster();
    let hold = [
        "hold",
        "106",
        SNAPSHOT,
        "--until=2099-01-31T00:00:00Z",
        "--output=Json",
    ];
    let document: Value = serde_json::from_str(&ok(&simulator, &hold)).unwrap();
    assert!(document["marks"]["hold"]["since"].is_string(), "{document}");
    let mut expected = json!({
        "version": 1, "vmid": 106, "type": "lxc", "node": "pve1", "guest_name": "dns", "snapshot": SNAPSHOT,
        "changed": true, "dry_run": false,
        "marks": {"held": true, "hold": {"until": "2099-01-31T00:00:00Z", "reason": null}}
    });
    expected["marks"]["hold"]["since"] = document["marks"]["hold"]["since"].clone();
    assert_eq!(document, expected);
    let release = [
        "release",
        "106",
        SNAPSHOT,
        "--output=JsonPretty",
        "--dry-run",
    ];
    let document: Value = serde_json::from_str(&ok(&simulator, &release)).unwrap();
    assert_eq!(
        [
            &document["changed"],
            &document["dry_run"],
            &document["marks"]
        ],
        [&json!(false), &json!(true), &Value::Null]
    );
    assert_eq!(writes(&simulator), 1, "a dry run writes nothing");
}

#[test]
fn a_second_hold_keeps_the_time_since_when_the_snapshot_is_held() {
    let mut world = marked_world();
    let since = "autosnap: hold since=2026-01-05T00:00:00Z";
    world["guests"][0]["snapshots"][1]["description"] =
        format!("cv4pve-autosnap\n{since} reason=old").into();
    let simulator = cluster_of(world);
    ok(&simulator, &["hold", "100", SNAPSHOT, "--reason=new"]);
    assert_eq!(
        stored(&simulator, 100),
        format!("cv4pve-autosnap\n{since} reason=new")
    );
}

#[test]
fn lines_that_cannot_be_read_survive_and_are_reported() {
    let mut world = marked_world();
    let lines = "autosnap: hold until=soon\nby hand";
    world["guests"][0]["snapshots"][1]["description"] = format!("cv4pve-autosnap\n{lines}").into();
    let simulator = cluster_of(world);
    let printed = ok(&simulator, &["note", "100", SNAPSHOT, "x"]);
    assert_eq!(
        printed,
        format!(
            "VM 100 (web01), snapshot {SNAPSHOT}: note: x; kept because of the line 'autosnap: hold until=soon'; \
             kept because of the line 'by hand'\n"
        )
    );
    assert_eq!(
        stored(&simulator, 100),
        format!("cv4pve-autosnap\n{lines}\nautosnap: note text=x")
    );
    ok(&simulator, &["release", "100", SNAPSHOT]);
    assert_eq!(
        stored(&simulator, 100),
        "cv4pve-autosnap\nby hand\nautosnap: note text=x"
    );
    let (status, _, stderr) = call(&simulator, &["note", "100", SNAPSHOT, ""]);
    assert_eq!(status, 0);
    assert!(
        stderr.contains("no longer counts as taken by this tool"),
        "{stderr}"
    );
}

/// Checks that a command fails, with a part of its output, and writes nothing.
fn check_failure(simulator: &Simulator, arguments: &[&str], status: i32, parts: &[&str]) {
    let before = writes(simulator);
    let (code, stdout, stderr) = call(simulator, arguments);
    assert_eq!(
        (code, stdout.as_str()),
        (status, ""),
        "{arguments:?}: {stderr}"
    );
    for part in parts {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    assert_eq!(writes(simulator), before, "{stderr}");
}

#[test]
fn a_long_description_of_another_snapshot_is_named_shortened() {
    let mut world = marked_world();
    world["guests"][0]["snapshots"][2]["description"] = "x".repeat(200_000).into();
    let simulator = cluster_of(world);
    let (status, _, stderr) = call(&simulator, &["hold", "100", "byhand"]);
    assert_eq!(status, 1, "{}", stderr.len());
    assert!(stderr.len() < 1000, "{}", stderr.len());
    assert!(stderr.contains("its description is 'xxx"), "{stderr}");
}

#[test]
fn wrong_guests_and_snapshots_are_named() {
    let simulator = cluster();
    let cases: [(&[&str], i32, &[&str]); 7] = [
        (&["hold", "99", SNAPSHOT], 2, &["invalid guest ID `99`"]),
        (
            &["hold", "web01", SNAPSHOT],
            2,
            &[
                "invalid guest ID `web01`",
                "hint: the ID is in: cv4pve-autosnap status --vmid=web01",
            ],
        ),
        (
            &["hold", "999", SNAPSHOT],
            1,
            &["there is no guest 999", "status --vmid=@all"],
        ),
        (
            &["hold", "100", "autodaily"],
            1,
            &[
                "VM 100 (web01) has no snapshot 'autodaily'",
                "its snapshots of this tool: autodaily260102000000, autodaily260101000000",
            ],
        ),
        (
            &["hold", "100", "current"],
            1,
            &["has no snapshot 'current'"],
        ),
        (
            &["release", "101", SNAPSHOT],
            1,
            &["the guest has no snapshot of this tool"],
        ),
        (
            &["note", "106", "byhand", "x"],
            1,
            &[
                "snapshot 'byhand' of CT 106 (dns) was not taken by this tool",
                "before the\\nupgrade",
            ],
        ),
    ];
    for (arguments, status, parts) in cases {
        check_failure(&simulator, arguments, status, parts);
    }
}

#[test]
fn wrong_options_are_named() {
    let simulator = cluster();
    let cases: [(&[&str], &str); 9] = [
        (
            &["hold", "100", SNAPSHOT, "--until=soon"],
            "invalid time 'soon'",
        ),
        (
            &["hold", "100", SNAPSHOT, "--until=2020-01-01"],
            "must be in the future",
        ),
        (&["expire", "100", SNAPSHOT], "--at TIME or --in TIME"),
        (
            &["expire", "100", SNAPSHOT, "--in=14"],
            "invalid duration '14'",
        ),
        (
            &["expire", "100", SNAPSHOT, "--in=1d", "--never"],
            "only one of",
        ),
        (&["hold", "100"], "SNAPSHOT"),
        (&["hold", "100", SNAPSHOT, "--keep=7"], "--keep"),
        (&["note", "100", SNAPSHOT], "TEXT"),
        (&["status", "--until=1d", "--vmid=100"], "--until"),
    ];
    for (arguments, part) in cases {
        check_failure(&simulator, arguments, 2, &[part]);
    }
    let long = "x".repeat(501);
    let note = ["note", "100", SNAPSHOT, long.as_str()];
    check_failure(&simulator, &note, 2, &["at most 500 characters"]);
    assert!(simulator.journal().requests().is_empty());
}

#[test]
fn a_locked_guest_an_offline_node_and_a_missing_privilege_are_reported() {
    let simulator = cluster();
    for (arguments, parts) in [
        (
            ["hold", "102", SNAPSHOT],
            [
                "VM 102 (busy) is busy: VM is locked (backup)",
                "repeat the command",
            ],
        ),
        (
            ["hold", "105", SNAPSHOT],
            ["No route to host", "the node does not answer"],
        ),
    ] {
        let (status, _, stderr) = call(&simulator, &arguments);
        assert_eq!(status, 1, "{stderr}");
        for part in parts {
            assert!(stderr.contains(part), "{part}: {stderr}");
        }
    }
    let mut reader = program_as("reader", &simulator);
    let (status, _, stderr) = run(reader.args(["hold", "100", SNAPSHOT]));
    assert_eq!(status, 1);
    for part in [
        "Permission check failed (/vms/100, VM.Snapshot)",
        "pveum acl modify /vms/100",
        "backup@pve!reader",
    ] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    assert_eq!(stored(&simulator, 100), "cv4pve-autosnap");
}

/// A cluster whose first request of a method fails in this way.
fn with_fault(method: &str, effect: &Value) -> Simulator {
    let rule = json!({"method": method, "path": "/nodes/*/*/*/snapshot/*/config", "times": 1, "effect": effect});
    let plan = FaultPlan::parse(&json!({"requests": [rule]}).to_string()).unwrap();
    cluster_with_faults(marked_world(), plan)
}

#[test]
fn a_change_is_sent_once_and_its_effect_is_read_after_a_lost_reply() {
    for effect in ["drop_after", "cut_answer"] {
        let simulator = with_fault("PUT", &json!(effect));
        ok(&simulator, &["hold", "106", SNAPSHOT]);
        assert_eq!(writes(&simulator), 1, "{effect}");
        assert_eq!(
            without_since(&stored(&simulator, 106)),
            "cv4pve-autosnap\nautosnap: hold\n"
        );
    }
    let simulator = with_fault("PUT", &json!("drop_before"));
    let (status, _, stderr) = call(&simulator, &["hold", "100", SNAPSHOT]);
    assert_eq!(status, 1, "{stderr}");
    for part in [
        "it may have been carried out",
        "is unchanged so far",
        "repeat the command",
    ] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    assert_eq!(writes(&simulator), 1);
    assert_eq!(stored(&simulator, 100), "cv4pve-autosnap");
    ok(&simulator, &["hold", "100", SNAPSHOT]);
}

#[test]
fn a_snapshot_that_changed_between_two_reads_is_not_written() {
    for config in [
        json!({"snaptime": 1_767_312_000, "description": "kept by hand"}),
        json!({"snaptime": 1_767_312_099, "description": "cv4pve-autosnap"}),
        json!({"snaptime": 1_767_312_000}),
    ] {
        let reply = json!({"answer": {"status": 200, "reason": "OK", "body": {"data": config}}});
        let simulator = with_fault("GET", &reply);
        let hold = ["hold", "100", SNAPSHOT];
        check_failure(
            &simulator,
            &hold,
            1,
            &["changed by another program meanwhile"],
        );
        assert_eq!(stored(&simulator, 100), "cv4pve-autosnap");
    }
}

#[test]
fn a_parameter_file_of_a_job_serves_for_the_connection() {
    let simulator = cluster();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("daily.conf");
    std::fs::write(
        &file,
        "--vmid=@all --label=daily --keep=7 --state --max-parallel=2\nsnap\n",
    )
    .unwrap();
    let parameters = format!("@{}", file.display());
    let (status, _, stderr) = call(&simulator, &[&parameters, "hold", "100", SNAPSHOT]);
    assert_eq!(status, 2, "the file names its own command: {stderr}");
    std::fs::write(
        &file,
        "--vmid=@all --label=daily --keep=7 --state --max-parallel=2\n",
    )
    .unwrap();
    ok(&simulator, &[&parameters, "hold", "100", SNAPSHOT]);
    assert_eq!(writes(&simulator), 1);
}
