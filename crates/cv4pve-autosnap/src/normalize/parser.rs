// SPDX-License-Identifier: GPL-3.0-only
//! Parses the words of a line: which are options with which values, and which is the command.

use std::any::TypeId;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::iter::Peekable;
use std::path::PathBuf;

use clap::{ArgAction, Command};
use secrecy::SecretString;

use super::error::LineError;
use crate::line::{Line, Origin, Word};
use crate::settings::parse_duration;
use autosnap::sensitive;

/// How an option is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Alone, or with `true` or `false`.
    Flag,
    /// With a value.
    Value,
    /// Alone, or with a value after `=`.
    OptionalValue,
}

/// The definition of an option, the same for all its spellings.
#[derive(Debug, Clone)]
pub(crate) struct OptionDefinition {
    pub(super) id: String,
    pub(crate) shape: Shape,
    /// Whether it can be given several times, each time with another value.
    pub(super) repeatable: bool,
    /// Whether white space around its value is cut off: that of numbers, truths, enums and durations, as .NET
    /// reads them. A text, a path or a secret is taken as it is.
    trimmed: bool,
}

/// The definitions of the options, by spelling.
pub(crate) type Options = HashMap<String, OptionDefinition>;

/// The ID of `--dry-run`.
pub(super) const DRY_RUN: &str = "dry_run";
/// The IDs of the options whose values are secrets.
const SECRETS: [&str; 2] = ["api_token", "password"];

/// An option as it was given.
pub(super) struct GivenOption {
    /// The ID of its definition.
    pub(super) id: String,
    /// Its name as it was written.
    pub(super) name: String,
    pub(super) shape: Shape,
    /// Whether all of its values count, not only the last.
    pub(super) repeatable: bool,
    pub(super) value: Option<OsString>,
    pub(super) origin: Origin,
    /// Where its value ends.
    ends_at: Origin,
    /// Whether the value may be, or hold, a secret.
    pub(super) sensitive: bool,
    /// Whether a flag and its `true` or `false` are two words.
    pub(super) separate: bool,
    /// The option that follows in place of a missing value, if there is one.
    pub(super) followed_by: Option<String>,
}

/// An option, or any other word.
pub(super) enum Item {
    Option(GivenOption),
    /// Another word, and whether it may be, or belong to, a secret.
    Word(Word, bool),
}

/// A parsed line.
#[derive(Default)]
pub(super) struct ParsedLine {
    /// The command, with whether it may be a secret.
    pub(super) command: Option<(Word, bool)>,
    /// Everything else, in the order in which it was written.
    pub(super) items: Vec<Item>,
    /// The word that asks for help or the version, in the spelling that clap knows.
    pub(super) help: Option<Word>,
}

impl ParsedLine {
    /// The command, if there is such a one.
    fn known_command(&self, definition: &Command) -> Option<String> {
        let (word, _) = self.command.as_ref()?;
        let name = word.text.to_str()?;
        definition.find_subcommand(name).map(|_| name.to_owned())
    }

    /// Whether one of the words so far is a command.
    fn knows(&self, command: &Command) -> bool {
        self.items.iter().any(|item| match item {
            Item::Word(word, _) => {
                let text = word.text.to_str().unwrap_or_default();
                command.find_subcommand(text).is_some()
            }
            Item::Option(_) => false,
        })
    }

    /// The options, as they were given.
    pub(super) fn options(&self) -> impl Iterator<Item = &GivenOption> {
        self.items.iter().filter_map(|item| match item {
            Item::Option(given) => Some(given),
            Item::Word(..) => None,
        })
    }

    /// Refuses options without a value, and values that can only be a mistake.
    pub(super) fn check_values(
        &self,
        command: &Command,
        options: &Options,
    ) -> Result<(), LineError> {
        for given in self.options() {
            if given.shape == Shape::Value && given.value.is_none() {
                return Err(LineError::MissingValue {
                    option: display(command, given),
                    followed_by: given.followed_by.clone(),
                    command: self.known_command(command),
                    origin: given.origin,
                });
            }
            let is_false = given.value.as_deref().and_then(parse_bool) == Some(false);
            if given.id == DRY_RUN && given.separate && is_false {
                return Err(LineError::DryRunFalse {
                    origin: given.origin,
                });
            }
            if let Some(value) = given.value.as_deref()
                && holds_option(options, given, value)
            {
                return Err(LineError::OptionAsValue {
                    option: given.name.clone(),
                    origin: given.origin,
                });
            }
            let holds_secret = given.value.as_deref().is_some_and(sensitive::holds_secret);
            if holds_secret && !is_secret(given) {
                return Err(LineError::SecretAsValue {
                    option: given.name.clone(),
                    origin: given.origin,
                });
            }
        }
        Ok(())
    }
}

/// Whether the value is an option, as in `--label=--help`, or contains `--dry-run`, as in
/// `--label=daily--dry-run` or `--password="x --dry-run"`.
fn holds_option(options: &Options, given: &GivenOption, value: &OsStr) -> bool {
    let asks_for_dry_run = value.to_string_lossy().to_lowercase().contains("--dry-run");
    let is_one = !is_secret(given) && given.shape != Shape::Flag && is_option(options, value);
    asks_for_dry_run || is_one
}

/// Whether the value of the option is a secret.
pub(super) fn is_secret(given: &GivenOption) -> bool {
    SECRETS.contains(&given.id.as_str())
}

/// Whether the value is the secret itself, not the name of a file with the secret.
pub(super) fn is_plain_secret(given: &GivenOption) -> bool {
    let value = given.value.as_deref().map(OsStr::to_string_lossy);
    is_secret(given) && value.is_some_and(|value| !value.trim().starts_with("file:"))
}

/// `--label <LABEL>`, as clap writes it.
fn display(command: &Command, given: &GivenOption) -> String {
    let mut arguments = command
        .get_subcommands()
        .flat_map(Command::get_arguments)
        .filter(|argument| argument.get_id() == given.id.as_str());
    let names = arguments.next().and_then(clap::Arg::get_value_names);
    let names = names.into_iter().flatten().map(|name| format!(" <{name}>"));
    format!("{}{}", given.name, names.collect::<String>())
}

/// Parses the words of a line.
pub(super) fn parse(command: &Command, options: &Options, line: &Line) -> ParsedLine {
    let mut parsed = ParsedLine::default();
    // Where a secret ended: a word that follows in the same line may be its rest, behind an unquoted blank.
    let mut secret_at: Option<Origin> = None;
    let mut rest = line.words.iter().peekable();
    while let Some(word) = rest.next() {
        let text = word.text.to_str().unwrap_or_default();
        if text == "--" {
            let values = std::iter::once(word).chain(rest);
            let values = values.map(|word| {
                Item::Word(
                    word.clone(),
                    secret_at == Some(word.origin) || may_be_secret(word),
                )
            });
            parsed.items.extend(values);
            break;
        }
        if let Some(asked) = help_word(text) {
            note_help(&mut parsed, word, asked);
            continue;
        }
        let (name, value) = split(text);
        let Some(option) = options.get(name) else {
            let sensitive = secret_at == Some(word.origin) || may_be_secret(word);
            if sensitive::names_secret(text) {
                secret_at = Some(word.origin);
            }
            parsed.items.push(Item::Word(word.clone(), sensitive));
            continue;
        };
        let knows_command = parsed.knows(command);
        let is_value = |next: &Word| {
            let text = next.text.to_str().unwrap_or_default();
            let is_command = !knows_command && command.find_subcommand(text).is_some();
            match value {
                // `--label snap` was a label before, `--label= snap` is not.
                Some(_) => !is_command && !is_option(options, &next.text),
                None => !is_option(options, &next.text),
            }
        };
        let given = given(option, word, (name, value), &mut rest, is_value);
        secret_at = is_plain_secret(&given).then_some(given.ends_at);
        parsed.items.push(Item::Option(given));
    }
    take_command(command, &mut parsed);
    parsed
}

fn may_be_secret(word: &Word) -> bool {
    let text = word.text.to_string_lossy();
    sensitive::looks_like_secret(&text) || sensitive::names_secret(&text)
}

/// An option with its value: after `=` or `:`, or, where nothing stands there, the next word.
fn given<'a>(
    option: &OptionDefinition,
    word: &Word,
    (name, value): (&str, Option<&str>),
    rest: &mut Peekable<impl Iterator<Item = &'a Word>>,
    is_value: impl Fn(&Word) -> bool,
) -> GivenOption {
    let mut value = value.map(OsString::from);
    let joined = value.as_deref().is_some_and(|value| !value.is_empty());
    let mut ends_at = word.origin;
    if !joined {
        let next = rest.next_if(|next| match option.shape {
            Shape::Flag => is_bool_word(&next.text),
            Shape::Value => is_value(next),
            Shape::OptionalValue => is_time(&next.text),
        });
        ends_at = next.map_or(word.origin, |next| next.origin);
        // `--state=` is true.
        let empty = value.filter(|_| option.shape != Shape::Flag);
        value = next.map(|next| next.text.clone()).or(empty);
    }
    let separate = !joined && value.as_deref().is_some_and(|value| !value.is_empty());
    if option.trimmed
        && let Some(text) = value.as_deref().and_then(OsStr::to_str)
    {
        value = Some(text.trim().into());
    }
    let follower = rest.peek().and_then(|next| next.text.to_str());
    let followed_by = follower
        .filter(|_| value.is_none())
        .map(|text| split(text).0);
    let sensitive = SECRETS.contains(&option.id.as_str())
        || value.as_deref().is_some_and(|value| {
            sensitive::holds_secret(value)
                || sensitive::looks_like_secret(&value.to_string_lossy())
                || sensitive::is_host_with_login(&option.id, value)
        });
    GivenOption {
        id: option.id.clone(),
        name: name.to_owned(),
        shape: option.shape,
        repeatable: option.repeatable,
        separate,
        value,
        origin: word.origin,
        ends_at,
        sensitive,
        followed_by: followed_by.map(ToOwned::to_owned),
    }
}

/// `--help` and `--version` in the spellings that .NET and clap know.
fn help_word(text: &str) -> Option<&'static str> {
    match text {
        "--help" => Some("--help"),
        "-h" | "-?" | "/?" => Some("-h"),
        "--version" | "-V" => Some("--version"),
        _ => None,
    }
}

/// The long help is more than the short one, and help more than the version.
fn note_help(parsed: &mut ParsedLine, word: &Word, asked: &'static str) {
    let rank = |text: &OsStr| match text.to_str() {
        Some("--help") => 3,
        Some("-h") => 2,
        _ => 1,
    };
    let before = parsed.help.as_ref().map_or(0, |word| rank(&word.text));
    if rank(OsStr::new(asked)) > before {
        parsed.help = Some(Word {
            text: asked.into(),
            origin: word.origin,
        });
    }
}

/// Takes the command out of the words: a known command, else the first word without a dash.
fn take_command(command: &Command, parsed: &mut ParsedLine) {
    let end = parsed
        .items
        .iter()
        .position(|item| matches!(item, Item::Word(word, _) if word.text == "--"));
    let items = &parsed.items[..end.unwrap_or(parsed.items.len())];
    let words: Vec<(usize, &str)> = items
        .iter()
        .enumerate()
        .filter_map(|(position, item)| match item {
            Item::Word(word, _) => Some((position, word.text.to_str()?)),
            Item::Option(_) => None,
        })
        .filter(|(_, text)| !text.is_empty() && !text.starts_with('-'))
        .collect();
    // `help snap` asks for help; in `x snap` the x is the mistake.
    let known =
        |(_, text): &&(usize, &str)| *text == "help" || command.find_subcommand(text).is_some();
    let chosen = words.iter().find(known).or(words.first());
    if let Some((position, _)) = chosen.copied()
        && let Item::Word(word, sensitive) = parsed.items.remove(position)
    {
        parsed.command = Some((word, sensitive));
    }
}

/// All options of all commands, by each of their spellings.
pub(crate) fn options(command: &Command) -> Options {
    let mut options = Options::new();
    for part in command.get_subcommands() {
        for argument in part.get_arguments() {
            let shape = match argument.get_action() {
                ArgAction::SetTrue => Shape::Flag,
                action if !action.takes_values() => continue,
                _ if argument
                    .get_num_args()
                    .is_some_and(|count| count.min_values() == 0) =>
                {
                    Shape::OptionalValue
                }
                _ => Shape::Value,
            };
            let option = OptionDefinition {
                id: argument.get_id().to_string(),
                shape,
                repeatable: matches!(argument.get_action(), ArgAction::Append),
                trimmed: !is_text(argument),
            };
            let longs = argument.get_long_and_visible_aliases().unwrap_or_default();
            let hidden = argument.get_all_aliases().unwrap_or_default();
            for long in longs.into_iter().chain(hidden) {
                options.insert(format!("--{long}"), option.clone());
            }
            if let Some(short) = argument.get_short() {
                options.insert(format!("-{short}"), option);
            }
        }
    }
    options
}

/// Whether the value is a text, a path or a secret.
fn is_text(argument: &clap::Arg) -> bool {
    let texts = [
        TypeId::of::<String>(),
        TypeId::of::<PathBuf>(),
        TypeId::of::<SecretString>(),
    ];
    let own = argument.get_value_parser().type_id();
    texts.iter().any(|text| own == *text)
}

/// The name and the value of `--name=value` or `--name:value`.
pub(crate) fn split(text: &str) -> (&str, Option<&str>) {
    match text.find(['=', ':']) {
        Some(position) if text.starts_with('-') => (&text[..position], Some(&text[position + 1..])),
        _ => (text, None),
    }
}

/// Whether it cannot be the value of the option before it, because it is an option or `--`.
fn is_option(options: &Options, argument: &OsStr) -> bool {
    argument.to_str().is_some_and(|text| {
        options.contains_key(split(text).0) || text == "--" || help_word(text).is_some()
    })
}

/// `true` and `false` in any case, as .NET reads them. After a blank, 1 and 0 are words of their own.
fn is_bool_word(argument: &OsStr) -> bool {
    parse_bool(argument).is_some() && argument.to_str().is_some_and(|text| text.trim().len() > 1)
}

/// Whether a word can be nothing but the time of an option that needs none: `--wait-locked 30m`.
fn is_time(argument: &OsStr) -> bool {
    let text = argument.to_str().map(str::trim).unwrap_or_default();
    text.starts_with(|sign: char| sign.is_ascii_digit()) && parse_duration(text).is_ok()
}

/// The boolean that the value of a flag stands for; `None` if it is invalid.
pub(super) fn parse_bool(value: &OsStr) -> Option<bool> {
    match value.to_str()?.trim().to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}
