// SPDX-License-Identifier: GPL-3.0-only

use autosnap_core::name::{Label, Series, TimestampFormat};
use autosnap_core::snapshot::{DESCRIPTION, SnapshotState};
use pve_client::SnapshotEntry;

use super::*;

fn planned() -> Snapshot {
    Snapshot {
        name: "autodaily240101000000".to_owned(),
        taken_at: Some(1_704_067_200),
        description: DESCRIPTION.to_owned(),
        parent: None,
        with_ram: false,
        state: SnapshotState::Complete,
    }
}

/// What is seen of the removal, and why it is dropped, when the list has this in its place.
fn check(there: Option<(i64, &str, Option<&str>)>, seen: Seen, dropped: Option<DropReason>) {
    let snapshot = planned();
    let entry = there.map(|(taken_at, description, state)| SnapshotEntry {
        name: snapshot.name.clone(),
        taken_at: Some(taken_at),
        description: description.to_owned(),
        parent: None,
        has_memory: false,
        state: state.map(ToOwned::to_owned),
    });
    let listing = SnapshotListing {
        snapshots: entry.into_iter().collect(),
        ..SnapshotListing::default()
    };
    let label = Label::parse("daily").unwrap();
    let policy = KeepPolicy::new(Series::new(label, TimestampFormat::default()), 0);
    let operation = Operation::Remove {
        snapshot: &snapshot,
        policy: &policy,
        new: None,
        now: 1_704_067_200,
        force: false,
        and_list: false,
    };
    assert_eq!(operation.seen_in(&listing), seen, "{there:?}");
    assert_eq!(operation.dropped_by(&listing), dropped, "{there:?}");
}

#[test]
fn only_the_very_snapshot_is_still_to_be_removed() {
    let taken_at = planned().taken_at.unwrap();
    check(Some((taken_at, DESCRIPTION, None)), Seen::NotDone, None);
    check(None, Seen::Done, Some(DropReason::Gone));
    check(
        Some((taken_at + 1, DESCRIPTION, None)),
        Seen::Done,
        Some(DropReason::Replaced),
    );
    check(
        Some((taken_at, "by hand", None)),
        Seen::NotDone,
        Some(DropReason::KeptNow),
    );
    check(
        Some((taken_at, DESCRIPTION, Some("delete"))),
        Seen::Half,
        Some(DropReason::KeptNow),
    );
}
