// SPDX-License-Identifier: GPL-3.0-only
//! When the hook is called, what it is told, and what its answer means.
//!
//! Limits: starting it and keeping it within bounds is [`crate::hook`]'s part.

use std::time::Duration;

use autosnap_core::event::{EventKind, HookEnd, HookRun, StopReason};
use autosnap_core::guest::Guest;

use super::Engine;
use crate::events::Events;
use crate::hook::{Hook, HookContext, HookGuest, HookStatus, Phase};
use crate::settings::HookFailure;
use crate::stop::StopSignal;

/// The hook of a run and what is the same in all its calls.
#[derive(Debug, Clone)]
pub struct Phases {
    /// The script; without one every phase says yes.
    pub hook: Option<Hook>,
    /// What a no means before a change.
    pub on_failure: HookFailure,
    /// The label of the run.
    pub label: String,
    /// How many snapshots stay.
    pub keep: u32,
    /// `--debug` was given.
    pub debug: bool,
}

/// One call.
#[derive(Debug, Clone)]
pub struct PhaseCall {
    /// The phase.
    pub phase: Phase,
    /// The guest, except in the phases of the whole job.
    pub guest: Option<Guest>,
    /// The snapshot.
    pub snapshot: Option<String>,
    /// Its RAM is saved, or asked for in the phases of the whole job.
    pub with_ram: bool,
    /// `STATE`.
    pub state: bool,
    /// `DURATION`.
    pub duration: Duration,
}

impl PhaseCall {
    /// A phase of the whole job.
    pub fn of_job(phase: Phase, with_ram: bool, state: bool, duration: Duration) -> Self {
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

impl Phases {
    /// Calls the hook and tells how it ended. Returns whether what follows may be done: always,
    /// but for a no in a phase before a change when a no counts.
    pub async fn call(&self, call: &PhaseCall, events: &Events, stop: &StopSignal) -> bool {
        tracing::debug!(phase = %call.phase, "phase");
        let Some(hook) = &self.hook else { return true };
        let result = hook.run(&self.context(call)).await;
        let end = match result.status {
            HookStatus::Exited(code) => HookEnd::Exited(code),
            HookStatus::Signalled(_) => HookEnd::Killed,
            HookStatus::TimedOut(_) => HookEnd::TimedOut,
            HookStatus::StillOpen(_) => HookEnd::StillOpen,
            HookStatus::CouldNotStart(error) => HookEnd::NotStarted(error.to_string()),
        };
        let said_yes = end.is_success();
        let vmid = call.guest.as_ref().map(|guest| guest.vmid);
        events.emit(EventKind::HookRan(HookRun {
            vmid,
            phase: call.phase.as_str(),
            end,
            output: result.output,
        }));
        if said_yes || !call.phase.is_pre() {
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

    fn context(&self, call: &PhaseCall) -> HookContext {
        HookContext {
            phase: call.phase,
            guest: call.guest.as_ref().map(|guest| HookGuest {
                vmid: guest.vmid.get(),
                vm_name: guest.name.clone().unwrap_or_default(),
                vm_type: guest.kind.as_str().to_owned(),
            }),
            label: self.label.clone(),
            keep: self.keep,
            snap_name: call.snapshot.clone(),
            vmstate: call.with_ram && !is_about_removal(call.phase),
            duration: call.duration,
            state: call.state,
            debug: self.debug,
            dry_run: false,
        }
    }
}

/// The C# tool passes `false` for the RAM around removals and in `clean`.
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

impl Engine {
    /// Whether anybody is called between the steps.
    pub(super) fn has_hook(&self) -> bool {
        self.phases.hook.is_some()
    }

    pub(super) async fn phase(&self, call: &PhaseCall) -> bool {
        self.phases.call(call, &self.events, &self.stop).await
    }
}
