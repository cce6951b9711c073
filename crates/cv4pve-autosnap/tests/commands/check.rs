// SPDX-License-Identifier: GPL-3.0-only
//! `check` finds problems, changes nothing, and agrees with the next `snap`.

use serde_json::{Value, json};

use crate::support::{cluster, cluster_of, host, program, program_as, program_at, run, world};

fn findings(text: &str) -> Vec<(String, Option<u64>)> {
    let report: Value = serde_json::from_str(text).unwrap();
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|finding| {
            (
                finding["kind"].as_str().unwrap().to_owned(),
                finding["vmid"].as_u64(),
            )
        })
        .collect()
}

#[test]
fn every_guest_is_checked_and_nothing_is_changed() {
    let simulator = cluster();
    let (status, stdout, stderr) =
        run(program_as("auto", &simulator).args(["check", "--output=json"]));
    assert_eq!(status, 1, "{stdout}{stderr}");
    let found = findings(&stdout);
    for expected in [
        ("cannot-snapshot", Some(101)),
        ("locked", Some(102)),
        ("stuck", Some(103)),
        ("storage", None),
        ("node-offline", Some(105)),
        ("any-certificate", None),
    ] {
        let expected = (expected.0.to_owned(), expected.1);
        assert!(found.contains(&expected), "{expected:?} in {found:?}");
    }
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let ready: Vec<u64> = report["guests"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|guest| guest["ready"] == json!(true))
        .map(|guest| guest["vmid"].as_u64().unwrap())
        .collect();
    assert_eq!(ready, [100]);
    assert_eq!(report["hosts"][0]["fingerprint"], simulator.fingerprint());
    assert!(simulator.journal().mutations().is_empty());
}

#[test]
fn the_text_report_has_findings_and_commands() {
    let simulator = cluster();
    let (_, stdout, _) = run(program_as("auto", &simulator).arg("check"));
    for expected in [
        "Login backup@pve!auto: API token",
        "Guests: 6 visible, 6 selected, 1 can be snapshotted now",
        "    100 qemu web01 on pve1: can be snapshotted",
        "--force drops the snapshot from the configuration even if its disk part stays behind",
        "PROBLEM: VM 102 on node pve1: locked (backup)",
        "    qm unlock 103 && qm delsnapshot 103 autodaily260101000000 --force\n",
        "does not support snapshots: scsi0: local:101/vm-101-disk-0.raw",
        "storage bulk on node pve1 is 97.0% full, above the limit of 95%; guests: 104",
    ] {
        assert!(stdout.contains(expected), "{expected}\n{stdout}");
    }
    let pin = format!("--fingerprint={}", simulator.fingerprint());
    assert!(stdout.contains(&pin), "{stdout}");
}

#[test]
fn check_accepts_the_options_of_snap_and_a_healthy_guest_passes() {
    let simulator = cluster();
    let options = [
        "--vmid=100",
        "check",
        "--label=daily",
        "--keep=7",
        "--state",
        "--max-perc-storage=90",
        "--timestamp-format=yyMMddHHmmss",
        "--only-running",
    ];
    let pin = format!("--fingerprint={}", simulator.fingerprint());
    let (status, stdout, stderr) = run(program_as("auto", &simulator).arg(pin).args(options));
    assert_eq!(status, 0, "{stdout}{stderr}");
    assert!(
        stdout.contains("Check: 0 problems, 0 warnings, "),
        "{stdout}"
    );
}

#[test]
fn a_long_name_and_ram_that_does_not_fit_are_found() {
    let mut world = world();
    world["guests"][0]["config"]["memory"] = json!(60_000);
    let simulator = cluster_of(world);
    let options = [
        "--vmid=100",
        "check",
        "--label=every_four_hours_and_a_bit",
        "--state",
        "-o",
        "Json",
        "--timestamp-format=yyyyMMddHHmmss",
    ];
    let (status, stdout, stderr) = run(program_as("auto", &simulator).args(options));
    assert_eq!(status, 1, "{stderr}");
    let kinds: Vec<String> = findings(&stdout)
        .into_iter()
        .map(|(kind, _)| kind)
        .collect();
    assert!(kinds.contains(&"invalid-name".to_owned()), "{kinds:?}");
    assert!(kinds.contains(&"ram-does-not-fit".to_owned()), "{kinds:?}");
}

#[test]
fn missing_privileges_are_reported_with_the_command_that_grants_them() {
    let simulator = cluster();
    let (status, stdout, _) =
        run(program_as("reader", &simulator).args(["--vmid=100,102", "check"]));
    assert_eq!(status, 1, "{stdout}");
    assert!(
        stdout.contains("VM.Snapshot is missing on /vms"),
        "{stdout}"
    );
    assert!(
        stdout.contains("    pveum acl modify /vms --tokens 'backup@pve!reader' --roles Autosnap")
    );
    // The command for the user depends on a condition: it is in the text report, not in the JSON commands.
    assert!(
        stdout.contains(
            "; if the user lacks it too, also pveum acl modify /vms --users 'backup@pve'"
        ),
        "{stdout}"
    );
    let json = ["--vmid=100,102", "check", "--output=Json"];
    let (_, stdout, _) = run(program_as("reader", &simulator).args(json));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let mut commands = findings
        .iter()
        .filter_map(|finding| finding["commands"].as_array());
    let is_command = |line: &Value| !line.as_str().unwrap().contains('#');
    assert!(
        commands.all(|lines| lines.iter().all(is_command)),
        "{stdout}"
    );
    let (status, stdout, _) = run(program_as("empty", &simulator).arg("check"));
    assert_eq!(status, 1, "{stdout}");
    assert!(stdout.contains("this login has no permissions"), "{stdout}");
}

#[test]
fn an_unreachable_host_is_reported_and_the_next_one_is_used() {
    let simulator = cluster();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // The local port of an open connection has no listener, and no other process can take it.
    let connection = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let off = connection.local_addr().unwrap();
    let hosts = format!("{off},{}", host(&simulator));
    let (_, stdout, _) = run(program_at("auto", &hosts).args(["--vmid=100", "check"]));
    assert!(
        stdout.contains(&format!("Host {off}: does not answer")),
        "{stdout}"
    );
    assert!(
        stdout.contains(&format!("Host {}: Proxmox VE 8.", host(&simulator))),
        "{stdout}"
    );
    let (status, stdout, _) = run(program_at("auto", &off.to_string()).arg("check"));
    assert_eq!(status, 3, "{stdout}");
}

#[test]
fn a_wrong_login_exits_with_3() {
    let simulator = cluster();
    let hosts = format!("--host={}", host(&simulator));
    let token = "backup@pve!auto=99999999-9999-4999-8999-999999999999";
    let mut command = program();
    command
        .env("CV4PVE_API_TOKEN", token)
        .args([&hosts, "check"]);
    let (status, stdout, _) = run(&mut command);
    assert_eq!(status, 3, "{stdout}");
    assert!(stdout.contains("login failed for"), "{stdout}");
}

#[test]
fn a_certificate_with_another_fingerprint_is_refused() {
    let simulator = cluster();
    let pin = format!("--fingerprint={}", ["AA"; 32].join(":"));
    let (status, stdout, _) = run(program_as("auto", &simulator).args([&pin, "check"]));
    assert_eq!(status, 3, "{stdout}");
    assert!(stdout.contains("PROBLEM: the certificate of "), "{stdout}");
    assert!(stdout.contains(&simulator.fingerprint()), "{stdout}");
    assert!(simulator.journal().requests().is_empty());
}

#[test]
fn lost_quorum_and_a_missing_hook_are_problems() {
    let mut world = world();
    world["cluster"]["quorate"] = json!(false);
    world["roles"]["Autosnap"] = json!(["VM.Audit", "VM.Snapshot", "Datastore.Audit", "Sys.Audit"]);
    let simulator = cluster_of(world);
    let options = ["--vmid=100", "check", "--script=missing.sh"];
    let (status, stdout, _) = run(program_as("auto", &simulator).args(options));
    assert_eq!(status, 1, "{stdout}");
    assert!(
        stdout.contains("Cluster lab: no quorum; pve1 online, pve2 offline"),
        "{stdout}"
    );
    assert!(
        stdout.contains("PROBLEM: the cluster has no quorum"),
        "{stdout}"
    );
    assert!(stdout.contains("missing.sh"), "{stdout}");
    assert!(
        stdout.contains("100 qemu web01 on pve1: not now: no quorum"),
        "{stdout}"
    );
}

#[test]
fn snap_creates_the_snapshots_that_check_predicted() {
    let simulator = cluster();
    let (_, stdout, _) = run(program_as("auto", &simulator).args(["check", "--output=json"]));
    let predicted: Value = serde_json::from_str(&stdout).unwrap();
    let guests = predicted["guests"].as_array().unwrap();
    let ready = guests.iter().filter(|guest| guest["ready"] == json!(true));
    let ready: Vec<u64> = ready.map(|guest| guest["vmid"].as_u64().unwrap()).collect();
    let snap = ["snap", "--label=predicted", "--keep=1"];
    let (status, _, _) = run(program_as("auto", &simulator).arg("--vmid=@all").args(snap));
    assert_eq!(status, 1);
    let status = [
        "--vmid=@all",
        "status",
        "--label=predicted",
        "--output=json",
    ];
    let (_, stdout, _) = run(program_as("auto", &simulator).args(status));
    let rows: Value = serde_json::from_str(&stdout).unwrap();
    let taken = rows.as_array().unwrap().iter().map(|row| match &row["VM"] {
        Value::String(text) => text.parse().unwrap(),
        other => other.as_u64().unwrap(),
    });
    assert_eq!(taken.collect::<Vec<u64>>(), ready);
}
