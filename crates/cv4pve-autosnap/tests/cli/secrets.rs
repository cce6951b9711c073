// SPDX-License-Identifier: GPL-3.0-only
//! Secrets that are given in the wrong way, or come back from a server: they are read where that is
//! safe, and never printed.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::harness::{Lab, Output, TOKEN};
use crate::world::{World, vm};

/// The part of the token that is secret.
const UUID: &str = "22222222-2222-4222-8222-222222222222";

fn lab() -> Lab {
    Lab::new(&World::of([vm(100, "web01").taken("daily", &[1, 2])]))
}

fn private_file(lab: &Lab, name: &str, content: impl AsRef<[u8]>) {
    let path = lab.file(name, content);
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

/// Calls `status` with these words and the host.
fn status(lab: &Lab, words: &[&str]) -> Output {
    let host = format!("--host={}", lab.host());
    let own = [host.as_str(), "--vmid=100", "status"];
    lab.bare(own.into_iter().chain(words.iter().copied()))
}

fn utf16(text: &str, convert: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(convert).collect()
}

/// The slips of the field reports.
#[test]
fn a_slip_in_a_file_or_on_the_line_prints_no_secret() {
    let lab = lab();
    lab.file(
        "blanks.conf",
        format!("--vmid=100\n--api-token = {TOKEN}\n"),
    );
    lab.file("dashes.conf", format!("api-token={TOKEN}\n"));
    lab.file(
        "password.conf",
        "--username=root@pam\n--password=correct horse\n",
    );
    lab.file("label.conf", "--label=mule!\n");
    for (words, said) in [
        (&["@blanks.conf"][..], "line 2 of blanks.conf"),
        (&["@dashes.conf"], "line 1 of dashes.conf"),
        (&["@password.conf"], "line 2 of password.conf"),
        (
            &["@label.conf", "--api-token=file:token"],
            "line 1 of label.conf",
        ),
        (&["@token"], "parameter file token holds a secret"),
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
        let output = status(&lab, words);
        output.assert_status(2).assert_err(said);
        for secret in ["2222-4222", "horse", "mule!"] {
            output.assert_not_said(secret);
        }
    }
}

/// A line with a secret, in words.
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

/// One slip of the fingers, at some place.
fn slip(line: &[&str], kind: u8, at: prop::sample::Index) -> Vec<String> {
    let mut words: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
    let position = at.index(words.len());
    // The letters of a secret stay together: whoever damages it has another one.
    let end = words[position]
        .find(['=', ':'])
        .unwrap_or(words[position].len());
    let letter = at.index(end.max(1));
    match kind {
        0 if words[position].starts_with('-') && letter < end => _ = words[position].remove(letter),
        1 if words[position].starts_with('-') => words[position].insert(letter, ' '),
        2 if words[position].starts_with('-') => {
            let rest = words[position].split_off(letter);
            words.insert(position + 1, rest);
        }
        3 if position + 1 < words.len() => {
            let next = words.remove(position + 1);
            words[position].push_str(&next);
        }
        4 if position + 1 < words.len() => {
            let next = words.remove(position + 1);
            words[position] = format!("{} {next}", words[position]);
        }
        5 => words[position] = words[position].replacen("--", "—", 1),
        6 => words[position] = words[position].replacen("--", "", 1),
        7 => words[position] = words[position].replacen('=', " = ", 1),
        8 => words[position] = words[position].replacen('=', ";", 1),
        9 => words.insert(position, "=".to_owned()),
        10 => {
            let copy = words[position].clone();
            words.insert(position, copy);
        }
        11 => words[position].insert(letter, 'x'),
        _ => words[position] = format!("\"{}\"", words[position]),
    }
    words
}

/// Whatever slip is made with a line that holds a secret, the secret is not printed, with
/// `--debug` neither.
#[test]
fn no_slip_prints_the_secret() {
    let lab = lab();
    let host = format!("--host={}", lab.host());
    let slips = (
        0..LINES.len(),
        0..13_u8,
        any::<prop::sample::Index>(),
        any::<bool>(),
    );
    let mut runner = TestRunner::deterministic();
    for _ in 0..150 {
        let (line, kind, at, in_file) = slips.new_tree(&mut runner).unwrap().current();
        let words = slip(LINES[line], kind, at);
        let output = if in_file {
            lab.file("slip.conf", words.join("\n"));
            lab.bare([host.as_str(), "@slip.conf"])
        } else {
            let own = std::iter::once(host.as_str());
            lab.bare(own.chain(words.iter().map(String::as_str)))
        };
        for secret in ["2222-4222-8222", "correct-horse"] {
            let said = output.to_string().contains(secret);
            assert!(!said, "{words:?} in a file: {in_file}\n{output}");
        }
    }
}

/// A secret in the place of a file's name, or in front of a host, is not repeated.
#[test]
fn a_secret_that_was_given_as_a_file_or_with_a_host_is_not_repeated() {
    let lab = lab();
    let login = "https://root:correct-horse@127.0.0.1:8006";
    lab.file("names.conf", format!("@{TOKEN}\n"));
    lab.file("host.conf", format!("--host={login}\n"));
    let (parameters, host) = (format!("@{TOKEN}"), format!("--host={login}"));
    let token_file = format!("--api-token=file:{TOKEN}");
    let password_file = format!("--password=file:{UUID}");
    let script = format!("--script={UUID}");
    for (words, said) in [
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
            let command = if words.contains(&"snap") {
                &[][..]
            } else {
                &["status"]
            };
            let is_host = |word: &&str| word.contains("host");
            let host = if words.iter().any(is_host) {
                &[][..]
            } else {
                &["--host=pve1"]
            };
            let words = host.iter().chain(words).chain(debug).chain(command);
            let output = lab.bare(words.copied());
            output.assert_status(2).assert_err(said);
            output
                .assert_not_said(UUID)
                .assert_not_said("correct-horse");
        }
    }
}

/// A server that repeats the token or the password in its error does not bring it into ours.
#[test]
fn a_secret_that_the_server_repeats_is_masked() {
    let lab = lab();
    let echo = |path: &str| {
        format!(
            r#"{{"requests": [{{"path": "{path}", "effect": {{"answer": {{"status": 500, "reason": "no: {TOKEN} correct-horse"}}}}}}]}}"#
        )
    };
    lab.set_faults(&echo("/cluster/resources"));
    let token = format!("--api-token={TOKEN}");
    let output = status(&lab, &[&token, "--debug"]);
    output.assert_err("***").assert_not_said(UUID);
    assert_ne!(output.status, 0);
    lab.set_faults(&echo("/access/ticket"));
    let output = status(
        &lab,
        &["--username=root@pam", "--password=correct-horse", "--debug"],
    );
    output.assert_not_said("correct-horse");
    assert_ne!(output.status, 0);
}

/// PowerShell 5 writes UTF-16; a token may have been copied with its quotation marks.
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

/// Folders and devices are no files, pipes are, and there are limits.
#[test]
fn files_are_files_or_pipes_of_a_bounded_size() {
    let lab = lab();
    std::fs::create_dir(lab.folder().join("folder")).unwrap();
    private_file(&lab, "large", vec![b'a'; 17 * 1024 * 1024]);
    for (path, said) in [
        ("folder", "it is a directory"),
        ("/dev/zero", "it is a device"),
        ("large", ""),
    ] {
        for option in ["--ca-file=", "@", "--api-token=file:"] {
            let word = format!("{option}{path}");
            let output = status(&lab, &[&word, "--username=root@pam", "--password=x"]);
            output.assert_status(2).assert_err(path).assert_err(said);
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

/// What others can read or change is named by `check` and at a terminal, and never on the
/// stderr of an unattended run.
#[test]
fn files_that_others_can_read_or_change_are_named_by_check() {
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
        .assert_not_said(UUID);
}

/// The Tab key offers no file with a secret behind `@`.
#[test]
fn tab_offers_no_secret_file_as_parameter_file() {
    let lab = lab();
    private_file(&lab, "secret", TOKEN);
    lab.file("job.conf", "--vmid=100\n");
    let mut command = lab.command_of("/bin/bash");
    let script = "printf '@\\0' | \"$0\" complete";
    command.args(["-c", script, env!("CARGO_BIN_EXE_cv4pve-autosnap")]);
    let output = lab.finish(command);
    output.assert_status(0).assert_out("@job.conf");
    for secret in ["@secret", "@token"] {
        output.assert_not_said(secret);
    }
}
