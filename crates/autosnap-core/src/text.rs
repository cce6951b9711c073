// SPDX-License-Identifier: GPL-3.0-only
//! Escaping of untrusted text (names, Proxmox VE's messages, output of hooks), and the format of durations.
//!
//! Untrusted text can contain terminal control characters (ESC, CR), line breaks that forge lines, and
//! characters that change its appearance (bidirectional marks, invisible characters). Such characters
//! are escaped by their number: `\u{1b}`. Backslashes are not escaped, so escaping is idempotent.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

/// The text on one line: all unprintable characters are escaped, including line breaks and tabs.
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

/// The first `length` characters of the text, on one line. `…` stands for the others.
///
/// Proxmox VE does not limit the length of some texts, such as descriptions.
///
/// ```
/// use autosnap_core::text::excerpt;
///
/// assert_eq!(excerpt("web01", 5), "web01");
/// assert_eq!(excerpt("web\n01", 4), "web\\n…");
/// ```
pub fn excerpt(text: &str, length: usize) -> Cow<'_, str> {
    match text.char_indices().nth(length) {
        Some((end, _)) => Cow::Owned(format!("{}…", one_line(&text[..end]))),
        None => one_line(text),
    }
}

/// The text with all unprintable characters escaped, except line breaks and tabs. CRLF becomes LF.
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

/// A duration for messages, with its two largest units: `12s`, `3m 20s`, `2h 5m`.
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(autosnap_core::text::duration(Duration::from_secs(200)), "3m 20s");
/// ```
pub fn duration(duration: Duration) -> String {
    let rounded = duration.as_secs() + u64::from(duration.subsec_millis() >= 500);
    let (hours, minutes, seconds) = (rounded / 3600, rounded / 60 % 60, rounded % 60);
    match (hours, minutes, seconds) {
        (0, 0, 0) if !duration.is_zero() => "less than 1s".to_owned(),
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, seconds) => format!("{minutes}m {seconds}s"),
        (hours, 0, _) => format!("{hours}h"),
        (hours, minutes, _) => format!("{hours}h {minutes}m"),
    }
}

fn escaped(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_safe = |character: char| is_printable(character) || keep(character);
    if is_printable_ascii(text) || text.chars().all(is_safe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            character if is_safe(character) => safe.push(character),
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            other => {
                write!(safe, "\\u{{{:x}}}", u32::from(other))
                    .expect("writing to a string cannot fail");
            }
        }
    }
    Cow::Owned(safe)
}

/// A JSON document with all unprintable characters escaped.
///
/// Serializers escape only what JSON requires. A JSON parser reads the same values before and after.
///
/// ```
/// assert_eq!(autosnap_core::text::json("{\"a\": \"\u{9b}2J\"}\n"), "{\"a\": \"\\u009b2J\"}\n");
/// ```
pub fn json(document: &str) -> Cow<'_, str> {
    let is_safe = |character: char| is_printable(character) || character == '\n';
    if document.chars().all(is_safe) {
        return Cow::Borrowed(document);
    }
    let mut safe = String::with_capacity(document.len() + 16);
    for character in document.chars() {
        if is_safe(character) {
            safe.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(safe, "\\u{unit:04x}").expect("writing to a string cannot fail");
            }
        }
    }
    Cow::Owned(safe)
}

/// Whether the text consists of printable ASCII, as almost all texts do.
fn is_printable_ascii(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Whether the character is printable.
///
/// Control characters, bidirectional marks, line separators and invisible characters are not.
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

/// The text as one word for a POSIX shell, in single quotes if needed.
///
/// A text with unprintable characters cannot be pasted: the result is `placeholder`.
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

    #[test]
    fn an_excerpt_ends_with_an_ellipsis_only_if_the_text_is_longer() {
        assert_eq!(excerpt("abc", 3), "abc");
        assert_eq!(excerpt("abcd", 3), "abc…");
        assert_eq!(excerpt("", 0), "");
        assert_eq!(excerpt("äöü", 2), "äö…");
    }

    #[test]
    fn unprintable_characters_are_escaped() {
        for (text, on_one_line, on_lines) in [
            ("", "", ""),
            ("web01 ü", "web01 ü", "web01 ü"),
            ("a\nb", "a\\nb", "a\nb"),
            ("a\tb", "a\\tb", "a\tb"),
            ("a\rb", "a\\rb", "a\\rb"),
            ("a\r\nb", "a\\r\\nb", "a\nb"),
            ("\u{1b}[2J", "\\u{1b}[2J", "\\u{1b}[2J"),
            ("\u{9b}", "\\u{9b}", "\\u{9b}"),
            (
                "x\u{202e}y\u{2028}",
                "x\\u{202e}y\\u{2028}",
                "x\\u{202e}y\\u{2028}",
            ),
            (r"C:\u{1b}", r"C:\u{1b}", r"C:\u{1b}"),
        ] {
            assert_eq!(one_line(text), on_one_line, "{text:?}");
            assert_eq!(lines(text), on_lines, "{text:?}");
        }
    }

    #[test]
    fn durations_have_their_two_largest_units() {
        for (milliseconds, expected) in [
            (0, "0s"),
            (499, "less than 1s"),
            (500, "1s"),
            (1_499, "1s"),
            (1_500, "2s"),
            (59_499, "59s"),
            (59_500, "1m"),
            (61_000, "1m 1s"),
            (200_000, "3m 20s"),
            (3_599_499, "59m 59s"),
            (3_599_500, "1h"),
            (3_660_000, "1h 1m"),
            (7_500_000, "2h 5m"),
            (90_059_000, "25h"),
        ] {
            let text = duration(Duration::from_millis(milliseconds));
            assert_eq!(text, expected, "{milliseconds}");
        }
    }

    #[test]
    fn json_is_escaped_outside_of_line_breaks() {
        for (document, expected) in [
            ("{\"a\": \"ü\"}\n", "{\"a\": \"ü\"}\n"),
            ("\"\u{9b}2J\"\n", "\"\\u009b2J\"\n"),
            ("\"\u{7f}\u{e0001}\"", "\"\\u007f\\udb40\\udc01\""),
        ] {
            assert_eq!(json(document), expected);
        }
    }

    #[test]
    fn a_shell_word_is_quoted_only_if_needed() {
        for (text, expected) in [
            ("autodaily1", "autodaily1"),
            ("a_b-c.d/e:f,g@h+i%", "a_b-c.d/e:f,g@h+i%"),
            ("", "''"),
            ("-x", "'-x'"),
            ("a b", "'a b'"),
            ("it's; reboot", r"'it'\''s; reboot'"),
            ("ü", "'ü'"),
            ("a\nreboot", "X"),
        ] {
            assert_eq!(shell_word(text, "X"), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn one_line_has_no_control_characters(text in any::<String>()) {
            let safe = one_line(&text).into_owned();
            prop_assert!(safe.chars().all(is_printable), "{safe:?}");
            prop_assert_eq!(one_line(&safe), safe.as_str());
        }

        #[test]
        fn lines_keep_only_line_breaks_and_tabs_of_the_control_characters(text in "(\\PC|[\\x00-\\x1f\\x7f-\\x9f\u{202e}\u{2028}]){0,40}") {
            let safe = lines(&text).into_owned();
            let is_safe = |character| is_printable(character) || matches!(character, '\n' | '\t');
            prop_assert!(safe.chars().all(is_safe), "{safe:?}");
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
