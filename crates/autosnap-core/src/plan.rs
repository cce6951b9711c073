// SPDX-License-Identifier: GPL-3.0-only
//! The plan of a run: what happens to every selected guest, decided before anything is changed.
//!
//! `--dry-run` prints the plan that the engine carries out. Execution may skip steps of the plan,
//! never add any: every planned removal must pass [`confirm_removal`], which can only drop it.
//!
//! Limits: the plan is based on one reading of each guest. The engine handles later changes (locks, space, a guest
//! that moves).

mod compare;
mod confirm;
mod decide;
mod limit;
mod notes;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Zoned;
use serde::{Deserialize, Serialize};

use crate::guest::{Guest, GuestConfig};
use crate::name::{Label, SnapName};
use crate::retention::{self, Policy, Reason, Verdict};
use crate::snapshot::Snapshot;
use crate::storage::{self, FullStorage, StorageLimit, StorageUsage};

pub use compare::{Comparison, Difference, GuestComparison, RuleCounts};
pub use confirm::{DropReason, TakenSnapshot, confirm_removal};
pub use decide::{
    decide, is_snapshot_lock, may_match_exclusion, newest_with_overdue, screen,
    skips_as_not_running,
};
pub use limit::RemovalLimit;
pub use notes::Note;

/// What a run intends to do with the guests of one policy.
#[derive(Debug, Clone)]
pub struct Intent {
    /// Take a snapshot, or only remove old ones.
    pub action: Action,
    /// Which snapshots of a guest stay.
    pub policy: Arc<Policy>,
    /// How a locked guest is handled.
    pub locked: LockedGuests,
    /// How many snapshots of a guest are removed at most.
    pub removal_limit: RemovalLimit,
    /// The time of the plan by the server's clock, in the zone whose hours and days the rules count.
    pub now: Zoned,
}

/// What a run does with a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `snap`: create a snapshot, then remove those that the policy does not keep.
    Snap(Creation),
    /// `clean`: only remove the snapshots that the policy does not keep.
    Clean,
}

impl Action {
    /// The name of the new snapshot.
    pub fn new_name(&self) -> Option<&SnapName> {
        match self {
            Self::Snap(creation) => Some(&creation.name),
            Self::Clean => None,
        }
    }
}

/// How new snapshots are created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// The name.
    pub name: SnapName,
    /// Save the RAM of VMs as well (`--state`).
    pub with_ram: bool,
    /// Leave out guests that are not running (`--only-running`).
    pub only_running: bool,
    /// The description, with marks below its first line.
    pub description: Arc<str>,
}

/// How a guest is handled that is still locked when the run reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockedGuests {
    /// It fails, with the name of the lock.
    Fail,
    /// It is retried while a snapshot task holds the lock (`--wait-snapshot-lock`). With any other
    /// lock it fails.
    WaitForSnapshotTasks,
    /// It is retried with any lock, until the deadline of the run (`--wait-locked`).
    Wait,
}

impl LockedGuests {
    /// Whether a guest with this lock is retried.
    pub fn waits_for(self, lock: &str) -> bool {
        match self {
            Self::Fail => false,
            Self::WaitForSnapshotTasks => is_snapshot_lock(lock),
            Self::Wait => true,
        }
    }
}

/// What was read of one guest.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Its configuration, if the decision needs it.
    pub config: Option<GuestConfig>,
    /// PVE's reply to whether the guest can be snapshotted, if the query was needed
    /// ([`SnapshotBlockers::needs_query`](crate::snapshot_support::SnapshotBlockers::needs_query)) and
    /// succeeded.
    pub can_snapshot: Option<bool>,
    /// PVE's error for a storage of its disks that makes a snapshot fail: the storage does not exist, is
    /// disabled, or is restricted to other nodes.
    pub storage_error: Option<String>,
    /// Its snapshots, without PVE's `current` entry.
    pub snapshots: Vec<Snapshot>,
    /// Whether the task of the newest snapshot of the series took longer than the timeout, so that its
    /// run could not remove the snapshots that the policy does not keep.
    pub newest_was_late: bool,
    /// Whether a running task was listed for it; `None` if the tasks were not read. Without `Sys.Audit`
    /// PVE lists only the login's own tasks.
    pub task_runs: Option<bool>,
}

/// The usage of the storages, with the limit of `--max-perc-storage`.
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

/// The plan for all selected guests.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// One entry per selected guest, in the order node, then VMID.
    pub guests: Vec<GuestPlan>,
}

/// The plan for one guest.
#[derive(Debug, Clone)]
pub struct GuestPlan {
    /// The guest, as the cluster listed it.
    pub guest: Guest,
    /// Which of its snapshots stay.
    pub policy: Arc<Policy>,
    /// What the run does with it, with the name of its new snapshot.
    pub action: Action,
    /// The steps, or why there are none.
    pub decision: Decision,
    /// The steps of a guest that is refused for its lock: they are carried out if it is unlocked when
    /// the run reaches it.
    pub when_unlocked: Option<Steps>,
    /// Notes for the administrator.
    pub notes: Vec<Note>,
}

impl GuestPlan {
    /// The plan for a guest that is not read, for example a template.
    pub fn without_reading(guest: Guest, intent: &Intent, decision: Decision) -> Self {
        Self {
            guest,
            policy: Arc::clone(&intent.policy),
            action: intent.action.clone(),
            decision,
            when_unlocked: None,
            notes: Vec::new(),
        }
    }

    /// The steps that are carried out, or would be if the guest were unlocked.
    pub fn steps(&self) -> Option<&Steps> {
        match &self.decision {
            Decision::Proceed(steps) => Some(steps),
            Decision::Refuse(_) => self.when_unlocked.as_ref(),
            Decision::Skip(_) => None,
        }
    }

    /// Whether the guest was locked when it was read, so that its lock is read again before its first step.
    pub fn was_locked(&self) -> bool {
        match &self.decision {
            Decision::Proceed(steps) => steps.waits_for.is_some(),
            Decision::Refuse(_) => self.when_unlocked.is_some(),
            Decision::Skip(_) => false,
        }
    }

    /// How many snapshots stay because their names are ambiguous.
    pub fn ambiguous_names(&self) -> usize {
        let is_ambiguous = |verdict: &&Verdict| matches!(verdict.reason, Reason::Ambiguous { .. });
        let verdicts = self.steps().into_iter().flat_map(|steps| &steps.verdicts);
        verdicts.filter(is_ambiguous).count()
    }

    /// Whether the RAM of this guest is saved with its snapshot, or would be.
    pub fn saves_ram(&self) -> bool {
        match &self.action {
            Action::Snap(creation) => creation.with_ram && decide::saves_ram(&self.guest),
            Action::Clean => false,
        }
    }
}

/// What happens to one guest.
#[derive(Debug, Clone)]
pub enum Decision {
    /// Nothing: expected, not a failure.
    Skip(Skip),
    /// Nothing: counts as a failure.
    Refuse(Refusal),
    /// These steps.
    Proceed(Steps),
}

/// Why a guest is skipped without a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Skip {
    /// PVE refuses snapshots of templates.
    Template,
    /// `--only-running`, and the guest is not running.
    NotRunning,
    /// PVE can never snapshot these volumes: bind mounts and devices.
    Unsupported {
        /// The configuration keys, for example `mp0`.
        volumes: Vec<String>,
    },
    /// PVE cannot snapshot volumes of this format on their storage, such as a raw disk on a directory.
    NoSnapshots {
        /// The volumes with their storages: `scsi0: bulk:100/vm-100-disk-0.raw`.
        volumes: Vec<String>,
    },
}

/// Why a guest is refused, which counts as a failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// Its node is offline or unreachable.
    NodeOffline,
    /// A storage that holds one of its disks is used above the limit.
    StorageFull(FullStorage),
    /// PVE cannot use a storage of its disks; PVE's text.
    StorageUnusable(String),
    /// It cannot be read, for this reason.
    Unreadable(String),
    /// It has this lock.
    Locked(String),
    /// A snapshot task has locked it, but no such task is listed: the lock may be stale.
    Stuck {
        /// The lock.
        lock: String,
        /// The incomplete snapshot, if there is one.
        snapshot: Option<String>,
    },
    /// A snapshot of the name to be created exists already.
    NameTaken(SnapName),
    /// The login lacks `VM.Snapshot` on this path. Only a dry run checks it: for a run, PVE refuses the
    /// request.
    NotPermitted {
        /// The path of the access control list, such as `/vms/100`.
        path: String,
    },
    /// The cluster has no quorum. Only a dry run checks it, and only a login with `Sys.Audit` can.
    NoQuorum,
}

impl Refusal {
    /// Whether the C# tool would have tried and failed, so that the hooks of a failed creation
    /// (`snap-create-pre`, `snap-create-abort`) are called. Skipped guests have no hook phases.
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

/// The steps for one guest, in this order.
#[derive(Debug, Clone)]
pub struct Steps {
    /// The snapshot to create, if any.
    pub creation: Option<NewSnapshot>,
    /// The verdict on every snapshot of the guest, newest first.
    pub verdicts: Vec<Verdict>,
    /// The storages of its disks, if its configuration was read.
    pub storages: Vec<String>,
    /// The names of the removals that come before the creation: the last run left them, because its
    /// snapshot was completed too late. The policy does not keep them even without the new snapshot.
    pub overdue: Vec<String>,
    /// The lock that these steps wait for; `None` if there is no lock or nothing to do.
    pub waits_for: Option<String>,
}

/// A guest with more removals than one run carries out.
#[derive(Debug, Clone, Copy)]
pub struct OverLimit<'a> {
    /// The guest.
    pub guest: &'a Guest,
    /// How many snapshots one run removes.
    pub limit: u32,
    /// How many are left to the next runs.
    pub left: usize,
}

/// A snapshot to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSnapshot {
    /// Its name.
    pub name: SnapName,
    /// Whether the VM's RAM is expected to be saved: the VM was listed as running.
    pub with_ram: bool,
    /// Whether RAM is requested. The listed status, which may be stale, does not matter: PVE omits the
    /// RAM of a VM that does not run. Never set for containers, which have no such parameter.
    pub requests_ram: bool,
    /// The description, with marks below its first line.
    pub description: Arc<str>,
}

impl Skip {
    /// Whether PVE cannot take any snapshot of the guest.
    pub fn is_not_covered(&self) -> bool {
        match self {
            Self::Unsupported { .. } | Self::NoSnapshots { .. } => true,
            Self::Template | Self::NotRunning => false,
        }
    }
}

impl Plan {
    /// The storages above the limit for which a guest is refused.
    pub fn refusing_storages(&self) -> impl Iterator<Item = &FullStorage> {
        self.guests
            .iter()
            .filter_map(|guest| match &guest.decision {
                Decision::Refuse(Refusal::StorageFull(full)) => Some(full),
                Decision::Refuse(_) | Decision::Skip(_) | Decision::Proceed(_) => None,
            })
    }

    /// How many snapshots have the label of their guest's policy in another timestamp format, by label
    /// and format. They are not counted.
    pub fn other_formats(&self) -> BTreeMap<(&Label, &str), usize> {
        let mut formats = BTreeMap::new();
        for plan in &self.guests {
            let label = plan.policy.series.label();
            for verdict in plan.steps().into_iter().flat_map(|steps| &steps.verdicts) {
                if let Reason::OtherFormat { format } = &verdict.reason {
                    *formats.entry((label, format.as_str())).or_default() += 1;
                }
            }
        }
        formats
    }

    /// How many snapshots stay because their names are ambiguous, by the label of their guest's policy.
    pub fn ambiguous_names(&self) -> BTreeMap<&Label, usize> {
        let mut labels = BTreeMap::new();
        for plan in &self.guests {
            let count = plan.ambiguous_names();
            if count > 0 {
                *labels.entry(plan.policy.series.label()).or_default() += count;
            }
        }
        labels
    }

    /// The guests with more removals than one run carries out.
    pub fn over_limit(&self) -> Vec<OverLimit<'_>> {
        let over_limit = self.guests.iter().filter_map(|plan| {
            let (limit, left) = plan.steps()?.over_limit()?;
            let guest = &plan.guest;
            Some(OverLimit { guest, limit, left })
        });
        over_limit.collect()
    }
}

impl Steps {
    /// Whether the steps change anything.
    pub fn change_anything(&self) -> bool {
        self.creation.is_some() || self.removals().next().is_some()
    }

    /// The snapshots to remove, oldest first.
    pub fn removals(&self) -> impl Iterator<Item = &Snapshot> {
        retention::removals(&self.verdicts)
    }

    /// How many removals the [`RemovalLimit`] leaves to the next runs.
    pub fn left_to_next_runs(&self) -> usize {
        self.over_limit().map_or(0, |(_, left)| left)
    }

    /// The limit of removals and how many it leaves to the next runs; `None` if it leaves none.
    fn over_limit(&self) -> Option<(u32, usize)> {
        let mut limits = self.verdicts.iter().filter_map(|verdict| {
            if let Reason::LeftToNextRuns { limit } = verdict.reason {
                Some(limit)
            } else {
                None
            }
        });
        let limit = limits.next()?;
        Some((limit, 1 + limits.count()))
    }
}

#[cfg(test)]
mod tests;
