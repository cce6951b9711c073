// SPDX-License-Identifier: GPL-3.0-only
//! Checks of a command line before clap parses it: notices about it, and paths that begin with `~`.

use std::path::{Path, PathBuf};

use crate::command_error::CommandError;
use crate::line::Line;
use crate::normalize::{self, Normalized};
use crate::redactions::PATHS;
use autosnap::notice::Notice;

/// Options whose values are secrets, or `file:PATH`.
const SECRETS: [&str; 2] = ["--api-token", "--password"];

/// The notices about the line.
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

/// Refuses a path that begins with `~`: a shell replaces it at the beginning of a word only, and never in a
/// parameter file. If a file of exactly this name exists, the path is valid.
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
            let location = line.location_suffix(argument.origin);
            let file = if SECRETS.contains(&name) { "file:" } else { "" };
            return Err(CommandError::usage(format!(
                "the path of '{name}'{location} begins with ~, which only a shell expands, and only at the beginning of a word"
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
