// SPDX-License-Identifier: GPL-3.0-only
//! The invariants of a run, checked against the simulator's journal and world.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use autosnap::Error;
use autosnap::settings::JobSettings;
use autosnap_core::event::{Effect, EventKind, GuestResult};
use autosnap_core::plan::Plan;
use autosnap_core::record::RunRecord;
use pve_sim::journal::{Action, Entry, Mutation};
use pve_sim::simulator::Simulator;

use crate::model::State;
use crate::oracle::Policy;
use crate::{confirmation, removals};

/// The trace of one run: its events, record and error.
pub(crate) struct RunTrace {
    /// The length of the journal at the start of the run.
    pub(crate) from: usize,
    pub(crate) killed: bool,
    pub(crate) error: Option<Error>,
    pub(crate) record: Arc<RunRecord>,
    pub(crate) events: Vec<EventKind>,
}

pub(crate) fn plan_of(ran: &RunTrace) -> Option<&Plan> {
    ran.events.iter().find_map(|event| match event {
        EventKind::Planned(plan) => Some(plan.as_ref()),
        _ => None,
    })
}

/// A cluster that a run could reach.
pub(crate) struct Cluster<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) simulator: &'a Simulator,
    /// The guests that the run selects.
    pub(crate) guests: BTreeSet<u32>,
}

/// What a run may do.
pub(crate) struct Expectation<'a> {
    pub(crate) settings: &'a JobSettings,
    pub(crate) policy: &'a Policy,
    /// Whether two hosts are copies of one cluster.
    pub(crate) are_copies: bool,
}

/// Checks the journals of a run against its plan, the policy and its record. Requests that an earlier run had sent when
/// it was killed may still arrive during this one; returns whether that happened.
///
/// If two hosts are copies of one cluster, a run cannot know which of them has carried out a request. On each, only
/// planned steps may happen, each once, and no snapshot that the policy keeps may be removed.
pub(crate) fn check_run(
    clusters: &mut [Cluster<'_>],
    expected: &Expectation<'_>,
    ran: &RunTrace,
    earlier: Option<&RunTrace>,
) -> Result<bool, String> {
    let earlier = earlier.filter(|earlier| earlier.killed);
    let late = earlier.map(planned).unwrap_or_default();
    let mut seen: HashMap<Step, usize> = HashMap::new();
    let mut has_late_requests = false;
    for cluster in &mut *clusters {
        let runs = Runs { ran, earlier };
        has_late_requests |= apply_journal(cluster, expected, &runs, &late, &mut seen)?;
    }
    check_limit(expected, &seen)?;
    if !ran.killed {
        if !expected.are_copies {
            check_reported_steps(ran, &seen, &late)?;
        }
        check_result(ran)?;
    }
    Ok(has_late_requests)
}

/// A step of a guest: the action, the guest and the snapshot.
pub(crate) type Step = (Action, u32, String);

/// The run that is checked, and the killed run before it.
struct Runs<'a> {
    ran: &'a RunTrace,
    earlier: Option<&'a RunTrace>,
}

/// Applies the journal entries since the last check to the model of a cluster.
fn apply_journal(
    cluster: &mut Cluster<'_>,
    expected: &Expectation<'_>,
    runs: &Runs<'_>,
    late: &HashSet<Step>,
    seen: &mut HashMap<Step, usize>,
) -> Result<bool, String> {
    let Cluster {
        state,
        simulator,
        guests,
    } = cluster;
    let entries = simulator.journal().entries();
    let before = std::mem::replace(&mut state.applied_entries, entries.len());
    let new = &entries[before..];
    confirmation::removals_are_confirmed(new, runs.ran, late)?;
    let mutations: Vec<Mutation> = new.iter().cloned().filter_map(mutation).collect();
    let mut has_late_requests = false;
    let planned = planned(runs.ran);
    for mutation in &mutations {
        let (vmid, name) = (mutation.vmid, mutation.snapshot.clone().unwrap_or_default());
        if mutation.action == Action::Update {
            state.put(simulator, mutation);
        }
        if !matches!(mutation.action, Action::Create | Action::Delete) {
            continue;
        }
        let key = (mutation.action, vmid, name);
        let mut planning_run = runs.ran;
        if late.contains(&key) {
            has_late_requests = true;
            planning_run = runs.earlier.unwrap_or(planning_run);
        } else {
            if !planned.contains(&key) {
                return Err(format!("not in the plan: {key:?}"));
            }
            if !guests.contains(&vmid) {
                let selection = expected.settings.selection.as_str();
                return Err(format!("{selection} selects {guests:?}: {key:?}"));
            }
            let times = seen.entry(key.clone()).or_default();
            *times += 1;
            if *times > 1 {
                return Err(format!("done twice: {key:?}"));
            }
        }
        if key.0 == Action::Create {
            state.put(simulator, mutation);
            state.created += 1;
        } else {
            removals::check(state, expected, planning_run, &entries, mutation)?;
            state.remove(mutation.moment.at, vmid, &key.2);
            state.removed += 1;
        }
    }
    Ok(has_late_requests)
}

/// Checks that no guest has lost more snapshots than one run may remove.
fn check_limit(expected: &Expectation<'_>, seen: &HashMap<Step, usize>) -> Result<(), String> {
    let limit = expected.settings.execution.removal_limit.get() as usize;
    let mut removed: BTreeMap<u32, usize> = BTreeMap::new();
    for (action, vmid, _) in seen.keys() {
        *removed.entry(*vmid).or_default() += usize::from(*action == Action::Delete);
    }
    match removed.iter().find(|(_, count)| **count > limit) {
        Some((vmid, count)) if !expected.policy.keeps_none() => Err(format!(
            "{count} removals of guest {vmid}, the limit is {limit}"
        )),
        Some(_) | None => Ok(()),
    }
}

/// Checks that a run has changed guests of one cluster only: the one whose host replied first.
pub(crate) fn check_only_one_cluster_changed(
    one: &Simulator,
    other: &Simulator,
) -> Result<(), String> {
    let mutations = [one, other].map(|simulator| simulator.journal().mutations());
    match &mutations {
        [one, other] if !one.is_empty() && !other.is_empty() => Err(format!(
            "done to two clusters: {:?} and {:?}",
            one[0], other[0]
        )),
        _ => Ok(()),
    }
}

fn mutation(entry: Entry) -> Option<Mutation> {
    match entry {
        Entry::Mutation(mutation) => Some(mutation),
        Entry::Request(_) | Entry::Task(_) => None,
    }
}

pub(crate) fn planned(ran: &RunTrace) -> HashSet<(Action, u32, String)> {
    let mut planned = HashSet::new();
    for guest in plan_of(ran).map_or(&[][..], |plan| &plan.guests) {
        let Some(steps) = guest.steps() else {
            continue;
        };
        let vmid = guest.guest.vmid.get();
        planned.extend(
            steps
                .creation
                .iter()
                .map(|new| (Action::Create, vmid, new.name.to_string())),
        );
        planned.extend(
            steps
                .removals()
                .map(|old| (Action::Delete, vmid, old.name.clone())),
        );
    }
    planned
}

/// Checks that every step reported as done was done, and that every done step was reported as done or unknown.
fn check_reported_steps(
    ran: &RunTrace,
    seen: &HashMap<(Action, u32, String), usize>,
    late: &HashSet<(Action, u32, String)>,
) -> Result<(), String> {
    let mut done = HashSet::new();
    let mut uncertain = HashSet::new();
    let mut creating: HashMap<u32, String> = HashMap::new();
    for event in &ran.events {
        match event {
            EventKind::CreationStarted { vmid, snapshot } => {
                _ = creating.insert(vmid.get(), snapshot.name.to_string());
            }
            EventKind::Created { vmid, .. } => {
                _ = done.insert((Action::Create, vmid.get(), creating[&vmid.get()].clone()));
            }
            EventKind::Removed { vmid, name, .. } => {
                _ = done.insert((Action::Delete, vmid.get(), name.clone()));
            }
            EventKind::CreationFailed { vmid, failure } if failure.effect != Effect::None => {
                uncertain.insert((Action::Create, vmid.get(), creating[&vmid.get()].clone()));
            }
            EventKind::RemovalFailed {
                vmid,
                name,
                failure,
            } if failure.effect != Effect::None => {
                uncertain.insert((Action::Delete, vmid.get(), name.clone()));
            }
            _ => {}
        }
    }
    if let Some(unconfirmed) = done
        .iter()
        .find(|key| !seen.contains_key(key) && !late.contains(*key))
    {
        return Err(format!("reported but not done: {unconfirmed:?}"));
    }
    match seen
        .keys()
        .find(|key| !done.contains(key) && !uncertain.contains(key))
    {
        Some(unreported) => Err(format!("done but not reported: {unreported:?}")),
        None => Ok(()),
    }
}

fn check_result(ran: &RunTrace) -> Result<(), String> {
    let Some(plan) = plan_of(ran) else {
        return match ran.error {
            Some(_) => Ok(()),
            None => Err("no plan and no error".to_owned()),
        };
    };
    let ended = ran
        .events
        .iter()
        .filter(|event| matches!(event, EventKind::GuestFinished { .. }))
        .count();
    if ended != plan.guests.len() {
        return Err(format!(
            "{ended} of {} guests were reported",
            plan.guests.len()
        ));
    }
    let failed = ran.events.iter().any(|event| match event {
        EventKind::CreationFailed { .. }
        | EventKind::RemovalFailed { .. }
        | EventKind::Stopped(_)
        | EventKind::GuestFinished {
            result: GuestResult::StoppedByHook | GuestResult::NotReached | GuestResult::Refused(_),
            ..
        } => true,
        EventKind::Warned(warning) => warning.is_failure(),
        EventKind::RemovalsPostponed { reason, .. } => reason.is_failure(),
        _ => false,
    })
        // A truncated list may contain no guest at all.
        || plan.guests.is_empty();
    let success = ran.record.is_success();
    if failed == success {
        Err(format!(
            "result {:?} although failed is {failed}",
            ran.record.result()
        ))
    } else {
        Ok(())
    }
}

/// Unlocks the guests that were left locked, as an administrator would. A run that was not killed must have reported
/// each of them, unless it worked on a copy of the cluster (`is_copied`).
pub(crate) fn repair(
    state: &mut State,
    simulator: &Simulator,
    ran: &RunTrace,
    is_copied: bool,
) -> Result<usize, String> {
    let left: Vec<u32> = simulator.world(|world| {
        let locked = world.guests.iter().filter(|(vmid, guest)| {
            let is_others = guest.lock.as_deref() == Some("backup");
            guest.lock.is_some() && !(is_others && state.locked_before.contains(vmid))
        });
        locked.map(|(vmid, _)| *vmid).collect()
    });
    for vmid in &left {
        let is_reported = ran.record.guests.iter().any(|failed| {
            failed.vmid.get() == *vmid
                && failed
                    .failures
                    .iter()
                    .any(|step| step.failure.effect != Effect::None)
        });
        if !is_reported && !ran.killed && !is_copied {
            return Err(format!("guest {vmid} was left locked without a report"));
        }
    }
    simulator.world(|world| {
        for node in world.nodes.values_mut() {
            node.reach = pve_sim::world::Reachability::Online;
        }
        for vmid in &left {
            let guest = world
                .guests
                .get_mut(vmid)
                .expect("it was listed a moment ago");
            guest.lock = None;
            guest
                .snapshots
                .retain(|_, snapshot| snapshot.state.is_none());
            let gone = state.snapshots[vmid].keys();
            let gone: Vec<String> = gone
                .filter(|name| !guest.snapshots.contains_key(*name))
                .cloned()
                .collect();
            for name in gone {
                state.remove(world.clock.now() - world.clock.start(), *vmid, &name);
            }
        }
    });
    Ok(left.len())
}

/// How many steps were reported with an unknown effect.
pub(crate) fn unknown_steps(ran: &RunTrace) -> usize {
    let steps = ran.record.guests.iter().flat_map(|guest| &guest.failures);
    steps
        .filter(|step| step.failure.effect == Effect::Unknown)
        .count()
}
