// SPDX-License-Identifier: GPL-3.0-only
//! The node that starts next, by the estimated duration of its waiting work.

use super::*;

/// A schedule that runs one piece of work at a time, in the order of the estimates.
fn one_at_a_time(work_list: &[(&str, u32)]) -> OneRun {
    let work_list: Vec<Work> = work_list
        .iter()
        .map(|&(node, weight)| work(node, &[], weight, false))
        .collect();
    let limits = Limits {
        total: 1,
        ..Limits::default()
    };
    OneRun::new(limits, Order::HeaviestFirst, &work_list)
}

/// Runs pieces of work with these durations in seconds, and returns all that start, in this order.
fn run(schedule: &mut OneRun, seconds: &[u64]) -> Vec<usize> {
    let mut started = Vec::new();
    for &seconds in seconds {
        let id = schedule.start_next().expect("work waits");
        started.push(id);
        schedule.finish(id, Duration::from_secs(seconds));
    }
    started.extend(schedule.start_next());
    started
}

#[test]
fn the_measured_pace_of_a_node_is_its_seconds_per_weight() {
    // After the first two: 4 in 8 s on node a, 3 in 9 s on node b; 1 waits on each.
    let mut schedule = one_at_a_time(&[("a", 4), ("a", 1), ("b", 3), ("b", 1)]);
    assert_eq!(run(&mut schedule, &[8, 9]), [0, 2, 3]);
}

#[test]
fn the_estimate_is_the_waiting_weight_times_the_pace() {
    // After the first two: 3 units wait on node a at 2 s each, 1 on node b at 5 s.
    let mut schedule = one_at_a_time(&[("a", 3), ("b", 4), ("a", 3), ("b", 1)]);
    assert_eq!(run(&mut schedule, &[6, 20]), [0, 1, 2]);
}

#[test]
fn a_node_without_measurements_has_the_average_pace() {
    for (work_list, expected) in [
        ([("a", 3), ("a", 1), ("new", 2)], 2),
        ([("a", 3), ("a", 3), ("new", 2)], 1),
    ] {
        let mut schedule = one_at_a_time(&work_list);
        assert_eq!(run(&mut schedule, &[30]), [0, expected], "{work_list:?}");
    }
}

#[test]
fn work_that_has_started_does_not_count_as_waiting() {
    for (work_list, expected) in [
        ([("a", 4), ("a", 1), ("b", 2)], 2),
        ([("a", 5), ("a", 4), ("b", 2)], 1),
    ] {
        let mut schedule = one_at_a_time(&work_list);
        assert_eq!(
            schedule.start_next(),
            Some(0),
            "the heaviest of the longest queue"
        );
        schedule.finish(0, Duration::from_secs(u64::from(work_list[0].1)));
        assert_eq!(schedule.start_next(), Some(expected), "{work_list:?}");
    }
}

#[test]
fn resumed_work_counts_as_waiting_again() {
    for resume in [OneRun::resume, OneRun::resume_first] {
        let mut schedule = one_at_a_time(&[("a", 3), ("a", 1), ("b", 4)]);
        assert_eq!(schedule.start_next(), Some(0));
        schedule.defer(0);
        resume(&mut schedule, 0);
        let next = schedule.start_next().expect("work waits");
        assert_ne!(next, 2, "both nodes have the same weight, the first wins");
    }
}

#[test]
fn deferred_work_leaves_the_pace_unchanged() {
    let mut schedule = one_at_a_time(&[("b", 2), ("a", 5), ("a", 3)]);
    assert_eq!(schedule.start_next(), Some(1));
    schedule.defer(1);
    assert_eq!(schedule.start_next(), Some(2));
}
