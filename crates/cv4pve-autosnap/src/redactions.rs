// SPDX-License-Identifier: GPL-3.0-only
//! The redaction of values that errors must not quote.

use crate::exit_status::ExitStatus;

use crate::command_error::CommandError;
use crate::line::Line;
use crate::normalize::{self, Normalized};

/// The minimum length of a redacted value in bytes: shorter ones occur in many texts by chance.
const SHORTEST: usize = 4;
/// The minimum length of a redacted secret: a short password may be a word in a message. Messages never quote a
/// secret.
const SHORTEST_SECRET: usize = 8;
/// Options whose values are paths, which errors about the file name.
pub(crate) const PATHS: [&str; 5] = [
    "--script",
    "--script-hook",
    "--ca-file",
    "--write",
    "--token-file",
];

/// The values that no error may quote, each with the place that is named instead.
///
/// These are values from files, secrets, and values that look like secrets.
#[derive(Default)]
pub(crate) struct Redactions {
    values: Vec<Redaction>,
    /// The options in parameter files, with their names and places.
    places: Vec<(String, String)>,
}

struct Redaction {
    value: String,
    place: Option<String>,
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
                place: line
                    .location(argument.origin)
                    .map(|place| format!("{name} in {place}")),
                is_secret: argument.sensitive,
            })
        });
        let places = normalized.arguments.iter().filter_map(|argument| {
            let text = argument.text.to_string_lossy();
            let name = normalize::split(&text).0.to_owned();
            Some((name, line.location(argument.origin)?))
        });
        Self {
            values: values.collect(),
            places: places.collect(),
        }
    }

    /// Redacts the values in an error, and adds the place of the option with the wrong value. Errors of PVE or a host
    /// keep values that are not secret.
    pub(crate) fn apply(&self, error: CommandError) -> CommandError {
        let option = error.option;
        let error = self.redacted(error);
        let mut places = self.places.iter();
        match places.find(|(name, _)| option.is_some_and(|option| is_option(name, option))) {
            Some((_, place)) if !error.message.contains(place.as_str()) => CommandError {
                message: format!(
                    "{} in {place}: {}",
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
            place,
            is_secret,
        } in &self.values
        {
            if !is_secret && error.exit != ExitStatus::Usage {
                continue;
            }
            if error.message.contains(value.as_str()) {
                error.message = error.message.replace(value.as_str(), "***");
                if let Some(place) = place {
                    error.message = format!("{}: {}", place, error.message);
                }
            }
            error.hint = error.hint.map(|hint| hint.replace(value.as_str(), "***"));
        }
        error
    }
}

/// Whether a name is a spelling of the option.
fn is_option(name: &str, option: &str) -> bool {
    name == option || option == "--script" && name == "--script-hook"
}
