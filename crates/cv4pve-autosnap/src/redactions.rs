// SPDX-License-Identifier: GPL-3.0-only
//! The redaction of values that errors must not quote.

use autosnap_core::retention::Period;

use crate::command_error::CommandError;
use crate::exit_status::ExitStatus;
use crate::line::Line;
use crate::normalize::{self, Normalized};

/// The minimum length of a redacted value in bytes: shorter ones occur in many texts by chance.
const SHORTEST: usize = 4;
/// The minimum length of a redacted secret: a shorter password may be an ordinary word of a message. No message
/// quotes a secret on purpose.
const SHORTEST_SECRET: usize = 8;
/// What the names of all keep rules begin with.
const RULE: &str = "keep-";
/// Options whose values are paths: errors about the file name them.
pub(crate) const PATHS: [&str; 5] = [
    "--script",
    "--script-hook",
    "--ca-file",
    "--write",
    "--token-file",
];

/// The values that no error may quote: values from files, secrets, and values that look like secrets.
///
/// An error names the location of the value instead.
#[derive(Default)]
pub(crate) struct Redactions {
    values: Vec<Redaction>,
    /// The names and locations of all options in parameter files.
    locations: Vec<(String, String)>,
}

struct Redaction {
    value: String,
    /// The option and its location; `None` on the command line.
    location: Option<String>,
    is_secret: bool,
}

impl Redactions {
    pub(crate) fn new(normalized: &Normalized, line: &Line) -> Self {
        let values = normalized.arguments.iter().filter_map(|argument| {
            let text = argument.text.to_string_lossy();
            let (name, value) = normalize::split(&text);
            let value = value.unwrap_or_default().trim();
            let is_file = value.starts_with("file:");
            let may_be_quoted = argument.origin.is_typed() && !argument.sensitive;
            let is_path = PATHS.contains(&name) && !argument.sensitive;
            let shortest = if argument.sensitive {
                SHORTEST_SECRET
            } else {
                SHORTEST
            };
            if value.len() < shortest || is_file || may_be_quoted || is_path {
                return None;
            }
            Some(Redaction {
                value: value.to_owned(),
                location: line
                    .location(argument.origin)
                    .map(|location| format!("{name} in {location}")),
                is_secret: argument.sensitive,
            })
        });
        let locations = normalized.arguments.iter().filter_map(|argument| {
            let text = argument.text.to_string_lossy();
            let name = normalize::split(&text).0.to_owned();
            Some((name, line.location(argument.origin)?))
        });
        Self {
            values: values.collect(),
            locations: locations.collect(),
        }
    }

    /// Redacts the values in an error, and adds the location of the option with the wrong value. Errors of PVE or a
    /// host keep values that are not secret.
    pub(crate) fn apply(&self, error: CommandError) -> CommandError {
        let option = error.option;
        let error = self.redacted(error);
        let mut locations = self.locations.iter();
        match locations.find(|(name, _)| option.is_some_and(|option| is_option(name, option))) {
            Some((_, location)) if !error.message.contains(location.as_str()) => CommandError {
                message: format!(
                    "{} in {location}: {}",
                    option.unwrap_or_default(),
                    error.message
                ),
                ..error
            },
            _ => error,
        }
    }

    fn redacted(&self, mut error: CommandError) -> CommandError {
        for Redaction {
            value,
            location,
            is_secret,
        } in &self.values
        {
            if !is_secret && error.exit != ExitStatus::Usage {
                continue;
            }
            if let Some(message) = without(&error.message, value) {
                error.message = message;
                if let Some(location) = location {
                    error.message = format!("{location}: {}", error.message);
                }
            }
            error.hint = error.hint.map(|hint| without(&hint, value).unwrap_or(hint));
        }
        error
    }
}

/// The text with `***` in place of a value; `None` if it does not contain the value.
///
/// The names of keep rules stay: `daily`, a common label, is no value in `--keep-daily`.
fn without(text: &str, value: &str) -> Option<String> {
    let is_rule = Period::ALL
        .iter()
        .any(|period| period.key().strip_prefix(RULE) == Some(value));
    let mut rest = text;
    let mut redacted = String::new();
    let mut is_found = false;
    while let Some(position) = rest.find(value) {
        let (before, after) = rest.split_at(position);
        redacted.push_str(before);
        if is_rule && before.ends_with(RULE) {
            redacted.push_str(value);
        } else {
            redacted.push_str("***");
            is_found = true;
        }
        rest = &after[value.len()..];
    }
    redacted.push_str(rest);
    is_found.then_some(redacted)
}

/// Whether a name is a spelling of the option.
fn is_option(name: &str, option: &str) -> bool {
    name == option || option == "--script" && name == "--script-hook"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_redacted_but_not_the_name_of_a_rule() {
        for (text, value, expected) in [
            (
                "--keep=7 and --keep-daily exclude each other",
                "daily",
                None,
            ),
            (
                "label daily and --keep-daily",
                "daily",
                Some("label *** and --keep-daily"),
            ),
            ("--keep-secret", "secret", Some("--keep-***")),
            ("nothing", "daily", None),
        ] {
            assert_eq!(without(text, value).as_deref(), expected, "{text}");
        }
    }
}
