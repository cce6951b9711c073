// SPDX-License-Identifier: GPL-3.0-only
//! Checks in the order of the simulator's journal that a run listed the new snapshot before it
//! requested a removal.

use std::collections::{HashMap, HashSet};

use pve_sim::journal::{Action, Entry, Request};

use crate::check::{RunTrace, Step, plan_of, planned};

/// Before every removal the guest's snapshots were listed while the new one was complete.
pub(crate) fn removals_are_confirmed(
    entries: &[Entry],
    ran: &RunTrace,
    late: &HashSet<Step>,
) -> Result<(), String> {
    let planned = planned(ran);
    let overdue = overdue(ran);
    let creations: HashMap<u32, &str> = planned
        .iter()
        .filter(|(action, ..)| *action == Action::Create)
        .map(|(_, vmid, name)| (*vmid, name.as_str()))
        .collect();
    for entry in entries {
        let Entry::Request(removal) = entry else {
            continue;
        };
        let Some((vmid, Some(name))) = snapshot_path(removal) else {
            continue;
        };
        let key = (Action::Delete, vmid, name.to_owned());
        let Some(new) = creations.get(&vmid).filter(|_| {
            removal.method == "DELETE"
                && planned.contains(&key)
                && !late.contains(&key)
                && !overdue.contains(&key)
        }) else {
            continue;
        };
        let created = entries.iter().find_map(|entry| match entry {
            Entry::Mutation(mutation)
                if mutation.action == Action::Create
                    && mutation.vmid == vmid
                    && mutation.snapshot.as_deref() == Some(*new) =>
            {
                Some(mutation.moment.at)
            }
            Entry::Mutation(_) | Entry::Request(_) | Entry::Task(_) => None,
        });
        let is_proof = |entry: &Entry| match (entry, created) {
            (Entry::Request(listing), Some(created)) => {
                snapshot_path(listing) == Some((vmid, None))
                    && listing.method == "GET"
                    && listing.status == Some(200)
                    && !listing
                        .fault
                        .as_deref()
                        .is_some_and(|fault| fault.starts_with("Listing"))
                    && listing.moment.at + listing.seconds >= created
                    && listing.moment.at < removal.moment.at
            }
            (Entry::Request(_) | Entry::Mutation(_) | Entry::Task(_), _) => false,
        };
        if !entries.iter().any(is_proof) {
            return Err(format!(
                "removal requested before {new} was listed as complete: {key:?}; {:?}",
                entries_of(entries, vmid)
            ));
        }
    }
    Ok(())
}

/// The guest and, if the path names one, the snapshot of a request.
fn snapshot_path(request: &Request) -> Option<(u32, Option<&str>)> {
    let path = request.path.split('?').next()?;
    let (guest, rest) = path.split_once("/snapshot")?;
    let vmid = guest.rsplit('/').next()?.parse().ok()?;
    Some((vmid, rest.strip_prefix('/')))
}

/// The removals before the creation, which the last run postponed.
fn overdue(ran: &RunTrace) -> HashSet<Step> {
    let plan = plan_of(ran);
    let guests = plan.map_or(&[][..], |plan| &plan.guests).iter();
    let steps = guests.filter_map(|guest| Some((guest.guest.vmid.get(), guest.steps()?)));
    let overdue = steps.flat_map(|(vmid, steps)| {
        let names = steps.overdue.iter();
        names.map(move |name| (Action::Delete, vmid, name.clone()))
    });
    overdue.collect()
}

/// The entries of a guest, for the message of an error.
fn entries_of(entries: &[Entry], vmid: u32) -> Vec<&Entry> {
    let is_of = |entry: &&Entry| match entry {
        Entry::Request(request) => request.path.contains(&format!("/{vmid}/")),
        Entry::Mutation(mutation) => mutation.vmid == vmid,
        Entry::Task(task) => task.vmid == Some(vmid),
    };
    entries.iter().filter(is_of).collect()
}
