// SPDX-License-Identifier: GPL-3.0-only
//! The status in `/cluster/resources` may be ten seconds old, so `--state` and `--only-running` do
//! not rely on it.

use serde_json::Value;

use crate::harness::Lab;
use crate::world::{World, ct, vm};

/// Whether each snapshot of a guest holds RAM.
fn with_ram(lab: &Lab, vmid: u32) -> Vec<bool> {
    lab.simulator.world(|world| {
        let snapshots = world.guests[&vmid].snapshots.values();
        snapshots
            .map(|snapshot| snapshot.vmstate.is_some())
            .collect()
    })
}

fn status_requests(lab: &Lab) -> usize {
    let requests = lab.simulator.journal().requests();
    let all = requests.iter();
    all.filter(|request| request.path.ends_with("/status/current"))
        .count()
}

/// With `--state` RAM is requested for every VM, regardless of the listed status: PVE saves it if the VM runs,
/// and omits it if not. It is never requested for a container.
#[test]
fn ram_is_requested_regardless_of_the_listed_status() {
    let lab = Lab::new(&World::new([
        vm(100, "started").with("listed_status", "stopped"),
        vm(101, "off").stopped(),
        vm(102, "stopped")
            .stopped()
            .with("listed_status", "running"),
        ct(200, "dns"),
    ]));
    lab.run("--vmid=@all snap --label=daily --keep=1 --state")
        .assert_status(0)
        .assert_not_printed("holds no RAM");
    assert_eq!(with_ram(&lab, 100), [true]);
    for vmid in [101, 102, 200] {
        assert_eq!(with_ram(&lab, vmid), [false], "{vmid}");
    }
}

#[test]
fn no_ram_is_requested_without_state() {
    let lab = Lab::new(&World::new([vm(100, "web01")]));
    lab.run("--vmid=@all snap --label=daily --keep=1")
        .assert_status(0);
    assert_eq!(with_ram(&lab, 100), [false]);
}

/// If a running VM has no RAM in its new snapshot, because it was started during the snapshot, the
/// text and the JSON report warn of it; the exit status is 0.
#[test]
fn a_snapshot_of_a_running_vm_without_ram_is_a_warning() {
    for (output, expected) in [
        ("Text", "  WARNING: the VM runs, but snapshot autodaily"),
        ("Json", "holds no RAM"),
    ] {
        let faults = r#"{"requests": [{"method": "GET", "path": "/nodes/*/qemu/100/snapshot",
            "when": {"nth": 2}, "effect": "hold"}]}"#;
        let lab = Lab::with_faults(
            &World::new([vm(100, "web01").stopped().taken("daily", &[1])]),
            faults,
        );
        let mut command = lab.command();
        command
            .arg(format!("--host={}", lab.host()))
            .args([
                "--api-token=file:token",
                "--vmid=100",
                "snap",
                "--label=daily",
                "--keep=1",
                "--state",
            ])
            .arg(format!("--output={output}"));
        let run = std::thread::scope(|scope| {
            let run = scope.spawn(|| lab.finish(command));
            lab.until_fault_applied(0);
            lab.simulator.world(|world| {
                let since = world.now();
                let guest = world.guests.get_mut(&100).unwrap();
                guest.running = Some(pve_sim::world::guest::Running { since, pid: 1 });
            });
            lab.simulator.release();
            run.join().unwrap()
        });
        run.assert_status(0).assert_out(expected);
        if output == "Json" {
            let warnings = &run.json()["guests"][0]["warnings"];
            assert!(
                matches!(warnings, Value::Array(list) if list.len() == 1),
                "{run}"
            );
        }
        assert_eq!(
            lab.changes(),
            [
                "create 100 autodaily<now>",
                "delete 100 autodaily240101000000"
            ]
        );
    }
}

/// `--only-running` reads the current status of the guests that are listed as not running.
#[test]
fn only_running_reads_the_current_status_before_it_skips() {
    let world = World::new([
        vm(100, "started").with("listed_status", "stopped"),
        vm(101, "off").stopped(),
        vm(102, "on"),
        ct(200, "new").with("listed_status", "stopped"),
        vm(103, "golden").set("template", 1).stopped(),
    ]);
    let lab = Lab::new(&world);
    let output = lab.run("--vmid=@all snap --label=daily --keep=1 --only-running");
    output
        .assert_status(0)
        .assert_out("----- VM 100 qemu running -----")
        .assert_out("Skip VM '--only-running' parameter used!");
    let mut changes = lab.changes();
    changes.sort();
    assert_eq!(
        changes,
        [
            "create 100 autodaily<now>",
            "create 102 autodaily<now>",
            "create 200 autodaily<now>"
        ]
    );
    // One more request shows how old the figures of the node are.
    assert_eq!(status_requests(&lab), 3 + 1);

    let check = lab
        .run("--vmid=@all check --only-running --output=json")
        .json();
    let ready: Vec<u64> = check["guests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|guest| guest["vmid"].as_u64().unwrap())
        .collect();
    assert_eq!(ready, [100, 102, 200]);
}

#[test]
fn no_status_is_requested_without_only_running() {
    let lab = Lab::new(&World::new([
        vm(100, "started").with("listed_status", "stopped")
    ]));
    lab.run("--vmid=@all snap --label=daily --keep=1")
        .assert_status(0);
    assert_eq!(status_requests(&lab), 0);
}

#[test]
fn a_guest_whose_status_cannot_be_read_is_a_failure() {
    let faults = r#"{"requests": [{"method": "GET", "path": "/nodes/*/qemu/100/status/current",
        "effect": {"answer": {"status": 500, "reason": "VM 100 qmp command failed"}}}]}"#;
    let lab = Lab::with_faults(
        &World::new([vm(100, "web01").stopped(), vm(101, "on")]),
        faults,
    );
    lab.run("--vmid=@all snap --label=daily --keep=1 --only-running")
        .assert_status(1)
        .assert_out("VM 100 qmp command failed");
    assert_eq!(lab.changes(), ["create 101 autodaily<now>"]);
}
