// SPDX-License-Identifier: GPL-3.0-only
//! What one guest goes through: create, then remove, with the hook around each step.
//!
//! Every path that has called the opening hook calls the closing one, whatever failed in between,
//! so that whoever paused a service in `snap-create-pre` gets the chance to resume it. A turn that
//! meets a lock can be put back and goes on later where it was.

mod removal;

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use autosnap_core::event::{Event, Failure, GuestEnd};
use autosnap_core::guest::Vmid;
use autosnap_core::name::SnapName;
use autosnap_core::plan::{
    Action, Decision, GuestPlan, NewSnapshot, Plan, Refusal, Steps, TakenSnapshot,
};
use autosnap_core::snapshot::Snapshot;
use tokio::time::Instant;

use super::operation::{End, Operation, Place};
use super::{Engine, PhaseCall, explain};
use crate::hook::Phase;
use crate::inventory;
use removal::Removals;

/// The longest pause between two tries of a locked guest.
const LONGEST_LOCK_PAUSE: Duration = Duration::from_secs(15);

/// How far, in seconds, a node's clock may be behind that of the host we talk to for the `snaptime` of
/// a new snapshot still to be believed.
const CLOCK_TOLERANCE: i64 = 300;

/// One guest on its way through its plan.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    plan: &'a Plan,
    index: usize,
    place: Place,
    stage: Stage,
    /// The snapshot that this run has taken of the guest.
    taken: Option<RunSnapshot>,
    /// The removal whose opening hook was called and whose closing one was not.
    opened_removal: Option<String>,
    /// The removals that are not settled yet, oldest first; `None` before the first.
    to_remove: Option<VecDeque<Snapshot>>,
    /// What PVE said when the turn was put back the last time.
    put_back_for: Option<String>,
    worked: Duration,
    stretch_began: Instant,
    last_stretch: Duration,
    tries: u32,
    put_back_at: Option<Instant>,
    waited: Duration,
}

/// The snapshot that this run has taken of a guest.
#[derive(Debug)]
struct RunSnapshot {
    name: SnapName,
    /// When its task was started, in seconds since the epoch by the node's clock, which dates the
    /// snapshot too; `None` if the task is not known.
    task_started: Option<i64>,
    /// When it was asked for.
    asked_at: Instant,
}

impl RunSnapshot {
    fn to_confirm(&self, engine: &Engine) -> TakenSnapshot {
        let by_host = || {
            let asked = i64::try_from(self.asked_at.elapsed().as_secs()).unwrap_or(i64::MAX);
            engine.server_time() - asked - CLOCK_TOLERANCE
        };
        TakenSnapshot {
            name: self.name.clone(),
            not_before: self.task_started.unwrap_or_else(by_host),
        }
    }
}

/// How far a turn has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    /// The opening hook was called, the snapshot is not there yet.
    Creating,
    /// The snapshot is there, or none was to be made.
    Removing,
}

/// How a stretch of a turn ended.
#[derive(Debug)]
pub(super) enum TurnEnd {
    /// The guest is done with.
    Finished(GuestEnd),
    /// It is locked and wants to queue again; what PVE said of it.
    Deferred(String),
}

impl<'a> Turn<'a> {
    pub(super) fn new(plan: &'a Plan, index: usize) -> Self {
        let guest = &plan.guests[index].guest;
        let place = Place {
            node: guest.node.clone(),
            kind: inventory::wire_kind(guest.kind),
            vmid: guest.vmid,
            followed: HashSet::new(),
            task_started: None,
            listed: None,
            look_until: None,
        };
        Self {
            plan,
            index,
            place,
            stage: Stage::New,
            taken: None,
            opened_removal: None,
            to_remove: None,
            put_back_for: None,
            worked: Duration::ZERO,
            stretch_began: Instant::now(),
            last_stretch: Duration::ZERO,
            tries: 0,
            put_back_at: None,
            waited: Duration::ZERO,
        }
    }

    pub(super) fn vmid(&self) -> Vmid {
        self.place.vmid
    }

    /// How long it held its slot, in all its stretches.
    pub(super) fn worked(&self) -> Duration {
        self.worked
    }

    /// How long it held its slot the last time.
    pub(super) fn last_stretch(&self) -> Duration {
        self.last_stretch
    }

    /// One second, then growing by half.
    pub(super) fn pause_before_next_try(&self) -> Duration {
        let growth = 1.5_f64.powi(
            i32::try_from(self.tries.saturating_sub(1))
                .unwrap_or(i32::MAX)
                .min(20),
        );
        Duration::from_secs_f64(growth).min(LONGEST_LOCK_PAUSE)
    }

    /// Ends a turn that will not be taken (any further). One that was put back has failed, and its
    /// hooks are closed.
    pub(super) async fn abandon(&mut self, engine: &Engine) -> GuestEnd {
        match &self.guest_plan().decision {
            Decision::Skip(skip) => GuestEnd::Skipped(skip.clone()),
            Decision::Refuse(refusal) => GuestEnd::Refused(refusal.clone()),
            Decision::Proceed(steps) => match self.put_back_for.take() {
                None => GuestEnd::NotReached,
                Some(cause) => {
                    self.stretch_began = Instant::now();
                    self.count_waiting();
                    self.give_up_on_lock(engine, steps, cause).await
                }
            },
        }
    }

    /// Goes as far as it can.
    pub(super) async fn take(&mut self, engine: &Engine) -> TurnEnd {
        self.stretch_began = Instant::now();
        self.tell_begin(engine);
        let plan = self.plan;
        let end = match &plan.guests[self.index].decision {
            Decision::Skip(skip) => TurnEnd::Finished(GuestEnd::Skipped(skip.clone())),
            Decision::Refuse(refusal) => TurnEnd::Finished(self.refuse(engine, refusal).await),
            Decision::Proceed(steps) => self.proceed(engine, steps).await,
        };
        self.last_stretch = self.stretch_began.elapsed();
        self.worked += self.last_stretch;
        if let TurnEnd::Deferred(cause) = &end {
            self.tries += 1;
            self.put_back_at = Some(Instant::now());
            self.put_back_for = Some(cause.clone());
        }
        end
    }

    fn tell_begin(&mut self, engine: &Engine) {
        if self.put_back_at.is_none() {
            engine.events.send(Event::GuestStarted(self.vmid()));
            return;
        }
        self.count_waiting();
        engine.events.send(Event::GuestResumed {
            vmid: self.vmid(),
            waited: self.waited,
        });
    }

    fn count_waiting(&mut self) {
        if let Some(since) = self.put_back_at.take() {
            self.waited += since.elapsed();
        }
    }

    /// The C# tool would have tried and failed: the hooks of a failing step are due.
    async fn refuse(&self, engine: &Engine, refusal: &Refusal) -> GuestEnd {
        if refusal.counts_as_attempt()
            && let Action::Snap(creation) = &self.plan.request.action
        {
            let name = Some(creation.name.as_str());
            engine
                .phase(&self.call(Phase::SnapCreatePre, name, true, Duration::ZERO))
                .await;
            engine
                .phase(&self.call(Phase::SnapCreateAbort, name, false, Duration::ZERO))
                .await;
        }
        GuestEnd::Refused(refusal.clone())
    }

    async fn proceed(&mut self, engine: &Engine, steps: &Steps) -> TurnEnd {
        if self.tries > 0
            && let Some(lock) = engine.lock_of(&mut self.place).await
        {
            let cause = explain::locked(self.place.kind, &lock);
            if engine.may_wait_for_locks() {
                return TurnEnd::Deferred(cause);
            }
            return TurnEnd::Finished(self.give_up_on_lock(engine, steps, cause).await);
        }
        let Some(creation) = &steps.creation else {
            return match self.remove_all(engine, steps).await {
                Removals::Done | Removals::LeftOver => TurnEnd::Finished(GuestEnd::Done),
                Removals::Failed => TurnEnd::Finished(GuestEnd::Failed),
                Removals::Vetoed => TurnEnd::Finished(GuestEnd::Vetoed),
                Removals::Locked(cause) => TurnEnd::Deferred(cause),
            };
        };
        if self.stage != Stage::Removing {
            match self.create(engine, creation).await {
                Creation::Done => {}
                Creation::Ended(end) => return TurnEnd::Finished(end),
                Creation::Locked(cause) => return TurnEnd::Deferred(cause),
            }
        }
        let end = match self.remove_all(engine, steps).await {
            Removals::Done | Removals::LeftOver => GuestEnd::Done,
            Removals::Failed => GuestEnd::Failed,
            Removals::Vetoed => GuestEnd::Vetoed,
            Removals::Locked(cause) => return TurnEnd::Deferred(cause),
        };
        self.close_creation(engine, creation, end == GuestEnd::Done)
            .await;
        TurnEnd::Finished(end)
    }

    /// Nobody waits for the lock any more: the step it held up has failed.
    async fn give_up_on_lock(&mut self, engine: &Engine, steps: &Steps, cause: String) -> GuestEnd {
        let failure = explain::lock_failure(cause, Some(self.waited));
        match &steps.creation {
            Some(creation) if self.stage != Stage::Removing => {
                self.fail_creation(engine, creation, failure).await
            }
            creation => {
                self.fail_held_up_removal(engine, failure).await;
                if let Some(creation) = creation {
                    self.close_creation(engine, creation, false).await;
                }
                GuestEnd::Failed
            }
        }
    }

    async fn close_creation(&self, engine: &Engine, creation: &NewSnapshot, state: bool) {
        let name = Some(creation.name.as_str());
        let call = self.call(Phase::SnapCreatePost, name, state, self.worked_until_now());
        engine.phase(&call).await;
    }

    async fn create(&mut self, engine: &Engine, creation: &NewSnapshot) -> Creation {
        let name = creation.name.as_str();
        if self.stage == Stage::New {
            let opening = self.call(Phase::SnapCreatePre, Some(name), true, Duration::ZERO);
            self.stage = Stage::Creating;
            if !engine.phase(&opening).await {
                engine
                    .phase(&self.call(Phase::SnapCreateAbort, Some(name), false, Duration::ZERO))
                    .await;
                return Creation::Ended(GuestEnd::Vetoed);
            }
            engine.events.send(Event::CreationStarted {
                vmid: self.vmid(),
                snapshot: creation.clone(),
            });
        }
        let operation = Operation::Create(creation);
        self.place.task_started = None;
        let asked_at = Instant::now();
        match engine.carry_out(&mut self.place, &operation).await {
            End::Done(success) => {
                self.stage = Stage::Removing;
                self.taken = Some(RunSnapshot {
                    name: creation.name.clone(),
                    task_started: self.place.task_started,
                    asked_at,
                });
                engine.events.send(Event::Created {
                    vmid: self.vmid(),
                    success,
                });
                if creation.asks_for_ram && engine.lacks_ram(&mut self.place, name).await {
                    engine.events.send(Event::MissingRam {
                        vmid: self.vmid(),
                        snapshot: name.to_owned(),
                    });
                }
                Creation::Done
            }
            End::Locked(cause) if engine.may_wait_for_locks() => Creation::Locked(cause),
            End::Locked(cause) => {
                let waited = (self.tries > 0).then_some(self.waited);
                Creation::Ended(
                    self.fail_creation(engine, creation, explain::lock_failure(cause, waited))
                        .await,
                )
            }
            End::Dropped(_) => {
                Creation::Ended(self.fail_creation(engine, creation, explain::gone()).await)
            }
            End::Failed(failure) => {
                Creation::Ended(self.fail_creation(engine, creation, failure).await)
            }
        }
    }

    async fn fail_creation(
        &self,
        engine: &Engine,
        creation: &NewSnapshot,
        failure: Failure,
    ) -> GuestEnd {
        engine.events.send(Event::CreationFailed {
            vmid: self.vmid(),
            failure,
        });
        let call = self.call(
            Phase::SnapCreateAbort,
            Some(creation.name.as_str()),
            false,
            self.worked_until_now(),
        );
        engine.phase(&call).await;
        GuestEnd::Failed
    }

    fn call(
        &self,
        phase: Phase,
        snapshot: Option<&str>,
        state: bool,
        duration: Duration,
    ) -> PhaseCall {
        let guest = &self.guest_plan().guest;
        PhaseCall {
            phase,
            guest: Some(guest.clone()),
            snapshot: snapshot.map(ToOwned::to_owned),
            with_ram: self.guest_plan().saves_ram(&self.plan.request),
            state,
            duration,
        }
    }

    /// The new snapshot, which a list must contain before a snapshot is removed.
    fn taken(&self, engine: &Engine) -> Option<TakenSnapshot> {
        self.taken.as_ref().map(|taken| taken.to_confirm(engine))
    }

    fn guest_plan(&self) -> &'a GuestPlan {
        &self.plan.guests[self.index]
    }

    fn worked_until_now(&self) -> Duration {
        self.worked + self.stretch_began.elapsed()
    }
}

/// How the creation ended.
enum Creation {
    Done,
    Ended(GuestEnd),
    Locked(String),
}
