// SPDX-License-Identifier: GPL-3.0-only
//! `complete`: what could stand at the cursor, for the scripts of [`super::completions`].
//!
//! It is given the words of the line up to the cursor, by stdin: what stands in arguments, a token
//! perhaps, every user of the machine can read. It prints whole words, one a line, each with
//! a tab and a few words about it. Commands and options come from clap's own definition, parameter
//! files and their hosts and labels from /etc/cv4pve-autosnap, guests, pools, tags, nodes and labels
//! from the cluster that the line names.
//!
//! Limits: it asks nobody, writes nothing, never complains, and does not let anybody wait: whatever
//! does not answer within a second is not offered. `CV4PVE_COMPLETE_OFFLINE` keeps it off the network.

mod cluster;
mod files;
mod values;

use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt::Write;
use std::io::Read;

use autosnap_core::outcome::ExitStatus;
use clap::{Arg, Command, CommandFactory};

use crate::args::{self, Cli};
use crate::normalize::{self, Shape};
use crate::report::Console;

/// A word that could stand at the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The whole word.
    pub(crate) word: String,
    /// What it is.
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

/// The words that a script sends, each with a NUL behind it. What is no UTF-8 could not be completed.
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

/// What is printed for the words behind the program's name, of which the cursor is at the last.
pub fn lines(words: &[OsString]) -> String {
    printed(candidates(words))
}

/// One line for each, if it is not there yet.
fn printed(candidates: Vec<Candidate>) -> String {
    let mut text = String::new();
    let mut seen = HashSet::new();
    for Candidate { word, help } in candidates {
        // Neither can be in a word, and a name on the cluster is somebody else's text.
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
    let line = Line::read(before);
    let place = line.place(typed);
    let found = match place.option {
        Some(option) => values::of(&option, place.typed, &line.whole),
        None => match typed.strip_prefix('@') {
            Some(path) => prefixed("@", files::parameter_files(path)),
            None if typed.starts_with('-') => line.options(typed),
            None => line.words(typed),
        },
    };
    prefixed(place.lead, found)
}

/// Puts what stands before them in front of candidates.
fn prefixed(lead: &str, candidates: Vec<Candidate>) -> Vec<Candidate> {
    let whole = candidates.into_iter().map(|candidate| Candidate {
        word: format!("{lead}{}", candidate.word),
        ..candidate
    });
    whole.collect()
}

/// The words before the cursor.
struct Line {
    definition: Command,
    /// The command among them.
    chosen: Option<String>,
    /// The option whose value stands at the cursor, for it is the word before.
    pending: Option<String>,
    /// All of them but the pending option.
    whole: Vec<OsString>,
}

/// Where the cursor is.
struct Place<'a> {
    /// Of the word at the cursor, what is no part of the value.
    lead: &'a str,
    /// The rest of it.
    typed: &'a str,
    /// The option whose value it is.
    option: Option<Arg>,
}

impl Line {
    fn read(before: &[OsString]) -> Self {
        let definition = Cli::command();
        let options = normalize::options(&args::command());
        let mut chosen = None;
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
            } else if chosen.is_none() && definition.find_subcommand(word).is_some() {
                chosen = Some(word.to_owned());
            }
        }
        let finished = before.len() - usize::from(pending.is_some());
        Self {
            definition,
            chosen,
            pending,
            whole: before[..finished].to_vec(),
        }
    }

    fn place<'a>(&self, typed: &'a str) -> Place<'a> {
        if let Some(name) = &self.pending {
            return Place {
                lead: "",
                typed,
                option: self.option(name),
            };
        }
        let (name, value) = normalize::split(typed);
        let option = value.and_then(|_| self.option(name));
        match (value, option) {
            (Some(value), Some(option)) if option.get_action().takes_values() => Place {
                lead: &typed[..typed.len() - value.len()],
                typed: value,
                option: Some(option),
            },
            _ => Place {
                lead: "",
                typed,
                option: None,
            },
        }
    }

    /// An option by what is typed: that of the command, else of any.
    fn option(&self, name: &str) -> Option<Arg> {
        let is_meant = |option: &&Arg| {
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
        let chosen = self.command().into_iter();
        let mut commands = chosen.chain(self.definition.get_subcommands());
        commands
            .find_map(|command| command.get_arguments().find(is_meant))
            .cloned()
    }

    fn command(&self) -> Option<&Command> {
        self.definition.find_subcommand(self.chosen.as_ref()?)
    }

    /// The options that are not given yet.
    fn options(&self, typed: &str) -> Vec<Candidate> {
        // Before the command only those that nearly every command has.
        let command = self
            .command()
            .or_else(|| self.definition.find_subcommand("snap"));
        let options = command.into_iter().flat_map(Command::get_arguments);
        let given = |long: &str| {
            self.whole.iter().any(|word| {
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
        if self.chosen.is_none() && "--version".starts_with(typed) {
            found.push(Candidate::new("--version", "Print version"));
        }
        found
    }

    /// What can stand where neither an option nor its value is begun.
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
        match command.get_positionals().next() {
            Some(argument) => values::of(argument, typed, &self.whole),
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
