// SPDX-License-Identifier: GPL-3.0-only
//! The judgement, on readings made by hand: what was read goes in, kinds of findings come out.

use std::collections::BTreeMap;

use autosnap_core::guest::{Guest, GuestConfig, GuestKind, GuestStatus, Vmid};
use autosnap_core::name::{Label, Series, SnapName, TimestampFormat};
use autosnap_core::plan::{
    Action, Creation, Locked, Reading as PlanReading, Request, StorageGuard,
};
use autosnap_core::plan::{decide, screen};
use autosnap_core::retention::KeepPolicy;
use autosnap_core::select::{Inventory, NodeInfo, Selection};
use autosnap_core::snapshot::{Snapshot, SnapshotState};
use autosnap_core::storage::{StorageLimit, StorageUsage};
use pve_client::{ClusterStatus, Fingerprint, PeerCertificate, ReplicationJob};

use super::*;
use crate::check::dry_run::DryRun;
use crate::check::finding::MigrationBlock;
use crate::check::reading::{Details, GuestReading, Login};
use crate::check::storages::Unlisted;
use crate::privileges::Privileges;
use crate::settings::{Job, JobSettings};

const NOW: i64 = 1_795_398_166;
const GIB: u64 = 1 << 30;

fn settings(selection: &str) -> Settings {
    settings_with_ram(selection, false)
}

fn settings_with_ram(selection: &str, with_ram: bool) -> Settings {
    let job = Job::Snap {
        with_ram,
        only_running: false,
    };
    let selection = Selection::parse(selection).unwrap();
    Settings {
        job: JobSettings::new(job, selection, Label::parse("daily").unwrap(), 1),
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
        config: GuestConfig::read(GuestKind::Qemu, config.iter().copied()),
        state_storage: state_storage.map(|(_, value)| (*value).to_owned()),
        half_made: Vec::new(),
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

fn all_privileges() -> Privileges {
    let all = ["VM.Audit", "VM.Snapshot", "Datastore.Audit", "Pool.Audit"];
    let on_root = all.map(|privilege| (privilege, true));
    [("/", on_root)].into_iter().collect()
}

/// What a dry run decides about a guest with these details.
fn planned(guest: Guest, details: Option<&Details>, inventory: &Inventory) -> GuestPlan {
    let storages = &inventory.storages;
    let (label, format) = (Label::parse("daily").unwrap(), TimestampFormat::default());
    let now = "2026-11-28T09:00:00".parse().unwrap();
    let request = Request {
        action: Action::Snap(Creation {
            name: SnapName::new(&label, &format, &now).unwrap(),
            with_ram: false,
            only_running: false,
        }),
        policy: KeepPolicy::new(Series::new(label, format), 1),
        now: NOW,
        locked: Locked::Fails,
    };
    let reading = details.map(|details| PlanReading {
        config: Some(details.config.clone()),
        can_snapshot: None,
        snapshots: details.half_made.clone(),
        task_runs: Some(!details.running_tasks.is_empty()),
    });
    match (screen(&guest, &request, inventory), reading) {
        (None, Some(reading)) => {
            let limit = Some(StorageLimit::default());
            decide(guest, &reading, &request, StorageGuard { storages, limit })
        }
        (decision, _) => GuestPlan {
            guest,
            decision: decision.expect("a guest that is not screened has details"),
            notes: Vec::new(),
        },
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
    let is_refused = |reading: &GuestReading| matches!(reading.plan.decision, Decision::Refuse(_));
    let fails = guests.is_empty() || guests.iter().any(is_refused);
    ClusterReading {
        dry_run: DryRun {
            exit: if fails {
                ExitStatus::Failure
            } else {
                ExitStatus::Success
            },
            selected: guests.len(),
            checks_storages: true,
            ..DryRun::new()
        },
        status: Some(ClusterStatus::default()),
        separated: None,
        privileges: Some(all_privileges()),
        inventory,
        guests,
        unlisted: BTreeMap::new(),
        replication: Vec::new(),
    }
}

fn one(details: Details) -> ClusterReading {
    cluster(vec![(guest(100), Some(details))])
}

fn judged(settings: &Settings, cluster: ClusterReading) -> Vec<Finding> {
    let reading = Reading {
        login: Login {
            user: "backup@pve".to_owned(),
            token: Some("auto".to_owned()),
        },
        hosts: Vec::new(),
        not_connected: None,
        cluster: Some(cluster),
    };
    judge(settings, &reading, false, NOW)
}

/// The kinds of what is found, in order.
#[track_caller]
fn check(cluster: ClusterReading, expected: &[&str]) -> Vec<Finding> {
    check_with(&settings("@all"), cluster, expected)
}

#[track_caller]
fn check_with(settings: &Settings, cluster: ClusterReading, expected: &[&str]) -> Vec<Finding> {
    let findings = judged(settings, cluster);
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
fn guests_left_out_by_only_running_are_selected_all_the_same() {
    let mut cluster = cluster(Vec::new());
    cluster.dry_run.selected = 1;
    cluster.dry_run.exit = ExitStatus::Success;
    check(cluster, &[]);
}

#[test]
fn guests_nobody_can_snapshot_are_told_apart() {
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
    let text = found[0].to_string();
    assert!(
        text.ends_with("allow it: scsi1: bulk:100/vm-100-disk-1.raw"),
        "{text}"
    );
}

#[test]
fn devices_are_skipped_by_a_snap_and_so_only_a_warning() {
    let device = details(&[DISK, ("scsi1", "/dev/sdb")]);
    let found = check(one(device), &["unsupported"]);
    assert_eq!(found[0].severity(), Severity::Warning);
    assert!(found[0].prevents(Vmid::new(100).unwrap()));
}

fn half_made(state: SnapshotState) -> Snapshot {
    Snapshot {
        name: "autodaily1".to_owned(),
        taken_at: Some(1),
        description: String::new(),
        parent: None,
        with_ram: false,
        state,
    }
}

#[test]
fn what_was_left_behind_comes_with_its_commands() {
    let mut left = details(&[DISK, ("lock", "snapshot-delete")]);
    left.half_made.push(half_made(SnapshotState::Deleting));
    let found = check(one(left.clone()), &["stuck"]);
    assert_eq!(
        found[0].commands(),
        ["qm unlock 100 && qm delsnapshot 100 autodaily1 --force"]
    );
    assert_eq!(found[0].severity(), Severity::Problem);
    left.running_tasks.push("qmdelsnapshot".to_owned());
    check(one(left), &["under-way"]);
}

#[test]
fn a_lock_alone_and_a_snapshot_alone_are_stuck_too() {
    let found = check(one(details(&[DISK, ("lock", "snapshot")])), &["stuck"]);
    assert_eq!(found[0].commands(), ["qm unlock 100"]);
    let mut unlocked = details(&[DISK]);
    unlocked.half_made.push(half_made(SnapshotState::Preparing));
    let found = check(one(unlocked), &["stuck"]);
    assert_eq!(
        found[0].commands(),
        ["qm delsnapshot 100 autodaily1 --force"]
    );
    assert_eq!(found[0].severity(), Severity::Warning);
    assert!(!found[0].prevents(Vmid::new(100).unwrap()));
}

#[test]
fn containers_are_unlocked_by_their_own_tool() {
    let mut container = guest(200);
    container.kind = GuestKind::Lxc;
    let details = details(&[("lock", "snapshot")]);
    let found = check(cluster(vec![(container, Some(details))]), &["stuck"]);
    assert_eq!(found[0].commands(), ["pct unlock 200"]);
}

#[test]
fn other_locks_are_somebody_elses() {
    let found = check(one(details(&[DISK, ("lock", "backup")])), &["locked"]);
    assert_eq!(found[0].to_string(), "VM 100 on node pve1: locked (backup)");
}

#[test]
fn storages_near_and_above_the_limit_differ() {
    for (percent, expected) in [
        (89, None),
        (90, None),
        (91, Some(Severity::Warning)),
        (95, Some(Severity::Warning)),
        (96, Some(Severity::Problem)),
    ] {
        let guests = vec![(guest(100), Some(details(&[DISK])))];
        let cluster = cluster_on(guests, vec![storage("tank", "zfspool", percent)]);
        let found = judged(&settings("@all"), cluster);
        let weight = found.first().map(Finding::severity);
        assert_eq!(weight, expected, "{percent}");
    }
}

#[test]
fn ram_needs_twice_the_memory_where_pve_would_put_it() {
    let ram = settings_with_ram("@all", true);
    let memory = |mib: &'static str| details(&[DISK, ("memory", mib)]);
    // 90 GiB are free: (90 * 1024 - 500) / 2 = 45830.
    check_with(&ram, one(memory("45830")), &[]);
    let found = check_with(&ram, one(memory("45831")), &["ram-does-not-fit"]);
    // On thin storages it may work all the same.
    assert_eq!(found[0].severity(), Severity::Warning);
    assert!(
        found[0].to_string().contains("needs 92162 MiB"),
        "{}",
        found[0]
    );
    check(one(memory("45831")), &[]);
    let mut stopped = one(memory("45831"));
    stopped.guests[0].plan.guest.status = GuestStatus::Stopped;
    check_with(&ram, stopped, &[]);
}

#[test]
fn the_storage_for_ram_is_the_one_pve_would_choose() {
    let ram = settings_with_ram("@all", true);
    let disks = [
        DISK,
        ("scsi1", "files:1/a.qcow2"),
        ("scsi2", "san:b"),
        ("memory", "999999"),
    ];
    let mut shared = storage("san", "rbd", 10);
    shared.shared = true;
    let storages = [
        storage("files", "dir", 10),
        storage("other", "dir", 10),
        storage("tank", "zfspool", 10),
    ];
    let chosen = |details: Details, storages: &[StorageUsage]| {
        let mut cluster = one(details);
        cluster.inventory.storages = storages.to_vec();
        let found = judged(&ram, cluster);
        found.into_iter().find_map(|finding| match finding {
            Finding::RamDoesNotFit { storage, .. } => Some(storage),
            _ => None,
        })
    };
    let with_shared = [&storages[..], &[shared]].concat();
    assert_eq!(
        chosen(details(&disks), &with_shared).as_deref(),
        Some("san")
    );
    assert_eq!(
        chosen(details(&disks[..2]), &storages).as_deref(),
        None,
        "fits"
    );
    let local = [disks[0], disks[1], disks[3]];
    assert_eq!(chosen(details(&local), &storages).as_deref(), Some("files"));
    let named = [disks[0], disks[3], ("vmstatestorage", "other")];
    assert_eq!(chosen(details(&named), &storages).as_deref(), Some("other"));
}

#[test]
fn snapshots_in_the_way_of_migration_and_replication_are_noted() {
    let both = vec![
        (guest(100), Some(details(&[DISK]))),
        (guest(101), Some(details(&[DISK]))),
    ];
    let mut cluster = cluster(both);
    cluster.inventory.nodes.push(NodeInfo {
        name: "pve2".to_owned(),
        online: true,
    });
    let job = |vmid, disabled| ReplicationJob {
        vmid,
        target: None,
        disabled,
    };
    cluster.replication = vec![job(100, false), job(101, true), job(999, false)];
    let found = check(cluster, &["blocks-migration", "replicated"]);
    let vmid = |number| Vmid::new(number).unwrap();
    let expected = MigrationBlock {
        vmid: vmid(101),
        kind: GuestKind::Qemu,
        only_online: true,
    };
    assert_eq!(found[0], Finding::BlocksMigration(vec![expected]));
    assert_eq!(found[1], Finding::Replicated(vec![vmid(100)]));
}

/// P8: the note names only guests that it is true for.
#[test]
fn only_guests_that_snapshots_keep_from_migrating_are_named() {
    use GuestKind::{Lxc, Qemu};
    const NEVER: Option<bool> = None;
    const ONLINE: Option<bool> = Some(true);
    const ALWAYS: Option<bool> = Some(false);
    for (kind, runs, disk, expected) in [
        (Qemu, true, "tank:vm-100-disk-0", ONLINE),
        (Qemu, false, "tank:vm-100-disk-0", NEVER),
        (Qemu, true, "thin:vm-100-disk-0", ALWAYS),
        (Qemu, false, "thin:vm-100-disk-0", ALWAYS),
        (Qemu, true, "files:100/vm-100-disk-0.qcow2", ONLINE),
        (Qemu, false, "files:100/vm-100-disk-0.qcow2", NEVER),
        (Qemu, true, "ceph:vm-100-disk-0", NEVER),
        (Qemu, true, "files:100/vm-100-disk-0.raw", NEVER),
        (Qemu, true, "unlisted:vm-100-disk-0", NEVER),
        (Lxc, true, "tank:subvol-100-disk-0", NEVER),
        (Lxc, true, "thin:vm-100-disk-0", ALWAYS),
        (Lxc, false, "ceph:vm-100-disk-0", NEVER),
    ] {
        let mut owner = guest(100);
        owner.kind = kind;
        if !runs {
            owner.status = GuestStatus::Stopped;
        }
        let key = if kind == Qemu { "scsi0" } else { "rootfs" };
        let mut details = details(&[]);
        details.config = GuestConfig::read(kind, [(key, disk)]);
        let mut ceph = storage("ceph", "rbd", 10);
        ceph.shared = true;
        let storages = vec![
            storage("tank", "zfspool", 10),
            storage("thin", "lvmthin", 10),
            storage("files", "dir", 10),
            ceph,
        ];
        let mut cluster = cluster_on(vec![(owner, Some(details))], storages);
        cluster.inventory.nodes.push(NodeInfo {
            name: "pve2".to_owned(),
            online: true,
        });
        let blocked = judged(&settings("@all"), cluster)
            .into_iter()
            .find_map(|one| match one {
                Finding::BlocksMigration(guests) => Some(guests[0].only_online),
                _ => None,
            });
        assert_eq!(blocked, expected, "{kind} {disk} running: {runs}");
    }
}

fn privileges(entries: &[(&str, &[(&str, bool)])]) -> Privileges {
    let entries = entries.iter();
    entries
        .map(|(path, list)| (*path, list.iter().copied()))
        .collect()
}

#[test]
fn a_missing_privilege_comes_with_the_lines_that_grant_it() {
    let mut cluster = cluster(vec![
        (guest(100), Some(details(&[DISK]))),
        (guest(101), Some(details(&[("scsi0", "hidden:x")]))),
    ]);
    let audit: &[(&str, bool)] = &[("VM.Audit", true)];
    let both: &[(&str, bool)] = &[("VM.Audit", true), ("VM.Snapshot", true)];
    cluster.privileges = Some(privileges(&[("/", audit), ("/vms/100", both)]));
    let hidden = ("hidden".to_owned(), "pve1".to_owned());
    cluster.unlisted = BTreeMap::from([(hidden, Unlisted::NotPermitted)]);
    let kinds = ["missing-privilege"; 3];
    let found = check_with(&settings("@all,@pool-lab"), cluster, &kinds);
    let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(
        texts[0].starts_with("VM.Snapshot is missing on /vms/101: "),
        "{texts:?}"
    );
    assert!(texts[1].starts_with("Datastore.Audit is missing on /storage/hidden: "));
    assert!(texts[2].starts_with("Pool.Audit is missing on /pool/lab: "));
    assert_eq!(
        found[0].commands(),
        ["pveum acl modify /vms/101 --tokens 'backup@pve!auto' --roles Autosnap",]
    );
    let hint = found[0].hint().unwrap();
    assert!(
        hint.ends_with("; if the user lacks it too, also pveum acl modify /vms/101 --users 'backup@pve' --roles Autosnap, which alone is right for a token made with --privsep 0"),
        "{hint}"
    );
    assert!(found[0].prevents(Vmid::new(101).unwrap()));
    assert!(!found[0].prevents(Vmid::new(100).unwrap()));
}

#[test]
fn a_login_without_any_privilege_is_told_so_once() {
    let mut cluster = cluster(Vec::new());
    cluster.privileges = Some(Privileges::default());
    cluster.separated = Some(false);
    let found = check(cluster, &["nothing-selected", "no-privileges"]);
    let lines = ["pveum acl modify / --users 'backup@pve' --roles Autosnap"];
    assert_eq!(found[1].commands(), lines, "its privileges are its user's");
    let hint = found[1].hint().unwrap();
    assert!(!hint.contains("pveum"), "{hint}");
}

#[test]
fn lost_quorum_stops_everything() {
    let mut cluster = one(details(&[DISK]));
    cluster.status = Some(ClusterStatus {
        quorate: Some(false),
        ..ClusterStatus::default()
    });
    cluster.guests[0].plan.decision = Decision::Refuse(Refusal::NoQuorum);
    let found = check(cluster, &["no-quorum"]);
    assert!(found[0].prevents(Vmid::new(100).unwrap()));
}

fn host(state: HostState, ends_in_days: i64) -> HostReading {
    HostReading {
        endpoint: "pve1".parse().unwrap(),
        certificate: Some(PeerCertificate {
            fingerprint: Fingerprint::of_certificate(b"x"),
            subject: None,
            issuer: None,
            names: Vec::new(),
            not_before: None,
            not_after: Some(NOW + ends_in_days * 86_400),
        }),
        state,
        cluster: None,
    }
}

#[test]
fn hosts_are_judged_by_what_they_said() {
    let ok = |lead| HostState::Ok {
        version: "8.4.21".to_owned(),
        clock_lead: Some(lead),
    };
    for (state, days, expected) in [
        (ok(2), 400, &[][..]),
        (ok(-30), 400, &["clock-differs"]),
        (ok(0), 9, &["certificate-ends"]),
        (ok(0), -1, &["certificate-ends"]),
        (
            HostState::Unreachable("off".to_owned()),
            400,
            &["host-unreachable"],
        ),
        (HostState::Refused("401".to_owned()), 400, &["host-refuses"]),
    ] {
        let found = judge_host(&host(state.clone(), days), true, NOW);
        let kinds: Vec<&str> = found.iter().map(Finding::kind).collect();
        assert_eq!(kinds, expected, "{state:?} {days}");
    }
}

#[test]
fn the_fingerprints_to_pin_are_shown_once_each() {
    let state = HostState::Unreachable(String::new());
    let hosts = [host(state.clone(), 400), host(state, 400)];
    let pin = format!("--fingerprint={}", Fingerprint::of_certificate(b"x"));
    assert_eq!(any_certificate(&hosts).commands(), [pin]);
    assert!(any_certificate(&[]).commands().is_empty());
}
