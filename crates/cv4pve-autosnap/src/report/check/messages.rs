// SPDX-License-Identifier: GPL-3.0-only
//! The texts of findings: what is wrong, what to do about it, and the commands to paste.

use crate::privileges;
use crate::report::notes::{self, UNUSABLE_STORAGE_ADVICE};
use autosnap::check::finding::{Finding, Grant, MigrationBlock, Privilege};
use autosnap::check::storages::Unlisted;
use autosnap::guest_ref::GuestRef;
use autosnap_core::guest::{GuestKind, Vmid, repair_command};
use autosnap_core::plan::{Skip, is_snapshot_lock};
use autosnap_core::remedy::Remedy;
use autosnap_core::text::shell_word;

use crate::report::{remedies, warnings};

/// What is wrong, in one sentence.
pub(super) fn message(finding: &Finding) -> String {
    match finding {
        Finding::HostUnreachable { reason: text, .. }
        | Finding::HostRefuses { reason: text, .. }
        | Finding::InvalidOption(text)
        | Finding::InvalidName(text)
        | Finding::InvalidHook(text) => text.clone(),
        Finding::UnreadableEntry(entry) => warnings::unreadable_entry(entry),
        Finding::TimestampFormat(warning) => warning.to_string(),
        Finding::MissingObject(warning) | Finding::RunWarns(warning) => warnings::text(warning),
        Finding::EmptyTerm(warning) | Finding::UnresolvedExclusion(warning) => warning.to_string(),
        Finding::RunFails(error) => error.to_string(),
        Finding::DryRunFails => "a dry run of these options fails".to_owned(),
        Finding::OtherCluster(other) => other.to_string(),
        Finding::AnyCertificate { .. } => {
            "any certificate is accepted: another server in place of a host would receive the password or token"
                .to_owned()
        }
        Finding::CertificateEnds { host, days } if *days < 0 => {
            format!("the certificate of {host} expired {} days ago", -days)
        }
        Finding::CertificateEnds { host, days } => {
            format!("the certificate of {host} expires in {days} days")
        }
        Finding::ClockDiffers { host, seconds } => {
            let direction = if *seconds > 0 { "ahead of" } else { "behind" };
            let seconds = seconds.unsigned_abs();
            format!("the clock of {host} is {seconds} s {direction} this machine's")
        }
        Finding::QuorumUnknown => {
            "this login cannot see whether the cluster has quorum (Sys.Audit on /); without quorum every snapshot fails"
                .to_owned()
        }
        Finding::NoQuorum { .. } => {
            "the cluster has no quorum: PVE takes and removes no snapshot until a majority of the nodes is online"
                .to_owned()
        }
        Finding::NoPrivileges { .. } => {
            "this login has no permissions; a token with separated privileges needs its own".to_owned()
        }
        Finding::MissingPrivilege { path, privilege, .. } => {
            format!("{} is missing on {path}: {}", privilege.as_str(), consequence(*privilege))
        }
        Finding::NothingSelected => "no guest is selected".to_owned(),
        Finding::MissingOption { command, options } => {
            format!("{command} also needs {options}; what depends on it was not checked")
        }
        Finding::Local(notice) => notice.message.clone(),
        Finding::NodeWithoutStatistics(node) => warnings::no_statistics(node),
        Finding::StorageNotListed { node, storage, why, guests } => format!(
            "storage {storage} {} on node {node}: its usage cannot be checked; guests: {}",
            why_unlisted(*why),
            list(guests)
        ),
        Finding::Storage { node, storage, percent, limit, full, guests } => format!(
            "storage {storage} on node {node} is {percent:.1}% full, {} the limit of {limit}; guests: {}",
            if *full { "above" } else { "near" },
            list(guests)
        ),
        Finding::LimitNotChecked { storage, guests } => {
            format!("{storage}; guests: {}", list(guests))
        }
        Finding::BlocksMigration(guests) => format!(
            "Proxmox VE does not migrate these guests with snapshots on local storages: {}",
            guests.iter().map(blocked).collect::<Vec<_>>().join(", ")
        ),
        Finding::Replicated(guests) => format!(
            "replicated guests: PVE refuses to remove a snapshot that replication still needs: {}",
            list(guests)
        ),
        Finding::NameTaken { .. }
        | Finding::NodeOffline(_)
        | Finding::Unreadable { .. }
        | Finding::Template(_)
        | Finding::Unsupported { .. }
        | Finding::CannotSnapshot { .. }
        | Finding::StorageUnusable { .. }
        | Finding::RequiredGuestSkipped { .. }
        | Finding::DoubtfulSnapshots { .. }
        | Finding::Locked { .. }
        | Finding::TaskRunning { .. }
        | Finding::Stuck { .. }
        | Finding::RamDoesNotFit { .. } => guest_message(finding),
    }
}

/// The message of a finding about one guest.
fn guest_message(finding: &Finding) -> String {
    let text = match finding {
        Finding::NameTaken { name, .. } => format!("snapshot name '{name}' already used"),
        Finding::NodeOffline(_) => "the node is offline or not reachable".to_owned(),
        Finding::Unreadable { reason, .. } => reason.clone(),
        Finding::Template(_) => "a template, which is skipped".to_owned(),
        Finding::Unsupported { volumes, .. } => format!(
            "skipped, because PVE cannot snapshot bind mounts and devices: {}",
            volumes.join(", ")
        ),
        Finding::CannotSnapshot { volumes, .. } => format!(
            "skipped, as Proxmox VE cannot snapshot it; its storage or format does not support snapshots: {}",
            volumes.join(", ")
        ),
        Finding::StorageUnusable { reason, .. } => {
            format!("PVE would refuse the snapshot: {reason}")
        }
        Finding::RequiredGuestSkipped { skip, .. } => format!(
            "would be skipped, which --strict counts as a failure: {}",
            skip_reason(skip)
        ),
        Finding::DoubtfulSnapshots { guest, note } => notes::note(guest.vmid, note),
        Finding::Locked { lock, .. } => format!("locked ({lock})"),
        Finding::TaskRunning { task, .. } => format!("a task works on it now ({task})"),
        Finding::Stuck { snapshot, lock, .. } => stuck(snapshot.as_ref(), lock.as_deref()),
        Finding::RamDoesNotFit {
            storage,
            needed_mib,
            free_mib,
            ..
        } => format!(
            "its RAM needs {needed_mib} MiB (twice the memory and 500 MiB) on storage {storage}, which has {free_mib} MiB free"
        ),
        Finding::HostUnreachable { .. }
        | Finding::HostRefuses { .. }
        | Finding::OtherCluster(_)
        | Finding::AnyCertificate { .. }
        | Finding::CertificateEnds { .. }
        | Finding::ClockDiffers { .. }
        | Finding::NoQuorum { .. }
        | Finding::QuorumUnknown
        | Finding::NoPrivileges { .. }
        | Finding::MissingPrivilege { .. }
        | Finding::NothingSelected
        | Finding::EmptyTerm(_)
        | Finding::UnreadableEntry(_)
        | Finding::MissingObject(_)
        | Finding::UnresolvedExclusion(_)
        | Finding::RunFails(_)
        | Finding::DryRunFails
        | Finding::RunWarns(_)
        | Finding::MissingOption { .. }
        | Finding::InvalidOption(_)
        | Finding::InvalidName(_)
        | Finding::TimestampFormat(_)
        | Finding::InvalidHook(_)
        | Finding::Local(_)
        | Finding::StorageNotListed { .. }
        | Finding::Storage { .. }
        | Finding::NodeWithoutStatistics(_)
        | Finding::LimitNotChecked { .. }
        | Finding::BlocksMigration(_)
        | Finding::Replicated(_) => return String::new(),
    };
    match finding.guest() {
        Some(guest) => format!("{guest}: {text}"),
        None => text,
    }
}

/// What does not work without a privilege.
fn consequence(privilege: Privilege) -> &'static str {
    match privilege {
        Privilege::VmAudit => "only the guests it is granted on are seen and selected",
        Privilege::VmSnapshot => "no snapshot can be taken or removed",
        Privilege::DatastoreAudit => "the usage of the storage cannot be checked",
        Privilege::PoolAudit => "the guests of the pool cannot be selected by it",
    }
}

fn skip_reason(skip: &Skip) -> &'static str {
    match skip {
        Skip::Template => "it is a template",
        Skip::NotRunning => "it is not running, and --only-running is given",
        Skip::Unsupported { .. } | Skip::NoSnapshots { .. } => "Proxmox VE cannot snapshot it",
    }
}

fn stuck(snapshot: Option<&(String, String)>, lock: Option<&str>) -> String {
    let snapshot = snapshot
        .map(|(name, state)| format!("snapshot {name} is not complete (snapstate {state})"));
    let what = match (snapshot, lock) {
        (Some(snapshot), Some(lock)) => format!("{snapshot} and the guest is locked ({lock})"),
        (Some(snapshot), None) => snapshot,
        (None, Some(lock)) => format!("locked by a snapshot ({lock})"),
        (None, None) => String::new(),
    };
    format!("{what}, and no task that this login can see works on it")
}

fn blocked(guest: &MigrationBlock) -> String {
    let online = if guest.only_online {
        " (while it runs)"
    } else {
        ""
    };
    format!("{} {}{online}", guest.kind.short_name(), guest.vmid)
}

/// The middle of a sentence about a storage.
fn why_unlisted(why: Unlisted) -> &'static str {
    match why {
        Unlisted::NotPermitted => "is not visible to this login",
        Unlisted::Disabled => "is disabled, so that snapshots of its disks may fail",
        Unlisted::OtherNodes => {
            "is restricted to other nodes, so that snapshots of its disks may fail"
        }
        Unlisted::Removed => "is not configured any more, so that snapshots of its disks fail",
        Unlisted::Unknown => "is not listed by Proxmox VE",
    }
}

/// What to do about it, in one sentence.
pub(super) fn hint(finding: &Finding) -> Option<String> {
    if let Finding::RunFails(error) = finding {
        return error.remedy().as_ref().map(remedies::hint);
    }
    if let Finding::DryRunFails = finding {
        return Some(remedies::hint(&Remedy::RunDry));
    }
    if let Finding::BlocksMigration(guests) = finding {
        // For one guest: the selection of the job would clean every guest.
        let vmid = guests.first()?.vmid;
        return Some(format!(
            "before a migration, remove the snapshots of that guest only: clean --vmid={vmid} --keep=0"
        ));
    }
    let advice = advice(finding)?;
    if let Finding::NoPrivileges { grant } | Finding::MissingPrivilege { grant, .. } = finding
        && let Some(otherwise) = grant_to_user_too(grant)
    {
        return Some(format!("{advice}; {otherwise}"));
    }
    Some(advice.to_owned())
}

/// The fixed hint for a kind of finding.
fn advice(finding: &Finding) -> Option<&'static str> {
    Some(match finding {
        Finding::HostUnreachable { blocks: true, .. } => {
            "check --host and the network; Proxmox VE serves its API on port 8006"
        }
        Finding::HostUnreachable { blocks: false, .. } => {
            "another host took over; if this one was removed from the cluster, remove it from --host"
        }
        Finding::QuorumUnknown => "as root on a node",
        Finding::MissingOption { .. } => {
            "take the whole line of the job and replace the word snap by check, or the word clean by check --for=clean"
        }
        Finding::NameTaken { .. } => remedies::REPEATED_NAME_CAUSES,
        Finding::StorageUnusable { .. } => UNUSABLE_STORAGE_ADVICE,
        Finding::StorageNotListed {
            why: Unlisted::Disabled,
            ..
        } => "enable it under Datacenter > Storage, or move the disks",
        Finding::StorageNotListed {
            why: Unlisted::Removed | Unlisted::OtherNodes,
            ..
        } => "see Datacenter > Storage and the hardware of these guests",
        Finding::AnyCertificate { .. } => {
            "compare the fingerprints with Node > System > Certificates and pin them"
        }
        Finding::ClockDiffers { .. } => {
            "snapshot names have this machine's time, retention uses the nodes' time; synchronise both with NTP"
        }
        Finding::CannotSnapshot { .. } => {
            "move these disks to a storage with snapshots (ZFS, LVM-thin, Ceph, Btrfs, or qcow2 files), or exclude the guest with --vmid=…,-ID"
        }
        Finding::Locked {
            blocks: false,
            lock,
            ..
        } if !is_snapshot_lock(lock) => "the run waits for it, as --wait-locked is given",
        Finding::Locked { blocks: false, .. } | Finding::TaskRunning { blocks: false, .. } => {
            "the run waits for it, see --wait-snapshot-lock"
        }
        Finding::Locked { .. } | Finding::TaskRunning { .. } => {
            "wait until its task has ended, or let the run wait with --wait-locked"
        }
        Finding::Stuck {
            sees_all_tasks: true,
            ..
        } => LEFT_BEHIND,
        Finding::Stuck {
            sees_all_tasks: false,
            ..
        } => LEFT_BEHIND_OR_NOT_SEEN,
        Finding::Storage { .. } => "free space, keep fewer snapshots, or raise --max-perc-storage",
        Finding::RamDoesNotFit { .. } => {
            "give the VM another storage for it (vmstatestorage), or omit --state"
        }
        Finding::LimitNotChecked { .. } => {
            "snap takes the snapshots and warns; check the space yourself, or grant Datastore.Audit on the storage"
        }
        Finding::OtherCluster(_) => "give only hosts of one cluster in --host",
        Finding::NodeWithoutStatistics(_) => {
            "as root on the node: systemctl status pvestatd; often a storage that does not reply (NFS, CIFS, PBS) blocks it: pvesm status"
        }
        Finding::UnresolvedExclusion(_) => {
            "the run would do nothing; correct or remove the exclusion, or accept it with --allow-unmatched-exclusions"
        }
        Finding::NoPrivileges { .. } | Finding::MissingPrivilege { .. } => GRANT,
        Finding::EmptyTerm(_)
        | Finding::RequiredGuestSkipped { .. }
        | Finding::MissingObject(_)
        | Finding::RunFails(_)
        | Finding::DryRunFails
        | Finding::RunWarns(_)
        | Finding::DoubtfulSnapshots { .. }
        | Finding::InvalidOption(_)
        | Finding::HostRefuses { .. }
        | Finding::CertificateEnds { .. }
        | Finding::NoQuorum { .. }
        | Finding::NothingSelected
        | Finding::BlocksMigration(_)
        | Finding::UnreadableEntry(_)
        | Finding::InvalidName(_)
        | Finding::TimestampFormat(_)
        | Finding::InvalidHook(_)
        | Finding::Local(_)
        | Finding::StorageNotListed {
            why: Unlisted::NotPermitted | Unlisted::Unknown,
            ..
        }
        | Finding::NodeOffline(_)
        | Finding::Unreadable { .. }
        | Finding::Template(_)
        | Finding::Unsupported { .. }
        | Finding::Replicated(_) => return None,
    })
}

/// Lines to paste, if commands help.
pub(super) fn commands(finding: &Finding) -> Vec<String> {
    let command = if let Finding::NoPrivileges { grant } | Finding::MissingPrivilege { grant, .. } =
        finding
    {
        Some(grant_command(grant))
    } else if let Finding::AnyCertificate { pins } = finding {
        (!pins.is_empty()).then(|| format!("--fingerprint={}", pins.join(",")))
    } else if let Finding::QuorumUnknown = finding {
        Some("pvecm status".to_owned())
    } else if let Finding::Stuck {
        guest,
        snapshot,
        lock,
        ..
    } = finding
    {
        let name = snapshot.as_ref().map(|(name, _)| name.as_str());
        match (lock, name) {
            (Some(_), name) => Some(repair_command(guest.kind, guest.vmid, name)),
            (None, Some(name)) => Some(removal_command(guest, name)),
            (None, None) => None,
        }
    } else {
        None
    };
    command.into_iter().collect()
}

const GRANT: &str = "as root on a node; on its path the entry replaces the roles inherited from above; the role is the one of: cv4pve-autosnap setup";

/// The command that grants the role to the login that lacks it. A token without privileges of its own
/// has those of its user. For a token with separated privileges the missing entry is nearly always its own;
/// an entry for the other one could take away inherited roles (see [`privileges::grant`]).
fn grant_command(grant: &Grant) -> String {
    let user = &grant.login.user;
    match (&grant.login.token, grant.separated) {
        (None, _) | (Some(_), Some(false)) => privileges::grant(&grant.path, user),
        (Some(token), _) => privileges::grant(&grant.path, &format!("{user}!{token}")),
    }
}

/// The case in which the user needs the role as well, with its command.
fn grant_to_user_too(grant: &Grant) -> Option<String> {
    let of_user = privileges::grant(&grant.path, &grant.login.user);
    match (&grant.login.token, grant.separated) {
        (None, _) | (Some(_), Some(false)) => None,
        (Some(_), Some(true)) => Some(format!("if the user lacks it too, also {of_user}")),
        (Some(_), None) => Some(format!(
            "if the user lacks it too, also {of_user}, which alone is right for a token created with --privsep 0"
        )),
    }
}

/// What to do about a snapshot or a lock that a dead task has left behind.
const LEFT_BEHIND: &str = "as root on the guest's node, once it is certain that nothing works on it; \
     --force drops the snapshot from the configuration even if its disk part stays behind; delsnapshot may print an error and still succeed";

/// The hint about leftovers for a login that sees only its own tasks.
const LEFT_BEHIND_OR_NOT_SEEN: &str = "this login sees its own tasks only (Sys.Audit on the node shows all): check the guest's tasks in Proxmox VE first. \
     If none runs, as root on the guest's node; --force drops the snapshot from the configuration even if its disk part stays behind; delsnapshot may print an error and still succeed";

/// Removes an incomplete snapshot of a guest that is not locked.
fn removal_command(guest: &GuestRef, snapshot: &str) -> String {
    let tool = match guest.kind {
        GuestKind::Qemu => "qm",
        GuestKind::Lxc => "pct",
    };
    let snapshot = shell_word(snapshot, "SNAPSHOT");
    format!("{tool} delsnapshot {} {snapshot} --force", guest.vmid)
}

fn list(guests: &[Vmid]) -> String {
    let guests: Vec<String> = guests.iter().map(ToString::to_string).collect();
    guests.join(", ")
}

#[cfg(test)]
mod tests;
