// SPDX-License-Identifier: GPL-3.0-only
//! The snapshots that are held, by weeks and days.

use autosnap_core::retention::{Hold, Period, Reason};
use autosnap_core::simulation::HeldSnapshot;
use jiff::ToSpan;
use jiff::civil::Date;

/// So many snapshots of one rule on one day are listed one by one.
const LISTED: usize = 4;

/// What holds a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    Rule(Period),
    /// `keep-within`, `min-age` or `keep-min`.
    Guard,
    /// `keep-all`
    All,
}

impl Holder {
    /// All, in the order of the legend.
    pub(super) const ALL: [Self; 8] = [
        Self::Rule(Period::Last),
        Self::Rule(Period::Hourly),
        Self::Rule(Period::Daily),
        Self::Rule(Period::Weekly),
        Self::Rule(Period::Monthly),
        Self::Rule(Period::Yearly),
        Self::Guard,
        Self::All,
    ];

    /// The holder of a snapshot, and its number among those of the rule.
    fn from_reason(reason: &Reason) -> (Self, Option<u32>) {
        let guard = (Self::Guard, None);
        if let Reason::Kept { rank, .. } = reason {
            return (Self::Rule(Period::Last), Some(*rank));
        }
        let Reason::KeptBy(holds) = reason else {
            return guard;
        };
        match holds.iter().next() {
            Some(Hold::Rule { period, ordinal }) => (Self::Rule(period), Some(ordinal)),
            Some(Hold::All) => (Self::All, None),
            Some(Hold::Within | Hold::MinAge | Hold::KeepMin) | None => guard,
        }
    }

    /// The letter in the calendar.
    pub(super) fn letter(self) -> char {
        match self {
            Self::Rule(Period::Last) => 'l',
            Self::Rule(Period::Hourly) => 'h',
            Self::Rule(Period::Daily) => 'd',
            Self::Rule(Period::Weekly) => 'w',
            Self::Rule(Period::Monthly) => 'm',
            Self::Rule(Period::Yearly) => 'y',
            Self::Guard => 'g',
            Self::All => 'a',
        }
    }

    /// The name in the legend.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rule(period) => period.key(),
            Self::Guard => "keep-within, min-age or keep-min",
            Self::All => "keep-all",
        }
    }
}

/// A snapshot, or several of one rule on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) holder: Holder,
    /// `23:00 d7`, `h1..24`, or `96x a`.
    pub(super) text: String,
    /// How many snapshots these are.
    pub(super) count: usize,
}

/// A week in which snapshots are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Week {
    pub(super) monday: Date,
    /// Monday to Sunday, each newest first.
    pub(super) days: [Vec<Entry>; 7],
    /// How many weeks without snapshots follow below, down to the next older one.
    pub(super) empty_after: i64,
}

impl Week {
    /// The dates of the days.
    pub(super) fn dates(&self) -> impl Iterator<Item = Date> {
        let monday = self.monday;
        (0..7_i64).map(move |day| monday.saturating_add(day.days()))
    }
}

/// The weeks that hold snapshots, newest first.
pub(super) fn weeks(held: &[HeldSnapshot]) -> Vec<Week> {
    let mut weeks: Vec<Week> = Vec::new();
    for of_day in held.chunk_by(|one, other| one.taken_at.date() == other.taken_at.date()) {
        let date = of_day[0].taken_at.date();
        let day = date.weekday().to_monday_zero_offset();
        let monday = date.saturating_sub(i64::from(day).days());
        if weeks.last().is_none_or(|week| week.monday != monday) {
            if let Some(newer) = weeks.last_mut() {
                let days = newer.monday.duration_since(monday).as_hours() / 24;
                newer.empty_after = days / 7 - 1;
            }
            weeks.push(Week {
                monday,
                days: Default::default(),
                empty_after: 0,
            });
        }
        if let Some(week) = weeks.last_mut() {
            week.days[usize::from(day.unsigned_abs())] = entries(of_day);
        }
    }
    weeks
}

/// The entries of one day.
fn entries(of_day: &[HeldSnapshot]) -> Vec<Entry> {
    let holders: Vec<(Holder, Option<u32>)> = of_day
        .iter()
        .map(|held| Holder::from_reason(&held.reason))
        .collect();
    let mut entries = Vec::new();
    let mut from = 0;
    for group in holders.chunk_by(|one, other| one.0 == other.0) {
        let (holder, first) = group[0];
        let letter = holder.letter();
        let snapshots = &of_day[from..from + group.len()];
        from += group.len();
        if group.len() <= LISTED {
            entries.extend(snapshots.iter().zip(group).map(|(held, (_, ordinal))| {
                let ordinal = ordinal
                    .map(|ordinal| ordinal.to_string())
                    .unwrap_or_default();
                let time = held.taken_at.strftime("%H:%M");
                Entry {
                    holder,
                    text: format!("{time} {letter}{ordinal}"),
                    count: 1,
                }
            }));
            continue;
        }
        let last = group.last().and_then(|(_, ordinal)| *ordinal);
        let text = match (first, last) {
            (Some(first), Some(last)) => format!("{letter}{first}..{last}"),
            _ => format!("{}x {letter}", group.len()),
        };
        entries.push(Entry {
            holder,
            text,
            count: group.len(),
        });
    }
    entries
}
