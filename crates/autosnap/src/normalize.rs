// SPDX-License-Identifier: GPL-3.0-only
//! Translates the spellings of the C# tool (System.CommandLine) into those that clap reads.
//!
//! `--opt:value` becomes `--opt=value`; so does `--opt value`, which lets values begin with a
//! dash; `--flag true` becomes `--flag=true`; and the command comes first, whatever stood before
//! it. Which options there are and which take a value is asked of clap's own definition.
//!
//! Limits: it judges nothing. What it does not know is passed on for clap to name.

use std::collections::HashMap;
use std::ffi::OsString;

use clap::Command;

/// How an option is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Alone, or with `true` or `false`.
    Flag,
    /// With a value.
    Value,
    /// Alone, or with a value behind `=`.
    OptionalValue,
}

/// Puts the arguments behind the program's name into clap's order and spelling.
pub fn normalize(command: &Command, arguments: Vec<OsString>) -> Vec<OsString> {
    let shapes = shapes(command);
    let mut normalized = Vec::with_capacity(arguments.len());
    let mut chosen = None;
    let mut rest = arguments.into_iter().peekable();
    while let Some(argument) = rest.next() {
        let Some(text) = argument.to_str() else {
            normalized.push(argument);
            continue;
        };
        if text == "--" {
            normalized.push(argument);
            normalized.extend(rest);
            break;
        }
        if chosen.is_none() && command.find_subcommand(text).is_some() {
            chosen = Some(argument);
            continue;
        }
        let (name, value) = split(text);
        let joined = match (shapes.get(name), value) {
            (Some(_), Some(value)) => Some(format!("{name}={value}")),
            (Some(Shape::Value), None) => rest
                .next_if(|next| !is_option(&shapes, next))
                .map(|next| format!("{name}={}", next.to_string_lossy())),
            (Some(Shape::Flag), None) => rest
                .next_if(is_truth)
                .map(|next| format!("{name}={}", next.to_string_lossy())),
            (Some(Shape::OptionalValue) | None, _) => None,
        };
        normalized.push(joined.map_or(argument, OsString::from));
    }
    chosen.into_iter().chain(normalized).collect()
}

/// All options of all commands, by each of their spellings.
fn shapes(command: &Command) -> HashMap<String, Shape> {
    let mut shapes = HashMap::new();
    for part in command.get_subcommands() {
        for argument in part.get_arguments() {
            let values = argument.get_num_args().unwrap_or_default();
            let shape = match (argument.get_action().takes_values(), values.min_values()) {
                (false, _) => continue,
                (true, 0) if argument.get_default_values().is_empty() => Shape::OptionalValue,
                (true, 0) => Shape::Flag,
                (true, _) => Shape::Value,
            };
            let longs = argument.get_long_and_visible_aliases().unwrap_or_default();
            let hidden = argument.get_all_aliases().unwrap_or_default();
            for long in longs.into_iter().chain(hidden) {
                shapes.insert(format!("--{long}"), shape);
            }
            if let Some(short) = argument.get_short() {
                shapes.insert(format!("-{short}"), shape);
            }
        }
    }
    shapes
}

/// The name and the value of `--name=value` or `--name:value`.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.find(['=', ':']) {
        Some(position) if text.starts_with('-') => (&text[..position], Some(&text[position + 1..])),
        _ => (text, None),
    }
}

fn is_option(shapes: &HashMap<String, Shape>, argument: &OsString) -> bool {
    argument.to_str().is_some_and(|text| {
        let name = split(text).0;
        shapes.contains_key(name) || matches!(name, "-h" | "--help" | "-V" | "--version")
    })
}

fn is_truth(argument: &OsString) -> bool {
    argument
        .to_str()
        .is_some_and(|text| text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"))
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
            "snap --state=true --only-running=False --dry-run",
        );
        check("--debug snap --state:true", "snap --debug --state=true");
        check(
            "snap --wait-locked --label x",
            "snap --wait-locked --label=x",
        );
    }

    #[test]
    fn a_missing_value_is_left_for_clap_to_name() {
        check("snap --host --vmid=100", "snap --host --vmid=100");
        check("snap --keep", "snap --keep");
        check("snap --frobnicate x", "snap --frobnicate x");
        check("snap -- --host h", "snap -- --host h");
    }

    proptest! {
        /// Nothing is lost or invented but the blank between a name and its value.
        #[test]
        fn only_the_order_and_the_joints_change(words in prop::collection::vec("(--(host|vmid|keep|state|nope)([=:][a-z:=]{0,4})?|snap|clean|true|[a-z-]{0,5})", 0..12)) {
            let sorted = |words: Vec<String>| {
                let mut letters: Vec<char> = words.concat().chars().filter(|c| !"=:".contains(*c)).collect();
                letters.sort_unstable();
                letters
            };
            let normalized = normalize(&Cli::command(), words.iter().map(OsString::from).collect());
            let normalized = normalized.into_iter().map(|word| word.into_string().unwrap()).collect();
            prop_assert_eq!(sorted(words), sorted(normalized));
        }
    }
}
