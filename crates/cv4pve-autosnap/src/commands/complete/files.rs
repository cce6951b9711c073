// SPDX-License-Identifier: GPL-3.0-only
//! Candidates for paths, and the parameter files of jobs with their values.

use std::ffi::OsString;
use std::path::PathBuf;

use super::Candidate;
use crate::sensitive;
use crate::{args, normalize, response_file};

/// The folder of the jobs' parameter files, unless systemd sets `CONFIGURATION_DIRECTORY`.
const FOLDER: &str = "/etc/cv4pve-autosnap";

/// The paths that begin with the typed text; folders end in a slash.
pub(super) fn paths(typed: &str) -> Vec<Candidate> {
    let split = typed.rfind('/').map_or(0, |slash| slash + 1);
    let (folder, prefix) = typed.split_at(split);
    let listed = std::fs::read_dir(if folder.is_empty() { "." } else { folder });
    let entries = listed.into_iter().flatten().flatten();
    let mut found: Vec<Candidate> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let hidden = name.starts_with('.') && !prefix.starts_with('.');
            if hidden || !name.starts_with(prefix) {
                return None;
            }
            let slash = if entry.path().is_dir() { "/" } else { "" };
            Some(Candidate::new(format!("{folder}{name}{slash}"), ""))
        })
        .collect();
    found.sort_by(|one, other| one.word.cmp(&other.word));
    found
}

/// The candidates after `@`: the jobs' parameter files, then other files.
pub(super) fn parameter_files(typed: &str) -> Vec<Candidate> {
    let mut found = known_parameter_files();
    found.retain(|candidate| candidate.word.starts_with(typed));
    found.extend(paths(typed).into_iter().filter(may_hold_options));
    found
}

/// Whether a file may be a parameter file: files with a secret are not offered after `@`.
fn may_hold_options(candidate: &Candidate) -> bool {
    let path = std::path::Path::new(&candidate.word);
    if path.is_dir() {
        return true;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_secret = sensitive::names_secret(&name) && !name.ends_with(".conf");
    !is_secret && !response_file::holds_secret(path)
}

/// The parameter files of jobs.
pub(super) fn known_parameter_files() -> Vec<Candidate> {
    let files = job_files().into_iter();
    files
        .map(|path| Candidate::new(path.display().to_string(), "parameter file"))
        .collect()
}

/// The values of an option in the jobs' parameter files, each with the name of its file.
pub(super) fn values(option: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in job_files() {
        let name = path.file_name().unwrap_or_default().display().to_string();
        let values = read(&path).into_iter().filter_map(|argument| {
            let argument = argument.into_string().ok()?;
            let (known, value) = normalize::split(&argument);
            (known == option).then(|| value.map(|value| (value.to_owned(), name.clone())))?
        });
        found.extend(values);
    }
    found
}

/// The normalized arguments in a parameter file; none if it cannot be read.
fn read(path: &std::path::Path) -> Vec<OsString> {
    let mut argument = OsString::from("@");
    argument.push(path);
    let typed = [OsString::from("snap"), argument];
    let Ok(line) = response_file::expand(typed.into_iter()) else {
        return Vec::new();
    };
    let normalized = normalize::normalize(&args::command(), &line);
    normalized.map_or_else(|_| Vec::new(), |normalized| normalized.texts())
}

fn job_files() -> Vec<PathBuf> {
    let configured = std::env::var_os("CONFIGURATION_DIRECTORY");
    let folder = configured
        .and_then(|folders| std::env::split_paths(&folders).next())
        .unwrap_or_else(|| FOLDER.into());
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "conf")
        })
        .collect();
    files.sort_unstable();
    files
}
