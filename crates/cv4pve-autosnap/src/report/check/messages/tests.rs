// SPDX-License-Identifier: GPL-3.0-only
//! Texts, hints and commands of findings.

use autosnap::check::login::Login;
use autosnap::severity::Severity;

use super::*;

fn guest(vmid: u32, kind: GuestKind) -> GuestRef {
    GuestRef {
        vmid: Vmid::new(vmid).unwrap(),
        kind,
        node: "pve1".to_owned(),
    }
}

fn stuck_guest(guest: GuestRef, snapshot: Option<&str>, lock: Option<&str>) -> Finding {
    Finding::Stuck {
        guest,
        snapshot: snapshot.map(|name| (name.to_owned(), "delete".to_owned())),
        lock: lock.map(ToOwned::to_owned),
        sees_all_tasks: true,
        blocks: true,
    }
}

#[test]
fn a_stuck_guest_comes_with_the_commands_that_repair_it() {
    use GuestKind::{Lxc, Qemu};
    for (guest, snapshot, lock, command, text) in [
        (
            guest(100, Qemu),
            Some("autodaily1"),
            Some("snapshot-delete"),
            "qm unlock 100 && qm delsnapshot 100 autodaily1 --force",
            "VM 100 on node pve1: snapshot autodaily1 is not complete (snapstate delete) and the guest is locked \
             (snapshot-delete), and no task that this login can see works on it",
        ),
        (
            guest(100, Qemu),
            Some("autodaily1"),
            None,
            "qm delsnapshot 100 autodaily1 --force",
            "VM 100 on node pve1: snapshot autodaily1 is not complete (snapstate delete), and no task that this \
             login can see works on it",
        ),
        (
            guest(200, Lxc),
            None,
            Some("snapshot"),
            "pct unlock 200",
            "CT 200 on node pve1: locked by a snapshot (snapshot), and no task that this login can see works on it",
        ),
    ] {
        let finding = stuck_guest(guest, snapshot, lock);
        assert_eq!(commands(&finding), [command]);
        assert_eq!(message(&finding), text);
    }
}

fn missing(path: &str, token: Option<&str>, separated: Option<bool>) -> Finding {
    Finding::MissingPrivilege {
        path: path.to_owned(),
        privilege: Privilege::VmSnapshot,
        severity: Severity::Problem,
        grant: Grant {
            path: path.to_owned(),
            login: Login {
                user: "backup@pve".to_owned(),
                token: token.map(ToOwned::to_owned),
            },
            separated,
        },
    }
}

#[test]
fn a_missing_privilege_comes_with_the_line_that_grants_it() {
    let of_user = "pveum acl modify /vms/101 --users 'backup@pve' --roles Autosnap";
    let of_token = "pveum acl modify /vms/101 --tokens 'backup@pve!auto' --roles Autosnap";
    for (token, separated, command, end) in [
        (None, None, of_user, None),
        (Some("auto"), Some(false), of_user, None),
        (Some("auto"), Some(true), of_token, Some(of_user)),
        (
            Some("auto"),
            None,
            of_token,
            Some("which alone is right for a token created with --privsep 0"),
        ),
    ] {
        let finding = missing("/vms/101", token, separated);
        assert_eq!(
            message(&finding),
            "VM.Snapshot is missing on /vms/101: no snapshot can be taken or removed"
        );
        assert_eq!(commands(&finding), [command]);
        let hint = hint(&finding).unwrap();
        assert!(hint.ends_with(end.unwrap_or(GRANT)), "{hint}");
        assert_eq!(hint.contains(of_user), end.is_some(), "{hint}");
    }
}

#[test]
fn the_fingerprints_to_pin_are_one_option() {
    let pins = ["AA:BB", "CC:DD"].map(ToOwned::to_owned).to_vec();
    let option = "--fingerprint=AA:BB,CC:DD";
    assert_eq!(commands(&Finding::AnyCertificate { pins }), [option]);
    let none = Finding::AnyCertificate { pins: Vec::new() };
    assert!(commands(&none).is_empty());
}

#[test]
fn an_error_of_the_run_keeps_its_hint() {
    let error = autosnap::Error::HiddenNestedPools {
        pool: "prod".to_owned(),
    };
    let finding = Finding::RunFails(error.into());
    assert!(message(&finding).contains("`prod`"), "{finding:?}");
    let hint = hint(&finding).unwrap();
    assert!(hint.contains("--propagate 1"), "{hint}");
}
