// SPDX-License-Identifier: GPL-3.0-only
//! The failures of creations and removals: the cause, the known effect, and the remedy.

use std::time::Duration;

use autosnap_core::event::{Cause, Effect, Failure};
use autosnap_core::guest::Vmid;
use autosnap_core::plan::DropReason;
use autosnap_core::remedy::{GuestRemedy, Remedy};
use autosnap_core::text;
use pve_client::{Certainty, Error, Upid};

use crate::pve_messages::{explain_lost_quorum, is_quorum_lost, is_snapshot_lock};
use crate::remedies;

/// The failure of a locked guest that does not wait any longer.
pub(super) fn locked(message: String, waited: Option<Duration>) -> Failure {
    let remedy = match waited {
        Some(waited) => Remedy::FindLockHolder { waited },
        None => Remedy::for_lock(is_snapshot_lock(&message)),
    };
    Failure {
        cause: Cause::Task,
        effect: Effect::None,
        message,
        remedy: Some(remedy),
    }
}

/// The failure of a creation whose snapshot another program has removed.
pub(super) fn removed_by_other_program() -> Failure {
    Failure {
        cause: Cause::Task,
        effect: Effect::None,
        message: "another program has removed the snapshot".to_owned(),
        remedy: None,
    }
}

/// The failure of a removal, because the guest's list does not confirm the new snapshot of this run.
pub(super) fn new_snapshot_not_confirmed(
    (vmid, node): (Vmid, &str),
    name: &str,
    reason: DropReason,
) -> Failure {
    let seen = match reason {
        DropReason::NewNotListed => "is not in the guest's list of snapshots",
        DropReason::NewIncomplete => "is not complete in the guest's list of snapshots",
        DropReason::NewIsAnother => {
            "in the guest's list is not the one that this run has taken: its time or its description differs"
        }
        DropReason::Gone | DropReason::Replaced | DropReason::KeptNow => "was not checked",
    };
    Failure {
        cause: Cause::Unconfirmed,
        effect: Effect::None,
        message: format!("the new snapshot {name} {seen}, so no old one is removed"),
        remedy: Some(Remedy::Guest(GuestRemedy::CheckNewSnapshot {
            vmid,
            node: node.to_owned(),
        })),
    }
}

/// The failure of a request.
pub(super) fn from_error(error: &Error, identity: &str) -> Failure {
    let effect = match error.certainty() {
        Certainty::NotSent | Certainty::Refused => Effect::None,
        Certainty::Unknown => Effect::Unknown,
    };
    let (cause, message) = match error.reason() {
        Some(reason) if is_quorum_lost(reason) => {
            (Cause::Refused, explain_lost_quorum(error.to_string()))
        }
        Some(_) => (Cause::Refused, error.to_string()),
        None => (Cause::Connection, error.to_string()),
    };
    Failure {
        cause,
        effect,
        message,
        remedy: remedies::for_error(error, Some(identity)),
    }
}

/// The reason why a guest with a late task is deferred.
pub(super) fn late_task(timeout: Duration) -> String {
    format!("the task has not ended within {}", text::duration(timeout))
}

/// The failure of a late task whose success the guest's list of snapshots does not show.
pub(super) fn effect_not_listed(upid: &Upid) -> Failure {
    Failure {
        cause: Cause::Connection,
        effect: Effect::Unknown,
        message: "the reply was lost, and the guest's list of snapshots does not show the change"
            .to_owned(),
        remedy: Some(check_task(upid)),
    }
}

/// The failure of a task that took longer than the timeout and still ran at the end of the run.
pub(super) fn timed_out(upid: &Upid, timeout: Duration) -> Failure {
    Failure {
        cause: Cause::Timeout,
        effect: Effect::StillRunning,
        message: late_task(timeout),
        remedy: Some(Remedy::RaiseTimeout {
            upid: upid.to_string(),
        }),
    }
}

/// The failure of a task that could not be polled when the timeout expired.
pub(super) fn end_not_seen(upid: &Upid, timeout: Duration, error: &Error) -> Failure {
    Failure {
        cause: Cause::Connection,
        effect: Effect::Unknown,
        message: format!(
            "the end of the task was not seen within {}: {error}",
            text::duration(timeout)
        ),
        remedy: Some(check_task(upid)),
    }
}

/// The failure of a task that the login may not poll.
pub(super) fn unreadable_task(upid: &Upid, error: &Error) -> Failure {
    Failure {
        cause: Cause::Connection,
        effect: Effect::Unknown,
        message: format!("cannot follow the task: {error}"),
        remedy: Some(check_task(upid)),
    }
}

/// The failure of a task that found no configuration of the guest on its node: nothing was done.
pub(super) fn guest_not_on_node(message: String) -> Failure {
    Failure {
        cause: Cause::Task,
        effect: Effect::None,
        message,
        remedy: Some(Remedy::Guest(GuestRemedy::Find)),
    }
}

/// The failure of a request whose reply was lost and whose effect was not found.
pub(super) fn lost_reply(
    (vmid, node): (Vmid, &str),
    snapshot: &str,
    error: &Error,
    seen: &str,
) -> Failure {
    // The part of the error about the effect is in `Failure::effect`.
    let what = match error {
        Error::MaybeProcessed {
            method,
            path,
            endpoint,
            reason,
            ..
        } => format!("no complete reply from {endpoint} to {method} {path}: {reason}"),
        Error::NotSent { .. }
        | Error::Refused { .. }
        | Error::UnexpectedReply { .. }
        | Error::Intercepted { .. }
        | Error::InvalidListing { .. }
        | Error::Authentication { .. }
        | Error::Certificate { .. }
        | Error::UnsupportedTls { .. }
        | Error::OtherCluster { .. }
        | Error::Configuration(_) => error.to_string(),
    };
    Failure {
        cause: Cause::Connection,
        effect: Effect::Unknown,
        message: format!("{what}; {seen}"),
        remedy: Some(Remedy::Guest(GuestRemedy::CheckSnapshot {
            vmid,
            node: node.to_owned(),
            snapshot: snapshot.to_owned(),
        })),
    }
}

fn check_task(upid: &Upid) -> Remedy {
    Remedy::CheckTask {
        upid: upid.to_string(),
    }
}
