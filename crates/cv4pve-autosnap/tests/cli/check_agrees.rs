// SPDX-License-Identifier: GPL-3.0-only
//! `check` and the dry run agree on random clusters and command lines: `check` has a problem if
//! and only if the dry run of the same line does not exit with 0.
//!
//! `CHECK_CASES=2000 cargo test -p cv4pve-autosnap --test cli check_agrees` tries many cases;
//! `CHECK_SEED=n` draws others. A failing case is made smaller before it is shown.

mod draw;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::harness::{Lab, Output, UnusedPort};
use crate::world::{World, credentials, ct, day, name, vm};
use draw::{Case, cases};

/// How many cases each part of an ordinary test run tries.
const USUAL_CASES: u32 = 30;

fn number(variable: &str) -> Option<u32> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Runs the cases, the same ones in every test run.
fn try_cases(part: u8, test: impl Fn(Case) -> Result<(), TestCaseError>) {
    let config = Config {
        cases: number("CHECK_CASES").unwrap_or(USUAL_CASES),
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Config::default()
    };
    let mut seed = [part; 32];
    seed[..4].copy_from_slice(&number("CHECK_SEED").unwrap_or_default().to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    if let Err(error) = TestRunner::new_with_rng(config, random).run(&cases(), test) {
        panic!("{error}");
    }
}

/// Whether the report of a `check` has a problem; also checks that text and exit status agree.
fn has_problem(check: &Output) -> Result<bool, TestCaseError> {
    // Invalid options: there is no report.
    if check.status == 2 {
        return Ok(true);
    }
    let report = check.json();
    let findings = report["findings"].as_array().unwrap();
    let problem = findings
        .iter()
        .any(|finding| finding["severity"] == "problem");
    prop_assert_eq!(report["ok"] == json!(true), !problem, "{}", check);
    prop_assert_eq!(check.status == 0, !problem, "{}", check);
    prop_assert_eq!(&report["exit_status"], &json!(check.status), "{}", check);
    Ok(problem)
}

fn agree(case: &Case) -> Result<(), TestCaseError> {
    let lab = case.lab();
    let off = UnusedPort::new();
    let mut dry = case.args(false, &lab, &off);
    dry.extend(["--dry-run".to_owned(), "--output=Json".to_owned()]);
    let dry = lab.bare(dry.iter().map(String::as_str));
    let mut check = case.args(true, &lab, &off);
    check.push("--output=Json".to_owned());
    let check = lab.bare(check.iter().map(String::as_str));
    let both = format!("{dry}{check}");
    prop_assert_eq!(has_problem(&check)?, dry.status != 0, "{}", both);
    // Options that a run refuses before it connects are reported with the findings of the connection.
    prop_assert!(
        dry.status == 2 || (check.status == 3) == (dry.status == 3),
        "{}",
        both
    );
    prop_assert_eq!(lab.changes(), [] as [&str; 0]);
    prop_assert_eq!(lab.writes(), [] as [&str; 0]);
    if check.status != 2 && dry.status != 2 && case.is_snap() {
        ready_guests_are_planned(&check.json(), &dry.json())?;
    }
    Ok(())
}

/// A guest that `check` calls ready gets its snapshot in the dry run.
fn ready_guests_are_planned(check: &Value, dry: &Value) -> Result<(), TestCaseError> {
    let ready = check["guests"].as_array().unwrap().iter();
    let ready = ready.filter(|guest| guest["ready"] == json!(true));
    for guest in ready {
        let mut planned = dry["guests"].as_array().unwrap().iter();
        let planned = planned.find(|one| one["vmid"] == guest["vmid"]).unwrap();
        prop_assert_eq!(&planned["result"], &json!("planned"), "{}{}", check, dry);
    }
    Ok(())
}

/// `check` has a problem if and only if the dry run of the same line fails.
#[test]
fn check_has_a_problem_if_and_only_if_the_dry_run_fails_1() {
    try_cases(1, |case| agree(&case));
}

/// The same with other cases.
#[test]
fn check_has_a_problem_if_and_only_if_the_dry_run_fails_2() {
    try_cases(2, |case| agree(&case));
}

/// In a crontab line the word `snap` can be replaced by `check`: it knows every option of
/// `snap`, and `check --for=clean` every option of `clean`.
#[test]
fn check_takes_every_option_of_snap_and_clean() {
    let lab = Lab::new(&World::new([vm(100, "web")]));
    lab.script("hook.sh", "#!/bin/sh\nexit 0\n");
    let common = "--vmid=100 --timeout=20 --timestamp-format=yyMMddHHmmss --max-perc-storage=90 --max-parallel=4 \
                  --max-parallel-per-node=2 --max-parallel-per-storage=3 --only-running --label=daily --keep=3 \
                  --script=hook.sh --hook-timeout=60 --hook-failure=skip-guest --force-remove --retry-stuck-removal \
                  --wait-locked=5m --strict --allow-unmatched-exclusions --removal-budget=30m --on-overlap=fail --overlap-timeout=10m --output=Json";
    for (command, more) in [("snap", "--state --max-parallel-ram=1"), ("clean", "")] {
        lab.run(&format!("{command} {common} {more} --dry-run"))
            .assert_status(0);
        let check = lab.run(&format!("check --for={command} {common} {more}"));
        check.assert_status(0);
        assert_eq!(check.json()["command"], command);
        assert!(!check.stdout.contains("missing-option"), "{check}");
    }
    lab.run(&format!("clean {common} --state --dry-run"))
        .assert_status(2);
    lab.run(&format!("check --for=clean {common} --state"))
        .assert_status(1);
    lab.assert_unchanged();
}

/// A locked guest is a problem without --wait-locked and none with it.
#[test]
fn a_locked_guest_is_a_problem_unless_the_run_waits() {
    let lab = Lab::new(&World::new([vm(100, "web").set("lock", "backup")]));
    let line = "check --vmid=100 --label=daily --keep=3";
    lab.run(line)
        .assert_status(1)
        .assert_out("PROBLEM: VM 100 on node pve1: locked (backup)");
    lab.run(&format!("{line} --wait-locked=5m"))
        .assert_status(0)
        .assert_out("WARNING: VM 100 on node pve1: locked (backup)")
        .assert_out("hint: the run waits for it, as --wait-locked is given");
    // No removal is due, so the lock blocks nothing.
    lab.run(&format!("{line} --for=clean")).assert_status(0);
}

/// A full storage is a problem only if a guest fails for it.
#[test]
fn a_full_storage_of_a_skipped_guest_is_not_a_problem() {
    let full = json!({"storage": "full", "type": "zfspool", "content": ["images", "rootdir"], "total": 100, "used": 99});
    let both = ct(101, "bound")
        .set("mp0", "/srv,mp=/srv")
        .set("mp1", "full:x,mp=/x,size=1G");
    let lab = Lab::new(&World::new([vm(100, "web"), both]).storage(full));
    lab.run("check --vmid=@all --label=daily --keep=3")
        .assert_status(0)
        .assert_out("WARNING: CT 101 on node pve1: skipped")
        .assert_not_printed("above the limit");
}

/// A dry run predicts what Proxmox VE would refuse and fails as the run would.
#[test]
fn a_dry_run_fails_where_the_login_may_not_snapshot_or_quorum_is_lost() {
    let mut world = World::new([vm(100, "web"), vm(101, "db")]).to_json();
    let entries = world["acl"].as_array_mut().unwrap();
    entries.push(json!({"path": "/vms/101", "who": "backup@pve", "role": "PVEAuditor"}));
    let lab = Lab::with(pve_sim::simulator::Options::new(world, credentials()));
    let line = "snap --vmid=@all --label=daily --keep=3";
    let dry = lab.run(&format!("{line} --dry-run"));
    dry.assert_status(1)
        .assert_out("Proxmox VE would refuse it: VM.Snapshot is missing on /vms/101");
    assert_eq!(dry.lines("Create snapshot").len(), 1, "{dry}");
    let check = lab.run(&line.replace("snap ", "check "));
    check
        .assert_status(1)
        .assert_out("PROBLEM: VM.Snapshot is missing on /vms/101");
    // The run agrees with both.
    lab.run(line).assert_status(1);
    assert_eq!(lab.changes(), ["create 100 autodaily<now>"]);

    let mut world = World::new([vm(100, "web")]).to_json();
    world["cluster"]["quorate"] = json!(false);
    world["roles"]["SnapRunner"] =
        json!(["VM.Audit", "VM.Snapshot", "Datastore.Audit", "Sys.Audit"]);
    let lab = Lab::with(pve_sim::simulator::Options::new(world, credentials()));
    lab.run(&format!("{line} --dry-run"))
        .assert_status(1)
        .assert_out("Proxmox VE would refuse it: the cluster has no quorum");
    lab.run(&line.replace("snap ", "check ")).assert_status(1);
    lab.run(line).assert_status(1);
}

/// Without Sys.Audit `check` reports that the quorum is unknown, and how to check it.
#[test]
fn check_reports_that_quorum_is_unknown_and_how_to_check_it() {
    let lab = Lab::new(&World::new([vm(100, "web")]));
    lab.run("check --vmid=100 --label=daily --keep=3")
        .assert_status(0)
        .assert_out("Cluster: quorum unknown")
        .assert_out("NOTE: this login cannot see whether the cluster has quorum")
        .assert_out("    pvecm status\n");
}

/// "Datastore.Audit is missing" is reported only if Proxmox VE confirms it; a storage that is
/// disabled, removed or restricted to other nodes is reported as such.
#[test]
fn a_storage_that_is_not_listed_is_named_for_what_it_is() {
    let storage = |name: &str| json!({"storage": name, "type": "zfspool", "content": ["images"]});
    let mut off = storage("off");
    off["disable"] = json!(true);
    let mut far = storage("far");
    far["nodes"] = json!(["pve2"]);
    let guest =
        |vmid, disk: &str| vm(vmid, "web").set("scsi1", format!("{disk}:vm-disk-1,size=1G"));
    let guests = [guest(100, "off"), guest(101, "far"), guest(102, "hidden")];
    let mut world = World::new(guests).storage(off).storage(far);
    world = world.storage(storage("hidden"));
    let mut world = world.to_json();
    let entries = world["acl"].as_array_mut().unwrap();
    entries.push(json!({"path": "/storage/hidden", "who": "backup@pve", "role": "NoAccess"}));
    let lab = Lab::with(pve_sim::simulator::Options::new(world, credentials()));
    let check = lab.run("check --vmid=@all --label=daily --keep=3");
    check
        .assert_out("WARNING: Datastore.Audit is missing on /storage/hidden")
        .assert_out("PROBLEM: VM 100 on node pve1: PVE would refuse the snapshot: storage 'off' is disabled")
        .assert_out("PROBLEM: VM 101 on node pve1: PVE would refuse the snapshot: storage 'far' is not available on node 'pve1'");
    assert_eq!(check.stdout.matches("is missing on").count(), 1, "{check}");
    lab.simulator.world(|world| world.storages.remove("off"));
    lab.run("check --vmid=@all --label=daily --keep=3")
        .assert_out("PROBLEM: VM 100 on node pve1: PVE would refuse the snapshot: storage 'off' does not exist");
}

/// During a run of the same login `check` names the task and calls no snapshot left behind.
#[test]
fn check_calls_no_snapshot_in_progress_left_behind() {
    let lab = Lab::with_faults(
        &World::new([vm(100, "web").taken("daily", &[1, 2])]),
        r#"{"tasks": [{"kind": "qmsnapshot", "effect": {"duration": 600}}]}"#,
    );
    let line = [
        "--vmid=100",
        "--label=daily",
        "--keep=1",
        "--timeout=600",
        "snap",
    ];
    let mut run = lab.command();
    run.arg(format!("--host={}", lab.host()))
        .arg("--api-token=file:token")
        .args(line)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let mut run = run.spawn().unwrap();
    lab.until_requested("the run sends its creation", |request| {
        request.method == "POST"
    });
    crate::harness::until("the snapshot is in progress", || {
        lab.simulator
            .world(|world| world.guests[&100].lock.is_some())
    });
    let waiting = lab.run("check --vmid=100 --label=daily --keep=1");
    let failing = lab.run("check --vmid=100 --label=daily --keep=1 --wait-snapshot-lock=0");
    run.kill().unwrap();
    run.wait().unwrap();
    waiting
        .assert_status(0)
        .assert_out("hint: the run waits for it, see --wait-snapshot-lock");
    for (check, status) in [(waiting, 0), (failing, 1)] {
        check
            .assert_status(status)
            .assert_out("a task works on it now (qmsnapshot)")
            .assert_not_printed("is not complete")
            .assert_not_printed("qm unlock");
    }
}

/// A task that ends between two requests is not mistaken for a leftover, in a run and in `check`.
#[test]
fn a_task_that_ends_between_two_requests_is_not_a_leftover() {
    let left = json!({"name": name("daily", 9), "snaptime": day(9), "description": "cv4pve-autosnap", "snapstate": "prepare"});
    let guest = vm(100, "web").set("lock", "snapshot").snapshot_with(left);
    for line in ["snap --dry-run", "check"] {
        let lab = Lab::new(&World::new([guest.clone()]));
        lab.set_faults(
            r#"{"requests": [{"path": "/nodes/*/tasks", "times": 1, "effect": "hold"}]}"#,
        );
        let output = std::thread::scope(|scope| {
            let running =
                scope.spawn(|| lab.run(&format!("{line} --vmid=100 --label=daily --keep=9")));
            lab.until_fault_applied(0);
            lab.simulator.world(|world| {
                let guest = world.guests.get_mut(&100).unwrap();
                guest.lock = None;
                for snapshot in guest.snapshots.values_mut() {
                    snapshot.state = None;
                }
            });
            lab.simulator.release();
            running.join().unwrap()
        });
        output.assert_status(0).assert_not_printed("unlock");
    }
}

/// If the login sees only its own tasks, the message warns about that before it proposes to unlock.
#[test]
fn a_possible_leftover_is_reported_with_what_the_login_cannot_see() {
    let left = json!({"name": name("daily", 9), "snaptime": day(9), "description": "cv4pve-autosnap", "snapstate": "delete"});
    let guest = vm(100, "web")
        .set("lock", "snapshot-delete")
        .snapshot_with(left);
    let world = World::new([guest]);
    let line = "check --vmid=100 --label=daily --keep=9";
    Lab::new(&world)
        .run(line)
        .assert_status(1)
        .assert_out("no task that this login can see works on it")
        .assert_out("this login sees its own tasks only (Sys.Audit on the node shows all)")
        .assert_out("delsnapshot may print an error and still succeed");
    let mut world = world.to_json();
    world["roles"]["SnapRunner"] =
        json!(["VM.Audit", "VM.Snapshot", "Datastore.Audit", "Sys.Audit"]);
    Lab::with(pve_sim::simulator::Options::new(world, credentials()))
        .run(line)
        .assert_status(1)
        .assert_not_printed("this login sees its own tasks only");
}

/// A hint for a token shows the user's line as well: entries for a token without privilege
/// separation have no effect, and Proxmox VE does not show a token whether it has it.
#[test]
fn a_refusal_for_a_token_shows_the_line_for_its_user() {
    let mut world = World::new([vm(100, "web")]).to_json();
    world["acl"][0]["role"] = json!("PVEAuditor");
    let lab = Lab::with(pve_sim::simulator::Options::new(world, credentials()));
    lab.run("snap --vmid=100 --label=daily --keep=3")
        .assert_status(1)
        .assert_out("if the user lacks it too, also pveum acl modify /vms/100 --users 'backup@pve' --roles Autosnap, which alone is right for a token made with --privsep 0");
}
