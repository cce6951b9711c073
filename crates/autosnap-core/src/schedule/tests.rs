// SPDX-License-Identifier: GPL-3.0-only
//! The schedule in tables, and its limits as a property.

use super::*;
use proptest::prelude::*;

fn work(node: &str, storages: &[&str], weight: u32, with_ram: bool) -> Work {
    Work {
        node: node.to_owned(),
        shared_storages: storages.iter().map(ToString::to_string).collect(),
        weight,
        with_ram,
        goes_last: false,
    }
}

/// A schedule in the order of the list.
fn schedule(limits: Limits, jobs: &[Work]) -> Schedule {
    Schedule::new(limits, Order::AsGiven, jobs)
}

fn start_all(schedule: &mut Schedule) -> Vec<JobId> {
    std::iter::from_fn(|| schedule.start_next()).collect()
}

#[test]
fn a_full_node_does_not_hold_up_another() {
    let jobs = [
        work("a", &[], 1, false),
        work("a", &[], 1, false),
        work("a", &[], 1, false),
        work("b", &[], 1, false),
    ];
    let limits = Limits {
        total: 3,
        per_node: 2,
        ..Limits::default()
    };
    let mut schedule = schedule(limits, &jobs);
    assert_eq!(start_all(&mut schedule), [0, 1, 3]);
    assert_eq!(schedule.waiting(), 1);
}

#[test]
fn a_busy_storage_does_not_idle_a_node_slot() {
    let jobs = [
        work("a", &["ceph"], 3, false),
        work("a", &["ceph"], 2, false),
        work("a", &["local"], 1, false),
    ];
    let limits = Limits {
        per_storage: 1,
        ..Limits::default()
    };
    assert_eq!(start_all(&mut schedule(limits, &jobs)), [0, 2]);
}

#[test]
fn only_one_ram_snapshot_runs_on_a_node() {
    let jobs = [
        work("a", &[], 9, true),
        work("a", &[], 8, true),
        work("a", &[], 1, false),
    ];
    assert_eq!(start_all(&mut schedule(Limits::default(), &jobs)), [0, 2]);
}

#[test]
fn the_longest_work_and_the_longest_queue_go_first() {
    let jobs = [
        work("a", &[], 1, false),
        work("b", &[], 1, false),
        work("b", &[], 7, false),
    ];
    let limits = Limits {
        total: 2,
        ..Limits::default()
    };
    assert_eq!(schedule(limits, &jobs).start_next(), Some(2));
}

#[test]
fn one_at_a_time_keeps_the_order_asked_for() {
    let jobs = [
        work("b", &[], 1, false),
        work("a", &[], 9, false),
        work("a", &[], 1, false),
    ];
    let limits = Limits {
        total: 1,
        ..Limits::default()
    };
    let mut schedule = schedule(limits, &jobs);
    for expected in 0..3 {
        assert_eq!(schedule.start_next(), Some(expected));
        schedule.finish(expected, Duration::ZERO);
    }
}

#[test]
fn a_node_that_proved_slow_gets_its_slots_first() {
    let jobs = [
        work("fast", &[], 1, false),
        work("slow", &[], 1, false),
        work("fast", &[], 1, false),
        work("slow", &[], 1, false),
    ];
    let limits = Limits {
        total: 2,
        per_node: 1,
        ..Limits::default()
    };
    let mut schedule = schedule(limits, &jobs);
    assert_eq!(start_all(&mut schedule), [0, 1]);
    schedule.finish(0, Duration::from_secs(1));
    schedule.finish(1, Duration::from_secs(10));
    assert_eq!(schedule.start_next(), Some(3));
}

#[test]
fn deferred_work_frees_its_slot_and_comes_back_last() {
    let jobs = [
        work("a", &[], 1, false),
        work("a", &[], 1, false),
        work("a", &[], 1, false),
    ];
    let limits = Limits {
        per_node: 1,
        ..Limits::default()
    };
    let mut schedule = schedule(limits, &jobs);
    assert_eq!(schedule.start_next(), Some(0));
    schedule.defer(0);
    assert_eq!(schedule.start_next(), Some(1));
    schedule.resume(0);
    schedule.finish(1, Duration::ZERO);
    assert_eq!(schedule.start_next(), Some(2));
    schedule.finish(2, Duration::ZERO);
    assert_eq!(schedule.start_next(), Some(0));
}

/// C17: guests that were locked go last, on whichever node, and in the order of the list among
/// themselves.
#[test]
fn what_goes_last_waits_for_all_others() {
    let last = |node| Work {
        goes_last: true,
        ..work(node, &[], 9, false)
    };
    let jobs = [
        last("a"),
        work("b", &[], 1, false),
        last("b"),
        work("b", &[], 1, false),
    ];
    let one = Limits {
        total: 1,
        ..Limits::default()
    };
    for limits in [one, Limits::default()] {
        let mut schedule = schedule(limits, &jobs);
        let mut order = Vec::new();
        while let Some(id) = schedule.start_next() {
            order.push(id);
            if limits.total == 1 {
                schedule.finish(id, Duration::ZERO);
            }
        }
        assert_eq!(order[..2], [1, 3]);
        if limits.total == 1 {
            assert_eq!(order[2..], [0, 2]);
        }
    }
}

/// C11: what is half done and can go on comes before all others, what waits for a lock after them.
#[test]
fn one_at_a_time_resumes_first_or_last() {
    let jobs = [(); 3].map(|()| work("a", &[], 1, false));
    let limits = Limits {
        total: 1,
        ..Limits::default()
    };
    let mut schedule = schedule(limits, &jobs);
    for id in [0, 1] {
        assert_eq!(schedule.start_next(), Some(id));
        schedule.defer(id);
    }
    schedule.resume(0);
    schedule.resume_first(1);
    for id in [1, 2, 0] {
        assert_eq!(schedule.start_next(), Some(id));
        schedule.finish(id, Duration::ZERO);
    }
}

/// C15: where not all may be reached, the guests with most to do go first even one at a time.
#[test]
fn one_at_a_time_can_take_the_heaviest_first() {
    let jobs = [work("a", &[], 1, false), work("b", &[], 9, false)];
    let limits = Limits {
        total: 1,
        ..Limits::default()
    };
    let mut schedule = Schedule::new(limits, Order::HeaviestFirst, &jobs);
    assert_eq!(schedule.start_next(), Some(1));
}

fn any_work() -> impl Strategy<Value = Work> {
    (
        0..5_u8,
        prop::collection::btree_set(0..3_u8, 0..3),
        0..9_u32,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(node, storages, weight, with_ram, goes_last)| Work {
            node: format!("pve{node}"),
            shared_storages: storages.into_iter().map(|s| format!("shared{s}")).collect(),
            weight,
            with_ram,
            goes_last,
        })
}

fn any_limits() -> impl Strategy<Value = Limits> {
    (0..6_usize, 0..4_usize, 0..4_usize, 0..3_usize).prop_map(
        |(total, per_node, per_storage, ram_per_node)| Limits {
            total,
            per_node,
            per_storage,
            ram_per_node,
        },
    )
}

fn holds(jobs: &[Work], running: &[JobId], limits: Limits) -> Result<(), TestCaseError> {
    let count =
        |wanted: &dyn Fn(&Work) -> bool| running.iter().filter(|&&id| wanted(&jobs[id])).count();
    prop_assert!(running.len() <= limits.total.max(1));
    for job in jobs {
        prop_assert!(count(&|other| other.node == job.node) <= limits.per_node.max(1));
        prop_assert!(
            count(&|other| other.node == job.node && other.with_ram) <= limits.ram_per_node.max(1)
        );
        for storage in &job.shared_storages {
            prop_assert!(
                count(&|other| other.shared_storages.contains(storage))
                    <= limits.per_storage.max(1)
            );
        }
    }
    Ok(())
}

proptest! {
    /// Whatever ends in whatever order: no limit is passed, each job runs exactly once, and a
    /// slot is left empty only if every waiting job would pass a limit.
    #[test]
    fn limits_hold_and_no_usable_slot_is_idle(
        jobs in prop::collection::vec(any_work(), 0..40),
        limits in any_limits(),
        choices in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 400),
    ) {
        let mut schedule = schedule(limits, &jobs);
        let mut waiting: Vec<JobId> = (0..jobs.len()).collect();
        let mut running = Vec::new();
        let mut ran = vec![0; jobs.len()];
        for (choice, deferred) in choices {
            while let Some(id) = schedule.start_next() {
                let position = waiting.iter().position(|&other| other == id);
                prop_assert!(position.is_some(), "job {} did not wait", id);
                waiting.swap_remove(position.unwrap());
                running.push(id);
                holds(&jobs, &running, limits)?;
            }
            let others_wait = waiting.iter().any(|&id| !jobs[id].goes_last);
            for &id in &waiting {
                if jobs[id].goes_last && others_wait { continue; }
                let with_one_more: Vec<_> = running.iter().copied().chain([id]).collect();
                prop_assert!(holds(&jobs, &with_one_more, limits).is_err(), "job {} could have started", id);
            }
            if running.is_empty() { break; }
            let id = running.swap_remove(choice.index(running.len()));
            if deferred {
                schedule.defer(id);
                schedule.resume(id);
                waiting.push(id);
            } else {
                schedule.finish(id, Duration::from_secs(u64::from(jobs[id].weight)));
                ran[id] += 1;
            }
            prop_assert_eq!(schedule.running(), running.len());
            prop_assert_eq!(schedule.waiting(), waiting.len());
        }
        prop_assert!(ran.iter().all(|&times| times <= 1));
        if schedule.running() == 0 { prop_assert!(ran.iter().all(|&times| times == 1)); }
    }
}
