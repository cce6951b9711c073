// SPDX-License-Identifier: GPL-3.0-only
//! The status in `/cluster/resources` is up to ten seconds old: `--state` and `--only-running` do not
//! rely on it.

use serde_json::Value;

use crate::harness::Lab;
use crate::world::{World, ct, vm};

/// Which of a guest's snapshots hold RAM.
fn with_ram(lab: &Lab, vmid: u32) -> Vec<bool> {
    lab.simulator.world(|world| {
        let snapshots = world.guests[&vmid].snapshots.values();
        snapshots
            .map(|snapshot| snapshot.vmstate.is_some())
            .collect()
    })
}

fn asked_for_status(lab: &Lab) -> usize {
    let requests = lab.simulator.journal().requests();
    let asked = requests.iter();
    asked
        .filter(|request| request.path.ends_with("/status/current"))
        .count()
}

/// A VM that was started a moment ago and is still listed as stopped gets its RAM; one that does
/// not run is asked for it as well, and PVE leaves it out. A container is never asked for it.
#[test]
fn ram_is_asked_for_whatever_the_listing_says() {
    let lab = Lab::new(&World::of([
        vm(100, "started").with("listed_status", "stopped"),
        vm(101, "off").stopped(),
        vm(102, "stopped")
            .stopped()
            .with("listed_status", "running"),
        ct(200, "dns"),
    ]));
    lab.run("--vmid=@all snap --label=daily --keep=1 --state")
        .assert_status(0)
        .assert_not_said("holds no RAM");
    assert_eq!(with_ram(&lab, 100), [true]);
    for vmid in [101, 102, 200] {
        assert_eq!(with_ram(&lab, vmid), [false], "{vmid}");
    }
}

/// Without `--state` no RAM is asked for.
#[test]
fn no_ram_without_state() {
    let lab = Lab::new(&World::of([vm(100, "web01")]));
    lab.run("--vmid=@all snap --label=daily --keep=1")
        .assert_status(0);
    assert_eq!(with_ram(&lab, 100), [false]);
}

/// A VM that runs and whose new snapshot holds no RAM, because it started while the snapshot was
/// taken, is warned of in the text, in JSON and by nothing else: the snapshot is there.
#[test]
fn a_running_machine_without_ram_is_warned_of() {
    for (output, expected) in [
        ("Text", "  WARNING: the VM runs, but snapshot autodaily"),
        ("Json", "holds no RAM"),
    ] {
        let faults = r#"{"requests": [{"method": "GET", "path": "/nodes/*/qemu/100/snapshot",
            "when": {"nth": 2}, "effect": "hold"}]}"#;
        let lab = Lab::with_faults(
            &World::of([vm(100, "web01").stopped().taken("daily", &[1])]),
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
            lab.until_met(0);
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

/// `--only-running` asks those that are listed as not running, and only those.
#[test]
fn only_running_asks_before_it_leaves_out() {
    let world = World::of([
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
    // Another one tells how old the figures of its node are.
    assert_eq!(asked_for_status(&lab), 3 + 1);

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

/// Without `--only-running` nobody is asked.
#[test]
fn nobody_is_asked_without_only_running() {
    let lab = Lab::new(&World::of([
        vm(100, "started").with("listed_status", "stopped")
    ]));
    lab.run("--vmid=@all snap --label=daily --keep=1")
        .assert_status(0);
    assert_eq!(asked_for_status(&lab), 0);
}

/// A guest whose status cannot be read is not left out in silence.
#[test]
fn a_status_that_cannot_be_read_is_a_failure() {
    let faults = r#"{"requests": [{"method": "GET", "path": "/nodes/*/qemu/100/status/current",
        "effect": {"answer": {"status": 500, "reason": "VM 100 qmp command failed"}}}]}"#;
    let lab = Lab::with_faults(
        &World::of([vm(100, "web01").stopped(), vm(101, "on")]),
        faults,
    );
    lab.run("--vmid=@all snap --label=daily --keep=1 --only-running")
        .assert_status(1)
        .assert_out("VM 100 qmp command failed");
    assert_eq!(lab.changes(), ["create 101 autodaily<now>"]);
}
