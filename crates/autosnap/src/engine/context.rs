// SPDX-License-Identifier: GPL-3.0-only
//! What all guests of one run share: client, hook, events, stop signal, options and deadlines.

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

/// What all guests of one run share.
#[derive(Debug)]
pub(crate) struct RunContext {
    pub(super) client: GuestClient,
    pub(super) options: Options,
    pub(super) events: Events,
    pub(super) stop: StopSignal,
    pub(super) deadline_for_locks: Option<Instant>,
    hook: RunHook,
    deadline_for_removals: Option<Instant>,
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
            deadline_for_locks: options.execution.wait_locked.map(|wait| now + wait),
            deadline_for_removals: options.execution.removal_budget.map(|budget| now + budget),
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

    /// Why no further removal may begin; `None` if one may.
    pub(super) fn removals_stopped(&self) -> Option<PostponeReason> {
        if let Some(reason) = self.stop.requested() {
            return Some(PostponeReason::Stopped(reason));
        }
        self.deadline_for_removals
            .filter(|deadline| Instant::now() >= *deadline)
            .map(|_| PostponeReason::Budget)
    }

    /// Whether the run has a hook, which may take time and change the guest.
    pub(super) fn has_hook(&self) -> bool {
        self.hook.script.is_some()
    }

    /// Panics at the guest that a test has named in the label of the run.
    #[cfg(test)]
    pub(super) fn panic_if_requested(&self, vmid: autosnap_core::guest::Vmid) {
        let requested = format!("panic{vmid}");
        assert_ne!(self.hook.label, requested, "requested by the test");
    }

    /// Calls the hook; returns whether the step may follow.
    pub(super) async fn call_hook(&self, call: &HookCall) -> bool {
        self.hook.call(call, &self.events, &self.stop).await
    }
}
