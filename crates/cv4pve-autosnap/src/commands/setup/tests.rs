// SPDX-License-Identifier: GPL-3.0-only
//! The commands of `setup`, without comments.

use super::*;

fn plan(paths: &[&str]) -> Plan {
    Plan {
        user: "autosnap@pve".to_owned(),
        token_id: "nightly".to_owned(),
        role: "Autosnap".to_owned(),
        paths: paths.iter().map(|path| path.parse().unwrap()).collect(),
        hosts: Some("pve1,pve2".to_owned()),
        token_file: "/etc/cv4pve-autosnap/api-token".into(),
        write: None,
    }
}

/// The lines that a shell would run.
fn command_lines(plan: &Plan) -> Vec<String> {
    let text = commands(plan);
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .filter(|line| !line.starts_with('#'))
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn role_user_and_token_are_created_in_the_order_pve_needs() {
    assert_eq!(
        command_lines(&plan(&["/"])),
        [
            "pveum role add Autosnap --privs 'VM.Audit,VM.Snapshot,Datastore.Audit,Pool.Audit'",
            "pveum user add autosnap@pve --comment 'takes and removes snapshots'",
            "pveum acl modify / --users autosnap@pve --roles Autosnap",
            "pveum user token add autosnap@pve nightly --privsep 1",
            "pveum acl modify / --tokens 'autosnap@pve!nightly' --roles Autosnap",
            "mkdir -p '/etc/cv4pve-autosnap'",
            "( umask 077; touch '/etc/cv4pve-autosnap/api-token' )",
        ]
    );
}

#[test]
fn storage_paths_are_added_to_a_pool() {
    let lines = command_lines(&plan(&["/pool/lab/nested"]));
    let granted = |path: &str| {
        let start = format!("pveum acl modify {path} ");
        lines.iter().filter(|line| line.starts_with(&start)).count()
    };
    assert_eq!((granted("/pool/lab/nested"), granted("/storage")), (2, 2));
    let lines = command_lines(&plan(&["/vms/100", "/storage/tank"]));
    assert!(!lines.iter().any(|line| line.contains("modify /storage ")));
}

#[test]
fn the_parameter_file_selects_the_granted_guests() {
    for (paths, guests) in [
        (&["/"][..], "@all"),
        (&["/pool/prod", "/vms/100"], "@pool-prod,100"),
        (&["/storage/tank", "/pool/lab/nested"], "@pool-lab/nested"),
    ] {
        let job = JobFile::new(Path::new("/etc/cv4pve-autosnap/hourly.conf")).unwrap();
        let file = parameter_file(&plan(paths), &job);
        let end = format!("--vmid={guests}\n--label=hourly\n--keep=7\n");
        assert!(file.ends_with(&end), "{file}");
        assert!(file.contains("--host=pve1,pve2\n"), "{file}");
        assert!(file.contains("--api-token=\"file:/etc/cv4pve-autosnap/api-token\"\n"));
    }
}

#[test]
fn only_paths_of_guests_and_storages_are_valid() {
    for path in [
        "/",
        "/vms",
        "/vms/100",
        "/pool/a",
        "/pool/a/b/c",
        "/storage",
        "/storage/nfs.1",
    ] {
        assert!(path.parse::<AclPath>().is_ok(), "{path}");
    }
    for path in [
        "",
        "vms",
        "/nodes/pve1",
        "/access",
        "/vms/x",
        "/vms/7",
        "/vms/+700",
        "/vms/0700",
        "/pool/",
        "/pool/a b",
        "/pool/a//b",
        "//vms",
        "/pool/$(id)",
    ] {
        assert!(path.parse::<AclPath>().is_err(), "{path}");
    }
}

#[test]
fn names_that_are_invalid_in_pve_or_a_shell_are_refused() {
    assert!(is_user("autosnap@pve") && is_user("first.last@ad-1"));
    assert!(!is_user("autosnap") && !is_user("a b@pve") && !is_user("a'@pve") && !is_user("@pve"));
    assert!(is_token_id("nightly-2") && !is_token_id("2nightly") && !is_token_id("a!b"));
    assert!(is_role("Snap.Runner_1") && !is_role("pveAdmin") && !is_role("a,b"));
}

#[cfg(unix)]
#[test]
fn a_new_file_is_for_its_owner_and_an_existing_one_is_kept() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("autosnap.conf");
    write_new(&path, "--host=pve1\n").unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let error = write_new(&path, "other").unwrap_err();
    assert!(error.hint.unwrap().contains("not overwritten"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "--host=pve1\n");
}
