// SPDX-License-Identifier: GPL-3.0-only
//! The bar on a terminal: how many guests are done, failed, running.

use autosnap_core::event::{Event, GuestEnd};
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
        match event {
            Event::Planned(plan) => {
                let style =
                    ProgressStyle::with_template("{bar:30} {pos}/{len} guests, {msg}  {elapsed}");
                bar.set_style(style.expect("the template is valid"));
                bar.set_length(u64::try_from(plan.guests.len()).unwrap_or(u64::MAX));
            }
            Event::GuestStarted(_) | Event::GuestResumed { .. } => self.running += 1,
            Event::GuestDeferred { .. } => self.running = self.running.saturating_sub(1),
            Event::GuestFinished { end, .. } => {
                self.running = self.running.saturating_sub(1);
                self.failed += usize::from(is_failure(end));
                bar.inc(1);
            }
            Event::RunFinished { .. } => {
                bar.finish_and_clear();
                return;
            }
            Event::RunStarted(_)
            | Event::Warned(_)
            | Event::NameNotKnown(_)
            | Event::UnreadableEntry(_)
            | Event::MissingObject(_)
            | Event::Selected { .. }
            | Event::StoragesRead { .. }
            | Event::StoragesNotRead(_)
            | Event::HookRan(_)
            | Event::CreationStarted { .. }
            | Event::Created { .. }
            | Event::MissingRam { .. }
            | Event::CreationFailed { .. }
            | Event::RemovalStarted { .. }
            | Event::Removed { .. }
            | Event::RemovalFailed { .. }
            | Event::RemovalDropped { .. }
            | Event::RemovalsPostponed { .. }
            | Event::Interrupted(_)
            | Event::RunBroken { .. } => return,
        }
        self.show(&bar);
    }
}

fn is_failure(end: &GuestEnd) -> bool {
    match end {
        GuestEnd::Done | GuestEnd::Skipped(_) => false,
        GuestEnd::Refused(_) | GuestEnd::Failed | GuestEnd::Vetoed | GuestEnd::NotReached => true,
    }
}
