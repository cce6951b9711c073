// SPDX-License-Identifier: GPL-3.0-only
//! Messages for command lines that clap refuses.
//!
//! A value is quoted only if it was typed, belongs to no secret option and does not look like a secret.
//! Otherwise the message names its location: the line of the parameter file, or the option before it.

mod suggestion;
mod unexpected;

use std::error::Error as _;
use std::fmt::Write as _;
use std::num::{IntErrorKind, ParseIntError};

use clap::CommandFactory as _;
use clap::error::{ContextKind, ErrorKind};

use crate::command_error::CommandError;
use crate::help::{HELP_OF_PROGRAM, help_of};
use crate::line::Line;
use crate::normalize::{self, Argument, Normalized};

use unexpected::Unexpected;

/// Converts clap's error for an invalid line, without the list of all options.
pub(super) fn from_clap(error: &clap::Error, normalized: &Normalized, line: &Line) -> CommandError {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return CommandError::usage("no command given; use one of snap, clean, status")
            .with_hint(HELP_OF_PROGRAM);
    }
    let problem = Problem::new(error, normalized, line);
    let is_command = error.kind() == ErrorKind::InvalidSubcommand;
    if is_command || error.kind() == ErrorKind::UnknownArgument {
        let first = normalized.arguments.first().filter(|_| is_command);
        if let Some(culprit) = problem.culprit.or(first) {
            return Unexpected {
                culprit,
                normalized,
                line,
                is_command,
            }
            .into_error();
        }
    }
    CommandError::usage(problem.message())
        .with_lines()
        .with_hint(problem.hint())
}

/// The error for an unknown option with one dash, such as `-host=h`: clap would read it as `-h` and print the help.
pub(super) fn single_dash(normalized: &Normalized, line: &Line) -> Option<CommandError> {
    let options = normalize::options(&crate::args::command());
    let arguments = normalized.arguments.iter();
    let mut arguments = arguments.take_while(|argument| argument.text != "--");
    let culprit = arguments.find(|argument| {
        let text = argument.text.to_string_lossy();
        let name = normalize::split(&text).0;
        let has_one_dash =
            name.starts_with('-') && !name.starts_with("--") && name.chars().count() > 2;
        // `-oJson` is valid.
        let joined = text
            .get(..2)
            .is_some_and(|short| options.contains_key(short));
        has_one_dash && (!joined || options.contains_key(&format!("-{name}")))
    })?;
    let unexpected = Unexpected {
        culprit,
        normalized,
        line,
        is_command: false,
    };
    Some(unexpected.into_error())
}

/// The command of the line, if there is one.
fn command_of(normalized: &Normalized) -> Option<String> {
    let command = normalized.arguments.first()?;
    let name = command.text.to_str()?;
    let known = crate::args::Cli::command();
    known.find_subcommand(name).map(|_| name.to_owned())
}

/// The hint about spaces around the `=` of an option: they make `=` the value.
fn remove_spaces_hint(option: &str) -> String {
    format!("remove the spaces around =: {option}=VALUE")
}

/// The hint with the command that prints the help of the command, or of the program if the command is unknown.
fn see_help(normalized: &Normalized) -> String {
    match command_of(normalized) {
        Some(name) => help_of(&name),
        None => HELP_OF_PROGRAM.to_owned(),
    }
}

/// An error of clap, and the argument that caused it.
struct Problem<'a> {
    error: &'a clap::Error,
    normalized: &'a Normalized,
    line: &'a Line,
    culprit: Option<&'a Argument>,
}

impl<'a> Problem<'a> {
    fn new(error: &'a clap::Error, normalized: &'a Normalized, line: &'a Line) -> Self {
        let shown = [ContextKind::InvalidSubcommand, ContextKind::InvalidArg];
        let shown = shown.into_iter().find_map(|kind| error.get(kind));
        let shown = shown.map(ToString::to_string).unwrap_or_default();
        // `--keep <N>`, `--wait-locked[=<TIME>]`, `--lable`, `word`
        let name = shown.split([' ', '[']).next().unwrap_or_default();
        let is_culprit = |argument: &&Argument| {
            let text = argument.text.to_string_lossy();
            normalize::split(&text).0 == name || text == shown || is_short_option_group(&text, name)
        };
        Self {
            culprit: normalized.arguments.iter().find(is_culprit),
            error,
            normalized,
            line,
        }
    }

    fn context(&self, kind: ContextKind) -> Option<String> {
        self.error.get(kind).map(ToString::to_string)
    }

    /// Whether the text that clap quotes may be printed.
    fn is_quotable(&self) -> bool {
        if self.error.kind() == ErrorKind::MissingRequiredArgument {
            return true;
        }
        let Some(culprit) = self.culprit else {
            return false;
        };
        !culprit.sensitive && culprit.origin.is_typed()
    }

    fn message(&self) -> String {
        let value = self.context(ContextKind::InvalidValue);
        let option = self.context(ContextKind::InvalidArg);
        let quotable = self.is_quotable();
        // Only flags accept no value, and `normalize` leaves invalid booleans to clap.
        if self.error.kind() == ErrorKind::TooManyValues
            && let (Some(option), Some(value)) = (&option, &value)
        {
            return if quotable {
                format!("invalid value '{value}' for '{option}': expected true or false")
            } else {
                format!(
                    "invalid value for '{option}'{}: expected true or false",
                    self.location_suffix()
                )
            };
        }
        if quotable {
            self.clap_message()
        } else {
            self.redacted_message(option)
        }
    }

    /// Clap's message, without usage and tips.
    fn clap_message(&self) -> String {
        let text = with_plain_reason(self.error, self.error.render().to_string());
        let message = text.split("\n\nUsage:").next().unwrap_or_default();
        // All possible values are listed: clap's suggestion may be far off.
        let message = message.split("\n\n  tip:").next().unwrap_or_default();
        let message = message
            .split("\n\nFor more information")
            .next()
            .unwrap_or_default();
        message.trim_start_matches("error: ").trim_end().to_owned()
    }

    /// A message that does not quote the input.
    fn redacted_message(&self, option: Option<String>) -> String {
        let location = self.location_suffix();
        let mut message = match option {
            Some(option) => format!("invalid value for '{option}'{location}"),
            None => format!("invalid arguments{location}"),
        };
        if let Some(reason) = self.reason() {
            _ = write!(message, ": {reason}");
        }
        if let Some(values) = self.context(ContextKind::ValidValue) {
            _ = write!(message, "\n  [possible values: {values}]");
        }
        message
    }

    /// Why the value is invalid, without quoting the value.
    fn reason(&self) -> Option<String> {
        let source = self.error.source()?;
        let text = source.to_string();
        if let Some(range) = range_message(&text) {
            return Some(range);
        }
        if source.is::<ParseIntError>() {
            return Some("it is not a number".to_owned());
        }
        let culprit = self.culprit?;
        let written = culprit.text.to_string_lossy();
        let value = normalize::split(&written).1.unwrap_or_default();
        let without = text.replace(&format!("'{value}'"), "it");
        (value.is_empty() || !without.contains(value)).then_some(without)
    }

    /// ` in line 3 of job.conf`, if the argument is in a file.
    fn location_suffix(&self) -> String {
        self.culprit
            .map(|culprit| self.line.location_suffix(culprit.origin))
            .unwrap_or_default()
    }

    fn hint(&self) -> String {
        let help = see_help(self.normalized);
        if self.error.kind() == ErrorKind::MissingRequiredArgument {
            let missing = self.context(ContextKind::InvalidArg).unwrap_or_default();
            return match missing_hint(&missing) {
                Some(hint) => format!("{hint} ({help})"),
                None => help,
            };
        }
        let culprit = self.culprit.map(|culprit| culprit.text.to_string_lossy());
        match culprit.as_deref().map(normalize::split) {
            Some(("--keep", Some("-1"))) => {
                format!("-1 (keep all, in eve4pve-autosnap) is now --keep-all ({help})")
            }
            Some((name, Some("="))) => format!("{} ({help})", remove_spaces_hint(name)),
            _ => help,
        }
    }
}

/// The hint about missing arguments: an example of the first one. `missing` is clap's list.
fn missing_hint(missing: &str) -> Option<&'static str> {
    let examples = [
        (
            "--host",
            "options can be in a parameter file: cv4pve-autosnap @/etc/cv4pve-autosnap/daily.conf ...",
        ),
        (
            "--vmid",
            "for example --vmid=@all, or --vmid='@pool-prod,-105'",
        ),
        ("--label", "for example --label=daily"),
        (
            "--schedule",
            "for example --schedule=hourly, or --schedule=22:00",
        ),
        ("<SNAPSHOT>", "status lists the names of the snapshots"),
        ("<DIR>", "for example /etc/cv4pve-autosnap"),
    ];
    let example = examples.iter().find(|(name, _)| missing.contains(name));
    example.map(|(_, hint)| *hint)
}

/// Whether clap read a word with one dash as a group of short options and reports one of them.
fn is_short_option_group(text: &str, name: &str) -> bool {
    let is_short = |text: &str| text.starts_with('-') && !text.starts_with("--");
    is_short(text) && is_short(name) && name.len() == 2 && text.contains(&name[1..])
}

/// The option's name, if it is spelled like the options of this program: no secret is spelled like that.
fn plain_option(argument: &Argument) -> Option<String> {
    let text = argument.text.to_string_lossy();
    let name = normalize::split(&text).0;
    let is_plain = |sign: char| sign.is_ascii_lowercase() || sign == '-';
    let is_name = |bare: &str| !bare.is_empty() && bare.len() <= 30 && bare.chars().all(is_plain);
    let is_option = name.strip_prefix('-').is_some_and(is_name);
    is_option.then(|| name.to_owned())
}

/// Whether the argument cannot be a secret: it is very short, a number, or a comment.
fn is_harmless(argument: &Argument) -> bool {
    let text = argument.text.to_string_lossy();
    let is_number = text
        .chars()
        .all(|sign| sign.is_ascii_digit() || sign == ':');
    text.len() <= 3 || is_number && text.len() <= 9 || text.starts_with('#')
}

/// Replaces Rust's text about an invalid number or range in clap's message.
fn with_plain_reason(error: &clap::Error, text: String) -> String {
    let value = error
        .get(ContextKind::InvalidValue)
        .map(ToString::to_string);
    let (Some(value), Some(source)) = (value, error.source()) else {
        return text;
    };
    if let Some(range) = range_message(&source.to_string()) {
        return text.replace(&source.to_string(), &range);
    }
    let Some(source) = source.downcast_ref::<ParseIntError>() else {
        return text;
    };
    let overflows = matches!(
        source.kind(),
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow
    );
    let reason = if overflows {
        format!("'{value}' is out of range")
    } else {
        format!("'{value}' is not a number")
    };
    text.replace(&source.to_string(), &reason)
}

/// Rewrites clap's `101 is not in 1..=100` as `must be between 1 and 100`.
fn range_message(text: &str) -> Option<String> {
    let (_, bounds) = text.split_once(" is not in ")?;
    let (least, most) = bounds.split_once("..=")?;
    Some(format!("must be between {least} and {most}"))
}
