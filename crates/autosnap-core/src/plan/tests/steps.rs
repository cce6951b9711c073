// SPDX-License-Identifier: GPL-3.0-only
//! The steps of a guest, and the queries of the engine on its plan.

use super::*;

#[test]
fn ram_is_saved_only_for_running_vms_and_on_request() {
    let container = |status| Guest {
        kind: GuestKind::Lxc,
        ..guest(status)
    };
    let without_ram = || {
        intent(
            Action::Snap(Creation {
                name: new_name(),
                with_ram: false,
                only_running: false,
                description: "cv4pve-autosnap".into(),
            }),
            1,
        )
    };
    let clean = || intent(Action::Clean, 1);
    for (intent, guest, saved, requested) in [
        (snap(1), guest(GuestStatus::Running), true, Some(true)),
        (snap(1), guest(GuestStatus::Stopped), false, Some(true)),
        (snap(1), container(GuestStatus::Running), false, Some(false)),
        (
            without_ram(),
            guest(GuestStatus::Running),
            false,
            Some(false),
        ),
        (clean(), guest(GuestStatus::Running), false, None),
    ] {
        let plan = decided(&intent, guest, &reading(&[], Vec::new()));
        assert_eq!(plan.saves_ram(), saved, "{plan:?}");
        let creation = plan.steps().unwrap().creation.as_ref();
        assert_eq!(creation.map(|new| new.requests_ram), requested, "{plan:?}");
        assert_eq!(creation.is_some_and(|new| new.with_ram), saved, "{plan:?}");
    }
}

#[test]
fn the_steps_name_the_storages_of_the_disks() {
    let config = [
        ("scsi0", "tank:vm-100-disk-0"),
        ("scsi1", "ceph:vm-100-disk-1"),
    ];
    for intent in [snap(1), intent(Action::Clean, 1)] {
        let plan = decided(
            &intent,
            guest(GuestStatus::Running),
            &reading(&config, Vec::new()),
        );
        assert_eq!(plan.steps().unwrap().storages, ["ceph", "tank"]);
    }
}

#[test]
fn a_guest_that_is_locked_has_steps_for_when_it_is_unlocked() {
    let locked = reading(&[("lock", "backup")], vec![daily(1)]);
    let running = || guest(GuestStatus::Running);
    let refused = decided(&snap(1), running(), &locked);
    assert!(refused.was_locked());
    assert_eq!(refused.steps().unwrap().removals().count(), 1);
    let waits = Intent {
        locked: LockedGuests::Wait,
        ..snap(1)
    };
    let waiting = decided(&waits, running(), &locked);
    assert!(waiting.was_locked());
    assert_eq!(
        waiting.steps().unwrap().waits_for.as_deref(),
        Some("backup")
    );
    let unlocked = decided(&snap(1), running(), &reading(&[], Vec::new()));
    assert!(!unlocked.was_locked());
    let skip = Decision::Skip(Skip::Template);
    let skipped = GuestPlan::without_reading(running(), &snap(1), skip);
    assert!(!skipped.was_locked() && skipped.steps().is_none());
    let refusal = Decision::Refuse(Refusal::NodeOffline);
    let offline = GuestPlan::without_reading(running(), &snap(1), refusal);
    assert!(!offline.was_locked() && offline.steps().is_none());
}

#[test]
fn a_lock_is_waited_for_by_its_kind() {
    for (locked, lock, waits) in [
        (LockedGuests::Fail, "snapshot", false),
        (LockedGuests::WaitForSnapshotTasks, "snapshot", true),
        (LockedGuests::WaitForSnapshotTasks, "snapshot-delete", true),
        (LockedGuests::WaitForSnapshotTasks, "backup", false),
        (LockedGuests::Wait, "backup", true),
    ] {
        assert_eq!(locked.waits_for(lock), waits, "{locked:?} {lock}");
    }
}

#[test]
fn hooks_of_a_failed_creation_are_called_where_the_c_sharp_tool_tries() {
    let stuck = Refusal::Stuck {
        lock: "snapshot".to_owned(),
        snapshot: None,
    };
    let not_permitted = Refusal::NotPermitted {
        path: "/vms/100".to_owned(),
    };
    for (refusal, is_attempt) in [
        (Refusal::Locked("backup".to_owned()), true),
        (stuck, true),
        (Refusal::NameTaken(new_name()), true),
        (Refusal::StorageUnusable("disabled".to_owned()), true),
        (not_permitted, true),
        (Refusal::NoQuorum, true),
        (Refusal::NodeOffline, false),
        (Refusal::Unreadable("timeout".to_owned()), false),
    ] {
        assert_eq!(refusal.counts_as_attempt(), is_attempt, "{refusal:?}");
    }
}

#[test]
fn a_guest_with_an_unknown_name_is_refused_with_the_exclusion() {
    let message = may_match_exclusion("-%b01");
    assert!(
        message.contains("may match the exclusion `-%b01`"),
        "{message}"
    );
}

#[test]
fn guests_that_pve_cannot_snapshot_are_not_covered() {
    let volumes = || vec!["mp0".to_owned()];
    for (skip, is_not_covered) in [
        (Skip::Unsupported { volumes: volumes() }, true),
        (Skip::NoSnapshots { volumes: volumes() }, true),
        (Skip::Template, false),
        (Skip::NotRunning, false),
    ] {
        assert_eq!(skip.is_not_covered(), is_not_covered, "{skip:?}");
    }
}

#[test]
fn the_warnings_of_a_plan_are_counted_by_the_label_of_each_guest() {
    let plan_for = |label: &str, snapshots: Vec<Snapshot>| {
        let policy = Policy {
            ambiguous: AmbiguousNames::Keep,
            ..policy(label, 1)
        };
        let intent = Intent {
            policy: Arc::new(policy),
            removal_limit: RemovalLimit::new(2).unwrap(),
            ..intent(Action::Clean, 1)
        };
        decided(
            &intent,
            guest(GuestStatus::Running),
            &reading(&[], snapshots),
        )
    };
    let other_format = snapshot("autodaily20260101_000000", 0);
    let ambiguous = snapshot("autodaily20260101000009", 9);
    let backlog = (1..=6).map(daily).chain([other_format]);
    let guests = vec![
        plan_for("daily", backlog.collect()),
        plan_for("daily20", vec![ambiguous]),
    ];
    let plan = Plan { guests };
    let [daily, daily20] = ["daily", "daily20"].map(|label| Label::parse(label).unwrap());
    assert_eq!(
        plan.other_formats(),
        BTreeMap::from([((&daily, "yyyyMMdd_HHmmss"), 1)])
    );
    assert_eq!(plan.ambiguous_names(), BTreeMap::from([(&daily20, 1)]));
    let over_limit: Vec<_> = plan
        .over_limit()
        .iter()
        .map(|guest| (guest.limit, guest.left))
        .collect();
    assert_eq!(over_limit, [(2, 3)]);
}

#[test]
fn the_storages_that_refuse_guests_are_those_above_the_limit() {
    let plan_for = |config: &[(&str, &str)]| {
        let running = guest(GuestStatus::Running);
        decided(&snap(1), running, &reading(config, Vec::new()))
    };
    let skip = Decision::Skip(Skip::Template);
    let plan = Plan {
        guests: vec![
            plan_for(&[("scsi0", "full:vm-100-disk-0")]),
            plan_for(&[]),
            plan_for(&[("lock", "backup")]),
            GuestPlan::without_reading(guest(GuestStatus::Running), &snap(1), skip),
        ],
    };
    let refusing: Vec<&str> = plan
        .refusing_storages()
        .map(|full| full.storage.as_str())
        .collect();
    assert_eq!(refusing, ["full"]);
}

#[test]
fn the_reason_for_an_unknown_name_contains_the_exclusion() {
    assert_eq!(
        may_match_exclusion("-web%"),
        "its name is unknown and may match the exclusion `-web%`: exclude it by ID, tag, pool or node instead"
    );
}
