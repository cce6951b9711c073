// SPDX-License-Identifier: GPL-3.0-only
//! The redaction of values that errors must not quote.

use crate::command_error::CommandError;
use crate::exit_status::ExitStatus;
use crate::line::Line;
use crate::normalize::{self, Normalized};

/// The minimum length of a redacted value in bytes: shorter ones occur in many texts by chance.
const SHORTEST: usize = 4;
/// The minimum length of a redacted secret: a shorter password may be an ordinary word of a message. No message
/// quotes a secret on purpose.
const SHORTEST_SECRET: usize = 8;
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
            if error.message.contains(value.as_str()) {
                error.message = error.message.replace(value.as_str(), "***");
                if let Some(location) = location {
                    error.message = format!("{location}: {}", error.message);
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
