// SPDX-License-Identifier: GPL-3.0-only
//! The removals of a guest: oldest first, each confirmed by a second look, up to the first failure.

use std::time::Duration;

use autosnap_core::event::{Event, Failure, PostponeReason};
use autosnap_core::plan::{self, Confirmation, NewSnapshot, Steps};
use autosnap_core::snapshot::Snapshot;
use tokio::time::Instant;

use super::super::operation::{End, Operation};
use super::super::{Engine, explain};
use super::Turn;
use crate::hook::Phase;

/// How the removals ended.
pub(super) enum Removals {
    Done,
    /// Some were left to the next run, and nothing is wrong with that.
    LeftOver,
    Failed,
    Vetoed,
    Locked(String),
}

impl Turn<'_> {
    /// Removes what the plan names, and leaves no announced removal without its closing hook, unless
    /// the turn goes on with it later.
    pub(super) async fn remove_all(
        &mut self,
        engine: &Engine,
        steps: &Steps,
        new: Option<&NewSnapshot>,
    ) -> Removals {
        let end = self.remove_confirmed(engine, steps, new).await;
        match end {
            Removals::Locked(_) => {}
            Removals::Done | Removals::LeftOver | Removals::Failed | Removals::Vetoed => {
                self.close_removal(engine).await;
            }
        }
        end
    }

    /// Removes what a second look confirms, oldest first, up to the first failure.
    async fn remove_confirmed(
        &mut self,
        engine: &Engine,
        steps: &Steps,
        new: Option<&NewSnapshot>,
    ) -> Removals {
        let planned: Vec<&Snapshot> = steps.removals().collect();
        if planned.is_empty() {
            return Removals::Done;
        }
        if let Some(reason) = engine.removals_stopped() {
            return self.postpone(engine, planned.len(), reason);
        }
        let listed = match self.place.listed.take() {
            Some(listed) => Ok(listed),
            None => engine.list(&self.place).await,
        };
        let listed = match listed {
            Ok(listed) => listed,
            Err(failure) => {
                let name = planned[0].name.clone();
                engine.events.send(Event::RemovalFailed {
                    vmid: self.vmid(),
                    name,
                    failure,
                });
                return self.postpone(engine, planned.len(), PostponeReason::Unreadable);
            }
        };
        let policy = &self.plan.request.policy;
        let confirmations =
            plan::confirm_removals(planned, &listed, policy, new.map(|new| &new.name));
        let mut left = confirmations.len();
        for confirmation in confirmations {
            match confirmation {
                Confirmation::Drop(snapshot, reason) => {
                    engine.events.send(Event::RemovalDropped {
                        vmid: self.vmid(),
                        name: snapshot.name,
                        reason,
                    });
                }
                Confirmation::Remove(snapshot) => {
                    match self.remove(engine, &snapshot, left).await {
                        Removals::Done => {}
                        other @ (Removals::LeftOver
                        | Removals::Failed
                        | Removals::Vetoed
                        | Removals::Locked(_)) => return other,
                    }
                }
            }
            left -= 1;
        }
        Removals::Done
    }

    /// One removal; `left` counts it and those behind it.
    async fn remove(&mut self, engine: &Engine, snapshot: &Snapshot, left: usize) -> Removals {
        if let Some(reason) = engine.removals_stopped() {
            return self.postpone(engine, left, reason);
        }
        let name = snapshot.name.as_str();
        let vmid = self.vmid();
        let started = Instant::now();
        if self.opened_removal.as_deref() != Some(name) {
            if !engine
                .phase(&self.call(Phase::SnapRemovePre, Some(name), false, Duration::ZERO))
                .await
            {
                engine
                    .phase(&self.call(Phase::SnapRemoveAbort, Some(name), false, Duration::ZERO))
                    .await;
                self.postpone(engine, left, PostponeReason::Hook);
                return Removals::Vetoed;
            }
            self.opened_removal = Some(name.to_owned());
            engine.events.send(Event::RemovalStarted {
                vmid,
                name: name.to_owned(),
            });
        }
        let operation = Operation::Remove {
            name,
            force: engine.options.force_remove,
        };
        let failure = match engine.carry_out(&mut self.place, &operation).await {
            End::Done(success) => {
                engine.events.send(Event::Removed {
                    vmid,
                    name: name.to_owned(),
                    success,
                });
                self.opened_removal = None;
                engine
                    .phase(&self.call(Phase::SnapRemovePost, Some(name), true, started.elapsed()))
                    .await;
                return Removals::Done;
            }
            End::Locked(cause) if engine.may_wait_for_locks() => return Removals::Locked(cause),
            End::Locked(cause) => {
                explain::lock_failure(cause, (self.tries > 0).then_some(self.waited))
            }
            End::Failed(failure) => failure,
        };
        engine.events.send(Event::RemovalFailed {
            vmid,
            name: name.to_owned(),
            failure,
        });
        self.opened_removal = None;
        engine
            .phase(&self.call(Phase::SnapRemoveAbort, Some(name), false, started.elapsed()))
            .await;
        if left > 1 {
            self.postpone(engine, left - 1, PostponeReason::RemovalFailed);
        }
        Removals::Failed
    }

    fn postpone(&self, engine: &Engine, count: usize, reason: PostponeReason) -> Removals {
        engine.events.send(Event::RemovalsPostponed {
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

    pub(super) async fn fail_held_up_removal(
        &mut self,
        engine: &Engine,
        steps: &Steps,
        failure: Failure,
    ) {
        let Some(name) = self.opened_removal.clone() else {
            return;
        };
        let left = steps
            .removals()
            .skip_while(|snapshot| snapshot.name != name)
            .count();
        engine.events.send(Event::RemovalFailed {
            vmid: self.vmid(),
            name,
            failure,
        });
        self.close_removal(engine).await;
        if left > 1 {
            self.postpone(engine, left - 1, PostponeReason::RemovalFailed);
        }
    }

    /// Calls the closing hook of a removal that was announced and did not take place.
    async fn close_removal(&mut self, engine: &Engine) {
        if let Some(name) = self.opened_removal.take() {
            let duration = self.stretch_began.elapsed();
            let call = self.call(Phase::SnapRemoveAbort, Some(&name), false, duration);
            engine.phase(&call).await;
        }
    }
}
