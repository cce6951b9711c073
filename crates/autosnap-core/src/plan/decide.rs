// SPDX-License-Identifier: GPL-3.0-only
//! The decision about one guest: skip it, refuse it, or the steps.
//!
//! [`screen`] decides from the inventory alone; [`decide`] from the inventory and a reading of the
//! guest.

use super::{
    Action, Creation, Decision, GuestPlan, Locked, NewSnapshot, Note, Reading, Refusal, Request,
    Skip, Steps, StorageGuard, limit, notes,
};
use crate::guest::{Guest, GuestConfig, GuestKind, GuestStatus};
use crate::name::SnapName;
use crate::retention::{self, Reason, Verdict};
use crate::select::Inventory;
use crate::snapshot::{Snapshot, SnapshotState};
use crate::snapshot_support::SnapshotBlockers;

/// Why the guest cannot be read, if the inventory shows it.
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

/// The reason for not touching a selected guest whose name is not known: this exclusion may mean it.
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

/// Whether `--only-running` skips the guest, by a status that may be stale: PVE lists a guest that was
/// started up to ten seconds ago as stopped.
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
    let steps = match &request.action {
        Action::Snap(creation) => decide_snap(&guest, reading, creation, request, storages),
        Action::Clean => Ok(decide_clean(&guest, reading, request)),
    };
    let refusal = || refused_by_lock(&guest, reading, request);
    let (decision, when_unlocked) = match steps {
        Err(decision) => (*decision, None),
        Ok(steps) if !steps.change_anything() => (Decision::Proceed(steps), None),
        Ok(steps) => match refusal() {
            Some(refusal) => (Decision::Refuse(refusal), Some(steps)),
            None => (Decision::Proceed(steps), None),
        },
    };
    let mut plan = GuestPlan {
        guest,
        decision,
        when_unlocked,
        notes: Vec::new(),
    };
    plan.notes = notes(&plan, reading, request, storages);
    plan
}

fn notes(
    plan: &GuestPlan,
    reading: &Reading,
    request: &Request,
    storages: StorageGuard<'_>,
) -> Vec<Note> {
    // While a task works on the guest, an incomplete snapshot is that task's.
    let mut notes = if reading.task_runs == Some(true) {
        Vec::new()
    } else {
        notes::half_made(&reading.snapshots, plan.steps())
    };
    if let (Some(_), Action::Snap(_)) = (plan.steps(), &request.action) {
        notes.extend(storages.unchecked(&plan.guest.node, reading));
    }
    notes.extend(notes::overdue(plan.steps()));
    notes.extend(notes::not_counted(plan.steps(), request));
    notes.extend(notes::removal_limit(plan.steps(), request));
    if notes::agent_disabled(reading, &request.action) {
        notes.push(Note::AgentDisabled);
    }
    notes
}

fn decide_snap(
    guest: &Guest,
    reading: &Reading,
    creation: &Creation,
    request: &Request,
    storages: StorageGuard<'_>,
) -> Result<Steps, Box<Decision>> {
    if let Some(config) = &reading.config {
        let volumes: Vec<_> = config
            .unsupported_volumes()
            .map(|volume| volume.key.clone())
            .collect();
        if !volumes.is_empty() {
            return Err(Box::new(Decision::Skip(Skip::Unsupported { volumes })));
        }
        let volumes = SnapshotBlockers::new(config, storages.storages).names(reading.can_snapshot);
        if !volumes.is_empty() {
            return Err(Box::new(Decision::Skip(Skip::NoSnapshots { volumes })));
        }
        if let Some(error) = &reading.storage_error {
            return Err(Box::new(Decision::Refuse(Refusal::StorageUnusable(
                error.clone(),
            ))));
        }
        if let Some(full) = storages.first_full(&guest.node, config) {
            return Err(Box::new(Decision::Refuse(Refusal::StorageFull(full))));
        }
    }
    if reading
        .snapshots
        .iter()
        .any(|snapshot| creation.name.as_str().eq_ignore_ascii_case(&snapshot.name))
    {
        return Err(Box::new(Decision::Refuse(Refusal::NameTaken(
            creation.name.clone(),
        ))));
    }
    let verdicts = verdicts(reading, request, Some(&creation.name));
    Ok(Steps {
        creation: Some(NewSnapshot {
            name: creation.name.clone(),
            with_ram: creation.with_ram && saves_ram(guest),
            asks_for_ram: creation.with_ram && guest.kind == GuestKind::Qemu,
        }),
        overdue: if reading.newest_was_late {
            overdue(&verdicts)
        } else {
            Vec::new()
        },
        verdicts,
        storages: storages_of(reading),
        waits_for: lock_of(guest, reading).map(ToOwned::to_owned),
    })
}

/// PVE quietly drops the RAM for a stopped VM; containers know none.
pub(super) fn saves_ram(guest: &Guest) -> bool {
    guest.kind == GuestKind::Qemu && guest.status == GuestStatus::Running
}

fn decide_clean(guest: &Guest, reading: &Reading, request: &Request) -> Steps {
    let verdicts = verdicts(reading, request, None);
    let removes = retention::removals(&verdicts).next().is_some();
    Steps {
        creation: None,
        verdicts,
        overdue: Vec::new(),
        storages: storages_of(reading),
        waits_for: lock_of(guest, reading)
            .filter(|_| removes)
            .map(ToOwned::to_owned),
    }
}

fn verdicts(reading: &Reading, request: &Request, new: Option<&SnapName>) -> Vec<Verdict> {
    let verdicts = retention::decide(&reading.snapshots, &request.policy, new, request.now);
    limit::apply(verdicts, request)
}

/// The configuration is newer than the inventory, where it was read.
fn lock_of<'a>(guest: &'a Guest, reading: &'a Reading) -> Option<&'a str> {
    let config = reading.config.as_ref();
    config.map_or(&guest.lock, |config| &config.lock).as_deref()
}

/// How long after its start a creation that no task is seen to work on may still be under way, in seconds. PVE shows a
/// login without `Sys.Audit` only the tasks of its own, so the task may be somebody else's.
const MAY_BE_UNDER_WAY: i64 = 600;

/// Why a lock keeps the guest from being worked on now; `None` if there is none or it is waited for. A
/// lock that is waited for by default is not if no task is seen to hold it: it would not go away.
fn refused_by_lock(guest: &Guest, reading: &Reading, request: &Request) -> Option<Refusal> {
    let lock = lock_of(guest, reading)?;
    let may_be_under_way = |snapshot: &Snapshot| {
        let age = snapshot.taken_at.map(|taken_at| request.now - taken_at);
        snapshot.state == SnapshotState::Preparing
            && age.is_some_and(|age| (-MAY_BE_UNDER_WAY..MAY_BE_UNDER_WAY).contains(&age))
    };
    let is_stuck = is_snapshot_lock(lock)
        && reading.task_runs == Some(false)
        && !reading.snapshots.iter().any(may_be_under_way);
    match request.locked {
        Locked::Waits => None,
        Locked::Fails | Locked::WaitsForSnapshots if is_stuck => {
            let half = |snapshot: &&Snapshot| snapshot.state != SnapshotState::Complete;
            let snapshot = reading.snapshots.iter().find(half);
            Some(Refusal::Stuck {
                lock: lock.to_owned(),
                snapshot: snapshot.map(|one| one.name.clone()),
            })
        }
        locked @ (Locked::Fails | Locked::WaitsForSnapshots) => {
            (!locked.waits_for(lock)).then(|| Refusal::Locked(lock.to_owned()))
        }
    }
}

/// Whether a lock is one that a snapshot task sets, and leaves behind when it dies
/// (`snapshot_create`, `snapshot_delete` in `PVE/AbstractConfig.pm`), so that it is worth asking for
/// the guest's tasks.
pub fn is_snapshot_lock(lock: &str) -> bool {
    matches!(lock, "snapshot" | "snapshot-delete")
}

/// The newest snapshot of the series, if the guest has more of them than the policy keeps: if that one came
/// too late for the run that took it, the others are overdue.
pub fn newest_with_overdue<'a>(
    snapshots: &'a [Snapshot],
    request: &Request,
) -> Option<&'a Snapshot> {
    let verdicts = retention::decide(snapshots, &request.policy, None, request.now);
    retention::removals(&verdicts).next()?;
    let newest = verdicts
        .iter()
        .find(|verdict| verdict.reason == Reason::Kept { rank: 1 })?;
    let name = &newest.snapshot.name;
    snapshots.iter().find(|snapshot| snapshot.name == *name)
}

/// The removals that do not depend on the new snapshot, which has the first place: without it as many as the
/// policy keeps are left. Removals of older ones that PVE did not finish are among them, as the oldest go first.
///
/// `verdicts` are those of one guest with the new snapshot, newest first.
fn overdue(verdicts: &[Verdict]) -> Vec<String> {
    let is_overdue = |verdict: &&Verdict| matches!(verdict.reason, Reason::Removed { rank, keep } if rank > keep + 1);
    let overdue = verdicts
        .iter()
        .skip_while(|verdict| !is_overdue(verdict))
        .filter(|verdict| verdict.reason.is_removal());
    overdue
        .map(|verdict| verdict.snapshot.name.clone())
        .collect()
}

fn storages_of(reading: &Reading) -> Vec<String> {
    reading
        .config
        .iter()
        .flat_map(GuestConfig::storages)
        .map(ToOwned::to_owned)
        .collect()
}
