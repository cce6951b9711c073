// SPDX-License-Identifier: GPL-3.0-only
//! Tasks: what PVE's workers do after a call was answered with a UPID.
//!
//! A task is a list of steps with a time for each. Nothing runs by itself:
//! [`World::settle`](crate::world::World::settle) carries out every step that
//! is due, in the order of their times, whenever somebody looks. So a task
//! ends at the moment its duration says, however late one asks.

mod configure;
mod create;
mod delete;
mod power;
mod rollback;
mod run;
mod upid;

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use serde_json::Value;

use crate::clock::Seconds;
use crate::faults::TaskFault;
use crate::journal::Action;
use crate::world::guest::GuestKind;

pub(crate) use configure::{change_config, check_digest};
pub(crate) use create::check_lock;
pub use upid::Upid;

/// What a task does to its guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Takes a snapshot.
    Create {
        /// Its name.
        name: String,
        /// Its description, as sent.
        description: Option<String>,
        /// With the RAM, if the guest runs.
        vmstate: bool,
    },
    /// Removes a snapshot.
    Delete {
        /// Its name.
        name: String,
        /// Ignore errors of the storage.
        force: bool,
    },
    /// Goes back to a snapshot.
    Rollback {
        /// Its name.
        name: String,
        /// Start the guest afterwards.
        start: bool,
    },
    /// Starts the guest.
    Start,
    /// Stops the guest.
    Stop,
    /// Asks the guest to shut down.
    Shutdown,
    /// Shuts the guest down and starts it again.
    Reboot,
    /// Resets a machine.
    Reset,
    /// Pauses the guest.
    Suspend {
        /// Saves its RAM and ends the process.
        to_disk: bool,
    },
    /// Lets a paused guest go on.
    Resume,
    /// Changes lines of a machine's configuration.
    Configure {
        /// The lines.
        changes: Vec<ConfigChange>,
        /// The configuration's digest that the caller expects.
        digest: Option<String>,
    },
}

/// A line of a configuration and its new value; none: it is removed.
pub type ConfigChange = (String, Option<Value>);

impl Work {
    /// The type in the UPID.
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
    /// The snapshot it is about.
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

    /// What the journal calls it when it succeeds; none: it is not written down.
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

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stage {
    /// The node has no free slot yet.
    Queued,
    /// Takes the configuration's lock, waiting since then.
    Begin {
        /// When it first tried.
        since: Seconds,
    },
    /// Works on the volumes.
    Volumes,
    /// Writes the result into the configuration.
    Finish,
}

/// A running or finished task.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its name.
    pub upid: Upid,
    /// Kind of its guest.
    pub guest_kind: GuestKind,
    /// Its guest, which need not exist.
    pub vmid: u32,
    /// What it does.
    pub work: Work,
    /// How far it is.
    pub stage: Stage,
    /// Exact start.
    pub started: Seconds,
    /// Seconds from taking the lock to the end.
    pub duration: f64,
    /// Exact end; none while it runs.
    pub ended: Option<Seconds>,
    /// How it ended; none while it runs.
    pub exitstatus: Option<String>,
    /// Lines of its log, without the last one that PVE adds.
    pub log: Vec<String>,
    /// Number of warnings it logged.
    pub warnings: u32,
    /// What goes wrong with it on purpose.
    pub fault: Option<TaskFault>,
}

impl Task {
    /// All lines of the log, with PVE's last one.
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
    /// Steps to come, the next one first.
    events: BinaryHeap<Event>,
    /// Finished tasks by node, in the order they ended.
    archive: BTreeMap<String, Vec<usize>>,
    /// Unfinished tasks by node, in the order they started.
    unfinished: BTreeMap<String, BTreeSet<usize>>,
    /// Tasks under way by node: in a slot, and waiting for one.
    slots: BTreeMap<String, Slots>,
    sequence: u64,
}

#[derive(Debug, Default)]
struct Slots {
    busy: u32,
    waiting: VecDeque<usize>,
}

/// A step that is due at a time; equal times in the order they were planned.
#[derive(Debug)]
struct Event {
    at: Seconds,
    sequence: u64,
    task: usize,
}

impl TaskTable {
    /// A task by its UPID.
    pub fn get(&self, upid: &str) -> Option<&Task> {
        self.by_upid.get(upid).map(|index| &self.tasks[*index])
    }

    /// Finished tasks of a node, the latest end first.
    pub fn finished(&self, node: &str) -> impl Iterator<Item = &Task> {
        let indexes = self.archive.get(node).into_iter().flatten().rev();
        indexes.map(|index| &self.tasks[*index])
    }

    /// Running tasks of a node, the latest start first.
    pub fn active(&self, node: &str) -> impl Iterator<Item = &Task> {
        let indexes = self.unfinished.get(node).into_iter().flatten().rev();
        indexes.map(|index| &self.tasks[*index])
    }

    /// All tasks in the order of their start.
    pub fn all(&self) -> &[Task] {
        &self.tasks
    }

    /// When the next step is due.
    pub fn next_event(&self) -> Option<Seconds> {
        self.events.peek().map(|event| event.at)
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // The heap gives the greatest first; the earliest is wanted.
        other
            .at
            .total_cmp(&self.at)
            .then(other.sequence.cmp(&self.sequence))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Event {}
