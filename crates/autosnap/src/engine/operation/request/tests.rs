// SPDX-License-Identifier: GPL-3.0-only

use autosnap_core::name::{Label, Series, TimestampFormat};
use autosnap_core::retention::Rules;
use autosnap_core::snapshot::{DESCRIPTION, SnapshotState};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use pve_client::SnapshotEntry;

use super::*;

/// 2024-01-01 00:00:00 UTC.
const NEW_YEAR: i64 = 1_704_067_200;

fn planned() -> Snapshot {
    Snapshot {
        name: "autodaily240101000000".to_owned(),
        taken_at: Timestamp::from_second(NEW_YEAR).ok(),
        description: DESCRIPTION.into(),
        parent: None,
        with_ram: false,
        state: SnapshotState::Complete,
    }
}

/// What is seen of the removal, and why it is dropped, when the list has this in its location.
fn check(
    there: Option<(i64, &str, Option<&str>)>,
    effect: RequestEffect,
    dropped: Option<DropReason>,
) {
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
    let series = Series::new(label, TimestampFormat::default());
    let policy = Policy::new(series, Rules::keep_last(0));
    let now = Timestamp::from_second(NEW_YEAR)
        .unwrap()
        .to_zoned(TimeZone::UTC);
    let operation = Operation::Remove {
        snapshot: &snapshot,
        policy: &policy,
        new: None,
        now: &now,
        force: false,
        list_snapshots: false,
    };
    assert_eq!(operation.effect_in(&listing), effect, "{there:?}");
    assert_eq!(operation.drop_reason(&listing), dropped, "{there:?}");
}

#[test]
fn only_the_planned_snapshot_is_still_to_be_removed() {
    let taken_at = NEW_YEAR;
    check(
        Some((taken_at, DESCRIPTION, None)),
        RequestEffect::NotApplied,
        None,
    );
    check(None, RequestEffect::Applied, Some(DropReason::Gone));
    check(
        Some((taken_at + 1, DESCRIPTION, None)),
        RequestEffect::Applied,
        Some(DropReason::Replaced),
    );
    check(
        Some((taken_at, "by hand", None)),
        RequestEffect::NotApplied,
        Some(DropReason::KeptNow),
    );
    check(
        Some((taken_at, DESCRIPTION, Some("delete"))),
        RequestEffect::Partial,
        Some(DropReason::KeptNow),
    );
}
