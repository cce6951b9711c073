// SPDX-License-Identifier: GPL-3.0-only
//! Messages for unexpected arguments, with a hint at the probable mistake.
//!
//! A word is quoted only if it was typed, is not part of a secret, and is spelled like an option, names a file, or
//! is too short for a secret. Words of a parameter file are never quoted, but names of options are.

use std::path::Path;

use clap::CommandFactory;

use super::{is_harmless, plain_option, suggestion};
use crate::args::Cli;
use crate::command_error::CommandError;
use crate::line::{Line, Word};
use crate::normalize::{self, Argument, LISTS, Normalized, Options, Shape};
use crate::settings::parse_lifetime;

/// A word that is neither a command, an option nor a value.
pub(super) struct Unexpected<'a> {
    pub(super) culprit: &'a Argument,
    pub(super) normalized: &'a Normalized,
    pub(super) line: &'a Line,
    /// Whether a command was expected in its position.
    pub(super) is_command: bool,
}

/// The option before the word.
struct PrecedingOption {
    /// Its name, as it was written.
    name: String,
    shape: Shape,
    value: Option<String>,
}

impl Unexpected<'_> {
    /// The message, with a hint that ends with the help of the command.
    pub(super) fn into_error(self) -> CommandError {
        let error = CommandError::usage(self.message());
        let help = super::see_help(self.normalized);
        match self.hint() {
            Some(hint) if hint.ends_with('?') => error.with_hint(format!("{hint} {help}")),
            Some(hint) => error.with_hint(format!("{hint} ({help})")),
            None => error.with_hint(help),
        }
    }

    fn message(&self) -> String {
        let location = if self.culprit.origin.is_typed() {
            match self.preceding_option() {
                Some(option) if !self.is_command => format!(" after '{}'", option.name),
                Some(_) | None => String::new(),
            }
        } else {
            self.line.location_suffix(self.culprit.origin)
        };
        match (self.option_name(), self.quotable(), self.is_command) {
            (Some(name), _, _) => format!("unknown option '{name}'{location}"),
            (None, Some(word), true) => format!("unknown command '{word}'{location}"),
            (None, None, true) => format!("unknown command{location}"),
            (None, Some(word), false) => format!("unexpected argument '{word}'{location}"),
            (None, None, false) => format!("unexpected argument{location}"),
        }
    }

    /// The word as the name of an option, if it is spelled like one: no secret is spelled like that.
    fn option_name(&self) -> Option<String> {
        let name = plain_option(self.culprit)?;
        (!self.culprit.sensitive).then_some(name)
    }

    /// The word, if it may be quoted.
    fn quotable(&self) -> Option<String> {
        let text = self.culprit.text.to_string_lossy();
        let may_be = self.culprit.origin.is_typed() && !self.culprit.sensitive;
        let is_no_secret = is_harmless(self.culprit)
            || is_file(&text)
            || suggestion::is_command(&text)
            || self.is_command && suggestion::for_command(&text).is_some();
        (may_be && is_no_secret).then(|| text.into_owned())
    }

    fn hint(&self) -> Option<String> {
        let text = self.culprit.text.to_string_lossy();
        let command = super::command_of(self.normalized);
        if text.trim_start_matches(['\'', '"']).starts_with('#') {
            return Some(
                "in a parameter file, a comment must be on a separate line that begins with #"
                    .to_owned(),
            );
        }
        if text == "@" {
            return Some("the name of a parameter file is missing: @FILE".to_owned());
        }
        if let Some(hint) = dash_hint(command.as_deref(), &text) {
            return Some(hint);
        }
        if let Some(hint) = self.secret_hint() {
            return Some(hint);
        }
        if let Some(hint) = self.second_command(&text) {
            return Some(hint);
        }
        if let Some((name, _)) = text.split_once('=')
            && is_option(name)
        {
            return Some(format!("options begin with two hyphens: --{name}"));
        }
        if let Some(hint) = self.time_hint(command.as_deref(), &text) {
            return Some(hint);
        }
        if let Some(name) = self.option_name() {
            if !self.culprit.origin.is_typed()
                && matches!(command.as_deref(), Some("jobs" | "coverage"))
                && is_option(name.trim_start_matches('-'))
            {
                return Some(
                    "the files in DIR are the jobs: leave out the @FILE of a job, or name a file with only the \
                     connection options"
                        .to_owned(),
                );
            }
            return suggestion::for_option(command.as_deref(), &name);
        }
        if is_file(&text) && !self.culprit.sensitive {
            return Some(match self.quotable() {
                Some(file) => format!("to read options from the file: @{file}"),
                None => "to read options from a file: @FILE".to_owned(),
            });
        }
        if self.is_command
            && !self.culprit.sensitive
            && let Some(hint) = suggestion::for_command(&text)
        {
            return Some(hint);
        }
        if let Some(hint) = self
            .preceding_option()
            .and_then(|option| self.hint_after(&option))
        {
            return Some(hint);
        }
        let is_in_file = !self.culprit.origin.is_typed();
        is_in_file
            .then(|| "options begin with two hyphens; quote values that contain spaces".to_owned())
    }

    /// The hint about a time without its option, as in `expire VMID SNAPSHOT 14d`.
    fn time_hint(&self, command: Option<&str>, text: &str) -> Option<String> {
        let option = match command {
            Some("hold") => "--until",
            Some("expire") => "--in",
            _ => return None,
        };
        let is_time = is_harmless(self.culprit) && parse_lifetime(text).is_ok();
        (is_time && self.culprit.origin.is_typed()).then(|| format!("write {option}={text}"))
    }

    /// The hint about a word after an option.
    fn hint_after(&self, option: &PrecedingOption) -> Option<String> {
        let name = &option.name;
        match (option.shape, &option.value) {
            (Shape::Value, Some(value)) if value == "=" => Some(super::remove_spaces_hint(name)),
            (Shape::Value, Some(value)) if LISTS.contains(&name.as_str()) => {
                let is_shown = |text: &str| text.len() <= 20 && !text.contains(['!', '=']);
                let list = match self.quotable() {
                    Some(word) if is_shown(value) => {
                        format!("{},{word}", value.trim_end_matches(','))
                    }
                    _ => "ONE,TWO".to_owned(),
                };
                Some(format!(
                    "several values are one list, separated by commas: {name}={list}"
                ))
            }
            (Shape::Value, Some(_)) => Some(format!(
                "is it part of the value of {name}? Quote values that contain spaces"
            )),
            (Shape::Value, None) => None,
            (Shape::OptionalValue, _) => Some(format!("{name} takes a time, such as {name}=30m")),
            (Shape::Flag, _) => Some(format!("{name} takes only true or false as value")),
        }
    }

    /// The hint for a second command in the line.
    fn second_command(&self, text: &str) -> Option<String> {
        if self.is_command || !suggestion::is_command(text) {
            return None;
        }
        let first = self.normalized.arguments.first()?;
        let name = super::command_of(self.normalized)?;
        let location = self.line.location_suffix(first.origin);
        Some(format!("the line already has a command: {name}{location}"))
    }

    /// The hint for a word that may belong to a secret.
    fn secret_hint(&self) -> Option<String> {
        let file = self.line.file(self.culprit.origin);
        match file {
            Some(file) if self.culprit.sensitive || self.is_alone() => Some(format!(
                "options begin with two hyphens; quote values that contain spaces; is it a secret file? \
                 --api-token=file:{0}, --password=file:{0}",
                file.display()
            )),
            None if self.culprit.sensitive => Some(
                "write --api-token=file:PATH or --password=file:PATH, in one word; quote a secret that \
                 contains spaces"
                    .to_owned(),
            ),
            Some(_) | None => None,
        }
    }

    /// Whether the word is the only one in its file.
    fn is_alone(&self) -> bool {
        let arguments = &self.normalized.arguments;
        let others = arguments
            .iter()
            .filter(|argument| argument.origin.same_source(self.culprit.origin));
        others.count() == 1
    }

    /// The option before the word: the previous word, or the one before it if the previous word is its value.
    fn preceding_option(&self) -> Option<PrecedingOption> {
        let words = &self.line.words;
        let is_culprit =
            |word: &Word| word.text == self.culprit.text && word.origin == self.culprit.origin;
        let position = words.iter().position(is_culprit)?;
        let options = normalize::options(&crate::args::command());
        let first = position.checked_sub(1).map(|index| &words[index])?;
        // The last option of a parameter file has nothing to do with the word after `@FILE`.
        if first.origin.is_typed() != self.culprit.origin.is_typed() {
            return None;
        }
        parse_option(&options, first, None).or_else(|| {
            let second = position.checked_sub(2).map(|index| &words[index])?;
            parse_option(&options, second, Some(first))
                .filter(|option| option.shape == Shape::Value)
        })
    }
}

/// Parses an option whose value is joined to it or is the next word.
fn parse_option(options: &Options, word: &Word, next: Option<&Word>) -> Option<PrecedingOption> {
    let text = word.text.to_str()?;
    let (name, value) = normalize::split(text);
    let value = value.filter(|value| !value.is_empty());
    let next = next.and_then(|next| next.text.to_str());
    if next.is_some() && value.is_some() {
        return None;
    }
    Some(PrecedingOption {
        shape: options.get(name)?.shape,
        name: name.to_owned(),
        value: value.or(next).map(ToOwned::to_owned),
    })
}

/// Whether the word looks like the name of a parameter file, or a file of this name exists.
fn is_file(text: &str) -> bool {
    let has_suffix = Path::new(text)
        .extension()
        .is_some_and(|suffix| suffix == "conf");
    has_suffix || Path::new(text).is_file()
}

/// Dashes and minus signs that editors and web pages write instead of hyphens.
const LONG_DASHES: [char; 8] = [
    '\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2015}', '\u{2212}', '\u{fe63}',
];

/// The hint about wrong dashes before the name of an option; `None` if they are right.
fn dash_hint(command: Option<&str>, text: &str) -> Option<String> {
    let start = text.trim_start_matches(|sign| sign == '-' || LONG_DASHES.contains(&sign));
    let dashes = &text[..text.len() - start.len()];
    let is_name = start.starts_with(|sign: char| sign.is_ascii_alphabetic());
    let is_short = dashes == "-" && start.chars().count() == 1;
    if dashes.is_empty() || dashes == "--" || !is_name || is_short {
        return None;
    }
    let name = start.split(['=', ':']).next().unwrap_or_default();
    let meant = is_option(name)
        .then(|| format!("--{name}"))
        .or_else(|| suggestion::nearest_option(command, name));
    let meant = meant.map(|name| format!(": {name}")).unwrap_or_default();
    let mistake = if dashes.contains(LONG_DASHES) {
        "the long dash is not a hyphen; "
    } else {
        ""
    };
    Some(format!("{mistake}options begin with two hyphens{meant}"))
}

/// Whether any command has an option of this name (without dashes).
fn is_option(name: &str) -> bool {
    Cli::command()
        .get_subcommands()
        .flat_map(clap::Command::get_arguments)
        .any(|option| option.get_long() == Some(name))
}
