// SPDX-License-Identifier: GPL-3.0-only
//! Starts, executes and stops tasks.

use crate::clock::{Seconds, whole};
use crate::faults::{TaskFacts, TaskFault, TaskStep};
use crate::journal;
use crate::world::guest::GuestKind;
use crate::world::{ErrorText, World};

use super::{
    PendingStep, Task, TaskStage, Upid, Work, configuration, creation, deletion, power, rollback,
};

/// The result of a step.
pub(super) enum StepResult {
    /// Continue at this time with this stage.
    Next(Seconds, TaskStage),
    /// The task has ended: successfully, or with PVE's error text.
    Done(Result<(), ErrorText>),
}

/// The result of an attempt to lock a configuration.
enum LockAttempt {
    /// The lock was acquired.
    Taken,
    /// Try again at this time.
    Wait(Seconds),
    /// PVE's error text after a timeout.
    TimedOut(ErrorText),
}

/// The status of a task whose worker disappeared.
pub(super) const VANISHED: &str = "unexpected status";

impl World {
    /// Starts a task and returns its UPID. Steps that are due immediately are executed before this
    /// returns.
    pub fn start_task(
        &mut self,
        guest_kind: GuestKind,
        node: &str,
        vmid: u32,
        who: &str,
        work: Work,
    ) -> String {
        self.run_due_steps();
        let upid = self.fork_task(guest_kind, node, vmid, who, work, self.now());
        self.run_due_steps();
        upid
    }

    /// Starts a task at this time, which may be in the middle of another task's step.
    pub(super) fn fork_task(
        &mut self,
        guest_kind: GuestKind,
        node: &str,
        vmid: u32,
        who: &str,
        work: Work,
        now: Seconds,
    ) -> String {
        let mut task = self.new_task(guest_kind, node, vmid, who, work, now);
        task.fault = self.faults.for_task(&TaskFacts {
            kind: &task.upid.kind,
            node,
            vmid: Some(vmid),
            snapname: task.work.snapshot(),
        });
        if let Some(TaskFault::Duration(seconds)) = &task.fault {
            task.duration = seconds.get();
        }
        let upid = task.upid.to_string();
        let index = self.tasks.tasks.len();
        self.tasks.by_upid.insert(upid.clone(), index);
        self.tasks.tasks.push(task);
        self.tasks
            .unfinished
            .entry(node.to_owned())
            .or_default()
            .insert(index);
        self.enter_slot(node, index, now);
        upid
    }

    /// Executes all steps that are due.
    pub fn run_due_steps(&mut self) {
        let now = self.now();
        while self.tasks.next_step_time().is_some_and(|at| at <= now) {
            if let Some(event) = self.tasks.pending_steps.pop() {
                self.run_step(event.task, event.at);
            }
        }
    }

    /// Stops a task like `DELETE /nodes/{node}/tasks/{upid}`: the worker gets a signal and cleans
    /// up as PVE's code does.
    pub fn interrupt_task(&mut self, upid: &str) {
        self.run_due_steps();
        let Some(&index) = self.tasks.by_upid.get(upid) else {
            return;
        };
        let task = &self.tasks.tasks[index];
        if task.ended.is_some() {
            return;
        }
        let now = self.now();
        let text = match (task.stage, &task.work) {
            (TaskStage::Begin { .. }, _) => {
                let file = task.guest_kind.lock_file(task.vmid);
                format!("can't lock file '{file}' - received interrupt")
            }
            (TaskStage::Volumes | TaskStage::Finish, Work::Create { .. }) => {
                creation::clean_up(self, index);
                "received interrupt ".to_owned()
            }
            (TaskStage::Queued | TaskStage::Volumes | TaskStage::Finish, _) => {
                "received interrupt".to_owned()
            }
        };
        self.end_task(index, now, Err(text));
    }

    /// Kills a task's worker: it neither cleans up nor logs.
    pub fn kill_task(&mut self, upid: &str) -> bool {
        self.run_due_steps();
        let Some(&index) = self.tasks.by_upid.get(upid) else {
            return false;
        };
        if self.tasks.tasks[index].ended.is_none() {
            let now = self.now();
            self.end_with(index, now, VANISHED.to_owned());
        }
        true
    }

    /// Calls `action` when the configuration's lock file is free; waits for it up to PVE's timeout.
    pub(super) fn with_lock(
        &mut self,
        index: usize,
        since: Seconds,
        at: Seconds,
        action: impl FnOnce(&mut Self) -> Result<StepResult, ErrorText>,
    ) -> StepResult {
        match self.lock_config(index, since, at) {
            LockAttempt::Taken => action(self).unwrap_or_else(|text| StepResult::Done(Err(text))),
            LockAttempt::Wait(until) => StepResult::Next(until, TaskStage::Begin { since }),
            LockAttempt::TimedOut(text) => StepResult::Done(Err(text)),
        }
    }

    fn lock_config(&mut self, index: usize, since: Seconds, at: Seconds) -> LockAttempt {
        let task = &mut self.tasks.tasks[index];
        let held = self
            .guests
            .get(&task.vmid)
            .map_or(0.0, |guest| guest.held_until);
        let waiting = task.log.last().is_some_and(|line| line == TRYING);
        if held <= at {
            if let (true, Some(line)) = (waiting, task.log.last_mut()) {
                line.push_str(" OK");
            }
            return LockAttempt::Taken;
        }
        if !waiting {
            task.log.push(TRYING.to_owned());
        }
        let deadline = since + self.timing.lock_wait();
        if at >= deadline {
            let file = task.guest_kind.lock_file(task.vmid);
            return LockAttempt::TimedOut(format!("can't lock file '{file}' - got timeout"));
        }
        LockAttempt::Wait(held.min(deadline))
    }

    /// Fails like a write to `/etc/pve` without quorum.
    pub(super) fn check_quorum(&self, index: usize) -> Result<(), ErrorText> {
        let task = &self.tasks.tasks[index];
        if self.quorate {
            return Ok(());
        }
        let file = task.guest_kind.config_file(&task.upid.node, task.vmid);
        let pid = task.upid.pid;
        Err(format!(
            "unable to open file '/etc/pve/{file}.tmp.{pid}' - Permission denied"
        ))
    }

    pub(super) fn log(&mut self, index: usize, line: impl Into<String>) {
        self.tasks.tasks[index].log.push(line.into());
    }

    pub(super) fn task(&self, index: usize) -> &Task {
        &self.tasks.tasks[index]
    }

    /// Adds the tasks that are still running to the journal.
    pub(crate) fn record_unfinished(&mut self) {
        self.run_due_steps();
        for index in 0..self.tasks.tasks.len() {
            if self.task(index).ended.is_none() {
                self.record_task(index);
            }
        }
    }

    fn record_task(&self, index: usize) {
        let task = self.task(index);
        let end = task.ended.unwrap_or_else(|| self.now());
        self.journal.record(journal::Entry::Task(journal::Task {
            moment: self.moment(end),
            upid: task.upid.to_string(),
            node: task.upid.node.clone(),
            vmid: Some(task.vmid),
            kind: task.upid.kind.clone(),
            user: task.upid.user.clone(),
            started: whole(task.started),
            seconds: end - task.started,
            exitstatus: task.exitstatus.clone(),
        }));
    }

    fn new_task(
        &self,
        guest_kind: GuestKind,
        node: &str,
        vmid: u32,
        who: &str,
        work: Work,
        now: Seconds,
    ) -> Task {
        let sequence = self.tasks.tasks.len();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "hundredths of a second since the start, a small positive number"
        )]
        let pstart = ((now - self.clock.start()) * 100.0) as u64 + 100_000;
        let upid = Upid {
            node: node.to_owned(),
            pid: 10_000 + u32::try_from(sequence).unwrap_or(u32::MAX - 10_000),
            pstart: pstart & 0xF_FFFF_FFFF,
            starttime: whole(self.node_time(node, now)),
            kind: work.type_name(guest_kind),
            id: vmid.to_string(),
            user: who.to_owned(),
        };
        Task {
            upid,
            guest_kind,
            vmid,
            duration: self.duration_of(node, vmid, &work),
            work,
            stage: TaskStage::Queued,
            started: now,
            ended: None,
            exitstatus: None,
            log: Vec::new(),
            warnings: 0,
            fault: None,
        }
    }

    fn duration_of(&self, node: &str, vmid: u32, work: &Work) -> f64 {
        let own = self
            .guests
            .get(&vmid)
            .map(|guest| guest.task_seconds)
            .unwrap_or_default();
        let own = match work {
            Work::Create { .. } => own.create,
            Work::Delete { .. } => own.delete,
            Work::Rollback { .. }
            | Work::Start
            | Work::Stop
            | Work::Shutdown
            | Work::Reboot
            | Work::Reset
            | Work::Suspend { .. }
            | Work::Resume
            | Work::Configure { .. } => None,
        };
        let slowness = self.nodes.get(node).map_or(1.0, |node| node.slowness);
        own.unwrap_or(self.timing.task_seconds) * slowness
    }

    fn enter_slot(&mut self, node: &str, index: usize, at: Seconds) {
        let limit = self.nodes.get(node).and_then(|node| node.task_slots);
        let slots = self.tasks.slots.entry(node.to_owned()).or_default();
        if limit.is_some_and(|limit| slots.busy >= limit) {
            slots.waiting.push_back(index);
            return;
        }
        slots.busy += 1;
        self.schedule(index, at, TaskStage::Begin { since: at });
    }

    fn schedule(&mut self, index: usize, at: Seconds, stage: TaskStage) {
        self.tasks.tasks[index].stage = stage;
        self.tasks.sequence += 1;
        let sequence = self.tasks.sequence;
        self.tasks.pending_steps.push(PendingStep {
            at,
            sequence,
            task: index,
        });
    }

    fn run_step(&mut self, index: usize, at: Seconds) {
        let task = &self.tasks.tasks[index];
        if task.ended.is_some() {
            return;
        }
        if let Some(exit) = fault_at_stage(task) {
            self.end_with(index, at, exit);
            return;
        }
        let step = match task.work.clone() {
            Work::Create {
                name,
                description,
                vmstate,
            } => creation::step(self, index, at, &name, description.as_deref(), vmstate),
            Work::Delete { name, force } => deletion::step(self, index, at, &name, force),
            Work::Rollback { name, start } => rollback::step(self, index, at, &name, start),
            Work::Configure { changes, digest } => {
                configuration::step(self, index, at, &changes, digest.as_deref())
            }
            Work::Start
            | Work::Stop
            | Work::Shutdown
            | Work::Reboot
            | Work::Reset
            | Work::Suspend { .. }
            | Work::Resume => power::step(self, index, at),
        };
        match step {
            StepResult::Next(next, stage) => self.schedule(index, next.max(at), stage),
            StepResult::Done(result) => self.end_task(index, at, result),
        }
    }

    fn end_task(&mut self, index: usize, at: Seconds, result: Result<(), ErrorText>) {
        if let (Ok(()), Some(TaskFault::Warn(count))) = (&result, self.task(index).fault.clone()) {
            for _ in 0..count.get() {
                self.log(index, "WARN: this warning was ordered");
            }
            self.tasks.tasks[index].warnings += count.get();
        }
        if result.is_ok() {
            let task = self.task(index);
            let upid = Some(task.upid.to_string());
            if let Some(action) = task.work.action() {
                self.record_mutation(at, action, task.vmid, task.work.snapshot(), upid);
            }
        }
        let exit = match (result, self.task(index).warnings) {
            (Err(text), _) => text,
            (Ok(()), 0) => "OK".to_owned(),
            (Ok(()), count) => format!("WARNINGS: {count}"),
        };
        self.end_with(index, at, exit);
    }

    fn end_with(&mut self, index: usize, at: Seconds, exit: String) {
        let queued = self.task(index).stage == TaskStage::Queued;
        let task = &mut self.tasks.tasks[index];
        task.ended = Some(at);
        task.exitstatus = Some(exit);
        self.record_task(index);
        let task = self.task(index);
        let node = task.upid.node.clone();
        self.tasks
            .archive
            .entry(node.clone())
            .or_default()
            .push(index);
        self.tasks
            .unfinished
            .entry(node.clone())
            .or_default()
            .remove(&index);
        let slots = self.tasks.slots.entry(node.clone()).or_default();
        if queued {
            slots.waiting.retain(|waiting| *waiting != index);
            return;
        }
        slots.busy = slots.busy.saturating_sub(1);
        if let Some(next) = slots.waiting.pop_front() {
            self.enter_slot(&node, next, at);
        }
    }
}

/// `PVE/Tools.pm` prints this before it waits for a lock file.
const TRYING: &str = "trying to acquire lock...";

/// The error text if a fault ends the task at its current stage.
fn fault_at_stage(task: &Task) -> Option<ErrorText> {
    let fault = task.fault.as_ref()?;
    let beginning = matches!(task.stage, TaskStage::Begin { .. });
    let vanishes = match fault {
        TaskFault::Fail(text) => return beginning.then(|| text.clone()),
        TaskFault::Vanish => beginning,
        TaskFault::Warn(_) | TaskFault::Duration(_) => false,
        TaskFault::AbortAt(step) => match step {
            TaskStep::Lock => beginning,
            // PVE writes the lock and the new section together.
            TaskStep::Prepare => beginning && matches!(task.work, Work::Create { .. }),
            // `delete` handles this fault, between two writes of one step.
            TaskStep::DeleteState => false,
            TaskStep::Volumes => task.stage == TaskStage::Volumes,
            TaskStep::Commit => {
                task.stage == TaskStage::Finish && matches!(task.work, Work::Create { .. })
            }
            TaskStep::Cleanup => {
                task.stage == TaskStage::Finish && matches!(task.work, Work::Delete { .. })
            }
        },
    };
    vanishes.then(|| VANISHED.to_owned())
}
