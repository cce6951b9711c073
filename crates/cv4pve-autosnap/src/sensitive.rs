// SPDX-License-Identifier: GPL-3.0-only
//! Detection of possible secrets on the command line: their form, and words that name an option for a secret,
//! mistyped ones included.
//!
//! As in the library, suspicious text counts as a secret.

use std::ffi::OsStr;

use autosnap::sensitive::is_token;
pub(crate) use autosnap::sensitive::{displayed_path, looks_like_secret};

/// Names of options for secrets, without dashes.
const NAMES: [&str; 5] = ["apitoken", "password", "token", "passwd", "pwd"];
/// The maximum number of letters in which two similar names differ.
const DISTANCE: usize = 2;
/// The maximum length of names that may differ in one letter only: short names are similar to many words.
const SHORT: usize = 5;
/// The minimum number of letters at the beginning or end of a name that are recognized as the name.
const PART: usize = 3;

/// Whether the value of `--host` contains a login, as in `https://user:password@host`.
pub(crate) fn is_host_with_login(option: &str, value: &OsStr) -> bool {
    option == "host" && value.to_string_lossy().contains('@')
}

/// Whether the value of an ordinary option contains an API token, or another option with its secret.
pub(crate) fn holds_secret(value: &OsStr) -> bool {
    let text = value.to_string_lossy();
    let lower = text.to_lowercase();
    let options = ["password", "api-token"];
    let has_option = options.iter().any(|name| {
        let mut found = lower.match_indices(name);
        found.any(|(start, _)| {
            let after = &lower[start + name.len()..];
            lower[..start].ends_with('-') && after.starts_with(['=', ':', ' '])
        })
    });
    is_token(&text) || has_option
}

/// Whether a word is, perhaps mistyped, the name of an option for a secret, with or without the secret.
pub(crate) fn names_secret(text: &str) -> bool {
    let lower = text.to_lowercase();
    if lower.contains("passw") || lower.contains("token") {
        return true;
    }
    let start = lower.trim_start_matches(|sign: char| !sign.is_alphanumeric());
    let name = start.split(['=', ':', ' ']).next().unwrap_or_default();
    let name: String = name.chars().filter(|sign| sign.is_alphanumeric()).collect();
    NAMES.iter().any(|known| is_near(&name, known))
}

fn is_near(name: &str, known: &str) -> bool {
    let is_part = name.len() >= PART && (known.starts_with(name) || known.ends_with(name));
    let limit = if known.len() <= SHORT { 1 } else { DISTANCE };
    is_part || strsim::damerau_levenshtein(name, known) <= limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_names_of_secrets_are_recognised() {
        for text in [
            "api-token=x",
            "-password=x",
            "—password=x",
            "--pasword",
            "--api-tokne=x",
            "--passwor",
            "assword=x",
            "--pwd",
            "snap--password=x",
            "PASSWORD:x",
        ] {
            assert!(names_secret(text), "{text}");
        }
        for text in ["--lable", "--keap=3", "snap", "--hots=h", "--path=/", "100"] {
            assert!(!names_secret(text), "{text}");
        }
    }

    #[test]
    fn values_that_swallowed_a_secret_are_recognised() {
        for text in ["100--password=x", "h --api-token=file:t", "a@b!c=d"] {
            assert!(holds_secret(OsStr::new(text)), "{text}");
        }
        for text in ["/etc/password", "file:/etc/api-token", "@all,-100"] {
            assert!(!holds_secret(OsStr::new(text)), "{text}");
        }
    }
}
