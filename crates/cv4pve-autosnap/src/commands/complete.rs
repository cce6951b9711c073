// SPDX-License-Identifier: GPL-3.0-only
//! `complete`: the candidates for the word at the cursor, for the scripts of [`super::completions`].
//!
//! It reads the words of the line up to the cursor from stdin, because arguments are visible to every user of the
//! machine and may contain a token. It prints one candidate per line: the whole word, a tab and a description.
//! Commands and options come from clap's own definition; parameter files, hosts and labels from
//! /etc/cv4pve-autosnap; guests, pools, tags, nodes, labels and snapshots from the cluster that the line names.
//!
//! Limits: it never prompts, writes no file and prints no errors. Candidates that are not known within a second are
//! left out. `CV4PVE_COMPLETE_OFFLINE` disables the network.

mod cluster;
mod files;
mod values;

use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt::Write;
use std::io::Read;

use crate::exit_status::ExitStatus;
use clap::{Arg, Command, CommandFactory};

use crate::args::{self, Cli};
use crate::normalize::{self, Shape};
use crate::report::Console;

/// A candidate for the word at the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The whole word.
    pub(crate) word: String,
    /// Its description.
    pub(crate) help: String,
}

impl Candidate {
    fn new(word: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            word: word.into(),
            help: help.into(),
        }
    }
}

/// Reads the words that a script sends, each followed by NUL. Invalid UTF-8 is replaced.
pub fn words(mut input: impl Read) -> Vec<OsString> {
    let mut bytes = Vec::new();
    if input.read_to_end(&mut bytes).is_err() || bytes.pop() != Some(0) {
        return Vec::new();
    }
    let words = bytes.split(|byte| *byte == 0);
    words
        .map(|word| String::from_utf8_lossy(word).into_owned().into())
        .collect()
}

/// Prints the candidates for the words on stdin.
pub(super) fn run(console: &Console) -> ExitStatus {
    let words = words(std::io::stdin().lock());
    console.text(&lines(&words));
    ExitStatus::Success
}

/// The output for the words after the program's name; the cursor is at the last one.
pub fn lines(words: &[OsString]) -> String {
    printed(candidates(words))
}

/// One line per candidate, without duplicates.
fn printed(candidates: Vec<Candidate>) -> String {
    let mut text = String::new();
    let mut seen = HashSet::new();
    for Candidate { word, help } in candidates {
        // Names on the cluster are untrusted: a control character could break the line or the terminal.
        let clean = |text: &str| text.replace(|letter: char| letter.is_control(), " ");
        let word = clean(&word);
        if !word.is_empty() && !seen.contains(&word) {
            _ = writeln!(text, "{word}\t{}", clean(&help));
            seen.insert(word);
        }
    }
    text
}

fn candidates(words: &[OsString]) -> Vec<Candidate> {
    let Some((typed, before)) = words.split_last() else {
        return Vec::new();
    };
    let Some(typed) = typed.to_str() else {
        return Vec::new();
    };
    let line = Line::parse(before);
    let cursor = line.cursor(typed);
    let found = match cursor.option {
        Some(option) => values::for_option(&option, cursor.typed, &line.complete_words),
        None => match typed.strip_prefix('@') {
            Some(path) => prefixed("@", files::parameter_files(path)),
            None if typed.starts_with('-') => line.options(typed),
            None => line.words(typed),
        },
    };
    prefixed(cursor.lead, found)
}

/// Prepends a text to each candidate.
fn prefixed(lead: &str, candidates: Vec<Candidate>) -> Vec<Candidate> {
    let prefixed = candidates.into_iter().map(|candidate| Candidate {
        word: format!("{lead}{}", candidate.word),
        ..candidate
    });
    prefixed.collect()
}

/// The words before the cursor.
struct Line {
    definition: Command,
    /// The command among them.
    command: Option<String>,
    /// The words after the command that are neither options nor parameter files.
    positionals: Vec<String>,
    /// The option before the cursor, if its value is at the cursor.
    pending: Option<String>,
    /// All words except the pending option.
    complete_words: Vec<OsString>,
}

/// The word at the cursor.
struct Cursor<'a> {
    /// Its first part, before the value: `--label=`.
    lead: &'a str,
    /// The beginning of the value or word.
    typed: &'a str,
    /// The option of the value.
    option: Option<Arg>,
}

impl Line {
    fn parse(before: &[OsString]) -> Self {
        let definition = Cli::command();
        let options = normalize::options(&args::command());
        let mut command = None;
        let mut positionals = Vec::new();
        let mut pending = None;
        for word in before {
            let word = word.to_str().unwrap_or_default();
            if pending.take().is_some() {
                continue;
            }
            let (name, value) = normalize::split(word);
            if value.is_none()
                && options
                    .get(name)
                    .is_some_and(|option| option.shape == Shape::Value)
            {
                pending = Some(name.to_owned());
            } else if command.is_none() && definition.find_subcommand(word).is_some() {
                command = Some(word.to_owned());
            } else if command.is_some() && !word.starts_with(['-', '@']) {
                positionals.push(word.to_owned());
            }
        }
        let finished = before.len() - usize::from(pending.is_some());
        Self {
            definition,
            command,
            positionals,
            pending,
            complete_words: before[..finished].to_vec(),
        }
    }

    fn cursor<'a>(&self, typed: &'a str) -> Cursor<'a> {
        if let Some(name) = &self.pending {
            return Cursor {
                lead: "",
                typed,
                option: self.option(name),
            };
        }
        let (name, value) = normalize::split(typed);
        let option = value.and_then(|_| self.option(name));
        match (value, option) {
            (Some(value), Some(option)) if option.get_action().takes_values() => Cursor {
                lead: &typed[..typed.len() - value.len()],
                typed: value,
                option: Some(option),
            },
            _ => Cursor {
                lead: "",
                typed,
                option: None,
            },
        }
    }

    /// Finds an option by a name as typed: of the command, else of any command.
    fn option(&self, name: &str) -> Option<Arg> {
        let has_name = |option: &&Arg| {
            let longs = option.get_long_and_visible_aliases().unwrap_or_default();
            let hidden = option.get_all_aliases().unwrap_or_default();
            let mut names = longs.into_iter().chain(hidden);
            match name.strip_prefix("--") {
                Some(long) => names.any(|known| known == long),
                None => name.strip_prefix('-').is_some_and(|short| {
                    option
                        .get_short()
                        .is_some_and(|known| short == known.to_string())
                }),
            }
        };
        let own = self.command().into_iter();
        let mut commands = own.chain(self.definition.get_subcommands());
        commands
            .find_map(|command| command.get_arguments().find(has_name))
            .cloned()
    }

    fn command(&self) -> Option<&Command> {
        self.definition.find_subcommand(self.command.as_ref()?)
    }

    /// The options that are not on the line yet.
    fn options(&self, typed: &str) -> Vec<Candidate> {
        // Before a command: those of `snap`, which most commands share.
        let command = self
            .command()
            .or_else(|| self.definition.find_subcommand("snap"));
        let options = command.into_iter().flat_map(Command::get_arguments);
        let given = |long: &str| {
            self.complete_words.iter().any(|word| {
                word.to_str()
                    .is_some_and(|word| normalize::split(word).0 == long)
            })
        };
        let mut found: Vec<Candidate> = options
            .filter_map(|option| {
                let long = format!("--{}", option.get_long()?);
                Some(Candidate::new(long, first_line(option.get_help())))
            })
            .filter(|candidate| candidate.word.starts_with(typed) && !given(&candidate.word))
            .collect();
        if "--help".starts_with(typed) {
            found.push(Candidate::new("--help", "Print help"));
        }
        if self.command.is_none() && "--version".starts_with(typed) {
            found.push(Candidate::new("--version", "Print version"));
        }
        found
    }

    /// The candidates for a word that is neither an option nor its value.
    fn words(&self, typed: &str) -> Vec<Candidate> {
        let Some(command) = self.command() else {
            let shown = self.definition.get_subcommands();
            let commands = shown.filter(|part| !part.is_hide_set()).map(|part| {
                let about = part.get_about().map(ToString::to_string);
                Candidate::new(part.get_name(), about.unwrap_or_default())
            });
            let mut found: Vec<Candidate> = commands
                .filter(|candidate| candidate.word.starts_with(typed))
                .collect();
            if typed.is_empty() {
                found.extend(prefixed("@", files::known_parameter_files()));
            }
            return found;
        };
        match command.get_positionals().nth(self.positionals.len()) {
            Some(argument) if argument.get_id() == "snapshot" => {
                values::snapshots(&self.positionals[0], typed, &self.complete_words)
            }
            Some(argument) => values::for_option(argument, typed, &self.complete_words),
            None if typed.is_empty() => self.options(typed),
            None => Vec::new(),
        }
    }
}

fn first_line(help: Option<&clap::builder::StyledStr>) -> String {
    let help = help.map(ToString::to_string).unwrap_or_default();
    help.lines()
        .next()
        .unwrap_or_default()
        .trim_end_matches('.')
        .to_owned()
}

#[cfg(test)]
mod tests;
