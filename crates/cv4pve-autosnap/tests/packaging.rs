// SPDX-License-Identifier: GPL-3.0-only
//! The scripts in packaging/ that need neither root nor a release build.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Values for the templates; the checksum is that of the three bytes `one`.
const VERSION: &str = "1.2.3";
const CHECKSUM_OF_ONE: &str = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";

#[test]
fn templates_are_filled_with_version_and_checksums() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    fs::write(&one, "one").unwrap();
    fs::write(&two, "two").unwrap();
    let filled = folder.path().join("filled");
    let output = run(
        "fill-templates",
        &[
            VERSION.as_ref(),
            one.as_os_str(),
            two.as_os_str(),
            filled.as_os_str(),
        ],
    );
    assert!(output.status.success(), "{output:?}");
    let build = fs::read_to_string(filled.join("aur/PKGBUILD")).unwrap();
    assert!(build.contains("pkgver=1.2.3\n"), "{build}");
    assert!(build.contains(CHECKSUM_OF_ONE), "{build}");
    let installer =
        fs::read_to_string(filled.join("winget/cv4pve-autosnap.installer.yaml")).unwrap();
    assert!(installer.contains("PackageVersion: 1.2.3\n"), "{installer}");
    assert!(!installer.contains(CHECKSUM_OF_ONE), "{installer}");
}

/// The version of the workspace.
const OWN: &str = env!("CARGO_PKG_VERSION");

/// The version is higher than those of the C# tool in the version order of each package format.
#[test]
fn the_version_is_higher_than_that_of_the_csharp_tool_in_all_packages() {
    let major: u32 = OWN.split('.').next().unwrap().parse().unwrap();
    assert!(major > 2, "{OWN}");
    let manifest =
        fs::read_to_string(packaging().join("../crates/cv4pve-autosnap/Cargo.toml")).unwrap();
    let rpm = format!("\nversion = \"{}\"\n", OWN.replace('-', "~"));
    assert!(manifest.contains(&rpm), "no {rpm} for rpm");
    let manual = packaging().join("../docs/src/installation.md");
    let checkout = format!("git checkout v{OWN}\n");
    assert!(
        fs::read_to_string(manual).unwrap().contains(&checkout),
        "no {checkout}"
    );

    let folder = tempfile::tempdir().unwrap();
    let (one, filled) = (folder.path().join("one"), folder.path().join("filled"));
    fs::write(&one, "one").unwrap();
    let one = one.as_os_str();
    let output = run(
        "fill-templates",
        &["3.0.0-beta.1".as_ref(), one, one, filled.as_os_str()],
    );
    assert!(output.status.success(), "{output:?}");
    let build = fs::read_to_string(filled.join("aur/PKGBUILD")).unwrap();
    assert!(
        build.contains("pkgver=3.0.0beta.1\n_version=3.0.0-beta.1\n"),
        "{build}"
    );
    let formula = fs::read_to_string(filled.join("homebrew/cv4pve-autosnap.rb")).unwrap();
    assert!(formula.contains("/v3.0.0-beta.1.tar.gz"), "{formula}");
}

/// The installation of a package reports other programs with our name, once each, and runs none.
#[test]
fn the_installation_reports_other_programs_with_our_name() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("cv4pve-autosnap");
    let script = "#!/bin/sh\ntouch \"$0.ran\"\n";
    let created = Command::new("sh")
        .args(["-c", r#"printf '%s' "$1" >"$0" && chmod +x "$0""#])
        .arg(&other)
        .arg(script)
        .status();
    assert!(created.unwrap().success());
    let path = format!("{0}:{0}:/usr/bin:/bin", folder.path().display());
    for (argument, count) in [("configure", 1), ("1", 1), ("2", 1), ("abort-upgrade", 0)] {
        let output = Command::new("/bin/sh")
            .arg(packaging().join("scripts/postinst"))
            .arg(argument)
            .env("PATH", &path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        let named = format!("another program of this name: {}\n", other.display());
        assert_eq!(
            stderr.matches(&named).count(),
            count,
            "{argument}: {stderr}"
        );
    }
    assert!(!folder.path().join("cv4pve-autosnap.ran").exists());
}

#[test]
fn the_changes_of_a_version_are_extracted() {
    let changelog = fs::read_to_string(packaging().join("../CHANGELOG.md")).unwrap();
    let newest = changelog.lines().find_map(|line| line.strip_prefix("## "));
    let newest = newest
        .and_then(|heading| heading.split(' ').next())
        .unwrap();
    let output = run("changelog", &[newest.as_ref()]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.trim().is_empty() && !text.contains("\n## "), "{text}");

    let output = run("changelog", &["0.0.0".as_ref()]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_failed_job_is_mailed_with_the_report_of_its_last_run() {
    let folder = tempfile::tempdir().unwrap();
    for (name, script) in [
        ("systemctl", "echo the-run-of-${3##*=}"),
        ("journalctl", "echo \"report: $*\""),
        ("sendmail", "cat >\"$LOG\"; echo \"to $1\" >>\"$LOG\""),
    ] {
        // A child process writes the file, because a file that this process has open cannot be
        // executed.
        let status = Command::new("sh")
            .args([
                "-c",
                r#"printf '#!/bin/sh\n%s\n' "$1" >"$0" && chmod +x "$0""#,
            ])
            .arg(folder.path().join(name))
            .arg(script)
            .status()
            .unwrap();
        assert!(status.success());
    }
    let log = folder.path().join("log");
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("sh")
        .arg(packaging().join("systemd/report-failure"))
        .arg("daily")
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .env("LOG", &log)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let mail = fs::read_to_string(log).unwrap();
    let lines: Vec<&str> = mail.lines().collect();
    assert_eq!(lines[0], "To: root");
    assert!(
        lines[1].starts_with("Subject: cv4pve-autosnap: job daily failed on "),
        "{mail}"
    );
    assert!(
        mail.contains("_SYSTEMD_INVOCATION_ID=the-run-of-"),
        "{mail}"
    );
    assert_eq!(lines.last(), Some(&"to root"));
}

fn run(script: &str, arguments: &[&std::ffi::OsStr]) -> Output {
    Command::new("sh")
        .arg(packaging().join(script))
        .args(arguments)
        .output()
        .expect("sh starts")
}

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging")
}
