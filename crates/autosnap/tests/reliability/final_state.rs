// SPDX-License-Identifier: GPL-3.0-only
//! Checks the guests after a run without faults: exactly the snapshots that the policy keeps are left, and those that
//! it does not count.

use std::collections::{BTreeMap, BTreeSet};

use autosnap::settings::JobKind;
use autosnap_core::plan::{Decision, GuestPlan};
use pve_sim::journal::{Action, Entry};
use pve_sim::simulator::Simulator;

use crate::check::{Cluster, Expectation, RunTrace, plan_of};
use crate::decisions;
use crate::model::State;
use crate::removals::CLOCKS;

/// Checks the plan and all guests of a run without faults.
pub(crate) fn check(
    cluster: &Cluster<'_>,
    expected: &Expectation<'_>,
    ran: &RunTrace,
) -> Result<(), String> {
    let Cluster {
        state,
        simulator,
        guests,
    } = cluster;
    let planned = plan_of(ran).map_or(&[][..], |plan| &plan.guests);
    let vmids: BTreeSet<u32> = planned.iter().map(|guest| guest.guest.vmid.get()).collect();
    if vmids != *guests {
        return Err(format!(
            "{vmids:?} are planned, {} selects {guests:?}; {:?}",
            expected.settings.selection.as_str(),
            ran.error
        ));
    }
    check_all_snapshots(state, simulator)?;
    let began_at = began_at(simulator, ran);
    for guest in planned {
        decisions::match_current_state(simulator, expected.settings, guest)?;
        check_guest(state, simulator, expected, (guest, ran), began_at)?;
    }
    Ok(())
}

/// Nothing has changed but what the journal shows.
fn check_all_snapshots(state: &State, simulator: &Simulator) -> Result<(), String> {
    let there: BTreeMap<u32, BTreeSet<String>> = simulator.world(|world| {
        let guests = world.guests.iter();
        let names = guests.map(|(vmid, guest)| (*vmid, guest.snapshots.keys().cloned().collect()));
        names.collect()
    });
    for (vmid, snapshots) in &state.snapshots {
        if let Some(missing) = snapshots.keys().find(|name| !there[vmid].contains(*name)) {
            return Err(format!("guest {vmid} has lost {missing}"));
        }
    }
    Ok(())
}

/// The simulated time of the first request of a run.
fn began_at(simulator: &Simulator, ran: &RunTrace) -> i64 {
    let entries = simulator.journal().entries();
    let mut of_run = entries.iter().skip(ran.from);
    let first = of_run.find_map(|entry| match entry {
        Entry::Request(request) => Some(request.moment.epoch),
        Entry::Mutation(_) | Entry::Task(_) => None,
    });
    first.unwrap_or_default()
}

fn check_guest(
    state: &State,
    simulator: &Simulator,
    expected: &Expectation<'_>,
    (guest, ran): (&GuestPlan, &RunTrace),
    began_at: i64,
) -> Result<(), String> {
    let vmid = guest.guest.vmid.get();
    let Decision::Proceed(steps) = &guest.decision else {
        return Ok(());
    };
    if state.forbidden.contains(&vmid) {
        return Ok(());
    }
    let snapshots = &state.snapshots[&vmid];
    let new = steps.creation.as_ref().map(|new| new.name.as_str());
    if let Some(new) = new {
        let taken_at = snapshots.get(new).map(|new| new.taken_at);
        if !matches!(expected.settings.kind, JobKind::Snap { .. })
            || taken_at < Some(began_at - CLOCKS)
        {
            return Err(format!(
                "guest {vmid} has no new snapshot {new}: {snapshots:?}"
            ));
        }
    }
    // A snapshot that reaches an age during the run may stay.
    let now = simulator.world(|world| pve_sim::clock::whole(world.clock.now()));
    let [early, late] =
        [began_at - CLOCKS, now + CLOCKS].map(|now| expected.policy.decide(snapshots, new, now));
    let left = snapshots
        .keys()
        .filter(|name| early[*name].is_removal() && late[*name].is_removal());
    let left: Vec<&String> = left.collect();
    let removals = simulator.journal().mutations();
    let removals = removals.iter().filter(|mutation| {
        let is_planned = steps
            .removals()
            .any(|old| Some(&old.name) == mutation.snapshot.as_ref());
        mutation.action == Action::Delete && mutation.vmid == vmid && is_planned
    });
    let limit = expected.settings.execution.removal_limit.get() as usize;
    if !left.is_empty() && removals.count() < limit {
        return Err(format!(
            "guest {vmid} is left with {left:?} of {snapshots:?}, new {new:?}, at {began_at}, policy {:?}; {:?}",
            expected.policy, ran.error
        ));
    }
    Ok(())
}
