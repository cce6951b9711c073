// SPDX-License-Identifier: GPL-3.0-only
//! What `check` finds: one variant per kind, with its severity. Front ends render the texts.

mod properties;
mod severity;

use std::fmt;
use std::sync::Arc;

use autosnap_core::guest::{Guest, GuestKind, Vmid};
use autosnap_core::name::SnapName;
use autosnap_core::plan::{Note, Skip};
use autosnap_core::select::SelectionWarning;
use autosnap_core::storage::{StorageLimit, UncheckedStorage};
use autosnap_core::warning::Warning;
use pve_client::OtherCluster;

use super::reading::Login;
use super::storages::Unlisted;
use crate::error::Error;
use crate::notice::Notice;

pub use severity::Severity;

/// An entry of the access control list that a login lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The path of the entry.
    pub path: String,
    /// The login that lacks it.
    pub login: Login,
    /// Whether the token's privileges are separated from its user's; `None` if PVE does not tell.
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

/// A guest that snapshots keep from being migrated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationBlock {
    /// The guest.
    pub vmid: Vmid,
    /// Virtual machine or container.
    pub kind: GuestKind,
    /// Only while it runs: stopped it can be migrated with its snapshots.
    pub only_online: bool,
}

/// A guest, as far as a finding speaks of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestRef {
    /// Its ID.
    pub vmid: Vmid,
    /// Virtual machine or container.
    pub kind: GuestKind,
    /// Its node.
    pub node: String,
}

impl From<&Guest> for GuestRef {
    fn from(guest: &Guest) -> Self {
        Self {
            vmid: guest.vmid,
            kind: guest.kind,
            node: guest.node.clone(),
        }
    }
}

impl fmt::Display for GuestRef {
    /// As PVE names guests in its own messages.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.kind.short_name();
        write!(formatter, "{word} {} on node {}", self.vmid, self.node)
    }
}

/// A fact about the cluster, the login, the options or a guest that matters to the run.
#[derive(Debug, Clone)]
pub enum Finding {
    /// A host does not answer.
    HostUnreachable {
        /// The host.
        host: String,
        /// What it did.
        reason: String,
        /// Whether no other host takes over.
        blocks: bool,
    },
    /// A host answers, but its certificate or our sign-on is refused.
    HostRefuses {
        /// The host.
        host: String,
        /// What it said.
        reason: String,
        /// Whether no other host takes over.
        blocks: bool,
    },
    /// Two hosts belong to different clusters.
    OtherCluster(Box<OtherCluster>),
    /// Nothing checks the certificate.
    AnyCertificate {
        /// The fingerprints the hosts showed, each once.
        pins: Vec<String>,
    },
    /// A certificate ends soon, or has ended.
    CertificateEnds {
        /// The host.
        host: String,
        /// Days until it ends; below zero once it has.
        days: i64,
    },
    /// A host's clock differs from ours, ahead if positive.
    ClockDiffers {
        /// The host.
        host: String,
        /// By how much.
        seconds: i64,
    },
    /// The cluster has no quorum; whether a guest fails for it.
    NoQuorum {
        /// Whether the run would change anything.
        blocks: bool,
    },
    /// Whether the cluster has quorum is not shown to the login.
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
        /// How much it matters here.
        severity: Severity,
        /// The entry that grants it.
        grant: Grant,
    },
    /// No guest is selected.
    NothingSelected,
    /// A term of the selection matches nothing.
    EmptyTerm(SelectionWarning),
    /// An entry of a listing could not be read: a sentence.
    UnreadableEntry(String),
    /// A guest, pool or node that is asked for by its own name is not visible, or a name may be that
    /// of a guest on an offline node.
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
    Noted {
        /// The guest.
        guest: GuestRef,
        /// The note of the plan.
        note: Note,
    },
    /// The command demands options that were not given, so that they were not checked.
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
    /// The timestamp format gives valid names, but hardly those that are meant.
    TimestampFormat(String),
    /// The hook is not a file, which is an error of usage.
    InvalidHook(String),
    /// Something about the options and files of this machine.
    Local(Notice),
    /// A snapshot of the name to be created exists already.
    NameTaken {
        /// The guest.
        guest: GuestRef,
        /// The name.
        name: SnapName,
    },
    /// The guest's node is off.
    NodeOffline(GuestRef),
    /// The guest could not be read.
    Unreadable {
        /// The guest.
        guest: GuestRef,
        /// What PVE said.
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
    /// PVE says that the guest cannot be snapshotted; these volumes are why, as far as is known.
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
    /// Somebody holds the guest locked.
    Locked {
        /// The guest.
        guest: GuestRef,
        /// What for.
        lock: String,
        /// Whether the guest fails for it, instead of waiting.
        blocks: bool,
    },
    /// A snapshot is being made or removed right now.
    UnderWay {
        /// The guest.
        guest: GuestRef,
        /// The kind of the task, such as `qmsnapshot`.
        task: String,
        /// Whether the guest fails for it.
        blocks: bool,
    },
    /// A snapshot, or the lock of one, was left behind and nothing works on it.
    Stuck {
        /// The guest.
        guest: GuestRef,
        /// The snapshot and its `snapstate`.
        snapshot: Option<(String, String)>,
        /// The lock that was left behind.
        lock: Option<String>,
        /// Whether the login sees the tasks of all users on the node.
        sees_all_tasks: bool,
        /// Whether the guest fails for it.
        blocks: bool,
    },
    /// A storage with disks of guests that PVE does not list for the node.
    StorageNotListed {
        /// The node.
        node: String,
        /// The storage's ID.
        storage: String,
        /// Why.
        why: Unlisted,
        /// The selected guests with disks on it.
        guests: Vec<Vmid>,
    },
    /// A storage is above the limit, or soon will be.
    Storage {
        /// The node.
        node: String,
        /// The storage's ID.
        storage: String,
        /// Used per cent.
        percent: f64,
        /// The limit it is held against.
        limit: StorageLimit,
        /// Whether it is above the limit already.
        full: bool,
        /// The guests that fail for it; if it only is near the limit, those with disks on it.
        guests: Vec<Vmid>,
    },
    /// This node of selected guests sends no statistics.
    NodeWithoutStatistics(String),
    /// The RAM of a VM would not fit.
    RamDoesNotFit {
        /// The VM.
        guest: GuestRef,
        /// The storage PVE would choose.
        storage: String,
        /// What it would allocate, in MiB.
        needed_mib: u64,
        /// What is free, in MiB.
        free_mib: u64,
    },
    /// The storage limit cannot be checked: a `snap` goes on without it.
    LimitNotChecked {
        /// The storage.
        storage: UncheckedStorage,
        /// The selected guests with disks on it.
        guests: Vec<Vmid>,
    },
    /// Snapshots will keep these guests from being migrated.
    BlocksMigration(Vec<MigrationBlock>),
    /// These guests are replicated.
    Replicated(Vec<Vmid>),
}
