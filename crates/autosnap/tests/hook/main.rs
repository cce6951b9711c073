// SPDX-License-Identifier: GPL-3.0-only
//! Hooks as real processes: their variables, how they start and end, and that they cannot stop the
//! run.
//!
//! Scripts are written by a child process. A file that this process has open for writing could be
//! inherited by the child of another test, and the kernel refuses to execute such a file ("Text
//! file busy").
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed preparation fails the test")]

mod start;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use autosnap::hook::{Hook, HookContext, HookGuest, HookResult, HookStatus, Phase, Settings};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_millis(100);
const GRACE: Duration = Duration::from_millis(100);

/// A folder whose name has characters that need quoting in a shell.
fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("hook $x ")
        .tempdir()
        .unwrap()
}

fn script(folder: &TempDir, name: &str, mode: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    let mut helper = Command::new("/bin/sh")
        .args(["-c", "cat >\"$1\" && chmod \"$2\" \"$1\"", "sh"])
        .arg(&path)
        .arg(mode)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    helper
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    assert!(helper.wait().unwrap().success());
    path
}

fn context(phase: Phase) -> HookContext {
    let guest = HookGuest {
        vmid: 100,
        vm_name: String::from("web 01"),
        vm_type: String::from("qemu"),
    };
    HookContext {
        phase,
        guest: (!phase.is_job()).then_some(guest),
        label: String::from("daily"),
        keep: "7".to_owned(),
        policy: "keep-last=7".to_owned(),
        snap_name: (!phase.is_job()).then(|| String::from("autodaily260929020000")),
        vmstate: true,
        duration: Duration::from_millis(1500),
        state: true,
        debug: false,
        dry_run: false,
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn call(path: &Path, settings: Settings, phase: Phase) -> HookResult {
    let hook = Hook::new(path, settings).unwrap();
    block_on(hook.run(&context(phase)))
}

/// Runs a `/bin/sh` script of these lines in an opening phase.
fn run(text: &str, settings: Settings) -> HookResult {
    let folder = folder();
    let path = script(&folder, "hook.sh", "755", &format!("#!/bin/sh\n{text}"));
    call(&path, settings, Phase::SnapCreatePre)
}

fn short() -> Settings {
    Settings {
        timeout: Some(LIMIT),
        grace: GRACE,
        ..Settings::default()
    }
}

#[track_caller]
fn check_exit(result: &HookResult, code: i32, output: &str) {
    assert!(
        matches!(result.status, HookStatus::Exited(actual) if actual == code),
        "{result:?}"
    );
    assert_eq!(result.output, output);
    assert_eq!(result.succeeded(), code == 0);
}

/// Whether the process runs; a zombie does not count.
fn is_running(pid: &str) -> bool {
    let output = Command::new("ps")
        .args(["-o", "stat=", "-p", pid])
        .output()
        .unwrap();
    let state = String::from_utf8(output.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

#[track_caller]
fn check_gone(pid: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while is_running(pid) {
        assert!(Instant::now() < deadline, "process {pid} is still there");
    }
}

#[test]
fn every_phase_has_exactly_its_variables() {
    let folder = folder();
    let path = script(
        &folder,
        "hook.sh",
        "755",
        "#!/bin/sh\nenv | grep ^CV4PVE_ | sort\n",
    );
    for phase in Phase::ALL {
        let result = call(&path, Settings::default(), phase);
        let (vmid, name, kind, snapshot) = if phase.is_job() {
            ("", "", "", "")
        } else {
            ("100", "web 01", "qemu", "autodaily260929020000")
        };
        let expected = format!(
            "CV4PVE_AUTOSNAP_DEBUG=0\nCV4PVE_AUTOSNAP_DRY_RUN=0\nCV4PVE_AUTOSNAP_DURATION=1.5\n\
             CV4PVE_AUTOSNAP_KEEP=7\nCV4PVE_AUTOSNAP_LABEL=daily\nCV4PVE_AUTOSNAP_PHASE={phase}\n\
             CV4PVE_AUTOSNAP_POLICY=keep-last=7\n\
             CV4PVE_AUTOSNAP_SNAP_NAME={snapshot}\nCV4PVE_AUTOSNAP_STATE=1\nCV4PVE_AUTOSNAP_VMID={vmid}\n\
             CV4PVE_AUTOSNAP_VMNAME={name}\nCV4PVE_AUTOSNAP_VMSTATE=1\nCV4PVE_AUTOSNAP_VMTYPE={kind}\n"
        );
        check_exit(&result, 0, &expected);
    }
}

#[test]
fn secrets_are_not_passed_to_hooks() {
    // Variables of this process cannot be set without unsafe code, so a second process with them
    // runs the test of the phases.
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "every_phase_has_exactly_its_variables"])
        .env("CV4PVE_API_TOKEN", "root@pam!snap=secret")
        .env("CV4PVE_PASSWORD", "secret")
        .env("CV4PVE_AUTOSNAP_VMID", "left over")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[test]
fn the_exit_code_is_reported() {
    check_exit(&run("exit 0", Settings::default()), 0, "");
    check_exit(&run("echo no; exit 3", Settings::default()), 3, "no\n");
    check_exit(&run("exit 255", Settings::default()), 255, "");
}

#[test]
fn a_signal_is_not_an_exit_code() {
    let result = run("kill -KILL $$", Settings::default());
    assert!(
        matches!(result.status, HookStatus::Signalled(9)),
        "{result:?}"
    );
    assert!(!result.succeeded());
}

#[test]
fn only_stdout_is_captured() {
    check_exit(
        &run("echo 1; echo 2 >&2; echo 3", Settings::default()),
        0,
        "1\n3\n",
    );
}

#[test]
fn stdin_is_empty() {
    check_exit(&run("cat; echo done", Settings::default()), 0, "done\n");
}

/// A script that prints a line on SIGTERM, and ends only then.
const TIDY: &str = "trap 'echo tidy; exit 0' TERM\necho begun\nwhile :; do sleep 60 & wait; done";

#[test]
fn a_hanging_hook_is_stopped_and_may_clean_up() {
    // A long grace period, because the hook needs some time to handle the signal; the hook ends
    // earlier.
    let settings = Settings {
        timeout: Some(Duration::from_secs(1)),
        grace: Duration::from_secs(60),
        ..short()
    };
    let result = run(TIDY, settings);
    assert!(
        matches!(result.status, HookStatus::TimedOut(_)),
        "{result:?}"
    );
    assert_eq!(result.output, "begun\ntidy\n");
    assert_eq!(
        result.status.to_string(),
        "did not end within 1s and was stopped"
    );
    assert!(result.duration < Duration::from_secs(30), "{result:?}");
}

#[test]
fn a_hook_that_redirects_its_output_is_stopped_at_the_limit() {
    let folder = folder();
    let path = script(
        &folder,
        "hook.sh",
        "755",
        &format!("#!/bin/sh\nexec >\"$0.log\" 2>&1\n{TIDY}"),
    );
    let settings = Settings {
        timeout: Some(Duration::from_secs(1)),
        grace: Duration::from_secs(60),
        ..short()
    };
    let result = call(&path, settings, Phase::SnapCreatePre);
    assert!(
        matches!(result.status, HookStatus::TimedOut(_)),
        "{result:?}"
    );
    assert_eq!(result.output, "");
    assert_eq!(
        fs::read_to_string(folder.path().join("hook.sh.log")).unwrap(),
        "begun\ntidy\n"
    );
}

#[test]
fn a_hook_that_ignores_sigterm_is_killed_with_its_children() {
    let folder = folder();
    let text = "#!/bin/sh\ntrap '' TERM\nsleep 600 &\necho $$ $! >\"$0.pids\"\nwait; sleep 600";
    let path = script(&folder, "hook.sh", "755", text);
    let settings = Settings {
        timeout: Some(Duration::from_secs(1)),
        ..short()
    };
    let result = call(&path, settings, Phase::SnapCreatePre);
    assert!(
        matches!(result.status, HookStatus::TimedOut(_)),
        "{result:?}"
    );
    assert!(
        result.duration >= Duration::from_secs(1) + GRACE
            && result.duration < Duration::from_secs(60)
    );
    let pids = fs::read_to_string(folder.path().join("hook.sh.pids")).unwrap();
    assert_eq!(pids.split_whitespace().count(), 2, "{pids}");
    pids.split_whitespace().for_each(check_gone);
}

#[test]
fn a_child_without_our_stdout_does_not_delay_the_run_and_is_not_killed() {
    let result = run("sleep 600 >/dev/null &\necho $!", Settings::default());
    let pid = result.output.trim();
    assert!(is_running(pid), "{result:?}");
    assert!(Command::new("kill").arg(pid).status().unwrap().success());
    assert!(result.duration < Duration::from_secs(60));
    check_exit(&result, 0, &result.output);
}

#[test]
fn the_run_waits_for_a_child_that_holds_stdout() {
    let text = "(sleep 0.3; echo child) &\necho hook; exit 3";
    check_exit(&run(text, Settings::default()), 3, "hook\nchild\n");
}

#[test]
fn a_child_that_holds_stdout_past_the_limit_fails_the_call_and_is_not_killed() {
    let settings = || Settings {
        timeout: Some(Duration::from_secs(1)),
        ..short()
    };
    let result = run("sleep 600 &\necho $!", settings());
    let pid = result.output.trim();
    assert!(is_running(pid), "{result:?}");
    assert!(Command::new("kill").arg(pid).status().unwrap().success());
    assert!(
        matches!(result.status, HookStatus::ChildStillRunning(_)) && !result.succeeded(),
        "{result:?}"
    );
    assert_eq!(
        result.status.to_string(),
        "ended, but a process that it started still held its output after 1s"
    );
    // If the hook itself failed, its exit status is reported.
    let result = run("sleep 600 &\necho $!; exit 3", settings());
    let pid = result.output.trim();
    assert!(Command::new("kill").arg(pid).status().unwrap().success());
    check_exit(&result, 3, &result.output);
}

#[test]
fn long_output_is_read_to_the_end_and_truncated() {
    let settings = Settings {
        output_limit: 20,
        ..Settings::default()
    };
    let result = run(
        "echo 123456789\nhead -c 3000000 /dev/zero | tr '\\0' x\necho; echo last line",
        settings,
    );
    check_exit(
        &result,
        0,
        "123456789\n[3000001 bytes of output left out]\nlast line\n",
    );
}

#[test]
fn a_hook_with_endless_output_is_killed_at_the_limit() {
    let result = run("trap '' TERM\nyes", short());
    assert!(
        matches!(result.status, HookStatus::TimedOut(LIMIT)),
        "{:?}",
        result.status
    );
    assert!(result.output.len() < Settings::default().output_limit + 100);
}

#[test]
fn output_that_is_not_utf8_is_replaced() {
    check_exit(
        &run("printf 'a\\377b\\n'", Settings::default()),
        0,
        "a\u{fffd}b\n",
    );
}

#[test]
fn dropping_the_call_ends_the_hook() {
    let folder = folder();
    let text = "#!/bin/sh\necho $$ >\"$0.tmp\"; mv \"$0.tmp\" \"$0.pid\"; sleep 600\n";
    let path = script(&folder, "hook.sh", "755", text);
    let written = folder.path().join("hook.sh.pid");
    let hook = Hook::new(&path, Settings::default()).unwrap();
    let context = context(Phase::SnapCreatePre);
    block_on(async {
        tokio::select! {
            result = hook.run(&context) => panic!("{result:?}"),
            () = async { while !written.exists() { tokio::task::yield_now().await } } => {}
        }
    });
    check_gone(fs::read_to_string(written).unwrap().trim());
}

#[test]
fn without_a_limit_the_hook_is_not_stopped() {
    check_exit(
        &run(
            "sleep 0.2; echo done",
            Settings {
                timeout: None,
                ..short()
            },
        ),
        0,
        "done\n",
    );
    check_exit(
        &run(
            "echo far",
            Settings {
                timeout: Some(Duration::MAX),
                ..short()
            },
        ),
        0,
        "far\n",
    );
}
