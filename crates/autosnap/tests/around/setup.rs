// SPDX-License-Identifier: GPL-3.0-only
//! `setup` prints lines a shell takes and writes a file the program itself takes.

use std::process::Command;

use crate::support::{SECRET, cluster, host, program, run};

#[test]
fn what_is_printed_is_a_shell_script() {
    let (status, stdout, stderr) = run(program().args(["setup", "--path=/pool/prod,/vms/100"]));
    assert_eq!((status, stderr.as_str()), (0, ""));
    let folder = tempfile::tempdir().unwrap();
    // `pveum` says what it was called with instead of doing it; no folder or file is made.
    let script =
        format!("pveum() {{ echo \"$@\"; }}; mkdir() {{ :; }}; touch() {{ :; }}\n{stdout}");
    let output = Command::new("/bin/sh")
        .current_dir(folder.path())
        .args(["-eu", "-c", &script])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let called = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = called.lines().collect();
    assert_eq!(
        lines[0],
        "role add Autosnap --privs VM.Audit,VM.Snapshot,Datastore.Audit,Pool.Audit"
    );
    let last = "acl modify /storage --tokens autosnap@pve!autosnap --roles Autosnap";
    assert_eq!(lines.last(), Some(&last), "{called}");
}

#[test]
fn the_parameter_file_works_and_is_never_overwritten() {
    use std::os::unix::fs::PermissionsExt;
    let simulator = cluster();
    let folder = tempfile::tempdir().unwrap();
    let (file, token) = (
        folder.path().join("a b.conf"),
        folder.path().join("the token"),
    );
    let (write, token_file) = (
        format!("--write={}", file.display()),
        format!("--token-file={}", token.display()),
    );
    let hosts = format!("--host={}", host(&simulator));
    let options = [
        "setup",
        "--user=backup@pve",
        "--token-id=auto",
        &write,
        &token_file,
        &hosts,
    ];
    let (status, _, stderr) = run(program().args(options));
    assert_eq!(status, 0, "{stderr}");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::write(&token, format!("backup@pve!auto={SECRET}\n")).unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let parameters = format!("@{}", file.display());
    let (status, stdout, stderr) = run(program().args([&parameters, "status", "--output=json"]));
    assert_eq!(
        stderr.lines().count(),
        1,
        "the guest of the node that is off: {stderr}"
    );
    assert_eq!(status, 1, "{stdout}{stderr}");
    let (status, _, stderr) = run(program().args(options));
    assert_eq!(status, 1);
    assert!(stderr.contains("hint: it is not overwritten"), "{stderr}");
}

#[test]
fn wrong_usage_is_told_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.conf");
    let write = format!("--write={}", file.display());
    for options in [
        &["setup", &write][..],
        &["setup", &write, "--host=pve1", "--user=no-realm"],
        &["setup", &write, "--host=pve1", "--path=/nodes/pve1"],
        &["setup", &write, "--host=https://pve1"],
    ] {
        let (status, stdout, _) = run(program().args(options));
        assert_eq!((status, stdout.as_str()), (2, ""), "{options:?}");
        assert!(!file.exists());
    }
}
