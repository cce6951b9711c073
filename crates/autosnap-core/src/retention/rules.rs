// SPDX-License-Identifier: GPL-3.0-only
//! The keep rules of a policy and the guards beside them.
//!
//! The rules are those of PVE's backups (`prune_mark_backup_group` in `PVE/Storage.pm`). Guards hold snapshots that the
//! rules would remove; they take no place of a rule.

use std::fmt;

use jiff::SignedDuration;

use super::period::{KeepCounts, Period};

/// Which snapshots of a series stay: the keep rules, and the guards beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    keep: Keep,
    /// Snapshots younger than this stay (`keep-within`); 0 if the guard is off.
    within: SignedDuration,
    /// Snapshots younger than this are not removed yet (`min-age`); 0 if the guard is off.
    min_age: SignedDuration,
    /// At least so many snapshots stay (`keep-min`).
    keep_min: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// All snapshots.
    All,
    /// So many of the newest snapshots.
    Newest(u32),
    /// PVE's rules.
    Counts(KeepCounts),
}

impl Rules {
    /// The age below which PVE's rules remove no snapshot, unless another one is given.
    pub const DEFAULT_MIN_AGE: SignedDuration = SignedDuration::from_hours(1);

    /// The newest `count` snapshots stay, the new one included (`--keep`), without guards.
    ///
    /// 0 removes all of them, which `clean --keep=0` requests; together with a new snapshot it means 1.
    pub const fn keep_last(count: u32) -> Self {
        Self::new(Keep::Newest(count), SignedDuration::ZERO)
    }

    /// All snapshots stay.
    pub const fn keep_all() -> Self {
        Self::new(Keep::All, SignedDuration::ZERO)
    }

    /// PVE's rules with these numbers. Nothing younger than an hour is removed.
    ///
    /// If `last` is not given, the newest snapshot stays in addition to what the other rules keep. If no
    /// number is above 0, all snapshots stay.
    pub const fn from_counts(counts: KeepCounts) -> Self {
        Self::new(Keep::Counts(counts), Self::DEFAULT_MIN_AGE)
    }

    const fn new(keep: Keep, min_age: SignedDuration) -> Self {
        Self {
            keep,
            within: SignedDuration::ZERO,
            min_age,
            keep_min: 0,
        }
    }

    /// The rules with another `keep-within`: snapshots younger than this stay; 0 switches it off.
    #[must_use]
    pub fn with_within(self, age: SignedDuration) -> Self {
        Self {
            within: age.max(SignedDuration::ZERO),
            ..self
        }
    }

    /// The rules with another `min-age`: snapshots younger than this are not removed yet; 0 switches it off.
    #[must_use]
    pub fn with_min_age(self, age: SignedDuration) -> Self {
        Self {
            min_age: age.max(SignedDuration::ZERO),
            ..self
        }
    }

    /// The rules with another `keep-min`: at least so many snapshots of the guest and series stay.
    #[must_use]
    pub const fn with_keep_min(self, count: u32) -> Self {
        Self {
            keep_min: count,
            ..self
        }
    }

    /// The rules with guards that hold snapshots this much longer; guards that are off stay off.
    pub(crate) fn with_longer_guards(self, by: SignedDuration) -> Self {
        let longer = |age: SignedDuration| {
            if age.is_zero() {
                age
            } else {
                age.saturating_add(by)
            }
        };
        Self {
            within: longer(self.within),
            min_age: longer(self.min_age),
            ..self
        }
    }

    /// The number of `--keep`; `None` for other rules.
    pub const fn is_simple(self) -> Option<u32> {
        match self.keep {
            Keep::Newest(count) => Some(count),
            Keep::All | Keep::Counts(_) => None,
        }
    }

    /// The numbers of PVE's rules as they were given; `None` for `--keep` and for keeping all.
    pub const fn counts(self) -> Option<KeepCounts> {
        match self.keep {
            Keep::Counts(counts) => Some(counts),
            Keep::All | Keep::Newest(_) => None,
        }
    }

    /// How many snapshots or periods this rule keeps; 0 if it is off.
    ///
    /// Without any other rule `keep-within` still keeps the newest snapshot.
    pub fn count(self, period: Period) -> u32 {
        match self.keep {
            Keep::Newest(count) if period == Period::Last => count,
            Keep::All | Keep::Newest(_) => 0,
            Keep::Counts(counts) if period == Period::Last => {
                if counts.keep_anything() {
                    counts.last.unwrap_or(1)
                } else {
                    u32::from(!self.within.is_zero())
                }
            }
            Keep::Counts(counts) => counts.get(period).unwrap_or(0),
        }
    }

    /// Whether the newest snapshot stays by the default of `keep-last`, which was not given.
    pub fn has_default_keep_last(self) -> bool {
        self.counts().is_some_and(|counts| counts.last.is_none()) && self.count(Period::Last) > 0
    }

    /// Whether all snapshots stay: it is requested, or no rule keeps any.
    pub fn keeps_all(self) -> bool {
        match self.keep {
            Keep::All => true,
            Keep::Newest(_) => false,
            Keep::Counts(counts) => !counts.keep_anything() && self.within.is_zero(),
        }
    }

    /// Whether no snapshot of the series stays (`clean --keep=0`).
    pub fn keep_none(self) -> bool {
        self.is_simple() == Some(0) && !self.has_guards()
    }

    /// How many snapshots the rules keep at most, without those that only guards hold; `None` if all stay.
    pub fn capacity(self) -> Option<u64> {
        let counts = Period::ALL.map(|period| u64::from(self.count(period)));
        (!self.keeps_all()).then(|| counts.into_iter().sum())
    }

    /// The age of `keep-within`; 0 if it is off.
    pub const fn within(self) -> SignedDuration {
        self.within
    }

    /// The age of `min-age`; 0 if it is off.
    pub const fn min_age(self) -> SignedDuration {
        self.min_age
    }

    /// How many snapshots stay at least; 0 if the guard is off.
    pub const fn keep_min(self) -> u32 {
        self.keep_min
    }

    /// Whether any guard is on.
    fn has_guards(self) -> bool {
        !self.within.is_zero() || !self.min_age.is_zero() || self.keep_min > 0
    }

    /// The `min-age` of these rules when none is given.
    const fn default_min_age(self) -> SignedDuration {
        match self.keep {
            Keep::Counts(_) => Self::DEFAULT_MIN_AGE,
            Keep::All | Keep::Newest(_) => SignedDuration::ZERO,
        }
    }

    /// The rules of a run that takes a snapshot: the new one always stays.
    pub(super) fn with_new(self) -> Self {
        let keep = match self.keep {
            Keep::Newest(count) => Keep::Newest(count.max(1)),
            keep @ (Keep::All | Keep::Counts(_)) => keep,
        };
        Self { keep, ..self }
    }
}

/// `7` for `--keep`; otherwise as PVE writes it, with the guards that differ from their defaults:
/// `keep-last=1,keep-daily=7,keep-within=7d`. Other rules that are off are left out.
impl fmt::Display for Rules {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.keeps_all() {
            formatter.write_str("keep-all=1")?;
        } else if let Some(count) = self.is_simple() {
            write!(formatter, "{count}")?;
        } else {
            let mut separator = "";
            for period in Period::ALL {
                let count = self.count(period);
                // 0 is not the default of `keep-last`.
                if count > 0 || period == Period::Last {
                    write!(formatter, "{separator}{period}={count}")?;
                    separator = ",";
                }
            }
        }
        if !self.within.is_zero() {
            write!(formatter, ",keep-within={}", age(self.within))?;
        }
        if self.keep_min > 0 {
            write!(formatter, ",keep-min={}", self.keep_min)?;
        }
        if self.min_age != self.default_min_age() && !self.keeps_all() {
            write!(formatter, ",min-age={}", age(self.min_age))?;
        }
        Ok(())
    }
}

/// An age in its largest whole unit: `7d`, `36h`, `90m`, `5s`.
fn age(age: SignedDuration) -> String {
    let seconds = age.as_secs();
    let units = [(86_400, 'd'), (3600, 'h'), (60, 'm')];
    let unit = units.into_iter().find(|(unit, _)| seconds % unit == 0);
    match unit {
        Some((unit, letter)) if seconds > 0 => format!("{}{letter}", seconds / unit),
        _ => format!("{seconds}s"),
    }
}
