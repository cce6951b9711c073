// SPDX-License-Identifier: GPL-3.0-only
//! Checks the decisions of a run without faults against the present state of the guests, which the
//! cluster may list late or not at all.

use autosnap::settings::{GuestStates, JobKind, JobSettings};
use autosnap_core::guest::{GuestKind, GuestStatus};
use autosnap_core::plan::{Decision, GuestPlan, Skip};
use pve_sim::simulator::Simulator;

/// Checks that guests are skipped by their current state, not by the listed one, and that the new snapshot of a running
/// VM has its RAM.
pub(crate) fn match_current_state(
    simulator: &Simulator,
    settings: &JobSettings,
    plan: &GuestPlan,
) -> Result<(), String> {
    let JobKind::Snap { with_ram } = settings.kind else {
        return Ok(());
    };
    let only_running = settings.states == GuestStates::Running;
    let vmid = plan.guest.vmid.get();
    let (runs, is_template, can_snapshot) = simulator.world(|world| {
        let guest = &world.guests[&vmid];
        (
            guest.running.is_some(),
            guest.is_template(),
            world.can_snapshot(guest).unwrap_or(false),
        )
    });
    // A guest that has stopped since it was listed may get a snapshot.
    let listed = plan.guest.status == GuestStatus::Running;
    let expected = match &plan.decision {
        Decision::Skip(Skip::Template) => is_template,
        Decision::Skip(Skip::NotRunning) => only_running && !runs,
        Decision::Skip(Skip::NoSnapshots { .. } | Skip::Unsupported { .. }) => !can_snapshot,
        Decision::Refuse(_) => true,
        Decision::Proceed(_) => !is_template && can_snapshot && (runs || listed || !only_running),
    };
    if !expected {
        return Err(format!(
            "guest {vmid} runs: {runs}, can be snapshotted: {can_snapshot}, but {:?}",
            plan.decision
        ));
    }
    let Decision::Proceed(steps) = &plan.decision else {
        return Ok(());
    };
    let lacks_ram = steps.creation.as_ref().is_some_and(|new| {
        simulator.world(|world| {
            let taken = world.guests[&vmid].snapshots.get(new.name.as_str());
            taken.is_some_and(|taken| taken.vmstate.is_none())
        })
    });
    if with_ram && runs && plan.guest.kind == GuestKind::Qemu && lacks_ram {
        return Err(format!("guest {vmid} runs, but its snapshot has no RAM"));
    }
    Ok(())
}
