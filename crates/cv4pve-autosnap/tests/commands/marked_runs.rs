// SPDX-License-Identifier: GPL-3.0-only
//! Runs of `snap` and `clean` on snapshots with marks, and the marks in `status` and `check`.

use pve_sim::simulator::Simulator;
use serde_json::{Value, json};

use crate::support::{SECRET, cluster_of, host, program_as, run, successful, world};

const HELD: &str = "cv4pve-autosnap\nautosnap: hold until=2099-01-31T00:00:00Z reason=audit\n";
const EXPIRED: &str = "cv4pve-autosnap\nautosnap: expire at=2026-01-10T00:00:00Z";
const UNREADABLE: &str = "cv4pve-autosnap\nautosnap: hold until=soon";
const OLD: &str = "cv4pve-autosnap\nautosnap: hold since=2020-01-01T00:00:00Z";

/// The VMs 100 and 106, which is a container, with a daily snapshot for each description, oldest first.
fn cluster(descriptions: &[&str]) -> Simulator {
    let mut world = world();
    let snapshots: Vec<Value> = descriptions
        .iter()
        .zip(1_767_225_600_u64..)
        .enumerate()
        .map(|(day, (description, second))| {
            json!({"name": name(day), "snaptime": second + 86_400 * u64::try_from(day).unwrap(),
                   "description": description})
        })
        .collect();
    let guests = world["guests"].as_array_mut().unwrap();
    guests[0]["snapshots"] = snapshots.clone().into();
    guests.push(
        json!({"vmid": 106, "type": "lxc", "node": "pve1", "name": "dns", "status": "running",
            "config": {"rootfs": "local:106/vm-106-disk-0.qcow2,size=1G"}, "snapshots": snapshots}),
    );
    cluster_of(world)
}

fn name(day: usize) -> String {
    format!("autodaily2601{:02}000000", day + 1)
}

fn call(simulator: &Simulator, arguments: &[&str]) -> (i32, String, String) {
    run(program_as("auto", simulator)
        .env("TZ", "UTC")
        .arg("--vmid=100,106")
        .args(arguments))
}

/// Runs a command that succeeds; returns its output.
fn ok(simulator: &Simulator, arguments: &[&str]) -> String {
    successful(call(simulator, arguments), arguments)
}

/// The days of the snapshots that a guest still has, and how many others it has.
fn days(simulator: &Simulator, vmid: u32, all: usize) -> (Vec<usize>, usize) {
    simulator.world(|world| {
        let snapshots = &world.guests[&vmid].snapshots;
        let left: Vec<usize> = (0..all)
            .filter(|day| snapshots.contains_key(&name(*day)))
            .collect();
        let others = snapshots.len() - left.len();
        (left, others)
    })
}

/// Runs a command and checks which snapshots both guests have afterwards, and how many others.
fn check(descriptions: &[&str], arguments: &[&str], left: &[usize], others: usize) -> String {
    let simulator = cluster(descriptions);
    let dry = [arguments, &["--dry-run"]].concat();
    let planned = ok(&simulator, &dry);
    let printed = ok(&simulator, arguments);
    for vmid in [100, 106] {
        let found = days(&simulator, vmid, descriptions.len());
        assert_eq!(found, (left.to_vec(), others), "{vmid}: {printed}");
    }
    planned
}

const PLAIN: &str = "cv4pve-autosnap";

#[test]
fn held_snapshots_stay_beside_those_that_a_rule_keeps() {
    let descriptions = [HELD, PLAIN, UNREADABLE, PLAIN, PLAIN];
    let planned = check(
        &descriptions,
        &["clean", "--label=daily", "--keep=2"],
        &[0, 2, 3, 4],
        0,
    );
    for line in [
        "Keep snapshot: autodaily260101000000 (held until 2099-01-31 00:00: audit)",
        "Keep snapshot: autodaily260103000000 (kept because of the line 'autosnap: hold until=soon' in its description)",
        "Snapshot autodaily260103000000 is kept because of the line 'autosnap: hold until=soon' in its description",
    ] {
        assert!(planned.contains(line), "{line}: {planned}");
    }
    check(
        &descriptions,
        &["snap", "--label=daily", "--keep=1"],
        &[0, 2],
        1,
    );
    let of_none = check(
        &descriptions,
        &["clean", "--label=daily", "--keep=0"],
        &[0, 2],
        0,
    );
    assert!(
        of_none.contains("1 snapshot kept because of a hold: autodaily260101000000"),
        "{of_none}"
    );
}

#[test]
fn expired_snapshots_are_removed_by_the_next_run_of_their_series() {
    let descriptions = [PLAIN, EXPIRED, PLAIN];
    let planned = check(
        &descriptions,
        &["clean", "--label=daily", "--keep=7"],
        &[0, 2],
        0,
    );
    let line = "Remove snapshot: autodaily260102000000\n  expired 2026-01-10 00:00";
    assert!(planned.contains(line), "{planned}");
    check(
        &descriptions,
        &["snap", "--label=daily", "--keep=7"],
        &[0, 2],
        1,
    );
    check(
        &descriptions,
        &["snap", "--label=hourly", "--keep=7"],
        &[0, 1, 2],
        1,
    );
    check(
        &descriptions,
        &["clean", "--label=hourly", "--keep=0"],
        &[0, 1, 2],
        0,
    );
}

#[test]
fn new_snapshots_get_marks_with_their_creation() {
    let simulator = cluster(&[PLAIN, PLAIN]);
    let arguments = [
        "snap",
        "--label=daily",
        "--keep=2",
        "--hold",
        "--expires=14d",
        "--note",
        "two\nlines",
    ];
    let planned = ok(&simulator, &[arguments.as_slice(), &["--dry-run"]].concat());
    for line in ["  held\n", "  expires 20", "  note: two\\nlines\n"] {
        assert!(planned.contains(line), "{line}: {planned}");
    }
    ok(&simulator, &arguments);
    let requests = simulator.journal().requests();
    assert!(requests.iter().all(|request| request.method != "PUT"));
    for vmid in [100, 106] {
        // The new one is held, so the two others stay.
        assert_eq!(days(&simulator, vmid, 2), (vec![0, 1], 1));
        let listed: Value =
            serde_json::from_str(&ok(&simulator, &["status", "--output=Json"])).unwrap();
        let rows = listed.as_array().unwrap();
        let new = rows
            .iter()
            .find(|row| row["VM"] == vmid && row["marks"].is_object());
        let marks = &new.unwrap()["marks"];
        assert_eq!(
            (&marks["held"], &marks["note"]),
            (&json!(true), &json!("two\nlines"))
        );
        assert_eq!(marks["hold"]["until"], Value::Null);
        assert!(
            marks["hold"]["since"].is_string() && marks["expires"].is_string(),
            "{marks}"
        );
    }
}

#[test]
fn marks_of_new_snapshots_are_checked_before_any_request() {
    let simulator = cluster(&[PLAIN]);
    let long = format!("--note={}", "x".repeat(501));
    for (option, part) in [
        ("--expires=14", "invalid duration '14'"),
        ("--expires=0d", "invalid duration '0d'"),
        ("--expires=2099-01-01", "invalid duration '2099-01-01'"),
        ("--note= ", "the text must not be empty"),
        (long.as_str(), "at most 500 characters"),
    ] {
        let (status, _, stderr) = call(&simulator, &["snap", "--label=daily", "--keep=1", option]);
        assert_eq!(status, 2, "{option}: {stderr}");
        assert!(stderr.contains(part), "{option}: {stderr}");
    }
    let (status, _, stderr) = call(
        &simulator,
        &["clean", "--label=daily", "--keep=1", "--hold"],
    );
    assert_eq!(status, 2, "{stderr}");
    assert!(simulator.journal().requests().is_empty());
}

/// A hook that holds the oldest snapshot of its guest before the creation.
#[cfg(unix)]
fn holding_hook(simulator: &Simulator, folder: &std::path::Path) -> String {
    use std::os::unix::fs::PermissionsExt;

    let program = assert_cmd::cargo::cargo_bin!("cv4pve-autosnap");
    let script = folder.join("hook");
    let text = format!(
        "#!/bin/sh\n[ \"$CV4PVE_AUTOSNAP_PHASE\" = snap-create-pre ] || exit 0\n\
         export CV4PVE_API_TOKEN='backup@pve!auto={SECRET}'\n\
         '{}' --host={} hold \"$CV4PVE_AUTOSNAP_VMID\" {}\n",
        program.display(),
        host(simulator),
        name(0)
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    script.display().to_string()
}

#[cfg(unix)]
#[test]
fn a_hold_that_is_set_between_plan_and_removal_wins() {
    let simulator = cluster(&[PLAIN, PLAIN, PLAIN]);
    let folder = tempfile::tempdir().unwrap();
    let hook = format!("--script={}", holding_hook(&simulator, folder.path()));
    let printed = ok(&simulator, &["snap", "--label=daily", "--keep=2", &hook]);
    for vmid in [100, 106] {
        assert_eq!(
            days(&simulator, vmid, 3),
            (vec![0, 2], 1),
            "{vmid}: {printed}"
        );
    }
}

#[test]
fn check_names_old_holds_and_lines_that_cannot_be_read() {
    let simulator = cluster(&[OLD, UNREADABLE, HELD, PLAIN]);
    let (_, stdout, _) = call(&simulator, &["check", "--label=daily", "--keep=2"]);
    for line in [
        "Snapshot autodaily260101000000 has been held for more than a year, since 2020-01-01",
        "Snapshot autodaily260102000000 is kept because of the line 'autosnap: hold until=soon' in its description",
    ] {
        assert!(stdout.contains(line), "{line}: {stdout}");
    }
    assert!(!stdout.contains("autodaily260103000000"), "{stdout}");
}

#[test]
fn status_shows_marks_in_every_form() {
    let simulator = cluster(&[HELD, UNREADABLE, EXPIRED, PLAIN]);
    let described = [
        "cv4pve-autosnap; held until 2099-01-31 00:00 (audit)",
        "cv4pve-autosnap; kept because of the line 'autosnap: hold until=soon'",
        "cv4pve-autosnap; expired 2026-01-10 00:00",
    ];
    for form in [
        "Text",
        "Plain",
        "Markdown",
        "Html",
        "Csv",
        "Yaml",
        "Jsonl",
        "JsonPretty",
    ] {
        let printed = ok(
            &simulator,
            &["status", "--label=daily", &format!("--output={form}")],
        );
        for text in described {
            let yaml = text.replace('\'', "''");
            assert!(
                printed.contains(text) || printed.contains(&yaml),
                "{form}: {text}: {printed}"
            );
        }
    }
    let csv = ok(&simulator, &["status", "--output=Csv"]);
    let columns: Vec<usize> = csv.lines().map(|line| line.matches(',').count()).collect();
    assert!(columns.iter().all(|count| *count == columns[0]), "{csv}");
    let listed: Value =
        serde_json::from_str(&ok(&simulator, &["status", "--output=Json"])).unwrap();
    let marks: Vec<Option<&Value>> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row.get("marks"))
        .collect();
    let until = json!("2099-01-31T00:00:00Z");
    let held = json!({"held": true, "hold": {"since": null, "until": until, "reason": "audit"}});
    let unreadable = json!({"held": true, "unreadable": ["autosnap: hold until=soon"]});
    let expired = json!({"held": false, "expires": "2026-01-10T00:00:00Z"});
    let expected = [Some(&held), Some(&unreadable), Some(&expired), None];
    assert_eq!(marks, [expected, expected].concat());
}

/// Proxmox VE limits neither the length of a description nor the number of its lines.
#[test]
fn long_descriptions_are_printed_shortened() {
    let long = "x".repeat(200_000);
    let descriptions = [
        format!("cv4pve-autosnap\nautosnap: {long}"),
        format!("cv4pve-autosnap\nautosnap: note text={long}"),
        format!("cv4pve-autosnap\nautosnap: hold{}", "\ny".repeat(1000)),
        format!("cv4pve-autosnap\nautosnap: hold reason={long}"),
    ];
    let simulator = cluster(&descriptions.each_ref().map(String::as_str));
    for output in ["Text", "Markdown", "Html"] {
        let printed = ok(&simulator, &["status", &format!("--output={output}")]);
        assert!(
            printed.chars().count() < 20_000,
            "{output}: {}",
            printed.len()
        );
        assert!(
            printed.contains("and of 997 more lines"),
            "{output}: {printed}"
        );
    }
    let printed = ok(&simulator, &["status", "--output=Json"]);
    assert!(printed.contains(&long), "the JSON has the whole text");
    for arguments in [
        ["clean", "--label=daily", "--keep-last=1", "--dry-run"],
        ["clean", "--label=daily", "--keep-last=1", "--debug"],
    ] {
        let (status, stdout, stderr) = call(&simulator, &arguments);
        assert_eq!(status, 0, "{arguments:?}: {stderr}");
        assert!(stdout.len() + stderr.len() < 30_000, "{stdout}{stderr}");
    }
}
