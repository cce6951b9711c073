// SPDX-License-Identifier: GPL-3.0-only
//! Guests that are locked: which locks are waited for, how long, and what becomes of the guest when
//! its time is up.
//!
//! A guest that was locked when it was read is looked at once more when its turn comes, before any
//! hook is called for it, so that nobody pauses a service for a snapshot that cannot be taken yet.

use std::time::Duration;

use autosnap_core::event::{EventKind, Failure, GuestResult, WaitReason};
use autosnap_core::plan::{Decision, Refusal, Steps};
use tokio::time::Instant;

use super::super::{Engine, failures, pve_messages};
use super::{Phase, Stage, Turn, TurnEnd};
use crate::inventory::Lock;

/// The longest pause between two tries of a locked guest.
const LONGEST_LOCK_PAUSE: Duration = Duration::from_secs(15);

/// A lock that is waited for.
#[derive(Debug)]
pub(in crate::engine) struct Wait {
    /// What PVE says of it.
    cause: String,
    /// Until when the guest is tried again.
    pub(in crate::engine) until: Instant,
}

impl Turn<'_> {
    /// One second, then growing by half.
    pub(in crate::engine) fn pause_before_next_try(&self) -> Duration {
        let growth = 1.5_f64.powi(
            i32::try_from(self.tries.saturating_sub(1))
                .unwrap_or(i32::MAX)
                .min(20),
        );
        Duration::from_secs_f64(growth).min(LONGEST_LOCK_PAUSE)
    }

    /// Reads the lock of a guest that was locked when it was read, or has met a lock since. Returns how
    /// the turn ends if the guest is still locked.
    pub(super) async fn look_at_lock(&mut self, engine: &Engine, steps: &Steps) -> Option<TurnEnd> {
        let was_locked = self.guest_plan().was_locked() && !self.has_changed_anything();
        if self.put_back_for.is_none() && !was_locked {
            return None;
        }
        let lock = engine.lock_of(&mut self.place).await?;
        let (lock, refusal) = self.refusal_by(engine, lock).await?;
        let cause = pve_messages::locked(self.place.kind, &lock);
        if matches!(refusal, Refusal::Locked(_))
            && let Some(until) = self.waits_until(engine, &cause)
        {
            return Some(TurnEnd::Deferred(Wait { cause, until }));
        }
        self.report_resumed(engine);
        let has_waited = !self.waited.is_zero() || self.is_open();
        Some(TurnEnd::Finished(if has_waited {
            self.give_up_on_lock(engine, steps, cause).await
        } else {
            self.refuse(engine, &refusal).await
        }))
    }

    /// What the lock means to a guest; `None` if it is unlocked by now. One that was stuck when it was read
    /// is not waited for if no task is seen and the lock is still the same afterwards: a task that ended
    /// just before the tasks were listed has changed the guest by then.
    async fn refusal_by(&mut self, engine: &Engine, lock: Lock) -> Option<(String, Refusal)> {
        if let Decision::Refuse(stuck @ Refusal::Stuck { lock: planned, .. }) =
            &self.guest_plan().decision
            && *planned == lock.name
            && self.put_back_for.is_none()
            && !engine.task_runs(&self.place).await
        {
            let lock_now = engine.lock_of(&mut self.place).await?;
            let refusal = if lock_now == lock {
                stuck.clone()
            } else {
                Refusal::Locked(lock_now.name.clone())
            };
            return Some((lock_now.name, refusal));
        }
        Some((lock.name.clone(), Refusal::Locked(lock.name)))
    }

    /// A step that has met this lock: whether the turn is put back, or has failed for it.
    pub(super) fn wait_for(&mut self, engine: &Engine, cause: String) -> Result<Wait, Failure> {
        if let Some(until) = self.waits_until(engine, &cause) {
            return Ok(Wait { cause, until });
        }
        let waited = Some(self.waited).filter(|waited| !waited.is_zero());
        Err(failures::locked(cause, waited))
    }

    /// Until when the guest may be tried again; `None` if it must not be.
    fn waits_until(&mut self, engine: &Engine, cause: &str) -> Option<Instant> {
        if engine.stop.requested().is_some() {
            return None;
        }
        let now = Instant::now();
        let mut until = engine.deadline_for_locks;
        if let Some(wait) = engine.options.wait_snapshot_lock
            && pve_messages::is_snapshot_lock(cause)
        {
            until = until.max(Some(*self.snapshot_locks_until.get_or_insert(now + wait)));
        }
        until.filter(|until| now < *until)
    }

    /// A step has succeeded: the next lock is another one.
    pub(super) fn made_progress(&mut self) {
        self.snapshot_locks_until = None;
        self.tries = 0;
    }

    pub(super) fn put_back(&mut self, engine: &Engine, wait: &Wait) {
        self.tries += 1;
        self.put_back_at = Some(Instant::now());
        self.put_back_for = Some(wait.cause.clone());
        if !std::mem::replace(&mut self.is_waiting, true) {
            engine.events.emit(EventKind::GuestDeferred {
                vmid: self.vmid(),
                cause: wait.cause.clone(),
            });
        }
    }

    pub(super) fn report_resumed(&mut self, engine: &Engine) {
        if std::mem::take(&mut self.is_waiting) {
            engine.events.emit(EventKind::GuestResumed {
                vmid: self.vmid(),
                waited: self.waited,
                reason: WaitReason::Lock,
            });
        }
    }

    /// Whether hooks were called for the guest that are not closed yet.
    pub(super) fn is_open(&self) -> bool {
        self.stage == Stage::Creating
            || self.opened_removal.is_some()
            || self.stage == Stage::Removing && self.taken.is_some()
    }

    fn has_changed_anything(&self) -> bool {
        self.stage != Stage::New || self.to_remove.is_some()
    }

    /// Nobody waits for the lock any more: the step it held up has failed.
    pub(super) async fn give_up_on_lock(
        &mut self,
        engine: &Engine,
        steps: &Steps,
        cause: String,
    ) -> GuestResult {
        let failure = failures::locked(cause, Some(self.waited));
        match &steps.creation {
            Some(creation) if self.stage != Stage::Removing && self.opened_removal.is_none() => {
                if self.stage == Stage::New {
                    // As for a guest that is not waited for.
                    let name = Some(creation.name.as_str());
                    let opening = self.call(Phase::SnapCreatePre, name, true, Duration::ZERO);
                    engine.phase(&opening).await;
                    engine.events.emit(EventKind::CreationStarted {
                        vmid: self.vmid(),
                        snapshot: creation.clone(),
                    });
                }
                self.fail_creation(engine, creation, failure).await
            }
            _ => self.end_with_held_up_removal(engine, steps, failure).await,
        }
    }
}
