// SPDX-License-Identifier: GPL-3.0-only
//! Translates the spellings of the C# tool (System.CommandLine) into those that clap reads.
//!
//! `--opt:value` becomes `--opt=value`; so does `--opt value`, which lets values begin with a
//! dash; `--flag true` becomes `--flag`, `--flag=false` is left out; the command comes first,
//! whatever stood before it. Which options there are and which take a value is asked of clap's own
//! definition.
//!
//! What clap would pass over is refused here: an option without its value, two different values
//! for one option in one source, an option that the command does not use. Between sources one
//! value wins ([`Line::winner`]). `--dry-run` wins wherever it stands.
//!
//! Limits: values are not judged. A word that is no command is put where the command belongs, and
//! options without any command are left out, so that clap misses the command first.

mod reading;
mod refusal;
mod settle;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::Command;

use crate::args::{Usage, usage};
use crate::line::{Line, Origin, Word};

pub(crate) use reading::{Shape, options, split};
pub use refusal::Refusal;

use reading::{Given, Item, Reading};

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
    /// Parameter files with a secret that others can read.
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
pub fn normalize(command: &Command, line: &Line) -> Result<Normalized, Refusal> {
    let options = options(command);
    let reading = reading::read(command, &options, line);
    if let Some(asked) = asked_for_help(&reading) {
        return Ok(asked);
    }
    reading.check_values(command, &options)?;
    let settled = settle::settle(line, &reading)?;
    let name = reading
        .command
        .as_ref()
        .and_then(|(word, _)| word.text.to_str())
        .unwrap_or_default();
    let mut normalized = Normalized::default();
    for given in reading.options() {
        judge_usage(name, given, &mut normalized)?;
        if let Some(file) = line.readable_file(given.origin)
            && reading::is_plain_secret(given)
        {
            normalized.exposed.push(file.to_owned());
        }
    }
    normalized.arguments = render(&reading, &settled);
    Ok(normalized)
}

/// Help and version come first, whatever else stands on the line: nothing is done then.
fn asked_for_help(reading: &Reading) -> Option<Normalized> {
    let asked = reading.help.clone()?;
    let is_version = asked.text == "--version";
    let command = reading.command.clone().filter(|_| !is_version);
    let command = command.map(|(word, sensitive)| argument(word, sensitive));
    let arguments = command.into_iter().chain([argument(asked, false)]);
    Some(Normalized {
        arguments: arguments.collect(),
        ..Normalized::default()
    })
}

/// Refuses what was typed and is not used, and notes the rest.
fn judge_usage(command: &str, given: &Given, to: &mut Normalized) -> Result<(), Refusal> {
    if !given.origin.is_typed() {
        to.in_files.push(given.id.clone());
        return Ok(());
    }
    match usage(command, &given.id) {
        Usage::Used => {}
        Usage::Accepted => to.unused.push(given.name.clone()),
        Usage::Ignored => {
            return Err(Refusal::NotUsed {
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

/// The line for clap: the command, then what is left, in the order in which it was written.
fn render(reading: &Reading, settled: &[usize]) -> Vec<Argument> {
    let command = reading.command.clone();
    let mut arguments: Vec<Argument> = command
        .map(|(word, sensitive)| argument(word, sensitive))
        .into_iter()
        .collect();
    let without_command = arguments.is_empty();
    for (position, item) in reading.items.iter().enumerate() {
        match item {
            Item::Word(word, sensitive) => arguments.push(argument(word.clone(), *sensitive)),
            Item::Option(given) if !without_command && settled.contains(&position) => {
                arguments.extend(spelled(given));
            }
            Item::Option(_) => {}
        }
    }
    arguments
}

fn spelled(given: &Given) -> Option<Argument> {
    let text = match (given.shape, &given.value) {
        (Shape::Flag, Some(value)) => match reading::truth(value) {
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
