// SPDX-License-Identifier: GPL-3.0-only
//! The order in which guests start: a synchronous state machine over one or several runs, with limits in total, per
//! node, per shared storage, and for RAM snapshots per node.
//!
//! Semaphores were rejected: a guest that holds a slot of its node while it waits for a storage blocks other guests of
//! that node whose storages are free. Here a guest takes all its slots at the same time, so a slot is idle only if no
//! waiting guest can use it.
//!
//! The limits of the schedule hold over all runs; each run also has its own, for example one guest at a time because of
//! its hook. A guest is leased to the run that starts it until that run has finished it, also while it is deferred, so
//! no two runs work on one guest. This cannot block: a guest that holds a lease waits for slots and time only, never
//! for another lease.
//!
//! Runs share the slots fairly: a free slot goes to the run with the fewest running guests that can use it; of equal
//! runs, to the one whose last start is longest ago. So a small run does not wait for the end of a large one.
//!
//! The schedule uses no clock and runs nothing itself; the engine reports which work has ended or is deferred.

mod limits;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use crate::guest::Vmid;
pub use limits::Limits;
use limits::{Demand, Usage};

/// The properties of one guest's work that the schedule needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The guest, which no other run works on at the same time.
    pub guest: Vmid,
    /// The node that does the work.
    pub node: String,
    /// The shared storages that hold its disks.
    pub shared_storages: Vec<String>,
    /// Its expected duration in steps; only the proportions matter.
    pub weight: u32,
    /// Whether a snapshot with RAM is part of it.
    pub with_ram: bool,
    /// Whether it starts only after all other work of its run has started, for example because the guest is locked: the
    /// lock may be gone by then.
    pub goes_last: bool,
}

/// The order in which work starts if one piece runs at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The order of the list passed to [`Schedule::enqueue`].
    AsGiven,
    /// The heaviest first, for a run that may be stopped before the last one.
    HeaviestFirst,
}

/// The key of a run in a [`Schedule`], never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunKey(u64);

/// The key of a piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkId {
    /// The run that it belongs to.
    pub run: RunKey,
    /// Its index in the list passed to [`Schedule::enqueue`].
    pub index: usize,
}

/// The work of all runs: waiting, running or deferred.
#[derive(Debug)]
pub struct Schedule {
    limits: Limits,
    usage: Usage,
    /// The guests that a run has started and not yet finished.
    leases: HashSet<Vmid>,
    runs: BTreeMap<RunKey, Run>,
    nodes: Vec<Node>,
    node_indexes: HashMap<String, usize>,
    storage_indexes: HashMap<String, usize>,
    next_run: u64,
    /// The number of starts so far.
    starts: u64,
}

/// The work of one run.
#[derive(Debug)]
struct Run {
    limits: Limits,
    usage: Usage,
    order: Order,
    items: Vec<Item>,
    /// The waiting work by node, heaviest first.
    queues: BTreeMap<usize, VecDeque<usize>>,
    /// The number of waiting pieces of work that do not go last.
    waiting_not_last: usize,
    /// The rank of the next piece of work that is queued again at the end.
    next_rank: i64,
    /// The rank of the next piece of work that is queued again at the front.
    first_rank: i64,
    /// The number of starts of all runs at its last start.
    last_start: u64,
    is_withdrawn: bool,
}

/// A piece of work and its state.
#[derive(Debug)]
struct Item {
    guest: Vmid,
    demand: Demand,
    weight: u32,
    goes_last: bool,
    /// Its position in the order of its run: lower ones are earlier.
    rank: i64,
    state: State,
    has_lease: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Deferred,
    Finished,
}

/// The waiting work of one node over all runs, and the measured pace of the node.
#[derive(Debug, Default)]
struct Node {
    waiting_weight: u64,
    seconds_spent: f64,
    weight_done: u64,
}

impl Node {
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
    /// A schedule without runs. The limits hold over all runs.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits: limits.at_least_one(),
            usage: Usage::default(),
            leases: HashSet::new(),
            runs: BTreeMap::new(),
            nodes: Vec::new(),
            node_indexes: HashMap::new(),
            storage_indexes: HashMap::new(),
            next_run: 0,
            starts: 0,
        }
    }

    /// Queues all work of a new run, which also has limits of its own. Heavier work of a node goes first, equal work
    /// keeps its order; `order` decides if one piece runs at a time. The run stays until [`Schedule::remove`].
    pub fn enqueue(&mut self, limits: Limits, order: Order, work: &[Work]) -> RunKey {
        let mut queues: BTreeMap<usize, VecDeque<usize>> = BTreeMap::new();
        let mut items = Vec::with_capacity(work.len());
        for ((index, item), rank) in work.iter().enumerate().zip(0..) {
            let node = intern(&mut self.node_indexes, &item.node);
            self.nodes
                .resize_with(self.node_indexes.len(), Node::default);
            let weight = item.weight.max(1);
            queues.entry(node).or_default().push_back(index);
            self.nodes[node].waiting_weight += u64::from(weight);
            let storages = item.shared_storages.iter();
            let storages = storages
                .map(|name| intern(&mut self.storage_indexes, name))
                .collect();
            items.push(Item {
                guest: item.guest,
                demand: Demand {
                    node,
                    storages,
                    with_ram: item.with_ram,
                },
                weight,
                goes_last: item.goes_last,
                rank,
                state: State::Waiting,
                has_lease: false,
            });
        }
        for queue in queues.values_mut() {
            queue.make_contiguous().sort_by_key(|&index| {
                let item: &Item = &items[index];
                (item.goes_last, std::cmp::Reverse(item.weight))
            });
        }
        let key = RunKey(self.next_run);
        self.next_run += 1;
        let run = Run {
            limits: limits.at_least_one(),
            usage: Usage::default(),
            order,
            queues,
            waiting_not_last: items.iter().filter(|item| !item.goes_last).count(),
            next_rank: i64::try_from(items.len()).unwrap_or(i64::MAX),
            first_rank: -1,
            last_start: 0,
            is_withdrawn: false,
            items,
        };
        self.runs.insert(key, run);
        key
    }

    /// Starts the next piece of work: of the run with the fewest running pieces, on the node that is expected to finish
    /// last. `None` if nothing is waiting, or limits and leases delay all waiting work.
    pub fn start_next(&mut self) -> Option<WorkId> {
        if self.usage.total() >= self.limits.total {
            return None;
        }
        let mut runs: Vec<(usize, u64, RunKey)> = self
            .runs
            .iter()
            .map(|(&key, run)| (run.usage.total(), run.last_start, key))
            .collect();
        runs.sort_unstable();
        let id = runs.into_iter().find_map(|(_, _, run)| {
            let index = self.next_of(&self.runs[&run])?;
            Some(WorkId { run, index })
        })?;
        self.start(id);
        Some(id)
    }

    /// The next piece of work of this run that may start.
    fn next_of(&self, run: &Run) -> Option<usize> {
        if run.usage.total() >= run.limits.total {
            return None;
        }
        let mut nodes = self.free_nodes(run);
        if run.order == Order::AsGiven && run.limits.total.min(self.limits.total) == 1 {
            let waiting = nodes.iter().flat_map(|node| &run.queues[node]).copied();
            return waiting
                .filter(|&index| self.fits(run, index))
                .min_by_key(|&index| run.items[index].rank);
        }
        self.sort_by_estimate(&mut nodes);
        nodes.into_iter().find_map(|node| {
            let mut queue = run.queues[&node].iter().copied();
            queue.find(|&index| self.fits(run, index))
        })
    }

    /// The nodes of this run that have a free slot.
    fn free_nodes(&self, run: &Run) -> Vec<usize> {
        let nodes = run.queues.keys().copied();
        nodes
            .filter(|&node| self.usage.has_slot_on(node, &self.limits))
            .filter(|&node| run.usage.has_slot_on(node, &run.limits))
            .collect()
    }

    /// Sorts nodes by the estimated duration of their waiting work, longest first.
    fn sort_by_estimate(&self, nodes: &mut [usize]) {
        let average = self.average_pace();
        nodes.sort_by(|&a, &b| {
            self.nodes[b]
                .estimate(average)
                .total_cmp(&self.nodes[a].estimate(average))
        });
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

    /// Whether the work may start on its node, which has a free slot.
    fn fits(&self, run: &Run, index: usize) -> bool {
        let item = &run.items[index];
        let waits_for_others = item.goes_last && run.waiting_not_last > 0;
        let waits_for_lease = !item.has_lease && self.leases.contains(&item.guest);
        !waits_for_others
            && !waits_for_lease
            && self.usage.has_room(&item.demand, &self.limits)
            && run.usage.has_room(&item.demand, &run.limits)
    }

    fn start(&mut self, id: WorkId) {
        self.starts += 1;
        let Some(run) = self.runs.get_mut(&id.run) else {
            return;
        };
        run.last_start = self.starts;
        let item = &mut run.items[id.index];
        let queue = run.queues.entry(item.demand.node).or_default();
        queue.retain(|&other| other != id.index);
        run.waiting_not_last -= usize::from(!item.goes_last);
        self.nodes[item.demand.node].waiting_weight -= u64::from(item.weight);
        item.state = State::Running;
        item.has_lease = true;
        self.leases.insert(item.guest);
        self.usage.add(&item.demand);
        run.usage.add(&item.demand);
    }

    /// Records that a piece of work is finished: `elapsed` after its start if it is running. Frees its slots and the
    /// lease of its guest.
    pub fn finish(&mut self, id: WorkId, elapsed: Duration) {
        if self.free_slots(id, State::Finished) {
            let (nodes, runs) = (&mut self.nodes, &self.runs);
            if let Some(item) = runs.get(&id.run).map(|run| &run.items[id.index]) {
                let node = &mut nodes[item.demand.node];
                node.seconds_spent += elapsed.as_secs_f64();
                node.weight_done += u64::from(item.weight);
            }
        }
        self.release(id);
    }

    /// Frees the slots of a running piece of work that waits, for example for a lock, until [`Schedule::resume`]. Its
    /// guest stays leased.
    pub fn defer(&mut self, id: WorkId) {
        self.free_slots(id, State::Deferred);
    }

    /// Queues a deferred piece of work again, after all others of its run.
    pub fn resume(&mut self, id: WorkId) {
        if let Some(run) = self.requeue(id) {
            let item = &mut run.items[id.index];
            item.rank = run.next_rank;
            run.next_rank += 1;
            run.waiting_not_last += usize::from(!item.goes_last);
            let queue = run.queues.entry(item.demand.node).or_default();
            queue.push_back(id.index);
        }
    }

    /// Queues a deferred piece of work again, before all others of its run: it has begun, so it no longer goes last.
    pub fn resume_first(&mut self, id: WorkId) {
        if let Some(run) = self.requeue(id) {
            let item = &mut run.items[id.index];
            item.rank = run.first_rank;
            run.first_rank -= 1;
            item.goes_last = false;
            run.waiting_not_last += 1;
            let queue = run.queues.entry(item.demand.node).or_default();
            queue.push_front(id.index);
        }
    }

    /// Changes a deferred piece of work to waiting; returns its run. `None` if it is not deferred, or its run is
    /// withdrawn.
    fn requeue(&mut self, id: WorkId) -> Option<&mut Run> {
        let run = self.runs.get_mut(&id.run)?;
        let item = &mut run.items[id.index];
        if run.is_withdrawn || item.state != State::Deferred {
            return None;
        }
        item.state = State::Waiting;
        self.nodes[item.demand.node].waiting_weight += u64::from(item.weight);
        Some(run)
    }

    /// Starts no more work of this run. Running and deferred work is kept until it is finished.
    pub fn withdraw(&mut self, run: RunKey) {
        let Some(run) = self.runs.get_mut(&run) else {
            return;
        };
        run.is_withdrawn = true;
        for index in run.queues.values_mut().flat_map(std::mem::take) {
            let item = &mut run.items[index];
            item.state = State::Deferred;
            self.nodes[item.demand.node].waiting_weight -= u64::from(item.weight);
        }
        run.waiting_not_last = 0;
    }

    /// Removes a run with all its work, and frees its slots and leases.
    pub fn remove(&mut self, run: RunKey) {
        self.withdraw(run);
        let items = self.runs.get(&run).map_or(0, |run| run.items.len());
        for index in 0..items {
            let id = WorkId { run, index };
            self.free_slots(id, State::Finished);
            self.release(id);
        }
        self.runs.remove(&run);
    }

    /// The number of running pieces of work, over all runs.
    pub fn running(&self) -> usize {
        self.usage.total()
    }

    /// The number of queued pieces of work over all runs, without deferred ones.
    pub fn waiting(&self) -> usize {
        let queues = self.runs.values().flat_map(|run| run.queues.values());
        queues.map(VecDeque::len).sum()
    }

    /// Sets the state of a piece of work and frees its slots; returns whether it was running.
    fn free_slots(&mut self, id: WorkId, next: State) -> bool {
        let Some(run) = self.runs.get_mut(&id.run) else {
            return false;
        };
        let item = &mut run.items[id.index];
        let was_running = item.state == State::Running;
        item.state = next;
        if was_running {
            self.usage.remove(&item.demand);
            run.usage.remove(&item.demand);
        }
        was_running
    }

    /// Ends the lease of the guest, if this piece of work holds it.
    fn release(&mut self, id: WorkId) {
        let run = self.runs.get_mut(&id.run);
        if let Some(item) = run.map(|run| &mut run.items[id.index])
            && std::mem::take(&mut item.has_lease)
        {
            self.leases.remove(&item.guest);
        }
    }
}

/// The index of a name; a new name gets the next index.
fn intern(indexes: &mut HashMap<String, usize>, name: &str) -> usize {
    let next = indexes.len();
    *indexes.entry(name.to_owned()).or_insert(next)
}

#[expect(clippy::cast_precision_loss, reason = "weights are far below 2^52")]
fn count(weight: u64) -> f64 {
    weight as f64
}

#[cfg(test)]
mod tests;
