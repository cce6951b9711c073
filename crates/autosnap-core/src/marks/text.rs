// SPDX-License-Identifier: GPL-3.0-only
//! The text of a mark, and its escaped form on one line.
//!
//! Escaped are backslashes (`\\`), line breaks and tabs (`\n`, `\r`, `\t`), and as `\u{…}` all other characters that
//! cannot be printed, white space other than the blank, and a blank at either end: PVE cuts white space at the end of a
//! description. The escaped form of a text is never empty.

use std::fmt::{self, Write};

use crate::text::is_printable;

/// The longest text of a mark, in characters.
pub const MAX_TEXT_LENGTH: usize = 500;

/// A text for people: a note, or the reason of a hold. It is not empty and may have several lines.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MarkText(String);

/// Why a text cannot be that of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarkTextError {
    /// It is empty or blank.
    #[error("the text must not be empty")]
    Empty,
    /// It is too long.
    #[error("the text must have at most {MAX_TEXT_LENGTH} characters, it has {0}")]
    TooLong(usize),
}

impl MarkText {
    /// Creates a text as it was typed; white space at its ends is cut.
    pub fn parse(text: &str) -> Result<Self, MarkTextError> {
        let text = text.trim();
        match text.chars().count() {
            0 => Err(MarkTextError::Empty),
            length if length > MAX_TEXT_LENGTH => Err(MarkTextError::TooLong(length)),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// Reads the escaped form; `None` if it is empty or an escape is invalid. A longer text than [`MAX_TEXT_LENGTH`]
    /// is read: it was typed in PVE.
    pub(super) fn from_escaped(escaped: &str) -> Option<Self> {
        let mut text = String::with_capacity(escaped.len());
        let mut rest = escaped;
        while let Some((before, after)) = rest.split_once('\\') {
            text.push_str(before);
            let mut characters = after.chars();
            let (character, remaining) = match characters.next()? {
                '\\' => ('\\', characters.as_str()),
                'n' => ('\n', characters.as_str()),
                'r' => ('\r', characters.as_str()),
                't' => ('\t', characters.as_str()),
                'u' => unicode_escape(characters.as_str())?,
                _ => return None,
            };
            text.push(character);
            rest = remaining;
        }
        text.push_str(rest);
        (!text.is_empty()).then_some(Self(text))
    }

    /// The text on one line.
    pub(super) fn escaped(&self) -> String {
        let mut escaped = String::with_capacity(self.0.len());
        let last = self.0.chars().count() - 1;
        for (place, character) in self.0.chars().enumerate() {
            match character {
                '\\' => escaped.push_str("\\\\"),
                '\n' => escaped.push_str("\\n"),
                '\r' => escaped.push_str("\\r"),
                '\t' => escaped.push_str("\\t"),
                ' ' if place > 0 && place < last => escaped.push(' '),
                other if is_printable(other) && !other.is_whitespace() => escaped.push(other),
                other => write!(escaped, "\\u{{{:x}}}", u32::from(other))
                    .expect("writing to a string cannot fail"),
            }
        }
        escaped
    }

    /// The text, with its line breaks.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MarkText {
    /// Prints the text on one line, without the characters beyond [`MAX_TEXT_LENGTH`].
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&crate::text::excerpt(&self.0, MAX_TEXT_LENGTH))
    }
}

/// Reads `{1f}` and returns the rest after it.
fn unicode_escape(text: &str) -> Option<(char, &str)> {
    let (number, rest) = text.strip_prefix('{')?.split_once('}')?;
    let is_hex = (1..=6).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_hexdigit());
    let character = char::from_u32(u32::from_str_radix(number, 16).ok()?)?;
    is_hex.then_some((character, rest))
}
