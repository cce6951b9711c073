// SPDX-License-Identifier: GPL-3.0-only
//! Guests that move to another node during a run. For a missing container, and for any removal, PVE
//! accepts the request and the task fails: its message then shows that nothing was done.

use crate::harness::{Lab, Output};
use crate::paused_run::PausingHook;
use crate::world::{World, ct, vm};

fn lab() -> Lab {
    Lab::new(&World::new([
        vm(100, "web01").taken("daily", &[1, 2]),
        ct(109, "files").taken("daily", &[1]),
    ]))
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
fn a_creation_is_repeated_on_the_new_node_of_a_container() {
    let lab = lab();
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(&lab, "--vmid=109 snap --label=daily --keep=1");
    run.go_to("snap-create-pre 109");
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

const OLD: &str = "autodaily240101000000";

/// Runs `clean` on a guest that moves after its snapshots were listed and before the removal, with
/// a change to the guest on its new node and with more faults.
fn moved_before_the_removal(
    meanwhile: impl FnOnce(&mut pve_sim::world::guest::Guest),
    faults: &str,
) -> (Lab, Output) {
    let world = World::new([vm(100, "web01").taken("daily", &[1])]);
    let hold = r#"{"method": "DELETE", "times": 1, "effect": "hold"}"#;
    let lab = Lab::with_faults(&world, &format!(r#"{{"requests": [{hold}{faults}]}}"#));
    let output = std::thread::scope(|scope| {
        let run = scope.spawn(|| lab.run("--vmid=100 clean --label=daily --keep=0"));
        lab.until_fault_applied(0);
        move_to_pve2(&lab, 100);
        lab.simulator
            .world(|world| meanwhile(world.guests.get_mut(&100).unwrap()));
        lab.simulator.release();
        run.join().unwrap()
    });
    (lab, output)
}

#[test]
fn a_removal_is_repeated_on_the_new_node_of_a_guest() {
    let (lab, output) = moved_before_the_removal(|_| {}, "");
    output.assert_status(0);
    let path = format!("qemu/100/snapshot/{OLD}");
    assert_eq!(
        lab.writes(),
        [
            format!("DELETE /api2/json/nodes/pve1/{path}"),
            format!("DELETE /api2/json/nodes/pve2/{path}")
        ]
    );
    assert_eq!(lab.changes(), [format!("delete 100 {OLD}")]);
}

#[test]
fn another_snapshot_of_that_name_is_not_removed_on_the_new_node() {
    let (lab, output) = moved_before_the_removal(
        |guest| guest.snapshots.get_mut(OLD).unwrap().taken_at += 1,
        "",
    );
    output
        .assert_status(0)
        .assert_out("another snapshot has its name now");
    assert_eq!(lab.writes().len(), 1, "{output}");
    assert_eq!(lab.snapshots(100), [OLD]);
}

#[test]
fn a_snapshot_that_is_no_longer_ours_is_not_removed_on_the_new_node() {
    let (lab, output) = moved_before_the_removal(
        |guest| {
            let snapshot = guest.snapshots.get_mut(OLD).unwrap();
            snapshot.description = Some("to be kept".to_owned());
        },
        "",
    );
    output.assert_status(0).assert_out("it is kept");
    assert_eq!(lab.writes().len(), 1, "{output}");
    assert_eq!(lab.snapshots(100), [OLD]);
}

#[test]
fn a_snapshot_that_is_gone_on_the_new_node_is_a_success() {
    let (lab, output) = moved_before_the_removal(|guest| guest.snapshots.clear(), "");
    output
        .assert_status(0)
        .assert_out("it is gone already")
        .assert_not_printed("the guest is gone");
    assert_eq!(lab.writes().len(), 1, "{output}");
}

#[test]
fn a_half_removed_snapshot_on_the_new_node_is_reported_with_the_repair() {
    let (lab, output) = moved_before_the_removal(
        |guest| {
            guest.lock = Some("snapshot-delete".to_owned());
            guest.snapshots.get_mut(OLD).unwrap().state = Some("delete".to_owned());
        },
        "",
    );
    output
        .assert_status(1)
        .assert_out("as root on pve2: qm unlock 100")
        .assert_not_printed("the guest is gone");
    assert_eq!(lab.writes().len(), 1, "{output}");
}

#[test]
fn the_result_is_unknown_if_the_new_node_cannot_list_snapshots() {
    let refused = r#", {"method": "GET", "path": "/nodes/pve2/qemu/*/snapshot", "effect": {"answer": {"status": 500, "reason": "broken"}}}"#;
    let (lab, output) = moved_before_the_removal(|_| {}, refused);
    output
        .assert_status(1)
        .assert_out("  it is not known whether it was done\n")
        .assert_out("hint: the guest is on node pve2")
        .assert_not_printed("the guest is gone");
    assert_eq!(lab.writes().len(), 1, "{output}");
}

/// The task of a lost request stays on the node that the request was sent to, even if the guest
/// moves.
#[test]
fn the_task_of_a_lost_request_is_searched_on_the_original_node() {
    let lab = lab();
    lab.set_faults(
        r#"{"requests": [
        {"method": "GET", "path": "/nodes/pve1/lxc/*/snapshot", "when": {"nth": 2}, "effect": "hold"},
        {"method": "POST", "times": 1, "effect": "drop_before"}]}"#,
    );
    let output = std::thread::scope(|scope| {
        let run = scope.spawn(|| lab.run("--vmid=109 --timeout=2 snap --label=daily --keep=1"));
        // The first listing of snapshots after the lost reply.
        lab.until_fault_applied(0);
        move_to_pve2(&lab, 109);
        lab.simulator.release();
        run.join().unwrap()
    });
    output
        .assert_status(1)
        .assert_out("the tasks of guest 109 on node pve1");
    let requests = lab.simulator.journal().requests();
    let searched = |node: &str| {
        let path = format!("/nodes/{node}/tasks?");
        requests.iter().any(|one| one.path.contains(&path))
    };
    assert!(searched("pve1") && !searched("pve2"), "{output}");
    assert_eq!(posts(&lab).len(), 1);
}

#[test]
fn a_removed_guest_is_reported_as_unchanged() {
    let lab = lab();
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(&lab, "--vmid=109 snap --label=daily --keep=1");
    run.go_to("snap-create-pre 109");
    lab.simulator.world(|world| world.guests.remove(&109));
    let output = run.finish();
    output
        .assert_status(1)
        .assert_out("Error in task: Configuration file 'nodes/pve1/lxc/109.conf' does not exist\n")
        .assert_out("  hint: the guest was removed, or migrated to a node that is not visible\n");
    assert!(!output.stdout.contains("not known"), "{output}");
    assert_eq!(posts(&lab).len(), 1, "{output}");
}

#[test]
fn a_missing_configuration_on_the_right_node_is_not_retried() {
    let lab = lab();
    let faults = r#"{"tasks": [{"kind": "vzsnapshot", "effect": {"fail": "Configuration file 'nodes/pve1/lxc/109.conf' does not exist"}}]}"#;
    lab.set_faults(faults);
    lab.run("--vmid=109 snap --label=daily --keep=1")
        .assert_status(1)
        .assert_not_printed("the guest is gone");
    assert_eq!(posts(&lab).len(), 1);
    // A guest that moved is retried once only, even if that fails the same way.
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(&lab, "--vmid=109 snap --label=hourly --keep=1");
    run.go_to("snap-create-pre 109");
    move_to_pve2(&lab, 109);
    run.finish()
        .assert_status(1)
        .assert_out("hint: the guest is on node pve2 and was not changed")
        .assert_not_printed("the guest is gone");
    assert_eq!(posts(&lab).len(), 3);
}

#[test]
fn a_guest_locked_by_its_migration_is_retried_on_the_new_node() {
    let lab = lab();
    // The read of its configuration before the retry is held until the guest has moved.
    lab.set_faults(
        r#"{"tasks": [{"kind": "vzsnapshot", "times": 1, "effect": {"fail": "CT is locked (migrate)"}}],
        "requests": [{"path": "/nodes/*/lxc/109/config", "when": {"nth": 2}, "effect": "hold"}]}"#,
    );
    let hook = PausingHook::new(&lab);
    let mut run = hook.start(
        &lab,
        "--vmid=109 snap --label=daily --keep=1 --wait-locked=20s",
    );
    run.go_to("snap-create-pre 109");
    run.resume();
    lab.until_fault_applied(0);
    move_to_pve2(&lab, 109);
    lab.simulator.release();
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
