// SPDX-License-Identifier: GPL-3.0-only
//! Checks every removal against the list that the run had read before it: the [`oracle`](crate::oracle) removes the
//! snapshot as well.

use pve_sim::journal::{Action, Entry, Mutation, Request};

use crate::check::{Expectation, RunTrace, planned};
use crate::model::{ModelSnapshot, Snapshots, State};
use crate::oracle::{Fate, Marks};

/// How far the clock of the program may differ from the clock of the simulator, in seconds.
pub(crate) const CLOCKS: i64 = 2;

/// Checks a removal that the plan of `planning_run` contains. `state` is the model right before it.
pub(crate) fn check(
    state: &State,
    expected: &Expectation<'_>,
    planning_run: &RunTrace,
    entries: &[Entry],
    removal: &Mutation,
) -> Result<(), String> {
    let (vmid, name) = (removal.vmid, removal.snapshot.clone().unwrap_or_default());
    let before = state.snapshots.get(&vmid).cloned().unwrap_or_default();
    check_remaining(&before, expected, &name, removal)
        .map_err(|broken| format!("{broken}: {name} of guest {vmid}"))?;
    let planned = planned(planning_run);
    let new = planned.iter().find_map(|(action, id, name)| {
        (*action == Action::Create && *id == vmid).then_some(name.as_str())
    });
    let mut found = None;
    for view in views(state, entries, vmid, &name, removal) {
        let mut snapshots = view.snapshots;
        if let Some(new) = new.filter(|new| expected.are_copies && !snapshots.contains_key(*new)) {
            let phantom = ModelSnapshot {
                taken_at: view.now,
                description: "cv4pve-autosnap".to_owned(),
                is_complete: true,
            };
            snapshots.insert(new.to_owned(), phantom);
        }
        let new = new.filter(|new| snapshots.contains_key(*new));
        for now in [view.now - CLOCKS, removal.moment.epoch + CLOCKS] {
            let fates = expected.policy.decide(&snapshots, new, now);
            let fate = fates.get(&name).copied().unwrap_or(Fate::NotCounted);
            // A run cannot know that a list was incomplete, but must not remove what it may not remove in any list.
            let may_go = view.is_altered && fate == Fate::Kept && new != Some(name.as_str());
            if fate.is_removal() || may_go {
                return Ok(());
            }
            found = Some((now, fate, fates));
        }
    }
    Err(format!(
        "removed {name} of guest {vmid} under {:?}, new {new:?}: {found:?} of {before:?}; {:?}",
        expected.policy, expected.settings.policy
    ))
}

/// What holds whatever the list was: enough complete snapshots of the series remain, and the newest of them.
fn check_remaining(
    before: &Snapshots,
    expected: &Expectation<'_>,
    name: &str,
    removal: &Mutation,
) -> Result<(), String> {
    let policy = expected.policy;
    if policy.keeps_none() || expected.are_copies {
        return Ok(());
    }
    let of_series = before.iter().filter(|(name, snapshot)| {
        policy.is_of_series(name)
            && snapshot.is_complete
            && Marks::read(&snapshot.description).is_some()
    });
    let of_series: Vec<(&String, &ModelSnapshot)> = of_series.collect();
    if of_series.len() <= policy.keep_min {
        return Err(format!("fewer than {} are left", policy.keep_min));
    }
    let newest = of_series
        .iter()
        .max_by_key(|(name, one)| (one.taken_at, *name));
    let has_expired = |snapshot: &ModelSnapshot| {
        let marks = Marks::read(&snapshot.description).unwrap_or_default();
        marks
            .expires_at
            .is_some_and(|at| at <= removal.moment.epoch + CLOCKS)
    };
    match newest {
        Some((newest, one)) if *newest == name && !has_expired(one) => {
            Err("removed the newest snapshot".to_owned())
        }
        Some(_) | None => Ok(()),
    }
}

/// The snapshots of a guest as the run may have listed them.
struct View {
    snapshots: Snapshots,
    now: i64,
    /// Whether a fault has changed the list.
    is_altered: bool,
}

/// The lists that may have confirmed a removal: the last ones before each request for it.
fn views(state: &State, entries: &[Entry], vmid: u32, name: &str, removal: &Mutation) -> Vec<View> {
    let requests = || {
        entries.iter().filter_map(|entry| match entry {
            Entry::Request(request) => Some(request),
            Entry::Mutation(_) | Entry::Task(_) => None,
        })
    };
    let path = format!("/{vmid}/snapshot/{name}");
    let is_removal = |request: &&Request| {
        request.method == "DELETE"
            && path_of(request).ends_with(&path)
            && request.moment.at <= removal.moment.at
    };
    let mut sent: Vec<f64> = requests()
        .filter(is_removal)
        .map(|one| one.moment.at)
        .collect();
    if sent.is_empty() {
        // The request of a killed run may still wait for its reply.
        sent.push(removal.moment.at);
    }
    let list = format!("/{vmid}/snapshot");
    let is_list = |request: &&Request| {
        request.method == "GET" && path_of(request).ends_with(&list) && request.status == Some(200)
    };
    let is_altered = |list: &Request| {
        let fault = list.fault.as_deref();
        fault.is_some_and(|fault| fault.starts_with("Listing"))
    };
    let mut views = Vec::new();
    for sent in sent {
        let lists = || {
            requests()
                .filter(is_list)
                .filter(move |list| list.moment.at <= sent)
        };
        let later = |one: &&Request, other: &&Request| one.moment.at.total_cmp(&other.moment.at);
        let newest = lists().max_by(later);
        let last_unchanged = lists().filter(|list| list.fault.is_none()).max_by(later);
        for list in newest.into_iter().chain(last_unchanged) {
            let (from, to) = (list.moment.at, (list.moment.at + list.seconds).min(sent));
            let mut moments = vec![from, to];
            moments.extend(state.changes_between(vmid, from, to));
            views.extend(moments.into_iter().map(|moment| View {
                snapshots: state.at(vmid, moment),
                now: list.moment.epoch,
                is_altered: is_altered(list),
            }));
        }
    }
    views
}

fn path_of(request: &Request) -> &str {
    request.path.split('?').next().unwrap_or_default()
}
