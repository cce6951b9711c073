// SPDX-License-Identifier: GPL-3.0-only
//! A second implementation of retention, which calls no code of the program: PVE's rules step by step, the guards and
//! the marks.
//!
//! It is written from `prune_mark_backup_group` in `PVE/Storage.pm`, and is slow and simple on purpose.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::model::ModelSnapshot;

/// How a period of each rule is written by `strftime`, in the order of the rules; `keep-last` counts seconds.
const PERIODS: [&str; 6] = ["%s", "%H/%d/%m/%Y", "%d/%m/%Y", "%V/%G", "%m/%Y", "%Y"];

/// The snapshots of a clock that is wrong by more than this do not count.
const WRONG_TIME: i64 = 26 * 3600;

/// A snapshot may be dated in the future by this.
const FUTURE: i64 = 5 * 60;

/// Which snapshots of a guest stay.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// The label of the job, then the adopted ones.
    pub(crate) labels: Vec<&'static str>,
    pub(crate) zone: TimeZone,
    pub(crate) keep: Keep,
    /// The ages of `keep-within` and `min-age` in seconds; 0 if a guard is off.
    pub(crate) within: i64,
    pub(crate) min_age: i64,
    pub(crate) keep_min: usize,
}

#[derive(Debug, Clone)]
pub(crate) enum Keep {
    All,
    /// `--keep`.
    Newest(usize),
    /// The numbers of PVE's rules, in their order, as given.
    Counts([Option<u32>; 6]),
}

/// What happens to a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is not ours, not of the series, incomplete or wrongly dated.
    NotCounted,
    /// A mark holds it.
    Held,
    /// A rule or a guard keeps it, or it is the new one.
    Kept,
    Removed,
    Expired,
}

impl Fate {
    pub(crate) fn is_removal(self) -> bool {
        matches!(self, Self::Removed | Self::Expired)
    }
}

/// The marks of a description of ours.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// When the hold ends; the greatest number if it has no end.
    pub(crate) held_until: Option<i64>,
    pub(crate) expires_at: Option<i64>,
    pub(crate) is_unreadable: bool,
}

impl Marks {
    /// Reads a description; `None` if the snapshot is not ours.
    pub(crate) fn read(description: &str) -> Option<Self> {
        let mut lines = description.trim_end().split('\n');
        let is_ours = matches!(lines.next(), Some("cv4pve-autosnap" | "eve4pve-autosnap"));
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        let has_marks = lines.iter().any(|line| line.starts_with("autosnap: "));
        if !is_ours || (!lines.is_empty() && !has_marks) {
            return None;
        }
        let mut marks = Self::default();
        let mut words = BTreeSet::new();
        for line in lines {
            let mark = line.strip_prefix("autosnap: ").unwrap_or_default();
            let word = mark.split(' ').next().unwrap_or_default();
            marks.is_unreadable |= !words.insert(word) || marks.read_mark(word, mark).is_none();
        }
        Some(marks)
    }

    /// Reads a mark; `None` if it is invalid.
    fn read_mark(&mut self, word: &str, mark: &str) -> Option<()> {
        let field = |name: &str| {
            let (_, value) = mark.split_once(&format!(" {name}="))?;
            value.split(' ').next()
        };
        let time = |text: &str| Some(text.parse::<Timestamp>().ok()?.as_second());
        match word {
            "hold" => {
                let until = field("until").map(time);
                self.held_until = Some(match until {
                    Some(until) => until?,
                    None => i64::MAX,
                });
            }
            "expire" => self.expires_at = Some(time(field("at")?)?),
            "note" => _ = field("text")?,
            _ => return None,
        }
        Some(())
    }

    pub(crate) fn hold_at(&self, now: i64) -> bool {
        self.is_unreadable || self.held_until.is_some_and(|until| until > now)
    }

    fn have_expired_at(&self, now: i64) -> bool {
        !self.hold_at(now) && self.expires_at.is_some_and(|at| at <= now)
    }
}

/// The snapshots of one second, which the rules treat as one.
struct Place {
    second: i64,
    names: Vec<String>,
    /// Whether a rule keeps it; `None` if no rule has decided.
    mark: Option<bool>,
}

impl Policy {
    /// Whether the name has a label of the series and a timestamp in the default format.
    pub(crate) fn is_of_series(&self, name: &str) -> bool {
        self.stamp(name).is_some()
    }

    fn stamp<'a>(&self, name: &'a str) -> Option<&'a str> {
        let labels = self.labels.iter();
        let mut stamps = labels.filter_map(|label| name.strip_prefix("auto")?.strip_prefix(label));
        stamps.find(|stamp| stamp.len() == 12 && stamp.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// Whether the snapshot takes part in the rules, but for its marks.
    fn counts(&self, snapshot: &ModelSnapshot, name: &str, now: i64) -> bool {
        let Some(stamp) = self.stamp(name) else {
            return false;
        };
        let named = jiff::civil::DateTime::strptime("%y%m%d%H%M%S", stamp);
        let named = named.map(|time| time.to_zoned(TimeZone::UTC).map(|time| time.timestamp()));
        let removes_all = self.keeps_none();
        let is_dated = named.is_ok_and(|named| {
            named.is_ok_and(|named| {
                (named.as_second() - snapshot.taken_at).abs() <= WRONG_TIME
                    && snapshot.taken_at <= now + FUTURE
            })
        });
        snapshot.is_complete && (is_dated || removes_all)
    }

    /// Whether all snapshots of the series are removed (`clean --keep=0`).
    pub(crate) fn keeps_none(&self) -> bool {
        let has_guards = self.within > 0 || self.min_age > 0 || self.keep_min > 0;
        matches!(self.keep, Keep::Newest(0)) && !has_guards
    }

    /// What happens to each of these snapshots of a guest at this time. `new` is the name of the one that the run has
    /// taken: it counts as the newest.
    pub(crate) fn decide(
        &self,
        snapshots: &BTreeMap<String, ModelSnapshot>,
        new: Option<&str>,
        now: i64,
    ) -> BTreeMap<String, Fate> {
        let mut fates = BTreeMap::new();
        let mut counted: Vec<(i64, &str)> = Vec::new();
        let mut expired: Vec<(i64, &str)> = Vec::new();
        for (name, snapshot) in snapshots {
            let fate = match Marks::read(&snapshot.description) {
                None => Fate::NotCounted,
                Some(_) if !self.counts(snapshot, name, now) => Fate::NotCounted,
                Some(marks) if marks.hold_at(now) => Fate::Held,
                Some(_) if new == Some(name) => Fate::Kept,
                Some(marks) if marks.have_expired_at(now) => {
                    expired.push((snapshot.taken_at, name));
                    Fate::Expired
                }
                Some(_) => {
                    counted.push((snapshot.taken_at, name));
                    Fate::Removed
                }
            };
            fates.insert(name.clone(), fate);
        }
        counted.sort_unstable_by(|one, other| other.cmp(one));
        expired.sort_unstable_by(|one, other| other.cmp(one));
        // A new snapshot that its run holds is not counted.
        let first = new.and_then(|new| {
            let snapshot = snapshots.get(new)?;
            let is_held = fates.get(new) == Some(&Fate::Held);
            (!is_held).then_some((snapshot.taken_at, new))
        });
        let kept_by_rules = self.kept_by_rules(first, &counted);
        for (taken_at, name) in &counted {
            let is_young = |age: i64| age > 0 && *taken_at > now - age;
            if kept_by_rules.contains(*name) || is_young(self.within) || is_young(self.min_age) {
                fates.insert((*name).to_owned(), Fate::Kept);
            }
        }
        let is_kept = |fates: &BTreeMap<String, Fate>, name: &str| fates[name] == Fate::Kept;
        let mut kept = counted
            .iter()
            .filter(|(_, name)| is_kept(&fates, name))
            .count();
        kept += usize::from(first.is_some());
        for (_, name) in counted.iter().chain(&expired) {
            if kept < self.keep_min && !is_kept(&fates, name) {
                fates.insert((*name).to_owned(), Fate::Kept);
                kept += 1;
            }
        }
        fates
    }

    /// The names of the snapshots that the rules keep; `counted` is sorted, newest first.
    fn kept_by_rules(&self, new: Option<(i64, &str)>, counted: &[(i64, &str)]) -> BTreeSet<String> {
        let all = new.iter().chain(counted);
        let counts = match &self.keep {
            Keep::All => return all.map(|(_, name)| (*name).to_owned()).collect(),
            Keep::Newest(number) => {
                let number = (*number).max(usize::from(new.is_some()));
                return all
                    .take(number)
                    .map(|(_, name)| (*name).to_owned())
                    .collect();
            }
            Keep::Counts(counts) => *counts,
        };
        let mut numbers = counts.map(Option::unwrap_or_default);
        if numbers.iter().all(|number| *number == 0) {
            if self.within == 0 {
                return all.map(|(_, name)| (*name).to_owned()).collect();
            }
            numbers[0] = 1;
        } else if counts[0].is_none() {
            numbers[0] = 1;
        }
        let mut places: Vec<Place> = Vec::new();
        for (second, name) in all {
            match places.last_mut() {
                Some(last) if last.second == *second => last.names.push((*name).to_owned()),
                Some(_) | None => places.push(Place {
                    second: *second,
                    names: vec![(*name).to_owned()],
                    mark: None,
                }),
            }
        }
        for (number, period) in numbers.into_iter().zip(PERIODS) {
            self.apply_rule(number as usize, period, &mut places);
        }
        let kept = places.into_iter().filter(|place| place.mark == Some(true));
        kept.flat_map(|place| place.names).collect()
    }

    fn apply_rule(&self, number: usize, period: &str, places: &mut [Place]) {
        if number == 0 {
            return;
        }
        let id = |place: &Place| {
            let time = Timestamp::from_second(place.second).unwrap();
            let local = time.to_zoned(self.zone.clone());
            local.strftime(period).to_string()
        };
        let kept = places.iter().filter(|place| place.mark == Some(true));
        let covered: BTreeSet<String> = kept.map(id).collect();
        let mut taken = BTreeSet::new();
        for place in places {
            let id = id(place);
            if place.mark.is_some() || covered.contains(&id) {
                continue;
            }
            if taken.contains(&id) {
                place.mark = Some(false);
            } else if taken.len() == number {
                return;
            } else {
                place.mark = Some(true);
                taken.insert(id);
            }
        }
    }
}
