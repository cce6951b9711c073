// SPDX-License-Identifier: GPL-3.0-only
//! The invariants of a run, checked against the simulator's journal and world.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use autosnap::Error;
use autosnap::settings::{JobKind, JobSettings};
use autosnap_core::event::{Effect, EventKind, GuestResult};
use autosnap_core::plan::{Decision, Plan};
use autosnap_core::record::RunRecord;
use pve_sim::journal::{Action, Entry, Mutation};
use pve_sim::simulator::Simulator;

use crate::{confirmation, decisions};

/// The trace of one run: its events, record and error.
pub(crate) struct RunTrace {
    /// The length of the journal at the start of the run.
    pub(crate) from: usize,
    pub(crate) killed: bool,
    pub(crate) error: Option<Error>,
    pub(crate) record: Arc<RunRecord>,
    pub(crate) events: Vec<EventKind>,
}

/// A snapshot of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ModelSnapshot {
    taken_at: i64,
    /// Whether it is ours and of the label, so that retention may remove it.
    counted: bool,
}

/// The model of a cluster, computed from the journal.
pub(crate) struct State {
    snapshots: BTreeMap<(u32, String), ModelSnapshot>,
    locked_before: BTreeSet<u32>,
    /// Guests that the token may not snapshot.
    forbidden: BTreeSet<u32>,
    /// The number of journal entries that were applied; late requests may arrive between two runs.
    applied_entries: usize,
    pub(crate) created: usize,
    pub(crate) removed: usize,
}

impl State {
    pub(crate) fn from_simulator(simulator: &Simulator) -> Self {
        let applied_entries = simulator.journal().len();
        simulator.world(|world| {
            let mut snapshots = BTreeMap::new();
            for (vmid, guest) in &world.guests {
                for (name, snapshot) in &guest.snapshots {
                    let known = ModelSnapshot {
                        taken_at: snapshot.taken_at,
                        counted: is_counted(
                            name,
                            snapshot.description.as_deref().unwrap_or_default(),
                        ),
                    };
                    snapshots.insert((*vmid, name.clone()), known);
                }
            }
            let locked = world
                .guests
                .iter()
                .filter(|(_, guest)| guest.lock.is_some());
            Self {
                snapshots,
                locked_before: locked.map(|(vmid, _)| *vmid).collect(),
                forbidden: world
                    .guests
                    .keys()
                    .copied()
                    .filter(|vmid| {
                        !world.allows("backup@pve!auto", &format!("/vms/{vmid}"), "VM.Snapshot")
                    })
                    .collect(),
                applied_entries,
                created: 0,
                removed: 0,
            }
        })
    }

    /// How many snapshots of the label a guest has.
    pub(crate) fn count_of(&self, vmid: u32) -> usize {
        self.counted_of(vmid).len()
    }

    fn counted_of(&self, vmid: u32) -> Vec<(i64, &str)> {
        let of_guest = self
            .snapshots
            .iter()
            .filter(|((id, _), known)| *id == vmid && known.counted);
        let mut all: Vec<(i64, &str)> = of_guest
            .map(|((_, name), known)| (known.taken_at, name.as_str()))
            .collect();
        all.sort_unstable();
        all
    }
}

fn is_counted(name: &str, description: &str) -> bool {
    let stamp = name.strip_prefix("autodaily").unwrap_or_default();
    let ours = ["cv4pve-autosnap", "eve4pve-autosnap"].contains(&description.trim_end());
    ours && stamp.len() == 12 && stamp.bytes().all(|byte| byte.is_ascii_digit())
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
}

/// Checks the journals of a run against its plan, the policy and its record. Requests that an earlier run had sent when
/// it was killed may still arrive during this one; returns whether that happened.
///
/// If two hosts are copies of one cluster (`are_copies`), a run cannot know which of them has carried out a request. On
/// each, only planned steps may happen, each once, and no snapshot that the policy keeps may be removed.
pub(crate) fn check_run(
    clusters: &mut [Cluster<'_>],
    settings: &JobSettings,
    ran: &RunTrace,
    earlier: Option<&RunTrace>,
    are_copies: bool,
) -> Result<bool, String> {
    let late = earlier
        .filter(|earlier| earlier.killed)
        .map(planned)
        .unwrap_or_default();
    let mut seen: HashMap<Step, usize> = HashMap::new();
    let mut has_late_requests = false;
    for cluster in &mut *clusters {
        has_late_requests |= apply_journal(cluster, settings, ran, &late, &mut seen)?;
    }
    if !ran.killed {
        if !are_copies {
            check_reported_steps(ran, &seen, &late)?;
        }
        check_result(ran)?;
    }
    Ok(has_late_requests)
}

/// A step of a guest: the action, the guest and the snapshot.
pub(crate) type Step = (Action, u32, String);

/// Applies the journal entries since the last check to the model of a cluster.
fn apply_journal(
    cluster: &mut Cluster<'_>,
    settings: &JobSettings,
    ran: &RunTrace,
    late: &HashSet<Step>,
    seen: &mut HashMap<Step, usize>,
) -> Result<bool, String> {
    let Cluster { state, simulator } = cluster;
    let entries = simulator.journal().entries();
    let before = std::mem::replace(&mut state.applied_entries, entries.len());
    let new = &entries[before..];
    confirmation::removals_are_confirmed(new, ran, late)?;
    let mutations: Vec<Mutation> = new.iter().cloned().filter_map(mutation).collect();
    let mut has_late_requests = false;
    let planned = planned(ran);
    for mutation in &mutations {
        let (vmid, name) = (mutation.vmid, mutation.snapshot.clone().unwrap_or_default());
        if !matches!(mutation.action, Action::Create | Action::Delete) {
            continue;
        }
        let key = (mutation.action, vmid, name.clone());
        if late.contains(&key) {
            apply(state, simulator, settings, &key, mutation)?;
            has_late_requests = true;
            continue;
        }
        if !planned.contains(&key) {
            return Err(format!("not in the plan: {key:?}"));
        }
        let times = seen.entry(key.clone()).or_default();
        *times += 1;
        if *times > 1 {
            return Err(format!("done twice: {key:?}"));
        }
        apply(state, simulator, settings, &key, mutation)?;
    }
    Ok(has_late_requests)
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

/// The time of a snapshot that no longer exists: PVE records the start of its task.
fn started_at(mutation: &Mutation) -> Option<i64> {
    let upid: pve_client::Upid = mutation.upid.as_deref()?.parse().ok()?;
    Some(upid.started_at())
}

/// Applies a mutation to the model; the policy must not keep a removed snapshot.
fn apply(
    state: &mut State,
    simulator: &Simulator,
    settings: &JobSettings,
    key: &(Action, u32, String),
    mutation: &Mutation,
) -> Result<(), String> {
    let (action, vmid, name) = key;
    if *action == Action::Create {
        let taken_at = simulator.world(|world| {
            world.guests[vmid]
                .snapshots
                .get(name)
                .map(|one| one.taken_at)
        });
        state.snapshots.insert(
            (*vmid, name.clone()),
            ModelSnapshot {
                taken_at: taken_at
                    .or_else(|| started_at(mutation))
                    .unwrap_or(i64::MAX),
                counted: true,
            },
        );
        state.created += 1;
        return Ok(());
    }
    let counted = state.counted_of(*vmid);
    let newer = counted.iter().rev().position(|(_, other)| other == name);
    match newer {
        None => return Err(format!("removed a snapshot that is not ours: {key:?}")),
        Some(newer) if newer < settings.keep() as usize => {
            return Err(format!(
                "removed one of the newest {}: {key:?} of {counted:?}",
                settings.keep()
            ));
        }
        Some(_) => {}
    }
    state.snapshots.remove(&(*vmid, name.clone()));
    state.removed += 1;
    Ok(())
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
            state
                .snapshots
                .retain(|(id, name), _| id != vmid || guest.snapshots.contains_key(name));
        }
    });
    Ok(left.len())
}

/// Checks that after a run without faults every guest that could be processed has exactly the newest snapshots that
/// the policy keeps, and no snapshot of another label or program is missing.
pub(crate) fn check_final_state(
    state: &State,
    simulator: &Simulator,
    settings: &JobSettings,
    ran: &RunTrace,
) -> Result<(), String> {
    let plan = plan_of(ran).ok_or_else(|| format!("the last run did nothing: {:?}", ran.error))?;
    let there_are = simulator.world(|world| world.guests.len());
    if plan.guests.len() != there_are {
        return Err(format!(
            "{} of {there_are} guests are planned",
            plan.guests.len()
        ));
    }
    for guest in &plan.guests {
        decisions::match_current_state(simulator, settings, guest)?;
        let vmid = guest.guest.vmid.get();
        let there: BTreeSet<String> =
            simulator.world(|world| world.guests[&vmid].snapshots.keys().cloned().collect());
        for ((id, name), known) in &state.snapshots {
            if *id == vmid && !known.counted && !there.contains(name) {
                return Err(format!("foreign snapshot {name} of guest {vmid} is gone"));
            }
        }
        let Decision::Proceed(steps) = &guest.decision else {
            continue;
        };
        if state.forbidden.contains(&vmid) {
            continue;
        }
        let counted = state.counted_of(vmid);
        if counted.len() > settings.keep() as usize {
            return Err(format!(
                "guest {vmid} is left with {counted:?}, keep is {}",
                settings.keep()
            ));
        }
        let newest = counted.last().map(|(_, name)| *name);
        let expected = steps.creation.as_ref().map(|new| new.name.as_str());
        if matches!(settings.kind, JobKind::Snap { .. }) && newest != expected {
            return Err(format!(
                "guest {vmid} has {newest:?} as its newest, not {expected:?}"
            ));
        }
        if let Some((_, missing)) = counted.iter().find(|(_, name)| !there.contains(*name)) {
            return Err(format!("guest {vmid} has lost {missing}"));
        }
    }
    Ok(())
}

/// How many steps were reported with an unknown effect.
pub(crate) fn unknown_steps(ran: &RunTrace) -> usize {
    let steps = ran.record.guests.iter().flat_map(|guest| &guest.failures);
    steps
        .filter(|step| step.failure.effect == Effect::Unknown)
        .count()
}
