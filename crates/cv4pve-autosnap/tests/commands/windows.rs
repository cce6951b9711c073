// SPDX-License-Identifier: GPL-3.0-only
//! Windows only: hooks for `cmd`, paths with backslashes, parameter files with CRLF line ends.

use std::path::{Path, PathBuf};
use std::time::Duration;

use autosnap::hook::{Hook, HookContext, HookStatus, Phase, Settings};

use crate::support::{SECRET, cluster, host, program, program_as, run};

fn script(folder: &Path, name: &str, lines: &[&str]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, lines.join("\r\n") + "\r\n").unwrap();
    path
}

#[test]
fn the_cmd_template_handles_every_phase() {
    let simulator = cluster();
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../hooks/template.cmd");
    let (status, stdout, stderr) = run(program_as("auto", &simulator)
        .args(["--vmid=100", "snap", "--label=daily", "--keep=1"])
        .arg(format!("--script={}", template.display())));
    assert_eq!((status, stderr.as_str()), (0, ""), "{stdout}");
    assert!(!stdout.contains("unknown phase"), "{stdout}");
}

#[test]
fn a_batch_file_gets_the_guest_and_its_exit_code_is_reported() {
    let simulator = cluster();
    let folder = tempfile::Builder::new()
        .prefix("hook with spaces ")
        .tempdir()
        .unwrap();
    let hook = script(
        folder.path(),
        "hook.bat",
        &[
            "@echo off",
            "echo guest: %CV4PVE_AUTOSNAP_PHASE% %CV4PVE_AUTOSNAP_VMID% %CV4PVE_AUTOSNAP_VMNAME%",
            "if %CV4PVE_AUTOSNAP_PHASE%==snap-create-post exit /b 3",
        ],
    );
    let (status, stdout, stderr) = run(program_as("auto", &simulator)
        .args(["--vmid=100", "snap", "--label=daily", "--keep=1"])
        .arg(format!("--script={}", hook.display())));
    assert!(
        stdout.contains("guest: snap-create-pre 100 web01"),
        "{stdout}{stderr}"
    );
    assert!(stdout.contains("Script return code: 3"), "{stdout}{stderr}");
    assert_eq!(status, 0, "{stdout}{stderr}");
}

#[test]
fn a_batch_file_that_hangs_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let hook = script(
        folder.path(),
        "hook.cmd",
        &["@echo off", "echo begun", ":again", "goto again"],
    );
    let limit = Duration::from_secs(1);
    let settings = Settings {
        timeout: Some(limit),
        ..Settings::default()
    };
    let context = HookContext {
        phase: Phase::SnapJobStart,
        guest: None,
        label: String::from("daily"),
        keep: "1".to_owned(),
        policy: "keep-last=1".to_owned(),
        snap_name: None,
        vmstate: false,
        duration: Duration::ZERO,
        state: true,
        debug: false,
        dry_run: false,
    };
    let hook = Hook::new(&hook, settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let result = runtime.block_on(hook.run(&context));
    assert!(
        matches!(result.status, HookStatus::TimedOut(after) if after == limit),
        "{result:?}"
    );
    assert!(result.output.contains("begun"), "{result:?}");
}

#[test]
fn setup_writes_a_valid_parameter_file_and_does_not_overwrite_it() {
    let simulator = cluster();
    let folder = tempfile::tempdir().unwrap();
    let (file, token) = (
        folder.path().join("a b.conf"),
        folder.path().join("the token"),
    );
    std::fs::write(&token, format!("backup@pve!auto={SECRET}\r\n")).unwrap();
    let options = [
        String::from("setup"),
        String::from("--user=backup@pve"),
        String::from("--token-id=auto"),
        format!("--write={}", file.display()),
        format!("--token-file={}", token.display()),
        format!("--host={}", host(&simulator)),
    ];
    let (status, _, stderr) = run(program().args(&options));
    assert_eq!(status, 0, "{stderr}");
    let parameters = format!("@{}", file.display());
    let (status, stdout, stderr) = run(program().args([
        &parameters,
        "--vmid=100",
        "snap",
        "--label=daily",
        "--keep=1",
    ]));
    assert_eq!(status, 0, "{stdout}{stderr}");
    let (status, _, stderr) = run(program().args(&options));
    assert_ne!(status, 0);
    assert!(stderr.contains("a b.conf"), "{stderr}");
}
