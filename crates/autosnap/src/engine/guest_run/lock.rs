// SPDX-License-Identifier: GPL-3.0-only
//! Locked guests: which locks a guest waits for, and for how long.

use std::time::Duration;

use autosnap_core::event::{EventKind, Failure, WaitReason};
use autosnap_core::plan::{Decision, Refusal};
use tokio::time::Instant;

use super::state::{GuestRun, LockWait};
use crate::engine::context::RunContext;
use crate::engine::failures;
use crate::inventory::Lock;
use crate::pve_messages;

/// The longest pause between two attempts at a locked guest.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

impl GuestRun {
    /// The pause before the next attempt: one second, then half as long again each time.
    pub(in crate::engine) fn pause_before_next_attempt(&self) -> Duration {
        let growth = 1.5_f64.powi(
            i32::try_from(self.attempts.saturating_sub(1))
                .unwrap_or(i32::MAX)
                .min(20),
        );
        Duration::from_secs_f64(growth).min(LONGEST_PAUSE)
    }

    /// The current lock and the refusal because of it; `None` if the guest is unlocked now. A guest that was planned
    /// as stuck is refused as stuck only if no task is listed and a second read shows the same lock: a task that
    /// ended just before the tasks were listed has changed the guest.
    pub(super) async fn refusal_by(
        &mut self,
        run: &RunContext,
        lock: Lock,
    ) -> Option<(String, Refusal)> {
        let stuck = match &self.guest_plan().decision {
            Decision::Refuse(stuck @ Refusal::Stuck { lock: planned, .. })
                if *planned == lock.name && self.deferred_for.is_none() =>
            {
                Some(stuck.clone())
            }
            Decision::Refuse(_) | Decision::Skip(_) | Decision::Proceed(_) => None,
        };
        if let Some(stuck) = stuck
            && !run.client.task_runs(&self.location).await
        {
            let lock_now = run.client.lock_of(&mut self.location).await?;
            let refusal = if lock_now == lock {
                stuck
            } else {
                Refusal::Locked(lock_now.name.clone())
            };
            return Some((lock_now.name, refusal));
        }
        Some((lock.name.clone(), Refusal::Locked(lock.name)))
    }

    /// The wait of a step that this lock has stopped; the error is its failure if the run does not wait for the lock.
    pub(super) fn wait_for(
        &mut self,
        run: &RunContext,
        cause: String,
    ) -> Result<LockWait, Failure> {
        if let Some(until) = self.retry_until(run, &cause) {
            return Ok(LockWait { cause, until });
        }
        let waited = Some(self.waited).filter(|waited| !waited.is_zero());
        Err(failures::locked(cause, waited))
    }

    /// The time until which the guest is retried; `None` if it is not retried.
    pub(super) fn retry_until(&mut self, run: &RunContext, cause: &str) -> Option<Instant> {
        if run.stop.requested().is_some() {
            return None;
        }
        let now = Instant::now();
        let mut until = run.lock_deadline;
        if let Some(wait) = run.options.execution.wait_snapshot_lock
            && pve_messages::is_snapshot_lock(cause)
        {
            until = until.max(Some(*self.snapshot_locks_until.get_or_insert(now + wait)));
        }
        until.filter(|until| now < *until)
    }

    /// Resets the attempts and the deadline after a successful step: the next lock is a new one.
    pub(super) fn on_progress(&mut self) {
        self.snapshot_locks_until = None;
        self.attempts = 0;
    }

    pub(super) fn defer_for_lock(&mut self, run: &RunContext, wait: &LockWait) {
        self.attempts += 1;
        self.deferred_at = Some(Instant::now());
        self.deferred_for = Some(wait.cause.clone());
        if !std::mem::replace(&mut self.is_waiting, true) {
            run.events.emit(EventKind::GuestDeferred {
                vmid: self.vmid(),
                cause: wait.cause.clone(),
            });
        }
    }

    /// Adds the time since the guest was deferred to its wait for locks.
    pub(super) fn add_lock_wait(&mut self) {
        if let Some(since) = self.deferred_at.take() {
            self.waited += since.elapsed();
        }
    }

    pub(super) fn report_resumed(&mut self, run: &RunContext) {
        if std::mem::take(&mut self.is_waiting) {
            run.events.emit(EventKind::GuestResumed {
                vmid: self.vmid(),
                waited: self.waited,
                reason: WaitReason::Lock,
            });
        }
    }
}
