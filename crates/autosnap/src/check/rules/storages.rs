// SPDX-License-Identifier: GPL-3.0-only
//! The rules for storages: usage above or near the limit, and space for RAM.

use std::collections::BTreeMap;

use autosnap_core::guest::{Guest, GuestKind, GuestStatus, Vmid};
use autosnap_core::plan::{Decision, GuestPlan, Refusal};
use autosnap_core::storage::{self, StorageLimit, StorageUsage, UncheckedStorage};

use super::guests::read_guests;
use crate::check::finding::Finding;
use crate::check::reading::{ClusterReading, Details};
use crate::check::settings::Settings;
use crate::check::storages::Unlisted;
use crate::settings::JobKind;

/// How many percentage points below the limit a storage counts as near it.
const NEAR: f64 = 5.0;

/// PVE's default for a VM without `memory`, in MiB (`PVE/QemuServer/Memory.pm`).
const DEFAULT_MEMORY_MIB: u64 = 512;

/// The space that PVE adds for the state of devices, in MiB (`__snapshot_save_vmstate` in
/// `PVE/QemuConfig.pm`).
const DEVICE_STATE_MIB: u64 = 500;

/// Checks the storages of the selected guests, and the space for RAM if it is saved. A `clean` needs no space.
pub(super) fn check(settings: &Settings, cluster: &ClusterReading) -> Vec<Finding> {
    let JobKind::Snap { with_ram, .. } = settings.job.kind else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    if cluster.dry_run.checks_storages() {
        let full = full_storages(settings.job.max_percent_storage, cluster);
        findings.extend(near_storages(
            settings.job.max_percent_storage,
            cluster,
            &full,
        ));
        findings.extend(full);
        findings.extend(check_unchecked(settings.job.max_percent_storage, cluster));
    }
    findings.extend(check_unlisted(cluster));
    if with_ram {
        let guests = read_guests(cluster);
        findings.extend(guests.filter_map(|(guest, details)| check_ram(guest, details, cluster)));
    }
    findings
}

/// The storages above the limit, with the guests that fail because of them.
fn full_storages(limit: StorageLimit, cluster: &ClusterReading) -> Vec<Finding> {
    let mut full: BTreeMap<(&str, &str), (f64, Vec<Vmid>)> = BTreeMap::new();
    for reading in &cluster.guests {
        if let Decision::Refuse(Refusal::StorageFull(storage)) = &reading.plan.decision {
            let key = (storage.node.as_str(), storage.storage.as_str());
            let (_, guests) = full.entry(key).or_insert((storage.percent, Vec::new()));
            guests.push(reading.guest().vmid);
        }
    }
    let full = full.into_iter();
    full.map(|((node, storage), (percent, guests))| Finding::Storage {
        node: node.to_owned(),
        storage: storage.to_owned(),
        percent,
        limit,
        full: true,
        guests,
    })
    .collect()
}

/// The other storages near the limit. A shared storage counts once for each node, as PVE lists it.
fn near_storages(limit: StorageLimit, cluster: &ClusterReading, full: &[Finding]) -> Vec<Finding> {
    let mut guests_of: BTreeMap<(&str, &str), Vec<Vmid>> = BTreeMap::new();
    for (guest, details) in read_guests(cluster) {
        for storage in details.config.storages() {
            let guests = guests_of.entry((&guest.node, storage)).or_default();
            guests.push(guest.vmid);
        }
    }
    let is_full = |node: &str, name: &str| {
        full.iter().any(|finding| {
            matches!(finding, Finding::Storage { node: other, storage, .. } if other == node && storage == name)
        })
    };
    let near = guests_of
        .into_iter()
        .filter_map(|((node, storage), guests)| {
            let percent = find(cluster, node, storage)?.percent()?;
            let near = percent > f64::from(limit.get()) - NEAR && !is_full(node, storage);
            near.then(|| Finding::Storage {
                node: node.to_owned(),
                storage: storage.to_owned(),
                percent,
                limit,
                full: false,
                guests,
            })
        });
    near.collect()
}

/// Unlisted storages for another reason than a missing privilege, with the guests that do not already fail because
/// of them.
fn check_unlisted(cluster: &ClusterReading) -> Vec<Finding> {
    let known = cluster
        .unlisted
        .iter()
        .filter(|(_, why)| **why != Unlisted::NotPermitted);
    known
        .filter_map(|((storage, node), why)| {
            let on_it = cluster.guests.iter().filter(|reading| {
                let mut storages = reading.details.iter().flat_map(|one| one.config.storages());
                reading.guest().node == *node
                    && storages.any(|name| name == storage)
                    && !fails_for_storage(&reading.plan)
            });
            let guests: Vec<Vmid> = on_it.map(|reading| reading.guest().vmid).collect();
            (!guests.is_empty()).then(|| Finding::StorageNotListed {
                guests,
                node: node.clone(),
                storage: storage.clone(),
                why: *why,
            })
        })
        .collect()
}

fn fails_for_storage(plan: &GuestPlan) -> bool {
    match &plan.decision {
        Decision::Refuse(refusal) => matches!(refusal, Refusal::StorageUnusable(_)),
        Decision::Skip(_) | Decision::Proceed(_) => false,
    }
}

/// Listed storages without a known size, which cannot be checked against the limit, with the guests that have disks on
/// them. Other rules cover storages that are not listed, and nodes without statistics.
fn check_unchecked(limit: StorageLimit, cluster: &ClusterReading) -> Vec<Finding> {
    let mut found: Vec<(UncheckedStorage, Vec<Vmid>)> = Vec::new();
    for (guest, details) in read_guests(cluster) {
        let storages = &cluster.inventory.storages;
        let unchecked = storage::unchecked_storages(storages, &guest.node, &details.config, limit);
        let silent = &cluster.inventory.nodes_without_statistics;
        let to_report = unchecked.into_iter().filter(|unchecked| {
            find(cluster, &unchecked.node, &unchecked.storage).is_some()
                && !silent.contains(&unchecked.node)
        });
        for storage in to_report {
            match found.iter_mut().find(|(known, _)| *known == storage) {
                Some((_, guests)) => guests.push(guest.vmid),
                None => found.push((storage, vec![guest.vmid])),
            }
        }
    }
    let findings = found
        .into_iter()
        .map(|(storage, guests)| Finding::LimitNotChecked { storage, guests });
    findings.collect()
}

/// Whether the RAM fits: PVE allocates twice the memory, so that the VM pauses only briefly, and 500 MiB.
fn check_ram(guest: &Guest, details: &Details, cluster: &ClusterReading) -> Option<Finding> {
    if guest.kind != GuestKind::Qemu || guest.status != GuestStatus::Running {
        return None;
    }
    let memory = details.config.memory_mib.unwrap_or(DEFAULT_MEMORY_MIB);
    let needed_mib = memory.saturating_mul(2).saturating_add(DEVICE_STATE_MIB);
    let storage = state_storage(guest, details, cluster);
    let usage = find(cluster, &guest.node, &storage).filter(|usage| usage.total > 0)?;
    let free_mib = usage.total.saturating_sub(usage.used) >> 20;
    (free_mib < needed_mib).then(|| Finding::RamDoesNotFit {
        guest: guest.into(),
        storage,
        needed_mib,
        free_mib,
    })
}

/// The storage to which PVE writes the RAM (`find_vmstate_storage` in `PVE/QemuConfig.pm`): the one that the VM's
/// configuration names; otherwise a shared storage of its disks, or else a local one, in each case the last with files,
/// or else the first; `local` without any disk.
fn state_storage(guest: &Guest, details: &Details, cluster: &ClusterReading) -> String {
    if let Some(named) = &details.state_storage {
        return named.clone();
    }
    let (mut shared, mut local): (Option<&str>, Option<&str>) = (None, None);
    for storage in details.config.storages() {
        let Some(usage) = find(cluster, &guest.node, storage) else {
            continue;
        };
        let slot = if usage.shared {
            &mut shared
        } else {
            &mut local
        };
        if slot.is_none() || stores_files(&usage.kind) {
            *slot = Some(storage);
        }
    }
    shared.or(local).unwrap_or("local").to_owned()
}

/// Whether the plug-in stores files: it has a `path`.
fn stores_files(kind: &str) -> bool {
    matches!(
        kind,
        "dir" | "nfs" | "cifs" | "glusterfs" | "cephfs" | "btrfs"
    )
}

fn find<'a>(cluster: &'a ClusterReading, node: &str, storage: &str) -> Option<&'a StorageUsage> {
    let mut usages = cluster.inventory.storages.iter();
    usages.find(|usage| usage.node == node && usage.storage == storage)
}
