// SPDX-License-Identifier: GPL-3.0-only
//! The properties of a finding: its severity, its kind, its guest, and whether it prevents a snapshot.

use autosnap_core::guest::Vmid;

use super::{Finding, Privilege};
use crate::guest_ref::GuestRef;
use crate::severity::Severity;

impl Finding {
    /// Its severity.
    pub fn severity(&self) -> Severity {
        match self {
            Self::HostUnreachable { blocks, .. }
            | Self::HostRefuses { blocks, .. }
            | Self::NoQuorum { blocks }
            | Self::Locked { blocks, .. }
            | Self::Stuck { blocks, .. }
            | Self::Storage { full: blocks, .. } => problem_or(*blocks, Severity::Warning),
            Self::TaskRunning { blocks, .. } => problem_or(*blocks, Severity::Note),
            Self::OtherCluster(_)
            | Self::NoPrivileges { .. }
            | Self::NothingSelected
            | Self::UnreadableEntry(_)
            | Self::MissingObject(_)
            | Self::UnresolvedExclusion(_)
            | Self::RequiredGuestSkipped { .. }
            | Self::RunFails(_)
            | Self::DryRunFails
            | Self::InvalidOption(_)
            | Self::InvalidName(_)
            | Self::InvalidHook(_)
            | Self::NameTaken { .. }
            | Self::NodeOffline(_)
            | Self::StorageUnusable { .. }
            | Self::Unreadable { .. } => Severity::Problem,
            Self::AnyCertificate { .. }
            | Self::CertificateEnds { .. }
            | Self::ClockDiffers { .. }
            | Self::EmptyTerm(_)
            | Self::RunWarns(_)
            | Self::DoubtfulSnapshots { .. }
            | Self::TimestampFormat(_)
            | Self::Unsupported { .. }
            | Self::CannotSnapshot { .. }
            | Self::RamDoesNotFit { .. }
            | Self::NodeWithoutStatistics(_)
            | Self::LimitNotChecked { .. }
            | Self::StorageNotListed { .. } => Severity::Warning,
            Self::QuorumUnknown
            | Self::MissingOption { .. }
            | Self::Template(_)
            | Self::BlocksMigration(_)
            | Self::Replicated(_) => Severity::Note,
            Self::MissingPrivilege { severity, .. } => *severity,
            Self::Local(notice) => notice.severity(),
        }
    }

    /// The kind as a stable identifier for programs; never changed once released.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::HostUnreachable { .. } => "host-unreachable",
            Self::HostRefuses { .. } => "host-refuses",
            Self::OtherCluster(_) => "other-cluster",
            Self::AnyCertificate { .. } => "any-certificate",
            Self::CertificateEnds { .. } => "certificate-ends",
            Self::ClockDiffers { .. } => "clock-differs",
            Self::NoQuorum { .. } => "no-quorum",
            Self::QuorumUnknown => "quorum-unknown",
            Self::NoPrivileges { .. } => "no-privileges",
            Self::MissingPrivilege { .. } => "missing-privilege",
            Self::NothingSelected => "nothing-selected",
            Self::EmptyTerm(_) => "empty-term",
            Self::UnreadableEntry(_) => "entry-not-read",
            Self::MissingObject(_) => "missing-object",
            Self::UnresolvedExclusion(_) => "unresolved-exclusion",
            Self::RequiredGuestSkipped { .. } => "required-guest-skipped",
            Self::RunFails(_) | Self::DryRunFails => "run-fails",
            Self::RunWarns(_) | Self::DoubtfulSnapshots { .. } => "run-warns",
            Self::MissingOption { .. } => "missing-option",
            Self::InvalidOption(_) => "invalid-option",
            Self::NameTaken { .. } => "name-taken",
            Self::StorageNotListed { .. } => "storage-not-listed",
            Self::StorageUnusable { .. } => "storage-unusable",
            Self::InvalidName(_) => "invalid-name",
            Self::TimestampFormat(_) => "timestamp-format",
            Self::InvalidHook(_) => "invalid-hook",
            Self::Local(notice) => notice.kind,
            Self::NodeOffline(_) => "node-offline",
            Self::NodeWithoutStatistics(_) => "node-silent",
            Self::Unreadable { .. } => "unreadable",
            Self::Template(_) => "template",
            Self::Unsupported { .. } => "unsupported",
            Self::CannotSnapshot { .. } => "cannot-snapshot",
            Self::Locked { .. } => "locked",
            Self::TaskRunning { .. } => "under-way",
            Self::Stuck { .. } => "stuck",
            Self::Storage { .. } => "storage",
            Self::RamDoesNotFit { .. } => "ram-does-not-fit",
            Self::LimitNotChecked { .. } => "limit-not-checked",
            Self::BlocksMigration(_) => "blocks-migration",
            Self::Replicated(_) => "replicated",
        }
    }

    /// The guest that it concerns, if it concerns a single one.
    pub fn guest(&self) -> Option<&GuestRef> {
        match self {
            Self::NodeOffline(guest)
            | Self::Template(guest)
            | Self::Unreadable { guest, .. }
            | Self::Unsupported { guest, .. }
            | Self::CannotSnapshot { guest, .. }
            | Self::StorageUnusable { guest, .. }
            | Self::Locked { guest, .. }
            | Self::TaskRunning { guest, .. }
            | Self::Stuck { guest, .. }
            | Self::NameTaken { guest, .. }
            | Self::RequiredGuestSkipped { guest, .. }
            | Self::DoubtfulSnapshots { guest, .. }
            | Self::RamDoesNotFit { guest, .. } => Some(guest),
            Self::HostUnreachable { .. }
            | Self::HostRefuses { .. }
            | Self::OtherCluster(_)
            | Self::AnyCertificate { .. }
            | Self::CertificateEnds { .. }
            | Self::ClockDiffers { .. }
            | Self::NoQuorum { .. }
            | Self::QuorumUnknown
            | Self::NoPrivileges { .. }
            | Self::MissingPrivilege { .. }
            | Self::NothingSelected
            | Self::EmptyTerm(_)
            | Self::UnreadableEntry(_)
            | Self::NodeWithoutStatistics(_)
            | Self::MissingObject(_)
            | Self::UnresolvedExclusion(_)
            | Self::RunFails(_)
            | Self::DryRunFails
            | Self::RunWarns(_)
            | Self::MissingOption { .. }
            | Self::InvalidOption(_)
            | Self::InvalidName(_)
            | Self::TimestampFormat(_)
            | Self::InvalidHook(_)
            | Self::Local(_)
            | Self::StorageNotListed { .. }
            | Self::Storage { .. }
            | Self::LimitNotChecked { .. }
            | Self::BlocksMigration(_)
            | Self::Replicated(_) => None,
        }
    }

    /// Whether this guest cannot be snapshotted now because of it. Invalid options stop a run, but do not concern a
    /// guest.
    pub fn prevents(&self, vmid: Vmid) -> bool {
        match self {
            Self::NoQuorum { .. } | Self::NoPrivileges { .. } => true,
            Self::MissingPrivilege {
                path, privilege, ..
            } => {
                let concerns = path == "/vms" || *path == format!("/vms/{vmid}");
                concerns && *privilege == Privilege::VmSnapshot
            }
            Self::Storage { full, guests, .. } => *full && guests.contains(&vmid),
            Self::NodeOffline(_)
            | Self::Template(_)
            | Self::Unreadable { .. }
            | Self::Unsupported { .. }
            | Self::CannotSnapshot { .. }
            | Self::StorageUnusable { .. }
            | Self::NameTaken { .. }
            | Self::RequiredGuestSkipped { .. }
            | Self::Locked { .. }
            | Self::TaskRunning { blocks: true, .. }
            | Self::Stuck { lock: Some(_), .. } => {
                self.guest().is_some_and(|guest| guest.vmid == vmid)
            }
            // An incomplete snapshot without a lock does not prevent another snapshot.
            Self::Stuck { lock: None, .. }
            | Self::TaskRunning { blocks: false, .. }
            | Self::RamDoesNotFit { .. }
            | Self::HostUnreachable { .. }
            | Self::HostRefuses { .. }
            | Self::OtherCluster(_)
            | Self::AnyCertificate { .. }
            | Self::CertificateEnds { .. }
            | Self::ClockDiffers { .. }
            | Self::QuorumUnknown
            | Self::UnreadableEntry(_)
            | Self::NodeWithoutStatistics(_)
            | Self::MissingObject(_)
            | Self::UnresolvedExclusion(_)
            | Self::RunFails(_)
            | Self::DryRunFails
            | Self::RunWarns(_)
            | Self::DoubtfulSnapshots { .. }
            | Self::MissingOption { .. }
            | Self::InvalidOption(_)
            | Self::InvalidName(_)
            | Self::TimestampFormat(_)
            | Self::InvalidHook(_)
            | Self::Local(_)
            | Self::NothingSelected
            | Self::EmptyTerm(_)
            | Self::LimitNotChecked { .. }
            | Self::StorageNotListed { .. }
            | Self::BlocksMigration(_)
            | Self::Replicated(_) => false,
        }
    }
}

fn problem_or(blocks: bool, otherwise: Severity) -> Severity {
    if blocks { Severity::Problem } else { otherwise }
}
