// SPDX-License-Identifier: GPL-3.0-only
//! The dry run of the line that is checked.
//!
//! `check` performs the very dry run that `snap` or `clean` would perform, and judges by what it
//! decided. So the two agree: a problem is what makes the dry run exit with another status than 0.

use std::sync::Arc;

use autosnap_core::event::EventKind;
use autosnap_core::guest::Vmid;
use autosnap_core::outcome::ExitStatus;
use autosnap_core::plan::{GuestPlan, Plan};
use jiff::Zoned;
use pve_client::Client;

use crate::cluster::Cluster;
use crate::engine::RunningTasks;
use crate::error::Error;
use crate::events::Events;
use crate::job::{self, Context};
use crate::settings::JobSettings;
use crate::stop::StopSignal;

/// What a dry run reported.
#[derive(Debug)]
pub struct DryRun {
    /// The exit status it ends with.
    pub exit: ExitStatus,
    /// What ended it before there was a plan.
    pub error: Option<Arc<Error>>,
    /// The plan.
    pub plan: Option<Arc<Plan>>,
    /// How many guests are selected.
    pub selected: usize,
    /// Warnings that concern no single guest.
    pub warnings: Vec<String>,
    /// Warnings about selected objects that are not visible, which make the exit status 1.
    pub missing: Vec<String>,
    /// The guests that must not be skipped (`--strict`).
    pub required: Arc<[Vmid]>,
    /// Entries of listings that cannot be read, which makes the exit status 1.
    pub unreadable_entries: Vec<String>,
    /// Whether storages are checked against the limit.
    pub checks_storages: bool,
}

impl DryRun {
    /// A dry run that has not begun.
    pub(super) fn new() -> Self {
        Self {
            exit: ExitStatus::Success,
            error: None,
            plan: None,
            selected: 0,
            warnings: Vec::new(),
            missing: Vec::new(),
            required: Arc::default(),
            unreadable_entries: Vec::new(),
            checks_storages: false,
        }
    }

    /// The plan for each guest; none without a plan.
    pub fn guests(&self) -> &[GuestPlan] {
        self.plan.as_ref().map_or(&[], |plan| &plan.guests)
    }

    fn observe(&mut self, event: EventKind) {
        match event {
            EventKind::Selected {
                guests, required, ..
            } => {
                self.selected = guests.len();
                self.required = required;
            }
            EventKind::Planned(plan) => self.plan = Some(plan),
            EventKind::Warned(text) => self.warnings.push(text),
            EventKind::NameNotKnown(text) | EventKind::MissingObject(text) => {
                self.missing.push(text);
            }
            EventKind::UnreadableEntry(text) => self.unreadable_entries.push(text),
            EventKind::StoragesRead { .. } => self.checks_storages = true,
            EventKind::RunStarted(_)
            | EventKind::StoragesNotRead(_)
            | EventKind::HookRan(_)
            | EventKind::GuestStarted(_)
            | EventKind::GuestDeferred { .. }
            | EventKind::GuestResumed { .. }
            | EventKind::CreationStarted { .. }
            | EventKind::Created { .. }
            | EventKind::MissingRam { .. }
            | EventKind::CreationFailed { .. }
            | EventKind::RemovalStarted { .. }
            | EventKind::Removed { .. }
            | EventKind::RemovalFailed { .. }
            | EventKind::RemovalDropped { .. }
            | EventKind::RemovalsPostponed { .. }
            | EventKind::GuestFinished { .. }
            | EventKind::Interrupted(_)
            | EventKind::RunBroken { .. }
            | EventKind::RunFinished { .. } => {}
        }
    }
}

/// Performs the dry run. `settings` must be those of one.
pub async fn run(settings: &JobSettings, client: &Client, identity: &str, now: Zoned) -> DryRun {
    let (events, mut receiver) = Events::channel();
    let context = Context {
        cluster: Cluster::new(client.clone(), identity, settings.limits),
        now,
        events,
        stop: StopSignal::default(),
        tasks: RunningTasks::default(),
    };
    let working = async {
        let result = job::run(settings, &context).await;
        let outcome = context.events.outcome();
        // Dropping the last sender ends the receiver.
        drop(context);
        (result, outcome)
    };
    let observing = async {
        let mut dry_run = DryRun::new();
        while let Some(event) = receiver.recv().await {
            dry_run.observe(event);
        }
        dry_run
    };
    let ((result, outcome), mut dry_run) = tokio::join!(working, observing);
    dry_run.error = result.err().map(Arc::new);
    dry_run.exit = match &dry_run.error {
        Some(error) => job::exit_status(error),
        None => outcome.exit_status(),
    };
    dry_run
}
