// SPDX-License-Identifier: GPL-3.0-only
//! Another program named `cv4pve-autosnap` on the machine, as the C# tool after a switch.

use crate::harness::{Lab, Output};
use crate::world::{World, vm};

/// Runs a command with a folder in `PATH` before the usual ones.
fn run_with_path(lab: &Lab, args: &str) -> Output {
    let mut command = lab.command();
    let path = format!("{0}/bin:{0}/same:/usr/bin:/bin", lab.folder().display());
    command
        .env("PATH", path)
        .arg(format!("--host={}", lab.host()))
        .args([
            "--api-token=file:token",
            "--vmid=100",
            "--label=daily",
            "--keep=3",
        ])
        .args(args.split(' '));
    lab.finish(command)
}

/// `check` warns of another `cv4pve-autosnap` in `PATH`, with its version, and does not run it. A
/// link to this program is not reported.
#[test]
fn check_reports_another_program_with_our_name() {
    let lab = Lab::new(&World::new([vm(100, "web01")]));
    for folder in ["bin", "same"] {
        std::fs::create_dir(lab.folder().join(folder)).unwrap();
    }
    let program = env!("CARGO_BIN_EXE_cv4pve-autosnap");
    std::os::unix::fs::symlink(program, lab.folder().join("same/cv4pve-autosnap")).unwrap();
    let status = run_with_path(&lab, "check").assert_not_reported().status;
    lab.script(
        "bin/cv4pve-autosnap",
        "#!/bin/sh\ntouch ran\nexit 1\n{ \"targets\": { \"cv4pve-autosnap/1.17.0\": {",
    );
    let output = run_with_path(&lab, "check");
    output
        .assert_status(status)
        .assert_out("there is another cv4pve-autosnap (1.17.0): <folder>/bin/cv4pve-autosnap;")
        .assert_out("take away what updates it, then put a link in its place: ln -sf");
    let findings = run_with_path(&lab, "check --output=Json").json();
    let text = findings.to_string();
    assert_eq!(text.matches(r#""other-program""#).count(), 1, "{text}");
    run_with_path(&lab, "snap --dry-run")
        .assert_status(0)
        .assert_not_reported();
    assert!(!lab.folder().join("ran").exists());
}

impl Output {
    #[track_caller]
    fn assert_not_reported(&self) -> &Self {
        self.assert_not_printed("another cv4pve-autosnap");
        self
    }
}
