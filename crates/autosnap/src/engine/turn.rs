// SPDX-License-Identifier: GPL-3.0-only
//! What one guest goes through: create, then remove, with the hook around each step.
//!
//! Every path that has called the opening hook calls the closing one, whatever failed in between,
//! so that whoever paused a service in `snap-create-pre` gets the chance to resume it. A turn that
//! meets a lock can be put back and goes on later where it was.

mod late;
mod lock;
mod overdue;
mod removal;

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use autosnap_core::event::{EventKind, Failure, GuestResult};
use autosnap_core::guest::Vmid;
use autosnap_core::name::SnapName;
use autosnap_core::plan::{
    Action, Decision, GuestPlan, NewSnapshot, Plan, Refusal, Steps, TakenSnapshot,
};
use autosnap_core::snapshot::Snapshot;
use tokio::time::Instant;

use super::operation::{End, LateTask, Operation, Place};
use super::{Engine, PhaseCall, failures};
use crate::hook::Phase;
use crate::inventory;
pub(super) use lock::Wait;
use overdue::OverdueStop;
use removal::Removals;

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
    /// Why a removal before the creation has not taken place: the others wait for the next run.
    overdue_stop: Option<OverdueStop>,
    /// The removals that are not settled yet, oldest first; `None` before the first.
    to_remove: Option<VecDeque<Snapshot>>,
    /// What PVE said when the turn was put back the last time.
    put_back_for: Option<String>,
    /// Until when it is put back for the locks of other snapshot tasks; `None` until it meets one.
    snapshot_locks_until: Option<Instant>,
    /// Its task that has outlived the time-out and is not known to have ended.
    late: Option<Box<LateTask>>,
    /// Since when it is put back for that task, and how long it was for others.
    late_since: Option<Instant>,
    late_waited: Duration,
    /// The guest's turn was reported to have come.
    has_begun: bool,
    /// The guest was reported to wait.
    is_waiting: bool,
    worked: Duration,
    stretch_began: Instant,
    last_stretch: Duration,
    /// How often it was put back for a lock since its last step.
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
            let second = engine.server_time().as_second();
            second.saturating_sub(asked).saturating_sub(CLOCK_TOLERANCE)
        };
        TakenSnapshot {
            name: self.name.clone(),
            not_before: inventory::timestamp(self.task_started.unwrap_or_else(by_host)),
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
    Finished(GuestResult),
    /// It is locked and wants to queue again.
    Deferred(Wait),
    /// Its task runs longer than the time-out: it wants to be looked at again.
    Late,
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
            overdue_stop: None,
            to_remove: None,
            put_back_for: None,
            snapshot_locks_until: None,
            late: None,
            late_since: None,
            late_waited: Duration::ZERO,
            has_begun: false,
            is_waiting: false,
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

    /// Ends a turn that will not be taken (any further). One that has called hooks has failed, and they are
    /// closed.
    pub(super) async fn abandon(&mut self, engine: &Engine) -> GuestResult {
        let plan = self.guest_plan();
        if self.late.is_some()
            && let Some(steps) = plan.steps()
        {
            return self.abandon_late(engine, steps).await;
        }
        match (&plan.decision, plan.steps()) {
            (_, Some(steps)) if self.is_open() => {
                let cause = self.put_back_for.take().unwrap_or_default();
                self.stretch_began = Instant::now();
                self.count_waiting();
                self.give_up_on_lock(engine, steps, cause).await
            }
            (Decision::Skip(skip), _) => GuestResult::Skipped(skip.clone()),
            (Decision::Refuse(refusal), _) => GuestResult::Refused(refusal.clone()),
            (Decision::Proceed(_), _) => GuestResult::NotReached,
        }
    }

    /// Goes as far as it can.
    pub(super) async fn take(&mut self, engine: &Engine) -> TurnEnd {
        self.stretch_began = Instant::now();
        if !std::mem::replace(&mut self.has_begun, true) {
            engine.events.emit(EventKind::GuestStarted(self.vmid()));
        }
        let plan = self.guest_plan();
        let end = match (&plan.decision, plan.steps()) {
            (_, Some(steps)) => self.proceed(engine, steps).await,
            (Decision::Skip(skip), None) => TurnEnd::Finished(GuestResult::Skipped(skip.clone())),
            (Decision::Refuse(refusal), None) => {
                TurnEnd::Finished(self.refuse(engine, refusal).await)
            }
            (Decision::Proceed(_), None) => TurnEnd::Finished(GuestResult::Done),
        };
        self.last_stretch = self.stretch_began.elapsed();
        self.worked += self.last_stretch;
        match &end {
            TurnEnd::Finished(_) => {}
            TurnEnd::Deferred(wait) => self.put_back(engine, wait),
            TurnEnd::Late => self.put_back_late(engine),
        }
        end
    }

    fn count_waiting(&mut self) {
        if let Some(since) = self.put_back_at.take() {
            self.waited += since.elapsed();
        }
    }

    /// The C# tool would have tried and failed: the hooks of a failing step are due.
    async fn refuse(&self, engine: &Engine, refusal: &Refusal) -> GuestResult {
        if !refusal.counts_as_attempt() {
            return GuestResult::Refused(refusal.clone());
        }
        let (before, instead, state, name) = match &self.guest_plan().action {
            Action::Snap(creation) => (
                Phase::SnapCreatePre,
                Phase::SnapCreateAbort,
                true,
                Some(creation.name.as_str()),
            ),
            Action::Clean => {
                let oldest = self
                    .guest_plan()
                    .steps()
                    .and_then(|steps| steps.removals().next());
                let name = oldest.map(|snapshot| snapshot.name.as_str());
                (Phase::SnapRemovePre, Phase::SnapRemoveAbort, false, name)
            }
        };
        if name.is_some() {
            engine
                .phase(&self.call(before, name, state, Duration::ZERO))
                .await;
            engine
                .phase(&self.call(instead, name, false, Duration::ZERO))
                .await;
        }
        GuestResult::Refused(refusal.clone())
    }

    async fn proceed(&mut self, engine: &Engine, steps: &Steps) -> TurnEnd {
        if self.late.is_some() {
            self.count_late();
        } else {
            self.count_waiting();
            if let Some(end) = self.look_at_lock(engine, steps).await {
                return end;
            }
            self.put_back_for = None;
            self.report_resumed(engine);
        }
        let Some(creation) = &steps.creation else {
            return match self.remove_all(engine, steps).await {
                Removals::Done | Removals::LeftOver => TurnEnd::Finished(GuestResult::Done),
                Removals::Failed => TurnEnd::Finished(GuestResult::Failed),
                Removals::Vetoed => TurnEnd::Finished(GuestResult::Vetoed),
                Removals::Locked(wait) => TurnEnd::Deferred(wait),
                Removals::Late => TurnEnd::Late,
            };
        };
        if self.stage == Stage::New
            && let Some(end) = self.remove_overdue(engine, steps).await
        {
            return end;
        }
        if self.stage != Stage::Removing {
            match self.create(engine, creation).await {
                Creation::Done => {}
                Creation::Ended(end) => return TurnEnd::Finished(end),
                Creation::Locked(wait) => return TurnEnd::Deferred(wait),
                Creation::Late => return TurnEnd::Late,
            }
        }
        let end = match self.remove_all(engine, steps).await {
            Removals::Done | Removals::LeftOver => GuestResult::Done,
            Removals::Failed => GuestResult::Failed,
            Removals::Vetoed => GuestResult::Vetoed,
            Removals::Locked(wait) => return TurnEnd::Deferred(wait),
            Removals::Late => return TurnEnd::Late,
        };
        self.close_creation(engine, creation, end == GuestResult::Done)
            .await;
        TurnEnd::Finished(end)
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
                return Creation::Ended(GuestResult::Vetoed);
            }
            engine.events.emit(EventKind::CreationStarted {
                vmid: self.vmid(),
                snapshot: creation.clone(),
            });
        }
        let operation = Operation::Create(creation);
        let asked_at = match &self.late {
            Some(late) => late.asked_at(),
            None => Instant::now(),
        };
        let end = if let Some(late) = self.late.take() {
            self.look_at_late(engine, &operation, late).await
        } else {
            self.place.task_started = None;
            engine.carry_out(&mut self.place, &operation).await
        };
        match end {
            End::Done(success) => {
                self.stage = Stage::Removing;
                self.made_progress();
                self.taken = Some(RunSnapshot {
                    name: creation.name.clone(),
                    task_started: self.place.task_started,
                    asked_at,
                });
                engine.events.emit(EventKind::Created {
                    vmid: self.vmid(),
                    success,
                });
                if creation.requests_ram && engine.lacks_ram(&mut self.place, name).await {
                    engine.events.emit(EventKind::MissingRam {
                        vmid: self.vmid(),
                        snapshot: name.to_owned(),
                    });
                }
                Creation::Done
            }
            End::Locked(cause) => match self.wait_for(engine, cause) {
                Ok(wait) => Creation::Locked(wait),
                Err(failure) => {
                    Creation::Ended(self.fail_creation(engine, creation, failure).await)
                }
            },
            End::Dropped(_) => Creation::Ended(
                self.fail_creation(engine, creation, failures::removed_by_other_program())
                    .await,
            ),
            End::Late(late) => {
                self.late = Some(late);
                Creation::Late
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
    ) -> GuestResult {
        engine.events.emit(EventKind::CreationFailed {
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
        GuestResult::Failed
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
            with_ram: self.guest_plan().saves_ram(),
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
    Ended(GuestResult),
    Locked(Wait),
    Late,
}
