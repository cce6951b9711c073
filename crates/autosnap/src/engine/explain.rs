// SPDX-License-Identifier: GPL-3.0-only
//! What PVE said, in terms of what an administrator can do about it.
//!
//! The texts that are recognised here are PVE's, from the recordings and from the source files
//! named at each. One that is not recognised is passed on as it is.

use std::time::Duration;

use autosnap_core::event::{Cause, Effect, Failure};
use autosnap_core::guest::{REPAIR_NOTE, Vmid, repair_command};
use autosnap_core::name::REPEATED_NAME_CAUSES;
use autosnap_core::plan::{self, DropReason};
use autosnap_core::text;
use pve_client::{Certainty, Error, GuestKind, MissingPrivilege, Upid};

use super::operation::Place;
use crate::{inventory, privileges};

/// What it means that a guest has no configuration file on its node, and is not found elsewhere.
const GONE: &str = "the guest is gone, or was moved to a node that cannot be seen";

/// What to do about a cluster without quorum.
const NO_QUORUM: &str = "see which nodes are missing, as root on a node: pvecm status; once a majority is back, \
    the next run does what was left";

/// Whether PVE could not write its configuration because the cluster has no quorum: pmxcfs refuses to open
/// files for writing then (recording `quorum.lost`), and code that checks first reports it (`check_cfs_quorum`
/// and `cfs_lock` in `PVE/Cluster.pm`).
fn is_quorum_lost(message: &str) -> bool {
    let is_read_only =
        message.contains("unable to open file '/etc/pve/") && message.contains("Permission denied");
    is_read_only || message.contains("no quorum")
}

/// The message of a task, with an explanation if quorum is lost, which reads like a missing privilege.
pub(super) fn explain_lost_quorum(message: String) -> String {
    if is_quorum_lost(&message) {
        format!("the cluster has no quorum, /etc/pve is read-only: {message}")
    } else {
        message
    }
}

/// Whether PVE refused because another task works on the guest or its disks, so that the
/// same request may succeed later. Nothing was changed then.
pub(super) fn is_lock(message: &str) -> bool {
    is_guest_lock(message)
        // lock_file_full in PVE/Tools.pm; cfs_lock in PVE/Cluster.pm.
        || (message.contains("can't lock file") && message.contains("got timeout"))
        || ((message.contains("cfs lock") || message.contains("cfs-lock")) && message.contains("timeout"))
        // Replication holds the guest's migration lock (PVE/GuestHelpers.pm).
        || message.contains("guest migration lock")
        // A snapshot that `zfs send` is reading.
        || message.contains("dataset is busy")
}

/// Whether it is the guest's own lock. A task looks at it before it changes anything (`check_lock` in
/// PVE/AbstractConfig.pm), so that anything half done then belongs to another task.
pub(super) fn is_guest_lock(message: &str) -> bool {
    message.starts_with("VM is locked (") || message.starts_with("CT is locked (")
}

/// Whether the message is about a lock that a snapshot task sets.
pub(super) fn is_snapshot_lock(message: &str) -> bool {
    let lock = message
        .split_once("M is locked (")
        .or_else(|| message.split_once("T is locked ("));
    is_guest_lock(message)
        && lock
            .and_then(|(_, rest)| rest.split_once(')'))
            .is_some_and(|(lock, _)| plan::is_snapshot_lock(lock))
}

/// The text PVE itself gives for a lock.
pub(super) fn locked(kind: GuestKind, lock: &str) -> String {
    match kind {
        GuestKind::Qemu => format!("VM is locked ({lock})"),
        GuestKind::Lxc => format!("CT is locked ({lock})"),
    }
}

/// The failure of a guest that is locked and must not wait any longer.
pub(super) fn lock_failure(message: String, waited: Option<Duration>) -> Failure {
    let hint = match waited {
        Some(waited) => format!("it stayed locked for {}; look in PVE which task holds the lock", text::duration(waited)),
        None if is_snapshot_lock(&message) => {
            "try again when the other snapshot task has ended, or let the run wait with --wait-snapshot-lock".to_owned()
        }
        None => "try again when the task that holds it has ended, or let the run wait with --wait-locked".to_owned(),
    };
    Failure {
        cause: Cause::Task,
        effect: Effect::None,
        message,
        hint: Some(hint),
    }
}

/// A snapshot that somebody else has removed.
pub(super) fn gone() -> Failure {
    Failure {
        cause: Cause::Task,
        effect: Effect::None,
        message: "another program has removed the snapshot".to_owned(),
        hint: None,
    }
}

/// The guest's list of snapshots does not confirm the one that this run has taken, so nothing is removed.
pub(super) fn new_snapshot_not_confirmed(guest: &Place, name: &str, reason: DropReason) -> Failure {
    let seen = match reason {
        DropReason::NewNotListed => "is not in the guest's list of snapshots",
        DropReason::NewIncomplete => "is not complete in the guest's list of snapshots",
        DropReason::NewIsAnother => {
            "in the guest's list is not the one that this run has taken: its time or its description differs"
        }
        DropReason::Gone | DropReason::Replaced | DropReason::KeptNow => "was not looked at",
    };
    let Place { node, vmid, .. } = guest;
    Failure {
        cause: Cause::Unconfirmed,
        effect: Effect::None,
        message: format!("the new snapshot {name} {seen}, so no old one is removed"),
        hint: Some(format!(
            "look at the snapshots of guest {vmid} and at the clock of node {node}; \
             check that all hosts of --host belong to one cluster"
        )),
    }
}

/// A call that failed.
pub(super) fn failure(error: &Error, identity: &str) -> Failure {
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
        hint: hint_for(error, Some(identity)),
    }
}

/// What to do about a call that failed, if anything is known to help. `identity` is the user or
/// token that made it, if that is known.
pub fn hint_for(error: &Error, identity: Option<&str>) -> Option<String> {
    if error.reason().is_some_and(is_quorum_lost) {
        return Some(NO_QUORUM.to_owned());
    }
    if let Some(missing) = error.missing_privilege() {
        return Some(grant(&missing, identity));
    }
    match error {
        Error::NotSent { .. } => {
            return Some(
                "check --host and the network; PVE serves its API on port 8006".to_owned(),
            );
        }
        Error::NotUnderstood { .. } => {
            return Some("check --host: it has to name nodes of a Proxmox VE cluster".to_owned());
        }
        Error::Certificate {
            fingerprint: Some(fingerprint),
            ..
        } => {
            return Some(format!(
                "if it is the right host and its certificate is meant to be this one: --fingerprint={fingerprint}, or --ca-file with the certificate of its authority"
            ));
        }
        Error::Intercepted { .. } => {
            return Some(
                "a reverse proxy must pass /api2/json on with its Authorization and Cookie headers, \
                 and ask for no login of its own; or name the nodes in --host, port 8006"
                    .to_owned(),
            );
        }
        Error::NotListed { path, .. } => {
            return Some(format!(
                "see what Proxmox VE lists, as root on a node: pvesh get {path}"
            ));
        }
        Error::OtherCluster { .. } => {
            return Some("give only hosts of one cluster in --host".to_owned());
        }
        Error::Certificate { .. }
        | Error::UnsupportedTls { .. }
        | Error::MaybeProcessed { .. }
        | Error::Refused { .. }
        | Error::Authentication { .. }
        | Error::Configuration(_) => {}
    }
    if error.is_guest_missing() {
        return Some(GONE.to_owned());
    }
    match error.status() {
        Some(595..=599) => {
            Some("the node does not answer; look at it and at the cluster network".to_owned())
        }
        _ => None,
    }
}

/// The line that grants a privilege. Proxmox VE does not tell a token whether it has privileges of its
/// own, and ignores entries for one that has not, so that a token gets both lines: an entry for the
/// wrong one helps nobody and could take away what the user inherits (see [`privileges::grant`]).
fn grant(missing: &MissingPrivilege, identity: Option<&str>) -> String {
    let path = &missing.path;
    // Of alternatives the first one is the narrowest.
    let privilege = missing.privilege.split('|').next().unwrap_or_default();
    let identity = identity.unwrap_or("USER@REALM");
    let line = privileges::grant(path, identity);
    let lines = match identity.split_once('!') {
        Some((user, _)) => {
            let of_user = privileges::grant(path, user);
            format!(
                "{line}; if the user lacks it too, also {of_user}, which alone is right for a token made with --privsep 0"
            )
        }
        None => line,
    };
    format!(
        "the privilege {privilege} on {path} is missing; as root on a node: {lines}; \
         on {path} the entry takes the place of the roles inherited from above; \
         the role is made by: {}",
        privileges::role_line()
    )
}

/// Why a guest waits whose task takes longer than the time-out.
pub(super) fn late_task(timeout: Duration) -> String {
    format!("the task has not ended within {}", text::duration(timeout))
}

/// The failure of a late task whose success the guest's list of snapshots does not show.
pub(super) fn not_shown(upid: &Upid) -> Failure {
    Failure {
        cause: Cause::Connection,
        effect: Effect::Unknown,
        message: "the reply was lost, and the guest's list of snapshots does not show the change"
            .to_owned(),
        hint: Some(format!("see in PVE how this task ended: {upid}")),
    }
}

/// The failure of a task that took longer than the time-out and still ran at the end of the run.
pub(super) fn timed_out(upid: &Upid, timeout: Duration) -> Failure {
    Failure {
        cause: Cause::Timeout,
        effect: Effect::StillRunning,
        message: late_task(timeout),
        hint: Some(format!(
            "give it more time with --timeout; how it ends is in its log in PVE: {upid}"
        )),
    }
}

/// A task that could not be looked at any more when the time-out came.
pub(super) fn lost_sight(upid: &Upid, timeout: Duration, error: &Error) -> Failure {
    Failure {
        cause: Cause::Connection,
        effect: Effect::Unknown,
        message: format!(
            "the end of the task was not seen within {}: {error}",
            text::duration(timeout)
        ),
        hint: Some(format!("look how it ended in PVE: {upid}")),
    }
}

/// A task that has found no configuration of the guest on its node, so that it has done nothing.
pub(super) fn not_there(message: String) -> Failure {
    Failure {
        cause: Cause::Task,
        effect: Effect::None,
        message,
        hint: Some(GONE.to_owned()),
    }
}

/// A task that may not be looked at.
pub(super) fn unreadable_task(upid: &Upid, error: &Error) -> Failure {
    Failure {
        cause: Cause::Connection,
        effect: Effect::Unknown,
        message: format!("cannot follow the task: {error}"),
        hint: Some(format!("look how it ended in PVE: {upid}")),
    }
}

/// A request whose answer was lost and whose effect was not found.
pub(super) fn lost(
    (vmid, node): (Vmid, &str),
    snapshot: &str,
    error: &Error,
    seen: &str,
) -> Failure {
    // What the error says about the effect is said by the effect itself.
    let what = match error {
        Error::MaybeProcessed {
            method,
            path,
            endpoint,
            reason,
            ..
        } => format!("no complete answer from {endpoint} to {method} {path}: {reason}"),
        Error::NotSent { .. }
        | Error::Refused { .. }
        | Error::NotUnderstood { .. }
        | Error::Intercepted { .. }
        | Error::NotListed { .. }
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
        hint: Some(format!(
            "look at snapshot {snapshot} and at the tasks of guest {vmid} on node {node}"
        )),
    }
}

/// What to do about a snapshot that is half made or half removed.
pub(super) fn repair(place: &Place, snapshot: &str) -> String {
    format!(
        "PVE has left the guest locked; when no task runs on it, as root on {}: {}; {REPAIR_NOTE}",
        place.node,
        repair_command(inventory::kind(place.kind), place.vmid, Some(snapshot))
    )
}

/// A guest that was found after all, without what was asked for.
pub(super) fn still_to_do(place: &Place) -> String {
    format!(
        "the guest is on node {} and was not changed; the next run finds it there",
        place.node
    )
}

/// A guest that was found on a node which does not list its snapshots.
pub(super) fn not_listed_there(place: &Place, snapshot: &str, error: &Error) -> String {
    format!(
        "the guest is on node {}; look at snapshot {snapshot} there, its snapshots could not be listed: {error}",
        place.node
    )
}

/// A guest that was found with a snapshot of the name that was to be made.
pub(super) fn made_by_somebody(place: &Place, snapshot: &str) -> String {
    format!(
        "the guest is on node {} and has a snapshot {snapshot}, which somebody else has made",
        place.node
    )
}

/// What to do about a task that failed.
pub(super) fn task_hint(
    place: &Place,
    snapshot: &str,
    message: &str,
    half: bool,
    upid: &Upid,
) -> String {
    let vmid = place.vmid;
    if half {
        return repair(place, snapshot);
    }
    if is_quorum_lost(message) {
        return NO_QUORUM.to_owned();
    }
    if message.contains("snapshot feature is not available") {
        return format!(
            "a storage of its disks cannot take snapshots; see the hardware of guest {vmid} in PVE"
        );
    }
    if message.contains("already used") {
        return REPEATED_NAME_CAUSES.to_owned();
    }
    if message.contains("needed by replication job") {
        return "replication still needs it; it can be removed after the next replication"
            .to_owned();
    }
    format!("see the task's log in PVE: {upid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, expected: bool) {
        assert_eq!(is_lock(message), expected, "{message}");
    }

    #[test]
    fn lost_quorum_is_told_from_other_refusals() {
        for (message, expected) in [
            (
                "unable to open file '/etc/pve/nodes/pve1/qemu-server/100.conf.tmp.22950' - Permission denied",
                true,
            ),
            ("cluster not ready - no quorum?", true),
            ("cfs-lock 'storage-local' error: no quorum!", true),
            (
                "unable to open file '/var/log/pve/tasks/x' - Permission denied",
                false,
            ),
            ("Permission check failed (/vms/100, VM.Snapshot)", false),
        ] {
            assert_eq!(is_quorum_lost(message), expected, "{message}");
        }
    }

    #[test]
    fn locks_are_told_from_other_refusals() {
        check("VM is locked (backup)", true);
        check("CT is locked (snapshot-delete)", true);
        check(
            "can't lock file '/var/lock/qemu-server/lock-110.conf' - got timeout",
            true,
        );
        check(
            "error with cfs lock 'storage-local': got lock request timeout - got lock timeout",
            true,
        );
        check(
            "zfs error: cannot destroy 'rpool/data/vm-100-disk-0@autodaily1': dataset is busy",
            true,
        );
        check(
            "VM 101 qmp command 'savevm-start' failed - got timeout",
            false,
        );
        check("snapshot feature is not available", false);
        check("snapshot name 'x1' already used", false);
        check("", false);
    }
}
