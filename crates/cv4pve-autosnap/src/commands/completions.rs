// SPDX-License-Identifier: GPL-3.0-only
//! `completions`: prints the completion script for bash, elvish, fish, PowerShell or zsh.
//!
//! The scripts for bash, fish and zsh call the program ([`super::complete`]), which knows the cluster,
//! parameter files and every spelling. `clap_complete` has an engine for this too, which is not used: it
//! passes the words of the line to the program as arguments, so that every user of the machine could read
//! a token or password on the line with `ps`; our scripts write the words to stdin. It is also marked
//! unstable, and knows neither `@FILE` nor options before the command. The scripts for elvish and
//! PowerShell are `clap_complete`'s fixed lists, generated from the same definitions.

use crate::exit_status::ExitStatus;
use clap::builder::PossibleValuesParser;
use clap::{Arg, Args, Command, CommandFactory};
use clap_complete::{Shell, generate};

use crate::args::{Cli, CommonArgs, CompletionsArgs};
use crate::help::PROGRAM;
use crate::report::Console;

/// Values worth offering for options that take any text.
pub(crate) const SUGGESTIONS: [(&str, &[&str]); 23] = [
    ("vmid", &["@all", "@node-", "@pool-", "@tag-"]),
    ("label", &["hourly", "daily", "weekly", "monthly", "yearly"]),
    (
        "schedule",
        &["hourly", "daily", "weekly", "monthly", "*/15"],
    ),
    ("simulated_time", &["4w", "26w", "1y", "3y"]),
    ("keep", &["1", "3", "4", "7", "12", "14", "24", "30"]),
    ("keep_last", &["1", "3", "7"]),
    ("keep_hourly", &["12", "24", "48"]),
    ("keep_daily", &["7", "13", "14", "30"]),
    ("keep_weekly", &["4", "8", "12"]),
    ("keep_monthly", &["3", "6", "11", "12"]),
    ("keep_yearly", &["1", "3", "9"]),
    (
        "prune_backups",
        &["keep-last=3,keep-daily=13,keep-weekly=8,keep-monthly=11,keep-yearly=9"],
    ),
    ("keep_within", &["12h", "24h", "7d", "14d"]),
    ("min_age", &["0", "1h", "12h"]),
    ("keep_min", &["1", "2", "3"]),
    (
        "timestamp_format",
        &["yyMMddHHmmss", "yyyyMMddHHmmss", "yyyyMMdd_HHmmss"],
    ),
    ("wait_locked", &["5m", "10m", "30m", "1h"]),
    ("wait_snapshot_lock", &["0", "10m", "30m", "1h"]),
    ("removal_budget", &["15m", "30m", "1h", "2h"]),
    ("max_removals_per_guest", &["20", "50", "100"]),
    ("until", &["7d", "30d", "90d", "1y"]),
    ("after", &["7d", "14d", "30d", "90d"]),
    ("max_perc_storage", &["80", "85", "90", "95"]),
];

/// Prints the script.
pub(super) fn run(args: &CompletionsArgs, console: &Console) -> ExitStatus {
    console.document(&script(args.shell));
    ExitStatus::Success
}

/// The completion script for a shell.
pub fn script(shell: Shell) -> String {
    let own = [
        (Shell::Bash, include_str!("completions/bash.sh")),
        (Shell::Zsh, include_str!("completions/zsh.zsh")),
        (Shell::Fish, include_str!("completions/fish.fish")),
    ];
    if let Some((_, script)) = own.iter().find(|(own, _)| *own == shell) {
        return (*script).to_owned();
    }
    let mut script = Vec::new();
    generate(
        shell,
        &mut command_with_root_options(),
        PROGRAM,
        &mut script,
    );
    String::from_utf8_lossy(&script).into_owned()
}

/// The values worth offering for an option that takes any text.
pub(crate) fn suggestions(option: &str) -> &'static [&'static str] {
    let found = SUGGESTIONS.iter().find(|(id, _)| *id == option);
    found.map_or(&[], |(_, values)| values)
}

/// The visible commands, and a root command that accepts their options.
fn command_with_root_options() -> Command {
    let shown = Cli::command();
    let parts = shown.get_subcommands().filter(|part| !part.is_hide_set());
    let root = Command::new(PROGRAM)
        .version(env!("CARGO_PKG_VERSION"))
        .subcommands(parts.cloned());
    CommonArgs::augment_args(root)
        .mut_args(suggest)
        .mut_subcommands(|part| part.mut_args(suggest))
}

fn suggest(argument: Arg) -> Arg {
    match suggestions(argument.get_id().as_str()) {
        [] => argument,
        values => argument.value_parser(PossibleValuesParser::new(values)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_static_script_has_every_option_and_no_hidden_command() {
        for shell in [Shell::Elvish, Shell::PowerShell] {
            let script = script(shell);
            for word in ["snap", "max-parallel-per-storage", "fingerprint"] {
                assert!(script.contains(word), "{shell} lacks {word}");
            }
            assert!(
                !script.contains("manual"),
                "{shell} offers a hidden command"
            );
        }
    }

    #[test]
    fn the_other_scripts_call_the_program() {
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
            let script = script(shell);
            // The script passes no words as arguments.
            assert!(script.contains(" complete 2>/dev/null"), "{shell}");
            assert!(script.contains(PROGRAM), "{shell}");
        }
    }

    #[test]
    fn every_suggestion_belongs_to_an_option() {
        let command = Cli::command();
        for (id, _) in SUGGESTIONS {
            let known = command
                .get_subcommands()
                .any(|part| part.get_arguments().any(|argument| argument.get_id() == id));
            assert!(known, "{id}");
        }
    }
}
