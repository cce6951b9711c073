// SPDX-License-Identifier: GPL-3.0-only
//! The texts of the report, the same in every output format. Texts of the C# tool are kept, because people grep for
//! them.

use autosnap_core::event::{
    Cause, Effect, Failure, GuestResult, PostponeReason, StopReason, WaitReason,
};
use autosnap_core::guest::{GuestKind, NamedGuest, Vmid};
use autosnap_core::plan::{DropReason, Refusal, Skip};
use autosnap_core::record::RunRecord;
use autosnap_core::remedy::Remedy;

use super::remedies;

/// Why a guest was skipped. The texts of the C# tool call containers VMs, too.
pub(super) fn skip(kind: GuestKind, skip: &Skip) -> String {
    let cannot = |what: &str, volumes: &[String]| {
        format!(
            "Skip {} Proxmox VE cannot snapshot it, {what}: {}",
            kind.short_name(),
            volumes.join(", ")
        )
    };
    match skip {
        Skip::Template => "Skip VM is template".to_owned(),
        Skip::NotRunning => "Skip VM '--only-running' parameter used!".to_owned(),
        Skip::Unsupported { volumes } => cannot("bind mount or device", volumes),
        Skip::NoSnapshots { volumes } => cannot("storage or format without snapshots", volumes),
    }
}

/// The lines of a skipped guest's block.
pub(super) fn skip_lines(kind: GuestKind, skipped: &Skip, is_required: bool) -> Vec<String> {
    let strict = is_required.then(|| error(STRICT));
    [Some(skip(kind, skipped)), strict]
        .into_iter()
        .flatten()
        .collect()
}

/// Why skipping a guest is a failure.
pub(super) const STRICT: &str = "named in --vmid: with --strict its skip is a failure";

/// Why a guest is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// The reason.
    pub(super) reason: String,
    /// The figures for the reason.
    pub(super) detail: Option<String>,
    /// What to do about it.
    pub(super) hint: Option<String>,
    line: ErrorLine,
}

/// Which line of a guest's block begins with `Error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ErrorLine {
    /// The reason, a text of PVE: `Error in task: VM is locked (backup)`.
    Task,
    /// The reason: `Error: …`.
    Reason,
    /// The detail. The reason begins with `Skip VM`, as in the C# tool: people grep for it.
    Detail,
}

impl Refused {
    /// The reason in one line, for the summary and the journal: the detail alone, if there is one.
    pub(super) fn short(self) -> String {
        self.detail.unwrap_or(self.reason)
    }

    /// The lines of the guest's block, one of which begins with `Error`.
    pub(super) fn lines(self) -> Vec<String> {
        let (reason, detail) = match self.line {
            ErrorLine::Task => (format!("{TASK_ERROR}{}", self.reason), self.detail),
            ErrorLine::Reason => (error(&self.reason), self.detail),
            ErrorLine::Detail => (self.reason, self.detail.map(|detail| error(&detail))),
        };
        let hint = self.hint.map(|hint| hint_line(&hint));
        [Some(reason), detail, hint].into_iter().flatten().collect()
    }
}

/// The start of a line about a change that failed or was refused, as in the C# tool. PVE's text follows.
const TASK_ERROR: &str = "Error in task: ";

/// The line about a failure that is not PVE's.
pub(super) fn error(text: &str) -> String {
    format!("Error: {text}")
}

/// The line under a failure.
pub(super) fn hint_line(hint: &str) -> String {
    format!("  hint: {hint}")
}

/// PVE's text for a lock.
pub(super) fn locked(kind: GuestKind, lock: &str) -> String {
    match kind {
        GuestKind::Qemu => format!("VM is locked ({lock})"),
        GuestKind::Lxc => format!("CT is locked ({lock})"),
    }
}

/// Why a guest is refused.
pub(super) fn refusal<'a>(guest: impl Into<NamedGuest<'a>>, refusal: &Refusal) -> Refused {
    let guest = guest.into();
    let line = match refusal {
        Refusal::StorageFull(_) | Refusal::NodeOffline => ErrorLine::Detail,
        Refusal::Locked(_) | Refusal::Stuck { .. } | Refusal::NameTaken(_) => ErrorLine::Task,
        Refusal::Unreadable(_)
        | Refusal::StorageUnusable(_)
        | Refusal::NotPermitted { .. }
        | Refusal::NoQuorum => ErrorLine::Reason,
    };
    let (reason, detail) = match refusal {
        Refusal::StorageFull(full) => (
            format!(
                "Skip VM problem storage space out of {} (--max-perc-storage=100 never skips)",
                full.limit
            ),
            Some(full.to_string()),
        ),
        Refusal::NodeOffline => (
            "Skip VM status unknown".to_owned(),
            Some(node_offline(guest.node)),
        ),
        Refusal::Unreadable(message) => (message.clone(), None),
        Refusal::StorageUnusable(message) => {
            (format!("Proxmox VE would refuse it: {message}"), None)
        }
        Refusal::Locked(lock) => (locked(guest.kind, lock), None),
        Refusal::Stuck { lock, .. } => (
            format!(
                "{}, and no task that this login can see works on it",
                locked(guest.kind, lock)
            ),
            None,
        ),
        Refusal::NotPermitted { path } => (
            format!("Proxmox VE would refuse it: VM.Snapshot is missing on {path}"),
            None,
        ),
        Refusal::NoQuorum => (
            "Proxmox VE would refuse it: the cluster has no quorum".to_owned(),
            None,
        ),
        Refusal::NameTaken(name) => (format!("snapshot name '{name}' already used"), None),
    };
    let hint = Remedy::for_refusal(refusal, guest);
    Refused {
        reason,
        detail,
        hint: hint.as_ref().map(remedies::hint),
        line,
    }
}

/// Why the guests of a node are refused.
pub(super) fn node_offline(node: &str) -> String {
    format!("node {node} is offline or not reachable")
}

/// Why a step failed: a line that begins with `Error`.
pub(super) fn failure(failure: &Failure) -> String {
    match failure.cause {
        Cause::Task | Cause::Refused => format!("{TASK_ERROR}{}", failure.message),
        Cause::Timeout => format!(
            "Error task in run... increase the timeout! ({})",
            failure.message
        ),
        Cause::Unconfirmed | Cause::Connection => error(&failure.message),
    }
}

/// The known effect of a failed step; `None` if it has no effect.
pub(super) fn effect(effect: Effect) -> Option<&'static str> {
    match effect {
        Effect::None => None,
        Effect::StillRunning => Some("the task is still running in PVE"),
        Effect::HalfDone => Some("the snapshot is incomplete"),
        Effect::Unknown => Some("it is not known whether it was done"),
    }
}

/// Why a planned removal was not carried out.
pub(super) fn drop_reason(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Gone => "it is gone already",
        DropReason::Replaced => "another snapshot has its name now",
        DropReason::KeptNow => "it is kept: the guest's snapshots have changed",
        DropReason::NewNotListed => "the new snapshot is not listed",
        DropReason::NewIncomplete => "the new snapshot is not complete",
        DropReason::NewIsAnother => "another snapshot has the new name",
    }
}

/// What a failed hook prevented: the removals if the guest had already changed, otherwise everything.
pub(super) fn stopped_by_hook(has_changed: bool) -> &'static str {
    if has_changed {
        "removals left out: the hook failed"
    } else {
        "left out: the hook failed"
    }
}

/// Why the remaining steps were not started.
pub(super) fn stop_reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::UserRequest | StopReason::Shutdown | StopReason::TerminalClosed => {
            "the run was stopped"
        }
        StopReason::Hook => "a hook aborted the run",
        StopReason::ServerLost => "the server was lost",
        StopReason::Cancelled => "the run was cancelled",
    }
}

/// The line about removals that were left to the next run. It begins with `Error` if it is a failure that no
/// other line reports.
pub(super) fn postponed(count: usize, reason: PostponeReason) -> String {
    let removals = super::units::counted(count, "removal");
    let why = postpone_reason(reason);
    match reason {
        PostponeReason::Stopped(_) => error(&format!("left to the next run: {removals}, {why}")),
        PostponeReason::RemovalFailed | PostponeReason::Hook | PostponeReason::Budget => {
            format!("Left to the next run: {removals}, {why}")
        }
    }
}

/// The start of the line about a deferred guest that is resumed.
pub(super) fn resumed(reason: WaitReason) -> &'static str {
    match reason {
        WaitReason::Lock => "Trying again",
        WaitReason::LateTask => "Checked again",
    }
}

/// Why removals were left to the next run.
fn postpone_reason(reason: PostponeReason) -> &'static str {
    match reason {
        PostponeReason::RemovalFailed => "an earlier one failed",
        PostponeReason::Stopped(reason) => stop_reason(reason),
        PostponeReason::Hook => "the hook failed",
        PostponeReason::Budget => "the time for removals was used up",
    }
}

/// The warning that a VM runs but its new snapshot has no RAM state although it was requested.
pub(super) fn ram_missing(snapshot: &str) -> String {
    format!("the VM runs, but snapshot {snapshot} holds no RAM")
}

/// Why the run ended early.
pub(super) fn cause_of_end(reason: StopReason) -> &'static str {
    match reason {
        StopReason::UserRequest => "interrupted",
        StopReason::Shutdown => "termination requested",
        StopReason::TerminalClosed => "the terminal was closed",
        StopReason::Hook => "a hook aborted the run",
        StopReason::ServerLost => "the server is lost",
        StopReason::Cancelled => "cancelled",
    }
}

/// What ended the run early, or prevented it.
pub(super) fn end_of_run(record: &RunRecord) -> Option<&str> {
    let error = record.error.as_ref().map(|error| error.message.as_str());
    error
        .or(record.skipped_for.as_deref())
        .or_else(|| record.stop_reason.map(cause_of_end))
}

/// The warning that the run is stopping, and what happens to its guests.
pub(super) fn stopped(reason: StopReason) -> String {
    let what = cause_of_end(reason);
    format!("WARNING: {what}; nothing new is started, guests in progress are finished")
}

/// `VM 100` or `CT 105`, as PVE calls guests in its own messages.
pub(super) fn guest(kind: GuestKind, vmid: Vmid) -> String {
    format!("{} {vmid}", kind.short_name())
}

/// A guest's name and node: `web01 on pve1`.
pub(super) fn full_name(guest: NamedGuest<'_>) -> String {
    match guest.name {
        Some(name) => format!("{name} on {}", guest.node),
        None => format!("on {}", guest.node),
    }
}

/// The result of a guest in JSON and the journal.
pub(super) fn result(end: &GuestResult) -> &'static str {
    match end {
        GuestResult::Done => "done",
        GuestResult::Skipped(_) => "skipped",
        GuestResult::Refused(_) => "refused",
        GuestResult::Failed => "failed",
        GuestResult::StoppedByHook => "vetoed",
        GuestResult::NotReached => "not-reached",
    }
}

/// The effect of a failed step in JSON and the journal.
pub(super) fn effect_id(effect: Effect) -> &'static str {
    match effect {
        Effect::None => "none",
        Effect::StillRunning => "still-running",
        Effect::HalfDone => "half-done",
        Effect::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use autosnap_core::guest::{Guest, GuestStatus};

    use super::*;

    /// Without `Sys.Audit` PVE lists only the login's own tasks, so an empty list does not prove that no task runs.
    #[test]
    fn the_hint_for_a_stuck_guest_is_to_check_its_tasks_first() {
        let guest = Guest {
            vmid: Vmid::new(100).unwrap(),
            kind: GuestKind::Qemu,
            node: "pve1".to_owned(),
            name: None,
            status: GuestStatus::Running,
            pool: None,
            tags: Vec::new(),
            lock: None,
            template: false,
        };
        let stuck = Refusal::Stuck {
            lock: "snapshot".to_owned(),
            snapshot: None,
        };
        let refused = refusal(&guest, &stuck);
        assert_eq!(
            refused.reason,
            "VM is locked (snapshot), and no task that this login can see works on it"
        );
        assert_eq!(
            refused.hint.unwrap(),
            "check the guest's tasks in PVE first; if none is running, as root on pve1: qm unlock 100"
        );
    }
}
