// SPDX-License-Identifier: GPL-3.0-only
//! Text from outside (names, Proxmox VE's messages, output of hooks), made safe to print and to
//! paste.
//!
//! Untrusted text can contain terminal control characters (ESC, CR), line breaks, which forge lines, and
//! characters that make it look different (bidirectional marks, invisible characters). Such characters
//! are escaped by their number: `\u{1b}`. Backslashes are not escaped, so that escaping is idempotent.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

/// The text on one line: every unprintable character is escaped, line breaks and tabs included.
///
/// ```
/// use autosnap_core::text::one_line;
///
/// assert_eq!(one_line("web01"), "web01");
/// assert_eq!(one_line("a\r\nb\u{1b}[2J\u{202e}c"), "a\\r\\nb\\u{1b}[2J\\u{202e}c");
/// ```
pub fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// The same, but line breaks and tabs are kept. Line breaks of Windows become those of Unix.
///
/// ```
/// assert_eq!(autosnap_core::text::lines("a\r\n\tb\rc"), "a\n\tb\\rc");
/// ```
pub fn lines(text: &str) -> Cow<'_, str> {
    let keep = |character| matches!(character, '\n' | '\t');
    if text.contains("\r\n") {
        let text = text.replace("\r\n", "\n");
        Cow::Owned(escaped(&text, keep).into_owned())
    } else {
        escaped(text, keep)
    }
}

/// A duration for people, with its two largest units: `12 s`, `3 min 20 s`, `2 h 5 min`.
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(autosnap_core::text::duration(Duration::from_secs(200)), "3 min 20 s");
/// ```
pub fn duration(duration: Duration) -> String {
    let rounded = duration.as_secs() + u64::from(duration.subsec_millis() >= 500);
    let (hours, minutes, seconds) = (rounded / 3600, rounded / 60 % 60, rounded % 60);
    match (hours, minutes, seconds) {
        (0, 0, 0) if !duration.is_zero() => "less than 1 s".to_owned(),
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, 0, _) => format!("{hours} h"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

fn escaped(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_fine = |character: char| is_printable(character) || keep(character);
    if text.chars().all(is_fine) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            fine if is_fine(fine) => safe.push(fine),
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            other => {
                write!(safe, "\\u{{{:x}}}", u32::from(other)).expect("a string takes every text");
            }
        }
    }
    Cow::Owned(safe)
}

/// A JSON document with all unprintable characters escaped. Serializers escape only what JSON requires; a
/// JSON parser reads the same document from both.
///
/// ```
/// assert_eq!(autosnap_core::text::json("{\"a\": \"\u{9b}2J\"}\n"), "{\"a\": \"\\u009b2J\"}\n");
/// ```
pub fn json(document: &str) -> Cow<'_, str> {
    let is_fine = |character: char| is_printable(character) || character == '\n';
    if document.chars().all(is_fine) {
        return Cow::Borrowed(document);
    }
    let mut safe = String::with_capacity(document.len() + 16);
    for character in document.chars() {
        if is_fine(character) {
            safe.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(safe, "\\u{unit:04x}").expect("a string takes every text");
            }
        }
    }
    Cow::Owned(safe)
}

/// Whether the character is printable: not a control character, a bidirectional mark, a line separator,
/// or an invisible character.
pub fn is_printable(character: char) -> bool {
    !character.is_control()
        && !matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// The text as one word for a POSIX shell, in single quotes if it needs them. A text with unprintable
/// characters cannot be pasted: `placeholder` is returned instead.
///
/// ```
/// use autosnap_core::text::shell_word;
///
/// assert_eq!(shell_word("autodaily1", "SNAPSHOT"), "autodaily1");
/// assert_eq!(shell_word("it's; reboot", "SNAPSHOT"), r"'it'\''s; reboot'");
/// assert_eq!(shell_word("a\nreboot", "SNAPSHOT"), "SNAPSHOT");
/// ```
pub fn shell_word<'a>(text: &'a str, placeholder: &'a str) -> Cow<'a, str> {
    let is_plain = |character: char| {
        character.is_ascii_alphanumeric()
            || matches!(
                character,
                '_' | '-' | '.' | '/' | ':' | ',' | '@' | '+' | '%'
            )
    };
    if !text.chars().all(is_printable) {
        Cow::Borrowed(placeholder)
    } else if !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn one_line_has_no_control_characters(text in any::<String>()) {
            let safe = one_line(&text).into_owned();
            prop_assert!(safe.chars().all(is_printable), "{safe:?}");
            prop_assert_eq!(one_line(&safe), safe.as_str());
        }

        #[test]
        fn lines_have_no_others_than_line_breaks_and_tabs(text in "(\\PC|[\\x00-\\x1f\\x7f-\\x9f\u{202e}\u{2028}]){0,40}") {
            let safe = lines(&text).into_owned();
            let fine = |character| is_printable(character) || matches!(character, '\n' | '\t');
            prop_assert!(safe.chars().all(fine), "{safe:?}");
        }

        #[test]
        fn a_shell_word_has_no_quote_that_ends_it(text in "[ -~]{0,20}") {
            let word = shell_word(&text, "X").into_owned();
            if let Some(inner) = word.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
                prop_assert_eq!(inner.replace(r"'\''", "'"), text);
            } else {
                prop_assert_eq!(word, text);
            }
        }
    }
}
