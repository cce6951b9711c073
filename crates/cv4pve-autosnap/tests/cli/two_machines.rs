// SPDX-License-Identifier: GPL-3.0-only
//! Concurrent runs of the same job on two machines. The lock files of one machine do not apply, because each
//! machine uses another address of the cluster.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};

use pve_sim::journal::{Action, Mutation};
use pve_sim::simulator::Options;
use serde_json::Value;

use crate::harness::{Lab, until};
use crate::paused_run::PausingHook;
use crate::world::{Guest, World, credentials, day, vm};

const FORMAT: &str = "--timestamp-format=yyyyMMddHHmmssfff";
const KEEP: usize = 2;

/// A guest with six snapshots of the label.
fn guest(vmid: u32) -> Guest {
    (1..=6).fold(vm(vmid, "web"), |guest, number| {
        let name = format!("autodaily202401{number:02}000000000");
        guest.snapshot(&name, day(number), "cv4pve-autosnap")
    })
}

fn lab(task_seconds: f64) -> Lab {
    let world = World::new([guest(100), guest(101), guest(102)]);
    let mut options = Options::new(world.to_json(), credentials());
    options.listen = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); 2];
    options.timing.task_seconds = task_seconds;
    Lab::with(options)
}

/// A command with the login and the cluster address of a machine, so that PVE's tasks show which
/// machine started them. Each has its own time zone: two runs in the same millisecond would use the
/// same snapshot name, which PVE refuses.
fn on_machine(lab: &Lab, number: usize, args: &str) -> Command {
    let mut command = lab.command();
    command.arg(format!("--host={}", lab.simulator.addresses()[number]));
    let login: &[&str] = match number {
        0 => &["--api-token=file:token"],
        _ => &["--username=backup@pve", "--password=example-backup"],
    };
    command.args(login).args(args.split_whitespace());
    command.env("TZ", format!("UTC-{number}"));
    command
}

/// Fails unless every change was made once and no removal removed one of the newest snapshots at
/// that time; returns the remaining snapshots.
fn replay(mutations: &[Mutation]) -> BTreeMap<u32, Vec<String>> {
    let first = |number| format!("autodaily202401{number:02}000000000");
    let mut left: BTreeMap<u32, Vec<String>> = [100, 101, 102]
        .map(|vmid| (vmid, (1..=6).map(first).collect()))
        .into();
    for mutation in mutations {
        let snapshots = left.get_mut(&mutation.vmid).unwrap();
        let name = mutation.snapshot.clone().unwrap();
        let position = snapshots.iter().position(|other| *other == name);
        match (mutation.action, position) {
            (Action::Create, None) => snapshots.push(name),
            (Action::Delete, Some(position)) => {
                assert!(snapshots.len() - position > KEEP, "{name} of {snapshots:?}");
                snapshots.remove(position);
            }
            _ => panic!("{mutation:?} with {snapshots:?}"),
        }
    }
    left
}

/// Fails unless the report shows exactly the changes of that user's tasks in PVE.
fn assert_report_is_true(status: i32, report: &Value, mutations: &[Mutation], user: &str) {
    let mut reported = Vec::new();
    let mut all_done = true;
    for guest in report["guests"].as_array().unwrap() {
        let vmid = guest["vmid"].as_u64().unwrap();
        all_done &= guest["result"] == "done";
        if let Some(name) = guest["created"].as_str() {
            reported.push(format!("Create {vmid} {name}"));
        }
        for name in guest["removed"].as_array().unwrap() {
            reported.push(format!("Delete {vmid} {}", name.as_str().unwrap()));
        }
    }
    let end = format!(":{user}:");
    let own = mutations
        .iter()
        .filter(|one| one.upid.as_deref().is_some_and(|upid| upid.ends_with(&end)));
    let mut done: Vec<String> = own
        .map(|one| {
            format!(
                "{:?} {} {}",
                one.action,
                one.vmid,
                one.snapshot.as_deref().unwrap()
            )
        })
        .collect();
    reported.sort_unstable();
    done.sort_unstable();
    assert_eq!(reported, done, "{report}");
    assert_eq!(status == 0, all_done, "{report}");
    assert_eq!(report["exit_status"], status);
}

#[test]
fn runs_on_two_machines_keep_the_snapshots_of_the_policy() {
    let jobs = [
        "snap --label=daily --keep=2",
        "clean --label=daily --keep=2",
    ];
    for (first, second, wait) in [
        (jobs[0], jobs[0], "--wait-snapshot-lock=0"),
        (jobs[0], jobs[1], "--wait-snapshot-lock=0"),
        (jobs[1], jobs[1], "--wait-snapshot-lock=0"),
        (jobs[0], jobs[0], ""),
        (jobs[0], jobs[0], "--wait-locked=60s"),
        (jobs[0], jobs[1], "--wait-locked=60s"),
    ] {
        let lab = lab(0.04);
        let waits = !wait.ends_with("=0");
        let args = |job| format!("--vmid=@all {job} {FORMAT} --output=Json {wait}");
        let children = [(0, first), (1, second)].map(|(number, job)| {
            let mut command = on_machine(&lab, number, &args(job));
            command.stdout(Stdio::piped()).stderr(Stdio::null());
            command.spawn().unwrap()
        });
        let results = children.map(|child| child.wait_with_output().unwrap());
        let mutations = lab.simulator.journal().mutations();
        for (result, user) in results.iter().zip(["backup@pve!auto", "backup@pve"]) {
            let status = result.status.code().unwrap();
            let report = serde_json::from_slice(&result.stdout).unwrap();
            assert_report_is_true(status, &report, &mutations, user);
            if waits {
                assert_eq!(status, 0, "{report}");
            }
        }
        for (vmid, left) in replay(&mutations) {
            assert!(left.len() >= KEEP, "{vmid}: {left:?}");
            if waits || first == second && first == jobs[1] {
                assert!(left.len() <= KEEP + 2, "{vmid}: {left:?}");
            }
        }
    }
}

/// A snapshot that the other machine is removing is locked; it is not reported as a leftover to be
/// repaired.
#[test]
fn a_running_removal_of_another_machine_is_a_lock() {
    let lab = lab(3600.0);
    lab.set_faults(r#"{"requests": [{"method": "DELETE", "times": 1, "effect": "hold"}]}"#);
    let args = format!(
        "--vmid=100 clean --label=daily --keep=5 --timeout=60 --wait-snapshot-lock=0 {FORMAT}"
    );
    let start = |number| {
        let mut command = on_machine(&lab, number, &args);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let first = start(0);
    // The first removal is confirmed and held before it is sent; the second machine removes first.
    lab.until_fault_applied(0);
    let second = start(1);
    let is_locked = || {
        lab.simulator
            .world(|world| world.guests[&100].lock.is_some())
    };
    until("the second one has begun", is_locked);
    lab.simulator.release();
    let output = first.wait_with_output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert!(
        report.contains("VM is locked (snapshot-delete)"),
        "{report}"
    );
    assert!(!report.contains("qm unlock"), "{report}");
    lab.simulator.advance(3600.0);
    assert!(second.wait_with_output().unwrap().status.success());
    assert_eq!(lab.changes(), ["delete 100 autodaily202<now>"]);
}

#[test]
fn snapshots_removed_by_another_machine_are_skipped() {
    for stop_at in ["snap-create-pre 100", "snap-remove-pre 100"] {
        let lab = lab(0.0);
        let hook = PausingHook::new(&lab);
        let mut first = hook.start(
            &lab,
            &format!("--vmid=100 snap --label=daily --keep=2 {FORMAT}"),
        );
        first.go_to(stop_at);
        let args = format!("--vmid=100 snap --label=daily --keep=2 {FORMAT}");
        let second = lab.finish(on_machine(&lab, 1, &args));
        second.assert_status(0);
        let output = first.finish();
        output.assert_status(0).assert_out("it is gone already");
        let left = replay(&lab.simulator.journal().mutations());
        assert!((KEEP..=KEEP + 1).contains(&left[&100].len()), "{left:?}");
    }
}
