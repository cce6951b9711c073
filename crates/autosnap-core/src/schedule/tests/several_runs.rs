// SPDX-License-Identifier: GPL-3.0-only
//! Several runs in one schedule: limits over all runs, leases of guests, fair shares.

use std::collections::BTreeSet;

use super::*;

fn guest(vmid: u32, node: &str) -> Work {
    Work {
        guest: Vmid::new(vmid).unwrap(),
        ..work(node, &[], 1, false)
    }
}

fn limits(total: usize, per_node: usize) -> Limits {
    Limits {
        total,
        per_node,
        ..Limits::default()
    }
}

/// The number of the run and the index of all work that starts now.
fn start_all_of(schedule: &mut Schedule, runs: &[RunKey]) -> Vec<(usize, usize)> {
    let started = std::iter::from_fn(|| schedule.start_next());
    let number = |run| runs.iter().position(|&other| other == run).unwrap();
    started.map(|id| (number(id.run), id.index)).collect()
}

#[test]
fn the_limits_of_the_schedule_hold_over_all_runs() {
    let mut schedule = Schedule::new(limits(3, 2));
    let first = [guest(100, "a"), guest(101, "a"), guest(102, "b")];
    let second = [guest(103, "a"), guest(104, "b"), guest(105, "c")];
    let runs = [first, second].map(|list| schedule.enqueue(limits(9, 9), Order::AsGiven, &list));
    assert_eq!(start_all_of(&mut schedule, &runs).len(), 3);
    assert_eq!((schedule.running(), schedule.waiting()), (3, 3));
}

#[test]
fn a_run_keeps_to_its_own_limits_as_well() {
    let mut schedule = Schedule::new(limits(9, 9));
    let first = [guest(100, "a"), guest(101, "a")];
    let second = [guest(102, "a"), guest(103, "a")];
    let runs = [
        schedule.enqueue(limits(1, 1), Order::AsGiven, &first),
        schedule.enqueue(limits(9, 9), Order::AsGiven, &second),
    ];
    let mut started = start_all_of(&mut schedule, &runs);
    started.sort_unstable();
    assert_eq!(started, [(0, 0), (1, 0), (1, 1)]);
}

#[test]
fn a_guest_is_leased_to_one_run_until_it_is_finished() {
    let mut schedule = Schedule::new(Limits::default());
    let list = [guest(100, "a")];
    let runs = [(); 2].map(|()| schedule.enqueue(Limits::default(), Order::AsGiven, &list));
    assert_eq!(start_all_of(&mut schedule, &runs), [(0, 0)]);
    let id = WorkId {
        run: runs[0],
        index: 0,
    };
    schedule.defer(id);
    assert_eq!(start_all_of(&mut schedule, &runs), []);
    schedule.resume(id);
    assert_eq!(start_all_of(&mut schedule, &runs), [(0, 0)]);
    schedule.defer(id);
    schedule.finish(id, Duration::ZERO);
    assert_eq!(start_all_of(&mut schedule, &runs), [(1, 0)]);
}

#[test]
fn work_that_has_begun_resumes_before_a_guest_whose_lease_is_free_again() {
    let mut schedule = Schedule::new(limits(9, 9));
    let other = schedule.enqueue(limits(1, 1), Order::AsGiven, &[guest(100, "a")]);
    let leased = schedule.start_next().unwrap();
    assert_eq!(leased.run, other);
    let list = [guest(100, "a"), guest(101, "a")];
    let run = schedule.enqueue(limits(1, 1), Order::AsGiven, &list);
    let begun = schedule.start_next().unwrap();
    assert_eq!(begun, WorkId { run, index: 1 });
    schedule.defer(begun);
    schedule.finish(leased, Duration::ZERO);
    schedule.resume_first(begun);
    assert_eq!(schedule.start_next(), Some(begun));
}

#[test]
fn a_small_run_does_not_wait_for_the_end_of_a_large_one() {
    let mut schedule = Schedule::new(limits(2, 2));
    let large: Vec<Work> = (100..110).map(|vmid| guest(vmid, "a")).collect();
    let large = schedule.enqueue(limits(2, 2), Order::AsGiven, &large);
    assert_eq!(start_all_of(&mut schedule, &[large]), [(0, 0), (0, 1)]);
    let small = [guest(200, "a"), guest(201, "a")];
    let small = schedule.enqueue(limits(2, 2), Order::AsGiven, &small);
    let runs = [large, small];
    let mut running = vec![(0, 0), (0, 1)];
    let mut order = Vec::new();
    for _ in 0..4 {
        let (run, index) = running.remove(0);
        let run = runs[run];
        schedule.finish(WorkId { run, index }, Duration::from_secs(1));
        let started = start_all_of(&mut schedule, &runs);
        running.extend(&started);
        order.extend(started);
    }
    assert_eq!(order, [(1, 0), (0, 2), (1, 1), (0, 3)]);
}

#[test]
fn equal_runs_start_by_turns() {
    let mut schedule = Schedule::new(limits(1, 1));
    let runs = [100, 200, 300].map(|first| {
        let list = [
            guest(first, "a"),
            guest(first + 1, "a"),
            guest(first + 2, "a"),
        ];
        schedule.enqueue(limits(1, 1), Order::AsGiven, &list)
    });
    let mut order = Vec::new();
    while let Some(id) = schedule.start_next() {
        order.push(runs.iter().position(|&run| run == id.run).unwrap());
        schedule.finish(id, Duration::ZERO);
    }
    assert_eq!(order, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
}

#[test]
fn the_work_of_a_withdrawn_run_does_not_count_as_waiting() {
    // The weights that wait on node a, of the withdrawn run and of the other, and on node b of the other.
    for (withdrawn, on_a, on_b, expected) in [(4, 2, 3, 1), (3, 6, 5, 0)] {
        let weight = |node, weight| work(node, &[], weight, false);
        let mut schedule = Schedule::new(limits(1, 1));
        let mut enqueue =
            |list: &[Work]| schedule.enqueue(limits(1, 1), Order::HeaviestFirst, list);
        let first = enqueue(&[weight("a", withdrawn)]);
        let run = enqueue(&[weight("a", on_a), weight("b", on_b)]);
        schedule.withdraw(first);
        let index = expected;
        assert_eq!(schedule.start_next(), Some(WorkId { run, index }));
    }
}

#[test]
fn a_withdrawn_run_starts_nothing_more_and_keeps_its_running_guests() {
    let mut schedule = Schedule::new(limits(1, 1));
    let list = [guest(100, "a"), guest(101, "a")];
    let run = schedule.enqueue(limits(1, 1), Order::AsGiven, &list);
    let id = schedule.start_next().unwrap();
    schedule.withdraw(run);
    assert_eq!((schedule.running(), schedule.waiting()), (1, 0));
    schedule.defer(id);
    schedule.resume(id);
    schedule.resume_first(id);
    assert_eq!(schedule.start_next(), None);
    schedule.finish(id, Duration::ZERO);
    assert_eq!(schedule.start_next(), None);
}

#[test]
fn a_removed_run_frees_its_slots_and_its_guests() {
    let mut schedule = Schedule::new(limits(2, 2));
    let list = [guest(100, "a"), guest(101, "a"), guest(102, "a")];
    let runs = [(); 2].map(|()| schedule.enqueue(limits(2, 2), Order::AsGiven, &list));
    assert_eq!(start_all_of(&mut schedule, &runs), [(0, 0), (1, 1)]);
    schedule.remove(runs[0]);
    assert_eq!(start_all_of(&mut schedule, &runs), [(1, 0)]);
    assert_eq!((schedule.running(), schedule.waiting()), (2, 1));
    schedule.remove(runs[1]);
    assert_eq!((schedule.running(), schedule.waiting()), (0, 0));
    let again = schedule.enqueue(limits(2, 2), Order::AsGiven, &list);
    assert!(again > runs[1]);
    assert_eq!(start_all_of(&mut schedule, &[again]), [(0, 0), (0, 1)]);
}

/// The expected state of one piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Waiting,
    Running,
    Deferred,
    Finished,
}

/// A simple model of a schedule and its runs.
struct Model {
    limits: Limits,
    runs: Vec<(Limits, Vec<Work>, Vec<Expected>)>,
    /// Guests that were started and not finished, by run and index.
    leased: BTreeSet<(usize, usize)>,
    withdrawn: BTreeSet<usize>,
}

impl Model {
    fn new(limits: Limits, runs: Vec<(Limits, Vec<Work>)>) -> Self {
        let runs = runs.into_iter().map(|(limits, list)| {
            let states = vec![Expected::Waiting; list.len()];
            (limits, list, states)
        });
        Self {
            limits,
            runs: runs.collect(),
            leased: BTreeSet::new(),
            withdrawn: BTreeSet::new(),
        }
    }

    fn state(&mut self, (run, index): (usize, usize)) -> &mut Expected {
        &mut self.runs[run].2[index]
    }

    fn in_state(&self, wanted: Expected) -> Vec<(usize, usize)> {
        let runs = self.runs.iter().enumerate();
        let states = runs.flat_map(|(run, (_, _, states))| {
            let states = states.iter().enumerate();
            states.map(move |(index, &state)| ((run, index), state))
        });
        let matching = states.filter(|&(_, state)| state == wanted);
        matching.map(|(id, _)| id).collect()
    }

    fn work(&self, (run, index): (usize, usize)) -> &Work {
        &self.runs[run].1[index]
    }

    /// Whether these pieces of work may run in parallel.
    fn allows(&self, running: &[(usize, usize)]) -> Result<(), TestCaseError> {
        let all: Vec<Work> = running.iter().map(|&id| self.work(id).clone()).collect();
        holds(&all, &(0..all.len()).collect::<Vec<_>>(), self.limits)?;
        for (run, (limits, work, _)) in self.runs.iter().enumerate() {
            let own = running.iter().filter(|id| id.0 == run);
            holds(work, &own.map(|id| id.1).collect::<Vec<_>>(), *limits)?;
        }
        Ok(())
    }

    fn is_leased_to_another(&self, id: (usize, usize)) -> bool {
        let guest = self.work(id).guest;
        let mut others = self.leased.iter().filter(|&&other| other != id);
        others.any(|&other| self.work(other).guest == guest)
    }

    /// Whether work that goes last waits for other work of its run.
    fn waits_for_others(&self, id: (usize, usize)) -> bool {
        let waiting = self.in_state(Expected::Waiting);
        let mut own = waiting.into_iter().filter(|other| other.0 == id.0);
        self.work(id).goes_last && own.any(|other| !self.work(other).goes_last)
    }

    /// Records the starts, each of which must be allowed.
    fn on_started(&mut self, started: Vec<(usize, usize)>) -> Result<(), TestCaseError> {
        for id in started {
            prop_assert_eq!(*self.state(id), Expected::Waiting);
            prop_assert!(!self.is_leased_to_another(id), "{:?} is leased", id);
            *self.state(id) = Expected::Running;
            self.leased.insert(id);
            self.allows(&self.in_state(Expected::Running))?;
        }
        Ok(())
    }

    /// No waiting work may start.
    fn is_exhausted(&self) -> Result<(), TestCaseError> {
        let running = self.in_state(Expected::Running);
        for id in self.in_state(Expected::Waiting) {
            if self.is_leased_to_another(id) || self.waits_for_others(id) {
                continue;
            }
            let with_one_more: Vec<_> = running.iter().copied().chain([id]).collect();
            let is_allowed = self.allows(&with_one_more).is_ok();
            prop_assert!(!is_allowed, "{:?} could have started", id);
        }
        Ok(())
    }

    fn on_withdrawn(&mut self, run: usize) {
        self.withdrawn.insert(run);
        let states = self.runs[run].2.iter_mut();
        for state in states.filter(|state| **state == Expected::Waiting) {
            *state = Expected::Deferred;
        }
    }
}

fn any_run() -> impl Strategy<Value = (Limits, Vec<Work>)> {
    let list = prop::collection::vec((100..110_u32, any_work()), 0..15);
    (any_limits(), list).prop_map(|(limits, list)| {
        let with_guest = |(vmid, work): (u32, Work)| Work {
            guest: Vmid::new(vmid).unwrap(),
            ..work
        };
        let mut seen = BTreeSet::new();
        let mut list: Vec<Work> = list.into_iter().map(with_guest).collect();
        list.retain(|work| seen.insert(work.guest));
        (limits, list)
    })
}

proptest! {
    /// In any order of ends, deferrals and withdrawals: no limit is exceeded, over all runs or in one; no two runs work
    /// on one guest; a slot is idle only if no waiting work can use it; all work ends.
    #[test]
    fn limits_and_leases_hold_over_all_runs(
        limits in any_limits(),
        runs in prop::collection::vec(any_run(), 1..5),
        choices in prop::collection::vec((any::<prop::sample::Index>(), 0..20_u8), 300),
    ) {
        let mut schedule = Schedule::new(limits);
        let keys = runs.iter().map(|(limits, list)| {
            schedule.enqueue(*limits, Order::HeaviestFirst, list)
        });
        let keys: Vec<RunKey> = keys.collect();
        let mut model = Model::new(limits, runs);
        for (choice, action) in choices {
            model.on_started(start_all_of(&mut schedule, &keys))?;
            model.is_exhausted()?;
            let running = model.in_state(Expected::Running);
            let waiting = model.in_state(Expected::Waiting);
            prop_assert_eq!(schedule.running(), running.len());
            prop_assert_eq!(schedule.waiting(), waiting.len());
            let (candidates, is_deferred) = if running.is_empty() {
                (model.in_state(Expected::Deferred), true)
            } else {
                (running, false)
            };
            if candidates.is_empty() {
                prop_assert!(waiting.is_empty(), "{:?} waits for ever", waiting);
                break;
            }
            let id = candidates[choice.index(candidates.len())];
            let work = WorkId { run: keys[id.0], index: id.1 };
            match action {
                0 => {
                    schedule.withdraw(work.run);
                    model.on_withdrawn(id.0);
                }
                1..5 if is_deferred && !model.withdrawn.contains(&id.0) => {
                    schedule.resume(work);
                    *model.state(id) = Expected::Waiting;
                }
                1..5 if !is_deferred => {
                    schedule.defer(work);
                    *model.state(id) = Expected::Deferred;
                }
                _ => {
                    schedule.finish(work, Duration::from_secs(1));
                    *model.state(id) = Expected::Finished;
                    model.leased.remove(&id);
                }
            }
        }
        for &key in &keys {
            schedule.remove(key);
        }
        prop_assert_eq!((schedule.running(), schedule.waiting()), (0, 0));
    }
}
