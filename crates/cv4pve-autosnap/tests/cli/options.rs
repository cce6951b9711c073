// SPDX-License-Identifier: GPL-3.0-only
//! Syntax of options: before and after the command, in three spellings, repeated, in parameter
//! files, in the environment; and logins.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Lab, Output, TOKEN};
use crate::world::{World, vm};

/// Encrypted as older releases of the C# tool did (3DES, ECB), made with openssl.
const OLD_PASSWORD_FILE: &str = "CofV+H+5T9q9asa3/lgDew==";

fn lab() -> Lab {
    Lab::new(&World::new([vm(100, "web01").taken("daily", &[1, 2, 3])]))
}

/// The users of all authenticated requests.
fn users(lab: &Lab) -> Vec<String> {
    let requests = lab.simulator.journal().requests();
    let mut users: Vec<String> = requests.into_iter().filter_map(|one| one.user).collect();
    users.dedup();
    users
}

/// Writes a file that only its owner can read.
fn secret_file(lab: &Lab, name: &str, content: &str) {
    let path = lab.file(name, content);
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

/// Runs `status` with these login options.
fn log_in(lab: &Lab, args: &str) -> Output {
    let host = format!("--host={}", lab.host());
    lab.bare(
        [host.as_str(), "--vmid=100", "status"]
            .into_iter()
            .chain(args.split(' ')),
    )
}

#[test]
fn options_are_accepted_before_and_after_the_command_in_every_spelling() {
    let expected =
        lab().run("--vmid=100 --timeout=60 snap --label=daily --keep=2 --dry-run --state");
    expected
        .assert_status(0)
        .assert_out("autodaily240102000000");
    for args in [
        "snap --vmid=100 --timeout=60 --label=daily --keep=2 --dry-run --state",
        "--label=daily --keep=2 --dry-run --state --vmid=100 --timeout=60 snap",
        "--vmid 100 --timeout 60 snap --label daily --keep 2 --dry-run --state true",
        "--vmid:100 --timeout:60 snap --label:daily --keep:2 --dry-run:true --state:True",
        "--dry-run --state --keep 2 snap --label daily --timeout=60 --vmid:100",
        "--vmid=100 --timeout=60 snap --label=daily --keep=2 --dry-run --state true --state",
    ] {
        assert_eq!(lab().run(args), expected, "{args}");
    }
}

#[test]
fn a_repeated_option_with_the_same_value_is_accepted() {
    let lab = lab();
    lab.run("--vmid=100 --keep=2 --vmid:100 clean --keep 2 --label=daily --label=daily")
        .assert_status(0);
    assert_eq!(lab.changes(), ["delete 100 autodaily240101000000"]);
}

#[test]
fn the_command_line_overrides_a_parameter_file() {
    let lab = lab();
    lab.file("job.conf", "--vmid=100 --label=daily\n--keep=1\n");
    lab.run("@job.conf clean --keep=2").assert_status(0);
    assert_eq!(lab.changes(), ["delete 100 autodaily240101000000"]);
}

#[test]
fn one_parameter_file_serves_all_commands() {
    let lab = lab();
    lab.file(
        "all.conf",
        "--vmid=100 --label=daily --keep=2 --state --only-running --max-parallel-ram=2",
    );
    for command in ["status", "clean", "snap"] {
        lab.run(&format!("@all.conf {command}")).assert_status(0);
    }
    assert_eq!(
        lab.changes(),
        [
            "delete 100 autodaily240101000000",
            "create 100 autodaily<now>",
            "delete 100 autodaily240102000000",
        ]
    );
}

#[test]
fn parameter_files_support_quotes_comments_and_nested_files() {
    let lab = lab();
    lab.file(
        "the inner.conf",
        "  # indented\n\"--label=daily\" --keep 2 snap\n",
    );
    lab.file(
        "outer.conf",
        "--vmid @all --timestamp-format \"yyyyMMdd_HHmm\"\n\"@the inner.conf\"\n--dry-run",
    );
    let output = lab.run("@outer.conf");
    output
        .assert_status(0)
        .assert_out("Timestamp format: yyyyMMdd_HHmm\n");
}

#[test]
fn a_token_takes_precedence_over_a_password() {
    let lab = lab();
    lab.run("--username=root@pam --password=wrong --vmid=100 status")
        .assert_status(0);
    assert_eq!(users(&lab), ["backup@pve!auto"]);
}

#[test]
fn a_user_without_a_realm_is_in_pam() {
    let lab = lab();
    log_in(&lab, "--username=root --password=example-root").assert_status(0);
    assert_eq!(users(&lab), ["root@pam"]);
}

#[test]
fn password_files_of_all_versions_are_read() {
    let lab = lab();
    secret_file(&lab, "plain", "example-backup\n");
    secret_file(&lab, "old", OLD_PASSWORD_FILE);
    cv4pve_autosnap::password_file::write(&lab.folder().join("new"), &"example-backup".into())
        .unwrap();
    for file in ["plain", "old", "new"] {
        let output = log_in(
            &lab,
            &format!("--username=backup@pve --password=file:{file}"),
        );
        output.assert_status(0);
        assert_eq!(output.stderr, "", "{file}");
    }
}

#[test]
fn a_secret_file_that_others_can_read_is_a_warning() {
    let lab = lab();
    lab.file("password", "example-backup");
    let login = "--username=backup@pve --password=file:password";
    let output = log_in(&lab, login);
    output.assert_status(0);
    assert_eq!(output.stderr, "", "cron would mail it");
    log_in(&lab, &format!("{login} --debug"))
        .assert_status(0)
        .assert_err("can be read by other users; run: chmod 600 'password'");
    let host = format!("--host={}", lab.host());
    lab.bare([&host, "check"].into_iter().chain(login.split(' ')))
        .assert_out("can be read by other users; run: chmod 600 'password'");
}

/// The prompt is `Password:`, and it appears if stdin is a terminal, even if stdout and stderr are
/// not.
#[test]
fn the_password_prompt_appears_if_stdin_is_a_terminal() {
    let lab = lab();
    let program = env!("CARGO_BIN_EXE_cv4pve-autosnap");
    let line = format!(
        "'{program}' --host={} --username=backup@pve --password=file:entered --vmid=100 status",
        lab.host()
    );
    lab.script("inside.sh", &format!("#!/bin/sh\n{line} >out 2>err\n"));
    let mut command = lab.command_of("script");
    command.args(["-qec", "./inside.sh", "/dev/null"]);
    let mut command = assert_cmd::Command::from_std(command);
    let result = command.write_stdin("example-backup\n").output().unwrap();
    let shown = String::from_utf8_lossy(&result.stdout);
    assert!(shown.contains("Password: "), "{shown}");
    assert!(result.status.success(), "{shown}");
    let read = |name: &str| std::fs::read_to_string(lab.folder().join(name)).unwrap();
    assert!(read("out").contains("autodaily240101000000"));
    assert_eq!(read("err"), "", "it is a file, no terminal");
    log_in(&lab, "--username=backup@pve --password=file:entered").assert_status(0);
}

#[test]
fn a_missing_password_file_is_an_error_without_a_terminal() {
    let lab = lab();
    log_in(&lab, "--username=backup@pve --password=file:missing")
        .assert_status(2)
        .assert_err("no terminal to ask at");
    assert!(!lab.folder().join("missing").exists());
}

#[test]
fn secrets_may_come_from_the_environment() {
    for (variable, value, user) in [
        ("CV4PVE_API_TOKEN", TOKEN, "backup@pve!auto"),
        ("CV4PVE_PASSWORD", "example-root", "root@pam"),
    ] {
        let lab = lab();
        let mut command = lab.command();
        command
            .env(variable, value)
            .arg(format!("--host={}", lab.host()))
            .args(["--vmid=100", "--username=root@pam", "status"]);
        let output = lab.finish(command);
        output.assert_status(0);
        assert_eq!(output.stderr, "");
        assert_eq!(users(&lab), [user]);
    }
}

#[test]
fn secrets_are_never_printed() {
    let lab = lab();
    let host = format!("--host={}", lab.host());
    let jobs = ["--vmid=100", "--debug", "snap", "--label=daily", "--keep=1"];
    let by_password = ["--username=backup@pve", "--password=example-backup"];
    let token = format!("--api-token={TOKEN}");
    for login in [by_password.as_slice(), &[token.as_str()]] {
        let own = [host.as_str()];
        let output = lab.bare(own.iter().chain(login).chain(&jobs).copied());
        output.assert_err("snap-create-pre");
        for secret in ["example-backup", "22222222-2222", "PVE:backup@pve:"] {
            assert!(!output.to_string().contains(secret), "{secret}: {output}");
        }
    }
}

#[test]
fn debug_prints_requests_to_stderr_and_does_not_change_stdout() {
    let args = "--vmid=100 clean --label=daily --keep=2 --debug=";
    let (with, without) = (
        lab().run(&format!("{args}true")),
        lab().run(&format!("{args}false")),
    );
    assert_eq!(with.stdout, without.stdout);
    assert_eq!(without.stderr, "");
    with.assert_err("/cluster/resources");
}

#[test]
fn the_hook_option_of_the_manual_of_1_17_works() {
    let lab = lab();
    lab.script(
        "hook.sh",
        "#!/bin/sh\necho \"here: $CV4PVE_AUTOSNAP_PHASE\"\n",
    );
    lab.run("--vmid=100 clean --label=daily --keep=9 --script-hook hook.sh")
        .assert_status(0)
        .assert_out("here: clean-job-start\n");
}

#[test]
fn a_task_that_outlives_the_timeout_is_a_failure_with_its_upid() {
    let lab = Lab::new(&World::new([vm(100, "slow").with(
        "task_seconds",
        serde_json::json!({"create": 3600, "delete": 1}),
    )]));
    let output = lab.run("--vmid=100 --timeout=1 snap --label=daily --keep=1");
    output
        .assert_status(1)
        .assert_out("Error task in run... increase the timeout! (the task has not ended within 1s)")
        .assert_out("increase --timeout; the log of the task in PVE shows how it ended: <upid>");
    assert_eq!(lab.changes(), [] as [&str; 0]);
}

#[test]
fn help_and_version_exit_with_0() {
    let lab = lab();
    for (arguments, expected) in [
        (["--help"].as_slice(), "snap "),
        (&["snap", "--help"], "--max-perc-storage"),
        (&["clean", "-h"], "--keep"),
        (&["status", "--help"], "--output"),
        (&["--version"], "cv4pve-autosnap 3."),
    ] {
        let output = lab.bare(arguments.iter().copied());
        output.assert_status(0).assert_out(expected);
        assert_eq!(output.stderr, "");
    }
    lab.bare([]).assert_status(2);
}

#[test]
fn values_have_the_ranges_of_the_csharp_tool() {
    let lab = lab();
    for (option, accepted, refused) in [
        ("--keep", ["1", "100"], ["0", "101"]),
        ("--timeout", ["1", "5m"], ["0", "-5m"]),
        ("--max-perc-storage", ["1", "100"], ["0", "101"]),
        ("--max-parallel", ["1", "50"], ["0", "51"]),
    ] {
        let keep = if option == "--keep" { "" } else { "--keep=1" };
        let run = |value: &str| {
            lab.run(&format!(
                "--vmid=100 snap --label=x {keep} --dry-run {option}={value}"
            ))
        };
        for value in accepted {
            run(value).assert_status(i32::from(option == "--max-perc-storage" && value == "1"));
        }
        for value in refused.into_iter().chain(["-1", "x", "1.5", ""]) {
            run(value).assert_status(2).assert_err(option);
        }
    }
    lab.assert_unchanged();
}

#[test]
fn the_command_line_overrides_an_invalid_value_of_a_parameter_file() {
    let lab = Lab::new(&World::new([vm(100, "web01")]));
    lab.file("p1.conf", "--vmid=100 --label=daily --keep=0 --timeout=0\n");
    lab.run("@p1.conf snap --keep=5 --timeout=30 --dry-run")
        .assert_status(0);
    lab.run("@p1.conf snap --keep 5 --dry-run")
        .assert_status(2)
        .assert_err("invalid value for '--timeout <TIME>' in line 1 of p1.conf");
}
