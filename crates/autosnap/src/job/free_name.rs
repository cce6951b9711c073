// SPDX-License-Identifier: GPL-3.0-only
//! A free name for the snapshots of a run, if another run (on another machine or as another user) has used its name in
//! the same second.

use autosnap_core::name::{Series, SnapName};
use autosnap_core::snapshot::Snapshot;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

/// How many of the following seconds are tried.
const SECONDS: i64 = 10;

/// The largest difference from now at which a snapshot counts as taken in this second.
const WINDOW: SignedDuration = SignedDuration::from_secs(SECONDS);

/// The first unused name: the name for the time of the run, or for one of the next seconds if a snapshot of this second
/// has it. If an older snapshot has the name, the name is not changed, so that the run fails visibly: the format lacks
/// seconds, or a clock was set back. `server_now` is the time by the clock that dates snapshots.
pub(super) fn next_free(
    name: SnapName,
    series: &Series,
    now: &Zoned,
    server_now: Timestamp,
    snapshots: &[&Snapshot],
) -> SnapName {
    let holder = |name: &SnapName| {
        let has_it = |snapshot: &&&Snapshot| name.as_str().eq_ignore_ascii_case(&snapshot.name);
        snapshots.iter().find(has_it).copied()
    };
    let is_new = |snapshot: &Snapshot| {
        snapshot
            .taken_at
            .is_some_and(|taken_at| server_now.duration_since(taken_at).abs() <= WINDOW)
    };
    if !holder(&name).is_some_and(is_new) {
        return name;
    }
    let later = (1..=SECONDS).filter_map(|seconds| {
        let time = now.checked_add(seconds.seconds()).ok()?;
        SnapName::new(series.label(), series.format(), &time.datetime()).ok()
    });
    let mut free = later.filter(|later| holder(later).is_none());
    free.next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use autosnap_core::name::{Label, TimestampFormat};
    use autosnap_core::snapshot::{DESCRIPTION, SnapshotState};
    use jiff::tz::TimeZone;

    use super::*;

    /// 2026-01-01 00:00:00 UTC.
    const NOW: i64 = 1_767_225_600;

    fn check(format: &str, there: &[(&str, i64)], expected: &str) {
        let format = TimestampFormat::parse(format).unwrap();
        let series = Series::new(Label::parse("a").unwrap(), format);
        let server_now = Timestamp::from_second(NOW).unwrap();
        let now = server_now.to_zoned(TimeZone::UTC);
        let name = SnapName::new(series.label(), series.format(), &now.datetime()).unwrap();
        let snapshots: Vec<Snapshot> = there
            .iter()
            .map(|(name, age)| Snapshot {
                name: (*name).to_owned(),
                taken_at: Timestamp::from_second(NOW - age).ok(),
                description: DESCRIPTION.into(),
                parent: None,
                with_ram: false,
                state: SnapshotState::Complete,
            })
            .collect();
        let free = next_free(name, &series, &now, server_now, &Vec::from_iter(&snapshots));
        assert_eq!(free.as_str(), expected, "{there:?}");
    }

    #[test]
    fn the_next_free_second_is_taken_only_for_a_name_of_this_second() {
        let default = TimestampFormat::DEFAULT;
        check(default, &[], "autoa260101000000");
        check(default, &[("autoa260101000000", 0)], "autoa260101000001");
        let two = [("autoa260101000000", 1), ("autoa260101000001", 0)];
        check(default, &two, "autoa260101000002");
        // Of the first pass through a repeated hour.
        check(default, &[("autoa260101000000", 3600)], "autoa260101000000");
        // All names of one day are equal.
        check("yyyyMMdd", &[("autoa20260101", 0)], "autoa20260101");
    }
}
