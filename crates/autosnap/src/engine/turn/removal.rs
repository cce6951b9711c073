// SPDX-License-Identifier: GPL-3.0-only
//! The removals of a guest: oldest first, each confirmed by a second look, up to the first failure.

use std::collections::VecDeque;
use std::time::Duration;

use autosnap_core::event::{EventKind, Failure, GuestResult, PostponeReason};
use autosnap_core::plan::{self, DropReason, Steps, TakenSnapshot};
use autosnap_core::snapshot::Snapshot;
use jiff::Zoned;
use tokio::time::Instant;

use super::super::operation::{End, LateTask, Operation};
use super::super::{Engine, failures};
use super::{OverdueStop, Stage, Turn, Wait};
use crate::hook::Phase;

/// How the removals ended.
pub(super) enum Removals {
    Done,
    /// Some were left to the next run, and nothing is wrong with that.
    LeftOver,
    Failed,
    Vetoed,
    Locked(Wait),
    Late,
}

impl<'a> Turn<'a> {
    /// Removes what the plan names, and leaves no announced removal without its closing hook, unless
    /// the turn goes on with it later.
    pub(super) async fn remove_all(&mut self, engine: &Engine, steps: &Steps) -> Removals {
        let end = self.remove_confirmed(engine, steps).await;
        match end {
            Removals::Locked(_) | Removals::Late => {}
            Removals::Done | Removals::LeftOver | Removals::Failed | Removals::Vetoed => {
                self.close_removal(engine).await;
            }
        }
        end
    }

    /// Removes what a second look confirms, oldest first, up to the first failure.
    async fn remove_confirmed(&mut self, engine: &Engine, steps: &Steps) -> Removals {
        match self.overdue_stop {
            Some(OverdueStop::Failed) => return Removals::Failed,
            Some(OverdueStop::Vetoed) => return Removals::Vetoed,
            None => {}
        }
        self.queue_removals(steps);
        while let Some(snapshot) = self.next_removal() {
            if self.late.is_none()
                && let Some(reason) = engine.removals_stopped()
            {
                return self.postpone(engine, self.left(), reason);
            }
            match self.remove_or_look(engine, &snapshot).await {
                Removals::Done => self.removal_is_settled(),
                other @ (Removals::LeftOver
                | Removals::Failed
                | Removals::Vetoed
                | Removals::Locked(_)
                | Removals::Late) => return other,
            }
        }
        Removals::Done
    }

    /// Removes it, or looks how its removal has ended that was late.
    pub(super) async fn remove_or_look(
        &mut self,
        engine: &Engine,
        snapshot: &Snapshot,
    ) -> Removals {
        match self.late.take() {
            Some(late) => self.look_at_late_removal(engine, snapshot, late).await,
            None => self.remove(engine, snapshot).await,
        }
    }

    pub(super) fn removal_is_settled(&mut self) {
        self.to_remove.as_mut().and_then(VecDeque::pop_front);
    }

    pub(super) fn queue_removals(&mut self, steps: &Steps) {
        if self.to_remove.is_none() {
            self.to_remove = Some(steps.removals().cloned().collect());
        }
    }

    pub(super) fn next_removal(&self) -> Option<Snapshot> {
        self.to_remove.as_ref()?.front().cloned()
    }

    /// How many removals are not settled yet.
    pub(super) fn left(&self) -> usize {
        self.to_remove.as_ref().map_or(0, VecDeque::len)
    }

    /// One removal. It is confirmed right before it is sent: a list that a hook or a wait has made
    /// old is not trusted.
    async fn remove(&mut self, engine: &Engine, snapshot: &Snapshot) -> Removals {
        let name = snapshot.name.as_str();
        if let Some(end) = self.leave_out_unconfirmed(engine, snapshot).await {
            return end;
        }
        let started = Instant::now();
        if self.opened_removal.as_deref() != Some(name) {
            if !self.open_removal(engine, name).await {
                self.postpone(engine, self.left(), PostponeReason::Hook);
                return Removals::Vetoed;
            }
            if engine.has_hook() {
                self.place.listed = None;
                if let Some(end) = self.leave_out_unconfirmed(engine, snapshot).await {
                    return end;
                }
            }
        }
        let taken = self.taken(engine);
        let now = engine.now();
        let operation = self.removal(engine, snapshot, taken.as_ref(), &now);
        let end = engine.carry_out(&mut self.place, &operation).await;
        self.settle(engine, name, end, started).await
    }

    async fn look_at_late_removal(
        &mut self,
        engine: &Engine,
        snapshot: &Snapshot,
        late: Box<LateTask>,
    ) -> Removals {
        let started = late.asked_at();
        let taken = self.taken(engine);
        let now = engine.now();
        let operation = self.removal(engine, snapshot, taken.as_ref(), &now);
        let end = self.look_at_late(engine, &operation, late).await;
        self.settle(engine, &snapshot.name, end, started).await
    }

    fn removal<'b>(
        &self,
        engine: &Engine,
        snapshot: &'b Snapshot,
        new: Option<&'b TakenSnapshot>,
        now: &'b Zoned,
    ) -> Operation<'b>
    where
        'a: 'b,
    {
        Operation::Remove {
            snapshot,
            policy: &self.guest_plan().policy,
            new,
            now,
            force: engine.options.force_remove,
            and_list: self.left() > 1 && !engine.has_hook(),
        }
    }

    /// Looks again; `None` if the removal still holds.
    async fn leave_out_unconfirmed(
        &mut self,
        engine: &Engine,
        snapshot: &Snapshot,
    ) -> Option<Removals> {
        let listed = match engine.list(&mut self.place).await {
            Ok(listed) => listed,
            Err(failure) => return Some(self.fail(engine, &snapshot.name, failure).await),
        };
        let policy = &self.guest_plan().policy;
        let (new, now) = (self.taken(engine), engine.now());
        let confirmed = plan::confirm_removal(snapshot, &listed, policy, new.as_ref(), &now);
        let reason = confirmed.err()?;
        Some(
            self.drop_removal(engine, snapshot.name.clone(), reason)
                .await,
        )
    }

    async fn open_removal(&mut self, engine: &Engine, name: &str) -> bool {
        let opening = self.call(Phase::SnapRemovePre, Some(name), false, Duration::ZERO);
        if !engine.phase(&opening).await {
            let closing = self.call(Phase::SnapRemoveAbort, Some(name), false, Duration::ZERO);
            engine.phase(&closing).await;
            return false;
        }
        self.opened_removal = Some(name.to_owned());
        engine.events.emit(EventKind::RemovalStarted {
            vmid: self.vmid(),
            name: name.to_owned(),
        });
        true
    }

    async fn settle(
        &mut self,
        engine: &Engine,
        name: &str,
        end: End,
        started: Instant,
    ) -> Removals {
        let vmid = self.vmid();
        match end {
            End::Done(success) => {
                engine.events.emit(EventKind::Removed {
                    vmid,
                    name: name.to_owned(),
                    success,
                });
                self.opened_removal = None;
                self.made_progress();
                let call = self.call(Phase::SnapRemovePost, Some(name), true, started.elapsed());
                engine.phase(&call).await;
                Removals::Done
            }
            End::Dropped(reason) => self.drop_removal(engine, name.to_owned(), reason).await,
            End::Locked(cause) => match self.wait_for(engine, cause) {
                Ok(wait) => Removals::Locked(wait),
                Err(failure) => self.fail(engine, name, failure).await,
            },
            End::Failed(failure) => self.fail(engine, name, failure).await,
            End::Late(late) => {
                self.late = Some(late);
                Removals::Late
            }
        }
    }

    /// Leaves out a removal that no longer holds. If the guest's list does not show the snapshot that this
    /// run has taken, the guest has failed.
    async fn drop_removal(
        &mut self,
        engine: &Engine,
        name: String,
        reason: DropReason,
    ) -> Removals {
        if reason.is_failure() {
            let new = self.taken.as_ref().map_or("", |taken| taken.name.as_str());
            let failure =
                failures::new_snapshot_not_confirmed((self.vmid(), &self.place.node), new, reason);
            return self.fail(engine, &name, failure).await;
        }
        engine.events.emit(EventKind::RemovalDropped {
            vmid: self.vmid(),
            name,
            reason,
        });
        self.close_removal(engine).await;
        Removals::Done
    }

    /// The removal at the head has failed; those behind it wait for the next run.
    async fn fail(&mut self, engine: &Engine, name: &str, failure: Failure) -> Removals {
        engine.events.emit(EventKind::RemovalFailed {
            vmid: self.vmid(),
            name: name.to_owned(),
            failure,
        });
        self.close_removal(engine).await;
        if self.left() > 1 {
            self.postpone(engine, self.left() - 1, PostponeReason::RemovalFailed);
        }
        Removals::Failed
    }

    pub(super) fn postpone(
        &self,
        engine: &Engine,
        count: usize,
        reason: PostponeReason,
    ) -> Removals {
        engine.events.emit(EventKind::RemovalsPostponed {
            vmid: self.vmid(),
            count,
            reason,
        });
        if reason.is_failure() {
            Removals::Failed
        } else {
            Removals::LeftOver
        }
    }

    /// The guest has failed for a removal that is not waited for any more. A creation before it is closed.
    pub(super) async fn end_with_held_up_removal(
        &mut self,
        engine: &Engine,
        steps: &Steps,
        failure: Failure,
    ) -> GuestResult {
        self.fail_held_up_removal(engine, steps, failure).await;
        if let Some(creation) = &steps.creation
            && self.stage == Stage::Removing
        {
            self.close_creation(engine, creation, false).await;
        }
        GuestResult::Failed
    }

    /// Nobody waits any more for the lock that has held up the removal at the head. If its opening hook
    /// was not called yet, it is now.
    pub(super) async fn fail_held_up_removal(
        &mut self,
        engine: &Engine,
        steps: &Steps,
        failure: Failure,
    ) {
        self.queue_removals(steps);
        let Some(snapshot) = self.next_removal() else {
            return;
        };
        let is_open = self.opened_removal.as_ref() == Some(&snapshot.name);
        if is_open || self.open_removal(engine, &snapshot.name).await {
            self.fail(engine, &snapshot.name, failure).await;
        } else {
            engine.events.emit(EventKind::RemovalFailed {
                vmid: self.vmid(),
                name: snapshot.name,
                failure,
            });
        }
    }

    /// Calls the closing hook of a removal that was announced and did not take place.
    pub(super) async fn close_removal(&mut self, engine: &Engine) {
        if let Some(name) = self.opened_removal.take() {
            let duration = self.stretch_began.elapsed();
            let call = self.call(Phase::SnapRemoveAbort, Some(&name), false, duration);
            engine.phase(&call).await;
        }
    }
}
