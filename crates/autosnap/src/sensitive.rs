// SPDX-License-Identifier: GPL-3.0-only
//! Detection of possible secrets, which must not be quoted: text in the form of a token or an encrypted
//! password, and words that name an option for a secret, mistyped ones included.
//!
//! A false positive only makes a message less specific, a false negative may disclose a secret. So doubtful
//! text counts as a secret.

use std::ffi::OsStr;
use std::path::Path;

/// Names under which people give secrets, without dashes.
const NAMES: [&str; 5] = ["apitoken", "password", "token", "passwd", "pwd"];
/// How many letters two names may differ in.
const DISTANCE: usize = 2;
/// Names of at most this length allow one difference only: they are close to many words.
const SHORT: usize = 5;
/// From how many letters on the beginning or the end of a name counts as the name.
const PART: usize = 3;

/// Whether a text has the form of a secret: `USER@REALM!ID=…`, a UUID, an encrypted password.
pub fn looks_like_secret(text: &str) -> bool {
    let text = text.trim_matches(['"', '\'', ' ']);
    text.starts_with("v2:") || is_token(text) || holds_uuid(text)
}

/// A path for messages, without a file name that looks like a secret: then a secret was given where a file
/// is expected.
pub fn displayed_path(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if looks_like_secret(&name) {
        "(not quoted: its name looks like a secret)".to_owned()
    } else {
        path.display().to_string()
    }
}

/// Whether the value of `--host` holds a login, as in `https://user:password@host`.
pub fn is_host_with_login(option: &str, value: &OsStr) -> bool {
    option == "host" && value.to_string_lossy().contains('@')
}

/// Whether the value of an ordinary option contains an API token, or another option with its secret.
pub fn holds_secret(value: &OsStr) -> bool {
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
pub fn names_secret(text: &str) -> bool {
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

/// `…!…=…` or `…!…:…`.
fn is_token(text: &str) -> bool {
    text.split_once('!')
        .is_some_and(|(_, rest)| rest.contains(['=', ':']))
}

/// Hexadecimal digits in groups of 8, 4, 4, 4 and 12, perhaps with a digit too few.
fn holds_uuid(text: &str) -> bool {
    let is_digit = |sign: char| sign.is_ascii_hexdigit() || sign == '-';
    text.split(|sign| !is_digit(sign)).any(|run| {
        let digits = run.chars().filter(|sign| *sign != '-').count();
        digits >= 24
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_recognised_by_their_form() {
        let uuid = "22222222-2222-4222-8222-222222222222";
        for text in [
            "root@pam!snap=x",
            "root@pam!snap:x",
            "v2:AAECAw==",
            uuid,
            &format!("\"x={uuid}\""),
            &uuid[2..],
        ] {
            assert!(looks_like_secret(text), "{text}");
        }
        for text in ["daily", "root@pam", "100,101", "@all,-105", "2026-11-28"] {
            assert!(!looks_like_secret(text), "{text}");
        }
    }

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
