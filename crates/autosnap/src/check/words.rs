// SPDX-License-Identifier: GPL-3.0-only
//! The words for findings: what is wrong, what to do about it, and the commands that do it.

use std::borrow::Cow;
use std::fmt;

use autosnap_core::guest::{GuestKind, Vmid, repair_command};
use autosnap_core::text::shell_word;

use super::finding::{Finding, GuestRef, MigrationBlock};

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
            Self::NoQuorum => out.write_str(
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
            | Self::EntryNotRead(text)
            | Self::MissingObject(text)
            | Self::UnresolvedExclusion(text)
            | Self::InvalidName(text)
            | Self::TimestampFormat(text)
            | Self::InvalidHook(text) => out.write_str(text),
            Self::RequiredGuestSkipped { guest, why } => {
                write!(out, "{guest}: would be skipped, which --strict counts as a failure: {why}")
            }
            Self::Local(notice) => out.write_str(&notice.message),
            Self::NodeOffline(guest) => {
                write!(out, "{guest}: the node is offline or not reachable")
            }
            Self::NodeSilent(node) => out.write_str(&crate::job::silent_node(node)),
            Self::Unreadable { guest, reason } => write!(out, "{guest}: {reason}"),
            Self::Template(guest) => write!(out, "{guest}: a template, which is skipped"),
            Self::Unsupported { guest, volumes } => write!(
                out,
                "{guest}: skipped, as PVE cannot snapshot bind mounts and devices: {}",
                volumes.join(", ")
            ),
            Self::CannotSnapshot { guest, volumes } => write!(
                out,
                "{guest}: skipped, as PVE cannot snapshot it; its storage or format does not allow it: {}",
                volumes.join(", ")
            ),
            Self::Locked { guest, lock } => write!(out, "{guest}: locked ({lock})"),
            Self::UnderWay { guest, task } => {
                write!(out, "{guest}: a task works on it now ({task})")
            }
            Self::Stuck { guest, snapshot, lock } => stuck(out, guest, snapshot.as_ref(), lock.as_deref()),
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
            Self::BlocksMigration(guests) => {
                let guests: Vec<String> = guests.iter().map(ToString::to_string).collect();
                write!(
                    out,
                    "Proxmox VE does not migrate these guests with snapshots on local storages: {}",
                    guests.join(", ")
                )
            }
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
        write!(
            out,
            "snapshot {name} was left half made (snapstate {state})"
        )?;
    }
    match (lock, snapshot.is_some()) {
        (Some(lock), true) => write!(out, " and the guest locked ({lock})")?,
        (Some(lock), false) => write!(out, "the lock of a snapshot was left behind ({lock})")?,
        (None, _) => {}
    }
    out.write_str(", and no task that this login can see works on it")
}

impl Finding {
    /// What to do about it, in a sentence.
    pub fn hint(&self) -> Option<Cow<'static, str>> {
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
            Self::HostUnreachable { .. } => {
                Some("another host took over; if this one is gone for good, take it out of --host")
            }
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
            Self::Locked { .. } | Self::UnderWay { .. } => {
                Some("wait until its task has ended, or let the run wait with --wait-locked")
            }
            Self::Stuck { .. } => Some(
                "as root on the guest's node, once it is certain that nothing works on it; --force drops the snapshot from the configuration even if its disk part stays behind",
            ),
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
            Self::BlocksMigration(_) => {
                Some("remove the snapshots before a migration, for example: clean --keep=0")
            }
            Self::NodeSilent(_) => Some(
                "as root on the node: systemctl status pvestatd; often a storage that does not answer (NFS, CIFS, PBS) holds it up: pvesm status",
            ),
            Self::UnresolvedExclusion(_) => Some(
                "snap does nothing while the pool or node of an exclusion is not visible; correct or remove it, or accept it with --allow-unmatched-exclusions",
            ),
            Self::EmptyTerm(_)
            | Self::MissingObject(_)
            | Self::RequiredGuestSkipped { .. }
            | Self::HostRefuses { .. }
            | Self::CertificateEnds { .. }
            | Self::NoQuorum
            | Self::NothingSelected
            | Self::EntryNotRead(_)
            | Self::InvalidName(_)
            | Self::TimestampFormat(_)
            | Self::InvalidHook(_)
            | Self::Local(_)
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
            Self::Stuck {
                guest,
                snapshot,
                lock,
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
            | Self::NoQuorum
            | Self::NothingSelected
            | Self::EmptyTerm(_)
            | Self::EntryNotRead(_)
            | Self::MissingObject(_)
            | Self::UnresolvedExclusion(_)
            | Self::RequiredGuestSkipped { .. }
            | Self::InvalidName(_)
            | Self::TimestampFormat(_)
            | Self::InvalidHook(_)
            | Self::Local(_)
            | Self::NodeOffline(_)
            | Self::NodeSilent(_)
            | Self::Unreadable { .. }
            | Self::Template(_)
            | Self::Unsupported { .. }
            | Self::CannotSnapshot { .. }
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
