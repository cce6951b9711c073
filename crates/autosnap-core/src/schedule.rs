// SPDX-License-Identifier: GPL-3.0-only
//! Which guest may start next: limits for the whole run, per node, per shared storage and for RAM
//! snapshots per node, kept in one synchronous state machine.
//!
//! A queue of semaphores was rejected: a guest that holds its node's slot while it waits for a
//! storage keeps another guest of that node from a storage that is free. Here nobody holds a slot
//! before it can use it, so a free slot is idle only when no waiting guest could take it.
//!
//! Limits: it knows neither time nor tasks; the engine tells it what started and what ended.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// How much may run at the same time. Zero in any field counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Guests at once in the whole run.
    pub total: usize,
    /// Guests at once on one node.
    pub per_node: usize,
    /// Guests at once with a disk on one shared storage.
    pub per_storage: usize,
    /// Snapshots with RAM at once on one node; they also count for `per_node`.
    pub ram_per_node: usize,
}

impl Default for Limits {
    /// 48 guests at once, 2 per node, 24 per shared storage, one RAM snapshot per node.
    ///
    /// Two per node are what a node's disks are spared with; the other two limits are there for
    /// large clusters, and come to bear only where more than 24 or 12 nodes work at the same time.
    fn default() -> Self {
        Self {
            total: 48,
            per_node: 2,
            per_storage: 24,
            ram_per_node: 1,
        }
    }
}

/// What the schedule needs to know of one guest's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The node that carries the work out.
    pub node: String,
    /// The shared storages that hold its disks.
    pub shared_storages: Vec<String>,
    /// Its expected length in steps; only the proportions matter.
    pub weight: u32,
    /// A snapshot with RAM is part of it.
    pub with_ram: bool,
}

/// The number of a piece of work: its index in the list given to [`Schedule::new`].
pub type JobId = usize;

/// The state of a run's work: waiting, running, deferred or done.
#[derive(Debug)]
pub struct Schedule {
    limits: Limits,
    jobs: Vec<Job>,
    nodes: Vec<NodeQueue>,
    storages_running: Vec<usize>,
    running: usize,
}

#[derive(Debug)]
struct Job {
    node: usize,
    storages: Vec<usize>,
    weight: u32,
    with_ram: bool,
}

/// The guests of one node that wait, heaviest first, and what the node has shown of its pace.
#[derive(Debug, Default)]
struct NodeQueue {
    waiting: VecDeque<JobId>,
    waiting_weight: u64,
    running: usize,
    running_ram: usize,
    seconds_spent: f64,
    weight_done: u64,
}

impl NodeQueue {
    /// How long the waiting work will take at the pace seen so far, in seconds of one slot.
    fn estimate(&self, usual_pace: f64) -> f64 {
        let pace = if self.weight_done == 0 {
            usual_pace
        } else {
            self.seconds_spent / count(self.weight_done)
        };
        count(self.waiting_weight) * pace
    }
}

impl Schedule {
    /// Takes over the whole work of a run. Heavier work of a node goes first, equal work keeps its order.
    pub fn new(limits: Limits, work: &[Work]) -> Self {
        let mut names = HashMap::new();
        let mut storage_names = HashMap::new();
        let mut nodes: Vec<NodeQueue> = Vec::new();
        let mut jobs = Vec::with_capacity(work.len());
        for (id, item) in work.iter().enumerate() {
            let node = intern(&mut names, &item.node);
            nodes.resize_with(names.len(), NodeQueue::default);
            let weight = item.weight.max(1);
            nodes[node].waiting.push_back(id);
            nodes[node].waiting_weight += u64::from(weight);
            let storages = item
                .shared_storages
                .iter()
                .map(|name| intern(&mut storage_names, name))
                .collect();
            jobs.push(Job {
                node,
                storages,
                weight,
                with_ram: item.with_ram,
            });
        }
        for node in &mut nodes {
            node.waiting
                .make_contiguous()
                .sort_by_key(|&id| std::cmp::Reverse(jobs[id].weight));
        }
        let limits = Limits {
            total: limits.total.max(1),
            per_node: limits.per_node.max(1),
            per_storage: limits.per_storage.max(1),
            ram_per_node: limits.ram_per_node.max(1),
        };
        Self {
            limits,
            jobs,
            nodes,
            storages_running: vec![0; storage_names.len()],
            running: 0,
        }
    }

    /// Starts the next piece of work, of the node that would be ready last; `None` when every
    /// waiting one is held back by a limit, or none waits.
    pub fn start_next(&mut self) -> Option<JobId> {
        if self.running >= self.limits.total {
            return None;
        }
        if self.limits.total == 1 {
            return self.start_first();
        }
        let (node, position) = self.busiest_nodes_first().into_iter().find_map(|node| {
            let position = self.nodes[node]
                .waiting
                .iter()
                .position(|&id| self.fits(id))?;
            Some((node, position))
        })?;
        let id = self.nodes[node]
            .waiting
            .remove(position)
            .expect("the position was found in this queue");
        self.occupy(id);
        Some(id)
    }

    /// One at a time gains nothing from another order than the one asked for.
    fn start_first(&mut self) -> Option<JobId> {
        let queues = self.nodes.iter().enumerate();
        let (id, node) = queues
            .flat_map(|(node, queue)| queue.waiting.iter().map(move |&id| (id, node)))
            .filter(|&(id, _)| self.fits(id))
            .min()?;
        self.nodes[node].waiting.retain(|&other| other != id);
        self.occupy(id);
        Some(id)
    }

    /// A running piece of work has ended after `elapsed`.
    pub fn finish(&mut self, id: JobId, elapsed: Duration) {
        self.vacate(id);
        let weight = u64::from(self.jobs[id].weight);
        let node = &mut self.nodes[self.jobs[id].node];
        node.seconds_spent += elapsed.as_secs_f64();
        node.weight_done += weight;
    }

    /// A running piece of work gives its slots back and waits for something outside, for example
    /// for a lock, until [`Schedule::resume`].
    pub fn defer(&mut self, id: JobId) {
        self.vacate(id);
    }

    /// A deferred piece of work queues again, behind the others of its node.
    pub fn resume(&mut self, id: JobId) {
        let job = &self.jobs[id];
        let node = &mut self.nodes[job.node];
        node.waiting.push_back(id);
        node.waiting_weight += u64::from(job.weight);
    }

    /// How many pieces of work hold slots now.
    pub fn running(&self) -> usize {
        self.running
    }

    /// How many pieces of work queue for slots (deferred ones do not).
    pub fn waiting(&self) -> usize {
        self.nodes.iter().map(|node| node.waiting.len()).sum()
    }

    fn busiest_nodes_first(&self) -> Vec<usize> {
        let usual = self.usual_pace();
        let mut candidates: Vec<usize> = (0..self.nodes.len())
            .filter(|&index| {
                self.nodes[index].running < self.limits.per_node
                    && !self.nodes[index].waiting.is_empty()
            })
            .collect();
        candidates.sort_by(|&a, &b| {
            self.nodes[b]
                .estimate(usual)
                .total_cmp(&self.nodes[a].estimate(usual))
        });
        candidates
    }

    /// Seconds per unit of weight over all nodes; one while nothing has ended yet.
    fn usual_pace(&self) -> f64 {
        let weight: u64 = self.nodes.iter().map(|node| node.weight_done).sum();
        let seconds: f64 = self.nodes.iter().map(|node| node.seconds_spent).sum();
        if weight == 0 {
            1.0
        } else {
            seconds / count(weight)
        }
    }

    fn fits(&self, id: JobId) -> bool {
        let job = &self.jobs[id];
        let node = &self.nodes[job.node];
        node.running < self.limits.per_node
            && !(job.with_ram && node.running_ram >= self.limits.ram_per_node)
            && job
                .storages
                .iter()
                .all(|&storage| self.storages_running[storage] < self.limits.per_storage)
    }

    fn occupy(&mut self, id: JobId) {
        let job = &self.jobs[id];
        let node = &mut self.nodes[job.node];
        node.waiting_weight -= u64::from(job.weight);
        node.running += 1;
        node.running_ram += usize::from(job.with_ram);
        self.running += 1;
        for &storage in &job.storages {
            self.storages_running[storage] += 1;
        }
    }

    fn vacate(&mut self, id: JobId) {
        let job = &self.jobs[id];
        let node = &mut self.nodes[job.node];
        node.running -= 1;
        node.running_ram -= usize::from(job.with_ram);
        self.running -= 1;
        for &storage in &job.storages {
            self.storages_running[storage] -= 1;
        }
    }
}

fn intern(names: &mut HashMap<String, usize>, name: &str) -> usize {
    let next = names.len();
    *names.entry(name.to_owned()).or_insert(next)
}

#[expect(clippy::cast_precision_loss, reason = "weights are far below 2^52")]
fn count(weight: u64) -> f64 {
    weight as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn work(node: &str, storages: &[&str], weight: u32, with_ram: bool) -> Work {
        Work {
            node: node.to_owned(),
            shared_storages: storages.iter().map(ToString::to_string).collect(),
            weight,
            with_ram,
        }
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
        let mut schedule = Schedule::new(limits, &jobs);
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
        assert_eq!(start_all(&mut Schedule::new(limits, &jobs)), [0, 2]);
    }

    #[test]
    fn only_one_ram_snapshot_runs_on_a_node() {
        let jobs = [
            work("a", &[], 9, true),
            work("a", &[], 8, true),
            work("a", &[], 1, false),
        ];
        assert_eq!(
            start_all(&mut Schedule::new(Limits::default(), &jobs)),
            [0, 2]
        );
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
        assert_eq!(Schedule::new(limits, &jobs).start_next(), Some(2));
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
        let mut schedule = Schedule::new(limits, &jobs);
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
        let mut schedule = Schedule::new(limits, &jobs);
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
        let mut schedule = Schedule::new(limits, &jobs);
        assert_eq!(schedule.start_next(), Some(0));
        schedule.defer(0);
        assert_eq!(schedule.start_next(), Some(1));
        schedule.resume(0);
        schedule.finish(1, Duration::ZERO);
        assert_eq!(schedule.start_next(), Some(2));
        schedule.finish(2, Duration::ZERO);
        assert_eq!(schedule.start_next(), Some(0));
    }

    fn any_work() -> impl Strategy<Value = Work> {
        (
            0..5_u8,
            prop::collection::btree_set(0..3_u8, 0..3),
            0..9_u32,
            any::<bool>(),
        )
            .prop_map(|(node, storages, weight, with_ram)| Work {
                node: format!("pve{node}"),
                shared_storages: storages.into_iter().map(|s| format!("shared{s}")).collect(),
                weight,
                with_ram,
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
        let count = |wanted: &dyn Fn(&Work) -> bool| {
            running.iter().filter(|&&id| wanted(&jobs[id])).count()
        };
        prop_assert!(running.len() <= limits.total.max(1));
        for job in jobs {
            prop_assert!(count(&|other| other.node == job.node) <= limits.per_node.max(1));
            prop_assert!(
                count(&|other| other.node == job.node && other.with_ram)
                    <= limits.ram_per_node.max(1)
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
            let mut schedule = Schedule::new(limits, &jobs);
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
                for &id in &waiting {
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
}
