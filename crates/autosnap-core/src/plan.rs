// SPDX-License-Identifier: GPL-3.0-only
//! What a run will do to every selected guest, decided before anything is changed.
//!
//! `--dry-run` prints the very plan that the engine carries out. Execution may shrink it, never grow
//! it: [`confirm_removals`] is the only door through which a planned removal reaches PVE, and it
//! can only drop.
//!
//! Limits: one reading of each guest is all it sees. What may change afterwards (locks, space, a
//! guest that moves) is the engine's to notice.

mod confirm;
mod decide;
mod limit;
mod notes;

use std::collections::BTreeMap;

use crate::guest::{Guest, GuestConfig};
use crate::name::SnapName;
use crate::retention::{self, KeepPolicy, Reason, Verdict};
use crate::snapshot::Snapshot;
use crate::storage::{self, FullStorage, StorageLimit, StorageUsage};

pub use confirm::{Confirmation, DropReason, TakenSnapshot, confirm_removals};
pub use decide::{
    decide, is_snapshot_lock, leaves_out, may_be_excluded, newest_with_overdue, screen, unreachable,
};
pub use limit::RemovalLimit;
pub use notes::Note;

/// What was asked for, the same for every guest.
#[derive(Debug, Clone)]
pub struct Request {
    /// Take a snapshot, or only remove old ones.
    pub action: Action,
    /// Which snapshots of a guest stay.
    pub policy: KeepPolicy,
    /// What happens to a guest that somebody else holds locked.
    pub locked: Locked,
    /// How many snapshots of a guest are removed at most.
    pub removal_limit: RemovalLimit,
    /// The time of the plan, in seconds since the epoch by the server's clock.
    pub now: i64,
}

/// The two jobs.
#[derive(Debug, Clone)]
pub enum Action {
    /// `snap`: create, then remove what is beyond the policy.
    Snap(Creation),
    /// `clean`: only remove what is beyond the policy.
    Clean,
}

/// How the new snapshots are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// The name, the same for every guest of the run.
    pub name: SnapName,
    /// Save the RAM of VMs as well (`--state`).
    pub with_ram: bool,
    /// Leave out guests that are not running (`--only-running`).
    pub only_running: bool,
}

/// What happens to a guest that is still locked when its turn comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locked {
    /// It fails, with the name of the lock.
    Fails,
    /// It queues again while a snapshot task holds it (`--wait-snapshot-lock`). With any other lock it
    /// fails.
    WaitsForSnapshots,
    /// It queues again, whatever the lock, until the deadline of the run (`--wait-locked`).
    Waits,
}

impl Locked {
    /// Whether a guest with this lock is waited for.
    pub fn waits_for(self, lock: &str) -> bool {
        match self {
            Self::Fails => false,
            Self::WaitsForSnapshots => is_snapshot_lock(lock),
            Self::Waits => true,
        }
    }
}

/// What was read of one guest.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Its configuration, if the decision needs it.
    pub config: Option<GuestConfig>,
    /// Whether PVE says that the guest can be snapshotted, where it was asked
    /// ([`SnapshotBlockers::needs_query`](crate::snapshot_support::SnapshotBlockers::needs_query)) and has answered.
    pub can_snapshot: Option<bool>,
    /// PVE's error for a storage of its disks, which a snapshot would fail with: the storage does not
    /// exist, is disabled, or is restricted to other nodes.
    pub storage_error: Option<String>,
    /// Its snapshots, without PVE's `current` entry.
    pub snapshots: Vec<Snapshot>,
    /// Whether the task of the newest snapshot of the series took longer than the time-out, so that the
    /// run that took it could not remove what was beyond the policy.
    pub newest_was_late: bool,
    /// Whether a task was seen to run for it; `None` where it was not asked for. Without
    /// `Sys.Audit` PVE shows a login its own tasks only.
    pub task_runs: Option<bool>,
}

/// The figures that `--max-perc-storage` is held against.
#[derive(Debug, Clone, Copy)]
pub struct StorageGuard<'a> {
    /// One reading of all storages of the cluster.
    pub storages: &'a [StorageUsage],
    /// The limit; `None` when the storages are not checked (PVE before 6).
    pub limit: Option<StorageLimit>,
}

impl StorageGuard<'_> {
    fn first_full(&self, node: &str, config: &GuestConfig) -> Option<FullStorage> {
        let full = storage::full_storages(self.storages, node, config, self.limit?);
        full.into_iter().next()
    }

    fn unchecked(&self, node: &str, reading: &Reading) -> Vec<Note> {
        let (Some(limit), Some(config)) = (self.limit, &reading.config) else {
            return Vec::new();
        };
        let unchecked = storage::unchecked_storages(self.storages, node, config, limit);
        unchecked.into_iter().map(Note::LimitNotChecked).collect()
    }
}

/// The plan for all selected guests, in the order node, then ID.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What was asked for.
    pub request: Request,
    /// One entry per selected guest.
    pub guests: Vec<GuestPlan>,
}

/// The plan for one guest.
#[derive(Debug, Clone)]
pub struct GuestPlan {
    /// The guest, as the cluster listed it.
    pub guest: Guest,
    /// What will be done, or why nothing.
    pub decision: Decision,
    /// The steps of a guest that is refused for its lock: they are taken if it is unlocked when its turn
    /// comes.
    pub when_unlocked: Option<Steps>,
    /// What the administrator should know of it.
    pub notes: Vec<Note>,
}

impl GuestPlan {
    /// The steps that are taken, or would be taken if the guest were unlocked.
    pub fn steps(&self) -> Option<&Steps> {
        match &self.decision {
            Decision::Proceed(steps) => Some(steps),
            Decision::Refuse(_) => self.when_unlocked.as_ref(),
            Decision::Skip(_) => None,
        }
    }

    /// Whether the guest was locked when it was read, so that its lock is read again at its turn.
    pub fn was_locked(&self) -> bool {
        match &self.decision {
            Decision::Proceed(steps) => steps.waits_for.is_some(),
            Decision::Refuse(_) => self.when_unlocked.is_some(),
            Decision::Skip(_) => false,
        }
    }

    /// Whether the RAM of this guest is saved with its snapshot, or would be.
    pub fn saves_ram(&self, request: &Request) -> bool {
        match &request.action {
            Action::Snap(creation) => creation.with_ram && decide::saves_ram(&self.guest),
            Action::Clean => false,
        }
    }
}

/// What will be done to one guest.
#[derive(Debug, Clone)]
pub enum Decision {
    /// Nothing, and nothing is wrong with that.
    Skip(Skip),
    /// Nothing, although it was asked for: counts as a failure.
    Refuse(Refusal),
    /// These steps.
    Proceed(Steps),
}

/// Why a guest is left out without any harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skip {
    /// PVE refuses snapshots of templates.
    Template,
    /// `--only-running`, and it is not.
    NotRunning,
    /// PVE can never snapshot these volumes: bind mounts and devices.
    Unsupported {
        /// The configuration keys, for example `mp0`.
        volumes: Vec<String>,
    },
    /// PVE has no snapshots on the storage or in the format of these volumes, such as a raw disk on a
    /// directory.
    NoSnapshots {
        /// The volumes with their storages: `scsi0: bulk:100/vm-100-disk-0.raw`.
        volumes: Vec<String>,
    },
}

/// Why a guest does not get what was asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// Its node is offline or unreachable.
    NodeOffline,
    /// A storage that holds one of its disks is used above the limit.
    StorageFull(FullStorage),
    /// PVE cannot use a storage of its disks; PVE's text.
    StorageUnusable(String),
    /// It could not be read.
    Unreadable(String),
    /// Somebody holds it locked.
    Locked(String),
    /// It is locked by a snapshot task that is not seen to run: perhaps a left-over.
    Stuck {
        /// The lock.
        lock: String,
        /// The snapshot that is half made or half removed, if there is one.
        snapshot: Option<String>,
    },
    /// A snapshot of the name to be created exists already.
    NameTaken(SnapName),
    /// The login lacks `VM.Snapshot` on this path. Only a dry run asks: a run learns it from
    /// Proxmox VE's refusal.
    NotPermitted {
        /// The path of the access control list, such as `/vms/100`.
        path: String,
    },
    /// The cluster has no quorum. Only a dry run asks, and only a login with `Sys.Audit` learns it.
    NoQuorum,
}

impl Refusal {
    /// Whether the C# tool would have tried and failed, so that the hooks of a failing creation
    /// (`snap-create-pre`, `snap-create-abort`) are due. Skipped guests get no phase.
    pub fn counts_as_attempt(&self) -> bool {
        match self {
            Self::Locked(_)
            | Self::Stuck { .. }
            | Self::NameTaken(_)
            | Self::StorageUnusable(_)
            | Self::NotPermitted { .. }
            | Self::NoQuorum => true,
            Self::NodeOffline | Self::StorageFull(_) | Self::Unreadable(_) => false,
        }
    }
}

/// What will be done to one guest, in this order.
#[derive(Debug, Clone)]
pub struct Steps {
    /// The snapshot to create, if any.
    pub creation: Option<NewSnapshot>,
    /// The verdict on every snapshot of the guest, newest first.
    pub verdicts: Vec<Verdict>,
    /// The shared or local storages of its disks, as far as they were read.
    pub storages: Vec<String>,
    /// The removals that come before the creation, by name: those that the last run owes, because its
    /// snapshot came too late for them. They are beyond the policy without the new snapshot.
    pub overdue: Vec<String>,
    /// The lock that these steps have to wait for; `None` if there is nothing to do.
    pub waits_for: Option<String>,
}

/// A snapshot to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSnapshot {
    /// Its name.
    pub name: SnapName,
    /// Whether the VM's RAM is expected to be saved: the VM ran when it was listed.
    pub with_ram: bool,
    /// Whether RAM is requested, whatever the listed status, which may be stale: PVE leaves it out for a VM
    /// that does not run. Never set for containers, which have no such parameter.
    pub asks_for_ram: bool,
}

impl Skip {
    /// Whether the guest has no snapshots because PVE cannot take any of it.
    pub fn is_not_covered(&self) -> bool {
        match self {
            Self::Unsupported { .. } | Self::NoSnapshots { .. } => true,
            Self::Template | Self::NotRunning => false,
        }
    }
}

impl Plan {
    /// The storages above the limit that refuse a guest.
    pub fn refusing_storages(&self) -> impl Iterator<Item = &FullStorage> {
        self.guests
            .iter()
            .filter_map(|guest| match &guest.decision {
                Decision::Refuse(Refusal::StorageFull(full)) => Some(full),
                Decision::Refuse(_) | Decision::Skip(_) | Decision::Proceed(_) => None,
            })
    }

    /// How many snapshots look like the label in another timestamp format, by format: they are not
    /// counted.
    pub fn other_formats(&self) -> BTreeMap<&str, usize> {
        let mut formats = BTreeMap::new();
        for verdict in self.verdicts() {
            if let Reason::OtherFormat { format } = &verdict.reason {
                *formats.entry(format.as_str()).or_default() += 1;
            }
        }
        formats
    }

    /// How many snapshots are kept because their names are ambiguous.
    pub fn ambiguous_names(&self) -> usize {
        let is_ambiguous = |verdict: &&Verdict| matches!(verdict.reason, Reason::Ambiguous { .. });
        self.verdicts().filter(is_ambiguous).count()
    }

    /// The guests of which more snapshots are due than a run removes, with the number of those left to
    /// the next runs.
    pub fn over_limit(&self) -> Vec<(&Guest, usize)> {
        let left = self.guests.iter().filter_map(|plan| {
            let left = plan.steps()?.left_to_next_runs();
            (left > 0).then_some((&plan.guest, left))
        });
        left.collect()
    }

    fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        let steps = self.guests.iter().filter_map(GuestPlan::steps);
        steps.flat_map(|steps| &steps.verdicts)
    }
}

impl Steps {
    /// Whether anything is to be changed.
    pub fn change_anything(&self) -> bool {
        self.creation.is_some() || self.removals().next().is_some()
    }

    /// The snapshots to remove, oldest first.
    pub fn removals(&self) -> impl Iterator<Item = &Snapshot> {
        retention::removals(&self.verdicts)
    }

    /// How many snapshots are due and left to the next runs by the [`RemovalLimit`].
    pub fn left_to_next_runs(&self) -> usize {
        let is_left = |verdict: &&Verdict| matches!(verdict.reason, Reason::LeftToNextRuns { .. });
        self.verdicts.iter().filter(is_left).count()
    }
}

#[cfg(test)]
mod tests;
