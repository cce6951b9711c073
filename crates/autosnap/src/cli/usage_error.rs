// SPDX-License-Identifier: GPL-3.0-only
//! Messages for command lines that clap refuses.
//!
//! A value is quoted only if it was typed, belongs to no secret option and does not look like a secret.
//! Otherwise its place is named: the line of the parameter file, or the option before it.

use std::error::Error as _;
use std::fmt::Write as _;
use std::num::{IntErrorKind, ParseIntError};

use clap::CommandFactory as _;
use clap::error::{ContextKind, ErrorKind};

use crate::fault::Fault;
use crate::line::Line;
use crate::normalize::{self, Argument, Normalized};

/// The hint of errors in lines without a known command.
const HELP_OF_PROGRAM: &str = "cv4pve-autosnap --help lists all commands with examples";

/// The fault for an error of clap, without the list of all options.
pub(super) fn fault(error: &clap::Error, normalized: &Normalized, line: &Line) -> Fault {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Fault::usage("no command given; use one of snap, clean, status")
            .hint(HELP_OF_PROGRAM);
    }
    let problem = Problem::new(error, normalized, line);
    let message = problem.message();
    let is_comment = problem.culprit.is_some_and(|argument| {
        let text = argument.text.to_string_lossy();
        text.trim_start_matches(['\'', '"']).starts_with('#')
    });
    if error.kind() == ErrorKind::UnknownArgument && is_comment {
        return Fault::usage(message)
            .hint("in a parameter file a comment is a line of its own that begins with #");
    }
    if error.kind() == ErrorKind::TooManyValues {
        return Fault::usage(message);
    }
    Fault::usage(message).with_lines().hint(problem.hint())
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
        let is_it = |argument: &&Argument| {
            let text = argument.text.to_string_lossy();
            normalize::split(&text).0 == name || text == shown || is_short_option_group(&text, name)
        };
        Self {
            culprit: normalized.arguments.iter().find(is_it),
            error,
            normalized,
            line,
        }
    }

    fn context(&self, kind: ContextKind) -> Option<String> {
        self.error.get(kind).map(ToString::to_string)
    }

    /// Whether what clap quotes may be shown.
    fn is_quotable(&self) -> bool {
        if self.error.kind() == ErrorKind::MissingRequiredArgument {
            return true;
        }
        let Some(culprit) = self.culprit else {
            return false;
        };
        if culprit.sensitive || !culprit.origin.is_typed() {
            return false;
        }
        match self.error.kind() {
            ErrorKind::UnknownArgument => {
                is_plain_option(culprit) || self.suggests() || is_short(culprit)
            }
            ErrorKind::InvalidSubcommand => self.suggests(),
            _ => true,
        }
    }

    fn suggests(&self) -> bool {
        self.suggestion().is_some()
    }

    fn suggestion(&self) -> Option<String> {
        self.context(ContextKind::SuggestedArg)
            .or_else(|| self.context(ContextKind::SuggestedSubcommand))
    }

    fn message(&self) -> String {
        let value = self.context(ContextKind::InvalidValue);
        let option = self.context(ContextKind::InvalidArg);
        let quotable = self.is_quotable();
        // Only flags take no value, and `normalize` passes on invalid booleans.
        if self.error.kind() == ErrorKind::TooManyValues
            && let (Some(option), Some(value)) = (&option, &value)
        {
            return if quotable {
                format!("'{value}' is neither true nor false, for {option}")
            } else {
                format!(
                    "the value of {option}{} is neither true nor false",
                    self.place()
                )
            };
        }
        if quotable {
            self.clap_message()
        } else {
            self.redacted_message(option)
        }
    }

    /// The message of clap.
    fn clap_message(&self) -> String {
        let text = in_plain_words(self.error, self.error.render().to_string());
        let message = text.split("\n\nUsage:").next().unwrap_or_default();
        let message = message
            .split("\n\nFor more information")
            .next()
            .unwrap_or_default();
        message.trim_start_matches("error: ").trim_end().to_owned()
    }

    /// A message that does not quote the input.
    fn redacted_message(&self, option: Option<String>) -> String {
        let place = self.place();
        let mut message = match self.error.kind() {
            ErrorKind::UnknownArgument => format!("unexpected argument{place}"),
            ErrorKind::InvalidSubcommand => format!("unrecognized command{place}"),
            _ => match option {
                Some(option) => format!("invalid value for '{option}'{place}"),
                None => format!("invalid arguments{place}"),
            },
        };
        if let Some(reason) = self.reason() {
            _ = write!(message, ": {reason}");
        }
        if let Some(values) = self.context(ContextKind::ValidValue) {
            _ = write!(message, "\n  [possible values: {values}]");
        }
        if let Some(suggestion) = self.suggestion() {
            _ = write!(message, "\n\n  tip: a similar one exists: '{suggestion}'");
        }
        message
    }

    /// What is wrong with a value, without quoting the value.
    fn reason(&self) -> Option<String> {
        let source = self.error.source()?;
        let text = source.to_string();
        if let Some(ours) = range_in_words(&text) {
            return Some(ours);
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

    /// Where the argument is: in a line of a file, or after another argument.
    fn place(&self) -> String {
        let Some(culprit) = self.culprit else {
            return String::new();
        };
        if let Some(place) = self.line.place(culprit.origin) {
            return format!(" in {place}");
        }
        let is_it = |argument: &Argument| std::ptr::eq(argument, culprit);
        let position = self.normalized.arguments.iter().position(is_it);
        let before = position.and_then(|position| position.checked_sub(1));
        let before = before.map(|before| &self.normalized.arguments[before]);
        let text = before.map(|before| before.text.to_string_lossy());
        let option = text.as_deref().map(|text| normalize::split(text).0);
        match option.filter(|_| self.error.kind() == ErrorKind::UnknownArgument) {
            Some(option) if before.is_some_and(is_known_option) => {
                format!(" after '{option}'")
            }
            _ => String::new(),
        }
    }

    fn hint(&self) -> String {
        let Some(culprit) = self.culprit.filter(|_| !self.is_quotable()) else {
            return self.see_help();
        };
        let unknown = [ErrorKind::UnknownArgument, ErrorKind::InvalidSubcommand];
        if !unknown.contains(&self.error.kind()) {
            return self.see_help();
        }
        match self.line.file(culprit.origin) {
            Some(file) if culprit.sensitive || self.is_alone(culprit) => format!(
                "options begin with two dashes, a value with a blank needs quotation marks; is it a secret file? \
                 --api-token=file:{0}, --password=file:{0}",
                file.display()
            ),
            Some(_) => "options begin with two dashes, a value with a blank needs quotation marks".to_owned(),
            None if culprit.sensitive => {
                "write --api-token=file:PATH or --password=file:PATH, in one word; a secret with a blank needs \
                 quotation marks"
                    .to_owned()
            }
            None => self.see_help(),
        }
    }

    /// The line that prints the help of the command, or of the program if the command is not known.
    fn see_help(&self) -> String {
        let command = self.normalized.arguments.first();
        let command = command.map(|argument| argument.text.to_string_lossy());
        let known = crate::args::Cli::command();
        match command.filter(|name| known.find_subcommand(name.as_ref()).is_some()) {
            Some(name) => format!("cv4pve-autosnap {name} --help lists all options"),
            None => HELP_OF_PROGRAM.to_owned(),
        }
    }

    /// Whether the file contains nothing else.
    fn is_alone(&self, culprit: &Argument) -> bool {
        let arguments = &self.normalized.arguments;
        let others = arguments
            .iter()
            .filter(|argument| argument.origin.same_source(culprit.origin));
        others.count() == 1
    }
}

/// Whether clap read a word with one dash as a group of short options and reports one of them.
fn is_short_option_group(text: &str, name: &str) -> bool {
    let is_short = |text: &str| text.starts_with('-') && !text.starts_with("--");
    is_short(text) && is_short(name) && name.len() == 2 && text.contains(&name[1..])
}

/// Whether it is spelled like one of our options, which no secret is.
fn is_plain_option(argument: &Argument) -> bool {
    let text = argument.text.to_string_lossy();
    let name = normalize::split(&text).0;
    name.strip_prefix("--").is_some_and(|name| {
        let is_plain = |sign: char| sign.is_ascii_lowercase() || sign == '-';
        name.len() <= 30 && name.chars().all(is_plain)
    })
}

/// Whether it is too short for a secret, a number, or a comment.
fn is_short(argument: &Argument) -> bool {
    let text = argument.text.to_string_lossy();
    let is_number = text
        .chars()
        .all(|sign| sign.is_ascii_digit() || sign == ':');
    text.len() <= 3 || is_number && text.len() <= 9 || text.starts_with('#')
}

fn is_known_option(argument: &Argument) -> bool {
    let text = argument.text.to_string_lossy();
    text.starts_with("--") && is_plain_option(argument)
}

/// The message of clap, with words of ours for what Rust says about a number that is none.
fn in_plain_words(error: &clap::Error, text: String) -> String {
    let value = error
        .get(ContextKind::InvalidValue)
        .map(ToString::to_string);
    let (Some(value), Some(source)) = (value, error.source()) else {
        return text;
    };
    if let Some(ours) = range_in_words(&source.to_string()) {
        return text.replace(&source.to_string(), &ours);
    }
    let Some(source) = source.downcast_ref::<ParseIntError>() else {
        return text;
    };
    let ours = match source.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => {
            format!("'{value}' is out of all bounds")
        }
        // Rust's own enumeration, to which more may be added.
        _ => format!("'{value}' is not a number"),
    };
    text.replace(&source.to_string(), &ours)
}

/// Clap's `101 is not in 1..=100`.
fn range_in_words(text: &str) -> Option<String> {
    let (_, bounds) = text.split_once(" is not in ")?;
    let (least, most) = bounds.split_once("..=")?;
    Some(format!("it has to be between {least} and {most}"))
}
