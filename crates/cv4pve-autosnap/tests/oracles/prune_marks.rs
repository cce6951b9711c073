// SPDX-License-Identifier: GPL-3.0-only
//! The marks that PVE's own function gives for backups, and the verdicts of the keep rules on snapshots of the same
//! times.
//!
//! Two differences are intended: snapshots of one second share a place, and a snapshot from the future takes none. The
//! cases with them are compared with PVE's answer for a list without them, by a plain reading of PVE's rules that has
//! to agree with all recorded cases.

use std::collections::{BTreeMap, BTreeSet};

use autosnap_core::name::{Label, Series, TimestampFormat};
use autosnap_core::retention::{self, KeepCounts, Period, Policy, Rules};
use autosnap_core::snapshot::{DESCRIPTION, Snapshot, SnapshotState};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::lines;

/// A line of `prune-marks.jsonl`.
#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    timezone: String,
    policy: BTreeMap<String, u32>,
    entries: Vec<(i64, bool)>,
    marks: Vec<String>,
}

/// 2026-11-28 00:00:00 UTC: every entry after it is from the future.
const NOW: i64 = 1_795_824_000;

fn timestamp(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

impl Case {
    fn zone(&self) -> TimeZone {
        TimeZone::get(&self.timezone).unwrap()
    }

    fn count(&self, period: Period) -> u32 {
        self.policy.get(period.key()).copied().unwrap_or(0)
    }

    fn keeps_all(&self) -> bool {
        self.policy.get("keep-all").is_some_and(|all| *all > 0)
            || Period::ALL.iter().all(|period| self.count(*period) == 0)
    }

    /// The rules of the case, without the guards and the default of this tool.
    fn rules(&self) -> Rules {
        if self.keeps_all() {
            return Rules::keep_all();
        }
        let mut counts = KeepCounts::default();
        for period in Period::ALL {
            *counts.get_mut(period) = Some(self.count(period));
        }
        Rules::from_counts(counts).with_min_age(SignedDuration::ZERO)
    }

    /// A snapshot for each entry, with a name of its own; a protected one is not of this tool.
    fn snapshots(&self) -> Vec<Snapshot> {
        let mut names = BTreeSet::new();
        let snapshots = self.entries.iter().map(|(second, protected)| {
            let mut in_name = *second;
            let name = loop {
                let name = format!("auton{}", timestamp(in_name).strftime("%Y%m%d%H%M%S"));
                if names.insert(name.clone()) {
                    break name;
                }
                in_name += 1;
            };
            Snapshot {
                name,
                taken_at: Some(timestamp(*second)),
                description: if *protected { "by hand" } else { DESCRIPTION }.into(),
                parent: None,
                with_ram: false,
                state: SnapshotState::Complete,
            }
        });
        snapshots.collect()
    }

    /// Which of the entries stay by the rules of this tool.
    fn kept(&self, now: i64) -> Vec<bool> {
        let series = Series::new(
            Label::parse("n").unwrap(),
            TimestampFormat::parse("yyyyMMddHHmmss").unwrap(),
        );
        let policy = Policy::new(series, self.rules());
        let snapshots = self.snapshots();
        let now = timestamp(now).to_zoned(self.zone());
        let removed: BTreeSet<String> =
            retention::removals(&retention::decide(&snapshots, &policy, None, &now))
                .map(|snapshot| snapshot.name.clone())
                .collect();
        let is_kept = |snapshot: &Snapshot| !removed.contains(&snapshot.name);
        snapshots.iter().map(is_kept).collect()
    }

    /// Which of the entries stay by a plain reading of PVE's rules.
    fn read_plainly(&self) -> Vec<bool> {
        let mut open: Vec<usize> = (0..self.entries.len()).collect();
        open.retain(|index| !self.entries[*index].1);
        let mut kept: Vec<bool> = self.entries.iter().map(|entry| entry.1).collect();
        if self.keeps_all() {
            return vec![true; kept.len()];
        }
        open.sort_by_key(|index| std::cmp::Reverse(self.entries[*index].0));
        let zone = self.zone();
        let mut kept_by_rules: Vec<i64> = Vec::new();
        for period in Period::ALL {
            let id = |second: i64| period_of(second, period, &zone);
            let covered: BTreeSet<String> =
                kept_by_rules.iter().map(|second| id(*second)).collect();
            let mut taken = BTreeSet::new();
            let mut is_full = self.count(period) == 0;
            open.retain(|index| {
                let second = self.entries[*index].0;
                if is_full || covered.contains(&id(second)) {
                    true
                } else if taken.contains(&id(second)) {
                    false
                } else if taken.len() == self.count(period) as usize {
                    is_full = true;
                    true
                } else {
                    taken.insert(id(second));
                    kept_by_rules.push(second);
                    kept[*index] = true;
                    false
                }
            });
        }
        kept
    }

    /// The case without the entries for which `leave_out` returns true.
    fn without(&self, mut leave_out: impl FnMut(i64, bool) -> bool) -> Self {
        let mut entries = self.entries.clone();
        entries.retain(|(second, protected)| !leave_out(*second, *protected));
        Self {
            name: self.name.clone(),
            timezone: self.timezone.clone(),
            policy: self.policy.clone(),
            entries,
            marks: Vec::new(),
        }
    }
}

fn period_of(second: i64, period: Period, zone: &TimeZone) -> String {
    let format = match period {
        Period::Last => "%s",
        Period::Hourly => "%H/%d/%m/%Y",
        Period::Daily => "%d/%m/%Y",
        Period::Weekly => "%V/%G",
        Period::Monthly => "%m/%Y",
        Period::Yearly => "%Y",
    };
    let zoned = timestamp(second).to_zoned(zone.clone());
    zoned.strftime(format).to_string()
}

fn cases() -> Vec<Case> {
    let cases: Vec<Case> = lines("prune-marks.jsonl");
    assert!(cases.len() > 1_400, "only {} cases", cases.len());
    cases
}

fn pves_marks(case: &Case) -> Vec<bool> {
    case.marks.iter().map(|mark| mark != "remove").collect()
}

#[test]
fn a_plain_reading_of_pves_rules_gives_pves_marks() {
    for case in cases() {
        assert_eq!(case.read_plainly(), pves_marks(&case), "{case:?}");
    }
}

#[test]
fn the_keep_rules_give_pves_marks_except_for_ties_and_the_future() {
    let (mut same, mut with_ties, mut with_future) = (0, 0, 0);
    for case in cases() {
        // All entries are in the past of this moment.
        let late = case
            .entries
            .iter()
            .map(|entry| entry.0)
            .max()
            .unwrap_or(NOW);
        let mut seen = BTreeSet::new();
        let without_ties = case.without(|second, protected| !protected && !seen.insert(second));
        if without_ties.entries.len() == case.entries.len() {
            assert_eq!(case.kept(late), pves_marks(&case), "{case:?}");
            same += 1;
        } else {
            let expected = with_twins(&case, &without_ties, &without_ties.read_plainly());
            assert_eq!(case.kept(late), expected, "ties: {case:?}");
            with_ties += 1;
        }

        // The same cases at a time at which the last entries are in the future.
        if late > NOW {
            let past = without_ties.without(|second, _| second > NOW);
            let expected = with_twins(&case, &past, &past.read_plainly());
            assert_eq!(case.kept(NOW), expected, "future: {case:?}");
            with_future += 1;
        }
    }
    println!(
        "{same} cases alike, {with_ties} with ties, {with_future} with entries from the future"
    );
    assert!(same > 1_200 && with_ties > 50 && with_future > 20);
}

/// The marks of a whole case from those of a part of it: an entry of the same second as another one shares its mark,
/// and one that is not in the part stays.
fn with_twins(case: &Case, part: &Case, kept: &[bool]) -> Vec<bool> {
    let entries = part.entries.iter().zip(kept);
    let by_second: BTreeMap<i64, bool> = entries
        .filter(|((_, protected), _)| !protected)
        .map(|((second, _), kept)| (*second, *kept))
        .collect();
    let mark = |(second, protected): &(i64, bool)| {
        *protected || by_second.get(second).copied().unwrap_or(true)
    };
    case.entries.iter().map(mark).collect()
}
