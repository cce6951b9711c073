// SPDX-License-Identifier: GPL-3.0-only
//! The executor of one run: advances the guests that the schedule has started, and keeps the deferred ones until their
//! next attempt.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use autosnap_core::event::{EventKind, GuestResult};
use autosnap_core::plan::{GuestPlan, Plan};
use autosnap_core::schedule::{Limits, Order, Work};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use super::context::RunContext;
use super::guest_run::{GuestRun, SliceOutcome};
use super::work_queue::{Resume, RunWork, WorkQueue};
use crate::panics::{self, Panic};

/// The end of a slice: the index of the guest, its state, and how the slice ended.
type Slice = (usize, GuestRun, Result<SliceOutcome, Panic>);

/// The guests of one run: queued, running or deferred.
pub(crate) struct Executor {
    run: Arc<RunContext>,
    work: RunWork,
    /// Each guest that is queued or deferred; `None` while it is running and after it is finished.
    waiting: Vec<Option<GuestRun>>,
    /// The number of queued guests.
    queued: usize,
    running: FuturesUnordered<Pin<Box<dyn Future<Output = Slice> + Send>>>,
    /// Guests deferred for a lock or a late task, by the time of their next attempt.
    deferred: BTreeSet<(Instant, usize)>,
    /// The late tasks that were polled last when nothing else was left to do.
    last_polled: BTreeSet<(usize, String)>,
    /// The first panic of a guest's steps.
    panic: Option<Panic>,
}

impl Executor {
    /// Queues all guests of the plan. `limits` apply to this run, in addition to those of the queue.
    pub(crate) fn new(
        run: RunContext,
        queue: &WorkQueue,
        limits: Limits,
        plan: &Arc<Plan>,
    ) -> Self {
        let work = |guest| work(guest, &run.options.shared_storages);
        let work: Vec<Work> = plan.guests.iter().map(work).collect();
        // Otherwise the removals of the same guests would be left over each time.
        let order = match run.options.execution.removal_budget {
            None => Order::AsGiven,
            Some(_) => Order::HeaviestFirst,
        };
        Self {
            work: queue.enqueue(limits, order, &work),
            queued: work.len(),
            waiting: (0..plan.guests.len())
                .map(|index| Some(GuestRun::new(Arc::clone(plan), index)))
                .collect(),
            running: FuturesUnordered::new(),
            deferred: BTreeSet::new(),
            last_polled: BTreeSet::new(),
            panic: None,
            run: Arc::new(run),
        }
    }

    /// Carries out the plan. Results are reported as events; each guest of the plan gets one
    /// [`EventKind::GuestFinished`].
    ///
    /// The error is a panic. If it was in a guest's steps, that guest has failed, and all others are finished. After
    /// any other panic, the started guests are finished and no more are started.
    pub(crate) async fn carry_out(mut self) -> Result<(), Panic> {
        if let Err(panic) = panics::catch(self.run_all()).await {
            self.panic.get_or_insert(panic);
            // The schedule may have panicked: a second panic must not keep the started guests from their end.
            let _ = panics::catch(async { self.work.withdraw() }).await;
            self.finish_started().await;
        }
        self.abandon_waiting().await;
        self.panic.map_or(Ok(()), Err)
    }

    /// Waits for the started guests. Those that would be deferred are abandoned.
    async fn finish_started(&mut self) {
        while let Some((index, guest, outcome)) = self.running.next().await {
            let failed = || SliceOutcome::Finished(GuestResult::Failed);
            match self.unless_panicked(&guest, outcome, failed) {
                SliceOutcome::Finished(result) => report_finished(&self.run, &guest, result),
                SliceOutcome::Deferred(_) | SliceOutcome::Late => self.waiting[index] = Some(guest),
            }
        }
    }

    async fn run_all(&mut self) {
        let stop = self.run.stop.clone();
        let mut stopping = false;
        loop {
            if !stopping && let Some(reason) = stop.requested() {
                stopping = true;
                self.work.withdraw();
                self.run.events.emit(EventKind::Stopped(reason));
            }
            self.advance_started();
            if !stopping && self.running.is_empty() && self.queued == 0 {
                self.poll_late_tasks();
            }
            let next_attempt = self
                .deferred
                .first()
                .map(|(time, _)| *time)
                .filter(|_| !stopping);
            let has_queued = !stopping && self.queued > 0;
            if self.running.is_empty()
                && !has_queued
                && (next_attempt.is_none() || self.only_late_tasks_are_left())
            {
                break;
            }
            tokio::select! {
                Some((index, guest, outcome)) = self.running.next() => {
                    self.on_step_ended(index, guest, outcome);
                }
                index = self.work.next_started(), if !stopping => self.start(index),
                () = sleep_until(next_attempt) => self.resume_due(),
                _ = stop.wait(), if !stopping => {}
            }
        }
    }

    /// Whether all deferred guests wait for late tasks.
    fn only_late_tasks_are_left(&self) -> bool {
        let mut guests = self.deferred.iter();
        guests.all(|&(_, index)| self.late_task(index).is_some())
    }

    fn late_task(&self, index: usize) -> Option<String> {
        let guest = self.waiting[index].as_ref()?;
        guest.late_task().map(ToString::to_string)
    }

    /// Polls all late tasks together if nothing else is left to do, unless the last such poll found the same ones
    /// running.
    fn poll_late_tasks(&mut self) {
        if self.deferred.is_empty() || !self.only_late_tasks_are_left() {
            return;
        }
        let guests = self.deferred.iter().map(|&(_, index)| index);
        let late = guests.filter_map(|index| Some((index, self.late_task(index)?)));
        let late: BTreeSet<(usize, String)> = late.collect();
        if late == self.last_polled {
            return;
        }
        self.deferred.clear();
        self.queued += late.len();
        self.work
            .resume(late.iter().map(|&(index, _)| (index, Resume::First)));
        self.last_polled = late;
        self.advance_started();
    }

    fn advance_started(&mut self) {
        while let Some(index) = self.work.try_next_started() {
            self.start(index);
        }
    }

    fn start(&mut self, index: usize) {
        let mut guest = self.waiting[index]
            .take()
            .expect("a waiting guest is stored here");
        self.queued -= 1;
        let run = Arc::clone(&self.run);
        self.running.push(Box::pin(async move {
            let outcome = panics::catch(guest.advance(&run)).await;
            if outcome.is_err() {
                close_hooks(&mut guest, &run).await;
            }
            (index, guest, outcome)
        }));
    }

    fn on_step_ended(
        &mut self,
        index: usize,
        guest: GuestRun,
        outcome: Result<SliceOutcome, Panic>,
    ) {
        let failed = || SliceOutcome::Finished(GuestResult::Failed);
        let next_attempt = match self.unless_panicked(&guest, outcome, failed) {
            SliceOutcome::Finished(result) => {
                report_finished(&self.run, &guest, result);
                #[cfg(test)]
                self.run.panic_if_requested("executor");
                self.work.finish(index, guest.last_slice());
                return;
            }
            SliceOutcome::Deferred(wait) => {
                let again = Instant::now() + guest.pause_before_next_attempt();
                again.min(wait.until)
            }
            SliceOutcome::Late => Instant::now() + guest.pause_before_next_poll(),
        };
        self.waiting[index] = Some(guest);
        self.deferred.insert((next_attempt, index));
        self.work.defer(index);
    }

    /// Returns the outcome of a guest's steps. After a panic returns `failed`, and the run reports the panic at its
    /// end.
    fn unless_panicked<T>(
        &mut self,
        guest: &GuestRun,
        outcome: Result<T, Panic>,
        failed: impl FnOnce() -> T,
    ) -> T {
        outcome.unwrap_or_else(|panic| {
            let context = format!("guest {}", guest.vmid());
            self.panic.get_or_insert(panic.with_context(&context));
            failed()
        })
    }

    fn resume_due(&mut self) {
        let now = Instant::now();
        let mut due = Vec::new();
        while let Some(&(time, index)) = self.deferred.first()
            && time <= now
        {
            self.deferred.pop_first();
            let is_late = self.late_task(index).is_some();
            due.push((index, if is_late { Resume::First } else { Resume::Last }));
        }
        self.queued += due.len();
        self.work.resume(due);
    }

    /// Ends the guests that never started because the run was stopped, and the deferred ones, whose closing hooks are
    /// called.
    async fn abandon_waiting(&mut self) {
        for index in 0..self.waiting.len() {
            let Some(mut guest) = self.waiting[index].take() else {
                continue;
            };
            let result = panics::catch(guest.abandon(&self.run)).await;
            if result.is_err() {
                close_hooks(&mut guest, &self.run).await;
            }
            let result = self.unless_panicked(&guest, result, || GuestResult::Failed);
            report_finished(&self.run, &guest, result);
            self.work.finish(index, Duration::ZERO);
        }
    }
}

fn report_finished(run: &RunContext, guest: &GuestRun, result: GuestResult) {
    run.events.emit(EventKind::GuestFinished {
        vmid: guest.vmid(),
        result,
        duration: guest.worked(),
    });
}

/// Calls the closing hooks of a guest whose steps have panicked. A second panic leaves them open.
async fn close_hooks(guest: &mut GuestRun, run: &RunContext) {
    let _ = panics::catch(guest.close_hooks(run)).await;
}

async fn sleep_until(time: Option<Instant>) {
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
        guest: plan.guest.vmid,
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
