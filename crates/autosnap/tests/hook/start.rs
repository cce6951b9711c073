// SPDX-License-Identifier: GPL-3.0-only
//! How scripts are started, and the errors of scripts that cannot be started.

use std::fs;
use std::path::Path;

use autosnap::hook::{Hook, HookError, HookStatus, Phase, Settings};

use super::{block_on, call, check_exit, context, folder, script};

#[test]
fn a_script_without_interpreter_line_is_run_by_bash_for_every_suffix() {
    let folder = folder();
    for name in ["hook", "hook.cmd", "hook.bat", "hook.py"] {
        let text =
            "[[ $BASH_VERSION ]] || [[ ! -e /bin/bash ]] && echo \"plain $CV4PVE_AUTOSNAP_VMID\"\n";
        let path = script(&folder, name, "755", text);
        check_exit(
            &call(&path, Settings::default(), Phase::SnapCreatePost),
            0,
            "plain 100\n",
        );
    }
    for (name, text) in [("empty", ""), ("blank", "#!\n"), ("blanks", "#! \t\n")] {
        let path = script(&folder, name, "755", text);
        check_exit(
            &call(&path, Settings::default(), Phase::SnapCreatePost),
            0,
            "",
        );
    }
}

#[test]
fn an_interpreter_line_takes_precedence_over_the_suffix() {
    let folder = folder();
    for name in ["hook.ps1", "hook.cmd", "hook.BAT"] {
        let path = script(&folder, name, "755", "#!/bin/sh -u\necho by sh\n");
        check_exit(
            &call(&path, Settings::default(), Phase::SnapCreatePost),
            0,
            "by sh\n",
        );
    }
    // Some interpreters ignore the carriage return in their argument.
    let path = script(&folder, "dos", "755", "#!/bin/echo -n\r\n");
    let result = call(&path, Settings::default(), Phase::SnapCreatePost);
    assert!(result.output.starts_with("-n\r "), "{result:?}");
}

#[test]
fn machine_code_is_started_directly() {
    check_exit(
        &call(
            Path::new("/bin/echo"),
            Settings::default(),
            Phase::SnapJobStart,
        ),
        0,
        "\n",
    );
}

#[test]
fn a_ps1_script_is_run_by_powershell() {
    let folder = folder();
    // PowerShell needs no execute permission on its scripts, and is not installed on every machine.
    let path = script(&folder, "hook.ps1", "644", "exit 7\n");
    let hook = Hook::new(&path, Settings::default()).unwrap();
    match hook.start_error() {
        None => check_exit(&call(&path, Settings::default(), Phase::SnapJobEnd), 7, ""),
        Some(error) => check_not_started(&path, &format!("{error}"), "no pwsh in PATH"),
    }
}

#[test]
fn a_path_that_is_not_a_file_is_refused_at_the_start() {
    let folder = folder();
    for (path, expected) in [
        (folder.path().join("none.sh"), "does not exist"),
        (folder.path().to_owned(), "is not a file"),
    ] {
        let error = Hook::new(&path, Settings::default()).unwrap_err();
        let expected = format!("hook script {} {expected}", path.display());
        assert_eq!(error.to_string(), expected);
    }
}

/// Fails unless the hook is known not to start for this reason, and a call returns it.
#[track_caller]
fn check_not_started(path: &Path, reason: &str, part: &str) {
    let hook = Hook::new(path, Settings::default()).unwrap();
    assert_eq!(hook.start_error().unwrap().to_string(), reason);
    let result = block_on(hook.run(&context(Phase::SnapCreatePre)));
    assert!(
        matches!(&result.status, HookStatus::CouldNotStart(error) if error.to_string() == reason),
        "{result:?}"
    );
    assert!(reason.contains(part) && !result.succeeded(), "{reason}");
}

#[test]
fn a_script_that_cannot_be_started_is_reported_with_a_command() {
    let folder = folder();
    let check = |name: &str, mode: &str, text: &str, expected: &str| {
        let path = script(&folder, name, mode, text);
        let reason = expected.replace("PATH", &path.display().to_string());
        check_not_started(&path, &reason, "");
    };
    let not_executable = "hook script PATH is not executable; run: chmod +x 'PATH'";
    check("plain.sh", "644", "#!/bin/sh\n", not_executable);
    check("plain.cmd", "644", "echo\n", not_executable);
    check("plain.ps1", "644", "#!/bin/sh\n", not_executable);
    for (name, first_line) in [
        ("dos.sh", "#!/bin/sh\r"),
        ("blank.sh", "#!/bin/sh \r"),
        ("env.sh", "#!/usr/bin/env -S sh\r"),
        ("dos.ps1", "#!/bin/sh\r"),
    ] {
        check(
            name,
            "755",
            &format!("{first_line}\necho\r\n"),
            "hook script PATH has Windows line ends; run: sed -i 's/\\r$//' 'PATH'",
        );
    }
    for (name, interpreter) in [("odd.sh", "/no/such/shell"), ("near.sh", "no-such-shell")] {
        check(
            name,
            "755",
            &format!("#! {interpreter} -e\n"),
            &format!(
                "hook script PATH needs the interpreter {interpreter}, which does not exist; \
                 correct its first line or install it"
            ),
        );
    }
}

#[test]
fn an_error_of_the_system_is_reported() {
    let folder = folder();
    let path = script(&folder, "odd", "755", "#!/\n");
    let result = call(&path, Settings::default(), Phase::SnapCreatePre);
    let text = result.status.to_string();
    assert!(
        text.contains("cannot be executed by this user; check"),
        "{text}"
    );
    let path = script(&folder, "binary", "755", "\0\u{1}\u{2}no machine code");
    let result = call(&path, Settings::default(), Phase::SnapCreatePre);
    let expected = format!(
        "could not be started: hook script {} cannot be started: Exec format error",
        path.display()
    );
    assert_eq!(result.status.to_string(), expected);
}

#[test]
fn a_script_that_is_deleted_during_the_run_is_reported() {
    let folder = folder();
    let path = script(&folder, "hook.sh", "755", "#!/bin/sh\n");
    let hook = Hook::new(&path, Settings::default()).unwrap();
    fs::remove_file(&path).unwrap();
    let result = block_on(hook.run(&context(Phase::SnapCreatePre)));
    assert_eq!(
        result.status.to_string(),
        format!(
            "could not be started: hook script {} does not exist",
            path.display()
        )
    );
    // A script that is restored during the run is used.
    script(&folder, "hook.sh", "755", "#!/bin/sh\necho again\n");
    let result = block_on(hook.run(&context(Phase::SnapCreatePre)));
    check_exit(&result, 0, "again\n");
}

#[test]
fn a_file_name_is_not_searched_in_path() {
    let error = Hook::new(Path::new("ls"), Settings::default()).unwrap_err();
    assert!(matches!(error, HookError::Missing(_)), "{error}");
}
