// SPDX-License-Identifier: GPL-3.0-only
//! The decisions and notes of the plan, in tables.

mod compare;
mod confirm;
mod limit;
mod notes;
mod overdue;
mod steps;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::*;
use crate::guest::{GuestKind, GuestStatus, Vmid};
use crate::name::{AmbiguousNames, Label, Series, TimestampFormat};
use crate::retention::Rules;
use crate::select::{Inventory, NodeInfo, UnlistedGuests};
use crate::snapshot::SnapshotState;

/// 2026-01-01 00:00:00 UTC.
const NEW_YEAR: i64 = 1_767_225_600;

/// The end of that day.
fn now() -> Zoned {
    after_new_year(86_399).to_zoned(TimeZone::UTC)
}

/// The time this many seconds after the beginning of the year.
fn after_new_year(seconds: i64) -> Timestamp {
    Timestamp::from_second(NEW_YEAR + seconds).unwrap()
}

fn guest(status: GuestStatus) -> Guest {
    Guest {
        vmid: Vmid::new(100).unwrap(),
        kind: GuestKind::Qemu,
        node: "pve1".into(),
        name: Some("web01".into()),
        status,
        template: false,
        tags: Vec::new(),
        pool: None,
        lock: None,
    }
}

/// A snapshot taken this many seconds after the beginning of the year.
fn snapshot(name: &str, second: i64) -> Snapshot {
    Snapshot {
        name: name.into(),
        taken_at: Some(after_new_year(second)),
        description: crate::snapshot::DESCRIPTION.into(),
        parent: None,
        with_ram: false,
        state: SnapshotState::Complete,
    }
}

/// `autodaily26010100000N`, taken at second N.
fn daily(number: i64) -> Snapshot {
    snapshot(&format!("autodaily2601010000{number:02}"), number)
}

fn new_name() -> SnapName {
    SnapName::parse("autodaily260101235959").unwrap()
}

fn policy(label: &str, keep: u32) -> Policy {
    let label = Label::parse(label).unwrap();
    let series = Series::new(label, TimestampFormat::default());
    Policy::new(series, Rules::keep_last(keep))
}

fn intent(action: Action, keep: u32) -> Intent {
    Intent {
        action,
        policy: Arc::new(policy("daily", keep)),
        locked: LockedGuests::Fail,
        removal_limit: RemovalLimit::default(),
        now: now(),
    }
}

fn snap(keep: u32) -> Intent {
    let creation = Creation {
        name: new_name(),
        with_ram: true,
        only_running: true,
        description: "cv4pve-autosnap".into(),
    };
    intent(Action::Snap(creation), keep)
}

fn reading(config: &[(&str, &str)], snapshots: Vec<Snapshot>) -> Reading {
    Reading {
        config: Some(GuestConfig::parse(GuestKind::Qemu, config.iter().copied())),
        can_snapshot: None,
        storage_error: None,
        snapshots,
        newest_was_late: false,
        task_runs: None,
    }
}

fn decided(intent: &Intent, guest: Guest, reading: &Reading) -> GuestPlan {
    let storages = [StorageUsage {
        node: "pve1".into(),
        storage: "full".into(),
        kind: "zfspool".into(),
        shared: false,
        content: vec!["images".into()],
        total: 100,
        used: 96,
        status: "available".into(),
    }];
    let guard = StorageGuard {
        storages: &storages,
        limit: Some(StorageLimit::default()),
    };
    decide(guest, reading, intent, guard)
}

fn refusal(plan: &GuestPlan) -> &Refusal {
    match &plan.decision {
        Decision::Refuse(refusal) => refusal,
        other @ (Decision::Skip(_) | Decision::Proceed(_)) => panic!("{other:?}"),
    }
}

#[test]
fn some_guests_are_decided_by_the_inventory_alone() {
    let template = Guest {
        template: true,
        ..guest(GuestStatus::Running)
    };
    let node = |name: &str, online| NodeInfo {
        name: name.to_owned(),
        online,
    };
    let unlisted = UnlistedGuests {
        node: "silent".to_owned(),
        kind: GuestKind::Qemu,
        reason: "timeout".to_owned(),
    };
    let inventory = Inventory {
        nodes: vec![node("pve1", true), node("off", false), node("silent", true)],
        unlisted: vec![unlisted],
        ..Inventory::default()
    };
    let on = |node: &str, status| Guest {
        node: node.to_owned(),
        ..guest(status)
    };
    let clean = || intent(Action::Clean, 1);
    for (guest, intent, expected) in [
        (
            on("off", GuestStatus::Unknown),
            snap(1),
            "Some(Refuse(NodeOffline))",
        ),
        (
            on("off", GuestStatus::Running),
            clean(),
            "Some(Refuse(NodeOffline))",
        ),
        (
            on("silent", GuestStatus::Unknown),
            snap(1),
            "Some(Refuse(Unreadable(\"node silent sends no statistics, and its guests could not be listed: timeout\")))",
        ),
        (on("silent", GuestStatus::Running), snap(1), "None"),
        (on("pve1", GuestStatus::Unknown), clean(), "None"),
        (
            guest(GuestStatus::Stopped),
            snap(1),
            "Some(Skip(NotRunning))",
        ),
        (
            guest(GuestStatus::Stopped),
            intent(Action::Clean, 1),
            "None",
        ),
        (template, snap(1), "Some(Skip(Template))"),
        (guest(GuestStatus::Running), snap(1), "None"),
    ] {
        assert_eq!(
            format!("{:?}", screen(&guest, &intent, &inventory)),
            expected
        );
    }
}

#[test]
fn the_new_snapshot_counts_as_the_newest() {
    let reading = reading(
        &[("scsi0", "ok:vm-100-disk-0")],
        vec![daily(1), daily(3), daily(2)],
    );
    let plan = decided(&snap(2), guest(GuestStatus::Running), &reading);
    let Decision::Proceed(steps) = &plan.decision else {
        panic!("{plan:?}")
    };
    let removals: Vec<_> = steps
        .removals()
        .map(|snapshot| snapshot.name.as_str())
        .collect();
    assert_eq!(
        removals,
        ["autodaily260101000001", "autodaily260101000002"],
        "oldest first"
    );
    assert_eq!(
        steps.creation.as_ref().map(|new| new.with_ram),
        Some(true),
        "a VM gets its RAM saved"
    );
}

#[test]
fn the_ram_of_containers_is_never_requested() {
    let container = Guest {
        kind: GuestKind::Lxc,
        ..guest(GuestStatus::Running)
    };
    let plan = decided(&snap(2), container, &reading(&[], Vec::new()));
    let Decision::Proceed(steps) = &plan.decision else {
        panic!("{plan:?}")
    };
    assert_eq!(steps.creation.as_ref().map(|new| new.with_ram), Some(false));
}

#[test]
fn the_plan_refuses_what_pve_would_refuse() {
    let running = || guest(GuestStatus::Running);
    let full = decided(
        &snap(1),
        running(),
        &reading(&[("scsi0", "full:vm-100-disk-0")], Vec::new()),
    );
    assert!(matches!(refusal(&full), Refusal::StorageFull(full) if full.storage == "full"));
    let locked = decided(
        &snap(1),
        running(),
        &reading(&[("lock", "backup")], Vec::new()),
    );
    assert_eq!(refusal(&locked), &Refusal::Locked("backup".into()));
    let taken = decided(
        &snap(1),
        running(),
        &reading(&[], vec![snapshot("AutoDaily260101235959", 1)]),
    );
    assert_eq!(refusal(&taken), &Refusal::NameTaken(new_name()));
    let path = decided(
        &snap(1),
        running(),
        &reading(
            &[("scsi1", "/dev/sdb"), ("scsi0", "full:vm-100-disk-0")],
            Vec::new(),
        ),
    );
    let Decision::Skip(skip) = &path.decision else {
        panic!("{path:?}")
    };
    assert_eq!(
        skip,
        &Skip::Unsupported {
            volumes: vec!["scsi1".into()]
        }
    );
    let unusable = Reading {
        storage_error: Some("storage 'off' is disabled".into()),
        ..reading(&[("scsi0", "off:vm-100-disk-0")], Vec::new())
    };
    assert_eq!(
        refusal(&decided(&snap(1), running(), &unusable)),
        &Refusal::StorageUnusable("storage 'off' is disabled".into())
    );
}

#[test]
fn a_lock_without_a_running_task_is_stuck() {
    let deleting = Snapshot {
        state: SnapshotState::Deleting,
        ..daily(1)
    };
    let check = |lock: &str, task_runs, expected: &str| {
        let reading = Reading {
            task_runs,
            ..reading(&[("lock", lock)], vec![deleting.clone()])
        };
        let plan = decided(&snap(1), guest(GuestStatus::Running), &reading);
        assert!(
            format!("{:?}", refusal(&plan)).starts_with(expected),
            "{plan:?}"
        );
    };
    check(
        "snapshot-delete",
        Some(false),
        "Stuck { lock: \"snapshot-delete\", snapshot: Some(",
    );
    check("snapshot-delete", Some(true), "Locked(");
    check("snapshot-delete", None, "Locked(");
    let preparing_since = |seconds: i64| Reading {
        task_runs: Some(false),
        ..reading(
            &[("lock", "snapshot")],
            vec![Snapshot {
                state: SnapshotState::Preparing,
                ..snapshot("by-hand", 86_399 - seconds)
            }],
        )
    };
    for (seconds, expected) in [(599, "Locked("), (600, "Stuck {")] {
        let plan = decided(
            &snap(1),
            guest(GuestStatus::Running),
            &preparing_since(seconds),
        );
        assert!(
            format!("{:?}", refusal(&plan)).starts_with(expected),
            "{plan:?}"
        );
    }
    check("backup", Some(false), "Locked(");
}

#[test]
fn a_lock_does_not_refuse_a_guest_without_removals() {
    let locked = Guest {
        lock: Some("backup".into()),
        ..guest(GuestStatus::Running)
    };
    let without_config = |snapshots| Reading {
        can_snapshot: None,
        storage_error: None,
        config: None,
        snapshots,
        newest_was_late: false,
        task_runs: None,
    };
    let clean = intent(Action::Clean, 1);
    let nothing = decided(&clean, locked.clone(), &without_config(vec![daily(1)]));
    assert!(
        matches!(nothing.decision, Decision::Proceed(_)),
        "{nothing:?}"
    );
    let something = decided(&clean, locked, &without_config(vec![daily(1), daily(2)]));
    assert_eq!(refusal(&something), &Refusal::Locked("backup".into()));
}

#[test]
fn locked_guests_get_steps_when_they_may_wait() {
    let intent = Intent {
        locked: LockedGuests::Wait,
        ..snap(1)
    };
    let plan = decided(
        &intent,
        guest(GuestStatus::Running),
        &reading(&[("lock", "backup")], Vec::new()),
    );
    assert!(matches!(plan.decision, Decision::Proceed(_)), "{plan:?}");
}

#[test]
fn snapshots_with_impossible_times_are_noted() {
    let wrong = Snapshot {
        taken_at: Timestamp::from_second(1234).ok(),
        ..daily(3)
    };
    let future = snapshot("autodaily260103000000", 2 * 86_400);
    let other_format = snapshot("autodaily20260101_000000", 0);
    let listed = vec![wrong, future, daily(1), other_format];
    let intent = snap(1);
    let plan = decided(
        &intent,
        guest(GuestStatus::Running),
        &reading(&[("agent", "1")], listed),
    );
    let impossible = |name: &str, taken_at, future| Note::ImpossibleTime {
        name: name.to_owned(),
        taken_at,
        future,
    };
    assert_eq!(
        plan.notes,
        [
            impossible(
                "autodaily260101000003",
                Timestamp::from_second(1234).unwrap(),
                false
            ),
            impossible("autodaily260103000000", after_new_year(2 * 86_400), true),
        ]
    );
    let Decision::Proceed(steps) = &plan.decision else {
        panic!("{plan:?}");
    };
    let removed: Vec<&str> = steps.removals().map(|one| one.name.as_str()).collect();
    assert_eq!(removed, ["autodaily260101000001"]);
    let plan = Plan { guests: vec![plan] };
    let label = Label::parse("daily").unwrap();
    assert_eq!(
        plan.other_formats(),
        BTreeMap::from([((&label, "yyyyMMdd_HHmmss"), 1)])
    );
}

#[test]
fn ambiguous_names_are_noted_with_both_readings() {
    let policy = Policy {
        ambiguous: AmbiguousNames::Keep,
        ..policy("daily20", 0)
    };
    let intent = Intent {
        policy: Arc::new(policy),
        ..intent(Action::Clean, 0)
    };
    let listed = vec![snapshot("autodaily20260101000009", 9)];
    let plan = decided(&intent, guest(GuestStatus::Running), &reading(&[], listed));
    let pair = |label: &str, format: &str| (label.to_owned(), format.to_owned());
    assert_eq!(
        plan.notes,
        [Note::AmbiguousNames {
            names: vec!["autodaily20260101000009".to_owned()],
            own: pair("daily20", "yyMMddHHmmss"),
            other: pair("daily", "yyyyMMddHHmmss"),
        }]
    );
}
