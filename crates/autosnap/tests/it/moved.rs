// SPDX-License-Identifier: GPL-3.0-only
//! Guests that move to another node in the middle of a run. A missing container, and any removal, is
//! refused by the task and not by the answer: the task says then that nothing was done.

use pve_sim::faults::FaultPlan;

use crate::gate::{Gate, Run};
use crate::harness::Lab;
use crate::world::{World, ct, vm};

fn lab() -> Lab {
    Lab::new(&World::of([
        vm(100, "web01").taken("daily", &[1, 2]),
        ct(109, "files").taken("daily", &[1]),
    ]))
}

/// Goes on until that phase is reached.
fn go_to(run: &mut Run<'_>, phase: &str) {
    loop {
        let reached = run.reached();
        assert_ne!(reached, "ended", "{phase} was never reached");
        if reached == phase {
            return;
        }
        run.go_on();
    }
}

fn move_to_pve2(lab: &Lab, vmid: u32) {
    lab.simulator
        .world(|world| "pve2".clone_into(&mut world.guests.get_mut(&vmid).unwrap().node));
}

fn posts(lab: &Lab) -> Vec<String> {
    let mut writes = lab.writes();
    writes.retain(|write| write.starts_with("POST"));
    writes
}

#[test]
fn a_container_that_has_moved_is_asked_for_on_its_new_node() {
    let lab = lab();
    let gate = Gate::new(&lab);
    let mut run = gate.start(&lab, "--vmid=109 snap --label=daily --keep=1");
    go_to(&mut run, "snap-create-pre 109");
    move_to_pve2(&lab, 109);
    run.finish().assert_status(0);
    assert_eq!(
        posts(&lab),
        [
            "POST /api2/json/nodes/pve1/lxc/109/snapshot",
            "POST /api2/json/nodes/pve2/lxc/109/snapshot"
        ]
    );
    assert_eq!(
        lab.changes(),
        [
            "create 109 autodaily<now>",
            "delete 109 autodaily240101000000"
        ]
    );
}

#[test]
fn a_removal_is_asked_for_on_the_new_node_of_a_guest() {
    let lab = Lab::new(&World::of([vm(100, "web01").taken("daily", &[1])]));
    // The guest leaves its node between the look at its snapshots and the removal.
    let slow = r#"{"requests": [{"method": "DELETE", "times": 1, "effect": {"delay": 3}}]}"#;
    lab.simulator.set_faults(FaultPlan::parse(slow).unwrap());
    let output = std::thread::scope(|scope| {
        let run = scope.spawn(|| lab.run("--vmid=100 clean --label=daily --keep=0"));
        let looks = || {
            let requests = lab.simulator.journal().requests();
            let looks = requests
                .iter()
                .filter(|one| one.path.ends_with("/snapshot"));
            looks.count()
        };
        // Once for the plan, once right before the removal.
        while looks() < 2 {
            std::thread::yield_now();
        }
        move_to_pve2(&lab, 100);
        run.join().unwrap()
    });
    output.assert_status(0);
    let path = "qemu/100/snapshot/autodaily240101000000";
    assert_eq!(
        lab.writes(),
        [
            format!("DELETE /api2/json/nodes/pve1/{path}"),
            format!("DELETE /api2/json/nodes/pve2/{path}")
        ]
    );
    assert_eq!(lab.changes(), ["delete 100 autodaily240101000000"]);
}

#[test]
fn a_guest_that_is_gone_is_known_to_have_got_nothing() {
    let lab = lab();
    let gate = Gate::new(&lab);
    let mut run = gate.start(&lab, "--vmid=109 snap --label=daily --keep=1");
    go_to(&mut run, "snap-create-pre 109");
    lab.simulator.world(|world| world.guests.remove(&109));
    let output = run.finish();
    output
        .assert_status(1)
        .assert_out("Error in task: Configuration file 'nodes/pve1/lxc/109.conf' does not exist\n")
        .assert_out("  hint: the guest is gone, or was moved to a node that cannot be seen\n");
    assert!(!output.stdout.contains("not known"), "{output}");
    assert_eq!(posts(&lab).len(), 1, "{output}");
}

#[test]
fn a_task_that_finds_no_configuration_on_the_right_node_is_not_repeated() {
    let lab = lab();
    let faults = r#"{"tasks": [{"kind": "vzsnapshot", "effect": {"fail": "Configuration file 'nodes/pve1/lxc/109.conf' does not exist"}}]}"#;
    lab.simulator.set_faults(FaultPlan::parse(faults).unwrap());
    lab.run("--vmid=109 snap --label=daily --keep=1")
        .assert_status(1);
    assert_eq!(posts(&lab).len(), 1);
    // Nor more than once, if it does not end there.
    let gate = Gate::new(&lab);
    let mut run = gate.start(&lab, "--vmid=109 snap --label=hourly --keep=1");
    go_to(&mut run, "snap-create-pre 109");
    move_to_pve2(&lab, 109);
    run.finish().assert_status(1);
    assert_eq!(posts(&lab).len(), 3);
}

#[test]
fn a_guest_locked_by_its_move_is_followed_when_it_is_tried_again() {
    let lab = lab();
    let faults = r#"{"tasks": [{"kind": "vzsnapshot", "times": 1, "effect": {"fail": "CT is locked (migrate)"}}]}"#;
    lab.simulator.set_faults(FaultPlan::parse(faults).unwrap());
    let gate = Gate::new(&lab);
    let mut run = gate.start(
        &lab,
        "--vmid=109 snap --label=daily --keep=1 --wait-locked=20s",
    );
    go_to(&mut run, "snap-create-pre 109");
    run.go_on();
    while posts(&lab).is_empty() {
        std::thread::yield_now();
    }
    move_to_pve2(&lab, 109);
    run.finish()
        .assert_status(0)
        .assert_out("Waiting: CT is locked (migrate)");
    assert_eq!(
        posts(&lab),
        [
            "POST /api2/json/nodes/pve1/lxc/109/snapshot",
            "POST /api2/json/nodes/pve2/lxc/109/snapshot"
        ]
    );
}
