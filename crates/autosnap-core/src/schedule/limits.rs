// SPDX-License-Identifier: GPL-3.0-only
//! Limits of parallel work, and the slots in use.

/// The limits of parallel work. Zero in any field counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Parallel guests in total.
    pub total: usize,
    /// Parallel guests on one node.
    pub per_node: usize,
    /// Parallel guests with a disk on one shared storage.
    pub per_storage: usize,
    /// Parallel snapshots with RAM on one node; they also count for `per_node`.
    pub ram_per_node: usize,
}

impl Default for Limits {
    /// 48 parallel guests, 2 per node, 24 per shared storage, one RAM snapshot per node.
    ///
    /// Two per node limit the load on its disks. The other two limits matter only in large clusters, where more than
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

impl Limits {
    /// The limits with zero replaced by one.
    pub(super) fn at_least_one(self) -> Self {
        Self {
            total: self.total.max(1),
            per_node: self.per_node.max(1),
            per_storage: self.per_storage.max(1),
            ram_per_node: self.ram_per_node.max(1),
        }
    }
}

/// The slots that a piece of work takes.
#[derive(Debug)]
pub(super) struct Demand {
    pub(super) node: usize,
    pub(super) storages: Vec<usize>,
    pub(super) with_ram: bool,
}

/// The slots in use.
#[derive(Debug, Default)]
pub(super) struct Usage {
    total: usize,
    nodes: Vec<NodeUsage>,
    storages: Vec<usize>,
}

/// The slots in use on one node.
#[derive(Debug, Clone, Copy, Default)]
struct NodeUsage {
    running: usize,
    running_ram: usize,
}

impl Usage {
    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// Whether the node has a free slot.
    pub(super) fn has_slot_on(&self, node: usize, limits: &Limits) -> bool {
        self.node(node).running < limits.per_node
    }

    /// Whether the slots for RAM and for the storages are free, on a node with a free slot.
    pub(super) fn has_room(&self, demand: &Demand, limits: &Limits) -> bool {
        let waits_for_ram =
            demand.with_ram && self.node(demand.node).running_ram >= limits.ram_per_node;
        let running = |&storage: &usize| self.storages.get(storage).copied().unwrap_or(0);
        let mut storages = demand.storages.iter().map(running);
        !waits_for_ram && storages.all(|running| running < limits.per_storage)
    }

    pub(super) fn add(&mut self, demand: &Demand) {
        self.total += 1;
        let node = at(&mut self.nodes, demand.node);
        node.running += 1;
        node.running_ram += usize::from(demand.with_ram);
        for &storage in &demand.storages {
            *at(&mut self.storages, storage) += 1;
        }
    }

    pub(super) fn remove(&mut self, demand: &Demand) {
        self.total -= 1;
        let node = at(&mut self.nodes, demand.node);
        node.running -= 1;
        node.running_ram -= usize::from(demand.with_ram);
        for &storage in &demand.storages {
            *at(&mut self.storages, storage) -= 1;
        }
    }

    fn node(&self, node: usize) -> NodeUsage {
        self.nodes.get(node).copied().unwrap_or_default()
    }
}

/// The entry with this index; the list grows if it is too short.
fn at<T: Clone + Default>(list: &mut Vec<T>, index: usize) -> &mut T {
    if list.len() <= index {
        list.resize(index + 1, T::default());
    }
    &mut list[index]
}
