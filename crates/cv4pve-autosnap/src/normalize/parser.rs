// SPDX-License-Identifier: GPL-3.0-only
//! The parser for the words of a line: options with their values, the command, and other words.

use std::any::TypeId;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::iter::Peekable;
use std::path::PathBuf;

use clap::{ArgAction, Command};
use secrecy::SecretString;

use super::error::LineError;
use crate::line::{Line, Origin, Word};
use crate::sensitive;
use crate::settings::parse_duration;

/// The kind of value that an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// None, or `true` or `false`.
    Flag,
    /// One value.
    Value,
    /// None, or a value after `=`.
    OptionalValue,
}

/// The definition of an option, the same for all its spellings.
#[derive(Debug, Clone)]
pub(crate) struct OptionDefinition {
    pub(super) id: String,
    pub(crate) shape: Shape,
    /// Whether it may be given several times with different values.
    pub(super) repeatable: bool,
    /// Whether its value is trimmed, as .NET does for numbers, booleans, enums and durations. A text, a path or a
    /// secret is kept as it is.
    trimmed: bool,
}

/// The definitions of the options, by spelling.
pub(crate) type Options = HashMap<String, OptionDefinition>;

/// The ID of `--dry-run`.
pub(super) const DRY_RUN: &str = "dry_run";
/// The IDs of the options whose values are secrets.
const SECRETS: [&str; 2] = ["api_token", "password"];

/// An option on the line, with its value.
pub(super) struct GivenOption {
    /// The ID of its definition.
    pub(super) id: String,
    /// Its name, as it is written.
    pub(super) name: String,
    pub(super) shape: Shape,
    /// Whether all of its values take effect, not only the last.
    pub(super) repeatable: bool,
    pub(super) value: Option<OsString>,
    pub(super) origin: Origin,
    /// The origin of the last word of its value.
    ends_at: Origin,
    /// Whether the value may be or contain a secret.
    pub(super) sensitive: bool,
    /// Whether a flag and its `true` or `false` are two words.
    pub(super) separate: bool,
    /// The option that follows instead of a missing value, if there is one.
    pub(super) followed_by: Option<String>,
}

/// An option, or any other word.
pub(super) enum Item {
    Option(GivenOption),
    /// Another word, and whether it may be a secret or a part of one.
    Word(Word, bool),
}

/// A parsed line.
#[derive(Default)]
pub(super) struct ParsedLine {
    /// The command, and whether it may be a secret.
    pub(super) command: Option<(Word, bool)>,
    /// All options and other words, in the order of the line.
    pub(super) items: Vec<Item>,
    /// The request for help or the version, in clap's spelling.
    pub(super) help: Option<Word>,
}

impl ParsedLine {
    /// The name of the command, if the definition has it.
    fn known_command(&self, definition: &Command) -> Option<String> {
        let (word, _) = self.command.as_ref()?;
        let name = word.text.to_str()?;
        definition.find_subcommand(name).map(|_| name.to_owned())
    }

    /// Whether one of the words so far is a command.
    fn has_command(&self, command: &Command) -> bool {
        self.items.iter().any(|item| match item {
            Item::Word(word, _) => {
                let text = word.text.to_str().unwrap_or_default();
                command.find_subcommand(text).is_some()
            }
            Item::Option(_) => false,
        })
    }

    /// The options in the order of the line.
    pub(super) fn options(&self) -> impl Iterator<Item = &GivenOption> {
        self.items.iter().filter_map(|item| match item {
            Item::Option(given) => Some(given),
            Item::Word(..) => None,
        })
    }

    /// Refuses options without a value, and values that must be a mistake.
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
    let contains_dry_run = value.to_string_lossy().to_lowercase().contains("--dry-run");
    let is_one = !is_secret(given) && given.shape != Shape::Flag && is_option(options, value);
    contains_dry_run || is_one
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

/// The option as clap displays it: `--label <LABEL>`.
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
    // The origin of a secret's end: the next word of that line may be the rest of the secret, after an unquoted space.
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
        if let Some(request) = help_word(text) {
            record_help(&mut parsed, word, request);
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
        let has_command = parsed.has_command(command);
        let is_value = |next: &Word| {
            let text = next.text.to_str().unwrap_or_default();
            let is_command = !has_command && command.find_subcommand(text).is_some();
            match value {
                // `snap` is the value in `--label snap`, but the command in `--label= snap`.
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

/// An option with its value: the text after `=` or `:`, or else the next word.
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
            Shape::OptionalValue => is_duration(&next.text),
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
    let next = rest.peek().and_then(|next| next.text.to_str());
    let followed_by = next.filter(|_| value.is_none()).map(|text| split(text).0);
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

/// The request in a word, in clap's spelling: `--help`, `-h` or `--version`, also as .NET spells them.
fn help_word(text: &str) -> Option<&'static str> {
    match text {
        "--help" => Some("--help"),
        "-h" | "-?" | "/?" => Some("-h"),
        "--version" | "-V" => Some("--version"),
        _ => None,
    }
}

/// Records a request. The long help takes precedence over the short one, and that over the version.
fn record_help(parsed: &mut ParsedLine, word: &Word, request: &'static str) {
    let rank = |text: &OsStr| match text.to_str() {
        Some("--help") => 3,
        Some("-h") => 2,
        _ => 1,
    };
    let before = parsed.help.as_ref().map_or(0, |word| rank(&word.text));
    if rank(OsStr::new(request)) > before {
        parsed.help = Some(Word {
            text: request.into(),
            origin: word.origin,
        });
    }
}

/// Moves the command out of the items: a known command, else the first word without a dash.
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
    // `help snap` is a request for help; in `x snap` the command is `snap`, and `x` a mistake.
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
            let action = argument.get_action();
            let is_optional = argument
                .get_num_args()
                .is_some_and(|count| count.min_values() == 0);
            let shape = if matches!(action, ArgAction::SetTrue) {
                Shape::Flag
            } else if !action.takes_values() {
                continue;
            } else if is_optional {
                Shape::OptionalValue
            } else {
                Shape::Value
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

/// Whether an argument is an option or `--`, and so not the value of the option before it.
fn is_option(options: &Options, argument: &OsStr) -> bool {
    argument.to_str().is_some_and(|text| {
        options.contains_key(split(text).0) || text == "--" || help_word(text).is_some()
    })
}

/// Whether a word after a flag is its value: `true` or `false` in any case, as in .NET, but not 1 or 0.
fn is_bool_word(argument: &OsStr) -> bool {
    parse_bool(argument).is_some() && argument.to_str().is_some_and(|text| text.trim().len() > 1)
}

/// Whether a word after an option with an optional value is a duration: `--wait-locked 30m`.
fn is_duration(argument: &OsStr) -> bool {
    let text = argument.to_str().map(str::trim).unwrap_or_default();
    text.starts_with(|sign: char| sign.is_ascii_digit()) && parse_duration(text).is_ok()
}

/// Parses the value of a flag; `None` if it is invalid.
pub(super) fn parse_bool(value: &OsStr) -> Option<bool> {
    match value.to_str()?.trim().to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}
