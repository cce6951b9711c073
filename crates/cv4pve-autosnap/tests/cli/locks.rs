// SPDX-License-Identifier: GPL-3.0-only
//! Locked guests: the run waits for other snapshot tasks, and retries guests with another lock once
//! after all other guests.

use std::process::{Child, Stdio};

use pve_sim::simulator::Options;
use pve_sim::world::guest::Guest as Simulated;
use serde_json::json;

use crate::harness::{Lab, Output, until};
use crate::paused_run::PausingHook;
use crate::world::{Guest, World, credentials, ct, name, vm};

/// Starts a run in the background, with its report in a pipe.
fn start(lab: &Lab, args: &str) -> Child {
    let mut command = lab.command();
    command
        .arg(format!("--host={}", lab.host()))
        .arg("--api-token=file:token")
        .args(args.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits for a started run; returns its exit status and report.
fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    let report = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&report).into_owned(),
    )
}

fn lab_with_tasks_of(seconds: f64, guests: impl IntoIterator<Item = Guest>) -> Lab {
    let mut options = Options::new(World::new(guests).to_json(), credentials());
    options.timing.task_seconds = seconds;
    Lab::with(options)
}

/// Runs three labels at the same moment, as timers do at midnight.
fn three_labels_at_the_same_time(guests: u32) {
    let all = (100..100 + guests).map(|vmid| {
        let guest = if vmid % 3 == 0 {
            ct(vmid, "dns")
        } else {
            vm(vmid, "web")
        };
        guest.on(if vmid % 2 == 0 { "pve1" } else { "pve2" })
    });
    let lab = lab_with_tasks_of(0.05, all);
    let labels = ["hourly", "daily", "weekly"];
    let runs =
        labels.map(|label| start(&lab, &format!("--vmid=@all snap --label={label} --keep=2")));
    for run in runs {
        let (status, report) = ended(run);
        assert_eq!(status, Some(0), "{report}");
    }
    let created = lab.changes();
    for label in labels {
        let of_label = created.iter().filter(|change| change.contains(label));
        assert_eq!(of_label.count(), guests as usize, "{label}");
    }
    assert_eq!(created.len(), 3 * guests as usize);
    // At least one run met a lock of another one, in its task or when it read the guest.
    let requests = lab.simulator.journal().requests();
    let reads = requests
        .iter()
        .filter(|request| request.path.ends_with("/config"));
    let tasks = lab.simulator.journal().tasks();
    let refused = tasks
        .iter()
        .filter(|task| task.exitstatus.as_deref() != Some("OK"));
    assert!(reads.count() + refused.count() > created.len());
}

#[test]
fn three_labels_at_midnight_create_all_snapshots_of_forty_guests() {
    three_labels_at_the_same_time(40);
}

#[test]
fn three_labels_in_one_second_create_all_snapshots_of_twelve_guests() {
    three_labels_at_the_same_time(12);
}

/// The run waits for another snapshot task for at most `--wait-snapshot-lock`, and 0 switches that
/// off.
#[test]
fn wait_snapshot_lock_limits_the_wait_for_another_snapshot_task() {
    let lab = lab_with_tasks_of(3600.0, [vm(100, "web01")]);
    let first = start(&lab, "--vmid=100 snap --label=hourly --keep=1");
    let is_locked = || {
        lab.simulator
            .world(|world| world.guests[&100].lock.is_some())
    };
    until("the first snapshot is being taken", is_locked);
    lab.run("--vmid=100 snap --label=daily --keep=1 --wait-snapshot-lock=0")
        .assert_status(1)
        .assert_out("VM is locked (snapshot)")
        .assert_out("--wait-snapshot-lock")
        .assert_not_printed("Waiting: ");
    lab.run("--vmid=100 snap --label=daily --keep=1 --wait-snapshot-lock=1s")
        .assert_status(1)
        .assert_out("Waiting: VM is locked (snapshot)\nTrying again after ")
        .assert_out("Error in task: VM is locked (snapshot)");
    lab.run("--vmid=100 snap --label=daily --keep=1 --dry-run")
        .assert_status(0)
        .assert_out("Would wait: VM is locked (snapshot)")
        .assert_not_printed("is not complete");
    assert_eq!(
        lab.writes().len(),
        1,
        "nothing is requested for a locked guest"
    );
    let second = start(&lab, "--vmid=100 snap --label=daily --keep=1");
    lab.until_requested("the second run reads again", |request| {
        request.path.ends_with("/tasks") || request.path.contains("/tasks?")
    });
    lab.simulator.advance(3600.0);
    assert_eq!(ended(first).0, Some(0));
    until("the second snapshot is requested", || {
        lab.writes().len() == 2
    });
    lab.simulator.advance(3600.0);
    let (status, report) = ended(second);
    assert_eq!(status, Some(0), "{report}");
    assert_eq!(lab.changes().len(), 2);
}

/// Without Sys.Audit PVE shows a login only its own tasks. The run also waits for a lock of another
/// login that it saw a moment ago; an old one is reported as left over.
#[test]
fn a_run_waits_for_a_snapshot_task_of_another_login() {
    let lab = lab_with_tasks_of(7200.0, [vm(100, "web01")]);
    let first = start(&lab, "--vmid=100 snap --label=hourly --keep=1");
    let is_locked = || {
        lab.simulator
            .world(|world| world.guests[&100].lock.is_some())
    };
    until("the first snapshot is being taken", is_locked);
    let as_another_login = |option: &str| {
        let mut command = lab.command();
        command
            .arg(format!("--host={}", lab.host()))
            .args(["--username=backup@pve", "--password=example-backup"])
            .args(["--vmid=100", "snap", "--label=daily", "--keep=1", option]);
        lab.finish(command)
    };
    as_another_login("--wait-snapshot-lock=1s")
        .assert_status(1)
        .assert_out("Waiting: VM is locked (snapshot)\nTrying again after ")
        .assert_not_printed("no task that this login can see");
    as_another_login("--dry-run")
        .assert_status(0)
        .assert_out("Would wait: VM is locked (snapshot)");
    lab.simulator.advance(3600.0);
    as_another_login("--dry-run")
        .assert_status(1)
        .assert_out("no task that this login can see works on it");
    lab.simulator.advance(3600.0);
    assert_eq!(ended(first).0, Some(0));
}

/// The task itself meets the lock, of the creation and of a removal.
#[test]
fn a_run_waits_for_a_snapshot_lock_that_its_task_meets() {
    let fault = |kind: &str, lock: &str| {
        format!(
            r#"{{"tasks": [{{"kind": "{kind}", "times": 1, "effect": {{"fail": "VM is locked ({lock})"}}}}]}}"#
        )
    };
    for kind in ["qmsnapshot", "qmdelsnapshot"] {
        for lock in ["snapshot", "snapshot-delete"] {
            let world = World::new([vm(100, "web01").taken("daily", &[1])]);
            let lab = Lab::with_faults(&world, &fault(kind, lock));
            lab.run("--vmid=100 snap --label=daily --keep=1")
                .assert_status(0)
                .assert_out(&format!("Waiting: VM is locked ({lock})\n"));
            assert_eq!(lab.changes().len(), 2);
        }
        let world = World::new([vm(100, "web01").taken("daily", &[1])]);
        let lab = Lab::with_faults(&world, &fault(kind, "backup"));
        lab.run("--vmid=100 snap --label=daily --keep=1")
            .assert_status(1)
            .assert_out("Error in task: VM is locked (backup)");
    }
}

/// A lock left over by a dead task does not delay every run by ten minutes.
#[test]
fn a_run_does_not_wait_for_a_lock_without_a_task() {
    let lab = Lab::new(&World::new([
        vm(100, "stuck").set("lock", "snapshot"),
        vm(101, "web01"),
    ]));
    lab.run("--vmid=@all snap --label=daily --keep=1")
        .assert_status(1)
        .assert_out("VM is locked (snapshot), and no task that this login can see works on it");
    assert_eq!(lab.changes(), ["create 101 autodaily<now>"]);
}

/// A guest that is locked by a backup at the start and is unlocked later gets its snapshot, after
/// all others; one that is still locked fails. No hook is called while the guest is locked.
#[test]
fn a_guest_that_is_unlocked_during_the_run_gets_its_snapshot() {
    for lock in ["backup", "migrate", "snapshot", "clone"] {
        let lab = Lab::new(&World::new([
            vm(100, "web01").set("lock", lock).taken("daily", &[1]),
            vm(101, "web02"),
            vm(102, "held").set("lock", "backup"),
        ]));
        let hook = PausingHook::new(&lab);
        let args = "--vmid=@all --max-parallel=1 snap --label=daily --keep=1";
        let mut run = hook.start(&lab, args);
        assert_eq!(run.reached(), "snap-job-start");
        run.resume();
        assert_eq!(run.reached(), "snap-create-pre 101");
        lab.simulator
            .world(|world| world.guests.get_mut(&100).unwrap().lock = None);
        let phases = run.resume_to_the_end();
        assert_eq!(
            phases,
            [
                "snap-create-post 101",
                "snap-create-pre 100",
                "snap-remove-pre 100",
                "snap-remove-post 100",
                "snap-create-post 100",
                "snap-create-pre 102",
                "snap-create-abort 102",
                "snap-job-end"
            ],
            "{lock}"
        );
        let output = run.ended();
        output
            .assert_status(1)
            .assert_out("guests: 2 done, 0 skipped, 1 with errors")
            .assert_out("VM 102 held on pve1: VM is locked (backup)");
        assert_eq!(
            lab.changes(),
            [
                "create 101 autodaily<now>".to_owned(),
                "create 100 autodaily<now>".to_owned(),
                format!("delete 100 {}", name("daily", 1)),
            ],
            "{lock}"
        );
    }
}

/// The plan shows the steps after the unlock, and the JSON report the steps that were done.
#[test]
fn the_plan_and_the_json_report_show_the_steps_of_an_unlocked_guest() {
    let lab = Lab::new(&World::new([vm(100, "web01")
        .set("lock", "backup")
        .taken("daily", &[1])]));
    let snap = "--vmid=@all snap --label=daily --keep=1";
    let dry_run = lab.run(&format!("{snap} --dry-run"));
    dry_run
        .assert_status(1)
        .assert_out("VM is locked (backup)\n")
        .assert_out("    Create snapshot: autodaily<now>\n")
        .assert_out("    Remove snapshot: autodaily240101000000\n");
    let report = lab.run(&format!("{snap} --output=Json")).json();
    assert_eq!(report["guests"][0]["result"], json!("refused"));
    assert_eq!(
        report["guests"][0]["reason"],
        json!("VM is locked (backup)")
    );

    // The lock is gone at the second read.
    lab.set_faults(
        r#"{"requests": [{"path": "/nodes/*/qemu/100/config", "when": {"nth": 2}, "effect": "hold"}]}"#,
    );
    let run = start(&lab, &format!("{snap} --output=Json"));
    lab.until_fault_applied(0);
    lab.simulator
        .world(|world| world.guests.get_mut(&100).unwrap().lock = None);
    lab.simulator.release();
    let (status, report) = ended(run);
    assert_eq!(status, Some(0), "{report}");
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let guest = &report["guests"][0];
    assert_eq!(guest["result"], json!("done"));
    assert_eq!(guest["reason"], json!(null));
    assert_eq!(guest["hint"], json!(null));
    assert!(guest["created"].is_string(), "{guest}");
    assert_eq!(guest["removed"], json!(["autodaily240101000000"]));
}

/// `clean` calls the removal hooks of a locked guest, if there is something to remove.
#[test]
fn clean_calls_the_removal_hooks_of_a_locked_guest() {
    let lab = Lab::new(&World::new([
        vm(100, "web01")
            .set("lock", "backup")
            .taken("daily", &[1, 2, 3]),
        vm(101, "web02").set("lock", "backup").taken("daily", &[1]),
    ]));
    let script = lab.script(
        "hook.sh",
        "#!/bin/sh\nv() { eval \"echo \\$CV4PVE_AUTOSNAP_$1\"; }\n\
         echo \"$(v PHASE) $(v VMID) $(v SNAP_NAME) $(v STATE)\" >>calls\n",
    );
    let output = lab.call([
        "--vmid=@all",
        "clean",
        "--label=daily",
        "--keep=1",
        &format!("--script={}", script.display()),
    ]);
    output
        .assert_status(1)
        .assert_out("VM is locked (backup)")
        .assert_out("guests: 1 done, 0 skipped, 1 with errors");
    let calls = std::fs::read_to_string(lab.folder().join("calls")).unwrap();
    assert_eq!(
        calls,
        "clean-job-start   0\n\
         snap-remove-pre 100 autodaily240101000000 0\n\
         snap-remove-abort 100 autodaily240101000000 0\n\
         clean-job-end   0\n"
    );
    lab.assert_unchanged();
}

/// The same for a `clean` that waits for the lock until its time limit.
#[test]
fn clean_calls_the_removal_hooks_after_waiting_for_a_lock_without_success() {
    let lab = Lab::new(&World::new([vm(100, "web01")
        .set("lock", "backup")
        .taken("daily", &[1, 2])]));
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(
        &lab,
        "--vmid=100 clean --label=daily --keep=1 --wait-locked=1s",
    );
    assert_eq!(run.reached(), "clean-job-start");
    assert_eq!(
        run.resume_to_the_end(),
        [
            "snap-remove-pre 100",
            "snap-remove-abort 100",
            "clean-job-end"
        ]
    );
    run.ended()
        .assert_status(1)
        .assert_out("Waiting: VM is locked (backup)\nTrying again after ")
        .assert_out("Error in task: VM is locked (backup)");
    lab.assert_unchanged();
}

/// Runs the program and changes the guest while its tasks are listed for the `nth` time.
fn while_tasks_are_listed(nth: u32, args: &str, change: impl Fn(&mut Simulated)) -> (Lab, Output) {
    let faults = format!(
        r#"{{"requests": [{{"method": "GET", "path": "/nodes/*/tasks", "when": {{"nth": {nth}}},
            "effect": "hold"}}]}}"#
    );
    let guest = vm(100, "web01").set("lock", "snapshot-delete");
    let world = World::new([guest.taken("daily", &[1, 2])]);
    let lab = Lab::with_faults(&world, &faults);
    let output = std::thread::scope(|scope| {
        let run = scope.spawn(|| lab.run(args));
        lab.until_fault_applied(0);
        lab.simulator
            .world(|world| change(world.guests.get_mut(&100).unwrap()));
        lab.simulator.release();
        run.join().unwrap()
    });
    (lab, output)
}

const LEFT_OVER: &str = "and no task that this login can see works on it";

/// The lock and the task that holds it are read by two requests. A task that ends between them is
/// in no list, but its lock is not left over.
#[test]
fn a_lock_whose_task_ends_before_the_tasks_are_listed_is_not_left_over() {
    // The plan lists the tasks twice, and each guest run lists them once more.
    for (nth, args) in [
        (2, "--vmid=100 snap --label=daily --keep=2 --dry-run"),
        (2, "--vmid=100 clean --label=daily --keep=1 --dry-run"),
        (3, "--vmid=100 snap --label=daily --keep=2"),
        (3, "--vmid=100 clean --label=daily --keep=1"),
    ] {
        let (lab, output) = while_tasks_are_listed(nth, args, |guest| guest.lock = None);
        output.assert_status(0).assert_not_printed(LEFT_OVER);
        let is_dry_run = args.ends_with("--dry-run");
        assert_eq!(lab.changes().is_empty(), is_dry_run, "{args}: {output}");
    }
}

/// A lock of the same name that the next task has set is not left over either.
#[test]
fn a_lock_that_the_next_task_has_set_is_not_left_over() {
    for (nth, dry_run) in [(2, "--dry-run"), (3, "")] {
        let args =
            format!("--vmid=100 snap --label=daily --keep=2 --wait-snapshot-lock=0 {dry_run}");
        let (lab, output) = while_tasks_are_listed(nth, &args, |guest| {
            guest.snapshots.pop_first();
        });
        output
            .assert_out("VM is locked (snapshot-delete)")
            .assert_not_printed(LEFT_OVER);
        lab.assert_unchanged();
    }
}

/// A lock that is unchanged after the tasks were listed is left over; checking that costs one
/// request.
#[test]
fn an_unchanged_lock_without_a_task_is_left_over() {
    let (lab, output) = while_tasks_are_listed(
        2,
        "--vmid=100 clean --label=daily --keep=1 --dry-run",
        |_| {},
    );
    output.assert_out(LEFT_OVER);
    let requests = lab.simulator.journal().requests();
    let reads = requests
        .iter()
        .filter(|one| one.path.ends_with("/qemu/100/config"))
        .count();
    assert_eq!(reads, 2, "{output}");
}

/// If the state of a snapshot changes between two reads, a task is working on it: `check` does not
/// report it as left over.
#[test]
fn check_does_not_report_a_snapshot_that_a_new_task_is_removing_as_left_over() {
    let name = "autodaily240101000000";
    let faults = r#"{"requests": [{"method": "GET", "path": "/nodes/*/tasks", "times": 1, "effect": "hold"}]}"#;
    let check = |then: &str| {
        let lab = Lab::with_faults(&World::new([vm(100, "web01").taken("daily", &[1])]), faults);
        let reach = |state: &str| {
            lab.simulator.world(|world| {
                let guest = world.guests.get_mut(&100).unwrap();
                guest.snapshots.get_mut(name).unwrap().state = Some(state.to_owned());
            });
        };
        reach("prepare");
        std::thread::scope(|scope| {
            let run = scope.spawn(|| lab.run("--vmid=100 check --label=daily --keep=1"));
            lab.until_fault_applied(0);
            reach(then);
            lab.simulator.release();
            run.join().unwrap()
        })
    };
    check("prepare").assert_out("qm delsnapshot 100");
    check("delete").assert_not_printed("qm delsnapshot 100");
}

#[test]
fn a_dry_run_prints_would_wait_only_if_the_run_would_wait() {
    let lab = Lab::new(&World::new([
        vm(105, "web05")
            .set("lock", "backup")
            .taken("daily", &[1, 2]),
        ct(203, "proxy")
            .set("lock", "backup")
            .taken("daily", &[1, 2, 3]),
    ]));
    let clean = "--vmid=105,203 clean --label=daily --dry-run";
    let output = lab.run(&format!("{clean} --keep=3"));
    output.assert_status(0).assert_not_printed("Would wait");
    let output = lab.run(&format!("{clean} --keep=2"));
    output.assert_status(1).assert_not_printed("Would wait");
    let output = lab.run(&format!("{clean} --keep=2 --wait-locked"));
    let waits = output.assert_status(0).lines("Would wait");
    assert_eq!(waits, ["Would wait: CT is locked (backup)"]);
}
