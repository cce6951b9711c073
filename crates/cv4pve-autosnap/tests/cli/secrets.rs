// SPDX-License-Identifier: GPL-3.0-only
//! Secrets that are entered in the wrong place, or that a server sends back: they are never
//! printed.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::harness::{Lab, Output, TOKEN};
use crate::world::{World, vm};

/// The secret part of the token.
const UUID: &str = "22222222-2222-4222-8222-222222222222";

fn lab() -> Lab {
    Lab::new(&World::new([vm(100, "web01").taken("daily", &[1, 2])]))
}

fn private_file(lab: &Lab, name: &str, content: impl AsRef<[u8]>) {
    let path = lab.file(name, content);
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

/// Runs `status` with these arguments and the host.
fn status(lab: &Lab, args: &[&str]) -> Output {
    let host = format!("--host={}", lab.host());
    let own = [host.as_str(), "--vmid=100", "status"];
    lab.bare(own.into_iter().chain(args.iter().copied()))
}

fn utf16(text: &str, convert: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(convert).collect()
}

/// Mistakes from field reports.
#[test]
fn a_typing_error_in_a_file_or_on_the_command_line_prints_no_secret() {
    let lab = lab();
    lab.file(
        "spaces.conf",
        format!("--vmid=100\n--api-token = {TOKEN}\n"),
    );
    lab.file("dashes.conf", format!("api-token={TOKEN}\n"));
    lab.file(
        "password.conf",
        "--username=root@pam\n--password=correct horse\n",
    );
    lab.file("label.conf", "--label=mule!\n");
    for (args, message) in [
        (&["@spaces.conf"][..], "line 2 of spaces.conf"),
        (&["@dashes.conf"], "line 1 of dashes.conf"),
        (&["@password.conf"], "line 2 of password.conf"),
        (
            &["@label.conf", "--api-token=file:token"],
            "line 1 of label.conf",
        ),
        (&["@token"], "parameter file token contains a secret"),
        (&["--api-token=@token"], "--api-token=file:PATH"),
        (
            &["--api-token", "backup@pve!auto", UUID],
            "unexpected argument",
        ),
        (&["--api-token", "=", TOKEN], "unexpected argument"),
        (&["--password", "correct", "horse"], "unexpected argument"),
        (&["api-token", TOKEN], "unexpected argument"),
        (&["-api-token", TOKEN], "unexpected argument"),
        (&["—password=correct-horse"], "unexpected argument"),
        (
            &["--username=root@pam --password=correct-horse"],
            "contains an API token or a password",
        ),
    ] {
        let output = status(&lab, args);
        output.assert_status(2).assert_err(message);
        for secret in ["2222-4222", "horse", "mule!"] {
            output.assert_not_printed(secret);
        }
    }
}

/// Arguments of a command with a secret.
const LINES: [&[&str]; 4] = [
    &[
        "--api-token=backup@pve!auto=22222222-2222-4222-8222-222222222222",
        "--vmid=100",
        "status",
        "--debug",
    ],
    &[
        "--vmid",
        "100",
        "--api-token",
        "backup@pve!auto=22222222-2222-4222-8222-222222222222",
        "status",
    ],
    &[
        "--username=root@pam",
        "--password=correct-horse",
        "--vmid=100",
        "status",
        "--debug",
    ],
    &[
        "--vmid",
        "100",
        "--username",
        "root@pam",
        "--password",
        "correct-horse",
        "status",
    ],
];

/// One typing error at some position.
fn with_typing_error(line: &[&str], kind: u8, at: prop::sample::Index) -> Vec<String> {
    let mut args: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
    let position = at.index(args.len());
    // Typing errors do not change the secret itself, because a changed secret is another secret.
    let end = args[position]
        .find(['=', ':'])
        .unwrap_or(args[position].len());
    let letter = at.index(end.max(1));
    match kind {
        0 if args[position].starts_with('-') && letter < end => _ = args[position].remove(letter),
        1 if args[position].starts_with('-') => args[position].insert(letter, ' '),
        2 if args[position].starts_with('-') => {
            let rest = args[position].split_off(letter);
            args.insert(position + 1, rest);
        }
        3 if position + 1 < args.len() => {
            let next = args.remove(position + 1);
            args[position].push_str(&next);
        }
        4 if position + 1 < args.len() => {
            let next = args.remove(position + 1);
            args[position] = format!("{} {next}", args[position]);
        }
        5 => args[position] = args[position].replacen("--", "—", 1),
        6 => args[position] = args[position].replacen("--", "", 1),
        7 => args[position] = args[position].replacen('=', " = ", 1),
        8 => args[position] = args[position].replacen('=', ";", 1),
        9 => args.insert(position, "=".to_owned()),
        10 => {
            let copy = args[position].clone();
            args.insert(position, copy);
        }
        11 => args[position].insert(letter, 'x'),
        _ => args[position] = format!("\"{}\"", args[position]),
    }
    args
}

/// No typing error in a command with a secret prints the secret, with or without `--debug`.
#[test]
fn no_typing_error_prints_a_secret() {
    let lab = lab();
    let host = format!("--host={}", lab.host());
    let errors = (
        0..LINES.len(),
        0..13_u8,
        any::<prop::sample::Index>(),
        any::<bool>(),
    );
    let mut runner = TestRunner::deterministic();
    for _ in 0..150 {
        let (line, kind, at, in_file) = errors.new_tree(&mut runner).unwrap().current();
        let args = with_typing_error(LINES[line], kind, at);
        let output = if in_file {
            lab.file("typo.conf", args.join("\n"));
            lab.bare([host.as_str(), "@typo.conf"])
        } else {
            let own = std::iter::once(host.as_str());
            lab.bare(own.chain(args.iter().map(String::as_str)))
        };
        for secret in ["2222-4222-8222", "correct-horse"] {
            let is_printed = output.to_string().contains(secret);
            assert!(!is_printed, "{args:?} in a file: {in_file}\n{output}");
        }
    }
}

/// A secret entered as a file name, or before a host, is not repeated in messages.
#[test]
fn a_secret_entered_as_a_file_name_or_with_a_host_is_not_printed() {
    let lab = lab();
    let login = "https://root:correct-horse@127.0.0.1:8006";
    lab.file("names.conf", format!("@{TOKEN}\n"));
    lab.file("host.conf", format!("--host={login}\n"));
    let (parameters, host) = (format!("@{TOKEN}"), format!("--host={login}"));
    let token_file = format!("--api-token=file:{TOKEN}");
    let password_file = format!("--password=file:{UUID}");
    let script = format!("--script={UUID}");
    for (args, message) in [
        (&[parameters.as_str()][..], "its name looks like a secret"),
        (&["@names.conf"], "its name looks like a secret"),
        (
            &["--api-token", &parameters],
            "its name looks like a secret",
        ),
        (&[&token_file], "its name looks like a secret"),
        (
            &["--username=root@pam", &password_file],
            "its name looks like a secret",
        ),
        (
            &[&host],
            "expected HOST[:PORT] without user, password and '@'",
        ),
        (
            &["@host.conf"],
            "expected HOST[:PORT] without user, password and '@'",
        ),
        (&["--host=pve1", &host], "'--host' is given twice"),
        (
            &[
                "--host=pve1",
                "--api-token=file:token",
                "snap",
                "--label=x",
                "--keep=1",
                &script,
            ],
            "its name looks like a secret",
        ),
    ] {
        for debug in [&["--vmid=100"][..], &["--vmid=100", "--debug"]] {
            let command = if args.contains(&"snap") {
                &[][..]
            } else {
                &["status"]
            };
            let is_host = |word: &&str| word.contains("host");
            let host = if args.iter().any(is_host) {
                &[][..]
            } else {
                &["--host=pve1"]
            };
            let args = host.iter().chain(args).chain(debug).chain(command);
            let output = lab.bare(args.copied());
            output.assert_status(2).assert_err(message);
            output
                .assert_not_printed(UUID)
                .assert_not_printed("correct-horse");
        }
    }
}

/// If an error message of the server contains the token or the password, the program masks it.
#[test]
fn a_secret_in_an_error_of_the_server_is_masked() {
    let lab = lab();
    let echo = |path: &str| {
        format!(
            r#"{{"requests": [{{"path": "{path}", "effect": {{"answer": {{"status": 500, "reason": "no: {TOKEN} correct-horse"}}}}}}]}}"#
        )
    };
    lab.set_faults(&echo("/cluster/resources"));
    let token = format!("--api-token={TOKEN}");
    let output = status(&lab, &[&token, "--debug"]);
    output.assert_err("***").assert_not_printed(UUID);
    assert_ne!(output.status, 0);
    lab.set_faults(&echo("/access/ticket"));
    let output = status(
        &lab,
        &["--username=root@pam", "--password=correct-horse", "--debug"],
    );
    output.assert_not_printed("correct-horse");
    assert_ne!(output.status, 0);
}

/// PowerShell 5 writes UTF-16, and a token may have been copied with its quotation marks.
#[test]
fn secret_files_of_powershell_are_read() {
    let lab = lab();
    for (name, content) in [
        ("little", utf16(&format!("{TOKEN}\r\n"), u16::to_le_bytes)),
        ("big", utf16(&format!("{TOKEN}\r\n"), u16::to_be_bytes)),
        ("quoted", format!("\"{TOKEN}\"\n").into()),
        ("single", format!("'{TOKEN}'").into()),
    ] {
        private_file(&lab, name, content);
        status(&lab, &[&format!("--api-token=file:{name}")]).assert_status(0);
    }
    private_file(
        &lab,
        "password",
        utf16("example-root\r\n", u16::to_le_bytes),
    );
    status(&lab, &["--username=root@pam", "--password=file:password"]).assert_status(0);
}

/// Folders, devices and oversized files are refused; pipes are read.
#[test]
fn files_must_be_regular_files_or_pipes_of_limited_size() {
    let lab = lab();
    std::fs::create_dir(lab.folder().join("folder")).unwrap();
    private_file(&lab, "large", vec![b'a'; 17 * 1024 * 1024]);
    for (path, message) in [
        ("folder", "it is a directory"),
        ("/dev/zero", "it is a device"),
        ("large", ""),
    ] {
        for option in ["--ca-file=", "@", "--api-token=file:"] {
            let word = format!("{option}{path}");
            let output = status(&lab, &[&word, "--username=root@pam", "--password=x"]);
            output.assert_status(2).assert_err(path).assert_err(message);
        }
    }
    let script = format!(
        "cat token | \"$0\" --host={0} --vmid=100 status --api-token=file:/dev/stdin && \"$0\" --host={0} @<(echo --vmid=100) \
         --api-token=file:<(cat token) status",
        lab.host()
    );
    let mut command = lab.command_of("/bin/bash");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_cv4pve-autosnap")]);
    lab.finish(command).assert_status(0);
}

/// `check` reports secret files that other users can read and hooks that they can change; an
/// unattended run does not print that to stderr.
#[test]
fn check_reports_files_that_others_can_read_or_change() {
    let lab = lab();
    let path = lab.file(
        "job.conf",
        format!("--api-token={TOKEN}\n--vmid=100\n--label=daily --keep=9"),
    );
    std::fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    let hook = lab.script("hook.sh", "#!/bin/sh\n");
    std::fs::set_permissions(hook, Permissions::from_mode(0o777)).unwrap();
    let host = format!("--host={}", lab.host());
    let output = lab.bare([host.as_str(), "@job.conf", "--script=hook.sh", "snap"]);
    output.assert_status(0);
    assert_eq!(output.stderr, "");
    let output = lab.bare([host.as_str(), "@job.conf", "--script=hook.sh", "check"]);
    output
        .assert_out("parameter file job.conf holds a secret and can be read by other users; run: chmod 600 'job.conf'")
        .assert_out("hook script hook.sh can be changed by other users; run: chmod go-w 'hook.sh'")
        .assert_out("any certificate is accepted")
        .assert_not_printed(UUID);
}

/// Tab completion after `@` does not offer files that hold a secret.
#[test]
fn completion_offers_no_secret_file_as_parameter_file() {
    let lab = lab();
    private_file(&lab, "secret", TOKEN);
    lab.file("job.conf", "--vmid=100\n");
    let mut command = lab.command_of("/bin/bash");
    let script = "printf '@\\0' | \"$0\" complete";
    command.args(["-c", script, env!("CARGO_BIN_EXE_cv4pve-autosnap")]);
    let output = lab.finish(command);
    output.assert_status(0).assert_out("@job.conf");
    for secret in ["@secret", "@token"] {
        output.assert_not_printed(secret);
    }
}
