// SPDX-License-Identifier: GPL-3.0-only
//! Checks of the options and files of this machine, without a connection: notices about them, and the
//! redaction of values that errors must not quote.

use std::path::{Path, PathBuf};

use autosnap_core::outcome::ExitStatus;

use crate::args::Command;
use crate::command_error::CommandError;
use crate::input_file;
use crate::line::Line;
use crate::normalize::{self, Normalized};
use autosnap::notice::Notice;

/// Shorter values, in bytes, are not redacted: they occur in many texts by chance.
const SHORTEST: usize = 4;
/// The same for secrets: a short password may be a word of our own messages, none of which quotes the
/// secret itself.
const SHORTEST_SECRET: usize = 8;
/// Options whose values are secrets, or `file:PATH`.
const SECRETS: [&str; 2] = ["--api-token", "--password"];
/// Options whose values are paths, which errors about the file name.
const PATHS: [&str; 5] = [
    "--script",
    "--script-hook",
    "--ca-file",
    "--write",
    "--token-file",
];

/// Notices about the line itself.
pub(super) fn notices(command: &str, normalized: &Normalized) -> Vec<Notice> {
    let unused = normalized.unused.iter().map(|option| {
        Notice::warning(
            "unused-option",
            format!("'{command}' does not use {option}"),
        )
    });
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    // The mode of systemd's credentials shows a group, but only the service can read them.
    let is_credential = |path: &Path| {
        let credentials = credentials.as_deref();
        credentials.is_some_and(|folder| path.starts_with(folder))
    };
    let mut exposed = normalized.exposed.clone();
    exposed.dedup();
    exposed.retain(|path| !is_credential(path));
    let exposed = exposed.iter().map(|path| {
        let path = path.display();
        let quoted = path.to_string().replace('\'', r"'\''");
        Notice::warning(
            "readable-parameter-file",
            format!("parameter file {path} holds a secret and can be read by other users; run: chmod 600 '{quoted}'"),
        )
    });
    unused.chain(exposed).collect()
}

/// A notice if other users can change the hook, which runs with the rights of this user.
pub(super) fn hook_notice(command: &Command) -> Option<Notice> {
    let script = match command {
        Command::Snap(args) => args.job.script.as_deref(),
        Command::Clean(args) => args.job.script.as_deref(),
        Command::Check(args) => args.job.script.as_deref(),
        Command::Status(_)
        | Command::Setup(_)
        | Command::Fingerprint(_)
        | Command::Completions(_)
        | Command::Complete
        | Command::Manual(_) => None,
        #[cfg(feature = "demo")]
        Command::Demo(_) => None,
    };
    let script = script.filter(|script| input_file::others_can_write(script))?;
    let path = script.display();
    Some(Notice::warning(
        "writable-hook",
        format!("hook script {path} can be changed by other users; run: chmod go-w '{path}'"),
    ))
}

/// Refuses a path that begins with `~`, which a shell replaces at the beginning of a word only, and nobody in a
/// parameter file. A file of that very name is meant where there is one.
pub(super) fn check_home(normalized: &Normalized, line: &Line) -> Result<(), CommandError> {
    for argument in &normalized.arguments {
        let text = argument.text.to_string_lossy();
        let (name, value) = normalize::split(&text);
        let value = value.unwrap_or_default().trim().trim_matches(['"', '\'']);
        let path = match value.strip_prefix("file:") {
            Some(path) if SECRETS.contains(&name) => path,
            _ if PATHS.contains(&name) => value,
            _ => continue,
        };
        if path.starts_with('~') && !Path::new(path).exists() {
            let place = line.place(argument.origin);
            let place = place
                .map(|place| format!(" in {place}"))
                .unwrap_or_default();
            let file = if SECRETS.contains(&name) { "file:" } else { "" };
            return Err(CommandError::usage(format!(
                "the path of '{name}'{place} begins with ~, which only a shell replaces, and only at the beginning of a word"
            ))
            .with_hint(if argument.origin.is_typed() {
                format!("write {name}={file}\"$HOME/…\", or the whole path")
            } else {
                "write the whole path".to_owned()
            }));
        }
    }
    Ok(())
}

/// Values that no error may quote, each with the place that is named instead.
///
/// Values from files, secrets, and values that look like secrets are redacted.
#[derive(Default)]
pub(super) struct Redactions {
    values: Vec<Redaction>,
    /// The options that stand in parameter files, with their names and places.
    places: Vec<(String, String)>,
}

struct Redaction {
    value: String,
    place: Option<String>,
    is_secret: bool,
}

impl Redactions {
    pub(super) fn new(normalized: &Normalized, line: &Line) -> Self {
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
                    .place(argument.origin)
                    .map(|place| format!("{name} in {place}")),
                is_secret: argument.sensitive,
            })
        });
        let places = normalized.arguments.iter().filter_map(|argument| {
            let text = argument.text.to_string_lossy();
            let name = normalize::split(&text).0.to_owned();
            Some((name, line.place(argument.origin)?))
        });
        Self {
            values: values.collect(),
            places: places.collect(),
        }
    }

    /// Redacts the values in an error, and adds the place of the option that is to blame. Errors of PVE or a host keep
    /// values that are not secret.
    pub(super) fn apply(&self, error: CommandError) -> CommandError {
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
