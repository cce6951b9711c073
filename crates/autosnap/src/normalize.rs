// SPDX-License-Identifier: GPL-3.0-only
//! Translates the spellings of the C# tool (System.CommandLine) into those that clap reads.
//!
//! `--opt:value` becomes `--opt=value`; so does `--opt value`, which lets values begin with a
//! dash; `--flag true` becomes `--flag`, and `--flag=false` takes back what stood before it; the
//! command comes first, whatever stood before it. Of an option that is given twice only the last one
//! is passed on, as clap would judge the value of each. Which options there are and which take a
//! value is asked of clap's own definition.
//!
//! Limits: it judges nothing. What it does not know is passed on for clap to name: a word that is
//! no command is put where the command belongs, and options without any command are left out, so
//! that clap misses the command rather than finding fault with the first option.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};

use clap::{ArgAction, Command};

/// How an option is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Alone, or with `true` or `false`.
    Flag,
    /// With a value.
    Value,
    /// Alone, or with a value behind `=`.
    OptionalValue,
}

/// An option, whatever its spelling.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    id: String,
    pub(crate) shape: Shape,
}

/// The options, by their spellings.
pub(crate) type Options = HashMap<String, Known>;

/// The arguments put right so far, with the option that each stands for.
#[derive(Default)]
struct Spelled(Vec<(Option<String>, OsString)>);

impl Spelled {
    fn push(&mut self, argument: OsString) {
        self.0.push((None, argument));
    }

    /// Takes the place of all that was said of the option before.
    fn replace(&mut self, option: &Known, argument: OsString) {
        self.take_back(option);
        self.0.push((Some(option.id.clone()), argument));
    }

    fn take_back(&mut self, option: &Known) {
        self.0.retain(|(id, _)| id.as_ref() != Some(&option.id));
    }
}

/// Puts the arguments behind the program's name into clap's order and spelling.
pub fn normalize(command: &Command, arguments: Vec<OsString>) -> Vec<OsString> {
    let options = options(command);
    let mut arguments = arguments;
    let chosen = take_command(command, &options, &mut arguments);
    let without_command = chosen.is_none();
    let mut normalized = Spelled::default();
    let mut rest = arguments.into_iter().peekable();
    while let Some(argument) = rest.next() {
        let Some(text) = argument.to_str() else {
            normalized.push(argument);
            continue;
        };
        if text == "--" {
            normalized.push(argument);
            rest.for_each(|argument| normalized.push(argument));
            break;
        }
        let (name, value) = split(text);
        let Some(option) = options.get(name) else {
            normalized.push(argument);
            continue;
        };
        let spelled = match (option.shape, value) {
            (Shape::OptionalValue, None) => argument,
            (_, None) if without_command => {
                rest.next_if(|next| !is_option(&options, next));
                continue;
            }
            (_, Some(_)) if without_command => continue,
            (Shape::Flag, value) => {
                let value = value.map(OsString::from);
                match value.or_else(|| rest.next_if(is_word_of_truth)) {
                    Some(value) => match truth(&value) {
                        Some(true) => name.into(),
                        Some(false) => {
                            normalized.take_back(option);
                            continue;
                        }
                        None => joined(name, &value),
                    },
                    None => argument,
                }
            }
            (Shape::Value | Shape::OptionalValue, Some(value)) => joined(name, value.as_ref()),
            (Shape::Value, None) => {
                let Some(value) = rest.next_if(|next| !is_option(&options, next)) else {
                    // A value that is missing is left for clap to name.
                    normalized.push(argument);
                    continue;
                };
                joined(name, &value)
            }
        };
        normalized.replace(option, spelled);
    }
    let normalized = normalized.0.into_iter().map(|(_, argument)| argument);
    chosen.into_iter().chain(normalized).collect()
}

/// Takes the command out of the arguments: a known one, else the first word that is neither an
/// option nor the value of one.
fn take_command(
    command: &Command,
    options: &Options,
    arguments: &mut Vec<OsString>,
) -> Option<OsString> {
    let mut words = Vec::new();
    let mut is_value = false;
    for (position, argument) in arguments.iter().enumerate() {
        let text = argument.to_str().unwrap_or_default();
        if text == "--" {
            break;
        }
        let is_word = !text.is_empty() && !text.starts_with('-');
        if is_word && !is_value {
            words.push(position);
        }
        let (name, value) = split(text);
        is_value = value.is_none()
            && match options.get(name).map(|option| option.shape) {
                Some(Shape::Value) => true,
                Some(Shape::Flag) => arguments.get(position + 1).is_some_and(is_word_of_truth),
                Some(Shape::OptionalValue) | None => false,
            };
    }
    // `help snap` asks for help; in `x snap` it is the x that is too much.
    let known = |position: &&usize| {
        arguments[**position]
            .to_str()
            .is_some_and(|word| word == "help" || command.find_subcommand(word).is_some())
    };
    let chosen = words.iter().find(known).or(words.first()).copied()?;
    Some(arguments.remove(chosen))
}

fn joined(name: &str, value: &OsStr) -> OsString {
    let mut spelled = OsString::from(name);
    spelled.push("=");
    spelled.push(value);
    spelled
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
            let option = Known {
                id: argument.get_id().to_string(),
                shape,
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

/// The name and the value of `--name=value` or `--name:value`.
pub(crate) fn split(text: &str) -> (&str, Option<&str>) {
    match text.find(['=', ':']) {
        Some(position) if text.starts_with('-') => (&text[..position], Some(&text[position + 1..])),
        _ => (text, None),
    }
}

/// Whether it cannot be the value of the option before it; `--` ends the options and is no value either.
fn is_option(options: &Options, argument: &OsString) -> bool {
    argument.to_str().is_some_and(|text| {
        let name = split(text).0;
        options.contains_key(name) || matches!(name, "-h" | "--help" | "-V" | "--version" | "--")
    })
}

/// `true` and `false` in any case, as .NET reads them. Behind a blank, 1 and 0 are no truth but a word.
fn is_word_of_truth(argument: &OsString) -> bool {
    truth(argument).is_some() && argument.len() > 1
}

fn truth(value: &OsStr) -> Option<bool> {
    match value.to_str()?.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::CommandFactory;
    use proptest::prelude::*;

    fn check(input: &str, expected: &str) {
        let arguments = input.split(' ').map(OsString::from).collect();
        let normalized = normalize(&Cli::command(), arguments);
        let words: Vec<_> = normalized
            .iter()
            .map(|word| word.to_str().unwrap())
            .collect();
        assert_eq!(words.join(" "), expected, "from {input}");
    }

    #[test]
    fn the_command_comes_first() {
        check(
            "--host=h --vmid=100 snap --label=d --keep=2",
            "snap --host=h --vmid=100 --label=d --keep=2",
        );
        check("--label snap --host h clean", "clean --label=snap --host=h");
    }

    #[test]
    fn values_may_stand_behind_a_blank_or_a_colon() {
        check(
            "snap --host h:8006 --vmid:@all",
            "snap --host=h:8006 --vmid=@all",
        );
        check("snap --host:[::1]:8006", "snap --host=[::1]:8006");
        check(
            "snap --vmid all,-100 --label -921-",
            "snap --vmid=all,-100 --label=-921-",
        );
        check("snap --vmid -100", "snap --vmid=-100");
        check(
            "status -o Json --script-hook x",
            "status -o=Json --script-hook=x",
        );
    }

    #[test]
    fn flags_may_carry_their_truth() {
        check(
            "snap --state true --only-running False --dry-run",
            "snap --state --dry-run",
        );
        check("--debug snap --state:true", "snap --debug --state");
        check("snap --state=1 --debug=0", "snap --state");
        check("snap --state=perhaps", "snap --state=perhaps");
        check(
            "snap --wait-locked --label x",
            "snap --wait-locked --label=x",
        );
    }

    #[test]
    fn the_last_word_on_a_flag_counts() {
        check("snap --state --debug --state=false", "snap --debug");
        check("snap --state=false --state", "snap --state");
    }

    #[test]
    fn the_last_value_of_an_option_counts_whatever_its_spelling() {
        check(
            "snap --keep=0 --label=x --keep 5",
            "snap --label=x --keep=5",
        );
        check(
            "snap --script=a -o Text --script-hook:b --output=Json",
            "snap --script-hook=b --output=Json",
        );
        check("snap --wait-locked=x --wait-locked", "snap --wait-locked");
        check("snap --keep=1 -- --keep=2", "snap --keep=1 -- --keep=2");
    }

    #[test]
    fn a_word_that_is_no_command_stands_where_the_command_belongs() {
        check("--host=h snp --label=d", "snp --host=h --label=d");
        check("--label daily snp", "snp --label=daily");
        check("help snap", "help snap");
        check("--debug x snap", "snap --debug x");
    }

    #[test]
    fn without_a_command_clap_is_left_to_miss_it() {
        check("--host=h --vmid @all --state", "");
        check("--host=h --help", "--help");
        check("--hots=h", "--hots=h");
    }

    #[test]
    fn a_missing_value_is_left_for_clap_to_name() {
        check("snap --host --vmid=100", "snap --host --vmid=100");
        check("snap --keep", "snap --keep");
        check("snap --frobnicate x", "snap --frobnicate x");
        check("--frobnicate=x snap", "snap --frobnicate=x");
        check("snap -- --host h", "snap -- --host h");
    }

    #[test]
    fn the_end_of_the_options_is_no_value() {
        check("--nope --host -- snap", "--nope -- snap");
        check("snap --host -- x", "snap --host -- x");
    }

    proptest! {
        /// Nothing is invented, and a command that is there comes first.
        #[test]
        fn only_the_order_and_the_joints_change(words in prop::collection::vec("(--(host|vmid|keep|state|nope)([=:][a-z:=]{0,4})?|snap|clean|true|[a-z-]{0,5})", 0..12)) {
            let letters = |words: &[OsString]| {
                let mut letters: Vec<char> = words.iter().flat_map(|word| word.to_str().unwrap().chars().collect::<Vec<_>>())
                    .filter(|letter| !"=:".contains(*letter)).collect();
                letters.sort_unstable();
                letters
            };
            let arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
            let once = normalize(&Cli::command(), arguments.clone());
            let (before, after) = (letters(&arguments), letters(&once));
            let mut left = before.iter();
            prop_assert!(after.iter().all(|letter| left.any(|other| other == letter)), "invented: {once:?}");
            let known = ["snap", "clean"].map(OsString::from);
            if !once.contains(&"--".into()) && once.iter().any(|word| known.contains(word)) {
                prop_assert!(!once[0].to_str().unwrap().starts_with('-'), "no command first: {once:?}");
            }
        }
    }
}
