// SPDX-License-Identifier: GPL-3.0-only
//! The findings of `check`: one variant per kind, with its severity. Front ends render the texts.

mod properties;

use std::sync::Arc;

use autosnap_core::guest::{GuestKind, Vmid};
use autosnap_core::name::{FormatWarning, SnapName};
use autosnap_core::plan::{Note, Skip};
use autosnap_core::select::{SelectionWarning, UnreadableEntry};
use autosnap_core::storage::{StorageLimit, UncheckedStorage};
use autosnap_core::warning::Warning;
use pve_client::OtherCluster;

use super::login::Login;
use super::storages::Unlisted;
use crate::error::Error;
use crate::guest_ref::GuestRef;
use crate::notice::Notice;
use crate::severity::Severity;

/// An entry of the access control list that a login lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The path of the entry.
    pub path: String,
    /// The login that lacks it.
    pub login: Login,
    /// Whether the token's privileges are separated from its user's; `None` if PVE does not report it.
    pub separated: Option<bool>,
}

/// A privilege that a run needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// See guests.
    VmAudit,
    /// Take and remove snapshots.
    VmSnapshot,
    /// See the usage of storages.
    DatastoreAudit,
    /// See pools.
    PoolAudit,
}

impl Privilege {
    /// The name in PVE.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VmAudit => "VM.Audit",
            Self::VmSnapshot => "VM.Snapshot",
            Self::DatastoreAudit => "Datastore.Audit",
            Self::PoolAudit => "Pool.Audit",
        }
    }
}

/// A guest that cannot be migrated while it has snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationBlock {
    /// The guest.
    pub vmid: Vmid,
    /// Virtual machine or container.
    pub kind: GuestKind,
    /// Whether this holds only while it runs: a stopped guest can be migrated with its snapshots.
    pub only_online: bool,
}

/// A fact about the cluster, the login, the options or a guest that matters to the run.
#[derive(Debug, Clone)]
pub enum Finding {
    /// A host does not reply.
    HostUnreachable {
        /// The host.
        host: String,
        /// The error of each connection attempt.
        reason: String,
        /// Whether the run fails, because no other host can be used.
        blocks: bool,
    },
    /// A host replies, but its certificate is not trusted, the login failed, or the reply is not usable.
    HostRefuses {
        /// The host.
        host: String,
        /// The error.
        reason: String,
        /// Whether the run fails, because no other host can be used.
        blocks: bool,
    },
    /// Two hosts belong to different clusters.
    OtherCluster(Box<OtherCluster>),
    /// Any certificate is accepted.
    AnyCertificate {
        /// The fingerprints of the hosts, without duplicates.
        pins: Vec<String>,
    },
    /// A certificate expires soon, or has expired.
    CertificateEnds {
        /// The host.
        host: String,
        /// Days until it expires; negative if it has expired.
        days: i64,
    },
    /// A host's clock differs from the clock of this machine.
    ClockDiffers {
        /// The host.
        host: String,
        /// The difference in seconds; positive if the host's clock is ahead.
        seconds: i64,
    },
    /// The cluster has no quorum.
    NoQuorum {
        /// Whether a guest of the run fails because of it.
        blocks: bool,
    },
    /// The login may not see whether the cluster has quorum.
    QuorumUnknown,
    /// The login has no permissions.
    NoPrivileges {
        /// The entry that grants the role.
        grant: Grant,
    },
    /// A privilege is missing on a path.
    MissingPrivilege {
        /// The path of the access control list.
        path: String,
        /// The privilege.
        privilege: Privilege,
        /// Its severity for this run.
        severity: Severity,
        /// The entry that grants it.
        grant: Grant,
    },
    /// No guest is selected.
    NothingSelected,
    /// A term of the selection matches nothing.
    EmptyTerm(SelectionWarning),
    /// An entry of a listing cannot be used, and may be a selected guest.
    UnreadableEntry(UnreadableEntry),
    /// A guest, pool or node that the selection names is not visible, or a guest on an offline node may have a name
    /// that it contains.
    MissingObject(Warning),
    /// An exclusion cannot be resolved: the run would not start.
    UnresolvedExclusion(SelectionWarning),
    /// A guest that is selected by ID or name would be skipped, and `--strict` is given.
    RequiredGuestSkipped {
        /// The guest.
        guest: GuestRef,
        /// Why it would be skipped.
        skip: Skip,
    },
    /// The run would end early with this error.
    RunFails(Arc<Error>),
    /// The dry run fails for a reason that no other finding names.
    DryRunFails,
    /// The run would print this warning.
    RunWarns(Warning),
    /// The run keeps snapshots of this guest because their names or times are doubtful.
    DoubtfulSnapshots {
        /// The guest.
        guest: GuestRef,
        /// The note of the plan.
        note: Note,
    },
    /// Required options are missing, so that their values were not checked.
    MissingOption {
        /// The command.
        command: &'static str,
        /// The options.
        options: String,
    },
    /// The run would refuse this option.
    InvalidOption(String),
    /// PVE would refuse the names.
    InvalidName(String),
    /// The timestamp format is valid, but probably not what its author meant.
    TimestampFormat(FormatWarning),
    /// The hook is not a file, which is an error of usage.
    InvalidHook(String),
    /// A notice about the options or files of this machine.
    Local(Notice),
    /// A snapshot with the name of the new one already exists.
    NameTaken {
        /// The guest.
        guest: GuestRef,
        /// The name.
        name: SnapName,
    },
    /// The guest's node is offline.
    NodeOffline(GuestRef),
    /// The guest could not be read.
    Unreadable {
        /// The guest.
        guest: GuestRef,
        /// The error.
        reason: String,
    },
    /// A template.
    Template(GuestRef),
    /// Volumes that can never be snapshotted: the guest is skipped.
    Unsupported {
        /// The guest.
        guest: GuestRef,
        /// The keys of its configuration, such as `mp0`.
        volumes: Vec<String>,
    },
    /// PVE cannot snapshot the guest because of these volumes.
    CannotSnapshot {
        /// The guest.
        guest: GuestRef,
        /// Keys and volumes, such as `scsi0: bulk:102/vm-102-disk-0.raw`.
        volumes: Vec<String>,
    },
    /// PVE would refuse the snapshot, because it cannot use a storage of the guest's disks.
    StorageUnusable {
        /// The guest.
        guest: GuestRef,
        /// PVE's text.
        reason: String,
    },
    /// The guest is locked.
    Locked {
        /// The guest.
        guest: GuestRef,
        /// The lock, such as `backup`.
        lock: String,
        /// Whether the guest fails because of it, instead of waiting.
        blocks: bool,
    },
    /// A snapshot task is running for the guest.
    TaskRunning {
        /// The guest.
        guest: GuestRef,
        /// The kind of the task, such as `qmsnapshot`.
        task: String,
        /// Whether the guest fails because of it.
        blocks: bool,
    },
    /// An incomplete snapshot, or the lock of one, is left without a running task.
    Stuck {
        /// The guest.
        guest: GuestRef,
        /// The snapshot and its `snapstate`.
        snapshot: Option<(String, String)>,
        /// The lock that is left.
        lock: Option<String>,
        /// Whether the login sees the tasks of all users on the node.
        sees_all_tasks: bool,
        /// Whether the guest fails because of it.
        blocks: bool,
    },
    /// A storage with disks of guests that PVE does not list for the node.
    StorageNotListed {
        /// The node.
        node: String,
        /// The storage's ID.
        storage: String,
        /// The reason.
        why: Unlisted,
        /// The selected guests with disks on it.
        guests: Vec<Vmid>,
    },
    /// A storage is above or near the limit.
    Storage {
        /// The node.
        node: String,
        /// The storage's ID.
        storage: String,
        /// The usage in percent.
        percent: f64,
        /// The limit.
        limit: StorageLimit,
        /// Whether guests fail because the usage is above the limit.
        full: bool,
        /// The guests that fail because of it; for a storage near the limit, the guests with disks on it.
        guests: Vec<Vmid>,
    },
    /// A node of selected guests sends no statistics.
    NodeWithoutStatistics(String),
    /// The storage has too little space for the RAM of a VM.
    RamDoesNotFit {
        /// The VM.
        guest: GuestRef,
        /// The storage that PVE would choose.
        storage: String,
        /// The space that PVE would allocate, in MiB.
        needed_mib: u64,
        /// The free space in MiB.
        free_mib: u64,
    },
    /// The storage limit cannot be checked: a `snap` continues without it.
    LimitNotChecked {
        /// The storage.
        storage: UncheckedStorage,
        /// The selected guests with disks on it.
        guests: Vec<Vmid>,
    },
    /// These guests cannot be migrated once they have snapshots.
    BlocksMigration(Vec<MigrationBlock>),
    /// These guests have replication jobs, which may still need their snapshots.
    Replicated(Vec<Vmid>),
}
