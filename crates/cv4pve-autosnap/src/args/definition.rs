// SPDX-License-Identifier: GPL-3.0-only
//! The definition of the command line for clap: the structs, the options that commands accept from each
//! other, and which options the help lists.

use std::ffi::OsString;

use clap::CommandFactory;

use super::Cli;

/// The commands that share parameter files.
pub(super) const SHARING: [&str; 6] = ["snap", "plan", "clean", "status", "check", "fingerprint"];

/// The commands that use such a file for the connection. The others do not accept their options.
pub(super) const USING_CONNECTION: [&str; 4] = ["hold", "release", "expire", "note"];

/// The command that uses such a file for the keep rules.
pub(super) const USING_KEEP_RULES: [&str; 1] = ["simulate"];

/// The definition of the command line.
///
/// The commands that share parameter files also accept each other's options and ignore them. Such options
/// are neither listed in the help nor completed.
pub fn command() -> clap::Command {
    let command = Cli::command();
    let sharing: Vec<clap::Command> = command
        .get_subcommands()
        .filter(|part| SHARING.contains(&part.get_name()))
        .cloned()
        .collect();
    SHARING
        .iter()
        .chain(&USING_CONNECTION)
        .chain(&USING_KEEP_RULES)
        .fold(command, |command, name| {
            command.mut_subcommand(name, |part| with_options_of(part, &sharing))
        })
}

/// Replaces `--help` and `help COMMAND` by `-h`; returns whether there was one.
///
/// Clap's long help has a paragraph for each option and fills four screens. The manual pages have these
/// paragraphs.
pub fn replace_long_help(arguments: &mut Vec<OsString>) -> bool {
    let words = arguments.iter().position(|word| word == "--");
    let words = words.unwrap_or(arguments.len());
    let mut found = false;
    for word in &mut arguments[..words] {
        if word == "--help" {
            *word = "-h".into();
            found = true;
        }
    }
    if arguments.first().is_some_and(|word| word == "help") {
        arguments.remove(0);
        arguments.push("-h".into());
        found = true;
    }
    found
}

/// The same definition, whose short help lists all options except those kept for old command lines.
pub fn with_all_options_shown(command: clap::Command) -> clap::Command {
    let show = |option: clap::Arg| {
        let only_old = option.is_hide_long_help_set();
        option.hide_short_help(only_old)
    };
    command.mut_subcommands(move |part| part.mut_args(show))
}

/// Makes `--host` optional for commands that read it from job files; an empty value stands for none.
pub(super) fn optional_host(option: clap::Arg) -> clap::Arg {
    option
        .required(false)
        .default_value("")
        .hide_default_value(true)
}

/// Hides the options that `check` accepts from the checked command but does not use. The keep rules are in the long
/// help only.
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
        "hold",
        "expires",
        "note",
    ];
    let id = option.get_id().as_str();
    if hidden.contains(&id) {
        option.hide(true)
    } else if id.starts_with("keep_") || id == "prune_backups" {
        option.hide_short_help(true)
    } else {
        option
    }
}

fn with_options_of(part: clap::Command, others: &[clap::Command]) -> clap::Command {
    // The last ones first: clean's --keep takes a 0, which snap's does not.
    let options = others.iter().rev().flat_map(clap::Command::get_arguments);
    options.fold(part, |part, option| {
        if part.get_arguments().any(|own| is_same_option(own, option)) {
            part
        } else {
            part.arg(option.clone().required(false).hide(true))
        }
    })
}

/// Whether two options have the same ID or the same name.
fn is_same_option(one: &clap::Arg, other: &clap::Arg) -> bool {
    let has_same_name = one.get_long().is_some() && one.get_long() == other.get_long();
    has_same_name || one.get_id() == other.get_id()
}
