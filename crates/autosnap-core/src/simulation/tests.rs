// SPDX-License-Identifier: GPL-3.0-only
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan};

use super::*;
use crate::retention::KeepCounts;

fn at(time: &str) -> Zoned {
    let time: DateTime = time.parse().unwrap();
    time.to_zoned(TimeZone::get("Europe/Berlin").unwrap())
        .unwrap()
}

fn run(
    schedule: &str,
    rules: Rules,
    start: &str,
    end: &str,
) -> Result<Simulation, SimulationError> {
    let schedule = CalendarEvent::parse(schedule).unwrap();
    simulate(&schedule, rules, &at(start), &at(end))
}

fn rules(text: &str) -> Rules {
    Rules::parse(text).unwrap()
}

/// `25T12 keep-daily 1` for each snapshot that is held.
fn lines(simulation: &Simulation) -> Vec<String> {
    let held = simulation.held.iter();
    held.map(|held| format!("{} {}", held.taken_at.strftime("%m-%dT%H"), held.reason))
        .collect()
}

#[test]
fn the_newest_snapshots_are_held_by_keep() {
    let simulation = run(
        "daily",
        Rules::keep_last(3),
        "2026-11-01 12:00",
        "2026-11-10 12:00",
    )
    .unwrap();
    assert_eq!(
        lines(&simulation),
        ["11-10T00 1 of 3", "11-09T00 2 of 3", "11-08T00 3 of 3"]
    );
    assert_eq!(
        (simulation.runs, simulation.most, simulation.most_during_run),
        (9, 3, 4)
    );
    assert_eq!(
        simulation.first_and_last,
        (at("2026-11-02 00:00"), at("2026-11-10 00:00"))
    );
    let [rule] = simulation.rules[..] else {
        panic!("{:?}", simulation.rules)
    };
    assert_eq!(
        (rule.period, rule.count, rule.most, rule.is_filled()),
        (Period::Last, 3, 3, true)
    );
}

/// `--keep=0` holds the new snapshot in a run that takes one.
#[test]
fn keep_0_holds_the_new_snapshot() {
    let simulation = run(
        "daily",
        Rules::keep_last(0),
        "2026-11-01 12:00",
        "2026-11-10 12:00",
    )
    .unwrap();
    assert_eq!(
        (
            simulation.held.len(),
            simulation.most,
            simulation.most_during_run
        ),
        (1, 1, 2)
    );
}

#[test]
fn the_rules_are_applied_at_each_run() {
    let simulation = run(
        "0/6:0",
        rules("keep-last=2,keep-daily=2,keep-weekly=2,keep-yearly=2"),
        "2026-10-01 12:00",
        "2026-11-25 12:00",
    )
    .unwrap();
    assert_eq!(
        lines(&simulation),
        [
            "11-25T12 keep-last 1, younger than min-age",
            "11-25T06 keep-last 2",
            "11-24T18 keep-daily 1",
            "11-23T18 keep-daily 2",
            "11-22T18 keep-weekly 1",
            "11-15T18 keep-weekly 2",
        ]
    );
    let uses: Vec<_> = simulation
        .rules
        .iter()
        .map(|rule| (rule.period, rule.most, rule.is_filled()))
        .collect();
    assert_eq!(
        uses,
        [
            (Period::Last, 2, true),
            (Period::Daily, 2, true),
            (Period::Weekly, 2, true),
            (Period::Yearly, 0, false)
        ]
    );
}

#[test]
fn guards_hold_what_no_rule_holds() {
    let within = rules("keep-daily=1").with_within(SignedDuration::from_hours(3));
    let simulation = run("hourly", within, "2026-11-24 12:30", "2026-11-25 12:30").unwrap();
    // Also the last one of the day before, by keep-daily.
    assert_eq!(simulation.held.len(), 4);
    assert_eq!(simulation.held[1].reason.to_string(), "keep-within");
    assert_eq!(rule_of(&simulation.held[1].reason), None);
}

/// Nothing is removed: a verdict for each snapshot at each run would take too long.
#[test]
fn all_snapshots_are_held_without_a_rule() {
    for rules in [Rules::keep_all(), Rules::from_counts(KeepCounts::default())] {
        let simulation = run("*/5", rules, "2026-01-01 00:00", "2026-07-01 00:00").unwrap();
        assert_eq!(simulation.held.len(), simulation.runs);
        assert_eq!(
            (simulation.most, simulation.most_during_run),
            (simulation.runs, simulation.runs)
        );
        assert!(
            simulation.held[7]
                .reason
                .to_string()
                .starts_with("keep-all")
        );
        assert!(simulation.rules.is_empty());
    }
}

#[test]
fn the_end_is_part_of_the_time_and_the_start_is_not() {
    let simulation = run(
        "daily",
        Rules::keep_all(),
        "2026-11-01 00:00",
        "2026-11-03 00:00",
    )
    .unwrap();
    assert_eq!(
        lines(&simulation),
        ["11-03T00 keep-all", "11-02T00 keep-all"]
    );
}

#[test]
fn a_schedule_without_a_run_is_an_error() {
    assert_eq!(
        run(
            "02-30",
            Rules::keep_last(1),
            "2026-01-01 00:00",
            "2026-12-31 12:30"
        )
        .map_err(|error| error.to_string()),
        Err("the schedule `02-30` has no run from 2026-01-01 00:00 to 2026-12-31 12:30".to_owned())
    );
}

#[test]
fn a_simulation_that_takes_too_long_is_refused() {
    let schedule = CalendarEvent::parse("minutely").unwrap();
    let (start, end) = (at("2026-01-01 00:00"), at("2026-12-31 00:00"));
    let limits = Limits {
        runs: 300,
        verdicts: 5_050,
    };
    let run = |rules, end| {
        simulate_within(&limits, &schedule, rules, &start, &end).map(|simulation| simulation.runs)
    };
    assert_eq!(run(Rules::keep_all(), at("2026-01-01 05:00")), Ok(300));
    let many = run(Rules::keep_all(), end.clone()).unwrap_err();
    assert_eq!(
        many.to_string(),
        "the simulation is too large: 301 runs until 2026-01-01 05:01, with 301 snapshots held by then"
    );
    // 100 runs have 1 + 2 + … + 100 verdicts.
    assert_eq!(run(Rules::keep_last(500), at("2026-01-01 01:40")), Ok(100));
    let wide = run(Rules::keep_last(500), end);
    assert!(
        matches!(
            wide,
            Err(SimulationError::TooLarge {
                runs: 101,
                held: 101,
                ..
            })
        ),
        "{wide:?}"
    );
}

/// The years of one simulation with a snapshot every quarter of an hour are not refused.
#[test]
fn usual_simulations_are_within_the_limits() {
    const { assert!(LIMITS.runs >= 3 * 366 * 96) };
    const { assert!(LIMITS.verdicts >= 3 * 366 * 96 * 64) };
}

/// In a run that removes after each run, as this, PVE's rules hold other snapshots than in one pass over all of them.
#[test]
fn what_is_held_is_what_a_real_series_of_runs_holds() {
    let schedule = CalendarEvent::parse("0/8:30").unwrap();
    let rules = rules("keep-last=1,keep-daily=3,keep-weekly=2,keep-monthly=2");
    let (start, end) = (at("2026-01-01 00:00"), at("2026-09-30 12:00"));
    let simulation = simulate(&schedule, rules, &start, &end).unwrap();
    let mut held: Vec<Timestamp> = Vec::new();
    let mut time = start.clone();
    while time <= end {
        if [0, 8, 16].contains(&time.hour()) && time.minute() == 30 {
            held.insert(0, time.timestamp());
            let reasons = judge_times(&held, rules, &time);
            let kept = held
                .iter()
                .zip(&reasons)
                .filter(|(_, reason)| !reason.is_removal());
            held = kept.map(|(time, _)| *time).collect();
        }
        time = time.checked_add(30.minutes()).unwrap();
    }
    let simulated: Vec<Timestamp> = simulation
        .held
        .iter()
        .map(|held| held.taken_at.timestamp())
        .collect();
    assert_eq!(simulated, held);
}
