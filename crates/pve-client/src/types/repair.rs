// SPDX-License-Identifier: GPL-3.0-only
//! Repairs almost valid JSON, so that one invalid byte in one entry does not hide all other entries.
//!
//! Perl's encoder writes `nan` and `inf` as bare words, and does not replace invalid UTF-8. Every invalid part
//! becomes the replacement character U+FFFD, never a value that could be mistaken for real data: a bare word
//! becomes the text `"\u{fffd}"`, which is not a number, a name or a pool.
//!
//! Used only after the strict parser has failed.

use serde::de::IgnoredAny;

/// The character that replaces invalid parts.
pub(crate) const REPLACEMENT: char = '\u{fffd}';

/// Replaces every part that JSON does not allow, as far as the structure of the text can be recognized.
pub(crate) fn repair(json: &[u8]) -> String {
    let text = String::from_utf8_lossy(json);
    let mut output = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(first) = rest.chars().next() {
        rest = if first == '"' {
            copy_string(&rest[1..], &mut output)
        } else if is_word(first) {
            let end = rest.find(|character| !is_word(character));
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            let is_json = serde_json::from_str::<IgnoredAny>(word).is_ok();
            output.push_str(if is_json { word } else { "\"\u{fffd}\"" });
            after
        } else {
            output.push(first);
            &rest[first.len_utf8()..]
        };
    }
    output
}

/// Whether the character can be part of a number or literal, valid or not.
fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || matches!(character, '+' | '-' | '.' | '#' | '_')
        || character == REPLACEMENT
}

/// Copies a string up to its closing quotation mark; returns what follows.
fn copy_string<'a>(text: &'a str, output: &mut String) -> &'a str {
    output.push('"');
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        match first {
            '"' => {
                output.push('"');
                return rest;
            }
            '\\' => rest = copy_escape(rest, output),
            control if control < ' ' => {
                output.push_str("\\u00");
                let digit = |number: u32| char::from_digit(number, 16).unwrap_or('0');
                output.push(digit(u32::from(control) >> 4));
                output.push(digit(u32::from(control) & 15));
            }
            other => output.push(other),
        }
    }
    rest
}

/// Copies an escape sequence without its backslash, if it is valid; returns what follows.
fn copy_escape<'a>(text: &'a str, output: &mut String) -> &'a str {
    if let Some(simple) = text
        .chars()
        .next()
        .filter(|one| "\"\\/bfnrt".contains(*one))
    {
        output.push('\\');
        output.push(simple);
        return &text[1..];
    }
    let Some(unit) = parse_unicode_escape(text) else {
        output.push(REPLACEMENT);
        return text;
    };
    let (own, after) = text.split_at(5);
    let second = after.strip_prefix('\\').and_then(parse_unicode_escape);
    match (unit, second) {
        (0xd800..0xdc00, Some(0xdc00..0xe000)) => {
            let (pair, after) = text.split_at(11);
            output.push('\\');
            output.push_str(pair);
            after
        }
        // Half of a surrogate pair is not a character.
        (0xd800..0xe000, _) => {
            output.push(REPLACEMENT);
            after
        }
        _ => {
            output.push('\\');
            output.push_str(own);
            after
        }
    }
}

/// Parses `u` and four hexadecimal digits.
fn parse_unicode_escape(text: &str) -> Option<u32> {
    let digits = text.strip_prefix('u')?.get(..4)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain
        .then(|| u32::from_str_radix(digits, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn check(json: &[u8], expected: &str) {
        let repaired = repair(json);
        assert_eq!(repaired, expected);
        serde_json::from_str::<Value>(&repaired).unwrap();
    }

    #[test]
    fn invalid_parts_become_the_replacement_character() {
        check(
            b"{\"a\":NaN,\"b\":[-inf,1e5]}",
            "{\"a\":\"\u{fffd}\",\"b\":[\"\u{fffd}\",1e5]}",
        );
        check(
            b"[1.#QNAN, nan, +1, 007, .5]",
            "[\"\u{fffd}\", \"\u{fffd}\", \"\u{fffd}\", \"\u{fffd}\", \"\u{fffd}\"]",
        );
        check(b"[\"w\xffb\", \"NaN\"]", "[\"w\u{fffd}b\", \"NaN\"]");
        check(b"[\"a\nb\"]", "[\"a\\u000ab\"]");
        check(
            b"[\"\\x \\ud800 \\udc00\"]",
            "[\"\u{fffd}x \u{fffd} \u{fffd}\"]",
        );
        check(
            b"[\"\\ud83d\\ude00 \\\\ \\u00e4\"]",
            "[\"\\ud83d\\ude00 \\\\ \\u00e4\"]",
        );
    }

    proptest! {
        #[test]
        fn valid_json_is_not_changed(text in "\\PC*", number: i64, fraction: f64) {
            let value = serde_json::json!({"a": [text, number, fraction, true, null]}).to_string();
            prop_assert_eq!(repair(value.as_bytes()), value);
        }

        #[test]
        fn any_bytes_are_repaired_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let once = repair(&bytes);
            prop_assert_eq!(repair(once.as_bytes()), once);
        }
    }
}
