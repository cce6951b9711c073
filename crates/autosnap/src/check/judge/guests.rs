// SPDX-License-Identifier: GPL-3.0-only
//! Guest by guest: could PVE snapshot it now, and if not, what is in the way?

use autosnap_core::guest::{Guest, Vmid};
use autosnap_core::plan;
use autosnap_core::snapshot::{Snapshot, SnapshotState};
use autosnap_core::snapshot_support::SnapshotBlockers;

use crate::check::finding::{Finding, GuestRef};
use crate::check::reading::{ClusterReading, Details};

/// Judges all selected guests.
pub(super) fn judge(cluster: &ClusterReading) -> Vec<Finding> {
    let mut findings = Vec::new();
    for reading in &cluster.guests {
        let guest = GuestRef::from(&reading.guest);
        match &reading.details {
            None if reading.guest.template => findings.push(Finding::Template(guest)),
            None => findings.push(Finding::NodeOffline(guest)),
            Some(Err(reason)) => findings.push(Finding::Unreadable {
                guest,
                reason: reason.clone(),
            }),
            Some(Ok(details)) => {
                findings.extend(judge_volumes(&reading.guest, details, cluster));
                findings.extend(judge_locks(&guest, details));
            }
        }
    }
    findings.extend(super::migration::judge(cluster));
    findings.extend(judge_replication(cluster));
    findings
}

/// The guests that are selected by ID or exact name and would be skipped.
pub(super) fn judge_skips(cluster: &ClusterReading) -> Vec<Finding> {
    let stopped = cluster
        .not_running
        .iter()
        .map(|guest| (guest, "it is not running, and --only-running is given"));
    let others = cluster.guests.iter().filter_map(|reading| {
        let guest = &reading.guest;
        let why = match &reading.details {
            None if guest.template => "it is a template",
            Some(Ok(details)) if judge_volumes(guest, details, cluster).is_some() => {
                "PVE cannot snapshot it"
            }
            None | Some(_) => return None,
        };
        Some((guest, why))
    });
    stopped
        .chain(others)
        .filter(|(guest, _)| cluster.named.contains(&guest.vmid))
        .map(|(guest, why)| Finding::RequiredGuestSkipped {
            guest: guest.into(),
            why,
        })
        .collect()
}

/// As the plan of a run decides: bind mounts and devices first, then storages and formats.
pub(super) fn judge_volumes(
    guest: &Guest,
    details: &Details,
    cluster: &ClusterReading,
) -> Option<Finding> {
    let paths: Vec<String> = details
        .config
        .unsupported_volumes()
        .map(|volume| volume.key.clone())
        .collect();
    if !paths.is_empty() {
        return Some(Finding::Unsupported {
            guest: guest.into(),
            volumes: paths,
        });
    }
    let storages = &cluster.inventory.storages;
    let volumes = SnapshotBlockers::new(&details.config, storages).names(details.feature);
    (!volumes.is_empty()).then(|| Finding::CannotSnapshot {
        guest: guest.into(),
        volumes,
    })
}

fn judge_locks(guest: &GuestRef, details: &Details) -> Vec<Finding> {
    let lock = details.config.lock.as_deref();
    let half_made: Vec<&Snapshot> = details
        .snapshots
        .iter()
        .filter(|snapshot| snapshot.state != SnapshotState::Complete)
        .collect();
    let of_snapshot = lock.filter(|lock| plan::may_be_left_over(lock));
    match (lock, details.running_tasks.first()) {
        (None, _) if half_made.is_empty() => Vec::new(),
        (Some(lock), _) if of_snapshot.is_none() => vec![Finding::Locked {
            guest: guest.clone(),
            lock: lock.to_owned(),
        }],
        (_, Some(task)) => vec![Finding::UnderWay {
            guest: guest.clone(),
            task: task.clone(),
        }],
        (_, None) => stuck(guest, of_snapshot, &half_made),
    }
}

/// The lock goes with the first snapshot: it is to be taken away once.
fn stuck(guest: &GuestRef, lock: Option<&str>, half_made: &[&Snapshot]) -> Vec<Finding> {
    let mut lock = lock.map(ToOwned::to_owned);
    let mut findings: Vec<Finding> = half_made
        .iter()
        .map(|snapshot| Finding::Stuck {
            guest: guest.clone(),
            snapshot: Some((snapshot.name.clone(), snapshot.state.to_string())),
            lock: lock.take(),
        })
        .collect();
    if lock.is_some() {
        findings.push(Finding::Stuck {
            guest: guest.clone(),
            snapshot: None,
            lock,
        });
    }
    findings
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

/// The guests that could be read, with what was read.
pub(super) fn read_guests(cluster: &ClusterReading) -> impl Iterator<Item = (&Guest, &Details)> {
    cluster.guests.iter().filter_map(|reading| {
        let details = reading.details.as_ref()?.as_ref().ok()?;
        Some((&reading.guest, details))
    })
}
