// SPDX-License-Identifier: GPL-3.0-only
//! Translation of a command line from the syntax of the C# tool (System.CommandLine) to that of clap.
//!
//! `--opt:value`, `--opt value`, `--opt= value` and `--opt: value` become `--opt=value`, so that values may begin
//! with a dash. White space around numbers, booleans, enums and durations is removed. `--flag true` becomes `--flag`,
//! `--flag=false` is left out. The command is moved to the front. The options come from clap's own definition.
//!
//! Mistakes that clap would accept are refused here: an option without its value, two different values
//! for one option in one source, an option that the command does not use. Between sources one
//! value wins ([`Line::winner`]). `--dry-run` takes effect in any position and source.
//!
//! Limits: values are not validated. An unknown command is moved to the front like a known one, and the options of
//! a line without a command are dropped, so that clap reports the missing command first.

mod error;
mod parser;
mod precedence;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::Command;

use crate::args::{Usage, usage};
use crate::line::{Line, Origin, Word};

pub(crate) use error::LISTS;
pub use error::LineError;
pub(crate) use parser::{Options, Shape, options, split};

use parser::{GivenOption, Item, ParsedLine};

/// An argument for clap and its origin.
#[derive(Clone)]
pub struct Argument {
    /// The argument. It may be a secret, so there is no `Debug`.
    pub text: OsString,
    /// Its origin.
    pub origin: Origin,
    /// Whether it may be a secret or a part of one.
    pub sensitive: bool,
}

/// A line in clap's syntax.
#[derive(Clone, Default)]
pub struct Normalized {
    /// The arguments, the command first.
    pub arguments: Vec<Argument>,
    /// Typed options without effect on the command, accepted because the C# tool accepts them.
    pub unused: Vec<String>,
    /// The IDs of the options that parameter files set.
    pub in_files: Vec<String>,
    /// Parameter files with a secret that other users can read.
    pub exposed: Vec<PathBuf>,
}

impl Normalized {
    /// The texts of the arguments.
    pub fn texts(&self) -> Vec<OsString> {
        let texts = self.arguments.iter().map(|argument| argument.text.clone());
        texts.collect()
    }
}

/// Translates the arguments after the program's name to clap's order and syntax.
pub fn normalize(command: &Command, line: &Line) -> Result<Normalized, LineError> {
    let options = options(command);
    let parsed = parser::parse(command, &options, line);
    if let Some(help) = help_request(command, &parsed) {
        return Ok(help);
    }
    parsed.check_values(command, &options)?;
    let effective = precedence::effective(line, &parsed)?;
    let name = parsed
        .command
        .as_ref()
        .and_then(|(word, _)| word.text.to_str())
        .unwrap_or_default();
    let mut normalized = Normalized::default();
    for given in parsed.options() {
        check_usage(name, given, &mut normalized)?;
        if let Some(file) = line.readable_file(given.origin)
            && parser::is_plain_secret(given)
        {
            normalized.exposed.push(file.to_owned());
        }
    }
    normalized.arguments = render(&parsed, &effective);
    Ok(normalized)
}

/// Whether the line requests help or the version.
pub fn requests_help(command: &Command, line: &Line) -> bool {
    parser::parse(command, &options(command), line)
        .help
        .is_some()
}

/// The line for help or the version, which override everything else, mistakes included.
fn help_request(definition: &Command, parsed: &ParsedLine) -> Option<Normalized> {
    let request = parsed.help.clone()?;
    let is_version = request.text == "--version";
    let is_known = |word: &Word| {
        let text = word.text.to_str().unwrap_or_default();
        text == "help" || definition.find_subcommand(text).is_some()
    };
    let command = parsed.command.clone();
    let command = command.filter(|(word, _)| !is_version && is_known(word));
    let command = command.map(|(word, sensitive)| argument(word, sensitive));
    let arguments = command.into_iter().chain([argument(request, false)]);
    Some(Normalized {
        arguments: arguments.collect(),
        ..Normalized::default()
    })
}

/// Refuses a typed option that the command does not use; records options from files and accepted ones.
fn check_usage(
    command: &str,
    given: &GivenOption,
    normalized: &mut Normalized,
) -> Result<(), LineError> {
    if !given.origin.is_typed() {
        normalized.in_files.push(given.id.clone());
        return Ok(());
    }
    match usage(command, &given.id) {
        Usage::Used => {}
        Usage::Accepted => normalized.unused.push(given.name.clone()),
        Usage::Ignored => {
            return Err(LineError::NotUsed {
                option: given.name.clone(),
                command: command.to_owned(),
            });
        }
    }
    Ok(())
}

fn argument(word: Word, sensitive: bool) -> Argument {
    Argument {
        text: word.text,
        origin: word.origin,
        sensitive,
    }
}

/// The arguments for clap: the command, then the words and effective options in the order of the line.
fn render(parsed: &ParsedLine, effective: &[usize]) -> Vec<Argument> {
    let command = parsed.command.clone();
    let mut arguments: Vec<Argument> = command
        .map(|(word, sensitive)| argument(word, sensitive))
        .into_iter()
        .collect();
    let without_command = arguments.is_empty();
    for (position, item) in parsed.items.iter().enumerate() {
        match item {
            Item::Word(word, sensitive) => arguments.push(argument(word.clone(), *sensitive)),
            Item::Option(given) if !without_command && effective.contains(&position) => {
                arguments.extend(option_argument(given));
            }
            Item::Option(_) => {}
        }
    }
    arguments
}

/// The option in clap's syntax; `None` for a flag that is false.
fn option_argument(given: &GivenOption) -> Option<Argument> {
    let text = match (given.shape, &given.value) {
        (Shape::Flag, Some(value)) => match parser::parse_bool(value) {
            Some(true) => OsString::from(&given.name),
            Some(false) => return None,
            None => joined(&given.name, value),
        },
        (_, None) => OsString::from(&given.name),
        (Shape::Value | Shape::OptionalValue, Some(value)) => joined(&given.name, value),
    };
    Some(Argument {
        text,
        origin: given.origin,
        sensitive: given.sensitive,
    })
}

fn joined(name: &str, value: &OsStr) -> OsString {
    let mut joined = OsString::from(name);
    joined.push("=");
    joined.push(value);
    joined
}

#[cfg(test)]
mod tests;
