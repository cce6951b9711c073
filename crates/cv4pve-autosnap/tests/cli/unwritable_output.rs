// SPDX-License-Identifier: GPL-3.0-only
//! Output that cannot be written: every command fails with a message.

use std::fs::OpenOptions;

use crate::harness::{Lab, Output};
use crate::world::{World, vm};

/// A command whose stdout is a full disk.
fn on_a_full_disk(lab: &Lab, words: &str) -> Output {
    let mut command = lab.command();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    command.args(words.split_whitespace()).stdout(full);
    lab.finish_with_own_stdout(command)
}

/// Also the commands that neither create nor remove anything.
#[test]
fn every_command_fails_when_its_output_cannot_be_written() {
    let lab = Lab::new(&World::of([vm(100, "web01").taken("daily", &[1])]));
    let login = format!("--host={} --api-token=file:token", lab.host());
    let mut commands = vec![
        format!("{login} --vmid=@all check"),
        format!("{login} --vmid=@all check --output=Json"),
        format!("{login} --vmid=@all status"),
        format!("{login} --vmid=@all status --output=Yaml"),
        format!("{login} --vmid=@all snap --label=daily --keep=1 --dry-run"),
        format!("--host={} fingerprint", lab.host()),
        "setup".to_owned(),
        "complete".to_owned(),
        "--help".to_owned(),
        "snap --help".to_owned(),
        "--version".to_owned(),
        "--debug --version".to_owned(),
        "demo".to_owned(),
    ];
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        commands.push(format!("completions {shell}"));
    }
    for words in commands {
        // The words of a line, so that there is something to complete.
        let output = if words == "complete" {
            let mut command = lab.command();
            let typed = lab.file("typed", b"sn\0");
            let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
            command
                .arg("complete")
                .stdin(std::fs::File::open(typed).unwrap())
                .stdout(full);
            lab.finish_with_own_stdout(command)
        } else {
            on_a_full_disk(&lab, &words)
        };
        assert_eq!(output.status, 1, "{words}\n{output}");
        let last = output.stderr.lines().last().unwrap_or_default();
        assert_eq!(
            last, "ERROR: the report could not be written: No space left on device (os error 28)",
            "{words}"
        );
    }
    lab.assert_unchanged();
}

/// A reader that leaves early (`| head -1`) is no failure.
#[test]
fn a_reader_that_has_left_is_no_failure() {
    let lab = Lab::new(&World::of([vm(100, "web01")]));
    for words in ["--help", "--version", "completions bash", "setup"] {
        let mut command = lab.command();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command.args(words.split_whitespace()).stdout(writer);
        let output = lab.finish_with_own_stdout(command);
        assert_eq!((output.status, output.stderr.as_str()), (0, ""), "{words}");
    }
}
