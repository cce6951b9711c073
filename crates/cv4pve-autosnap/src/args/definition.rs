// SPDX-License-Identifier: GPL-3.0-only
//! The definition of the command line as clap reads it: that of the structs, with what the commands
//! lend each other, and with the help that is asked for.

use std::ffi::OsString;

use clap::CommandFactory;

use super::Cli;

/// The commands that share parameter files.
pub(super) const SHARING: [&str; 5] = ["snap", "clean", "status", "check", "fingerprint"];

/// The definition of the command line. Each command that works on the cluster also takes, and
/// leaves unused, the options of the others, so that one parameter file serves them all; those are
/// neither in its help nor completed.
pub fn command() -> clap::Command {
    let command = Cli::command();
    let sharing: Vec<clap::Command> = command
        .get_subcommands()
        .filter(|part| SHARING.contains(&part.get_name()))
        .cloned()
        .collect();
    sharing.iter().fold(command, |command, part| {
        command.mut_subcommand(part.get_name(), |part| with_options_of(part, &sharing))
    })
}

/// Whether `--help` or `help COMMAND` is asked for. Both become `-h`: clap's long form has a
/// paragraph for each option, which is what the manual pages are for, and fills four screens.
pub fn asks_for_all(arguments: &mut Vec<OsString>) -> bool {
    let words = arguments.iter().position(|word| word == "--");
    let words = words.unwrap_or(arguments.len());
    let mut asked = false;
    for word in &mut arguments[..words] {
        if word == "--help" {
            *word = "-h".into();
            asked = true;
        }
    }
    if arguments.first().is_some_and(|word| word == "help") {
        arguments.remove(0);
        arguments.push("-h".into());
        asked = true;
    }
    asked
}

/// The same definition, whose short help leaves nothing out but what only old lines have.
pub fn showing_all(command: clap::Command) -> clap::Command {
    let show = |option: clap::Arg| {
        let only_old = option.is_hide_long_help_set();
        option.hide_short_help(only_old)
    };
    command.mut_subcommands(move |part| part.mut_args(show))
}

/// Hides what `check` takes only because it takes every option of the commands it checks.
pub(super) fn hide_in_check(option: clap::Arg) -> clap::Arg {
    let hidden = [
        "hook_timeout",
        "hook_failure",
        "force_remove",
        "retry_stuck_removal",
        "removal_budget",
        "max_removals_per_guest",
        "on_overlap",
        "overlap_timeout",
        "timeout",
        "max_parallel_per_node",
        "max_parallel_per_storage",
        "max_parallel_ram",
        "dry_run",
    ];
    if hidden.contains(&option.get_id().as_str()) {
        option.hide(true)
    } else {
        option
    }
}

fn with_options_of(part: clap::Command, others: &[clap::Command]) -> clap::Command {
    // The last ones first: clean's --keep takes a 0, which snap's does not.
    let options = others.iter().rev().flat_map(clap::Command::get_arguments);
    options.fold(part, |part, option| {
        if part
            .get_arguments()
            .any(|own| own.get_id() == option.get_id())
        {
            part
        } else {
            part.arg(option.clone().required(false).hide(true))
        }
    })
}
