// SPDX-License-Identifier: GPL-3.0-only
//! The findings for constructed data, and the helpers that construct it.

mod hosts;
mod migration;
mod privileges;
mod storages;

use std::collections::BTreeMap;
use std::sync::Arc;

use autosnap_core::event::EventKind;
use autosnap_core::guest::{Guest, GuestConfig, GuestKind, GuestStatus, Vmid};
use autosnap_core::name::{Label, Series, SnapName, TimestampFormat};
use autosnap_core::plan::{
    Action, Creation, Intent, LockedGuests, Plan, Reading as PlanReading, RemovalLimit, Skip,
    StorageGuard,
};
use autosnap_core::plan::{decide, screen};
use autosnap_core::retention::{Policy, Rules};
use autosnap_core::select::{Inventory, NodeInfo, Selection};
use autosnap_core::snapshot::{Snapshot, SnapshotState};
use autosnap_core::storage::{StorageLimit, StorageUsage};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use pve_client::{ClusterStatus, Permissions};

use super::*;
use crate::check::dry_run::DryRun;
use crate::check::login::Login;
use crate::check::reading::{Details, GuestReading};
use crate::events::Events;
use crate::job::header;
use crate::settings::{Invocation, JobKind, JobSettings};

const NOW: i64 = 1_795_398_166;
const GIB: u64 = 1 << 30;

fn settings(selection: &str) -> Settings {
    settings_with_ram(selection, false)
}

fn settings_with_ram(selection: &str, with_ram: bool) -> Settings {
    let kind = JobKind::Snap { with_ram };
    let selection = Selection::parse(selection).unwrap();
    Settings {
        job: JobSettings::new(
            kind,
            selection,
            Label::parse("daily").unwrap(),
            Rules::keep_last(1),
        ),
        option_findings: Vec::new(),
    }
}

fn guest(number: u32) -> Guest {
    Guest {
        vmid: Vmid::new(number).unwrap(),
        kind: GuestKind::Qemu,
        node: "pve1".to_owned(),
        name: None,
        status: GuestStatus::Running,
        template: false,
        tags: Vec::new(),
        pool: None,
        lock: None,
    }
}

fn details(config: &[(&str, &str)]) -> Details {
    let state_storage = config.iter().find(|(key, _)| *key == "vmstatestorage");
    Details {
        config: GuestConfig::parse(GuestKind::Qemu, config.iter().copied()),
        state_storage: state_storage.map(|(_, value)| (*value).to_owned()),
        incomplete: Vec::new(),
        running_tasks: Vec::new(),
    }
}

fn storage(name: &str, kind: &str, used_percent: u64) -> StorageUsage {
    StorageUsage {
        node: "pve1".to_owned(),
        storage: name.to_owned(),
        kind: kind.to_owned(),
        shared: false,
        content: vec!["images".to_owned()],
        total: 100 * GIB,
        used: used_percent * GIB,
        status: "available".to_owned(),
    }
}

fn all_privileges() -> Permissions {
    let all = ["VM.Audit", "VM.Snapshot", "Datastore.Audit", "Pool.Audit"];
    let on_root = all.map(|privilege| (privilege, true));
    [("/", on_root)].into_iter().collect()
}

/// The intent of a `snap` with label `daily` that keeps one snapshot.
fn intent() -> Intent {
    let (label, format) = (Label::parse("daily").unwrap(), TimestampFormat::default());
    let now = "2026-11-28T09:00:00".parse().unwrap();
    Intent {
        action: Action::Snap(Creation {
            name: SnapName::new(&label, &format, &now).unwrap(),
            with_ram: false,
            only_running: false,
            description: "cv4pve-autosnap".into(),
        }),
        policy: Arc::new(Policy::new(Series::new(label, format), Rules::keep_last(1))),
        now: Timestamp::from_second(NOW).unwrap().to_zoned(TimeZone::UTC),
        locked: LockedGuests::Fail,
        removal_limit: RemovalLimit::default(),
    }
}

/// What a dry run decides about a guest with these details.
fn planned(guest: Guest, details: Option<&Details>, inventory: &Inventory) -> GuestPlan {
    let storages = &inventory.storages;
    let intent = intent();
    let reading = details.map(|details| PlanReading {
        config: Some(details.config.clone()),
        can_snapshot: None,
        storage_error: None,
        snapshots: details.incomplete.clone(),
        newest_was_late: false,
        task_runs: Some(!details.running_tasks.is_empty()),
    });
    match (screen(&guest, &intent, inventory), reading) {
        (None, Some(reading)) => {
            let limit = Some(StorageLimit::default());
            decide(guest, &reading, &intent, StorageGuard { storages, limit })
        }
        (decision, _) => {
            let decision = decision.expect("a guest that is not screened has details");
            GuestPlan::without_reading(guest, &intent, decision)
        }
    }
}

/// One node, one storage, and the given guests, with nothing wrong.
fn cluster(guests: Vec<(Guest, Option<Details>)>) -> ClusterReading {
    cluster_on(guests, vec![storage("tank", "zfspool", 10)])
}

fn cluster_on(
    guests: Vec<(Guest, Option<Details>)>,
    storages: Vec<StorageUsage>,
) -> ClusterReading {
    let off = guests.iter().any(|(guest, _)| guest.node == "off");
    let nodes = [("pve1", true), ("off", false)];
    let nodes = nodes.into_iter().take(if off { 2 } else { 1 });
    let inventory = Inventory {
        guests: guests.iter().map(|(guest, _)| guest.clone()).collect(),
        nodes: nodes
            .map(|(name, online)| NodeInfo {
                name: name.to_owned(),
                online,
            })
            .collect(),
        storages,
        ..Inventory::default()
    };
    let guests: Vec<GuestReading> = guests
        .into_iter()
        .map(|(guest, details)| GuestReading {
            plan: planned(guest, details.as_ref(), &inventory),
            details,
        })
        .collect();
    let plans = guests.iter().map(|reading| reading.plan.clone());
    ClusterReading {
        dry_run: dry_run(plans.collect(), &inventory.storages),
        status: Some(ClusterStatus::default()),
        separated: None,
        privileges: Some(all_privileges()),
        inventory,
        guests,
        unlisted: BTreeMap::new(),
        replication: Vec::new(),
    }
}

/// A dry run with this plan.
fn dry_run(plans: Vec<GuestPlan>, storages: &[StorageUsage]) -> DryRun {
    let (events, receiver) = Events::channel();
    let job = settings("@all").job;
    let now = Timestamp::from_second(NOW).unwrap().to_zoned(TimeZone::UTC);
    let invocation = Invocation {
        dry_run: true,
        ..Invocation::new(now)
    };
    let guests = plans.iter().map(|plan| plan.guest.clone());
    let kinds = [
        EventKind::RunStarted(Box::new(header(&job, &invocation, "8.4.21"))),
        EventKind::Selected {
            guests: guests.collect(),
            visible: plans.len(),
            required: [].into(),
            nested_pools: [].into(),
            tagged_off: [].into(),
            may_be_empty: false,
        },
        EventKind::StoragesRead {
            storages: storages.to_vec(),
            limit: StorageLimit::default(),
        },
        EventKind::Planned(Arc::new(Plan { guests: plans })),
    ];
    for kind in kinds {
        events.emit(kind);
    }
    drop(events);
    DryRun {
        record: receiver.record(),
        error: None,
        plan: None,
    }
}

fn one(details: Details) -> ClusterReading {
    cluster(vec![(guest(100), Some(details))])
}

fn findings(settings: &Settings, cluster: ClusterReading) -> Vec<Finding> {
    let reading = Reading {
        login: Login {
            user: "backup@pve".to_owned(),
            token: Some("auto".to_owned()),
        },
        hosts: Vec::new(),
        not_connected: None,
        cluster: Some(cluster),
    };
    apply(settings, &reading, false, NOW)
}

/// Checks the kinds of the findings, in order.
#[track_caller]
fn check(cluster: ClusterReading, expected: &[&str]) -> Vec<Finding> {
    check_with(&settings("@all"), cluster, expected)
}

#[track_caller]
fn check_with(settings: &Settings, cluster: ClusterReading, expected: &[&str]) -> Vec<Finding> {
    let findings = findings(settings, cluster);
    let kinds: Vec<&str> = findings.iter().map(Finding::kind).collect();
    assert_eq!(kinds, expected, "{findings:?}");
    findings
}

const DISK: (&str, &str) = ("scsi0", "tank:vm-100-disk-0,size=1G");

#[test]
fn a_healthy_guest_gives_no_finding() {
    check(one(details(&[DISK])), &[]);
}

#[test]
fn an_empty_selection_is_a_problem() {
    let found = check(cluster(Vec::new()), &["nothing-selected"]);
    assert_eq!(found[0].severity(), Severity::Problem);
}

#[test]
fn guests_skipped_by_only_running_count_as_selected() {
    let mut cluster = cluster(Vec::new());
    let skip = Decision::Skip(Skip::NotRunning);
    let plan = GuestPlan::without_reading(guest(100), &intent(), skip);
    cluster.dry_run = dry_run(vec![plan], &[]);
    check(cluster, &[]);
}

#[test]
fn offline_guests_and_templates_are_different_findings() {
    let mut off = guest(100);
    off.node = "off".to_owned();
    let mut template = guest(101);
    template.template = true;
    check(
        cluster(vec![(off, None), (template, None)]),
        &["node-offline", "template"],
    );
}

#[test]
fn the_disk_that_prevents_a_snapshot_is_named() {
    let raw = details(&[DISK, ("scsi1", "bulk:100/vm-100-disk-1.raw,size=1G")]);
    let storages = vec![storage("tank", "zfspool", 10), storage("bulk", "dir", 1)];
    let cluster = cluster_on(vec![(guest(100), Some(raw))], storages);
    let found = check(cluster, &["cannot-snapshot"]);
    let Finding::CannotSnapshot { volumes, .. } = &found[0] else {
        panic!("{found:?}");
    };
    assert_eq!(volumes, &["scsi1: bulk:100/vm-100-disk-1.raw"]);
}

#[test]
fn devices_are_a_warning_as_snap_skips_the_guest() {
    let device = details(&[DISK, ("scsi1", "/dev/sdb")]);
    let found = check(one(device), &["unsupported"]);
    assert_eq!(found[0].severity(), Severity::Warning);
    assert!(found[0].prevents(Vmid::new(100).unwrap()));
}

fn incomplete(state: SnapshotState) -> Snapshot {
    Snapshot {
        name: "autodaily1".to_owned(),
        taken_at: Timestamp::from_second(1).ok(),
        description: "".into(),
        parent: None,
        with_ram: false,
        state,
    }
}

/// The snapshot and the lock of a stuck guest.
#[track_caller]
fn stuck(finding: &Finding) -> (Option<&str>, Option<&str>) {
    let Finding::Stuck { snapshot, lock, .. } = finding else {
        panic!("{finding:?}");
    };
    let name = snapshot.as_ref().map(|(name, _)| name.as_str());
    (name, lock.as_deref())
}

#[test]
fn a_stale_lock_is_reported_with_its_snapshot() {
    let mut left = details(&[DISK, ("lock", "snapshot-delete")]);
    left.incomplete.push(incomplete(SnapshotState::Deleting));
    let found = check(one(left.clone()), &["stuck"]);
    let expected = (Some("autodaily1"), Some("snapshot-delete"));
    assert_eq!(stuck(&found[0]), expected);
    assert_eq!(found[0].severity(), Severity::Problem);
    left.running_tasks.push("qmdelsnapshot".to_owned());
    check(one(left), &["under-way"]);
}

#[test]
fn a_lock_alone_and_a_snapshot_alone_are_stuck_too() {
    let found = check(one(details(&[DISK, ("lock", "snapshot")])), &["stuck"]);
    assert_eq!(stuck(&found[0]), (None, Some("snapshot")));
    let mut unlocked = details(&[DISK]);
    unlocked
        .incomplete
        .push(incomplete(SnapshotState::Preparing));
    let found = check(one(unlocked), &["stuck"]);
    assert_eq!(stuck(&found[0]), (Some("autodaily1"), None));
    assert_eq!(found[0].severity(), Severity::Warning);
    assert!(!found[0].prevents(Vmid::new(100).unwrap()));
}

#[test]
fn a_lock_of_a_backup_is_not_stuck() {
    let found = check(one(details(&[DISK, ("lock", "backup")])), &["locked"]);
    let Finding::Locked { guest, lock, .. } = &found[0] else {
        panic!("{found:?}");
    };
    assert_eq!(
        (guest.to_string().as_str(), lock.as_str()),
        ("VM 100 on node pve1", "backup")
    );
}
