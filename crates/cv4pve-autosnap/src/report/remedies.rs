// SPDX-License-Identifier: GPL-3.0-only
//! The hints of the command line: one sentence per remedy, with options and commands to paste.

use autosnap_core::guest::{REPAIR_NOTE, repair_command};
use autosnap_core::remedy::{GuestRemedy, Remedy};
use autosnap_core::text;

use super::notes;
use crate::privileges;

/// Why a name may already be used: the hint for PVE's refusal.
pub(crate) const REPEATED_NAME_CAUSES: &str = "names repeat when --timestamp-format lacks the year, month, day, \
    hour or minute (`MM` is the month, `mm` the minute), has `hh` without `tt`, or letters that stand for \
    themselves (`YYYY`, `DD`, `%Y`), and in the repeated hour at the end of summer time; the default \
    yyMMddHHmmss has all of it";

const WAIT_FOR_LOCK: &str =
    "retry when the lock is released, or let the run wait with --wait-locked";
const WAIT_FOR_SNAPSHOT_LOCK: &str = "try again when the other snapshot task has ended, or let the run wait with --wait-snapshot-lock";
const RESTORE_QUORUM: &str = "see which nodes are missing, as root on a node: pvecm status; once a majority is back, \
    the next run does the rest";
const CHECK_QUORUM: &str = "check the nodes, as root on a node: pvecm status";
const RUN_CHECK: &str = "cv4pve-autosnap check prints the command that grants it";
const RUN_DRY: &str = "repeat it with --dry-run to see why";
const CHECK_CONNECTION: &str = "check --host and the network; PVE serves its API on port 8006";
const BYPASS_PROXY: &str = "to connect without the proxy: --no-proxy, or add the host to NO_PROXY";
const CHECK_HOSTS: &str = "check --host: it must name nodes of a Proxmox VE cluster";
const USE_ONE_CLUSTER: &str = "give only hosts of one cluster in --host";
const CONFIGURE_PROXY: &str = "a reverse proxy must pass /api2/json on with its Authorization and Cookie headers, \
    and must not require its own login; or name the nodes in --host, port 8006";
const CHECK_NODE: &str = "the node does not answer; check the node and the cluster network";
const FIND_GUEST: &str = "the guest was removed, or migrated to a node that is not visible";
const WAIT_FOR_REPLICATION: &str =
    "replication still needs it; it can be removed after the next replication";
const CORRECT_EXCLUSION: &str =
    "correct or remove the exclusion, or accept it with --allow-unmatched-exclusions";
const GRANT_NESTED_POOLS: &str =
    "grant Pool.Audit with --propagate 1, or accept it with --allow-unmatched-exclusions";

/// The hint for a remedy.
pub(crate) fn hint(remedy: &Remedy) -> String {
    match remedy {
        Remedy::WaitForLock => WAIT_FOR_LOCK.to_owned(),
        Remedy::WaitForSnapshotLock => WAIT_FOR_SNAPSHOT_LOCK.to_owned(),
        Remedy::FindLockHolder { waited } => format!(
            "it stayed locked for {}; check in PVE which task holds the lock",
            text::duration(*waited)
        ),
        Remedy::RestoreQuorum => RESTORE_QUORUM.to_owned(),
        Remedy::CheckQuorum => CHECK_QUORUM.to_owned(),
        Remedy::GrantPrivilege {
            privilege,
            path,
            identity,
        } => grant(privilege, path, identity.as_deref()),
        Remedy::RunCheck => RUN_CHECK.to_owned(),
        Remedy::RunDry => RUN_DRY.to_owned(),
        Remedy::CheckConnection => CHECK_CONNECTION.to_owned(),
        Remedy::BypassProxy => BYPASS_PROXY.to_owned(),
        Remedy::CheckHosts => CHECK_HOSTS.to_owned(),
        Remedy::UseOneCluster => USE_ONE_CLUSTER.to_owned(),
        Remedy::TrustCertificate { fingerprint } => format!(
            "if it is the right host and its certificate is meant to be this one: --fingerprint={fingerprint}, \
             or --ca-file with the certificate of its authority"
        ),
        Remedy::ConfigureProxy => CONFIGURE_PROXY.to_owned(),
        Remedy::ListOnNode { path } => {
            format!("see what Proxmox VE lists, as root on a node: pvesh get {path}")
        }
        Remedy::CheckNode => CHECK_NODE.to_owned(),
        Remedy::Guest(remedy) => guest_hint(remedy),
        Remedy::CheckStorages => notes::UNUSABLE_STORAGE_ADVICE.to_owned(),
        Remedy::ChangeTimestampFormat => REPEATED_NAME_CAUSES.to_owned(),
        Remedy::WaitForReplication => WAIT_FOR_REPLICATION.to_owned(),
        Remedy::CorrectExclusion => CORRECT_EXCLUSION.to_owned(),
        Remedy::GrantNestedPools => GRANT_NESTED_POOLS.to_owned(),
        Remedy::ReadTaskLog { upid } => format!("see the task's log in PVE: {upid}"),
        Remedy::CheckTask { upid } => format!("see in PVE how this task ended: {upid}"),
        Remedy::RaiseTimeout { upid } => {
            format!("increase --timeout; the log of the task in PVE shows how it ended: {upid}")
        }
    }
}

/// The hint about one guest.
fn guest_hint(remedy: &GuestRemedy) -> String {
    match remedy {
        GuestRemedy::Find => FIND_GUEST.to_owned(),
        GuestRemedy::Locate { error } => {
            format!("the new location of the guest could not be determined: {error}")
        }
        GuestRemedy::RunAgain { node } => {
            format!("the guest is on node {node} and was not changed; the next run finds it there")
        }
        GuestRemedy::CheckSnapshot {
            vmid,
            node,
            snapshot,
        } => format!("check snapshot {snapshot} and the tasks of guest {vmid} on node {node}"),
        GuestRemedy::CheckUnlistedSnapshot {
            node,
            snapshot,
            error,
        } => format!(
            "the guest is on node {node}; check snapshot {snapshot} there, its snapshots could not be listed: {error}"
        ),
        GuestRemedy::CheckForeignSnapshot { node, snapshot } => format!(
            "the guest is on node {node} and has a snapshot {snapshot}, which another program has created"
        ),
        GuestRemedy::CheckNewSnapshot { vmid, node } => format!(
            "check the snapshots of guest {vmid} and the clock of node {node}; \
             check that all hosts of --host belong to one cluster"
        ),
        GuestRemedy::Repair {
            kind,
            vmid,
            node,
            snapshot,
        } => format!(
            "PVE has left the guest locked; when no task runs on it, as root on {node}: {}; {REPAIR_NOTE}",
            repair_command(*kind, *vmid, Some(snapshot))
        ),
        GuestRemedy::CheckTasksThenRepair {
            kind,
            vmid,
            node,
            snapshot,
        } => format!(
            "check the guest's tasks in PVE first; if none is running, as root on {node}: {}{}",
            repair_command(*kind, *vmid, snapshot.as_deref()),
            snapshot
                .as_ref()
                .map_or(String::new(), |_| format!("; {REPAIR_NOTE}"))
        ),
        GuestRemedy::CheckDisks { vmid } => format!(
            "a storage of its disks cannot take snapshots; see the hardware of guest {vmid} in PVE"
        ),
    }
}

/// The commands that grant a privilege. Proxmox VE does not show a token whether it has privileges of its
/// own, and ignores entries for one that has not, so a token gets both commands: an entry for the
/// wrong one has no effect and could take away what the user inherits (see [`privileges::grant`]).
fn grant(privilege: &str, path: &str, identity: Option<&str>) -> String {
    // Of alternatives the first one is the narrowest.
    let privilege = privilege.split('|').next().unwrap_or_default();
    let identity = identity.unwrap_or("USER@REALM");
    let command = privileges::grant(path, identity);
    let commands = match identity.split_once('!') {
        Some((user, _)) => {
            let for_user = privileges::grant(path, user);
            format!(
                "{command}; if the user lacks it too, also {for_user}, which alone is right for a token made with --privsep 0"
            )
        }
        None => command,
    };
    format!(
        "the privilege {privilege} on {path} is missing; as root on a node: {commands}; \
         on {path} the entry replaces the roles inherited from above; \
         the role is made by: {}",
        privileges::role_line()
    )
}
