// SPDX-License-Identifier: GPL-3.0-only
//! The context that all guests of one run share: client, hook, events, stop signal, options and deadlines.

use std::sync::Arc;

use autosnap_core::event::PostponeReason;
use jiff::Zoned;
use pve_client::Client;
use tokio::time::Instant;

use super::hook_calls::{HookCall, RunHook};
use super::operation::GuestClient;
use super::options::Options;
use super::pace::Pace;
use super::running_tasks::RunningTasks;
use crate::events::Events;
use crate::stop::StopSignal;

/// The context that all guests of one run share.
#[derive(Debug)]
pub(crate) struct RunContext {
    pub(super) client: GuestClient,
    pub(super) options: Options,
    pub(super) events: Events,
    pub(super) stop: StopSignal,
    pub(super) lock_deadline: Option<Instant>,
    hook: RunHook,
    removal_deadline: Option<Instant>,
}

impl RunContext {
    /// A context whose deadlines (`wait_locked`, `removal_budget`) count from now.
    pub(crate) fn new(
        client: Client,
        pace: Arc<Pace>,
        options: Options,
        hook: RunHook,
        events: Events,
        stop: StopSignal,
        tasks: RunningTasks,
    ) -> Self {
        let now = Instant::now();
        Self {
            client: GuestClient::new(client, pace, &options, stop.clone(), tasks),
            lock_deadline: options.execution.wait_locked.map(|wait| now + wait),
            removal_deadline: options.execution.removal_budget.map(|budget| now + budget),
            options,
            hook,
            events,
            stop,
        }
    }

    /// The server's time in the zone of the run.
    pub(super) fn now(&self) -> Zoned {
        let zone = self.options.zone.clone();
        self.client.server_time().to_zoned(zone)
    }

    /// Why no further removal may start; `None` if it may.
    pub(super) fn removals_stopped(&self) -> Option<PostponeReason> {
        if let Some(reason) = self.stop.requested() {
            return Some(PostponeReason::Stopped(reason));
        }
        self.removal_deadline
            .filter(|deadline| Instant::now() >= *deadline)
            .map(|_| PostponeReason::Budget)
    }

    /// Whether the run has a hook, which may take time and change the guest.
    pub(super) fn has_hook(&self) -> bool {
        self.hook.script.is_some()
    }

    /// Panics at the place that a test has put into the label of the run: the ID of a guest, or `executor`.
    #[cfg(test)]
    pub(super) fn panic_if_requested(&self, place: impl std::fmt::Display) {
        let requested = format!("panic{place}");
        assert_ne!(self.hook.label, requested, "requested by the test");
    }

    /// Calls the hook; returns whether the step may start.
    pub(super) async fn call_hook(&self, call: &HookCall) -> bool {
        self.hook.call(call, &self.events, &self.stop).await
    }
}
