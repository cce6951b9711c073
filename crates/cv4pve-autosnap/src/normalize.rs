// SPDX-License-Identifier: GPL-3.0-only
//! Translates the spellings of the C# tool (System.CommandLine) into those that clap reads.
//!
//! `--opt:value` becomes `--opt=value`; so do `--opt value`, which lets values begin with a dash,
//! `--opt= value` and `--opt: value`; white space around numbers and the like goes; `--flag true` becomes `--flag`, `--flag=false` is left out; the command comes first,
//! whatever stood before it. Which options there are and which take a value is asked of clap's own
//! definition.
//!
//! Mistakes that clap would accept are refused here: an option without its value, two different values
//! for one option in one source, an option that the command does not use. Between sources one
//! value wins ([`Line::winner`]). `--dry-run` wins wherever it stands.
//!
//! Limits: values are not validated. An unknown command is put first like a known one, and a line
//! without a command loses its options, so that clap reports the command first.

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

/// An argument for clap, and where it was written.
#[derive(Clone)]
pub struct Argument {
    /// The argument. It may be a secret, so it cannot be printed for debugging.
    pub text: OsString,
    /// Where it was written.
    pub origin: Origin,
    /// Whether it may be, or belong to, a secret.
    pub sensitive: bool,
}

/// A line as clap reads it.
#[derive(Clone, Default)]
pub struct Normalized {
    /// The arguments, the command first.
    pub arguments: Vec<Argument>,
    /// Typed options without effect on the command, accepted because the C# tool accepts them.
    pub unused: Vec<String>,
    /// The IDs of the options that parameter files set.
    pub in_files: Vec<String>,
    /// Parameter files that contain a secret and that other users can read.
    pub exposed: Vec<PathBuf>,
}

impl Normalized {
    /// The arguments alone.
    pub fn texts(&self) -> Vec<OsString> {
        let texts = self.arguments.iter().map(|argument| argument.text.clone());
        texts.collect()
    }
}

/// Puts the arguments behind the program's name into clap's order and spelling.
pub fn normalize(command: &Command, line: &Line) -> Result<Normalized, LineError> {
    let options = options(command);
    let parsed = parser::parse(command, &options, line);
    if let Some(asked) = asked_for_help(command, &parsed) {
        return Ok(asked);
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

/// Whether the line asks for help or the version.
pub fn asks_for_help(command: &Command, line: &Line) -> bool {
    parser::parse(command, &options(command), line)
        .help
        .is_some()
}

/// Help and version override everything else on the line, mistakes included.
fn asked_for_help(definition: &Command, parsed: &ParsedLine) -> Option<Normalized> {
    let asked = parsed.help.clone()?;
    let is_version = asked.text == "--version";
    let is_known = |word: &Word| {
        let text = word.text.to_str().unwrap_or_default();
        text == "help" || definition.find_subcommand(text).is_some()
    };
    let command = parsed.command.clone();
    let command = command.filter(|(word, _)| !is_version && is_known(word));
    let command = command.map(|(word, sensitive)| argument(word, sensitive));
    let arguments = command.into_iter().chain([argument(asked, false)]);
    Some(Normalized {
        arguments: arguments.collect(),
        ..Normalized::default()
    })
}

/// Refuses a typed option that the command does not use; records options of files and accepted ones.
fn check_usage(command: &str, given: &GivenOption, to: &mut Normalized) -> Result<(), LineError> {
    if !given.origin.is_typed() {
        to.in_files.push(given.id.clone());
        return Ok(());
    }
    match usage(command, &given.id) {
        Usage::Used => {}
        Usage::Accepted => to.unused.push(given.name.clone()),
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

/// The line for clap: the command, then the words and effective options in the order of the line.
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
                arguments.extend(spelled(given));
            }
            Item::Option(_) => {}
        }
    }
    arguments
}

fn spelled(given: &GivenOption) -> Option<Argument> {
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
    let mut spelled = OsString::from(name);
    spelled.push("=");
    spelled.push(value);
    spelled
}

#[cfg(test)]
mod tests;
