// SPDX-License-Identifier: GPL-3.0-only
//! The progress bar on a terminal: how many guests are done, failed, running.

use autosnap_core::event::{Event, EventKind};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Console, Sink};

/// Keeps the bar of a console up to date; does nothing if it has none.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    running: usize,
    failed: usize,
}

impl Progress {
    /// Takes over the console's bar.
    pub fn new(console: &Console) -> Self {
        Self {
            bar: console.bar().cloned(),
            running: 0,
            failed: 0,
        }
    }

    fn show(&self, bar: &ProgressBar) {
        bar.set_message(format!("{} running, {} failed", self.running, self.failed));
    }
}

impl Sink for Progress {
    fn observe(&mut self, event: &Event) {
        let Some(bar) = self.bar.clone() else { return };
        match &event.kind {
            EventKind::Planned(plan) => {
                let style =
                    ProgressStyle::with_template("{bar:30} {pos}/{len} guests, {msg}  {elapsed}");
                bar.set_style(style.expect("the template is valid"));
                bar.set_length(u64::try_from(plan.guests.len()).unwrap_or(u64::MAX));
            }
            EventKind::GuestStarted(_) | EventKind::GuestResumed { .. } => self.running += 1,
            EventKind::GuestDeferred { .. } => self.running = self.running.saturating_sub(1),
            EventKind::GuestFinished { result, .. } => {
                self.running = self.running.saturating_sub(1);
                self.failed += usize::from(result.is_failure(false));
                bar.inc(1);
            }
            EventKind::RunFinished { .. } => {
                bar.finish_and_clear();
                return;
            }
            EventKind::RunStarted(_)
            | EventKind::Warned(_)
            | EventKind::Selected { .. }
            | EventKind::StoragesRead { .. }
            | EventKind::StorageCheckUnsupported { .. }
            | EventKind::Compared(_)
            | EventKind::HookRan(_)
            | EventKind::CreationStarted { .. }
            | EventKind::Created { .. }
            | EventKind::MissingRam { .. }
            | EventKind::CreationFailed { .. }
            | EventKind::RemovalStarted { .. }
            | EventKind::Removed { .. }
            | EventKind::RemovalFailed { .. }
            | EventKind::RemovalDropped { .. }
            | EventKind::RemovalsPostponed { .. }
            | EventKind::Stopped(_)
            | EventKind::RunSkipped { .. }
            | EventKind::RunFailed { .. } => return,
        }
        self.show(&bar);
    }
}
