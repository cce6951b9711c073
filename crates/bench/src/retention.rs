// SPDX-License-Identifier: GPL-3.0-only
//! The costs of retention alone: the verdicts on lists that this process has made up, without any server.

use std::hint::black_box;

use anyhow::{Context, Result};
use autosnap_core::name::{Label, Series, TimestampFormat};
use autosnap_core::retention::{self, Policy, Rules};
use autosnap_core::snapshot::{DESCRIPTION, Snapshot, SnapshotState};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use crate::figures::median;
use crate::measure;

/// The name of the case.
pub(crate) const CASE: &str = "retention";

const RULES: &str =
    "keep-last=3,keep-hourly=24,keep-daily=7,keep-weekly=4,keep-monthly=12,keep-yearly=3";

/// A number of guests that have so many snapshots each, one per hour.
struct World {
    guests: usize,
    snapshots: usize,
}

/// Measures retention and returns its table, with the medians of so many runs.
pub(crate) fn table(runs: u16, quick: bool) -> Result<String> {
    let scale = if quick { 100 } else { 1 };
    let worlds = [(1, 10_000), (10_000, 100)].map(|(guests, snapshots)| World {
        guests,
        snapshots: snapshots / scale,
    });
    let zone = TimeZone::get("Europe/Berlin").context("the zone Europe/Berlin is missing")?;
    let now = "2026-11-28T12:00:00Z".parse::<Timestamp>()?.to_zoned(zone);
    let mut lines = vec![
        "| guests | snapshots of each | rules | CPU ms | CPU µs per snapshot |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    for world in worlds {
        let lists = world.lists(&now)?;
        for (name, rules) in [
            ("keep 7", Rules::keep_last(7)),
            ("all six rules", Rules::parse(RULES)?),
        ] {
            let policy = policy(rules)?;
            let mut seconds = Vec::new();
            for _ in 0..runs {
                seconds.push(cpu_of_verdicts(&lists, &policy, &now)?);
            }
            let cpu = median(seconds.into_iter());
            let World { guests, snapshots } = world;
            let each = cpu * 1e6 / count(guests * snapshots);
            lines.push(format!(
                "| {guests} | {snapshots} | {name} | {:.1} | {each:.2} |",
                cpu * 1e3
            ));
        }
    }
    Ok(lines.join("\n"))
}

impl World {
    fn lists(&self, now: &Zoned) -> Result<Vec<Vec<Snapshot>>> {
        let guests = 0..self.guests;
        let list = |guest: usize| {
            let newest = now.timestamp() - SignedDuration::from_secs(i64::try_from(guest % 3_000)?);
            let hours = 0..i64::try_from(self.snapshots)?;
            let taken_at = hours.map(|hour| newest - SignedDuration::from_hours(hour));
            Ok(taken_at.map(|time| snapshot(time, now)).collect())
        };
        guests.map(list).collect()
    }
}

fn snapshot(taken_at: Timestamp, now: &Zoned) -> Snapshot {
    let local = taken_at.to_zoned(now.time_zone().clone());
    Snapshot {
        name: format!("autoprod{}", local.strftime("%y%m%d%H%M%S")),
        taken_at: Some(taken_at),
        description: format!("{DESCRIPTION}\n").into(),
        parent: None,
        with_ram: false,
        state: SnapshotState::Complete,
    }
}

fn policy(rules: Rules) -> Result<Policy> {
    let series = Series::new(Label::parse("prod")?, TimestampFormat::default());
    Ok(Policy::new(series, rules))
}

/// The CPU time in seconds for the verdicts on all lists.
fn cpu_of_verdicts(lists: &[Vec<Snapshot>], policy: &Policy, now: &Zoned) -> Result<f64> {
    let before = measure::own_cpu()?;
    for list in lists {
        black_box(retention::decide(list, policy, None, now));
    }
    Ok(measure::own_cpu()? - before)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn count(count: usize) -> f64 {
    count as f64
}
