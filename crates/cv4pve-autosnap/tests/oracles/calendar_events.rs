// SPDX-License-Identifier: GPL-3.0-only
//! Calendar events, with the runs that PVE 9.2 gives for them or the error.

use autosnap_core::calendar::CalendarEvent;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use serde::Deserialize;

use crate::lines;

/// A line of `calendar-events.jsonl`.
#[derive(Debug, Deserialize)]
struct Line {
    expression: String,
    timezone: String,
    starttime: Option<i64>,
    iterations: Option<u64>,
    /// Of `schedule-analyze` only.
    status: Option<u16>,
    next: Option<Vec<Run>>,
}

/// A run: a time, or a time with its text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Run {
    Second(i64),
    Analyzed { timestamp: i64 },
}

impl Run {
    fn second(&self) -> i64 {
        match self {
            Self::Second(second) => *second,
            Self::Analyzed { timestamp } => *timestamp,
        }
    }
}

/// Whether a clock change explains that only one of the two has this run: it skipped the time of the event, which PVE
/// leaves out, or it repeats the time, and PVE takes one of the two, even if it is past.
fn is_due_to_a_clock_change(run: &Zoned) -> bool {
    let earlier = run.checked_sub(1.hour()).unwrap();
    let is_after_gap = earlier.offset() < run.offset();
    let zone = run.time_zone();
    is_after_gap || zone.to_ambiguous_timestamp(run.datetime()).is_ambiguous()
}

/// Whether PVE leaves the run out because a step does not fit in the month: after day 29 of `*-*-1/7` it goes 7 days
/// on, and misses day 1.
fn is_first_of_steps(line: &Line, run: &Zoned) -> bool {
    line.expression == "*-*-1/7" && run.day() == 1
}

/// The runs that only ours has, and those that only PVE has.
fn difference(line: &Line) -> (Vec<Zoned>, Vec<Zoned>) {
    let event = CalendarEvent::parse(&line.expression).unwrap();
    let zone = TimeZone::get(&line.timezone).unwrap();
    let at = |second: i64| {
        Timestamp::from_second(second)
            .unwrap()
            .to_zoned(zone.clone())
    };
    let theirs: Vec<Zoned> = line
        .next
        .iter()
        .flatten()
        .map(|run| at(run.second()))
        .collect();
    let start = at(line
        .starttime
        .unwrap_or_else(|| theirs[0].timestamp().as_second() - 1));
    let is_complete = (theirs.len() as u64) < line.iterations.unwrap_or(10);
    let last = theirs.last().cloned().unwrap_or_else(|| start.clone());
    let ours: Vec<Zoned> = event
        .runs_after(&start)
        .take_while(|run| is_complete || *run <= last)
        .take(100)
        .collect();
    let only = |some: &[Zoned], others: &[Zoned]| {
        let only = some.iter().filter(|run| !others.contains(run));
        only.cloned().collect()
    };
    (only(&ours, &theirs), only(&theirs, &ours))
}

#[test]
fn runs_are_those_of_pve_except_at_clock_changes() {
    let lines: Vec<Line> = lines("calendar-events.jsonl");
    assert!(lines.len() > 1_600, "only {} lines", lines.len());
    let (mut refused, mut same, mut explained, mut wrong) = (0, 0, 0, Vec::new());
    for line in &lines {
        if line.status == Some(400) {
            // More than 100 runs are refused, whatever the expression.
            let is_refused = CalendarEvent::parse(&line.expression).is_err();
            if !is_refused && line.iterations <= Some(100) {
                wrong.push(format!("{:?} is refused by PVE", line.expression));
            }
            refused += usize::from(is_refused);
            continue;
        }
        let (added, missing) = difference(line);
        let is_explained = |run: &Zoned| is_due_to_a_clock_change(run);
        if added.is_empty() && missing.is_empty() {
            same += 1;
        } else if added
            .iter()
            .all(|run| is_explained(run) || is_first_of_steps(line, run))
            && missing.iter().all(is_explained)
        {
            explained += 1;
        } else {
            wrong.push(format!(
                "{} from {:?}: added {added:?}, missing {missing:?}",
                line.expression, line.starttime
            ));
        }
    }
    println!(
        "{same} of {} lines alike, {refused} refused by both, {explained} explained",
        lines.len()
    );
    // Most lines are not near a clock change.
    assert!(explained < 60, "{explained} lines differ");
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
