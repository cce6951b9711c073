// SPDX-License-Identifier: GPL-3.0-only
//! Guest by guest: could PVE snapshot it now, and if not, what is in the way?

use autosnap_core::guest::{Guest, Vmid};
use autosnap_core::plan::{self, Decision, Note, Refusal, Skip};

use crate::check::Settings;
use crate::check::finding::{Finding, GuestRef};
use crate::check::reading::{ClusterReading, Details, GuestReading};
use crate::settings::Job;

/// Judges all selected guests.
pub(super) fn judge(settings: &Settings, cluster: &ClusterReading) -> Vec<Finding> {
    let mut findings = Vec::new();
    for reading in &cluster.guests {
        findings.extend(judge_decision(reading, cluster));
        findings.extend(judge_half_made(reading, cluster));
        findings.extend(judge_names_and_times(reading));
    }
    if let Job::Snap { .. } = settings.job.job {
        findings.extend(super::migration::judge(cluster));
    }
    findings.extend(judge_replication(cluster));
    findings.extend(judge_skips(cluster));
    findings
}

/// Snapshots that the run keeps because their names or times are doubtful.
fn judge_names_and_times(reading: &GuestReading) -> Vec<Finding> {
    let doubtful = reading.plan.notes.iter().filter(|note| match note {
        Note::AmbiguousNames { .. } | Note::ImpossibleTime { .. } => true,
        // The run warns of removals that are left for all guests at once.
        Note::AgentDisabled
        | Note::Incomplete { .. }
        | Note::LimitNotChecked(_)
        | Note::RemovalsOverdue { .. }
        | Note::RemovalLimit { .. } => false,
    });
    let guest = GuestRef::from(reading.guest());
    doubtful
        .map(|note| Finding::Noted {
            guest: guest.clone(),
            note: note.clone(),
        })
        .collect()
}

/// The guests that `--strict` does not allow to be skipped.
fn judge_skips(cluster: &ClusterReading) -> Vec<Finding> {
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

/// What the dry run has decided. Storages, privileges and quorum are judged for all guests at once.
fn judge_decision(reading: &GuestReading, cluster: &ClusterReading) -> Option<Finding> {
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
        Decision::Refuse(Refusal::Locked(lock)) => Some(judge_lock(reading, lock, true)),
        Decision::Refuse(Refusal::Stuck { lock, .. }) => {
            Some(stuck(reading, cluster, Some(lock), true))
        }
        Decision::Skip(Skip::NotRunning)
        | Decision::Refuse(
            Refusal::StorageFull(_) | Refusal::NotPermitted { .. } | Refusal::NoQuorum,
        ) => None,
        Decision::Proceed(steps) => {
            let lock = steps.waits_for.as_ref();
            lock.map(|lock| judge_lock(reading, lock, false))
        }
    }
}

/// A lock because of which the guest fails or the run waits.
fn judge_lock(reading: &GuestReading, lock: &str, blocks: bool) -> Finding {
    let guest = GuestRef::from(reading.guest());
    let task = running_task(reading).filter(|_| plan::is_snapshot_lock(lock));
    match task {
        Some(task) => Finding::UnderWay {
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

/// Snapshots that were incomplete in two reads. A lock, if there is one, is judged with the decision.
fn judge_half_made(reading: &GuestReading, cluster: &ClusterReading) -> Vec<Finding> {
    let is_locked = match &reading.plan.decision {
        Decision::Refuse(refusal) => matches!(refusal, Refusal::Locked(_) | Refusal::Stuck { .. }),
        Decision::Proceed(steps) => steps.waits_for.is_some(),
        Decision::Skip(_) => true,
    };
    let half_made = reading
        .details
        .iter()
        .flat_map(|details| &details.half_made);
    if is_locked {
        return Vec::new();
    }
    if let Some(task) = running_task(reading) {
        let under_way = Finding::UnderWay {
            guest: reading.guest().into(),
            task: task.to_owned(),
            blocks: false,
        };
        return half_made.take(1).map(|_| under_way.clone()).collect();
    }
    half_made
        .map(|snapshot| Finding::Stuck {
            guest: reading.guest().into(),
            snapshot: Some((snapshot.name.clone(), snapshot.state.to_string())),
            lock: None,
            sees_all_tasks: sees_all_tasks(reading, cluster),
            blocks: false,
        })
        .collect()
}

/// A lock without a task in two reads, with the snapshot it belongs to.
fn stuck(
    reading: &GuestReading,
    cluster: &ClusterReading,
    lock: Option<&str>,
    blocks: bool,
) -> Finding {
    let half_made = reading
        .details
        .iter()
        .flat_map(|details| &details.half_made)
        .next();
    Finding::Stuck {
        guest: reading.guest().into(),
        snapshot: half_made.map(|snapshot| (snapshot.name.clone(), snapshot.state.to_string())),
        lock: lock.map(ToOwned::to_owned),
        sees_all_tasks: sees_all_tasks(reading, cluster),
        blocks,
    }
}

fn running_task(reading: &GuestReading) -> Option<&str> {
    let details = reading.details.as_ref()?;
    details.running_tasks.first().map(String::as_str)
}

/// Without `Sys.Audit` on the node PVE lists a login its own tasks only (`PVE/API2/Tasks.pm`).
fn sees_all_tasks(reading: &GuestReading, cluster: &ClusterReading) -> bool {
    let path = format!("/nodes/{}", reading.guest().node);
    let privileges = cluster.privileges.as_ref();
    privileges.is_some_and(|privileges| privileges.holds(&path, "Sys.Audit"))
}

/// `snapshot_delete` in `PVE/AbstractConfig.pm` refuses without force what a job still needs.
fn judge_replication(cluster: &ClusterReading) -> Option<Finding> {
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

/// The guests that are not skipped and were read, with what was read.
pub(super) fn read_guests(cluster: &ClusterReading) -> impl Iterator<Item = (&Guest, &Details)> {
    cluster.guests.iter().filter_map(|reading| {
        if let Decision::Skip(_) = &reading.plan.decision {
            return None;
        }
        let details = reading.details.as_ref()?;
        Some((reading.guest(), details))
    })
}
