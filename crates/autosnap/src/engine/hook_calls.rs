// SPDX-License-Identifier: GPL-3.0-only
//! Calls of the hook: the values passed to it, and the meaning of its exit status.
//!
//! Limits: [`crate::hook`] starts the process and enforces its time limit.

use std::time::Duration;

use autosnap_core::event::{EventKind, HookEnd, HookRun, StopReason};
use autosnap_core::guest::Guest;

use crate::events::Events;
use crate::hook::{Hook, HookContext, HookGuest, HookStatus, Phase};
use crate::settings::HookFailure;
use crate::stop::StopSignal;

/// The hook of a run, with the values that all its calls share.
#[derive(Debug, Clone)]
pub(crate) struct RunHook {
    /// The script; without a script every call succeeds.
    pub(crate) script: Option<Hook>,
    /// What to do when a pre-phase hook fails.
    pub(crate) on_failure: HookFailure,
    /// The label of the run.
    pub(crate) label: String,
    /// How many snapshots stay, or the keep rules.
    pub(crate) keep: String,
    /// The keep rules.
    pub(crate) policy: String,
    /// Whether the run has debug output.
    pub(crate) debug: bool,
}

/// The parameters of one call.
#[derive(Debug, Clone)]
pub(crate) struct HookCall {
    /// The phase.
    pub(crate) phase: Phase,
    /// The guest, except in the phases of the whole job.
    pub(crate) guest: Option<Guest>,
    /// The snapshot.
    pub(crate) snapshot: Option<String>,
    /// Whether its RAM is saved; in the phases of the whole job, whether RAM is requested.
    pub(crate) with_ram: bool,
    /// `STATE`.
    pub(crate) state: bool,
    /// `DURATION`.
    pub(crate) duration: Duration,
}

impl HookCall {
    /// A call for the whole job.
    pub(crate) fn for_job(phase: Phase, with_ram: bool, state: bool, duration: Duration) -> Self {
        Self {
            phase,
            guest: None,
            snapshot: None,
            with_ram,
            state,
            duration,
        }
    }
}

impl RunHook {
    /// Calls the hook and reports how it ended. Returns whether the step may start: `false` only if the hook
    /// fails in a pre-phase and its failures are not ignored.
    pub(crate) async fn call(&self, call: &HookCall, events: &Events, stop: &StopSignal) -> bool {
        tracing::debug!(phase = %call.phase, "phase");
        let Some(hook) = &self.script else {
            return true;
        };
        let result = hook.run(&self.context(call)).await;
        let end = match result.status {
            HookStatus::Exited(code) => HookEnd::Exited(code),
            HookStatus::Signalled(_) => HookEnd::Killed,
            HookStatus::TimedOut(_) => HookEnd::TimedOut,
            HookStatus::ChildStillRunning(_) => HookEnd::ChildStillRunning,
            HookStatus::CouldNotStart(error) => HookEnd::NotStarted(error.to_string()),
        };
        let has_succeeded = end.is_success();
        let vmid = call.guest.as_ref().map(|guest| guest.vmid);
        events.emit(EventKind::HookRan(HookRun {
            vmid,
            phase: call.phase.as_str().into(),
            end,
            output: result.output,
        }));
        if has_succeeded || !call.phase.is_pre() {
            return true;
        }
        match (self.on_failure, call.phase.is_job()) {
            (HookFailure::Ignore, _) => true,
            (HookFailure::SkipGuest, false) => false,
            (HookFailure::AbortRun, _) | (HookFailure::SkipGuest, true) => {
                stop.request(StopReason::Hook);
                false
            }
        }
    }

    fn context(&self, call: &HookCall) -> HookContext {
        HookContext {
            phase: call.phase,
            guest: call.guest.as_ref().map(|guest| HookGuest {
                vmid: guest.vmid.get(),
                vm_name: guest.name.clone().unwrap_or_default(),
                vm_type: guest.kind.as_str().to_owned(),
            }),
            label: self.label.clone(),
            keep: self.keep.clone(),
            policy: self.policy.clone(),
            snap_name: call.snapshot.clone(),
            vmstate: call.with_ram && !is_about_removal(call.phase),
            duration: call.duration,
            state: call.state,
            debug: self.debug,
            dry_run: false,
        }
    }
}

/// Whether the phase belongs to a removal or to `clean`, for which the C# tool passes `false` as the RAM state.
fn is_about_removal(phase: Phase) -> bool {
    match phase {
        Phase::SnapRemovePre
        | Phase::SnapRemovePost
        | Phase::SnapRemoveAbort
        | Phase::CleanJobStart
        | Phase::CleanJobEnd => true,
        Phase::SnapJobStart
        | Phase::SnapJobEnd
        | Phase::SnapCreatePre
        | Phase::SnapCreatePost
        | Phase::SnapCreateAbort => false,
    }
}
