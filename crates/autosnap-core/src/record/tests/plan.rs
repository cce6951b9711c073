// SPDX-License-Identifier: GPL-3.0-only
//! The part of the plan that is recorded.

use super::*;
use crate::name::{Label, Series, TimestampFormat};
use crate::plan::{
    Action, Decision, GuestPlan, Intent, LockedGuests, Note, Plan, RemovalLimit, Steps,
};
use crate::retention::{Policy, Reason, Rules, Verdict};
use crate::snapshot::{Snapshot, SnapshotState};

/// The plan of `clean` for guest 100, 101, ….
fn planned(decisions: impl IntoIterator<Item = Decision>) -> EventKind {
    let label = Label::parse("daily").unwrap();
    let series = Series::new(label, TimestampFormat::default());
    let intent = Intent {
        action: Action::Clean,
        policy: Arc::new(Policy::new(series, Rules::keep_last(1))),
        locked: LockedGuests::Fail,
        removal_limit: RemovalLimit::default(),
        now: Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC),
    };
    let guests = (100..).zip(decisions);
    let guests = guests
        .map(|(number, decision)| GuestPlan {
            notes: vec![Note::AgentDisabled],
            ..GuestPlan::without_reading(guest(number), &intent, decision)
        })
        .collect();
    EventKind::Planned(Plan { guests }.into())
}

/// One snapshot is created, and of four older ones one is removed, two are left and one is ambiguous.
fn steps() -> Steps {
    let left = || Reason::LeftToNextRuns { limit: 2 };
    let verdicts = [
        (
            "autodaily4",
            Reason::Ambiguous {
                label: "daily4".to_owned(),
                format: "yyMMdd".to_owned(),
            },
        ),
        ("autodaily3", left()),
        ("autodaily2", left()),
        ("autodaily1", Reason::Removed { rank: 3, keep: 1 }),
    ];
    Steps {
        creation: Some(NewSnapshot {
            name: SnapName::parse("autodaily5").unwrap(),
            with_ram: false,
            requests_ram: false,
            description: "cv4pve-autosnap".into(),
        }),
        verdicts: verdicts
            .map(|(name, reason)| Verdict {
                snapshot: Snapshot {
                    name: name.to_owned(),
                    taken_at: None,
                    description: "".into(),
                    parent: None,
                    with_ram: false,
                    state: SnapshotState::Complete,
                },
                reason,
            })
            .into(),
        storages: Vec::new(),
        overdue: Vec::new(),
        waits_for: None,
    }
}

fn started(dry_run: bool) -> EventKind {
    let header = Header {
        dry_run,
        ..header(Command::Clean)
    };
    EventKind::RunStarted(Box::new(header))
}

#[test]
fn the_planned_steps_and_the_notes_are_recorded() {
    for dry_run in [false, true] {
        let planned = planned([Decision::Proceed(steps())]);
        let record = fold([started(dry_run), selected(), planned]);
        let expected = GuestRecord {
            planned_creation: Some("autodaily5".to_owned()),
            planned_removals: vec!["autodaily1".to_owned()],
            removal_reasons: [("autodaily1", "3rd newest, keep 1")]
                .map(|(name, reason)| (name.to_owned(), reason.to_owned()))
                .into(),
            over_limit: 2,
            ambiguous_names: 1,
            notes: vec![Note::AgentDisabled],
            ..GuestRecord::new(&guest(100), false)
        };
        assert!(record.is_planned);
        assert_eq!(record.guests, [expected]);
    }
}

#[test]
fn skips_and_refusals_are_results_of_a_dry_run_only() {
    let decisions = [
        Decision::Skip(Skip::Template),
        Decision::Refuse(Refusal::NodeOffline),
    ];
    let results = [
        GuestResult::Skipped(Skip::Template),
        GuestResult::Refused(Refusal::NodeOffline),
    ];
    let guests = |dry_run| fold([started(dry_run), selected(), planned(decisions.clone())]).guests;
    let found: Vec<_> = guests(true).into_iter().map(|guest| guest.result).collect();
    assert_eq!(found, results.map(Some));
    assert!(guests(false).iter().all(|guest| guest.result.is_none()));
}

#[test]
fn a_planned_guest_stays_required_and_found_by_its_vmid() {
    let skips = [(); 2].map(|()| Decision::Skip(Skip::Template));
    let record = fold([started(true), selected(), planned(skips)]);
    let required: Vec<bool> = record
        .guests
        .iter()
        .map(|guest| guest.is_required)
        .collect();
    assert_eq!(required, [false, true]);
    for guest in &record.guests {
        assert_eq!(record.guest(guest.vmid), Some(guest));
    }
    assert_eq!(record.guest(vmid(103)), None);
}
