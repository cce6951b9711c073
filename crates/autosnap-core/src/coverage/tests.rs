// SPDX-License-Identifier: GPL-3.0-only
//! The states of guests, conflicts and left snapshots, case by case.

use super::*;
use crate::guest::GuestKind;
use crate::name::{Label, TimestampFormat};
use crate::snapshot::{DESCRIPTION, SnapshotState};

pub(super) fn vmid(number: u32) -> Vmid {
    Vmid::new(number).unwrap()
}

pub(super) fn guest(number: u32, tags: &[&str]) -> Guest {
    Guest {
        vmid: vmid(number),
        kind: GuestKind::Qemu,
        node: "pve1".to_owned(),
        name: Some(format!("guest{number}")),
        status: GuestStatus::Running,
        template: false,
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        pool: None,
        lock: None,
    }
}

pub(super) fn series(label: &str, format: &str) -> Series {
    let format = TimestampFormat::parse(format).unwrap();
    Series::new(Label::parse(label).unwrap(), format)
}

/// A job that takes snapshots in the default format.
pub(super) fn job(label: &str, selected: &[u32]) -> CoveringJob {
    CoveringJob {
        name: format!("{label}.conf"),
        takes: true,
        series: series(label, TimestampFormat::DEFAULT),
        tags: BTreeSet::from([format!("autosnap-{label}")]),
        selected: selected.iter().copied().map(vmid).collect(),
    }
}

/// Snapshots of this tool, without a time.
pub(super) fn listed(names: &[&str]) -> SnapshotReading {
    let snapshots = names.iter().map(|name| Snapshot {
        name: (*name).to_owned(),
        taken_at: None,
        description: format!("{DESCRIPTION}\n").into(),
        parent: None,
        with_ram: false,
        state: SnapshotState::Complete,
    });
    SnapshotReading::Listed(snapshots.collect())
}

fn states(coverage: &Coverage) -> Vec<(u32, CoverageState)> {
    let guests = coverage.guests.iter();
    guests
        .map(|one| (one.guest.vmid.get(), one.state))
        .collect()
}

#[test]
fn guests_that_need_attention_come_first() {
    let template = Guest {
        template: true,
        ..guest(104, &[])
    };
    let silent = Guest {
        name: None,
        status: GuestStatus::Unknown,
        ..guest(105, &[])
    };
    let guests = [
        guest(100, &["autosnap-gold"]),
        guest(101, &["web"]),
        guest(102, &["AutoSnap-Off"]),
        guest(103, &["autosnap-glod"]),
        template,
        silent,
        guest(106, &[]),
    ];
    let readings = BTreeMap::from([(vmid(106), listed(&["autogold261128000000"]))]);
    let coverage = assess(guests, &[job("gold", &[100])], &readings);
    assert_eq!(
        states(&coverage),
        [
            (101, CoverageState::Uncovered),
            (106, CoverageState::LostPolicy),
            (103, CoverageState::UnknownTag),
            (105, CoverageState::Unknown),
            (100, CoverageState::Covered),
            (102, CoverageState::Off),
            (104, CoverageState::Template),
        ]
    );
    assert_eq!(
        coverage.guests[2].unknown_tags,
        [UnknownTag {
            tag: "autosnap-glod".to_owned(),
            nearest: Some("autosnap-gold".to_owned()),
        }]
    );
    assert_eq!(
        coverage.guests[1].left,
        [LeftSnapshots { job: 0, count: 1 }]
    );
}

#[test]
fn two_jobs_of_one_label_and_format_are_in_conflict_on_common_guests() {
    let guests = || [guest(100, &[]), guest(101, &[]), guest(102, &[])];
    let other = |series: Series, selected: &[u32]| CoveringJob {
        name: "other.conf".to_owned(),
        series,
        ..job("other", selected)
    };
    let default = TimestampFormat::DEFAULT;
    let adopting = series("all", default).with_adopted_labels([Label::parse("gold").unwrap()]);
    for (series, selected, expected) in [
        (series("gold", default), &[101, 102][..], &[101][..]),
        (adopting, &[100, 101], &[100, 101]),
        (series("gold", default), &[102], &[]),
        (series("gold", "yyyyMMddHHmmss"), &[100, 101], &[]),
        (series("silver", default), &[100, 101], &[]),
    ] {
        let jobs = [job("gold", &[100, 101]), other(series, selected)];
        let coverage = assess(guests(), &jobs, &BTreeMap::new());
        let found: Vec<u32> = coverage
            .conflicts
            .iter()
            .inspect(|conflict| assert_eq!((conflict.jobs, &*conflict.label), ((0, 1), "gold")))
            .flat_map(|conflict| conflict.guests.iter().map(|vmid| vmid.get()))
            .collect();
        assert_eq!(found, expected);
        for (vmid, state) in states(&coverage) {
            assert_eq!(state == CoverageState::Conflict, expected.contains(&vmid));
        }
    }
}

#[test]
fn a_clean_job_protects_no_guest_and_leaves_no_snapshots() {
    let clean = CoveringJob {
        takes: false,
        ..job("gold", &[100])
    };
    let readings = BTreeMap::from([(vmid(100), listed(&["autogold261128000000"]))]);
    let coverage = assess([guest(100, &[])], &[clean], &readings);
    assert_eq!(states(&coverage), [(100, CoverageState::Uncovered)]);
}

#[test]
fn only_snapshots_of_jobs_that_do_not_select_the_guest_are_left() {
    let jobs = [job("gold", &[100]), job("silver", &[])];
    let names = [
        "autogold261128000000",
        "autosilver261127000000",
        "autosilver261128000000",
        "automonthly261128000000",
        "before_upgrade",
    ];
    let readings = BTreeMap::from([(vmid(100), listed(&names))]);
    let coverage = assess([guest(100, &[])], &jobs, &readings);
    assert_eq!(states(&coverage), [(100, CoverageState::Covered)]);
    assert_eq!(
        coverage.guests[0].left,
        [LeftSnapshots { job: 1, count: 2 }]
    );
    let by_hand = SnapshotReading::Listed(match listed(&names) {
        SnapshotReading::Listed(snapshots) => snapshots
            .into_iter()
            .map(|snapshot| Snapshot {
                description: "by hand".into(),
                ..snapshot
            })
            .collect(),
        SnapshotReading::Failed(reason) => panic!("{reason}"),
    });
    let coverage = assess(
        [guest(100, &[])],
        &jobs,
        &BTreeMap::from([(vmid(100), by_hand)]),
    );
    assert_eq!(coverage.guests[0].left, []);
}

#[test]
fn snapshots_are_needed_only_where_a_job_may_have_left_some() {
    let jobs = [job("gold", &[100, 101]), job("silver", &[100])];
    assert!(!needs_snapshots(&guest(100, &[]), &jobs));
    assert!(needs_snapshots(&guest(101, &[]), &jobs));
    let template = Guest {
        template: true,
        ..guest(101, &[])
    };
    assert!(!needs_snapshots(&template, &jobs));
    assert!(!needs_snapshots(&guest(101, &[]), &[]));
    // Another job with the same series owns what this one would have left.
    let by_hand = CoveringJob {
        name: "more-gold.conf".to_owned(),
        ..job("gold", &[102])
    };
    let jobs = [job("gold", &[100]), by_hand];
    assert!(!needs_snapshots(&guest(102, &[]), &jobs));
    assert!(needs_snapshots(&guest(103, &[]), &jobs));
}

#[test]
fn a_guest_whose_snapshots_could_not_be_read_says_why() {
    let reason = "node pve2 is offline".to_owned();
    let readings = BTreeMap::from([(vmid(100), SnapshotReading::Failed(reason.clone()))]);
    let coverage = assess([guest(100, &[])], &[job("gold", &[])], &readings);
    assert_eq!(states(&coverage), [(100, CoverageState::Uncovered)]);
    assert_eq!(coverage.guests[0].unread, Some(reason));
}

/// The state of a guest is unknown only if PVE lists neither its name nor its status.
#[test]
fn a_guest_with_a_name_or_a_status_is_known() {
    let unnamed = Guest {
        name: None,
        ..guest(100, &[])
    };
    let without_status = Guest {
        status: GuestStatus::Unknown,
        ..guest(101, &[])
    };
    assert!(without_status.name.is_some() && unnamed.status != GuestStatus::Unknown);
    let coverage = assess([unnamed, without_status], &[], &BTreeMap::new());
    let uncovered = [100, 101].map(|vmid| (vmid, CoverageState::Uncovered));
    assert_eq!(states(&coverage), uncovered);
}
