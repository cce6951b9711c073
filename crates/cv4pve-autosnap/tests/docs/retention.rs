// SPDX-License-Identifier: GPL-3.0-only
//! The picture of the chapter on retention: what 7 daily, 4 weekly and 3 monthly hold after a year of daily runs, as SVG.
//!
//! The decisions are those of the program. `docs/update-picture` writes the picture; the test compares it with what the
//! rules hold now.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use autosnap_core::name::{Label, Series, SnapName, TimestampFormat};
use autosnap_core::retention::{Hold, Policy, Reason, Rules, decide, removals};
use autosnap_core::snapshot::{Snapshot, SnapshotState};
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};

use crate::root;

const RULES: &str = "keep-daily=7,keep-weekly=4,keep-monthly=3";
/// The day of the last run, a Wednesday.
const LAST: Date = date(2026, 11, 25);
const RUNS: i32 = 365;

/// Size of a day, width of the dates before a week, and the frame, in pixels.
const DAY: (i32, i32) = (84, 22);
const DATES: i32 = 92;
const MARGIN: i32 = 12;

#[test]
fn the_picture_of_the_rules_shows_what_they_hold_after_a_year() {
    let picture = svg(&held_after_a_year());
    let path = root().join("docs/src/retention.svg");
    if std::env::var_os("UPDATE_PICTURE").is_some() {
        std::fs::write(&path, &picture).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == picture,
        "docs/src/retention.svg is not current; run docs/update-picture"
    );
}

#[test]
fn seven_days_four_weeks_and_three_months_are_held() {
    let held = held_after_a_year();
    let count = |rule: &str| held.values().filter(|text| text.starts_with(rule)).count();
    assert_eq!(
        ["last", "daily", "weekly", "monthly"].map(count),
        [1, 7, 4, 3],
        "{held:?}"
    );
    assert_eq!(held.len(), 15);
}

/// Takes a snapshot each day and removes those that the rules do not keep. Returns the days that are held, with the rule.
fn held_after_a_year() -> BTreeMap<Date, String> {
    let label = Label::parse("prod").expect("a valid label");
    let series = Series::new(label.clone(), TimestampFormat::default());
    let policy = Policy::new(series, Rules::parse(RULES).expect("valid rules"));
    let mut snapshots: Vec<Snapshot> = Vec::new();
    let mut now = time(LAST);
    for run in 0..RUNS {
        now = time(LAST.saturating_sub((RUNS - 1 - run).days()));
        let name = SnapName::new(&label, &TimestampFormat::default(), &now.datetime())
            .expect("a valid name");
        snapshots.push(Snapshot {
            name: name.to_string(),
            taken_at: Some(now.timestamp()),
            description: "cv4pve-autosnap".into(),
            parent: None,
            with_ram: false,
            state: SnapshotState::Complete,
        });
        let verdicts = decide(&snapshots, &policy, Some(&name), &now);
        let removed: Vec<String> = removals(&verdicts).map(|one| one.name.clone()).collect();
        snapshots.retain(|snapshot| !removed.contains(&snapshot.name));
    }
    let verdicts = decide(&snapshots, &policy, None, &now).into_iter();
    let held = verdicts.filter_map(|verdict| {
        let Reason::KeptBy(holds) = verdict.reason else {
            return None;
        };
        let taken_at = verdict.snapshot.taken_at?.to_zoned(TimeZone::UTC);
        let Some(Hold::Rule { period, ordinal }) = holds.iter().next() else {
            return None;
        };
        let rule = period.key().trim_start_matches("keep-");
        Some((taken_at.date(), format!("{rule} {ordinal}")))
    });
    held.collect()
}

/// The time of the run of a day.
fn time(day: Date) -> Zoned {
    day.at(1, 0, 0, 0)
        .to_zoned(TimeZone::UTC)
        .expect("a time of this century")
}

/// One row for each week, the newest first, until the oldest day that is held.
fn svg(held: &BTreeMap<Date, String>) -> String {
    let monday =
        |day: Date| day.saturating_sub(i32::from(day.weekday().to_monday_zero_offset()).days());
    let oldest = monday(*held.keys().next().expect("snapshots are held"));
    let mut weeks = vec![monday(LAST)];
    while let Some(last) = weeks.last().filter(|last| **last > oldest) {
        weeks.push(last.saturating_sub(7.days()));
    }
    let rows = i32::try_from(weeks.len()).expect("a year has few weeks");
    let width = 2 * MARGIN + DATES + 7 * DAY.0;
    let height = 2 * MARGIN + (rows + 1) * DAY.1;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\">\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#ffffff\"/>\n\
         <g font-family=\"ui-sans-serif, system-ui, 'DejaVu Sans', sans-serif\" font-size=\"12\" fill=\"#334155\">\n"
    );
    for (column, name) in (0..).zip(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]) {
        text(&mut svg, MARGIN + DATES + column * DAY.0, MARGIN, name);
    }
    for (row, week) in (1..).zip(&weeks) {
        let y = MARGIN + row * DAY.1;
        text(&mut svg, MARGIN, y, &week.to_string());
        for column in 0..7 {
            let day = week.saturating_add(column.days());
            if day <= LAST {
                cell(&mut svg, MARGIN + DATES + column * DAY.0, y, held.get(&day));
            }
        }
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

fn text(svg: &mut String, x: i32, y: i32, text: &str) {
    writeln!(svg, "<text x=\"{x}\" y=\"{}\">{text}</text>", y + 15).expect("a string takes text");
}

/// A day: filled if its snapshot is held, else a dot.
fn cell(svg: &mut String, x: i32, y: i32, rule: Option<&String>) {
    const COLORS: [(&str, &str); 4] = [
        ("last", "#fdba74"),
        ("daily", "#fde68a"),
        ("weekly", "#bbf7d0"),
        ("monthly", "#bfdbfe"),
    ];
    let Some(rule) = rule else {
        let (x, y) = (x + 4, y + 11);
        writeln!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"1.5\"/>").expect("a string takes text");
        return;
    };
    let color = COLORS.iter().find(|(name, _)| rule.starts_with(name));
    let color = color.map_or("#e2e8f0", |(_, color)| color);
    let (width, height) = (DAY.0 - 4, DAY.1 - 3);
    writeln!(
        svg,
        "<rect x=\"{}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"3\" fill=\"{color}\"/>",
        x - 4
    )
    .expect("a string takes text");
    text(svg, x, y, rule);
}
