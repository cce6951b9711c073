// SPDX-License-Identifier: GPL-3.0-only
//! Guests whose task runs longer than the time-out: they give their slot to others and are looked at again
//! whenever one is free, and before the run ends.
//!
//! Their hooks are called once, when the end of the task is known or the run ends.

use autosnap_core::event::{EventKind, GuestResult, WaitReason};
use autosnap_core::plan::Steps;
use pve_client::Upid;
use std::time::Duration;
use tokio::time::Instant;

use super::super::operation::{End, LateTask, Operation};
use super::super::{Engine, failures};
use super::{Stage, Turn, TurnEnd};

impl Turn<'_> {
    /// The task that has outlived the time-out, while its end is not known.
    pub(in crate::engine) fn late_task(&self) -> Option<&Upid> {
        self.late.as_ref().map(|late| late.upid())
    }

    /// The pause before the next look at it.
    pub(in crate::engine) fn pause_before_next_look(&self) -> Duration {
        self.late
            .as_ref()
            .map_or(Duration::ZERO, |late| late.pause())
    }

    pub(super) fn put_back_late(&mut self, engine: &Engine) {
        self.late_since = Some(Instant::now());
        if !std::mem::replace(&mut self.is_waiting, true) {
            engine.events.emit(EventKind::GuestDeferred {
                vmid: self.vmid(),
                cause: failures::late_task(engine.options.timeout),
            });
        }
    }

    /// The task was worked on while the guest was put back.
    pub(super) fn count_late(&mut self) {
        if let Some(since) = self.late_since.take() {
            let waited = since.elapsed();
            self.late_waited += waited;
            self.worked += waited;
        }
    }

    /// Looks at a task that was late. That the guest goes on is reported once, when the task has ended.
    pub(super) async fn look_at_late(
        &mut self,
        engine: &Engine,
        operation: &Operation<'_>,
        late: Box<LateTask>,
    ) -> End {
        let end = engine.look_at_late(&mut self.place, operation, late).await;
        if !matches!(end, End::Late(_)) {
            self.report_no_longer_late(engine);
        }
        end
    }

    fn report_no_longer_late(&mut self, engine: &Engine) {
        if std::mem::take(&mut self.is_waiting) {
            engine.events.emit(EventKind::GuestResumed {
                vmid: self.vmid(),
                waited: std::mem::take(&mut self.late_waited),
                reason: WaitReason::LateTask,
            });
        }
    }

    /// The run ends. One that was asked to stop looks a last time; what has ended by then is told as it is,
    /// and nothing new is begun.
    pub(super) async fn abandon_late(&mut self, engine: &Engine, steps: &Steps) -> GuestResult {
        if engine.stop.requested().is_some() {
            match Box::pin(self.take(engine)).await {
                TurnEnd::Finished(end) => return end,
                TurnEnd::Late | TurnEnd::Deferred(_) => {}
            }
        }
        self.stretch_began = Instant::now();
        self.count_late();
        self.report_no_longer_late(engine);
        let Some(late) = self.late.take() else {
            let cause = self.put_back_for.take().unwrap_or_default();
            return self.give_up_on_lock(engine, steps, cause).await;
        };
        let failure = late.into_failure();
        match &steps.creation {
            Some(creation) if self.stage == Stage::Creating => {
                self.fail_creation(engine, creation, failure).await
            }
            _ => self.end_with_held_up_removal(engine, steps, failure).await,
        }
    }
}
