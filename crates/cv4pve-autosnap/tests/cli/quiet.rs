// SPDX-License-Identifier: GPL-3.0-only
//! Which output goes to which stream: `--quiet`, the error line on stdout, and the empty stderr of
//! runs that succeed.

use std::process::Stdio;

use crate::harness::{Lab, TOKEN, until};
use crate::paused_run::PausingHook;
use crate::world::{World, ct, day, vm};

const SNAP: &str = "snap --label=daily --keep=1";

fn lab() -> Lab {
    Lab::new(
        &World::new([
            vm(100, "web01").taken("daily", &[1]),
            vm(101, "busy").set("lock", "backup"),
            vm(102, "far").on("pve3"),
            vm(103, "away").on("pve3"),
        ])
        .offline_node("pve3"),
    )
}

/// Prints nothing on success; else the summary, each failure with its hint, and one line for an
/// offline node.
#[test]
fn quiet_prints_failures_only() {
    let lab = lab();
    for form in ["", " -o Json"] {
        let output = lab.run(&format!("--vmid=100 {SNAP} --dry-run --quiet{form}"));
        output.assert_status(0);
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    }
    let output = lab.run(&format!("--vmid=@all {SNAP} --dry-run --quiet"));
    output
        .assert_status(1)
        .assert_out("would create 1, remove 1; 0 skipped, 3 would fail\n")
        .assert_out("Error: node pve3 is offline or not reachable: VM 102, VM 103\n")
        .assert_out("Error: VM 101 busy on pve1: VM is locked (backup)\n  hint: ")
        .assert_not_printed("-----");
    let report = lab.run(&format!("--vmid=@all {SNAP} --dry-run --quiet -o Json"));
    assert_eq!(report.json()["exit_status"], 1);
}

/// The error that stops the run is also the last line on stdout, unless stdout and stderr are the
/// same file.
#[test]
fn the_last_line_of_stdout_is_the_error() {
    let lab = lab();
    for args in [
        "--vmid=@all,-web99 clean --label=daily --keep=1",
        "snap --lable=x",
    ] {
        let output = lab.run(args);
        output.assert_status(2);
        let last = output.stdout.lines().last().unwrap_or_default();
        assert!(last.starts_with("ERROR: "), "{output}");
        assert_eq!(output.lines("ERROR: ").len(), 1, "{output}");
    }
    let both = std::fs::File::create(lab.folder().join("both")).unwrap();
    let mut command = lab.command();
    command
        .args(["snap", "--lable=x"])
        .stdout(both.try_clone().unwrap())
        .stderr(Stdio::from(both));
    assert_eq!(command.status().unwrap().code(), Some(2));
    let both = std::fs::read_to_string(lab.folder().join("both")).unwrap();
    assert_eq!(both.matches("ERROR: ").count(), 1, "{both}");
}

/// With one guest at a time each line is printed immediately, so that a log can be followed.
#[test]
fn guests_that_run_one_at_a_time_are_reported_during_the_run() {
    let lab = Lab::new(&World::new([vm(100, "web01"), vm(101, "web02")]));
    let hook = PausingHook::new(&lab);
    let log = lab.folder().join("log");
    let mut command = lab.command();
    command.stdout(std::fs::File::create(&log).unwrap());
    let mut run = hook.start_with(&lab, &format!("--vmid=@all {SNAP}"), command);
    run.go_to("snap-create-pre 101");
    let log_text = || std::fs::read_to_string(&log).unwrap();
    until("the first guest is reported", || {
        log_text().contains("VM execution")
            && log_text().contains("----- VM 101 qemu running -----")
    });
    assert!(log_text().contains("Create snapshot: autodaily"));
    assert!(!log_text().contains("Total execution"));
    run.finish().assert_status(0);
    assert!(log_text().contains("Total execution"));
}

/// A run that succeeds writes nothing to stderr, even with warnings.
#[test]
fn warnings_of_a_run_that_succeeds_are_not_on_stderr() {
    let lab = Lab::new(&World::new([
        vm(100, "web01").taken("daily", &[1]).set("agent", 0),
        vm(101, "other").snapshot("autodaily20240101_000000", day(1), "cv4pve-autosnap"),
        ct(200, "media").set("mp0", "/srv/media,mp=/media"),
        vm(900, "template").set("template", 1).stopped(),
    ]));
    // Readable by all users.
    lab.file("open-token", TOKEN);
    let login = format!("--api-token={TOKEN}");
    for (warning, args) in [
        ("a secret on the command line", vec![login.as_str()]),
        (
            "a token that others can read",
            vec!["--api-token=file:open-token"],
        ),
        (
            "an exclusion that matches no guest",
            vec!["--allow-unmatched-exclusions"],
        ),
        ("a format that repeats", vec!["--timestamp-format=yyyyMMdd"]),
        ("a zone that does not exist", vec!["--max-parallel=1"]),
    ] {
        for command in [
            vec!["snap", "--keep=1"],
            vec!["clean", "--keep=1"],
            vec!["status"],
        ] {
            let mut program = lab.command();
            program
                .env("TZ", "Nowhere/Nothing")
                .arg(format!("--host={}", lab.host()))
                .args(["--vmid=@all,-@tag-none", "--label=daily"])
                .args(
                    args.iter()
                        .filter(|word| command[0] != "status" || !word.starts_with("--allow")),
                )
                .args(&command);
            if !args[0].starts_with("--api-token") {
                program.arg("--api-token=file:token");
            }
            if command[0] == "clean" && !args[0].starts_with("--allow") {
                program.arg("--allow-unmatched-exclusions");
            }
            let output = lab.finish(program);
            output.assert_status(0);
            assert_eq!(output.stderr, "", "{warning}, {command:?}: {output}");
        }
    }
}

/// Exclusions that match no guest share one line.
#[test]
fn terms_that_match_no_guest_share_a_line() {
    let lab = lab();
    let gone: Vec<String> = (901..=930).map(|vmid| format!("-{vmid}")).collect();
    let output = lab.run(&format!("--vmid=100,{} {SNAP}", gone.join(",")));
    output.assert_status(0).assert_out(
        "`-910` and 20 more terms match no guest: no guest has this ID, or this login may not see it (VM.Audit)\n",
    );
    assert_eq!(output.stdout.matches("no guest").count(), 2, "{output}");
}
