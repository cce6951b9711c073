// SPDX-License-Identifier: GPL-3.0-only
//! `completions`: what makes the Tab key complete options, for bash, elvish, fish, PowerShell and zsh.
//!
//! Made of the same definitions as the options themselves, with two additions: options are offered
//! before the command too, where the C# tool wants them, and values that are free text are offered
//! some useful ones. Limit: the cluster is not asked, so guests and pools are not listed by name.

use clap::builder::PossibleValuesParser;
use clap::{Arg, Args, Command, CommandFactory};
use clap_complete::{Shell, generate};

use crate::args::{Cli, RootArgs};
use crate::help::PROGRAM;

/// Values worth offering for options that take any text.
const SUGGESTIONS: [(&str, &[&str]); 7] = [
    ("vmid", &["@all", "@node-", "@pool-", "@tag-"]),
    ("label", &["hourly", "daily", "weekly", "monthly", "yearly"]),
    ("keep", &["1", "3", "4", "7", "12", "14", "24", "30"]),
    (
        "timestamp_format",
        &["yyMMddHHmmss", "yyyyMMddHHmmss", "yyyyMMdd_HHmmss"],
    ),
    ("wait_locked", &["5m", "10m", "30m", "1h"]),
    ("removal_budget", &["15m", "30m", "1h", "2h"]),
    ("max_perc_storage", &["80", "85", "90", "95"]),
];

/// The completion script for a shell.
pub fn script(shell: Shell) -> String {
    let mut command = completed();
    let mut script = Vec::new();
    generate(shell, &mut command, PROGRAM, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        Shell::Bash => repaired(&script),
        _ => script,
    }
}

/// `clap_complete` 4.6.11 takes the dash in our name for the border between two commands in one of
/// two places, so that the branches of our commands are never entered.
fn repaired(script: &str) -> String {
    script.replace(
        &PROGRAM.replace('-', "__subcmd__"),
        &PROGRAM.replace('-', "__"),
    )
}

/// The commands that are shown, and a root that takes options as well.
fn completed() -> Command {
    let shown = Cli::command();
    let parts = shown.get_subcommands().filter(|part| !part.is_hide_set());
    let root = Command::new(PROGRAM)
        .version(env!("CARGO_PKG_VERSION"))
        .subcommands(parts.cloned());
    RootArgs::augment_args(root)
        .mut_args(suggest)
        .mut_subcommands(|part| part.mut_args(suggest))
}

fn suggest(argument: Arg) -> Arg {
    let values = SUGGESTIONS
        .iter()
        .find(|(id, _)| *id == argument.get_id().as_str());
    match values {
        Some((_, values)) => argument.value_parser(PossibleValuesParser::new(*values)),
        None => argument,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_shell_gets_every_option() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for word in ["snap", "max-parallel-per-storage", "fingerprint"] {
                assert!(script.contains(word), "{shell} lacks {word}");
            }
            assert!(!script.contains("manual"), "{shell} offers what is hidden");
        }
    }

    #[test]
    fn values_are_offered_where_the_shell_allows_it() {
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
            let script = script(shell);
            for word in [
                "@pool-",
                "weekly",
                "yyyyMMdd_HHmmss",
                "JsonPretty",
                "skip-guest",
            ] {
                assert!(script.contains(word), "{shell} lacks {word}");
            }
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
