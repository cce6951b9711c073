// SPDX-License-Identifier: GPL-3.0-only
//! Conditions that must be confirmed before anything is removed.

use pve_sim::simulator::Simulator;
use pve_sim::world::guest::Snapshot;

use crate::harness::{Lab, Output, until};
use crate::world::{World, name, vm};

/// A hook that pauses before the first removal until the test has changed the cluster.
const PAUSE_BEFORE_REMOVAL: &str = "#!/bin/sh
[ \"$CV4PVE_AUTOSNAP_PHASE\" = snap-remove-pre ] || exit 0
: >reached
while [ ! -e go ]; do sleep 0.01; done
";

/// Runs `snap --keep=1` on guest 100, which has two snapshots, and then on guest 101, and changes
/// the cluster after the creation and before the first removal.
fn change_before_removal(change: impl FnOnce(&Simulator)) -> (Lab, Output) {
    let lab = Lab::new(&World::new([
        vm(100, "web").taken("daily", &[1, 2]),
        vm(101, "db").taken("daily", &[1]),
    ]));
    lab.script("pause", PAUSE_BEFORE_REMOVAL);
    let output = std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            lab.run("--vmid=100,101 snap --label=daily --keep=1 --max-parallel=1 --script=./pause")
        });
        until("the removal is about to begin", || {
            lab.folder().join("reached").exists()
        });
        change(&lab.simulator);
        lab.file("go", "");
        run.join().unwrap()
    });
    (lab, output)
}

/// Changes the new snapshot of guest 100, or removes it if `change` returns false.
fn change_new(simulator: &Simulator, change: impl FnOnce(&mut Snapshot) -> bool) {
    simulator.world(|world| {
        let snapshots = &mut world.guests.get_mut(&100).unwrap().snapshots;
        let new = snapshots.keys().next_back().unwrap().clone();
        if !change(snapshots.get_mut(&new).unwrap()) {
            snapshots.remove(&new);
        }
    });
}

fn assert_nothing_removed(lab: &Lab, output: &Output, why: &str) {
    output
        .assert_status(1)
        .assert_out(why)
        .assert_out("so no old one is removed")
        .assert_out("check the snapshots of guest 100");
    assert_eq!(lab.changes_of(100), ["create 100 autodaily<now>"]);
    // The other guest is not affected.
    let old = format!("delete 101 {}", name("daily", 1));
    assert_eq!(lab.changes_of(101), ["create 101 autodaily<now>", &old]);
}

/// A guest whose new snapshot was deleted before the removals keeps its old ones, and is a failure.
#[test]
fn nothing_is_removed_if_the_new_snapshot_has_vanished() {
    let (lab, output) = change_before_removal(|simulator| change_new(simulator, |_| false));
    assert_nothing_removed(&lab, &output, "is not in the guest's list of snapshots");
    assert_eq!(lab.snapshots(100), [name("daily", 1), name("daily", 2)]);
}

/// A new snapshot that is being removed, or is incomplete, does not count.
#[test]
fn nothing_is_removed_if_the_new_snapshot_is_not_complete() {
    let (lab, output) = change_before_removal(|simulator| {
        change_new(simulator, |new| {
            new.state = Some("delete".to_owned());
            true
        });
    });
    assert_nothing_removed(&lab, &output, "is not complete in the guest's list");
}

/// A snapshot with the name of the new one that is older than the request is not the new one, as on
/// a copy of the cluster.
#[test]
fn nothing_is_removed_if_the_new_snapshot_is_older_than_the_request() {
    let (lab, output) = change_before_removal(|simulator| {
        change_new(simulator, |new| {
            new.taken_at -= 3600;
            true
        });
    });
    assert_nothing_removed(&lab, &output, "is not the one that this run has taken");
}
