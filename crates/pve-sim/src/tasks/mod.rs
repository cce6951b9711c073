// SPDX-License-Identifier: GPL-3.0-only
//! Tasks: the work of PVE's workers after a call has returned a UPID.
//!
//! A task is a list of steps with a time for each. There is no background execution:
//! [`World::run_due_steps`](crate::world::World::run_due_steps) executes all steps that are due, in the order of
//! their times, before every access. A task therefore ends exactly at its simulated time.

mod configuration;
mod creation;
mod deletion;
mod power;
mod rollback;
mod runner;
mod upid;

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use serde_json::Value;

use crate::clock::Seconds;
use crate::faults::TaskFault;
use crate::journal::Action;
use crate::world::guest::GuestKind;

pub(crate) use configuration::{change_config, check_digest};
pub(crate) use creation::check_lock;
pub use upid::Upid;

/// The action of a task on its guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Takes a snapshot.
    Create {
        /// Its name.
        name: String,
        /// Its description, as sent.
        description: Option<String>,
        /// Whether to save the RAM, if the guest is running.
        vmstate: bool,
    },
    /// Removes a snapshot.
    Delete {
        /// Its name.
        name: String,
        /// Whether to ignore errors of the storage.
        force: bool,
    },
    /// Rolls back to a snapshot.
    Rollback {
        /// Its name.
        name: String,
        /// Whether to start the guest afterwards.
        start: bool,
    },
    /// Starts the guest.
    Start,
    /// Stops the guest.
    Stop,
    /// Shuts the guest down.
    Shutdown,
    /// Shuts the guest down and starts it again.
    Reboot,
    /// Resets a virtual machine.
    Reset,
    /// Pauses the guest.
    Suspend {
        /// Whether to save the RAM and end the process.
        to_disk: bool,
    },
    /// Resumes a paused guest.
    Resume,
    /// Changes options in a virtual machine's configuration.
    Configure {
        /// The changes.
        changes: Vec<ConfigChange>,
        /// The digest that the caller expects.
        digest: Option<String>,
    },
}

/// An option and its new value; `None` removes it.
pub type ConfigChange = (String, Option<Value>);

impl Work {
    /// The worker type in the UPID.
    pub fn type_name(&self, guest: GuestKind) -> String {
        let prefix = match guest {
            GuestKind::Qemu => "qm",
            GuestKind::Lxc => "vz",
        };
        let action = match self {
            Self::Create { .. } => "snapshot",
            Self::Delete { .. } => "delsnapshot",
            Self::Rollback { .. } => "rollback",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Shutdown => "shutdown",
            Self::Reboot => "reboot",
            Self::Reset => "reset",
            Self::Suspend { to_disk: false } if guest == GuestKind::Qemu => "pause",
            Self::Suspend { .. } => "suspend",
            Self::Resume => "resume",
            Self::Configure { .. } => "config",
        };
        format!("{prefix}{action}")
    }
}

impl Work {
    /// The name of its snapshot.
    pub fn snapshot(&self) -> Option<&str> {
        match self {
            Self::Create { name, .. } | Self::Delete { name, .. } | Self::Rollback { name, .. } => {
                Some(name)
            }
            Self::Start
            | Self::Stop
            | Self::Shutdown
            | Self::Reboot
            | Self::Reset
            | Self::Suspend { .. }
            | Self::Resume
            | Self::Configure { .. } => None,
        }
    }

    /// Its action in the journal; `None`: not recorded.
    fn action(&self) -> Option<Action> {
        match self {
            Self::Create { .. } => Some(Action::Create),
            Self::Delete { .. } => Some(Action::Delete),
            Self::Rollback { .. } => Some(Action::Rollback),
            Self::Start | Self::Reboot => Some(Action::Start),
            Self::Stop | Self::Shutdown => Some(Action::Stop),
            Self::Configure { .. } => Some(Action::Configure),
            Self::Reset | Self::Suspend { .. } | Self::Resume => None,
        }
    }
}

/// The progress of a task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TaskStage {
    /// Waits for a free slot on the node.
    Queued,
    /// Tries to acquire the configuration's lock.
    Begin {
        /// Time of the first attempt.
        since: Seconds,
    },
    /// Works on the volumes.
    Volumes,
    /// Writes the result to the configuration.
    Finish,
}

/// A running or finished task.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its UPID.
    pub upid: Upid,
    /// Type of its guest.
    pub guest_kind: GuestKind,
    /// Its guest, which may not exist.
    pub vmid: u32,
    /// Its action.
    pub work: Work,
    /// Its progress.
    pub stage: TaskStage,
    /// Exact start.
    pub started: Seconds,
    /// Seconds from acquiring the lock to the end.
    pub duration: f64,
    /// Exact end; `None` while it is running.
    pub ended: Option<Seconds>,
    /// The exit status; `None` while it is running.
    pub exitstatus: Option<String>,
    /// The log, without the final line that PVE adds.
    pub log: Vec<String>,
    /// Number of logged warnings.
    pub warnings: u32,
    /// The injected fault.
    pub fault: Option<TaskFault>,
}

impl Task {
    /// The complete log, with PVE's final line.
    pub fn full_log(&self) -> Vec<String> {
        let mut lines = self.log.clone();
        match self.exitstatus.as_deref() {
            None | Some("unexpected status") => {}
            Some(exit) if exit == "OK" || exit.starts_with("WARNINGS: ") => {
                lines.push(format!("TASK {exit}"));
            }
            Some(error) => lines.push(format!("TASK ERROR: {error}")),
        }
        lines
    }
}

/// All tasks of the cluster.
#[derive(Debug, Default)]
pub struct TaskTable {
    tasks: Vec<Task>,
    by_upid: BTreeMap<String, usize>,
    /// Pending steps, the next one first.
    pending_steps: BinaryHeap<PendingStep>,
    /// Finished tasks per node, by the time they ended.
    archive: BTreeMap<String, Vec<usize>>,
    /// Unfinished tasks per node, by the time they started.
    unfinished: BTreeMap<String, BTreeSet<usize>>,
    /// Slots per node: tasks that have one, and tasks that wait for one.
    slots: BTreeMap<String, Slots>,
    sequence: u64,
}

#[derive(Debug, Default)]
struct Slots {
    busy: u32,
    waiting: VecDeque<usize>,
}

/// A step and its time; steps with equal times keep their order.
#[derive(Debug)]
struct PendingStep {
    at: Seconds,
    sequence: u64,
    task: usize,
}

impl TaskTable {
    /// The task with this UPID.
    pub fn get(&self, upid: &str) -> Option<&Task> {
        self.by_upid.get(upid).map(|index| &self.tasks[*index])
    }

    /// Finished tasks of a node, last ended first.
    pub fn finished(&self, node: &str) -> impl Iterator<Item = &Task> {
        let indexes = self.archive.get(node).into_iter().flatten().rev();
        indexes.map(|index| &self.tasks[*index])
    }

    /// Running tasks of a node, last started first.
    pub fn active(&self, node: &str) -> impl Iterator<Item = &Task> {
        let indexes = self.unfinished.get(node).into_iter().flatten().rev();
        indexes.map(|index| &self.tasks[*index])
    }

    /// All tasks, by the time they started.
    pub fn all(&self) -> &[Task] {
        &self.tasks
    }

    /// The time of the next step.
    pub fn next_step_time(&self) -> Option<Seconds> {
        self.pending_steps.peek().map(|event| event.at)
    }
}

impl Ord for PendingStep {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // Reversed, because the heap returns its greatest element first.
        other
            .at
            .total_cmp(&self.at)
            .then(other.sequence.cmp(&self.sequence))
    }
}

impl PartialOrd for PendingStep {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for PendingStep {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for PendingStep {}
