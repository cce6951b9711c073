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
    /// It is held back while other work waits, as for a guest that was locked: later its lock may be gone.
    pub goes_last: bool,
}

/// The order in which the work starts where one piece runs at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// In the order of the list given to [`Schedule::new`]: another one gains nothing.
    AsGiven,
    /// The heaviest first, for a run that may not get to the last one.
    HeaviestFirst,
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
    order: Order,
    /// How many pieces of work wait that do not go last.
    waiting_first: usize,
    /// The rank of the next piece of work that queues again at the end.
    next_rank: i64,
    /// The rank of the next one that queues again at the front.
    first_rank: i64,
}

#[derive(Debug)]
struct Job {
    node: usize,
    storages: Vec<usize>,
    weight: u32,
    with_ram: bool,
    goes_last: bool,
    /// Its place in the order of the whole run: lower ones are earlier.
    rank: i64,
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
    /// Takes over the whole work of a run. Heavier work of a node goes first, equal work keeps its order;
    /// `order` is what counts where one piece runs at a time.
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

    /// Starts the next piece of work, of the node that would be ready last; `None` when every
    /// waiting one is held back by a limit, or none waits.
    pub fn start_next(&mut self) -> Option<JobId> {
        if self.running >= self.limits.total {
            return None;
        }
        if self.limits.total == 1 && self.order == Order::AsGiven {
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

    /// Starts the first of all that may start, in the order of the list.
    fn start_first(&mut self) -> Option<JobId> {
        let queues = self.nodes.iter().enumerate();
        let (id, node) = queues
            .flat_map(|(node, queue)| queue.waiting.iter().map(move |&id| (id, node)))
            .filter(|&(id, _)| self.fits(id))
            .min_by_key(|&(id, _)| self.jobs[id].rank)?;
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

    /// A deferred piece of work queues again, after all others.
    pub fn resume(&mut self, id: JobId) {
        self.jobs[id].rank = self.next_rank;
        self.next_rank += 1;
        let node = self.queue_again(id);
        self.nodes[node].waiting.push_back(id);
    }

    /// A deferred piece of work queues again, before all others, and goes last no more: it is half done.
    pub fn resume_first(&mut self, id: JobId) {
        self.jobs[id].rank = self.first_rank;
        self.first_rank -= 1;
        self.jobs[id].goes_last = false;
        let node = self.queue_again(id);
        self.nodes[node].waiting.push_front(id);
    }

    fn queue_again(&mut self, id: JobId) -> usize {
        let job = &self.jobs[id];
        self.nodes[job.node].waiting_weight += u64::from(job.weight);
        self.waiting_first += usize::from(!job.goes_last);
        job.node
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
        !(job.goes_last && self.waiting_first > 0)
            && node.running < self.limits.per_node
            && !(job.with_ram && node.running_ram >= self.limits.ram_per_node)
            && job
                .storages
                .iter()
                .all(|&storage| self.storages_running[storage] < self.limits.per_storage)
    }

    fn occupy(&mut self, id: JobId) {
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
mod tests;
