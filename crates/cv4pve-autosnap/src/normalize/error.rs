// SPDX-License-Identifier: GPL-3.0-only
//! Errors in a line before clap parses it. No message quotes a value that may be a secret.

use crate::command_error::CommandError;
use crate::help::{HELP_OF_PROGRAM, help_of};
use crate::line::{Line, Origin};

/// Options whose value is a list.
pub(crate) const LISTS: [&str; 6] = [
    "--vmid",
    "--host",
    "--fingerprint",
    "--path",
    "--policy-tags",
    "--adopt-labels",
];

/// Why a line is refused before clap parses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineError {
    /// An option has no value.
    MissingValue {
        /// The option, `--label <LABEL>`.
        option: String,
        /// The option that follows instead of the value, if there is one.
        followed_by: Option<String>,
        /// The command of the line, if there is one.
        command: Option<String>,
        /// Its origin.
        origin: Origin,
    },
    /// One source gives an option two different values.
    Conflict {
        /// The option.
        option: String,
        /// Both values, as they are written; `None` if they must not be quoted.
        values: Option<(String, String)>,
        /// The origins of both values.
        origins: (Origin, Origin),
    },
    /// The command does not use an option that was typed.
    NotUsed {
        /// The option.
        option: String,
        /// The command.
        command: String,
    },
    /// `--dry-run false`, in two words.
    DryRunFalse {
        /// Its origin.
        origin: Origin,
    },
    /// A value is an option, or contains `--dry-run`, which must never be lost.
    OptionAsValue {
        /// The option with this value.
        option: String,
        /// Its origin.
        origin: Origin,
    },
    /// A value contains an API token, or another option with its secret.
    SecretAsValue {
        /// The option.
        option: String,
        /// Its origin.
        origin: Origin,
    },
}

impl LineError {
    /// The message for the user.
    pub fn into_command_error(self, line: &Line) -> CommandError {
        match self {
            Self::MissingValue {
                option,
                followed_by,
                command,
                origin,
            } => {
                let message = format!(
                    "a value is required for '{option}' but none was supplied{}",
                    line.location_suffix(origin)
                );
                let help = command.map(|command| help_of(&command));
                let help = help.unwrap_or_else(|| HELP_OF_PROGRAM.to_owned());
                let Some(next) = followed_by else {
                    return CommandError::usage(message).with_hint(help);
                };
                let name = option.split(' ').next().unwrap_or_default();
                let error = CommandError::usage(format!(
                    "{message}: '{next}' follows, which is not a value"
                ));
                error.with_hint(if origin.is_typed() {
                    format!("is a variable empty? write {name}=\"$VARIABLE\" ({help})")
                } else {
                    format!("write {name}=VALUE ({help})")
                })
            }
            Self::Conflict {
                option,
                values,
                origins: (one, other),
            } => conflict(&option, values, line, one, other),
            Self::NotUsed { option, command } => {
                let hint = match (command.as_str(), option.as_str()) {
                    ("hold", "--for") => "write --until=30d",
                    ("expire", "--for") => "write --in=30d",
                    ("snap" | "clean", "--compare") => {
                        "plan --compare=RULES shows what other rules would keep and remove"
                    }
                    _ => "remove it",
                };
                let help = help_of(&command);
                CommandError::usage(format!("'{command}' does not use '{option}'"))
                    .with_hint(format!("{hint}; {help}"))
            }
            Self::DryRunFalse { origin } => CommandError::usage(format!(
                "'--dry-run false'{} contradicts itself; nothing was done",
                line.location_suffix(origin)
            ))
            .with_hint("write --dry-run=false, or leave the option out"),
            Self::OptionAsValue { option, origin } => CommandError::usage(format!(
                "the value of '{option}'{} is or contains an option; nothing was done",
                line.location_suffix(origin)
            ))
            .with_hint("is a space or a quotation mark missing, or a variable empty?"),
            Self::SecretAsValue { option, origin } => CommandError::usage(format!(
                "the value of '{option}'{} contains an API token or a password",
                line.location_suffix(origin)
            ))
            .with_hint("is a space or a quotation mark missing? a token belongs to --api-token"),
        }
    }
}

fn conflict(
    option: &str,
    values: Option<(String, String)>,
    line: &Line,
    one: Origin,
    other: Origin,
) -> CommandError {
    let details = match (line.location(one), line.location(other), values) {
        (_, _, Some((one, other))) => format!(": {one} and {other}"),
        (Some(one), Some(other), None) => format!(": {one}, {other}"),
        (_, _, None) => String::new(),
    };
    let message = format!("'{option}' is given twice with different values{details}");
    let hint = if LISTS.contains(&option) {
        format!("several values are one list, separated by commas: {option}=ONE,TWO")
    } else {
        "remove one of them; the command line overrides a parameter file".to_owned()
    };
    CommandError::usage(message).with_hint(hint)
}
