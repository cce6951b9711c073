// SPDX-License-Identifier: GPL-3.0-only
//! The tasks that are waited for at this moment, by node.
//!
//! Tasks that run on one node at the same time are looked at together: one listing of the node's
//! tasks tells of all of them, and whoever waits for one of them is told. So a node is asked as
//! often as for a single task, however many run there.
//!
//! PVE brings the listing up to date when a worker ends (`PVE/RESTEnvironment.pm`,
//! `log_task_result`). Only the pvedaemon worker that started the task notices that at once; when
//! that one has retired meanwhile, the listing may say `RUNNING` for up to ten seconds more. So it
//! is never the only thing that is believed: see `Turn` in `wait`.
//!
//! Limits: it sends nothing itself; `wait` does.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::types::{TaskEntry, TaskFilter, TaskSource, TaskStatus};
use crate::upid::Upid;

/// All tasks that are waited for through one client.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<HashMap<String, Node>>);

/// Those on one node.
#[derive(Debug, Default)]
struct Node {
    waiting: Vec<Waiting>,
    /// Since when somebody lists its tasks.
    listed_since: Option<Instant>,
    /// This node does not list its tasks for us.
    is_closed: bool,
}

#[derive(Debug)]
struct Waiting {
    task: Upid,
    sender: watch::Sender<Option<Sight>>,
}

/// What a look saw of a task.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    pub(crate) status: TaskStatus,
    /// When the look was sent, and how long its answer took.
    pub(crate) sent: Instant,
    pub(crate) took: Duration,
}

/// A place among those who wait; leaving it takes the task off the list.
pub(crate) struct Place<'a> {
    watch: &'a Watch,
    task: &'a Upid,
    sights: watch::Receiver<Option<Sight>>,
}

/// Who may list the tasks of a node now.
pub(crate) enum Listing<'a> {
    /// The caller, with this filter, for all who wait there.
    Mine(Lister<'a>, TaskFilter),
    /// Somebody does since this moment, and will tell.
    UnderWay(Instant),
    /// Nobody: only one task is waited for, or the node gives no list.
    NotWorthwhile,
}

/// The right to list; whoever holds it is the only one for that node.
pub(crate) struct Lister<'a> {
    watch: &'a Watch,
    node: &'a str,
}

impl Watch {
    /// Joins those who wait for a task on its node.
    pub(crate) fn join<'a>(&'a self, task: &'a Upid) -> Place<'a> {
        let (sender, sights) = watch::channel(None);
        let waiting = Waiting {
            task: task.clone(),
            sender,
        };
        let mut nodes = self.lock();
        let node = nodes.entry(task.node().to_owned()).or_default();
        node.waiting.push(waiting);
        drop(nodes);
        Place {
            watch: self,
            task,
            sights,
        }
    }

    /// A panic elsewhere cannot leave these lists half changed.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Node>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Place<'a> {
    /// What another one's look has seen of this task.
    pub(crate) async fn sight(&mut self) -> Sight {
        loop {
            if self.sights.changed().await.is_err() {
                // The sender lives as long as this place.
                std::future::pending::<()>().await;
            }
            if let Some(sight) = self.sights.borrow_and_update().clone() {
                return sight;
            }
        }
    }

    /// What a look sent at this moment or later has seen of this task, if one has.
    pub(crate) fn latest(&mut self, not_before: Instant) -> Option<Sight> {
        let sight = self.sights.borrow_and_update().clone();
        sight.filter(|sight| sight.sent >= not_before)
    }

    /// Asks for the right to look at all tasks of this one's node.
    pub(crate) fn listing(&self) -> Listing<'a> {
        let mut nodes = self.watch.lock();
        let Some(node) = nodes.get_mut(self.task.node()) else {
            return Listing::NotWorthwhile;
        };
        if let Some(since) = node.listed_since {
            return Listing::UnderWay(since);
        }
        if node.is_closed || node.waiting.len() < 2 {
            return Listing::NotWorthwhile;
        }
        node.listed_since = Some(Instant::now());
        // Running ones come first, then those that ended last.
        let count = u32::try_from(node.waiting.len()).unwrap_or(u32::MAX);
        let filter = TaskFilter {
            source: TaskSource::All,
            since: node.waiting.iter().map(|one| one.task.started_at()).min(),
            limit: Some(count.saturating_mul(2).saturating_add(8)),
            ..TaskFilter::default()
        };
        let lister = Lister {
            watch: self.watch,
            node: self.task.node(),
        };
        Listing::Mine(lister, filter)
    }
}

impl Lister<'_> {
    /// The node to list.
    pub(crate) fn node(&self) -> &str {
        self.node
    }

    /// Tells everybody on the node what the listing says of their tasks.
    pub(crate) fn tell(&self, entries: &[TaskEntry], sent: Instant) {
        let took = sent.elapsed();
        let nodes = self.watch.lock();
        let Some(node) = nodes.get(self.node) else {
            return;
        };
        for waiting in &node.waiting {
            let of_this = entries.iter().filter(|entry| entry.upid == waiting.task);
            // For a moment a task may stand in both halves of the list; its end is the newer news.
            let status = of_this
                .map(|entry| &entry.status)
                .reduce(|one, other| match one {
                    TaskStatus::Running => other,
                    TaskStatus::Stopped(_) => one,
                });
            if let Some(status) = status {
                let sight = Sight {
                    status: status.clone(),
                    sent,
                    took,
                };
                waiting.sender.send_replace(Some(sight));
            }
        }
    }

    /// Nobody needs to ask this node for its list again.
    pub(crate) fn close(&self) {
        if let Some(node) = self.watch.lock().get_mut(self.node) {
            node.is_closed = true;
        }
    }
}

impl Drop for Lister<'_> {
    fn drop(&mut self) {
        if let Some(node) = self.watch.lock().get_mut(self.node) {
            node.listed_since = None;
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut nodes = self.watch.lock();
        if let Some(node) = nodes.get_mut(self.task.node()) {
            node.waiting
                .retain(|waiting| !self.sights.same_channel(&waiting.sender.subscribe()));
        }
    }
}
