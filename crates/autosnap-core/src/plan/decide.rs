// SPDX-License-Identifier: GPL-3.0-only
//! The decision about one guest: skip it, refuse it, or carry out steps.
//!
//! [`screen`] decides by the inventory alone, [`decide`] by the inventory and a reading of the guest.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{
    Action, Creation, Decision, GuestPlan, Intent, LockedGuests, NewSnapshot, Note, Reading,
    Refusal, Skip, Steps, StorageGuard, limit, notes,
};
use crate::guest::{Guest, GuestConfig, GuestKind, GuestStatus};
use crate::name::SnapName;
use crate::retention::{self, Reason, Verdict};
use crate::select::Inventory;
use crate::snapshot::{Snapshot, SnapshotState};
use crate::snapshot_support::SnapshotBlockers;

/// How long after its start a creation without a listed task may still be in progress. Without
/// `Sys.Audit` PVE lists only the login's own tasks, so that the task may be another user's.
const MAY_BE_IN_PROGRESS: SignedDuration = SignedDuration::from_mins(10);

/// How long after the plan of a run its snapshot of a guest may be taken.
const PLAN_TO_SNAPSHOT: SignedDuration = SignedDuration::from_hours(1);

/// Why the guest cannot be read, by the inventory.
///
/// Only a node that PVE reports as offline is offline. The guests of a node that sends no statistics
/// are read like all others, unless the node has refused to list them.
fn refuse_unreadable(guest: &Guest, inventory: &Inventory) -> Option<Refusal> {
    if inventory.is_offline(&guest.node) {
        return Some(Refusal::NodeOffline);
    }
    let reason = inventory.unlisted_reason(guest)?;
    Some(Refusal::Unreadable(format!(
        "node {} sends no statistics, and its guests could not be listed: {reason}",
        guest.node
    )))
}

/// Why a selected guest is not read whose name is unknown, so that this exclusion may match it.
pub fn may_match_exclusion(exclusion: &str) -> String {
    format!(
        "its name is unknown and may match the exclusion `{exclusion}`: exclude it by ID, tag, pool or node instead"
    )
}

/// The decision about a guest that need not be read; `None` if it must be.
pub fn screen(guest: &Guest, intent: &Intent, inventory: &Inventory) -> Option<Decision> {
    if guest.template {
        return Some(Decision::Skip(Skip::Template));
    }
    if let Some(refusal) = refuse_unreadable(guest, inventory) {
        return Some(Decision::Refuse(refusal));
    }
    skips_as_not_running(guest, intent).then_some(Decision::Skip(Skip::NotRunning))
}

/// Whether `--only-running` skips the guest, by its listed status.
///
/// The status may be stale: PVE lists a guest as stopped for up to ten seconds after its start.
pub fn skips_as_not_running(guest: &Guest, intent: &Intent) -> bool {
    match &intent.action {
        Action::Snap(creation) => creation.only_running && guest.status != GuestStatus::Running,
        Action::Clean => false,
    }
}

/// The plan for one guest that was read.
pub fn decide(
    guest: Guest,
    reading: &Reading,
    intent: &Intent,
    storages: StorageGuard<'_>,
) -> GuestPlan {
    let steps = match &intent.action {
        Action::Snap(creation) => decide_snap(&guest, reading, creation, intent, storages),
        Action::Clean => Ok(decide_clean(&guest, reading, intent)),
    };
    let (decision, when_unlocked) = match steps {
        Err(decision) => (*decision, None),
        Ok(steps) if !steps.change_anything() => (Decision::Proceed(steps), None),
        Ok(steps) => match refused_by_lock(&guest, reading, intent) {
            Some(refusal) => (Decision::Refuse(refusal), Some(steps)),
            None => (Decision::Proceed(steps), None),
        },
    };
    let mut plan = GuestPlan {
        guest,
        policy: Arc::clone(&intent.policy),
        action: intent.action.clone(),
        decision,
        when_unlocked,
        notes: Vec::new(),
    };
    plan.notes = notes(&plan, reading, storages, intent.now.timestamp());
    plan
}

fn notes(
    plan: &GuestPlan,
    reading: &Reading,
    storages: StorageGuard<'_>,
    now: Timestamp,
) -> Vec<Note> {
    // An incomplete snapshot belongs to the task that is running for the guest.
    let mut notes = if reading.task_runs == Some(true) {
        Vec::new()
    } else {
        notes::incomplete(&reading.snapshots, plan.steps())
    };
    if let (Some(_), Action::Snap(_)) = (plan.steps(), &plan.action) {
        notes.extend(storages.unchecked(&plan.guest.node, reading));
    }
    notes.extend(notes::overdue(plan.steps()));
    notes.extend(notes::not_counted(plan.steps(), &plan.policy.series));
    notes.extend(notes::marks(plan.steps(), plan.policy.rules, now));
    notes.extend(notes::removal_limit(plan.steps()));
    if notes::agent_disabled(reading, &plan.action) {
        notes.push(Note::AgentDisabled);
    }
    notes
}

fn decide_snap(
    guest: &Guest,
    reading: &Reading,
    creation: &Creation,
    intent: &Intent,
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
    let verdicts = verdicts(reading, intent, Some(&creation.name));
    Ok(Steps {
        creation: Some(NewSnapshot {
            name: creation.name.clone(),
            with_ram: creation.with_ram && saves_ram(guest),
            requests_ram: creation.with_ram && guest.kind == GuestKind::Qemu,
            description: Arc::clone(&creation.description),
        }),
        overdue: if reading.newest_was_late {
            overdue(&verdicts, reading, intent)
        } else {
            Vec::new()
        },
        verdicts,
        storages: storages_of(reading),
        waits_for: lock_of(guest, reading).map(ToOwned::to_owned),
    })
}

/// Whether PVE saves the RAM: it omits it for a stopped VM, and containers have none.
pub(super) fn saves_ram(guest: &Guest) -> bool {
    guest.kind == GuestKind::Qemu && guest.status == GuestStatus::Running
}

fn decide_clean(guest: &Guest, reading: &Reading, intent: &Intent) -> Steps {
    let verdicts = verdicts(reading, intent, None);
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

fn verdicts(reading: &Reading, intent: &Intent, new: Option<&SnapName>) -> Vec<Verdict> {
    let verdicts = retention::decide(&reading.snapshots, &intent.policy, new, &intent.now);
    limit::apply(verdicts, intent)
}

/// The lock by the configuration if it was read, as it is newer than the inventory.
fn lock_of<'a>(guest: &'a Guest, reading: &'a Reading) -> Option<&'a str> {
    let config = reading.config.as_ref();
    config.map_or(&guest.lock, |config| &config.lock).as_deref()
}

/// Why the guest is refused for its lock; `None` if it has none or the run waits for it.
///
/// The run does not wait for a snapshot lock without a running task: it may be stale, and then it stays.
fn refused_by_lock(guest: &Guest, reading: &Reading, intent: &Intent) -> Option<Refusal> {
    let lock = lock_of(guest, reading)?;
    let now = intent.now.timestamp();
    let may_be_in_progress = |snapshot: &Snapshot| {
        let age = snapshot
            .taken_at
            .map(|taken_at| now.duration_since(taken_at));
        snapshot.state == SnapshotState::Preparing
            && age.is_some_and(|age| (-MAY_BE_IN_PROGRESS..MAY_BE_IN_PROGRESS).contains(&age))
    };
    let is_stuck = is_snapshot_lock(lock)
        && reading.task_runs == Some(false)
        && !reading.snapshots.iter().any(may_be_in_progress);
    match intent.locked {
        LockedGuests::Wait => None,
        LockedGuests::Fail | LockedGuests::WaitForSnapshotTasks if is_stuck => {
            let is_incomplete = |snapshot: &&Snapshot| snapshot.state != SnapshotState::Complete;
            let snapshot = reading.snapshots.iter().find(is_incomplete);
            Some(Refusal::Stuck {
                lock: lock.to_owned(),
                snapshot: snapshot.map(|one| one.name.clone()),
            })
        }
        locked @ (LockedGuests::Fail | LockedGuests::WaitForSnapshotTasks) => {
            (!locked.waits_for(lock)).then(|| Refusal::Locked(lock.to_owned()))
        }
    }
}

/// Whether a snapshot task sets this lock, and leaves it when it is killed (`snapshot_create`,
/// `snapshot_delete` in `PVE/AbstractConfig.pm`), so that the guest's tasks show whether it is stale.
pub fn is_snapshot_lock(lock: &str) -> bool {
    matches!(lock, "snapshot" | "snapshot-delete")
}

/// The newest snapshot of the series, if its run should have removed more than it has.
///
/// If that snapshot was completed too late for the removals of its run, they are overdue. What has reached the age of a
/// guard since the plan of that run is not, so that a run with such guards reads no tasks for it.
pub fn newest_with_overdue<'a>(snapshots: &'a [Snapshot], intent: &Intent) -> Option<&'a Snapshot> {
    let judged = judge_without_new(snapshots, intent);
    if !judged.iter().any(|(_, reason)| reason.is_removal()) {
        return None;
    }
    let mut kept = judged
        .iter()
        .filter(|(_, reason)| reason.is_kept_by_rules());
    let (newest, _) = kept.next()?;
    let policy = &intent.policy;
    let then = newest.taken_at?.to_zoned(intent.now.time_zone().clone());
    let rules = policy.rules.with_longer_guards(PLAN_TO_SNAPSHOT);
    let judged = retention::judge(snapshots, policy, rules, None, &then);
    let is_overdue = judged.iter().any(|(_, reason)| reason.is_removal());
    is_overdue.then_some(*newest)
}

/// The removals that do not depend on the new snapshot: without it the policy does not keep them either.
/// Unfinished removals of older snapshots are among them, because the oldest are removed first.
///
/// `verdicts` are those of the guest with the new snapshot, newest first.
fn overdue(verdicts: &[Verdict], reading: &Reading, intent: &Intent) -> Vec<String> {
    let judged = judge_without_new(&reading.snapshots, intent).into_iter();
    let without_new: HashSet<&str> = judged
        .filter(|(_, reason)| reason.is_removal())
        .map(|(snapshot, _)| snapshot.name.as_str())
        .collect();
    let removals = verdicts
        .iter()
        .rev()
        .filter(|verdict| verdict.reason.is_removal());
    let mut overdue: Vec<&Verdict> = removals
        .take_while(|verdict| without_new.contains(verdict.snapshot.name.as_str()))
        .collect();
    while overdue
        .pop_if(|newest| !newest.reason.is_removed_by_rules())
        .is_some()
    {}
    let names = overdue
        .into_iter()
        .rev()
        .map(|verdict| verdict.snapshot.name.clone());
    names.collect()
}

fn judge_without_new<'a>(
    snapshots: &'a [Snapshot],
    intent: &Intent,
) -> Vec<(&'a Snapshot, Reason)> {
    let policy = &intent.policy;
    retention::judge(snapshots, policy, policy.rules, None, &intent.now)
}

fn storages_of(reading: &Reading) -> Vec<String> {
    reading
        .config
        .iter()
        .flat_map(GuestConfig::storages)
        .map(ToOwned::to_owned)
        .collect()
}
