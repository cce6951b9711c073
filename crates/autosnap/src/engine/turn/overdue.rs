// SPDX-License-Identifier: GPL-3.0-only
//! The removals that the last run owes, because its snapshot took longer than the time-out: they come before
//! the new snapshot. Otherwise a guest whose snapshots always take that long would never lose one.
//!
//! Each is confirmed by a list without a new snapshot, so that the guest has as many snapshots as are kept
//! when the new one is asked for, or more, whatever becomes of it.

use autosnap_core::event::GuestResult;
use autosnap_core::plan::Steps;

use super::super::Engine;
use super::removal::Removals;
use super::{Turn, TurnEnd};

/// Why the removals before the creation have ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OverdueStop {
    Failed,
    Vetoed,
}

impl Turn<'_> {
    /// Removes what is overdue. `None`: the new snapshot is next, also after a removal that has failed or
    /// that a hook has refused.
    pub(super) async fn remove_overdue(
        &mut self,
        engine: &Engine,
        steps: &Steps,
    ) -> Option<TurnEnd> {
        if steps.overdue.is_empty() {
            return None;
        }
        self.queue_removals(steps);
        while self.overdue_stop.is_none()
            && let Some(snapshot) = self.next_removal()
            && steps.overdue.contains(&snapshot.name)
        {
            if self.late.is_none() && engine.removals_stopped().is_some() {
                break;
            }
            match self.remove_or_look(engine, &snapshot).await {
                Removals::Done => self.removal_is_settled(),
                Removals::Locked(wait) => return Some(TurnEnd::Deferred(wait)),
                Removals::Late => return Some(TurnEnd::Late),
                Removals::Vetoed => self.overdue_stop = Some(OverdueStop::Vetoed),
                Removals::Failed | Removals::LeftOver => {
                    self.overdue_stop = Some(OverdueStop::Failed);
                }
            }
        }
        // One that was put back for a lock may still be announced.
        self.close_removal(engine).await;
        // A list of before the creation does not hold the new snapshot.
        self.place.listed = None;
        engine.stop.requested()?;
        Some(TurnEnd::Finished(self.end_before_creation(engine)))
    }

    /// The run was asked to stop before the new snapshot was begun.
    fn end_before_creation(&self, engine: &Engine) -> GuestResult {
        match self.overdue_stop {
            Some(OverdueStop::Failed) => GuestResult::Failed,
            Some(OverdueStop::Vetoed) => GuestResult::Vetoed,
            None => {
                if self.left() > 0
                    && let Some(reason) = engine.removals_stopped()
                {
                    self.postpone(engine, self.left(), reason);
                }
                GuestResult::NotReached
            }
        }
    }
}
