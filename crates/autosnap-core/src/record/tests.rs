// SPDX-License-Identifier: GPL-3.0-only
//! The record of a run, folded from its events.

mod plan;
mod views;

use std::sync::Arc;

use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::event::{
    Cause, Event, EventKind, Failure, HookEnd, PostponeReason, Success, WaitReason,
};
use crate::guest::{Guest, GuestKind, GuestStatus, NamedGuest};
use crate::name::{SnapName, TimestampFormat};
use crate::plan::{DropReason, NewSnapshot, Refusal, Skip};
use crate::remedy::{GuestRemedy, Remedy};
use crate::select::UnreadableEntry;
use crate::storage::FullStorage;
use crate::warning::Uncertainty;

fn vmid(number: u32) -> Vmid {
    Vmid::new(number).unwrap()
}

fn guest(number: u32) -> Guest {
    Guest {
        vmid: vmid(number),
        kind: GuestKind::Qemu,
        node: "pve1".to_owned(),
        name: Some(format!("web{number}")),
        status: GuestStatus::Running,
        template: false,
        tags: Vec::new(),
        pool: None,
        lock: None,
    }
}

/// Guests 100 to 103 are selected; 101 must not be skipped.
fn selected() -> EventKind {
    EventKind::Selected {
        guests: (100..104).map(guest).collect(),
        visible: 4,
        required: [vmid(101)].into(),
        nested_pools: Arc::default(),
        tagged_off: Arc::default(),
        may_be_empty: false,
    }
}

fn finished(number: u32, result: GuestResult) -> EventKind {
    EventKind::GuestFinished {
        vmid: vmid(number),
        result,
        duration: Duration::ZERO,
    }
}

fn fold(kinds: impl IntoIterator<Item = EventKind>) -> RunRecord {
    let run = RunId::new(Timestamp::UNIX_EPOCH, 7);
    let mut record = RunRecord::new(run);
    for (seq, kind) in (0..).zip(kinds) {
        record.observe(&Event {
            run,
            at: Timestamp::from_second(seq).unwrap(),
            seq: u64::try_from(seq).unwrap(),
            kind,
        });
    }
    record
}

fn check(kinds: impl IntoIterator<Item = EventKind>, expected: RunResult) {
    let mut events = vec![selected()];
    events.extend(kinds);
    assert_eq!(fold(events.clone()).result(), expected, "{events:?}");
}

fn header(command: Command) -> Header {
    Header {
        command,
        pve_version: "8.4.21".to_owned(),
        selection: "@all".to_owned(),
        label: "daily".to_owned(),
        keep: Some(7),
        policy: "keep-last=7".to_owned(),
        has_default_keep_last: false,
        timezone: "Europe/Vienna".to_owned(),
        adopted_labels: Vec::new(),
        with_ram: false,
        only_running: false,
        timeout: Duration::from_secs(30),
        timestamp_format: "yyMMddHHmmss".to_owned(),
        max_percent_storage: StorageLimit::default(),
        serial_reasons: Vec::new(),
        dry_run: false,
        warnings: vec![Warning::UnknownTimeZone {
            zone: "Europe/Rome".to_owned(),
        }],
    }
}

fn failure() -> Failure {
    Failure {
        cause: Cause::Connection,
        effect: Effect::Unknown,
        message: "lost".to_owned(),
        remedy: Some(Remedy::Guest(GuestRemedy::CheckSnapshot {
            vmid: vmid(100),
            node: "pve1".to_owned(),
            snapshot: "autodaily1".to_owned(),
        })),
    }
}

#[test]
fn a_skipped_guest_is_a_failure_only_if_it_is_required() {
    let skip = |number| finished(number, GuestResult::Skipped(Skip::Template));
    check([skip(100)], RunResult::Success);
    check([skip(100), skip(101)], RunResult::Incomplete);
}

#[test]
fn a_guest_that_is_not_visible_makes_the_run_incomplete() {
    let missing = Warning::InvalidTerm("`99` matches no guest".to_owned());
    check(
        [EventKind::Warned(missing), finished(100, GuestResult::Done)],
        RunResult::Incomplete,
    );
}

#[test]
fn a_refused_failed_stopped_or_unreached_guest_makes_the_run_incomplete() {
    for result in [
        GuestResult::Refused(Refusal::NodeOffline),
        GuestResult::Failed,
        GuestResult::StoppedByHook,
        GuestResult::NotReached,
    ] {
        check(
            [finished(100, GuestResult::Done), finished(101, result)],
            RunResult::Incomplete,
        );
    }
}

#[test]
fn a_run_without_guests_is_incomplete_unless_that_is_allowed() {
    for (may_be_empty, expected) in [(false, RunResult::Incomplete), (true, RunResult::Success)] {
        let selected = EventKind::Selected {
            guests: Arc::default(),
            visible: 4,
            required: Arc::default(),
            nested_pools: Arc::default(),
            tagged_off: Arc::default(),
            may_be_empty,
        };
        let events = [selected, EventKind::Planned(Arc::default())];
        assert_eq!(fold(events).result(), expected);
    }
}

#[test]
fn the_first_stop_reason_is_the_result() {
    for reason in [
        StopReason::UserRequest,
        StopReason::Shutdown,
        StopReason::TerminalClosed,
        StopReason::Hook,
        StopReason::ServerLost,
        StopReason::Cancelled,
    ] {
        check(
            [
                EventKind::Stopped(reason),
                EventKind::Stopped(StopReason::UserRequest),
                finished(100, GuestResult::Failed),
            ],
            RunResult::Stopped(reason),
        );
    }
}

#[test]
fn an_error_of_the_run_is_the_result_before_all_else() {
    check(
        [
            EventKind::Stopped(StopReason::Shutdown),
            finished(100, GuestResult::Failed),
            EventKind::RunFailed {
                kind: FailureKind::Connection,
                message: "no host could be reached".to_owned(),
            },
        ],
        RunResult::Failed(FailureKind::Connection),
    );
}

#[test]
fn a_skipped_run_is_neither_a_success_nor_a_failure() {
    let skipped = EventKind::RunSkipped {
        holder: "process 17".to_owned(),
    };
    check([skipped], RunResult::Skipped);
}

#[test]
fn failed_steps_belong_to_their_guest() {
    let record = fold([
        selected(),
        EventKind::CreationFailed {
            vmid: vmid(100),
            failure: failure(),
        },
        EventKind::RemovalFailed {
            vmid: vmid(101),
            name: "autoa1".to_owned(),
            failure: failure(),
        },
        finished(101, GuestResult::Failed),
        finished(100, GuestResult::Failed),
    ]);
    let steps: Vec<_> = record
        .failed()
        .map(|guest| (guest.vmid.get(), guest.failures.len()))
        .collect();
    assert_eq!(steps, [(100, 1), (101, 1)]);
    assert!(record.has_unknown_effect());
    let removal = &record.guest(vmid(101)).unwrap().failures[0];
    assert_eq!(removal.removal_of.as_deref(), Some("autoa1"));
    assert_eq!(record.totals().failed, 2);
}

#[test]
fn the_end_of_the_output_of_hooks_is_recorded_up_to_a_limit() {
    let run = |vmid, output: &str| {
        EventKind::HookRan(HookRun {
            vmid,
            phase: "snap-create-pre".into(),
            end: HookEnd::Exited(0),
            output: output.to_owned(),
        })
    };
    let long = format!("{}the end", "ä".repeat(10_000));
    let mut events = vec![selected(), run(None, "short\n")];
    events.extend((0..1_000).map(|_| run(Some(vmid(100)), &long)));
    let record = fold(events);
    assert_eq!(record.hooks[0].output, "short\n");
    let outputs: Vec<&str> = record.guests[0]
        .hooks
        .iter()
        .map(|run| run.output.as_str())
        .collect();
    assert_eq!(outputs.len(), 1_000);
    assert!(outputs[0].ends_with("the end") && outputs[0].len() <= 8 * 1024);
    assert_eq!(outputs[999], "");
    let bytes: usize = outputs.iter().map(|output| output.len()).sum();
    assert!((4_000_000..=4 * 1024 * 1024).contains(&bytes), "{bytes}");
}

#[test]
fn a_record_of_a_newer_version_is_refused_with_its_number() {
    let mut value = serde_json::to_value(fold([selected()])).unwrap();
    value["version"] = 2.into();
    let error = serde_json::from_value::<RunRecord>(value).unwrap_err();
    assert_eq!(
        error.to_string(),
        "run record of version 2: this program reads versions up to 1; update it"
    );
}

#[test]
fn a_record_with_unknown_and_without_optional_fields_is_read() {
    let record: RunRecord = serde_json::from_str(
        r#"{
            "version": 1,
            "run": "01923456-789a-7fff-bfff-ffffffffffff",
            "colour": "green",
            "guests": [{"vmid": 100, "kind": "lxc", "node": "pve1", "result": "done", "mood": 3}]
        }"#,
    )
    .unwrap();
    assert_eq!(record.guests[0].kind, GuestKind::Lxc);
    assert_eq!(
        record.guest(vmid(100)).unwrap().result,
        Some(GuestResult::Done)
    );
    assert_eq!(record.result(), RunResult::Success);
}

fn any_warning() -> impl Strategy<Value = Warning> {
    prop_oneof![
        Just(Warning::UnreadableEntry(UnreadableEntry::Repeated {
            vmid: vmid(100),
            is_left_out: true,
        })),
        "[YyMdHh]{1,8}".prop_filter_map("a format with issues", |format| {
            let warning = TimestampFormat::parse(&format).ok()?.warning()?;
            Some(Warning::TimestampFormat(warning))
        }),
        Just(Warning::WaitedForRun {
            pid: Some(17),
            since: Some(date(2026, 11, 28).at(1, 10, 30, 0)),
            at: date(2026, 11, 28).at(3, 0, 0, 0),
        }),
        Just(Warning::UncertainSelection(Uncertainty::NodeOffline(
            "pve2".to_owned()
        ))),
        (0..100_u64).prop_map(|seconds| Warning::OldStatistics {
            node: "pve1".to_owned(),
            age: Duration::from_secs(seconds),
        }),
        Just(Warning::RemovalLimit {
            limit: 3,
            guests: vec![(GuestKind::Lxc, vmid(103), 4)],
        }),
    ]
}

fn any_result() -> impl Strategy<Value = GuestResult> {
    prop_oneof![
        Just(GuestResult::Done),
        Just(GuestResult::Failed),
        Just(GuestResult::StoppedByHook),
        Just(GuestResult::NotReached),
        Just(GuestResult::Skipped(Skip::NotRunning)),
        Just(GuestResult::Refused(Refusal::NameTaken(
            SnapName::parse("autodaily1").unwrap()
        ))),
        (1..100_u8).prop_map(
            |percent| GuestResult::Refused(Refusal::StorageFull(FullStorage {
                node: "pve1".to_owned(),
                storage: "local".to_owned(),
                percent: f64::from(percent) / 2.0,
                limit: StorageLimit::new(percent).unwrap(),
            }))
        ),
    ]
}

/// Any event of a guest.
fn any_guest_event() -> impl Strategy<Value = EventKind> {
    let success =
        (0..3_u32, any::<bool>(), 0..5_000_u64).prop_map(|(warnings, late, millis)| Success {
            warnings,
            adopted: !late,
            late,
            duration: Duration::from_millis(millis),
        });
    let name = "auto[a-z]{1,5}[0-9]{6}";
    (100..104_u32, success, name, any_result(), 0..12_usize).prop_map(
        |(number, success, name, result, which)| {
            let vmid = vmid(number);
            match which {
                0 => EventKind::GuestStarted(vmid),
                1 => EventKind::CreationStarted {
                    vmid,
                    snapshot: NewSnapshot {
                        name: SnapName::parse(&name).unwrap(),
                        with_ram: false,
                        requests_ram: false,
                        description: "cv4pve-autosnap".into(),
                    },
                },
                2 => EventKind::Created { vmid, success },
                3 => EventKind::MissingRam {
                    vmid,
                    snapshot: name,
                },
                4 => EventKind::CreationFailed {
                    vmid,
                    failure: failure(),
                },
                5 => EventKind::Removed {
                    vmid,
                    name,
                    success,
                },
                6 => EventKind::RemovalFailed {
                    vmid,
                    name,
                    failure: failure(),
                },
                7 => EventKind::RemovalDropped {
                    vmid,
                    name,
                    reason: DropReason::KeptNow,
                },
                8 => EventKind::RemovalsPostponed {
                    vmid,
                    count: 2,
                    reason: PostponeReason::Stopped(StopReason::Cancelled),
                },
                9 => EventKind::HookRan(HookRun {
                    vmid: Some(vmid),
                    phase: "snap-create-pre".into(),
                    end: HookEnd::Exited(3),
                    output: "line\n".to_owned(),
                }),
                10 => EventKind::GuestResumed {
                    vmid,
                    waited: Duration::ZERO,
                    reason: WaitReason::Lock,
                },
                _ => finished(number, result),
            }
        },
    )
}

fn any_event() -> impl Strategy<Value = EventKind> {
    prop_oneof![
        1 => any_warning().prop_map(EventKind::Warned),
        1 => Just(EventKind::Stopped(StopReason::Shutdown)),
        1 => Just(EventKind::RunFailed { kind: FailureKind::Configuration, message: "no".to_owned() }),
        1 => Just(EventKind::RunSkipped { holder: "process 17".to_owned() }),
        1 => Just(EventKind::StoragesRead {
            storages: vec![StorageUsage {
                node: "pve1".to_owned(),
                storage: "local".to_owned(),
                kind: "dir".to_owned(),
                shared: false,
                content: vec!["images".to_owned()],
                total: u64::MAX,
                used: 1,
                status: "available".to_owned(),
            }],
            limit: StorageLimit::default(),
        }),
        1 => Just(EventKind::HookRan(HookRun {
            vmid: None,
            phase: "snap-job-start".into(),
            end: HookEnd::NotStarted("permission denied".to_owned()),
            output: String::new(),
        })),
        12 => any_guest_event(),
    ]
}

proptest! {
    #[test]
    fn a_record_survives_being_serialised(events in prop::collection::vec(any_event(), 0..40)) {
        let mut kinds = vec![EventKind::RunStarted(Box::new(header(Command::Snap))), selected()];
        kinds.extend(events);
        kinds.push(EventKind::RunFinished { duration: Duration::from_millis(1234) });
        let record = fold(kinds);
        let text = serde_json::to_string(&record).unwrap();
        let read: RunRecord = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read, &record);
        prop_assert_eq!(read.result(), record.result());
        prop_assert_eq!(read.totals(), record.totals());
        for guest in &record.guests {
            prop_assert_eq!(read.guest(guest.vmid), Some(guest));
        }
    }

    #[test]
    fn every_ended_guest_is_counted_once(results in prop::collection::vec(any_result(), 4)) {
        let ends = (100..).zip(results).map(|(number, result)| finished(number, result));
        let totals = fold(std::iter::once(selected()).chain(ends)).totals();
        prop_assert_eq!(totals.done + totals.skipped + totals.failed, 4);
        prop_assert!(totals.not_reached <= totals.failed);
    }
}
