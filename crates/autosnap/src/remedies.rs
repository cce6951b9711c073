// SPDX-License-Identifier: GPL-3.0-only
//! Which remedy belongs to a failed call, from the structured error and from PVE's text.

use autosnap_core::guest::Vmid;
use autosnap_core::remedy::{GuestRemedy, Remedy};
use pve_client::{ConnectProblem, Error, FailedAttempt, Upid};

use crate::pve_messages::is_quorum_lost;

/// The remedy for a failed call, if one is known. `identity` is the user or token of the call.
pub(crate) fn for_error(error: &Error, identity: Option<&str>) -> Option<Remedy> {
    if error.reason().is_some_and(is_quorum_lost) {
        return Some(Remedy::RestoreQuorum);
    }
    if let Some(missing) = error.missing_privilege() {
        return Some(Remedy::GrantPrivilege {
            privilege: missing.privilege,
            path: missing.path,
            identity: identity.map(ToOwned::to_owned),
        });
    }
    match error {
        Error::NotSent { attempts, .. } => {
            let is_proxy = |attempt: &FailedAttempt| attempt.problem == ConnectProblem::Proxy;
            return Some(if attempts.iter().any(is_proxy) {
                Remedy::BypassProxy
            } else {
                Remedy::CheckConnection
            });
        }
        Error::UnexpectedReply { .. } => return Some(Remedy::CheckHosts),
        Error::Certificate {
            fingerprint: Some(fingerprint),
            ..
        } => {
            return Some(Remedy::TrustCertificate {
                fingerprint: fingerprint.to_string(),
            });
        }
        Error::Intercepted { .. } => return Some(Remedy::ConfigureProxy),
        Error::InvalidListing { path, .. } => {
            return Some(Remedy::ListOnNode { path: path.clone() });
        }
        Error::OtherCluster { .. } => return Some(Remedy::UseOneCluster),
        Error::Certificate { .. }
        | Error::UnsupportedTls { .. }
        | Error::MaybeProcessed { .. }
        | Error::Refused { .. }
        | Error::Authentication { .. }
        | Error::Configuration(_) => {}
    }
    if error.is_guest_missing() {
        return Some(Remedy::Guest(GuestRemedy::Find));
    }
    match error.status() {
        Some(595..=599) => Some(Remedy::CheckNode),
        _ => None,
    }
}

/// The remedy for a task that has failed with this text and left no incomplete snapshot.
pub(crate) fn for_task(message: &str, vmid: Vmid, upid: &Upid) -> Remedy {
    if is_quorum_lost(message) {
        return Remedy::RestoreQuorum;
    }
    if message.contains("snapshot feature is not available") {
        return Remedy::Guest(GuestRemedy::CheckDisks { vmid });
    }
    if message.contains("already used") {
        return Remedy::ChangeTimestampFormat;
    }
    if message.contains("needed by replication job") {
        return Remedy::WaitForReplication;
    }
    Remedy::ReadTaskLog {
        upid: upid.to_string(),
    }
}
