// SPDX-License-Identifier: GPL-3.0-only
//! Overdue removals: the last run could not carry them out because its snapshot took longer than the timeout. They
//! come before the new snapshot; otherwise the snapshots of a guest with slow tasks would never be removed.
//!
//! Each is confirmed as if no new snapshot were taken, so that the guest keeps its full number of snapshots even if
//! the new one fails.

use autosnap_core::event::GuestResult;
use autosnap_core::plan::Steps;

use super::removal::RemovalOutcome;
use super::state::{GuestRun, OverdueStop, SliceOutcome};
use crate::engine::context::RunContext;

impl GuestRun {
    /// Removes the overdue snapshots. Returns `None` if the creation follows, even after a failed removal or a
    /// failed hook.
    pub(super) async fn remove_overdue(
        &mut self,
        run: &RunContext,
        steps: &Steps,
    ) -> Option<SliceOutcome> {
        if steps.overdue.is_empty() {
            return None;
        }
        self.queue_removals(steps);
        while self.overdue_stop.is_none()
            && let Some(snapshot) = self.next_removal()
            && steps.overdue.contains(&snapshot.name)
        {
            if self.late.is_none() && run.removals_stopped().is_some() {
                break;
            }
            match self.remove_or_poll(run, &snapshot).await {
                RemovalOutcome::Done => self.dequeue_removal(),
                RemovalOutcome::Locked(wait) => return Some(SliceOutcome::Deferred(wait)),
                RemovalOutcome::Late => return Some(SliceOutcome::Late),
                RemovalOutcome::HookFailed => self.overdue_stop = Some(OverdueStop::HookFailed),
                RemovalOutcome::Failed | RemovalOutcome::LeftOver => {
                    self.overdue_stop = Some(OverdueStop::Failed);
                }
            }
        }
        // A removal that was deferred for a lock may still have an open hook.
        self.close_removal(run).await;
        // A list from before the creation does not contain the new snapshot.
        self.location.listed = None;
        run.stop.requested()?;
        Some(SliceOutcome::Finished(self.end_before_creation(run)))
    }

    /// The result of a guest whose run was stopped before its new snapshot.
    fn end_before_creation(&self, run: &RunContext) -> GuestResult {
        match self.overdue_stop {
            Some(OverdueStop::Failed) => GuestResult::Failed,
            Some(OverdueStop::HookFailed) => GuestResult::StoppedByHook,
            None => {
                if self.removals_left() > 0
                    && let Some(reason) = run.removals_stopped()
                {
                    self.postpone(run, self.removals_left(), reason);
                }
                GuestResult::NotReached
            }
        }
    }
}
