// SPDX-License-Identifier: GPL-3.0-only
//! What a run will do to every selected guest, decided before anything is changed.
//!
//! `--dry-run` prints the very plan that the engine carries out. Execution may shrink it, never grow
//! it: [`confirm_removals`] is the only door through which a planned removal reaches PVE, and it
//! can only drop.
//!
//! Limits: one reading of each guest is all it sees. What may change afterwards (locks, space, a
//! guest that moves) is the engine's to notice.

use std::collections::BTreeMap;

use crate::guest::{AgentSetting, Guest, GuestConfig, GuestKind, GuestStatus};
use crate::name::SnapName;
use crate::retention::{self, KeepPolicy, Reason, Verdict};
use crate::select::Inventory;
use crate::snapshot::{Snapshot, SnapshotState};
use crate::snapshot_support::SnapshotBlockers;
use crate::storage::{self, FullStorage, StorageLimit, StorageUsage, UncheckedStorage};

/// What was asked for, the same for every guest.
#[derive(Debug, Clone)]
pub struct Request {
    /// Take a snapshot, or only remove old ones.
    pub action: Action,
    /// Which snapshots of a guest stay.
    pub policy: KeepPolicy,
    /// What happens to a guest that somebody else holds locked.
    pub locked: Locked,
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

/// What happens to a guest that is locked when its turn comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locked {
    /// It fails, with the name of the lock.
    Fails,
    /// It queues again until the deadline of the run (`--wait-locked`).
    Waits,
}

/// What was read of one guest.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Its configuration, if the decision needs it.
    pub config: Option<GuestConfig>,
    /// Whether PVE says that the guest can be snapshotted, where it was asked
    /// ([`SnapshotBlockers::must_ask`]) and has answered.
    pub can_snapshot: Option<bool>,
    /// Its snapshots, without PVE's `current` entry.
    pub snapshots: Vec<Snapshot>,
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
    /// What the administrator should know of it.
    pub notes: Vec<Note>,
}

impl GuestPlan {
    /// Whether the RAM of this guest is saved with its snapshot, or would be.
    pub fn saves_ram(&self, request: &Request) -> bool {
        match &request.action {
            Action::Snap(creation) => creation.with_ram && saves_ram(&self.guest),
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
    /// The lock that these steps have to wait for; `None` if there is nothing to do.
    pub waits_for: Option<String>,
}

/// A snapshot to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSnapshot {
    /// Its name.
    pub name: SnapName,
    /// With the VM's RAM, as far as is known: the VM ran when it was listed.
    pub with_ram: bool,
    /// The RAM is asked for, whatever the listing said, which may be old: PVE leaves it out for a VM
    /// that does not run. Never set for containers, which know no such parameter.
    pub asks_for_ram: bool,
}

impl Plan {
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

    /// How many snapshots stay because their names can be read in two ways.
    pub fn ambiguous_names(&self) -> usize {
        let is_ambiguous = |verdict: &&Verdict| matches!(verdict.reason, Reason::Ambiguous { .. });
        self.verdicts().filter(is_ambiguous).count()
    }

    fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.guests.iter().flat_map(|guest| match &guest.decision {
            Decision::Proceed(steps) => steps.verdicts.as_slice(),
            Decision::Skip(_) | Decision::Refuse(_) => &[],
        })
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
}

/// What the administrator should know of a guest, whatever is done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A VM without the guest agent enabled: its file systems are not frozen for the snapshot.
    AgentDisabled,
    /// A snapshot that was never finished or never quite removed. It is neither counted nor removed.
    HalfMade {
        /// Its name.
        name: String,
        /// How far it got.
        state: SnapshotState,
    },
    /// The snapshot is taken although nothing is known of how full this storage is.
    LimitNotChecked(UncheckedStorage),
    /// Snapshots that stay because their names can be read in two ways.
    AmbiguousNames {
        /// Their names, oldest first.
        names: Vec<String>,
        /// How the run reads them: label and format.
        own: (String, String),
        /// How else they can be read: label and format.
        other: (String, String),
    },
    /// A snapshot that stays and takes no place among the kept ones, because its time cannot be right.
    ImpossibleTime {
        /// Its name.
        name: String,
        /// PVE's time, in seconds since the epoch.
        taken_at: i64,
        /// It is in the future; otherwise it differs from the time in the name.
        future: bool,
    },
}

/// Why the guest cannot be read at all, as far as the inventory tells.
///
/// Only a node that PVE calls offline is offline. The guests of one that sends no statistics are
/// read like all others, unless the node has refused to list them.
pub fn unreachable(guest: &Guest, inventory: &Inventory) -> Option<Refusal> {
    if inventory.is_offline(&guest.node) {
        return Some(Refusal::NodeOffline);
    }
    let reason = inventory.unlisted_reason(guest)?;
    Some(Refusal::Unreadable(format!(
        "node {} sends no statistics, and its guests could not be listed: {reason}",
        guest.node
    )))
}

/// Why a guest is not worked on although it is selected: its name is not known, and it may be the
/// guest that this exclusion means.
pub fn may_be_excluded(exclusion: &str) -> String {
    format!(
        "its name is not known, and the exclusion `{exclusion}` may mean it: exclude by ID, tag, pool or node instead"
    )
}

/// What the inventory alone decides, so that the guest need not be read.
pub fn screen(guest: &Guest, request: &Request, inventory: &Inventory) -> Option<Decision> {
    if guest.template {
        return Some(Decision::Skip(Skip::Template));
    }
    if let Some(refusal) = unreachable(guest, inventory) {
        return Some(Decision::Refuse(refusal));
    }
    leaves_out(guest, request).then_some(Decision::Skip(Skip::NotRunning))
}

/// Whether `--only-running` leaves the guest out, by a status that may be old: PVE lists a guest that
/// was started up to ten seconds ago as stopped.
pub fn leaves_out(guest: &Guest, request: &Request) -> bool {
    match &request.action {
        Action::Snap(creation) => creation.only_running && guest.status != GuestStatus::Running,
        Action::Clean => false,
    }
}

/// The plan for one guest that was read.
pub fn decide(
    guest: Guest,
    reading: &Reading,
    request: &Request,
    storages: StorageGuard<'_>,
) -> GuestPlan {
    let decision = match &request.action {
        Action::Snap(creation) => decide_snap(&guest, reading, creation, request, storages),
        Action::Clean => decide_clean(&guest, reading, request),
    };
    let mut notes = half_made(&reading.snapshots, &decision);
    if let (Decision::Proceed(_), Action::Snap(_)) = (&decision, &request.action) {
        notes.extend(storages.unchecked(&guest.node, reading));
    }
    notes.extend(not_counted(&decision, request));
    if agent_disabled(reading, &request.action) {
        notes.push(Note::AgentDisabled);
    }
    GuestPlan {
        guest,
        decision,
        notes,
    }
}

fn decide_snap(
    guest: &Guest,
    reading: &Reading,
    creation: &Creation,
    request: &Request,
    storages: StorageGuard<'_>,
) -> Decision {
    if let Some(config) = &reading.config {
        let volumes: Vec<_> = config
            .unsupported_volumes()
            .map(|volume| volume.key.clone())
            .collect();
        if !volumes.is_empty() {
            return Decision::Skip(Skip::Unsupported { volumes });
        }
        let volumes = SnapshotBlockers::new(config, storages.storages).names(reading.can_snapshot);
        if !volumes.is_empty() {
            return Decision::Skip(Skip::NoSnapshots { volumes });
        }
        if let Some(full) = storages.first_full(&guest.node, config) {
            return Decision::Refuse(Refusal::StorageFull(full));
        }
    }
    if reading
        .snapshots
        .iter()
        .any(|snapshot| creation.name.as_str().eq_ignore_ascii_case(&snapshot.name))
    {
        return Decision::Refuse(Refusal::NameTaken(creation.name.clone()));
    }
    if let Some(refusal) = refused_by_lock(guest, reading, request) {
        return Decision::Refuse(refusal);
    }
    Decision::Proceed(Steps {
        creation: Some(NewSnapshot {
            name: creation.name.clone(),
            with_ram: creation.with_ram && saves_ram(guest),
            asks_for_ram: creation.with_ram && guest.kind == GuestKind::Qemu,
        }),
        verdicts: retention::decide(
            &reading.snapshots,
            &request.policy,
            Some(&creation.name),
            request.now,
        ),
        storages: storages_of(reading),
        waits_for: lock_of(guest, reading).map(ToOwned::to_owned),
    })
}

/// PVE quietly drops the RAM for a stopped VM; containers know none.
fn saves_ram(guest: &Guest) -> bool {
    guest.kind == GuestKind::Qemu && guest.status == GuestStatus::Running
}

fn decide_clean(guest: &Guest, reading: &Reading, request: &Request) -> Decision {
    let verdicts = retention::decide(&reading.snapshots, &request.policy, None, request.now);
    let removes = retention::removals(&verdicts).next().is_some();
    if removes && let Some(refusal) = refused_by_lock(guest, reading, request) {
        return Decision::Refuse(refusal);
    }
    Decision::Proceed(Steps {
        creation: None,
        verdicts,
        storages: storages_of(reading),
        waits_for: lock_of(guest, reading)
            .filter(|_| removes)
            .map(ToOwned::to_owned),
    })
}

/// The configuration is newer than the inventory, where it was read.
fn lock_of<'a>(guest: &'a Guest, reading: &'a Reading) -> Option<&'a str> {
    let config = reading.config.as_ref();
    config.map_or(&guest.lock, |config| &config.lock).as_deref()
}

fn refused_by_lock(guest: &Guest, reading: &Reading, request: &Request) -> Option<Refusal> {
    match (request.locked, lock_of(guest, reading)) {
        (Locked::Fails, Some(lock))
            if may_be_left_over(lock) && reading.task_runs == Some(false) =>
        {
            let half = |snapshot: &&Snapshot| snapshot.state != SnapshotState::Complete;
            let snapshot = reading.snapshots.iter().find(half);
            Some(Refusal::Stuck {
                lock: lock.to_owned(),
                snapshot: snapshot.map(|one| one.name.clone()),
            })
        }
        (Locked::Fails, Some(lock)) => Some(Refusal::Locked(lock.to_owned())),
        (Locked::Fails, None) | (Locked::Waits, _) => None,
    }
}

/// Whether a lock is one that a snapshot task leaves behind when it dies
/// (`snapshot_create`, `snapshot_delete` in `PVE/AbstractConfig.pm`), so that it is worth asking for
/// the guest's tasks.
pub fn may_be_left_over(lock: &str) -> bool {
    matches!(lock, "snapshot" | "snapshot-delete")
}

fn storages_of(reading: &Reading) -> Vec<String> {
    reading
        .config
        .iter()
        .flat_map(GuestConfig::storages)
        .map(ToOwned::to_owned)
        .collect()
}

/// The half-made snapshots that stay, oldest first: PVE lists them in no order.
fn half_made(snapshots: &[Snapshot], decision: &Decision) -> Vec<Note> {
    let goes = |snapshot: &Snapshot| match decision {
        Decision::Proceed(steps) => steps.removals().any(|other| other.name == snapshot.name),
        Decision::Skip(_) | Decision::Refuse(_) => false,
    };
    let mut half: Vec<&Snapshot> = snapshots
        .iter()
        .filter(|snapshot| snapshot.state != SnapshotState::Complete && !goes(snapshot))
        .collect();
    half.sort_by_key(|snapshot| (snapshot.taken_at, &snapshot.name));
    let notes = half.into_iter().map(|snapshot| Note::HalfMade {
        name: snapshot.name.clone(),
        state: snapshot.state.clone(),
    });
    notes.collect()
}

/// The snapshots that the policy would count, but for their ambiguous names or impossible times.
fn not_counted(decision: &Decision, request: &Request) -> Vec<Note> {
    let Decision::Proceed(steps) = decision else {
        return Vec::new();
    };
    let series = &request.policy.series;
    let own = || (series.label().to_string(), series.format().to_string());
    let mut ambiguous: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut notes = Vec::new();
    for verdict in steps.verdicts.iter().rev() {
        let name = verdict.snapshot.name.clone();
        let taken_at = verdict.snapshot.taken_at.unwrap_or_default();
        match &verdict.reason {
            Reason::Ambiguous { label, format } => {
                let other = (label.clone(), format.clone());
                ambiguous.entry(other).or_default().push(name);
            }
            reason @ (Reason::FutureTime | Reason::WrongTime) => {
                notes.push(Note::ImpossibleTime {
                    name,
                    taken_at,
                    future: *reason == Reason::FutureTime,
                });
            }
            Reason::Kept { .. }
            | Reason::KeptNew
            | Reason::Removed { .. }
            | Reason::RemovalRetried
            | Reason::NotOurs
            | Reason::OtherLabel
            | Reason::OtherFormat { .. }
            | Reason::HalfMade(_)
            | Reason::Undated => {}
        }
    }
    let ambiguous = ambiguous
        .into_iter()
        .map(|(other, names)| Note::AmbiguousNames {
            names,
            own: own(),
            other,
        });
    notes.extend(ambiguous);
    notes
}

fn agent_disabled(reading: &Reading, action: &Action) -> bool {
    matches!(action, Action::Snap(_))
        && reading
            .config
            .as_ref()
            .is_some_and(|config| config.agent == AgentSetting::Disabled)
}

/// A planned removal after a second look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// It may be sent.
    Remove(Snapshot),
    /// It is not sent, for this reason.
    Drop(Snapshot, DropReason),
}

/// Why a planned removal is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// It is no longer there.
    Gone,
    /// A snapshot of that name is there, but not the one that was planned for.
    Replaced,
    /// With what is there now, the policy keeps it.
    KeptNow,
    /// The list does not hold the snapshot that this run has taken.
    NewNotListed,
    /// The list holds the snapshot that this run has taken, but it is not complete.
    NewIncomplete,
    /// A snapshot with the name of the new one is there, but it was taken before this run asked for
    /// it, is undated, or has another description: it is not the one that this run has taken.
    NewIsAnother,
}

impl DropReason {
    /// Whether the guest has failed: the run took a snapshot that the guest's list does not show.
    pub fn is_failure(self) -> bool {
        match self {
            Self::Gone | Self::Replaced | Self::KeptNow => false,
            Self::NewNotListed | Self::NewIncomplete | Self::NewIsAnother => true,
        }
    }
}

/// The snapshot that a run has just taken of a guest: what the guest's list must hold before
/// anything is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenSnapshot {
    /// Its name.
    pub name: SnapName,
    /// The earliest `snaptime` it can have, in seconds since the epoch: the time of the request by
    /// the server's clock, less a tolerance for clocks that differ.
    pub not_before: i64,
}

impl TakenSnapshot {
    /// Why a list is no proof that this snapshot exists; `None` if it is one.
    fn missing_from(&self, listed: &[Snapshot]) -> Option<DropReason> {
        let Some(entry) = listed
            .iter()
            .find(|snapshot| snapshot.name == self.name.as_str())
        else {
            return Some(DropReason::NewNotListed);
        };
        if entry.state != SnapshotState::Complete {
            return Some(DropReason::NewIncomplete);
        }
        let is_it = entry.is_ours()
            && entry
                .taken_at
                .is_some_and(|taken_at| taken_at >= self.not_before);
        (!is_it).then_some(DropReason::NewIsAnother)
    }
}

/// Which of the planned removals still hold, given a fresh list of the guest's snapshots, oldest
/// first. A removal passes only if the very snapshot (name and `snaptime`) is still there and the
/// policy, applied to the fresh list, removes it as well.
///
/// `new` is the snapshot that this run has just taken of the guest. It counts as the newest, as it
/// did in the plan, and the list must hold it, complete and taken by this run; a list that does not
/// confirms nothing, because it may be that of another guest, another cluster or another time. `now`
/// is the server's time in seconds since the epoch.
pub fn confirm_removals<'a>(
    planned: impl IntoIterator<Item = &'a Snapshot>,
    listed: &[Snapshot],
    policy: &KeepPolicy,
    new: Option<&TakenSnapshot>,
    now: i64,
) -> Vec<Confirmation> {
    let new_is_missing = new.and_then(|new| new.missing_from(listed));
    let verdicts = retention::decide(listed, policy, new.map(|new| &new.name), now);
    planned
        .into_iter()
        .map(|snapshot| match new_is_missing {
            Some(reason) => Confirmation::Drop(snapshot.clone(), reason),
            None => confirm(snapshot, listed, &verdicts),
        })
        .collect()
}

fn confirm(planned: &Snapshot, listed: &[Snapshot], verdicts: &[Verdict]) -> Confirmation {
    let Some(now) = listed.iter().find(|snapshot| snapshot.name == planned.name) else {
        return Confirmation::Drop(planned.clone(), DropReason::Gone);
    };
    if now.taken_at != planned.taken_at {
        return Confirmation::Drop(planned.clone(), DropReason::Replaced);
    }
    let removed =
        |verdict: &Verdict| verdict.snapshot.name == planned.name && verdict.reason.is_removal();
    if verdicts.iter().any(removed) {
        Confirmation::Remove(planned.clone())
    } else {
        Confirmation::Drop(planned.clone(), DropReason::KeptNow)
    }
}

#[cfg(test)]
mod tests;
