// SPDX-License-Identifier: GPL-3.0-only
//! Runs the guests of one run: starts those that the schedule allows, and takes them back when they are
//! finished or deferred.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use autosnap_core::event::EventKind;
use autosnap_core::plan::{GuestPlan, Plan};
use autosnap_core::schedule::{Limits, Order, Schedule, Work, WorkId};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use super::context::RunContext;
use super::guest_run::{GuestRun, SliceOutcome};

/// The end of a slice: which guest, its state, and how the slice ended.
type Slice = (WorkId, GuestRun, SliceOutcome);

/// The state of one run: which guests are waiting, running or deferred.
pub(crate) struct Executor {
    run: Arc<RunContext>,
    schedule: Schedule,
    /// Each guest while it is not running; `None` while it is running and when it is finished.
    waiting: Vec<Option<GuestRun>>,
    running: FuturesUnordered<Pin<Box<dyn Future<Output = Slice> + Send>>>,
    /// Guests deferred for a lock or a late task, by the time of their next attempt.
    deferred: BTreeSet<(Instant, WorkId)>,
    /// The late tasks that were polled when nothing else was left to do.
    last_polls: BTreeSet<(WorkId, String)>,
}

impl Executor {
    /// Queues all guests of the plan.
    pub(crate) fn new(run: RunContext, limits: Limits, plan: &Arc<Plan>) -> Self {
        let work = |guest| work(guest, &run.options.shared_storages);
        let work: Vec<Work> = plan.guests.iter().map(work).collect();
        // Removals that are left over must not be those of the same guests each time.
        let order = match run.options.removal_budget {
            None => Order::AsGiven,
            Some(_) => Order::HeaviestFirst,
        };
        Self {
            schedule: Schedule::new(limits, order, &work),
            waiting: (0..plan.guests.len())
                .map(|index| Some(GuestRun::new(Arc::clone(plan), index)))
                .collect(),
            running: FuturesUnordered::new(),
            deferred: BTreeSet::new(),
            last_polls: BTreeSet::new(),
            run: Arc::new(run),
        }
    }

    /// Carries out the plan. Results are reported as events only; each guest of the plan gets one
    /// [`EventKind::GuestFinished`].
    pub(crate) async fn carry_out(mut self) {
        self.run_all().await;
        self.abandon_waiting().await;
    }

    async fn run_all(&mut self) {
        let stop = self.run.stop.clone();
        let mut stopping = false;
        loop {
            if !stopping && let Some(reason) = stop.requested() {
                stopping = true;
                self.run.events.emit(EventKind::Interrupted(reason));
            }
            if !stopping {
                self.start_waiting();
            }
            if !stopping && self.running.is_empty() {
                self.poll_late_tasks();
            }
            let next_attempt = self
                .deferred
                .first()
                .map(|(time, _)| *time)
                .filter(|_| !stopping);
            if self.running.is_empty()
                && (next_attempt.is_none() || self.only_late_tasks_are_left())
            {
                break;
            }
            tokio::select! {
                Some((job, guest, outcome)) = self.running.next() => self.on_step_ended(job, guest, outcome),
                () = until(next_attempt) => self.resume_due(),
                _ = stop.wait(), if !stopping => {}
            }
        }
    }

    /// Whether all deferred guests wait for late tasks.
    fn only_late_tasks_are_left(&self) -> bool {
        let mut jobs = self.deferred.iter();
        jobs.all(|&(_, job)| self.late_task(job).is_some())
    }

    fn late_task(&self, job: WorkId) -> Option<String> {
        let guest = self.waiting[job].as_ref()?;
        guest.late_task().map(ToString::to_string)
    }

    /// Polls all late tasks at once if nothing else is left to do, unless the last such poll found the same ones
    /// running.
    fn poll_late_tasks(&mut self) {
        if self.deferred.is_empty() || !self.only_late_tasks_are_left() {
            return;
        }
        let jobs = self.deferred.iter().map(|&(_, job)| job);
        let late = jobs.filter_map(|job| Some((job, self.late_task(job)?)));
        let late: BTreeSet<(WorkId, String)> = late.collect();
        if late == self.last_polls {
            return;
        }
        for (job, _) in &late {
            self.schedule.resume_first(*job);
        }
        self.deferred.clear();
        self.last_polls = late;
        self.start_waiting();
    }

    fn start_waiting(&mut self) {
        while let Some(job) = self.schedule.start_next() {
            let mut guest = self.waiting[job]
                .take()
                .expect("a waiting guest is stored here");
            let run = Arc::clone(&self.run);
            self.running.push(Box::pin(async move {
                let outcome = guest.advance(&run).await;
                (job, guest, outcome)
            }));
        }
    }

    fn on_step_ended(&mut self, job: WorkId, guest: GuestRun, outcome: SliceOutcome) {
        let vmid = guest.vmid();
        match outcome {
            SliceOutcome::Finished(result) => {
                self.schedule.finish(job, guest.last_slice());
                self.run.events.emit(EventKind::GuestFinished {
                    vmid,
                    end: result,
                    duration: guest.worked(),
                });
            }
            SliceOutcome::Deferred(wait) => {
                self.schedule.defer(job);
                let again = Instant::now() + guest.pause_before_next_attempt();
                self.deferred.insert((again.min(wait.until), job));
                self.waiting[job] = Some(guest);
            }
            SliceOutcome::Late => {
                self.schedule.defer(job);
                let again = Instant::now() + guest.pause_before_next_poll();
                self.deferred.insert((again, job));
                self.waiting[job] = Some(guest);
            }
        }
    }

    fn resume_due(&mut self) {
        let now = Instant::now();
        while let Some(&(time, job)) = self.deferred.first()
            && time <= now
        {
            self.deferred.pop_first();
            if self.late_task(job).is_some() {
                self.schedule.resume_first(job);
            } else {
                self.schedule.resume(job);
            }
        }
    }

    /// Ends the guests that never started because the run was stopped, and the deferred ones, whose hooks are
    /// closed.
    async fn abandon_waiting(&mut self) {
        for mut guest in self.waiting.iter_mut().filter_map(Option::take) {
            let result = guest.abandon(&self.run).await;
            self.run.events.emit(EventKind::GuestFinished {
                vmid: guest.vmid(),
                end: result,
                duration: guest.worked(),
            });
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// The properties of a guest's steps that the schedule needs.
fn work(plan: &GuestPlan, shared_storages: &[String]) -> Work {
    let (weight, with_ram, storages) = match plan.steps() {
        Some(steps) => {
            let with_ram = steps
                .creation
                .as_ref()
                .is_some_and(|creation| creation.with_ram);
            let steps_to_do = steps.removals().count() + usize::from(steps.creation.is_some());
            // RAM is written at the speed of the storage: that takes many times as long as a disk snapshot.
            let weight = steps_to_do + if with_ram { 20 } else { 0 };
            (weight, with_ram, steps.storages.as_slice())
        }
        None => (0, false, [].as_slice()),
    };
    Work {
        node: plan.guest.node.clone(),
        shared_storages: storages
            .iter()
            .filter(|name| shared_storages.contains(name))
            .cloned()
            .collect(),
        weight: u32::try_from(weight).unwrap_or(u32::MAX),
        with_ram,
        goes_last: plan.was_locked(),
    }
}
