// SPDX-License-Identifier: GPL-3.0-only
//! The help of the binary: it fits a screen, is grouped, ends with examples, and a misspelled
//! option is answered with a similar one.

use std::process::{Command, Output};

/// The size of an ordinary terminal.
const COLUMNS: usize = 80;
const LINES: usize = 50;
/// The most lines of a help with all options.
const LINES_OF_ALL: usize = 86;

#[test]
fn the_help_of_every_command_fits_a_screen() {
    for command in [
        "",
        "snap",
        "plan",
        "clean",
        "status",
        "hold",
        "release",
        "expire",
        "note",
        "check",
        "jobs",
        "coverage",
        "simulate",
        "setup",
        "fingerprint",
        "completions",
    ] {
        for (form, most) in [("-h", LINES), ("--help", LINES_OF_ALL)] {
            let text = help(command, form);
            let lines = text.lines().count();
            assert!(lines <= most, "{command} {form}: {lines} lines");
            for line in text.lines() {
                let usage = line.starts_with("Usage:");
                assert!(
                    usage || line.chars().count() <= COLUMNS,
                    "{command}: too wide: {line}"
                );
            }
            assert!(text.contains("\nExamples:\n"), "{command}: {text}");
        }
    }
}

#[test]
fn options_are_grouped() {
    let text = help("snap", "-h");
    let groups = [
        "\nConnection:\n",
        "\nSelection:\n",
        "\nRetention:\n",
        "\nExecution:\n",
        "\nOutput:\n",
        "\nExamples:\n",
    ];
    let positions: Vec<Option<usize>> = groups.iter().map(|group| text.find(group)).collect();
    assert!(positions.iter().all(Option::is_some), "{text}");
    assert!(positions.is_sorted(), "{text}");
}

#[test]
fn the_long_help_has_the_options_omitted_from_the_short_help() {
    let (short, long) = (help("snap", "-h"), help("snap", "--help"));
    for option in [
        "--ca-file",
        "--timestamp-format",
        "--max-parallel-per-node",
        "--max-parallel-per-storage",
        "--max-parallel-ram",
        "--hook-timeout",
        "--hook-failure",
        "--force-remove",
    ] {
        assert!(!short.contains(option), "{option}");
        assert!(long.contains(option), "{option}");
    }
}

#[test]
fn a_misspelled_argument_gets_a_suggestion() {
    for (line, expected) in [
        ("snap --hots=h", "did you mean --host?"),
        ("--keap 3 snap --label=d", "did you mean --keep?"),
        ("snap --hook-failure=skip", "skip-guest"),
        ("--host=h --vmid=100 snp", "did you mean snap?"),
        ("completions zhs", "powershell, zsh"),
    ] {
        let output = run(line);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {text}");
        assert!(
            text.starts_with("ERROR: ") && text.contains(expected),
            "{line}: {text}"
        );
    }
}

#[test]
fn a_missing_command_is_reported_in_one_sentence() {
    let output = run("--host=h --vmid @all");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("no command given; use one of snap, clean, status"),
        "{text}"
    );
}

#[test]
fn without_arguments_the_first_commands_are_printed() {
    let output = run("");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(output.stdout.is_empty());
    for command in ["demo", "setup --host=", "@FILE check", "--help"] {
        let expected = format!("cv4pve-autosnap {command}");
        assert!(text.contains(&expected), "{expected}: {text}");
    }
    assert!(text.lines().count() < 12, "{text}");
}

#[test]
fn help_works_before_and_after_the_command() {
    let expected = help("snap", "--help");
    for line in ["help snap", "--host=h snap --help", "--help snap"] {
        let output = run(line);
        assert!(output.status.success(), "{line}");
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            expected,
            "{line}"
        );
    }
}

#[test]
fn completions_and_manual_pages_are_written() {
    let output = run("completions bash");
    assert!(output.status.success());
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("complete -F")
    );

    let folder = tempfile::tempdir().unwrap();
    let output = binary()
        .arg("manual")
        .arg(folder.path())
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{output:?}");
    let page = std::fs::read_to_string(folder.path().join("cv4pve-autosnap-snap.1")).unwrap();
    assert!(page.contains(".SH EXAMPLES"), "{page}");
}

/// Runs bash's own completion.
#[cfg(target_os = "linux")]
#[test]
fn bash_completes_options_and_their_values() {
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_cv4pve-autosnap"));
    let folder = binary.parent().expect("the program is in a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    for (words, expected) in [
        ("snap --max-parallel-per-n", "--max-parallel-per-node"),
        ("--host=h st", "status"),
        ("clean --hook-failure sk", "skip-guest"),
        ("snap --label we", "weekly"),
        ("status --output Mark", "Markdown"),
    ] {
        let script = r#"
            eval "$1"; shift
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
            function=$(complete -p "$1" | sed 's/.*-F \([^ ]*\) .*/\1/')
            "$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
            echo "${COMPREPLY[*]}""#;
        let completions = String::from_utf8(run("completions bash").stdout).unwrap();
        let output = Command::new("bash")
            .env("PATH", format!("{}:{path}", folder.display()))
            .args(["-c", script, "bash", &completions, "cv4pve-autosnap"])
            .args(words.split(' '))
            .output()
            .expect("bash starts");
        let offered = String::from_utf8(output.stdout).unwrap();
        assert_eq!(offered.trim(), expected, "{words}: {:?}", output.stderr);
    }
}

fn help(command: &str, form: &str) -> String {
    let output = run(format!("{command} {form}").trim());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn run(line: &str) -> Output {
    binary()
        .args(line.split(' ').filter(|word| !word.is_empty()))
        .output()
        .expect("the binary starts")
}

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cv4pve-autosnap"));
    command.env("COLUMNS", COLUMNS.to_string());
    command
}
