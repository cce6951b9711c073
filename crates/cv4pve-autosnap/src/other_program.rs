// SPDX-License-Identifier: GPL-3.0-only
//! Other programs named `cv4pve-autosnap` on this machine, such as the C# tool.
//!
//! Crontabs often call the C# tool by its full path, so that a package in `/usr/bin` changes nothing for them. Other
//! programs are found by their path and never run. Limit: only the folders in `PATH` of this process and
//! `/usr/local/bin` are searched.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::help::PROGRAM;
use autosnap::notice::Notice;

/// The folder of the C# tool in most published crontabs.
const USUAL_FOLDER: &str = "/usr/local/bin";
/// How many bytes of a program are searched for its version. The C# tool has 70 MB.
const SEARCH_LIMIT: u64 = 128 * 1024 * 1024;

/// A warning for each other program of this name.
pub fn notices() -> Vec<Notice> {
    let Ok(own) = std::env::current_exe() else {
        return Vec::new();
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let others = others(&own, &path);
    others.iter().map(|other| notice(other, &own)).collect()
}

fn notice(other: &Path, own: &Path) -> Notice {
    let version = version(other).map(|version| format!(" ({version})"));
    let version = version.unwrap_or_default();
    let (other, own) = (other.display(), own.display());
    Notice::warning(
        "other-program",
        format!(
            "there is another {PROGRAM}{version}: {other}; lines that call it there, or by its name where its folder comes first in \
             PATH, do not run this program, {own}; take away what updates it, then put a link in its place: ln -sf '{own}' '{other}'"
        ),
    )
}

/// The other programs of this name in the folders of `PATH` and in [`USUAL_FOLDER`], each once.
fn others(own: &Path, path: &OsStr) -> Vec<PathBuf> {
    let own = std::fs::canonicalize(own).unwrap_or_else(|_| own.to_owned());
    let name = format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX);
    let folders = std::env::split_paths(path).chain([PathBuf::from(USUAL_FOLDER)]);
    let mut seen = vec![own];
    let mut found = Vec::new();
    for folder in folders.filter(|folder| folder.is_absolute()) {
        let file = folder.join(&name);
        let Some(real) = std::fs::canonicalize(&file)
            .ok()
            .filter(|_| is_program(&file))
        else {
            continue;
        };
        if !seen.contains(&real) {
            seen.push(real);
            found.push(file);
        }
    }
    found
}

#[cfg(unix)]
fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    let metadata = std::fs::metadata(file);
    metadata.is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &Path) -> bool {
    file.is_file()
}

/// Finds the version in a program file: `cv4pve-autosnap/1.17.0` in the C# tool's list of assemblies,
/// `cv4pve-autosnap 3.0.0` in this program.
fn version(file: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    let file = File::open(file).ok()?;
    file.take(SEARCH_LIMIT).read_to_end(&mut bytes).ok()?;
    let name = PROGRAM.as_bytes();
    let mut rest = bytes.as_slice();
    while let Some(position) = rest.iter().position(|byte| *byte == name[0]) {
        rest = &rest[position..];
        if let Some(version) = rest.strip_prefix(name).and_then(version_after_name) {
            return Some(version);
        }
        rest = &rest[1..];
    }
    None
}

/// Parses `1.17.0` from `/1.17.0": {`. A version begins with a digit and contains a dot.
fn version_after_name(text: &[u8]) -> Option<String> {
    let ([b'/' | b' '], rest) = text.split_at_checked(1)? else {
        return None;
    };
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let version: Vec<u8> = rest.iter().copied().take_while(is_part).take(30).collect();
    let version = String::from_utf8(version).ok()?;
    let is_version =
        version.starts_with(|sign: char| sign.is_ascii_digit()) && version.contains('.');
    is_version.then_some(version)
}
