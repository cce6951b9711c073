// SPDX-License-Identifier: GPL-3.0-only
//! The order of work in tables, and the limits as a property.

mod estimates;
mod several_runs;

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use proptest::prelude::*;

/// A schedule with one run, whose work is identified by its index.
struct OneRun {
    schedule: Schedule,
    run: RunKey,
}

impl OneRun {
    fn new(limits: Limits, order: Order, work_list: &[Work]) -> Self {
        let mut schedule = Schedule::new(limits);
        let run = schedule.enqueue(limits, order, work_list);
        Self { schedule, run }
    }

    fn id(&self, index: usize) -> WorkId {
        WorkId {
            run: self.run,
            index,
        }
    }

    fn start_next(&mut self) -> Option<usize> {
        let id = self.schedule.start_next()?;
        assert_eq!(id.run, self.run);
        Some(id.index)
    }

    fn finish(&mut self, index: usize, elapsed: Duration) {
        self.schedule.finish(self.id(index), elapsed);
    }

    fn defer(&mut self, index: usize) {
        self.schedule.defer(self.id(index));
    }

    fn resume(&mut self, index: usize) {
        self.schedule.resume(self.id(index));
    }

    fn resume_first(&mut self, index: usize) {
        self.schedule.resume_first(self.id(index));
    }

    fn running(&self) -> usize {
        self.schedule.running()
    }

    fn waiting(&self) -> usize {
        self.schedule.waiting()
    }
}

/// A new VMID for each piece of work: no two are for the same guest.
fn next_guest() -> Vmid {
    static NEXT: AtomicU32 = AtomicU32::new(100);
    Vmid::new(NEXT.fetch_add(1, Ordering::Relaxed)).unwrap()
}

fn work(node: &str, storages: &[&str], weight: u32, with_ram: bool) -> Work {
    Work {
        guest: next_guest(),
        node: node.to_owned(),
        shared_storages: storages.iter().map(ToString::to_string).collect(),
        weight,
        with_ram,
        goes_last: false,
    }
}

/// A schedule in the order of the list.
fn schedule(limits: Limits, work_list: &[Work]) -> OneRun {
    OneRun::new(limits, Order::AsGiven, work_list)
}

fn start_all(schedule: &mut OneRun) -> Vec<usize> {
    std::iter::from_fn(|| schedule.start_next()).collect()
}

#[test]
fn a_full_node_does_not_block_another_node() {
    let work_list = [
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
    let mut schedule = schedule(limits, &work_list);
    assert_eq!(start_all(&mut schedule), [0, 1, 3]);
    assert_eq!(schedule.waiting(), 1);
}

#[test]
fn a_busy_storage_does_not_idle_a_node_slot() {
    let work_list = [
        work("a", &["ceph"], 3, false),
        work("a", &["ceph"], 2, false),
        work("a", &["local"], 1, false),
    ];
    let limits = Limits {
        per_storage: 1,
        ..Limits::default()
    };
    assert_eq!(start_all(&mut schedule(limits, &work_list)), [0, 2]);
}

#[test]
fn only_one_ram_snapshot_runs_on_a_node() {
    let work_list = [
        work("a", &[], 9, true),
        work("a", &[], 8, true),
        work("a", &[], 1, false),
    ];
    assert_eq!(
        start_all(&mut schedule(Limits::default(), &work_list)),
        [0, 2]
    );
}

#[test]
fn the_longest_work_and_the_longest_queue_go_first() {
    let work_list = [
        work("a", &[], 1, false),
        work("b", &[], 1, false),
        work("b", &[], 7, false),
    ];
    let limits = Limits {
        total: 2,
        ..Limits::default()
    };
    assert_eq!(schedule(limits, &work_list).start_next(), Some(2));
}

#[test]
fn one_at_a_time_keeps_the_order_of_the_list() {
    let work_list = [
        work("b", &[], 1, false),
        work("a", &[], 9, false),
        work("a", &[], 1, false),
    ];
    let limits = Limits {
        total: 1,
        ..Limits::default()
    };
    let mut schedule = schedule(limits, &work_list);
    for expected in 0..3 {
        assert_eq!(schedule.start_next(), Some(expected));
        schedule.finish(expected, Duration::ZERO);
    }
}

#[test]
fn a_slow_node_gets_its_slots_first() {
    let work_list = [
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
    let mut schedule = schedule(limits, &work_list);
    assert_eq!(start_all(&mut schedule), [0, 1]);
    schedule.finish(0, Duration::from_secs(1));
    schedule.finish(1, Duration::from_secs(10));
    assert_eq!(schedule.start_next(), Some(3));
}

#[test]
fn deferred_work_frees_its_slot_and_resumes_last() {
    let work_list = [
        work("a", &[], 1, false),
        work("a", &[], 1, false),
        work("a", &[], 1, false),
    ];
    let limits = Limits {
        per_node: 1,
        ..Limits::default()
    };
    let mut schedule = schedule(limits, &work_list);
    assert_eq!(schedule.start_next(), Some(0));
    schedule.defer(0);
    assert_eq!(schedule.start_next(), Some(1));
    schedule.resume(0);
    schedule.finish(1, Duration::ZERO);
    assert_eq!(schedule.start_next(), Some(2));
    schedule.finish(2, Duration::ZERO);
    assert_eq!(schedule.start_next(), Some(0));
}

/// Locked guests start after all others on any node, and in the order of the list among themselves.
#[test]
fn work_that_goes_last_starts_after_all_other_work() {
    let last = |node| Work {
        goes_last: true,
        ..work(node, &[], 9, false)
    };
    let work_list = [
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
        let mut schedule = schedule(limits, &work_list);
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

/// Work with a late task resumes before all other work, work that waited for a lock after it.
#[test]
fn one_at_a_time_resumes_first_or_last() {
    let work_list = [(); 3].map(|()| work("a", &[], 1, false));
    let limits = Limits {
        total: 1,
        ..Limits::default()
    };
    let mut schedule = schedule(limits, &work_list);
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

/// Among themselves, resumed work keeps the order of the calls of `resume`, and reverses that of `resume_first`.
#[test]
fn one_at_a_time_resumes_in_the_order_of_the_calls() {
    type Resume = fn(&mut OneRun, usize);
    for (resume, calls, expected) in [
        (OneRun::resume as Resume, [1, 0], [2, 1, 0]),
        (OneRun::resume_first as Resume, [0, 1], [1, 0, 2]),
    ] {
        let work_list = ["a", "b", "a"].map(|node| work(node, &[], 1, false));
        let limits = Limits {
            total: 1,
            ..Limits::default()
        };
        let mut schedule = schedule(limits, &work_list);
        for id in [0, 1] {
            assert_eq!(schedule.start_next(), Some(id));
            schedule.defer(id);
        }
        for id in calls {
            resume(&mut schedule, id);
        }
        let order = std::iter::from_fn(|| {
            let id = schedule.start_next()?;
            schedule.finish(id, Duration::ZERO);
            Some(id)
        });
        assert_eq!(order.collect::<Vec<_>>(), expected);
    }
}

/// If a run may be stopped before its last guest, the heaviest work starts first even one at a time.
#[test]
fn one_at_a_time_can_take_the_heaviest_first() {
    let work_list = [work("a", &[], 1, false), work("b", &[], 9, false)];
    let limits = Limits {
        total: 1,
        ..Limits::default()
    };
    let mut schedule = OneRun::new(limits, Order::HeaviestFirst, &work_list);
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
            guest: next_guest(),
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

fn holds(work_list: &[Work], running: &[usize], limits: Limits) -> Result<(), TestCaseError> {
    let count = |wanted: &dyn Fn(&Work) -> bool| {
        running.iter().filter(|&&id| wanted(&work_list[id])).count()
    };
    prop_assert!(running.len() <= limits.total.max(1));
    for one in work_list {
        prop_assert!(count(&|other| other.node == one.node) <= limits.per_node.max(1));
        prop_assert!(
            count(&|other| other.node == one.node && other.with_ram) <= limits.ram_per_node.max(1)
        );
        for storage in &one.shared_storages {
            prop_assert!(
                count(&|other| other.shared_storages.contains(storage))
                    <= limits.per_storage.max(1)
            );
        }
    }
    Ok(())
}

proptest! {
    /// In any order of ends: no limit is exceeded, each piece of work runs once, and a slot is idle only if all waiting
    /// work would exceed a limit.
    #[test]
    fn limits_hold_and_no_usable_slot_is_idle(
        work_list in prop::collection::vec(any_work(), 0..40),
        limits in any_limits(),
        choices in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 400),
    ) {
        let mut schedule = schedule(limits, &work_list);
        let mut waiting: Vec<usize> = (0..work_list.len()).collect();
        let mut running = Vec::new();
        let mut ran = vec![0; work_list.len()];
        for (choice, deferred) in choices {
            while let Some(id) = schedule.start_next() {
                let position = waiting.iter().position(|&other| other == id);
                prop_assert!(position.is_some(), "work {} did not wait", id);
                waiting.swap_remove(position.unwrap());
                running.push(id);
                holds(&work_list, &running, limits)?;
            }
            let others_wait = waiting.iter().any(|&id| !work_list[id].goes_last);
            for &id in &waiting {
                if work_list[id].goes_last && others_wait { continue; }
                let with_one_more: Vec<_> = running.iter().copied().chain([id]).collect();
                prop_assert!(holds(&work_list, &with_one_more, limits).is_err(), "work {} could have started", id);
            }
            if running.is_empty() { break; }
            let id = running.swap_remove(choice.index(running.len()));
            if deferred {
                schedule.defer(id);
                schedule.resume(id);
                waiting.push(id);
            } else {
                schedule.finish(id, Duration::from_secs(u64::from(work_list[id].weight)));
                ran[id] += 1;
            }
            prop_assert_eq!(schedule.running(), running.len());
            prop_assert_eq!(schedule.waiting(), waiting.len());
        }
        prop_assert!(ran.iter().all(|&times| times <= 1));
        if schedule.running() == 0 { prop_assert!(ran.iter().all(|&times| times == 1)); }
    }
}
