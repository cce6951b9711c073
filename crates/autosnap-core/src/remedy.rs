// SPDX-License-Identifier: GPL-3.0-only
//! What an administrator can do about a failure, as data: each front end renders its own sentence.
//!
//! To add a remedy: add the variant here; the compiler shows every front end that must render it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::guest::{GuestKind, NamedGuest, Vmid};
use crate::plan::{Refusal, is_snapshot_lock};

/// What an administrator can do about a failure or a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// Run again when the task that holds the guest's lock has ended, or let the run wait for it.
    WaitForLock,
    /// Run again when the other snapshot task has ended, or let the run wait for it.
    WaitForSnapshotLock,
    /// Find the task that holds the lock, which the run has already waited for.
    FindLockHolder {
        /// How long the run has waited.
        waited: Duration,
    },
    /// Bring back a majority of the nodes.
    RestoreQuorum,
    /// Find out which nodes are missing: a dry run predicts the failure.
    CheckQuorum,
    /// Grant a privilege.
    GrantPrivilege {
        /// The privilege; alternatives are separated by `|`.
        privilege: String,
        /// The path of the access control list.
        path: String,
        /// The user or token, if it is known.
        identity: Option<String>,
    },
    /// Let the check print the command that grants the missing privilege.
    RunCheck,
    /// Run again without changing anything, to see the reason.
    RunDry,
    /// Check the host names and the network.
    CheckConnection,
    /// Connect without the HTTP proxy of the environment.
    BypassProxy,
    /// Give the names of Proxmox VE nodes: another server replied.
    CheckHosts,
    /// Give only hosts of one cluster.
    UseOneCluster,
    /// Trust the certificate that the host shows.
    TrustCertificate {
        /// Its fingerprint.
        fingerprint: String,
    },
    /// Configure the reverse proxy that replied in place of Proxmox VE.
    ConfigureProxy,
    /// Print the list on a node with `pvesh`, because the reply was invalid.
    ListOnNode {
        /// The path of the API.
        path: String,
    },
    /// Check a node that does not reply, and the cluster network.
    CheckNode,
    /// Check or repair one guest.
    Guest(GuestRemedy),
    /// Read the log of a task that has failed.
    ReadTaskLog {
        /// The task's UPID.
        upid: String,
    },
    /// Read in PVE how the task ended, because the run did not see its end.
    CheckTask {
        /// The task's UPID.
        upid: String,
    },
    /// Give tasks more time, and read how this one ended.
    RaiseTimeout {
        /// The task's UPID.
        upid: String,
    },
    /// Add, enable or leave a storage that Proxmox VE cannot use.
    CheckStorages,
    /// Choose a timestamp format whose names do not repeat.
    ChangeTimestampFormat,
    /// Wait for the next replication, which still needs the snapshot.
    WaitForReplication,
    /// Correct, remove or accept an exclusion that cannot be resolved.
    CorrectExclusion,
    /// Grant `Pool.Audit` on the nested pools as well, or accept the exclusion.
    GrantNestedPools,
}

/// What can be done about one guest: check it, find it, repair it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuestRemedy {
    /// Nothing, if the guest was removed on purpose: no visible node has its configuration.
    Find,
    /// Find the guest, whose node could not be read.
    Locate {
        /// Why the node is unknown.
        error: String,
    },
    /// Run again: the guest was found on another node, unchanged.
    RunAgain {
        /// The node.
        node: String,
    },
    /// Find out whether a request with a lost reply was carried out.
    CheckSnapshot {
        /// The guest.
        vmid: Vmid,
        /// The node that got the request.
        node: String,
        /// The snapshot.
        snapshot: String,
    },
    /// Check a snapshot on the node where the guest is now, which does not list it.
    CheckUnlistedSnapshot {
        /// The node.
        node: String,
        /// The snapshot.
        snapshot: String,
        /// Why the snapshots could not be listed.
        error: String,
    },
    /// Check a snapshot of the same name, which another program has created.
    CheckForeignSnapshot {
        /// The node.
        node: String,
        /// The snapshot.
        snapshot: String,
    },
    /// Check the new snapshot, the node's clock and that all hosts belong to one cluster.
    CheckNewSnapshot {
        /// The guest.
        vmid: Vmid,
        /// Its node.
        node: String,
    },
    /// Unlock the guest and finish the removal of its incomplete snapshot.
    Repair {
        /// Virtual machine or container.
        kind: GuestKind,
        /// The guest.
        vmid: Vmid,
        /// Its node.
        node: String,
        /// The incomplete snapshot.
        snapshot: String,
    },
    /// The same for a guest that was locked before the run; other tasks may work on it, unseen.
    CheckTasksThenRepair {
        /// Virtual machine or container.
        kind: GuestKind,
        /// The guest.
        vmid: Vmid,
        /// Its node.
        node: String,
        /// The incomplete snapshot, if there is one.
        snapshot: Option<String>,
    },
    /// Check the guest's disks: a storage cannot take snapshots.
    CheckDisks {
        /// The guest.
        vmid: Vmid,
    },
}

impl From<GuestRemedy> for Remedy {
    fn from(remedy: GuestRemedy) -> Self {
        Self::Guest(remedy)
    }
}

impl Remedy {
    /// The remedy for a guest that the plan refuses, if there is one.
    pub fn for_refusal(refusal: &Refusal, guest: NamedGuest<'_>) -> Option<Self> {
        match refusal {
            Refusal::StorageFull(_) | Refusal::NodeOffline | Refusal::Unreadable(_) => None,
            Refusal::StorageUnusable(_) => Some(Self::CheckStorages),
            Refusal::Locked(lock) => Some(Self::for_lock(is_snapshot_lock(lock))),
            Refusal::Stuck { snapshot, .. } => {
                Some(Self::Guest(GuestRemedy::CheckTasksThenRepair {
                    kind: guest.kind,
                    vmid: guest.vmid,
                    node: guest.node.to_owned(),
                    snapshot: snapshot.clone(),
                }))
            }
            Refusal::NotPermitted { .. } => Some(Self::RunCheck),
            Refusal::NoQuorum => Some(Self::CheckQuorum),
            Refusal::NameTaken(_) => Some(Self::ChangeTimestampFormat),
        }
    }

    /// The remedy for a lock that the run does not wait for.
    pub fn for_lock(is_snapshot_lock: bool) -> Self {
        if is_snapshot_lock {
            Self::WaitForSnapshotLock
        } else {
            Self::WaitForLock
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::SnapName;

    #[test]
    fn the_remedy_for_a_refused_guest_depends_on_the_refusal() {
        let guest = NamedGuest {
            vmid: Vmid::new(100).expect("a valid ID"),
            kind: GuestKind::Lxc,
            node: "pve1",
            name: None,
        };
        let repair = GuestRemedy::CheckTasksThenRepair {
            kind: guest.kind,
            vmid: guest.vmid,
            node: guest.node.to_owned(),
            snapshot: Some("autodaily1".to_owned()),
        };
        let stuck = Refusal::Stuck {
            lock: "snapshot".to_owned(),
            snapshot: Some("autodaily1".to_owned()),
        };
        let not_permitted = Refusal::NotPermitted {
            path: "/vms/100".to_owned(),
        };
        let name = SnapName::parse("autodaily1").expect("a valid name");
        for (refusal, expected) in [
            (Refusal::NodeOffline, None),
            (Refusal::Unreadable("timeout".to_owned()), None),
            (
                Refusal::StorageUnusable("disabled".to_owned()),
                Some(Remedy::CheckStorages),
            ),
            (
                Refusal::Locked("snapshot-delete".to_owned()),
                Some(Remedy::WaitForSnapshotLock),
            ),
            (
                Refusal::Locked("backup".to_owned()),
                Some(Remedy::WaitForLock),
            ),
            (stuck, Some(Remedy::Guest(repair))),
            (not_permitted, Some(Remedy::RunCheck)),
            (Refusal::NoQuorum, Some(Remedy::CheckQuorum)),
            (
                Refusal::NameTaken(name),
                Some(Remedy::ChangeTimestampFormat),
            ),
        ] {
            let found = Remedy::for_refusal(&refusal, guest);
            assert_eq!(found, expected, "{refusal:?}");
        }
    }
}
