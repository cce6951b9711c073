// SPDX-License-Identifier: GPL-3.0-only
//! Carries out a plan: as much at once as the limits allow, each guest's steps one after the other.
//!
//! `schedule` (in the core) says who may start, `turn` is what one guest goes through,
//! `operation` is the only place from which a creation or removal is sent, `phases` calls the
//! hook, `failures` turns PVE's replies into failures with remedies.
//!
//! Limits: it prints nothing and decides nothing about snapshots. It can leave out what the plan
//! names, and cannot do what it does not name.

mod failures;
mod operation;
mod pace;
mod phases;
mod pve_messages;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use autosnap_core::event::{EventKind, PostponeReason};
use autosnap_core::guest::Vmid;
use autosnap_core::plan::{GuestPlan, Plan};
use autosnap_core::schedule::{Limits, Order, Schedule, Work, WorkId};
use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use pve_client::{Client, Upid};
use tokio::time::Instant;

use crate::events::Events;
use crate::inventory;
use crate::stop::StopSignal;
pub(crate) use operation::concerns_all;
use pace::Pace;
pub use phases::{PhaseCall, Phases};
pub(crate) use pve_messages::is_quorum_lost;
use turn::{Turn, TurnEnd};

/// How a plan is carried out.
#[derive(Debug, Clone)]
pub struct Options {
    /// How much may run at once.
    pub limits: Limits,
    /// How long to wait for each task.
    pub timeout: Duration,
    /// Remove with `force=1`.
    pub force_remove: bool,
    /// How long after the start locked guests are tried again; `None`: they fail at once.
    pub wait_locked: Option<Duration>,
    /// How long a guest is tried again while other snapshot tasks hold it, counted from the first try
    /// that met such a lock; `None`: it fails at once.
    pub wait_snapshot_lock: Option<Duration>,
    /// How long after the start removals are still begun; `None`: as long as it takes.
    pub removal_budget: Option<Duration>,
    /// The user or token, as PVE writes it into the tasks it starts for us.
    pub identity: String,
    /// The shared storages of the cluster, whose guests count for the limit per storage.
    pub shared_storages: Vec<String>,
    /// The zone whose hours and days the keep rules count.
    pub zone: TimeZone,
}

/// Carries out plans against one cluster.
#[derive(Debug)]
pub struct Engine {
    client: Client,
    options: Options,
    phases: Phases,
    events: Events,
    stop: StopSignal,
    tasks: Tasks,
    pace: Pace,
    deadline_for_locks: Option<Instant>,
    deadline_for_removals: Option<Instant>,
}

/// The tasks that a run has started and that are not known to have ended. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Tasks(Arc<Mutex<BTreeMap<Vmid, Upid>>>);

impl Tasks {
    /// Their UPIDs.
    pub fn running(&self) -> Vec<Upid> {
        self.lock().values().cloned().collect()
    }

    fn started(&self, vmid: Vmid, upid: &Upid) {
        self.lock().insert(vmid, upid.clone());
    }

    fn ended(&self, vmid: Vmid) {
        self.lock().remove(&vmid);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Vmid, Upid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// An engine whose clock for `wait_locked` and `removal_budget` starts now.
    pub fn new(
        client: Client,
        options: Options,
        phases: Phases,
        events: Events,
        stop: StopSignal,
        tasks: Tasks,
    ) -> Self {
        let now = Instant::now();
        let deadline_for_locks = options.wait_locked.map(|wait| now + wait);
        let deadline_for_removals = options.removal_budget.map(|budget| now + budget);
        Self {
            client,
            options,
            phases,
            events,
            stop,
            tasks,
            pace: Pace::default(),
            deadline_for_locks,
            deadline_for_removals,
        }
    }

    /// Carries out the plan. All it has to tell, it tells as events; every guest of the plan gets
    /// its [`EventKind::GuestFinished`], whatever happens.
    pub async fn run(&self, plan: &Plan) {
        let work: Vec<Work> = plan.guests.iter().map(|guest| self.work(guest)).collect();
        // Removals that are left over each time must not be those of the same guests each time.
        let order = match self.options.removal_budget {
            None => Order::AsGiven,
            Some(_) => Order::HeaviestFirst,
        };
        let mut floor = Floor {
            engine: self,
            schedule: Schedule::new(self.options.limits, order, &work),
            waiting: (0..plan.guests.len())
                .map(|index| Some(Turn::new(plan, index)))
                .collect(),
            running: FuturesUnordered::new(),
            deferred: BTreeSet::new(),
            last_looks: BTreeSet::new(),
        };
        floor.run().await;
        floor.finish_waiting().await;
    }

    fn work(&self, plan: &GuestPlan) -> Work {
        let (weight, with_ram, storages) = match plan.steps() {
            Some(steps) => {
                let with_ram = steps
                    .creation
                    .as_ref()
                    .is_some_and(|creation| creation.with_ram);
                let steps_to_do = steps.removals().count() + usize::from(steps.creation.is_some());
                // RAM is written out at the pace of the storage: by experience many times a disk snapshot.
                let weight = steps_to_do + if with_ram { 20 } else { 0 };
                (weight, with_ram, steps.storages.as_slice())
            }
            None => (0, false, [].as_slice()),
        };
        Work {
            node: plan.guest.node.clone(),
            shared_storages: storages
                .iter()
                .filter(|name| self.options.shared_storages.contains(name))
                .cloned()
                .collect(),
            weight: u32::try_from(weight).unwrap_or(u32::MAX),
            with_ram,
            goes_last: plan.was_locked(),
        }
    }

    /// See [`inventory::server_time`].
    fn server_time(&self) -> Timestamp {
        inventory::server_time(&self.client)
    }

    /// The server's time in the zone of the run.
    fn now(&self) -> Zoned {
        self.server_time().to_zoned(self.options.zone.clone())
    }

    /// Why no removal may be started any more, if so.
    fn removals_stopped(&self) -> Option<PostponeReason> {
        if let Some(interruption) = self.stop.requested() {
            return Some(PostponeReason::Interrupted(interruption));
        }
        self.deadline_for_removals
            .filter(|deadline| Instant::now() >= *deadline)
            .map(|_| PostponeReason::Budget)
    }
}

type BoxFuture<'a> = Pin<Box<dyn Future<Output = (WorkId, Turn<'a>, TurnEnd)> + 'a>>;

/// The state of one run: who waits, who runs, who was put back.
struct Floor<'a> {
    engine: &'a Engine,
    schedule: Schedule,
    /// The turn of each job while it does not run; `None` while it runs and when it is over.
    waiting: Vec<Option<Turn<'a>>>,
    running: FuturesUnordered<BoxFuture<'a>>,
    /// Jobs put back for a lock or a late task, by the time of their next try.
    deferred: BTreeSet<(Instant, WorkId)>,
    /// The late tasks that were looked at when nothing else was left to do.
    last_looks: BTreeSet<(WorkId, String)>,
}

impl<'a> Floor<'a> {
    async fn run(&mut self) {
        let stop = self.engine.stop.clone();
        let mut stopping = false;
        loop {
            if !stopping && let Some(interruption) = stop.requested() {
                stopping = true;
                self.engine
                    .events
                    .emit(EventKind::Interrupted(interruption));
            }
            if !stopping {
                self.start_all_that_may();
            }
            if !stopping && self.running.is_empty() {
                self.look_a_last_time();
            }
            let next_try = self
                .deferred
                .first()
                .map(|(time, _)| *time)
                .filter(|_| !stopping);
            if self.running.is_empty() && (next_try.is_none() || self.only_late_are_left()) {
                break;
            }
            tokio::select! {
                Some((job, turn, end)) = self.running.next() => self.take_back(job, turn, end),
                () = until(next_try) => self.resume_due(),
                _ = stop.wait(), if !stopping => {}
            }
        }
    }

    /// Whether all that is left to do is to wait for late tasks.
    fn only_late_are_left(&self) -> bool {
        let mut jobs = self.deferred.iter();
        jobs.all(|&(_, job)| self.late_task(job).is_some())
    }

    fn late_task(&self, job: WorkId) -> Option<String> {
        let turn = self.waiting[job].as_ref()?;
        turn.late_task().map(ToString::to_string)
    }

    /// Nothing else is left to do: looks at all late tasks now, unless the last such look has seen the same
    /// ones run.
    fn look_a_last_time(&mut self) {
        if self.deferred.is_empty() || !self.only_late_are_left() {
            return;
        }
        let jobs = self.deferred.iter().map(|&(_, job)| job);
        let late = jobs.filter_map(|job| Some((job, self.late_task(job)?)));
        let late: BTreeSet<(WorkId, String)> = late.collect();
        if late == self.last_looks {
            return;
        }
        for (job, _) in &late {
            self.schedule.resume_first(*job);
        }
        self.deferred.clear();
        self.last_looks = late;
        self.start_all_that_may();
    }

    fn start_all_that_may(&mut self) {
        while let Some(job) = self.schedule.start_next() {
            let mut turn = self.waiting[job]
                .take()
                .expect("a job that waits has its turn here");
            let engine = self.engine;
            self.running.push(Box::pin(async move {
                let end = turn.take(engine).await;
                (job, turn, end)
            }));
        }
    }

    fn take_back(&mut self, job: WorkId, turn: Turn<'a>, end: TurnEnd) {
        let vmid = turn.vmid();
        match end {
            TurnEnd::Finished(end) => {
                self.schedule.finish(job, turn.last_stretch());
                self.engine.events.emit(EventKind::GuestFinished {
                    vmid,
                    end,
                    duration: turn.worked(),
                });
            }
            TurnEnd::Deferred(wait) => {
                self.schedule.defer(job);
                let again = Instant::now() + turn.pause_before_next_try();
                self.deferred.insert((again.min(wait.until), job));
                self.waiting[job] = Some(turn);
            }
            TurnEnd::Late => {
                self.schedule.defer(job);
                let again = Instant::now() + turn.pause_before_next_look();
                self.deferred.insert((again, job));
                self.waiting[job] = Some(turn);
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

    /// The guests whose turn never came, because the run was asked to stop, and those that were
    /// put back in the middle of it, whose hooks are still to be closed.
    async fn finish_waiting(&mut self) {
        for mut turn in self.waiting.iter_mut().filter_map(Option::take) {
            let end = turn.abandon(self.engine).await;
            self.engine.events.emit(EventKind::GuestFinished {
                vmid: turn.vmid(),
                end,
                duration: turn.worked(),
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
