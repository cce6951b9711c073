// SPDX-License-Identifier: GPL-3.0-only
//! The error texts of PVE that decide what the engine does next.
//!
//! PVE has no error codes for them. The texts come from the recordings and from the source files named at
//! each; an unknown text is reported as it is.

use autosnap_core::plan;
use pve_client::GuestKind;

/// Whether PVE could not write its configuration because the cluster has no quorum: pmxcfs refuses to open
/// files for writing then (recording `quorum.lost`), and code that checks first reports it (`check_cfs_quorum`
/// and `cfs_lock` in `PVE/Cluster.pm`).
pub(crate) fn is_quorum_lost(message: &str) -> bool {
    let is_read_only =
        message.contains("unable to open file '/etc/pve/") && message.contains("Permission denied");
    is_read_only || message.contains("no quorum")
}

/// The message of a task, with an explanation if quorum is lost, which reads like a missing privilege.
pub(crate) fn explain_lost_quorum(message: String) -> String {
    if is_quorum_lost(&message) {
        format!("the cluster has no quorum, /etc/pve is read-only: {message}")
    } else {
        message
    }
}

/// Whether PVE refused because another task works on the guest or its disks, so that the
/// same request may succeed later. Nothing was changed then.
pub(crate) fn is_lock(message: &str) -> bool {
    is_guest_lock(message)
        // lock_file_full in PVE/Tools.pm; cfs_lock in PVE/Cluster.pm.
        || (message.contains("can't lock file") && message.contains("got timeout"))
        || ((message.contains("cfs lock") || message.contains("cfs-lock")) && message.contains("timeout"))
        // Replication holds the guest's migration lock (PVE/GuestHelpers.pm).
        || message.contains("guest migration lock")
        // A snapshot that `zfs send` is reading.
        || message.contains("dataset is busy")
}

/// Whether it is the guest's own lock. A task checks it before it changes anything (`check_lock` in
/// PVE/AbstractConfig.pm), so an incomplete snapshot then belongs to another task.
pub(crate) fn is_guest_lock(message: &str) -> bool {
    message.starts_with("VM is locked (") || message.starts_with("CT is locked (")
}

/// Whether the message is about a lock that a snapshot task sets.
pub(crate) fn is_snapshot_lock(message: &str) -> bool {
    let lock = message
        .split_once("M is locked (")
        .or_else(|| message.split_once("T is locked ("));
    is_guest_lock(message)
        && lock
            .and_then(|(_, rest)| rest.split_once(')'))
            .is_some_and(|(lock, _)| plan::is_snapshot_lock(lock))
}

/// The text PVE itself gives for a lock.
pub(crate) fn locked(kind: GuestKind, lock: &str) -> String {
    match kind {
        GuestKind::Qemu => format!("VM is locked ({lock})"),
        GuestKind::Lxc => format!("CT is locked ({lock})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, expected: bool) {
        assert_eq!(is_lock(message), expected, "{message}");
    }

    #[test]
    fn lost_quorum_is_not_taken_for_other_refusals() {
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
    fn locks_are_not_taken_for_other_refusals() {
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

    #[test]
    fn only_locks_of_snapshot_tasks_are_snapshot_locks() {
        for (message, expected) in [
            ("VM is locked (snapshot)", true),
            ("CT is locked (snapshot-delete)", true),
            ("VM is locked (backup)", false),
            ("can't lock file 'x' - got timeout", false),
        ] {
            assert_eq!(is_snapshot_lock(message), expected, "{message}");
        }
    }
}
