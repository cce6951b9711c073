// SPDX-License-Identifier: GPL-3.0-only
//! The model of a cluster: the snapshots of its guests at any moment, computed from the journal.

use std::collections::{BTreeMap, BTreeSet};

use pve_sim::journal::{Action, Mutation};
use pve_sim::simulator::Simulator;
use pve_sim::world::World;

/// A snapshot of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModelSnapshot {
    pub(crate) taken_at: i64,
    pub(crate) description: String,
    pub(crate) is_complete: bool,
}

/// The snapshots of a guest by name.
pub(crate) type Snapshots = BTreeMap<String, ModelSnapshot>;

/// A change of a snapshot; `None` if it was removed.
#[derive(Debug)]
struct Change {
    at: f64,
    vmid: u32,
    name: String,
    after: Option<ModelSnapshot>,
}

/// The model of a cluster.
pub(crate) struct State {
    /// The snapshots now.
    pub(crate) snapshots: BTreeMap<u32, Snapshots>,
    /// The snapshots at the start, and all changes since.
    first: BTreeMap<u32, Snapshots>,
    changes: Vec<Change>,
    pub(crate) locked_before: BTreeSet<u32>,
    /// Guests that the token may not snapshot.
    pub(crate) forbidden: BTreeSet<u32>,
    /// The number of journal entries that were applied; late requests may arrive between two runs.
    pub(crate) applied_entries: usize,
    pub(crate) created: usize,
    pub(crate) removed: usize,
}

impl State {
    pub(crate) fn from_simulator(simulator: &Simulator) -> Self {
        let applied_entries = simulator.journal().len();
        simulator.world(|world| {
            let snapshots: BTreeMap<u32, Snapshots> = world
                .guests
                .iter()
                .map(|(vmid, guest)| {
                    let snapshots = guest.snapshots.iter();
                    let snapshots = snapshots.map(|(name, one)| (name.clone(), modelled(one)));
                    (*vmid, snapshots.collect())
                })
                .collect();
            let locked = world
                .guests
                .iter()
                .filter(|(_, guest)| guest.lock.is_some());
            Self {
                first: snapshots.clone(),
                snapshots,
                changes: Vec::new(),
                locked_before: locked.map(|(vmid, _)| *vmid).collect(),
                forbidden: forbidden(world),
                applied_entries,
                created: 0,
                removed: 0,
            }
        })
    }

    /// The snapshots of a guest at a moment of the journal.
    pub(crate) fn at(&self, vmid: u32, moment: f64) -> Snapshots {
        let mut snapshots = self.first.get(&vmid).cloned().unwrap_or_default();
        for change in &self.changes {
            if change.vmid == vmid && change.at <= moment {
                match &change.after {
                    Some(after) => _ = snapshots.insert(change.name.clone(), after.clone()),
                    None => _ = snapshots.remove(&change.name),
                }
            }
        }
        snapshots
    }

    /// The moments between two others at which the snapshots of a guest changed.
    pub(crate) fn changes_between(&self, vmid: u32, from: f64, to: f64) -> Vec<f64> {
        let changes = self
            .changes
            .iter()
            .filter(|change| change.vmid == vmid && (from..=to).contains(&change.at));
        changes.map(|change| change.at).collect()
    }

    /// Adds a created snapshot, or changes the description of one.
    pub(crate) fn put(&mut self, simulator: &Simulator, mutation: &Mutation) {
        let name = mutation.snapshot.clone().unwrap_or_default();
        let before = self
            .snapshots
            .get(&mutation.vmid)
            .and_then(|all| all.get(&name));
        let after = match (mutation.action, before) {
            (Action::Update, Some(before)) => ModelSnapshot {
                description: mutation.description.clone().unwrap_or_default(),
                ..before.clone()
            },
            _ => ModelSnapshot {
                taken_at: taken_at(simulator, mutation).unwrap_or(i64::MAX),
                description: mutation.description.clone().unwrap_or_default(),
                is_complete: true,
            },
        };
        self.change(mutation.moment.at, mutation.vmid, name, Some(after));
    }

    pub(crate) fn remove(&mut self, at: f64, vmid: u32, name: &str) {
        self.change(at, vmid, name.to_owned(), None);
    }

    fn change(&mut self, at: f64, vmid: u32, name: String, after: Option<ModelSnapshot>) {
        let snapshots = self.snapshots.entry(vmid).or_default();
        match &after {
            Some(after) => _ = snapshots.insert(name.clone(), after.clone()),
            None => _ = snapshots.remove(&name),
        }
        self.changes.push(Change {
            at,
            vmid,
            name,
            after,
        });
    }
}

fn modelled(snapshot: &pve_sim::world::guest::Snapshot) -> ModelSnapshot {
    ModelSnapshot {
        taken_at: snapshot.taken_at,
        description: snapshot.description.clone().unwrap_or_default(),
        is_complete: snapshot.state.is_none(),
    }
}

fn forbidden(world: &World) -> BTreeSet<u32> {
    let may = |vmid: &u32| world.allows("backup@pve!auto", &format!("/vms/{vmid}"), "VM.Snapshot");
    world
        .guests
        .keys()
        .copied()
        .filter(|vmid| !may(vmid))
        .collect()
}

/// When a created snapshot was taken. Of one that no longer exists, PVE records the start of its task.
fn taken_at(simulator: &Simulator, mutation: &Mutation) -> Option<i64> {
    let name = mutation.snapshot.as_ref()?;
    let existing = simulator.world(|world| {
        let snapshot = world.guests[&mutation.vmid].snapshots.get(name);
        snapshot.map(|one| one.taken_at)
    });
    let upid = || mutation.upid.as_deref()?.parse::<pve_client::Upid>().ok();
    existing.or_else(|| Some(upid()?.started_at()))
}
