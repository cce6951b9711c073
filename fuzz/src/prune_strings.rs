// SPDX-License-Identifier: GPL-3.0-only
//! PVE's property strings for keep rules, applied to a small list of snapshots.

use std::sync::LazyLock;

use autosnap_core::name::{Label, Series, TimestampFormat};
use autosnap_core::retention::{self, Period, Policy, Reason, Rules};
use autosnap_core::snapshot::{DESCRIPTION, Snapshot, SnapshotState};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

/// 2026-11-28 00:00:00 UTC.
const NOW: i64 = 1_795_824_000;

static SNAPSHOTS: LazyLock<Vec<Snapshot>> = LazyLock::new(snapshots);

/// Parses a property string. Its order does not matter, its text is parsed back, and its rules keep the newest snapshot
/// and no more than their numbers.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let backwards = text.split(',').rev().collect::<Vec<_>>().join(",");
    let rules = match Rules::parse(text) {
        Ok(rules) => rules,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(Rules::parse(&backwards).is_err());
            return;
        }
    };
    assert_eq!(Rules::parse(&backwards), Ok(rules));
    let shown = rules.to_string();
    let parsed = Rules::parse(&shown).expect("rules are shown as they are parsed");
    assert_eq!(parsed.to_string(), shown);
    for period in Period::ALL {
        assert_eq!(parsed.count(period), rules.count(period), "{shown}");
    }

    let label = Label::parse("daily").expect("a valid label");
    let series = Series::new(label, TimestampFormat::default());
    let policy = Policy::new(series, rules.with_min_age(SignedDuration::ZERO));
    let verdicts = retention::decide(&SNAPSHOTS, &policy, None, &now());
    assert!(!verdicts[0].reason.is_removal(), "{shown}");
    let kept = verdicts
        .iter()
        .filter(|verdict| matches!(verdict.reason, Reason::KeptBy(_)))
        .count();
    match rules.capacity() {
        Some(capacity) => assert!(u64::try_from(kept).is_ok_and(|kept| kept <= capacity)),
        None => assert_eq!(kept, verdicts.len()),
    }
}

fn now() -> Zoned {
    let now = Timestamp::from_second(NOW).expect("a possible time");
    now.to_zoned(TimeZone::UTC)
}

/// Snapshots of the last hours, days and years.
fn snapshots() -> Vec<Snapshot> {
    let hours = (0..40)
        .chain((2..40).map(|day| day * 24))
        .chain((2..30).map(|month| month * 800));
    let snapshot = |hours: i64| {
        let taken_at = now().timestamp() - SignedDuration::from_hours(hours);
        Snapshot {
            name: format!("autodaily{}", taken_at.strftime("%y%m%d%H%M%S")),
            taken_at: Some(taken_at),
            description: DESCRIPTION.into(),
            parent: None,
            with_ram: false,
            state: SnapshotState::Complete,
        }
    };
    hours.map(snapshot).collect()
}
