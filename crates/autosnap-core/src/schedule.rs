// SPDX-License-Identifier: GPL-3.0-only
//! The order in which guests start: a synchronous state machine with limits for the whole run, per node, per shared
//! storage, and for RAM snapshots per node.
//!
//! Semaphores were rejected: a guest that holds a slot of its node while it waits for a storage blocks other guests of
//! that node whose storages are free. Here a guest takes all its slots at once, so a slot is idle only if no waiting
//! guest can use it.
//!
//! The schedule knows neither time nor tasks; the engine reports what started and what ended.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// The limits of parallel work. Zero in any field counts as one.
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
    /// Two per node spare the disks of the node. The other two limits matter only in large clusters, where more than
    /// 24 or 12 nodes work at the same time.
    fn default() -> Self {
        Self {
            total: 48,
            per_node: 2,
            per_storage: 24,
            ram_per_node: 1,
        }
    }
}

/// The properties of one guest's work that the schedule needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The node that does the work.
    pub node: String,
    /// The shared storages that hold its disks.
    pub shared_storages: Vec<String>,
    /// Its expected duration in steps; only the proportions matter.
    pub weight: u32,
    /// Whether a snapshot with RAM is part of it.
    pub with_ram: bool,
    /// Whether it starts only after all other work has started, for example because the guest is locked: the lock may be
    /// gone by then.
    pub goes_last: bool,
}

/// The order in which work starts if one piece runs at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The order of the list passed to [`Schedule::new`].
    AsGiven,
    /// The heaviest first, for a run that may be stopped before the last one.
    HeaviestFirst,
}

/// The number of a piece of work: its index in the list passed to [`Schedule::new`].
pub type WorkId = usize;

/// The state of a run's work: waiting, running, deferred or done.
#[derive(Debug)]
pub struct Schedule {
    limits: Limits,
    jobs: Vec<Job>,
    nodes: Vec<NodeQueue>,
    storages_running: Vec<usize>,
    running: usize,
    order: Order,
    /// The number of waiting pieces of work that do not go last.
    waiting_first: usize,
    /// The rank of the next piece of work that is queued again at the end.
    next_rank: i64,
    /// The rank of the next one that is queued again at the front.
    first_rank: i64,
}

#[derive(Debug)]
struct Job {
    node: usize,
    storages: Vec<usize>,
    weight: u32,
    with_ram: bool,
    goes_last: bool,
    /// Its position in the order of the whole run: lower ones are earlier.
    rank: i64,
}

/// The waiting work of one node, heaviest first, and the measured pace of the node.
#[derive(Debug, Default)]
struct NodeQueue {
    waiting: VecDeque<WorkId>,
    waiting_weight: u64,
    running: usize,
    running_ram: usize,
    seconds_spent: f64,
    weight_done: u64,
}

impl NodeQueue {
    /// The estimated duration of the waiting work at the measured pace, in seconds of one slot.
    fn estimate(&self, average_pace: f64) -> f64 {
        let pace = if self.weight_done == 0 {
            average_pace
        } else {
            self.seconds_spent / count(self.weight_done)
        };
        count(self.waiting_weight) * pace
    }
}

impl Schedule {
    /// Queues all work of a run. Heavier work of a node goes first, equal work keeps its order; `order` decides if one
    /// piece runs at a time.
    pub fn new(limits: Limits, order: Order, work: &[Work]) -> Self {
        let mut names = HashMap::new();
        let mut storage_names = HashMap::new();
        let mut nodes: Vec<NodeQueue> = Vec::new();
        let mut jobs = Vec::with_capacity(work.len());
        for ((id, item), rank) in work.iter().enumerate().zip(0..) {
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
                goes_last: item.goes_last,
                rank,
            });
        }
        for node in &mut nodes {
            node.waiting
                .make_contiguous()
                .sort_by_key(|&id| (jobs[id].goes_last, std::cmp::Reverse(jobs[id].weight)));
        }
        let limits = Limits {
            total: limits.total.max(1),
            per_node: limits.per_node.max(1),
            per_storage: limits.per_storage.max(1),
            ram_per_node: limits.ram_per_node.max(1),
        };
        Self {
            limits,
            waiting_first: jobs.iter().filter(|job: &&Job| !job.goes_last).count(),
            next_rank: i64::try_from(jobs.len()).unwrap_or(i64::MAX),
            first_rank: -1,
            jobs,
            nodes,
            storages_running: vec![0; storage_names.len()],
            running: 0,
            order,
        }
    }

    /// Starts the next piece of work, of the node that is expected to finish last. `None` if a limit holds back all
    /// waiting work, or none waits.
    pub fn start_next(&mut self) -> Option<WorkId> {
        if self.running >= self.limits.total {
            return None;
        }
        if self.limits.total == 1 && self.order == Order::AsGiven {
            return self.start_first();
        }
        let (node, position) = self.free_nodes_by_estimate().into_iter().find_map(|node| {
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

    /// Starts the first piece of work that may start, in the order of the list.
    fn start_first(&mut self) -> Option<WorkId> {
        let queues = self.nodes.iter().enumerate();
        let (id, node) = queues
            .filter(|&(node, _)| self.has_free_slot(node))
            .flat_map(|(node, queue)| queue.waiting.iter().map(move |&id| (id, node)))
            .filter(|&(id, _)| self.fits(id))
            .min_by_key(|&(id, _)| self.jobs[id].rank)?;
        self.nodes[node].waiting.retain(|&other| other != id);
        self.occupy(id);
        Some(id)
    }

    /// Records that a running piece of work ended after `elapsed`.
    pub fn finish(&mut self, id: WorkId, elapsed: Duration) {
        self.vacate(id);
        let weight = u64::from(self.jobs[id].weight);
        let node = &mut self.nodes[self.jobs[id].node];
        node.seconds_spent += elapsed.as_secs_f64();
        node.weight_done += weight;
    }

    /// Frees the slots of a running piece of work that waits, for example for a lock, until [`Schedule::resume`].
    pub fn defer(&mut self, id: WorkId) {
        self.vacate(id);
    }

    /// Queues a deferred piece of work again, after all others.
    pub fn resume(&mut self, id: WorkId) {
        self.jobs[id].rank = self.next_rank;
        self.next_rank += 1;
        let node = self.queue_again(id);
        self.nodes[node].waiting.push_back(id);
    }

    /// Queues a deferred piece of work again, before all others: it has begun, so it no longer goes last.
    pub fn resume_first(&mut self, id: WorkId) {
        self.jobs[id].rank = self.first_rank;
        self.first_rank -= 1;
        self.jobs[id].goes_last = false;
        let node = self.queue_again(id);
        self.nodes[node].waiting.push_front(id);
    }

    fn queue_again(&mut self, id: WorkId) -> usize {
        let job = &self.jobs[id];
        self.nodes[job.node].waiting_weight += u64::from(job.weight);
        self.waiting_first += usize::from(!job.goes_last);
        job.node
    }

    /// The number of running pieces of work.
    pub fn running(&self) -> usize {
        self.running
    }

    /// The number of queued pieces of work, without deferred ones.
    pub fn waiting(&self) -> usize {
        self.nodes.iter().map(|node| node.waiting.len()).sum()
    }

    /// The nodes with a free slot, in the order of the estimated duration of their waiting work, longest first.
    fn free_nodes_by_estimate(&self) -> Vec<usize> {
        let average = self.average_pace();
        let mut candidates: Vec<usize> = (0..self.nodes.len())
            .filter(|&node| self.has_free_slot(node))
            .collect();
        candidates.sort_by(|&a, &b| {
            self.nodes[b]
                .estimate(average)
                .total_cmp(&self.nodes[a].estimate(average))
        });
        candidates
    }

    /// Seconds per unit of weight over all nodes; 1 before any work has ended.
    fn average_pace(&self) -> f64 {
        let weight: u64 = self.nodes.iter().map(|node| node.weight_done).sum();
        let seconds: f64 = self.nodes.iter().map(|node| node.seconds_spent).sum();
        if weight == 0 {
            1.0
        } else {
            seconds / count(weight)
        }
    }

    fn has_free_slot(&self, node: usize) -> bool {
        self.nodes[node].running < self.limits.per_node
    }

    /// Whether the work may start on its node, which has a free slot.
    fn fits(&self, id: WorkId) -> bool {
        let job = &self.jobs[id];
        let node = &self.nodes[job.node];
        let waits_for_others = job.goes_last && self.waiting_first > 0;
        let waits_for_ram = job.with_ram && node.running_ram >= self.limits.ram_per_node;
        let mut storages = job.storages.iter();
        let has_storages =
            storages.all(|&storage| self.storages_running[storage] < self.limits.per_storage);
        !waits_for_others && !waits_for_ram && has_storages
    }

    fn occupy(&mut self, id: WorkId) {
        let job = &self.jobs[id];
        self.waiting_first -= usize::from(!job.goes_last);
        let node = &mut self.nodes[job.node];
        node.waiting_weight -= u64::from(job.weight);
        node.running += 1;
        node.running_ram += usize::from(job.with_ram);
        self.running += 1;
        for &storage in &job.storages {
            self.storages_running[storage] += 1;
        }
    }

    fn vacate(&mut self, id: WorkId) {
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
mod tests;
