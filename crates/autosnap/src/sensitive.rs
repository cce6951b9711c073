// SPDX-License-Identifier: GPL-3.0-only
//! Detection of text in the form of a token or an encrypted password, which no message may quote.
//!
//! A false positive only makes a message less specific, a false negative may disclose a secret. So suspicious
//! text counts as a secret.

use std::path::Path;

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

/// Whether a text contains an API token: `…!…=…` or `…!…:…`.
pub fn is_token(text: &str) -> bool {
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
}
