// SPDX-License-Identifier: GPL-3.0-only
//! The values derived from a record: totals, completeness, early end, changed guests.

use super::*;

/// A record of these guests, all of them planned.
fn planned(guests: Vec<GuestRecord>) -> RunRecord {
    RunRecord {
        is_planned: true,
        guests,
        ..RunRecord::new(RunId::default())
    }
}

fn guest_record(number: u32, result: Option<GuestResult>) -> GuestRecord {
    GuestRecord {
        result,
        ..GuestRecord::new(&guest(number), false)
    }
}

fn step(warnings: u32) -> CompletedStep {
    CompletedStep {
        snapshot: "autodaily1".to_owned(),
        success: Success {
            warnings,
            ..Success::default()
        },
    }
}

/// A guest whose counts are all above 1, except the created snapshot.
fn busy_guest(number: u32) -> GuestRecord {
    GuestRecord {
        created: Some(step(1)),
        removed: vec![step(0), step(2), step(1)],
        postponed: [1, 2].map(postponed).into(),
        over_limit: 3,
        ambiguous_names: 3,
        ..guest_record(number, Some(GuestResult::Done))
    }
}

fn postponed(count: usize) -> PostponedRemovals {
    PostponedRemovals {
        count,
        reason: PostponeReason::Budget,
    }
}

#[test]
fn the_totals_are_the_sums_over_all_guests() {
    let mut record = planned(vec![busy_guest(100), busy_guest(101)]);
    record.header = Some(header(Command::Clean));
    let expected = Totals {
        created: 2,
        removed: 6,
        done: 2,
        postponed: 6,
        over_limit: 6,
        left_ambiguous: 6,
        task_warnings: 6,
        ..Totals::default()
    };
    assert_eq!(record.totals(), expected);
}

#[test]
fn the_kept_snapshots_are_those_of_all_guests() {
    let guest = |number, last, held| GuestRecord {
        kept: KeptCounts {
            last,
            held,
            ..KeptCounts::default()
        },
        ..guest_record(number, Some(GuestResult::Done))
    };
    let record = planned(vec![guest(100, 3, 0), guest(101, 2, 1)]);
    let expected = KeptCounts {
        last: 5,
        held: 1,
        ..KeptCounts::default()
    };
    assert_eq!(record.kept(), expected);
}

#[test]
fn each_guest_is_counted_by_its_result() {
    let unsupported = || {
        GuestResult::Skipped(Skip::Unsupported {
            volumes: vec!["mp0".to_owned()],
        })
    };
    let results = [
        Some(GuestResult::NotReached),
        Some(GuestResult::NotReached),
        Some(GuestResult::Failed),
        Some(GuestResult::Skipped(Skip::Template)),
        Some(unsupported()),
        Some(unsupported()),
        Some(GuestResult::Done),
        None,
    ];
    let guests = (100..).zip(results);
    let record = planned(guests.map(|(n, result)| guest_record(n, result)).collect());
    let expected = Totals {
        done: 1,
        skipped: 3,
        failed: 3,
        not_reached: 2,
        not_covered: 2,
        ..Totals::default()
    };
    assert_eq!(record.totals(), expected);
}

#[test]
fn only_clean_leaves_ambiguous_names_and_is_then_incomplete() {
    for (command, left, expected) in [
        (Command::Clean, 3, RunResult::Incomplete),
        (Command::Snap, 0, RunResult::Success),
    ] {
        let mut record = planned(vec![busy_guest(100)]);
        record.header = Some(header(command));
        assert_eq!(record.left_ambiguous(), left, "{command:?}");
        assert_eq!(record.totals().left_ambiguous, left, "{command:?}");
        assert_eq!(record.result(), expected, "{command:?}");
    }
    assert_eq!(planned(vec![busy_guest(100)]).left_ambiguous(), 0);
}

#[test]
fn only_a_run_with_everything_done_is_a_success() {
    let done = planned(vec![guest_record(100, Some(GuestResult::Done))]);
    assert!(done.is_success());
    let failed = planned(vec![guest_record(100, Some(GuestResult::Failed))]);
    assert!(!failed.is_success());
    let skipped = RunRecord {
        skipped_for: Some("process 17".to_owned()),
        ..done
    };
    assert!(!skipped.is_success());
}

#[test]
fn an_error_another_run_or_a_stop_ends_a_run_early() {
    let ended = |error: bool, skipped: bool, stopped: bool| RunRecord {
        error: error.then(|| RunError {
            kind: FailureKind::Connection,
            message: "timeout".to_owned(),
        }),
        skipped_for: skipped.then(|| "process 17".to_owned()),
        stop_reason: stopped.then_some(StopReason::Shutdown),
        ..planned(Vec::new())
    };
    assert!(!ended(false, false, false).ended_early());
    assert!(ended(true, false, false).ended_early());
    assert!(ended(false, true, false).ended_early());
    assert!(ended(false, false, true).ended_early());
}

#[test]
fn a_run_is_dry_if_its_header_has_dry_run() {
    assert!(!planned(Vec::new()).is_dry_run());
    for dry_run in [false, true] {
        let mut header = header(Command::Snap);
        header.dry_run = dry_run;
        let started = fold([EventKind::RunStarted(Box::new(header))]);
        assert_eq!(started.is_dry_run(), dry_run);
    }
}

#[test]
fn nothing_is_selected_only_once_the_plan_is_empty() {
    let empty = planned(Vec::new());
    assert!(empty.is_nothing_selected());
    let not_planned = RunRecord::new(RunId::default());
    assert!(!not_planned.is_nothing_selected());
    assert!(!planned(vec![guest_record(100, None)]).is_nothing_selected());
    let allowed = RunRecord {
        may_be_empty: true,
        ..empty
    };
    assert!(!allowed.is_nothing_selected());
}

#[test]
fn the_effect_of_a_run_is_unknown_if_that_of_one_step_is() {
    for (effect, expected) in [
        (Effect::None, false),
        (Effect::StillRunning, false),
        (Effect::HalfDone, false),
        (Effect::Unknown, true),
    ] {
        let failed = |effect| EventKind::CreationFailed {
            vmid: vmid(100),
            failure: Failure {
                effect,
                ..failure()
            },
        };
        let record = fold([selected(), failed(Effect::None), failed(effect)]);
        assert_eq!(record.has_unknown_effect(), expected, "{effect:?}");
    }
    assert!(!fold([selected()]).has_unknown_effect());
}

#[test]
fn a_guest_has_changed_if_a_snapshot_was_created_or_removed() {
    let unchanged = guest_record(100, Some(GuestResult::Done));
    assert!(!unchanged.has_changed());
    let created = GuestRecord {
        created: Some(step(0)),
        ..unchanged.clone()
    };
    assert!(created.has_changed());
    let removed = GuestRecord {
        removed: vec![step(0)],
        ..unchanged
    };
    assert!(removed.has_changed());
    assert!(busy_guest(100).has_changed());
}

#[test]
fn each_event_of_a_guest_is_recorded_with_the_guest() {
    let vmid = vmid(102);
    let record = fold([
        selected(),
        EventKind::CreationStarted {
            vmid,
            snapshot: NewSnapshot {
                name: SnapName::parse("autodaily1").unwrap(),
                with_ram: true,
                requests_ram: true,
                description: "cv4pve-autosnap".into(),
            },
        },
        EventKind::Created {
            vmid,
            success: Success::default(),
        },
        EventKind::MissingRam {
            vmid,
            snapshot: "autodaily1".to_owned(),
        },
        EventKind::Removed {
            vmid,
            name: "autodaily0".to_owned(),
            success: Success::default(),
        },
        EventKind::RemovalDropped {
            vmid,
            name: "autodaily2".to_owned(),
            reason: DropReason::KeptNow,
        },
        EventKind::GuestFinished {
            vmid,
            result: GuestResult::Done,
            duration: Duration::from_secs(3),
        },
    ]);
    let expected = GuestRecord {
        planned_creation: Some("autodaily1".to_owned()),
        created: Some(step(0)),
        is_ram_missing: true,
        removed: vec![CompletedStep {
            snapshot: "autodaily0".to_owned(),
            ..step(0)
        }],
        dropped: vec![DroppedRemoval {
            snapshot: "autodaily2".to_owned(),
            reason: DropReason::KeptNow,
        }],
        duration: Duration::from_secs(3),
        ..guest_record(102, Some(GuestResult::Done))
    };
    assert_eq!(record.guest(vmid), Some(&expected));
    assert!(!record.guests[0].has_changed());
}

#[test]
fn a_record_names_its_guest() {
    let record = guest_record(101, None);
    let named = NamedGuest::from(&record);
    assert_eq!((named.vmid, named.kind), (vmid(101), GuestKind::Qemu));
    assert_eq!((named.node, named.name), ("pve1", Some("web101")));
}

#[test]
fn a_record_has_the_current_version() {
    assert_eq!(RecordVersion::CURRENT.get(), 1);
    let value = serde_json::to_value(planned(Vec::new())).unwrap();
    assert_eq!(value["version"], 1);
}
