// SPDX-License-Identifier: GPL-3.0-only
//! The words for findings: what is wrong, what to do about it, and the commands that do it.

use std::borrow::Cow;
use std::fmt;

use autosnap_core::guest::{GuestKind, Vmid, repair_command};
use autosnap_core::name::REPEATED_NAME_CAUSES;
use autosnap_core::plan::is_snapshot_lock;
use autosnap_core::remedy::Remedy;
use autosnap_core::text::shell_word;

use super::finding::{Finding, GuestRef, MigrationBlock};
use super::storages::Unlisted;
use crate::notes::UNUSABLE_STORAGE_ADVICE;

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostUnreachable { reason, .. } => write!(out, "{reason}"),
            Self::HostRefuses { reason, .. } => out.write_str(reason),
            Self::OtherCluster(other) => write!(out, "{other}"),
            Self::AnyCertificate { .. } => out.write_str(
                "any certificate is accepted: whoever answers in place of a host gets the password or token",
            ),
            Self::CertificateEnds { host, days } if *days < 0 => {
                write!(out, "the certificate of {host} ended {} days ago", -days)
            }
            Self::CertificateEnds { host, days } => {
                write!(out, "the certificate of {host} ends in {days} days")
            }
            Self::ClockDiffers { host, seconds } => {
                let way = if *seconds > 0 { "ahead of" } else { "behind" };
                let seconds = seconds.unsigned_abs();
                write!(out, "the clock of {host} is {seconds} s {way} this machine's")
            }
            Self::QuorumUnknown => out.write_str(
                "whether the cluster has quorum is not shown to this login (Sys.Audit on /); without quorum every snapshot fails",
            ),
            Self::NoQuorum { .. } => out.write_str(
                "the cluster has no quorum: PVE takes and removes no snapshot until enough nodes see each other",
            ),
            Self::NoPrivileges { .. } => out.write_str(
                "the login may do nothing at all; a token whose privileges are separated needs its own",
            ),
            Self::MissingPrivilege { path, privilege, consequence, .. } => {
                write!(out, "{privilege} is missing on {path}: {consequence}")
            }
            Self::NothingSelected => out.write_str("no guest is selected"),
            Self::EmptyTerm(text)
            | Self::UnreadableEntry(text)
            | Self::MissingObject(text)
            | Self::UnresolvedExclusion(text)
            | Self::TimestampFormat(text)
            | Self::RunFails { message: text, .. }
            | Self::RunWarns(text)
            | Self::InvalidOption(text)
            | Self::InvalidName(text)
            | Self::InvalidHook(text) => out.write_str(text),
            Self::MissingOption { command, options } => {
                write!(out, "{command} also needs {options}; what depends on it was not checked")
            }
            Self::NameTaken { guest, name } => {
                write!(out, "{guest}: snapshot name '{name}' already used")
            }
            Self::RequiredGuestSkipped { guest, why } => {
                write!(out, "{guest}: would be skipped, which --strict counts as a failure: {why}")
            }
            Self::Local(notice) => out.write_str(&notice.message),
            Self::NodeOffline(guest) => {
                write!(out, "{guest}: the node is offline or not reachable")
            }
            Self::NodeWithoutStatistics(node) => out.write_str(&crate::job::no_statistics_warning(node)),
            Self::Unreadable { guest, reason } => write!(out, "{guest}: {reason}"),
            Self::StorageUnusable { guest, reason } => {
                write!(out, "{guest}: PVE would refuse the snapshot: {reason}")
            }
            Self::Template(guest) => write!(out, "{guest}: a template, which is skipped"),
            Self::Unsupported { guest, volumes } => write!(
                out,
                "{guest}: skipped, as PVE cannot snapshot bind mounts and devices: {}",
                volumes.join(", ")
            ),
            Self::CannotSnapshot { guest, volumes } => write!(
                out,
                "{guest}: skipped, as Proxmox VE cannot snapshot it; its storage or format does not support snapshots: {}",
                volumes.join(", ")
            ),
            Self::Locked { guest, lock, .. } => write!(out, "{guest}: locked ({lock})"),
            Self::UnderWay { guest, task, .. } => {
                write!(out, "{guest}: a task works on it now ({task})")
            }
            Self::Stuck { guest, snapshot, lock, .. } => stuck(out, guest, snapshot.as_ref(), lock.as_deref()),
            Self::StorageNotListed { node, storage, why, guests } => {
                let (why, guests) = (why_unlisted(*why), list(guests));
                write!(out, "storage {storage} {why} on node {node}: how full it is cannot be checked; guests: {guests}")
            }
            Self::Storage { node, storage, percent, limit, full, guests } => {
                let what = if *full { "above" } else { "near" };
                let guests = list(guests);
                write!(out, "storage {storage} on node {node} is {percent:.1}% full, {what} the limit of {limit}; guests: {guests}")
            }
            Self::RamDoesNotFit { guest, storage, needed_mib, free_mib } => write!(
                out,
                "{guest}: its RAM needs {needed_mib} MiB (twice the memory and 500 MiB) on storage {storage}, which has {free_mib} MiB free"
            ),
            Self::LimitNotChecked { storage, guests } => {
                write!(out, "{storage}; guests: {}", list(guests))
            }
            Self::BlocksMigration(guests) => blocks_migration(out, guests),
            Self::Replicated(guests) => write!(
                out,
                "replicated guests: PVE refuses to remove a snapshot that replication still needs: {}",
                list(guests)
            ),
        }
    }
}

fn stuck(
    out: &mut fmt::Formatter<'_>,
    guest: &GuestRef,
    snapshot: Option<&(String, String)>,
    lock: Option<&str>,
) -> fmt::Result {
    write!(out, "{guest}: ")?;
    if let Some((name, state)) = snapshot {
        write!(out, "snapshot {name} is not complete (snapstate {state})")?;
    }
    match (lock, snapshot.is_some()) {
        (Some(lock), true) => write!(out, " and the guest locked ({lock})")?,
        (Some(lock), false) => write!(out, "locked by a snapshot ({lock})")?,
        (None, _) => {}
    }
    out.write_str(", and no task that this login can see works on it")
}

fn blocks_migration(out: &mut fmt::Formatter<'_>, guests: &[MigrationBlock]) -> fmt::Result {
    let guests: Vec<String> = guests.iter().map(ToString::to_string).collect();
    write!(
        out,
        "Proxmox VE does not migrate these guests with snapshots on local storages: {}",
        guests.join(", ")
    )
}

/// The middle of a sentence about a storage.
fn why_unlisted(why: Unlisted) -> &'static str {
    match why {
        Unlisted::NotPermitted => "is not shown to this login",
        Unlisted::Disabled => "is disabled, so that snapshots of its disks may fail",
        Unlisted::OtherNodes => {
            "is restricted to other nodes, so that snapshots of its disks may fail"
        }
        Unlisted::Removed => "is not configured any more, so that snapshots of its disks fail",
        Unlisted::Unknown => "is not listed by Proxmox VE",
    }
}

impl Finding {
    /// What to do about it, for a front end to render, where [`Self::hint`] has no sentence.
    pub fn remedy(&self) -> Option<&Remedy> {
        if let Self::RunFails { remedy, .. } = self {
            remedy.as_ref()
        } else {
            None
        }
    }

    /// What to do about it, in a sentence.
    pub fn hint(&self) -> Option<Cow<'static, str>> {
        if let Self::BlocksMigration(guests) = self {
            return guests.first().map(|first| {
                // Of one guest: with the selection of the job it would be every guest.
                let vmid = first.vmid;
                format!("before a migration, remove the snapshots of that guest alone: clean --vmid={vmid} --keep=0").into()
            });
        }
        let advice = self.advice()?;
        if let Self::NoPrivileges { grant } | Self::MissingPrivilege { grant, .. } = self
            && let Some(otherwise) = &grant.otherwise
        {
            return Some(format!("{advice}; {otherwise}").into());
        }
        Some(advice.into())
    }

    /// The part of it that depends on nothing but the kind.
    fn advice(&self) -> Option<&'static str> {
        match self {
            Self::HostUnreachable { blocks: true, .. } => {
                Some("check --host and the network; Proxmox VE serves its API on port 8006")
            }
            Self::HostUnreachable { blocks: false, .. } => {
                Some("another host took over; if this one is gone for good, take it out of --host")
            }
            Self::QuorumUnknown => Some("as root on a node"),
            Self::MissingOption { .. } => Some(
                "take the whole line of the job and replace the word snap by check, or the word clean by check --for=clean",
            ),
            Self::NameTaken { .. } => Some(REPEATED_NAME_CAUSES),
            Self::StorageUnusable { .. } => Some(UNUSABLE_STORAGE_ADVICE),
            Self::StorageNotListed {
                why: Unlisted::Disabled,
                ..
            } => Some("enable it under Datacenter > Storage, or move the disks"),
            Self::StorageNotListed {
                why: Unlisted::Removed | Unlisted::OtherNodes,
                ..
            } => Some("see Datacenter > Storage and the hardware of these guests"),
            Self::AnyCertificate { .. } => {
                Some("compare the fingerprints with Node > System > Certificates and pin them")
            }
            Self::ClockDiffers { .. } => Some(
                "names carry this machine's time, retention goes by the nodes' time; let both follow NTP",
            ),
            Self::NoPrivileges { .. } | Self::MissingPrivilege { .. } => Some(
                "as root on a node; on its path the entry takes the place of the roles inherited from above; the role is the one of: cv4pve-autosnap setup",
            ),
            Self::CannotSnapshot { .. } => Some(
                "move these disks to a storage with snapshots (ZFS, LVM-thin, Ceph, Btrfs, or qcow2 files), or exclude the guest with --vmid=…,-ID",
            ),
            Self::Locked {
                blocks: false,
                lock,
                ..
            } if !is_snapshot_lock(lock) => Some("the run waits for it, as --wait-locked asks for"),
            Self::Locked { blocks: false, .. } | Self::UnderWay { blocks: false, .. } => {
                Some("the run waits for it, see --wait-snapshot-lock")
            }
            Self::Locked { .. } | Self::UnderWay { .. } => {
                Some("wait until its task has ended, or let the run wait with --wait-locked")
            }
            Self::Stuck {
                sees_all_tasks: true,
                ..
            } => Some(LEFT_BEHIND),
            Self::Stuck {
                sees_all_tasks: false,
                ..
            } => Some(LEFT_BEHIND_OR_NOT_SEEN),
            Self::Storage { .. } => {
                Some("free space, keep fewer snapshots, or raise --max-perc-storage")
            }
            Self::RamDoesNotFit { .. } => {
                Some("give the VM another storage for it (vmstatestorage), or leave --state out")
            }
            Self::LimitNotChecked { .. } => Some(
                "snap takes the snapshots and warns; look at the space yourself, or grant Datastore.Audit on the storage",
            ),
            Self::OtherCluster(_) => Some("give only hosts of one cluster in --host"),
            Self::NodeWithoutStatistics(_) => Some(
                "as root on the node: systemctl status pvestatd; often a storage that does not answer (NFS, CIFS, PBS) holds it up: pvesm status",
            ),
            Self::UnresolvedExclusion(_) => Some(
                "the run would do nothing; correct or remove the exclusion, or accept it with --allow-unmatched-exclusions",
            ),
            Self::EmptyTerm(_)
            | Self::RequiredGuestSkipped { .. }
            | Self::MissingObject(_)
            | Self::RunFails { .. }
            | Self::RunWarns(_)
            | Self::InvalidOption(_)
            | Self::HostRefuses { .. }
            | Self::CertificateEnds { .. }
            | Self::NoQuorum { .. }
            | Self::NothingSelected
            | Self::BlocksMigration(_)
            | Self::UnreadableEntry(_)
            | Self::InvalidName(_)
            | Self::TimestampFormat(_)
            | Self::InvalidHook(_)
            | Self::Local(_)
            | Self::StorageNotListed {
                why: Unlisted::NotPermitted | Unlisted::Unknown,
                ..
            }
            | Self::NodeOffline(_)
            | Self::Unreadable { .. }
            | Self::Template(_)
            | Self::Unsupported { .. }
            | Self::Replicated(_) => None,
        }
    }

    /// Lines to paste, if that is what helps.
    pub fn commands(&self) -> Vec<String> {
        match self {
            Self::NoPrivileges { grant } | Self::MissingPrivilege { grant, .. } => {
                vec![grant.command.clone()]
            }
            Self::AnyCertificate { pins } if !pins.is_empty() => {
                vec![format!("--fingerprint={}", pins.join(","))]
            }
            Self::QuorumUnknown => vec!["pvecm status".to_owned()],
            Self::Stuck {
                guest,
                snapshot,
                lock,
                ..
            } => {
                let name = snapshot.as_ref().map(|(name, _)| name.as_str());
                match (lock, name) {
                    (Some(_), name) => vec![repair_command(guest.kind, guest.vmid, name)],
                    (None, Some(name)) => vec![removal_command(guest, name)],
                    (None, None) => Vec::new(),
                }
            }
            Self::AnyCertificate { .. }
            | Self::HostUnreachable { .. }
            | Self::HostRefuses { .. }
            | Self::OtherCluster(_)
            | Self::CertificateEnds { .. }
            | Self::ClockDiffers { .. }
            | Self::NoQuorum { .. }
            | Self::NothingSelected
            | Self::EmptyTerm(_)
            | Self::RequiredGuestSkipped { .. }
            | Self::UnresolvedExclusion(_)
            | Self::MissingObject(_)
            | Self::UnreadableEntry(_)
            | Self::RunFails { .. }
            | Self::RunWarns(_)
            | Self::MissingOption { .. }
            | Self::InvalidOption(_)
            | Self::NameTaken { .. }
            | Self::StorageNotListed { .. }
            | Self::InvalidName(_)
            | Self::TimestampFormat(_)
            | Self::InvalidHook(_)
            | Self::Local(_)
            | Self::NodeOffline(_)
            | Self::NodeWithoutStatistics(_)
            | Self::Unreadable { .. }
            | Self::Template(_)
            | Self::Unsupported { .. }
            | Self::CannotSnapshot { .. }
            | Self::StorageUnusable { .. }
            | Self::Locked { .. }
            | Self::UnderWay { .. }
            | Self::Storage { .. }
            | Self::RamDoesNotFit { .. }
            | Self::LimitNotChecked { .. }
            | Self::BlocksMigration(_)
            | Self::Replicated(_) => Vec::new(),
        }
    }
}

/// What to do about a snapshot or a lock that a dead task has left behind.
const LEFT_BEHIND: &str = "as root on the guest's node, once it is certain that nothing works on it; \
     --force drops the snapshot from the configuration even if its disk part stays behind; delsnapshot may print an error and still succeed";

/// The same for a login that sees only its own tasks.
const LEFT_BEHIND_OR_NOT_SEEN: &str = "this login sees its own tasks only (Sys.Audit on the node shows all): look at the guest's tasks in Proxmox VE first. \
     If none runs, as root on the guest's node; --force drops the snapshot from the configuration even if its disk part stays behind; delsnapshot may print an error and still succeed";

/// Removes what is half made and not locked.
fn removal_command(guest: &GuestRef, snapshot: &str) -> String {
    let tool = match guest.kind {
        GuestKind::Qemu => "qm",
        GuestKind::Lxc => "pct",
    };
    let snapshot = shell_word(snapshot, "SNAPSHOT");
    format!("{tool} delsnapshot {} {snapshot} --force", guest.vmid)
}

impl fmt::Display for MigrationBlock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.kind.short_name(), self.vmid)?;
        if self.only_online {
            out.write_str(" (while it runs)")?;
        }
        Ok(())
    }
}

fn list(guests: &[Vmid]) -> String {
    let guests: Vec<String> = guests.iter().map(ToString::to_string).collect();
    guests.join(", ")
}
