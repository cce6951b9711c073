// SPDX-License-Identifier: GPL-3.0-only
//! Figures derived from the simulator's journal.
//!
//! **Lower bound.** A task occupies a slot of its node from the arrival of its POST or DELETE until
//! the task has ended and the request is answered, whichever is later. A node needs at least the
//! sum of its occupied time, divided by its slots. The same applies to each shared storage and to
//! the whole run, with their limits, and to each guest with one slot, because a guest's steps are
//! sequential. The bound is the largest of these values: no schedule within the limits can be
//! faster with these tasks.
//!
//! **Delay.** The time from the end of a task until the client knows it: until the response to the
//! first poll that arrived later, of the task itself or of its node's task list.

use std::collections::{BTreeMap, HashMap, HashSet};

use pve_sim::journal::{Entry, Request, Task};

use crate::world::GuestLocation;

/// Maximum number of concurrent tasks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slots {
    /// In the whole run.
    pub(crate) total: f64,
    /// Per node.
    pub(crate) per_node: f64,
    /// Per shared storage.
    pub(crate) per_storage: f64,
}

impl Slots {
    /// The program's defaults.
    pub(crate) const DEFAULT: Self = Self {
        total: 48.0,
        per_node: 2.0,
        per_storage: 24.0,
    };
    /// One guest at a time.
    pub(crate) const ONE: Self = Self {
        total: 1.0,
        per_node: 1.0,
        per_storage: 1.0,
    };
}

/// The figures of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Figures {
    /// All requests.
    pub(crate) requests: usize,
    /// Requests that poll tasks.
    pub(crate) polls: usize,
    /// Opened connections.
    pub(crate) connections: usize,
    /// Successful tasks.
    pub(crate) tasks: usize,
    /// Lower bound for the duration of the tasks, in seconds.
    pub(crate) bound: f64,
    /// Lower bound of the slowest node alone, in seconds.
    pub(crate) node_bound: f64,
    /// Median delay, in seconds.
    pub(crate) delay: f64,
    /// Median of the delays divided by the durations of their tasks.
    pub(crate) delay_share: f64,
}

/// Computes the figures of a journal.
pub(crate) fn read(
    entries: &[Entry],
    guests: &BTreeMap<u32, GuestLocation>,
    slots: Slots,
) -> Figures {
    let requests: Vec<&Request> = entries.iter().filter_map(request).collect();
    let tasks: Vec<&Task> = entries.iter().filter_map(task).collect();
    let connections: HashSet<u64> = requests.iter().map(|request| request.connection).collect();
    let polls = polls_by_target(&requests);
    let delays: Vec<(f64, f64)> = tasks
        .iter()
        .filter_map(|task| {
            let targets = [task.upid.as_str(), task.node.as_str()];
            let polls = targets.into_iter().filter_map(|target| polls.get(target));
            let known = known_at(polls.flatten(), task.moment.at)?;
            let delay = known - task.moment.at;
            Some((delay, delay / task.seconds.max(0.001)))
        })
        .collect();
    let occupied = occupied(&requests, &tasks);
    let (bound, node_bound) = bound(&occupied, guests, slots);
    Figures {
        requests: requests.len(),
        polls: polls.values().map(Vec::len).sum(),
        connections: connections.len(),
        tasks: tasks
            .iter()
            .filter(|task| task.exitstatus.as_deref() == Some("OK"))
            .count(),
        bound,
        node_bound,
        delay: median(delays.iter().map(|(delay, _)| *delay)),
        delay_share: median(delays.iter().map(|(_, share)| *share)),
    }
}

/// The median; for an even number of values, the upper one of the two.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn request(entry: &Entry) -> Option<&Request> {
    match entry {
        Entry::Request(request) => Some(request),
        Entry::Mutation(_) | Entry::Task(_) => None,
    }
}

fn task(entry: &Entry) -> Option<&Task> {
    match entry {
        Entry::Task(task) => Some(task),
        Entry::Request(_) | Entry::Mutation(_) => None,
    }
}

/// The polls per task and per task list of a node: times of arrival and response.
fn polls_by_target<'a>(requests: &[&'a Request]) -> HashMap<&'a str, Vec<(f64, f64)>> {
    let mut polls: HashMap<&str, Vec<(f64, f64)>> = HashMap::new();
    for request in requests.iter().filter(|request| request.method == "GET") {
        if let Some(target) = target_of(&request.path) {
            let at = request.moment.at;
            polls
                .entry(target)
                .or_default()
                .push((at, at + request.seconds));
        }
    }
    polls
}

/// The task or node that a request polls.
fn target_of(path: &str) -> Option<&str> {
    let path = path.split('?').next()?;
    let (_, location) = path.split_once("/nodes/")?;
    let (node, rest) = location.split_once('/')?;
    match rest {
        "tasks" => Some(node),
        _ => rest.strip_prefix("tasks/")?.strip_suffix("/status"),
    }
}

fn known_at<'a>(polls: impl Iterator<Item = &'a (f64, f64)>, end: f64) -> Option<f64> {
    let after = polls.filter(|(arrived, _)| *arrived >= end);
    after.map(|(_, answered)| *answered).min_by(f64::total_cmp)
}

/// How long each task occupied its slot, with the VMID of its guest.
fn occupied(requests: &[&Request], tasks: &[&Task]) -> Vec<(u32, f64)> {
    let mut writes: HashMap<u32, Vec<&Request>> = HashMap::new();
    for request in requests {
        if matches!(request.method.as_str(), "POST" | "DELETE")
            && let Some(vmid) = guest_of(&request.path)
        {
            writes.entry(vmid).or_default().push(request);
        }
    }
    let occupied = tasks.iter().filter_map(|task| {
        let vmid = task.vmid?;
        let (started, ended) = (task.moment.at - task.seconds, task.moment.at);
        // A task's request is the last one for its guest that arrived before the task started.
        let request = writes
            .get(&vmid)?
            .iter()
            .rfind(|request| request.moment.at <= started + 0.001)?;
        let answered = request.moment.at + request.seconds;
        Some((vmid, ended.max(answered) - request.moment.at))
    });
    occupied.collect()
}

fn guest_of(path: &str) -> Option<u32> {
    let mut parts = path.split(['/', '?']);
    parts.find(|part| matches!(*part, "qemu" | "lxc"))?;
    parts.next()?.parse().ok()
}

/// The bound with all limits, and the bound of the slowest node alone.
fn bound(
    occupied: &[(u32, f64)],
    guests: &BTreeMap<u32, GuestLocation>,
    slots: Slots,
) -> (f64, f64) {
    let mut nodes: HashMap<&str, f64> = HashMap::new();
    let mut storages: HashMap<&str, f64> = HashMap::new();
    let mut each: HashMap<u32, f64> = HashMap::new();
    for (vmid, seconds) in occupied {
        let Some(location) = guests.get(vmid) else {
            continue;
        };
        *nodes.entry(&location.node).or_default() += seconds;
        *each.entry(*vmid).or_default() += seconds;
        if let Some(storage) = &location.shared_storage {
            *storages.entry(storage).or_default() += seconds;
        }
    }
    let largest = |sums: &mut dyn Iterator<Item = f64>| sums.fold(0.0, f64::max);
    let all: f64 = occupied.iter().map(|(_, seconds)| seconds).sum();
    let node_bound = largest(&mut nodes.values().copied()) / slots.per_node;
    let bounds = [
        node_bound,
        largest(&mut storages.values().copied()) / slots.per_storage,
        largest(&mut each.values().copied()),
        all / slots.total,
    ];
    (largest(&mut bounds.into_iter()), node_bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(node: &str, storage: Option<&str>) -> GuestLocation {
        GuestLocation {
            node: node.to_owned(),
            kind: "qemu".to_owned(),
            shared_storage: storage.map(str::to_owned),
        }
    }

    fn entry(json: &str) -> Entry {
        serde_json::from_str(json).unwrap()
    }

    fn journal() -> Vec<Entry> {
        let upid = "UPID:a:1:2:3:qmsnapshot:100:x@pve:";
        vec![
            entry(
                r#"{"entry":"request","at":1.0,"epoch":0,"client":"c","connection":1,"method":"POST",
                    "path":"/api2/json/nodes/a/qemu/100/snapshot","status":200,"seconds":0.04}"#,
            ),
            entry(&format!(
                r#"{{"entry":"request","at":1.2,"epoch":0,"client":"c","connection":1,"method":"GET",
                    "path":"/api2/json/nodes/a/tasks/{upid}/status","status":200,"seconds":0.01}}"#
            )),
            entry(&format!(
                r#"{{"entry":"task","at":1.5,"epoch":0,"upid":"{upid}","node":"a","vmid":100,
                    "kind":"qmsnapshot","user":"x@pve","started":0,"seconds":0.49,"exitstatus":"OK"}}"#
            )),
            entry(&format!(
                r#"{{"entry":"request","at":1.53,"epoch":0,"client":"c","connection":2,"method":"GET",
                    "path":"/api2/json/nodes/a/tasks/{upid}/status","status":200,"seconds":0.01}}"#
            )),
        ]
    }

    #[test]
    fn a_task_occupies_its_slot_from_its_request_to_its_end() {
        let guests = BTreeMap::from([(100, location("a", None))]);
        let figures = read(&journal(), &guests, Slots::DEFAULT);
        assert_eq!(
            (figures.requests, figures.polls, figures.connections),
            (3, 2, 2)
        );
        assert_eq!(figures.tasks, 1);
        assert!((figures.bound - 0.5).abs() < 1e-9, "{figures:?}");
        assert!((figures.node_bound - 0.25).abs() < 1e-9, "{figures:?}");
        assert!((figures.delay - 0.04).abs() < 1e-9, "{figures:?}");
    }

    #[test]
    fn polls_are_distinguished_from_other_requests() {
        let check = |path: &str, expected| assert_eq!(target_of(path), expected, "{path}");
        check(
            "/api2/json/nodes/a/tasks/UPID:a:1:/status",
            Some("UPID:a:1:"),
        );
        check("/api2/json/nodes/a/tasks?source=all", Some("a"));
        check("/api2/json/nodes/a/tasks/UPID:a:1:/log", None);
        check("/api2/json/nodes/a/qemu/100/snapshot", None);
        check("/api2/json/version", None);
    }

    #[test]
    fn the_tightest_limit_determines_the_bound() {
        let guests = BTreeMap::from([
            (1, location("a", Some("ceph"))),
            (2, location("a", None)),
            (3, location("b", Some("ceph"))),
        ]);
        let occupied = [(1, 4.0), (2, 2.0), (3, 2.0)];
        let check = |total, per_node, per_storage, expected: f64| {
            let slots = Slots {
                total,
                per_node,
                per_storage,
            };
            let (found, _) = bound(&occupied, &guests, slots);
            assert!((found - expected).abs() < 1e-9, "{slots:?}: {found}");
        };
        check(9.0, 1.0, 9.0, 6.0);
        check(9.0, 2.0, 1.0, 6.0);
        check(1.0, 2.0, 2.0, 8.0);
        check(9.0, 9.0, 9.0, 4.0);
    }
}
