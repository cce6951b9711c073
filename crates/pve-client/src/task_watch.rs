// SPDX-License-Identifier: GPL-3.0-only
//! Shares task lists between concurrent waits for tasks of the same node.
//!
//! One request for the node's task list observes all tasks that are waited for on that node, so the
//! number of requests does not grow with the number of tasks.
//!
//! PVE updates the list when a worker ends (`PVE/RESTEnvironment.pm`, `log_task_result`). Only the
//! pvedaemon worker that started the task notices that immediately; if that worker has retired in the
//! meantime, the list may show `RUNNING` for up to ten seconds more. So `task_wait` also polls each
//! task itself.
//!
//! Nothing is sent here; `task_wait` does that.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::types::{TaskEntry, TaskFilter, TaskSource, TaskStatus};
use crate::upid::Upid;

/// All tasks that a client and its clones wait for, by node.
#[derive(Debug, Default)]
pub(crate) struct TaskWatch(Mutex<HashMap<String, Node>>);

/// The waits for tasks of one node.
#[derive(Debug, Default)]
struct Node {
    waiters: Vec<Waiter>,
    /// When the task list in flight was requested.
    list_in_flight: Option<Instant>,
    /// The login may not read the task list of this node.
    is_list_forbidden: bool,
}

#[derive(Debug)]
struct Waiter {
    task: Upid,
    sender: watch::Sender<Option<Observation>>,
}

/// The state of a task in a reply.
#[derive(Clone, Debug)]
pub(crate) struct Observation {
    pub(crate) status: TaskStatus,
    /// When the request was sent.
    pub(crate) sent: Instant,
    /// How long the reply took.
    pub(crate) took: Duration,
}

/// Receives observations of one task; dropping it ends the wait.
pub(crate) struct Subscription<'a> {
    watch: &'a TaskWatch,
    task: &'a Upid,
    observations: watch::Receiver<Option<Observation>>,
}

/// Whether a wait may request the task list of its node.
pub(crate) enum ListAccess<'a> {
    /// Yes, with this filter, for all waits on the node.
    Granted(ListPermit<'a>, TaskFilter),
    /// Another wait has requested it at this time and will publish the observations.
    InFlight(Instant),
    /// No: only one task is waited for, or the login may not read the list.
    NotUseful,
}

/// The exclusive permission to request the task list of a node.
pub(crate) struct ListPermit<'a> {
    watch: &'a TaskWatch,
    node: &'a str,
}

impl TaskWatch {
    /// Adds a wait for this task.
    pub(crate) fn subscribe<'a>(&'a self, task: &'a Upid) -> Subscription<'a> {
        let (sender, observations) = watch::channel(None);
        let waiter = Waiter {
            task: task.clone(),
            sender,
        };
        let mut nodes = self.lock();
        let node = nodes.entry(task.node().to_owned()).or_default();
        node.waiters.push(waiter);
        drop(nodes);
        Subscription {
            watch: self,
            task,
            observations,
        }
    }

    /// A panic in another thread cannot leave the map inconsistent.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Node>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Subscription<'a> {
    /// Waits for the next observation of this task that another wait publishes.
    pub(crate) async fn next(&mut self) -> Observation {
        loop {
            if self.observations.changed().await.is_err() {
                // The sender lives as long as this subscription.
                std::future::pending::<()>().await;
            }
            if let Some(observation) = self.observations.borrow_and_update().clone() {
                return observation;
            }
        }
    }

    /// The last published observation, if its request was sent at this time or later.
    pub(crate) fn latest_since(&mut self, not_before: Instant) -> Option<Observation> {
        let observation = self.observations.borrow_and_update().clone();
        observation.filter(|observation| observation.sent >= not_before)
    }

    /// Tries to get the permission to request the task list of the node.
    pub(crate) fn list_access(&self) -> ListAccess<'a> {
        let mut nodes = self.watch.lock();
        let Some(node) = nodes.get_mut(self.task.node()) else {
            return ListAccess::NotUseful;
        };
        if let Some(since) = node.list_in_flight {
            return ListAccess::InFlight(since);
        }
        if node.is_list_forbidden || node.waiters.len() < 2 {
            return ListAccess::NotUseful;
        }
        node.list_in_flight = Some(Instant::now());
        // Running tasks come first, then those that ended last.
        let count = u32::try_from(node.waiters.len()).unwrap_or(u32::MAX);
        let filter = TaskFilter {
            source: TaskSource::All,
            since: node.waiters.iter().map(|one| one.task.started_at()).min(),
            limit: Some(count.saturating_mul(2).saturating_add(8)),
            ..TaskFilter::default()
        };
        let permit = ListPermit {
            watch: self.watch,
            node: self.task.node(),
        };
        ListAccess::Granted(permit, filter)
    }
}

impl ListPermit<'_> {
    /// The node whose list is requested.
    pub(crate) fn node(&self) -> &str {
        self.node
    }

    /// Sends the states in the list to all waits on the node.
    pub(crate) fn publish(&self, entries: &[TaskEntry], sent: Instant) {
        let took = sent.elapsed();
        let nodes = self.watch.lock();
        let Some(node) = nodes.get(self.node) else {
            return;
        };
        for waiter in &node.waiters {
            let of_task = entries.iter().filter(|entry| entry.upid == waiter.task);
            // For a moment a task may be listed twice, as running and as ended: the end is newer.
            let status = of_task
                .map(|entry| &entry.status)
                .reduce(|one, other| match one {
                    TaskStatus::Running => other,
                    TaskStatus::Stopped(_) => one,
                });
            if let Some(status) = status {
                let observation = Observation {
                    status: status.clone(),
                    sent,
                    took,
                };
                waiter.sender.send_replace(Some(observation));
            }
        }
    }

    /// Records that the login may not read the task list of this node.
    pub(crate) fn forbid_list(&self) {
        if let Some(node) = self.watch.lock().get_mut(self.node) {
            node.is_list_forbidden = true;
        }
    }
}

impl Drop for ListPermit<'_> {
    fn drop(&mut self) {
        if let Some(node) = self.watch.lock().get_mut(self.node) {
            node.list_in_flight = None;
        }
    }
}

impl Drop for Subscription<'_> {
    fn drop(&mut self) {
        let mut nodes = self.watch.lock();
        if let Some(node) = nodes.get_mut(self.task.node()) {
            node.waiters
                .retain(|waiter| !self.observations.same_channel(&waiter.sender.subscribe()));
        }
    }
}
