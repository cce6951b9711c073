// SPDX-License-Identifier: GPL-3.0-only
//! Output that cannot be written: every command fails with a message.

use std::fs::OpenOptions;

use crate::harness::{Lab, Output};
use crate::world::{World, vm};

/// Runs a command whose stdout is a full disk.
fn on_a_full_disk(lab: &Lab, args: &str) -> Output {
    let mut command = lab.command();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    command.args(args.split_whitespace()).stdout(full);
    lab.finish_with_own_stdout(command)
}

#[test]
fn every_command_fails_when_its_output_cannot_be_written() {
    let lab = Lab::new(&World::new([vm(100, "web01").taken("daily", &[1])]));
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
    for args in commands {
        // The input of `complete` is a command line, so that there are completions to print.
        let output = if args == "complete" {
            let mut command = lab.command();
            let typed = lab.file("typed", b"sn\0");
            let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
            command
                .arg("complete")
                .stdin(std::fs::File::open(typed).unwrap())
                .stdout(full);
            lab.finish_with_own_stdout(command)
        } else {
            on_a_full_disk(&lab, &args)
        };
        assert_eq!(output.status, 1, "{args}\n{output}");
        let last = output.stderr.lines().last().unwrap_or_default();
        assert_eq!(
            last, "ERROR: the report could not be written: No space left on device (os error 28)",
            "{args}"
        );
    }
    lab.assert_unchanged();
}

/// A closed pipe (`| head -1`) is not an error.
#[test]
fn a_closed_pipe_is_not_an_error() {
    let lab = Lab::new(&World::new([vm(100, "web01")]));
    for args in ["--help", "--version", "completions bash", "setup"] {
        let mut command = lab.command();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command.args(args.split_whitespace()).stdout(writer);
        let output = lab.finish_with_own_stdout(command);
        assert_eq!((output.status, output.stderr.as_str()), (0, ""), "{args}");
    }
}
