// SPDX-License-Identifier: GPL-3.0-only
//! The rules for single guests: whether PVE can snapshot them now, and the reason if it cannot.

use autosnap_core::guest::{Guest, Vmid};
use autosnap_core::plan::{self, Decision, Note, Refusal, Skip};

use crate::check::finding::Finding;
use crate::check::reading::{ClusterReading, Details, GuestReading};
use crate::check::settings::Settings;
use crate::guest_ref::GuestRef;
use crate::settings::JobKind;

/// Checks all selected guests.
pub(super) fn check(settings: &Settings, cluster: &ClusterReading) -> Vec<Finding> {
    let mut findings = Vec::new();
    for reading in &cluster.guests {
        findings.extend(check_decision(reading, cluster));
        findings.extend(check_incomplete(reading, cluster));
        findings.extend(check_kept(reading));
    }
    if let JobKind::Snap { .. } = settings.job.kind {
        findings.extend(super::migration::check(cluster));
    }
    findings.extend(check_replication(cluster));
    findings.extend(check_skips(cluster));
    findings
}

/// Snapshots that the run keeps because their names, times or marks are unusual.
fn check_kept(reading: &GuestReading) -> Vec<Finding> {
    let unusual = reading.plan.notes.iter().filter(|note| match note {
        Note::AmbiguousNames { .. }
        | Note::ImpossibleTime { .. }
        | Note::Held { .. }
        | Note::OldHold { .. }
        | Note::UnreadableMark { .. } => true,
        // One warning of the run names all guests with removals over the limit.
        Note::AgentDisabled
        | Note::Incomplete { .. }
        | Note::LimitNotChecked(_)
        | Note::RemovalsOverdue { .. }
        | Note::RemovalLimit { .. } => false,
    });
    let guest = GuestRef::from(reading.guest());
    unusual
        .map(|note| Finding::DoubtfulSnapshots {
            guest: guest.clone(),
            note: note.clone(),
        })
        .collect()
}

/// The skipped guests that `--strict` requires.
fn check_skips(cluster: &ClusterReading) -> Vec<Finding> {
    let required = cluster.dry_run.guests().iter();
    let required = required.filter(|plan| cluster.dry_run.requires(plan.guest.vmid));
    let skipped = required.filter_map(|plan| match &plan.decision {
        Decision::Skip(skip) => Some(Finding::RequiredGuestSkipped {
            guest: GuestRef::from(&plan.guest),
            skip: skip.clone(),
        }),
        Decision::Refuse(_) | Decision::Proceed(_) => None,
    });
    skipped.collect()
}

/// The decision of the dry run. Storages, privileges and quorum are checked for all guests together.
fn check_decision(reading: &GuestReading, cluster: &ClusterReading) -> Option<Finding> {
    let guest = GuestRef::from(reading.guest());
    match &reading.plan.decision {
        Decision::Skip(Skip::Template) => Some(Finding::Template(guest)),
        Decision::Skip(Skip::Unsupported { volumes }) => Some(Finding::Unsupported {
            guest,
            volumes: volumes.clone(),
        }),
        Decision::Skip(Skip::NoSnapshots { volumes }) => Some(Finding::CannotSnapshot {
            guest,
            volumes: volumes.clone(),
        }),
        Decision::Refuse(Refusal::NodeOffline) => Some(Finding::NodeOffline(guest)),
        Decision::Refuse(Refusal::Unreadable(reason)) => Some(Finding::Unreadable {
            guest,
            reason: reason.clone(),
        }),
        Decision::Refuse(Refusal::StorageUnusable(reason)) => Some(Finding::StorageUnusable {
            guest,
            reason: reason.clone(),
        }),
        Decision::Refuse(Refusal::NameTaken(name)) => Some(Finding::NameTaken {
            guest,
            name: name.clone(),
        }),
        Decision::Refuse(Refusal::Locked(lock)) => Some(check_lock(reading, lock, true)),
        Decision::Refuse(Refusal::Stuck { lock, .. }) => {
            Some(stuck(reading, cluster, Some(lock), true))
        }
        Decision::Skip(Skip::NotRunning)
        | Decision::Refuse(
            Refusal::StorageFull(_) | Refusal::NotPermitted { .. } | Refusal::NoQuorum,
        ) => None,
        Decision::Proceed(steps) => {
            let lock = steps.waits_for.as_ref();
            lock.map(|lock| check_lock(reading, lock, false))
        }
    }
}

/// A lock because of which the guest fails or waits.
fn check_lock(reading: &GuestReading, lock: &str, blocks: bool) -> Finding {
    let guest = GuestRef::from(reading.guest());
    let task = running_task(reading).filter(|_| plan::is_snapshot_lock(lock));
    match task {
        Some(task) => Finding::TaskRunning {
            guest,
            task: task.to_owned(),
            blocks,
        },
        None => Finding::Locked {
            guest,
            lock: lock.to_owned(),
            blocks,
        },
    }
}

/// Snapshots that were incomplete in two reads. A lock is checked with the decision.
fn check_incomplete(reading: &GuestReading, cluster: &ClusterReading) -> Vec<Finding> {
    let is_locked = match &reading.plan.decision {
        Decision::Refuse(refusal) => matches!(refusal, Refusal::Locked(_) | Refusal::Stuck { .. }),
        Decision::Proceed(steps) => steps.waits_for.is_some(),
        Decision::Skip(_) => true,
    };
    let incomplete = reading
        .details
        .iter()
        .flat_map(|details| &details.incomplete);
    if is_locked {
        return Vec::new();
    }
    if let Some(task) = running_task(reading) {
        let task_running = Finding::TaskRunning {
            guest: reading.guest().into(),
            task: task.to_owned(),
            blocks: false,
        };
        return incomplete.take(1).map(|_| task_running.clone()).collect();
    }
    incomplete
        .map(|snapshot| Finding::Stuck {
            guest: reading.guest().into(),
            snapshot: Some((snapshot.name.clone(), snapshot.state.to_string())),
            lock: None,
            sees_all_tasks: sees_all_tasks(reading, cluster),
            blocks: false,
        })
        .collect()
}

/// A lock without a task in two reads, with the incomplete snapshot.
fn stuck(
    reading: &GuestReading,
    cluster: &ClusterReading,
    lock: Option<&str>,
    blocks: bool,
) -> Finding {
    let incomplete = reading
        .details
        .iter()
        .flat_map(|details| &details.incomplete)
        .next();
    Finding::Stuck {
        guest: reading.guest().into(),
        snapshot: incomplete.map(|snapshot| (snapshot.name.clone(), snapshot.state.to_string())),
        lock: lock.map(ToOwned::to_owned),
        sees_all_tasks: sees_all_tasks(reading, cluster),
        blocks,
    }
}

fn running_task(reading: &GuestReading) -> Option<&str> {
    let details = reading.details.as_ref()?;
    details.running_tasks.first().map(String::as_str)
}

/// Whether the login sees all tasks of the node: without `Sys.Audit` PVE lists only its own (`PVE/API2/Tasks.pm`).
fn sees_all_tasks(reading: &GuestReading, cluster: &ClusterReading) -> bool {
    let path = format!("/nodes/{}", reading.guest().node);
    let privileges = cluster.privileges.as_ref();
    privileges.is_some_and(|privileges| privileges.holds(&path, "Sys.Audit"))
}

/// The replicated guests: PVE refuses to remove a snapshot that a replication job still needs (`snapshot_delete` in
/// `PVE/AbstractConfig.pm`).
fn check_replication(cluster: &ClusterReading) -> Option<Finding> {
    let guests: Vec<Vmid> = read_guests(cluster)
        .map(|(guest, _)| guest.vmid)
        .filter(|vmid| is_replicated(cluster, *vmid))
        .collect();
    (!guests.is_empty()).then_some(Finding::Replicated(guests))
}

pub(super) fn is_replicated(cluster: &ClusterReading, vmid: Vmid) -> bool {
    let mut jobs = cluster.replication.iter();
    jobs.any(|job| job.vmid == vmid.get() && !job.disabled)
}

/// The guests that are not skipped, with their details.
pub(super) fn read_guests(cluster: &ClusterReading) -> impl Iterator<Item = (&Guest, &Details)> {
    cluster.guests.iter().filter_map(|reading| {
        if let Decision::Skip(_) = &reading.plan.decision {
            return None;
        }
        let details = reading.details.as_ref()?;
        Some((reading.guest(), details))
    })
}
