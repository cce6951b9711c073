// SPDX-License-Identifier: GPL-3.0-only
//! .NET custom date and time formats, as far as they make names that PVE takes.

use jiff::civil::DateTime;

/// A .NET custom date and time format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampFormat(String);

/// A format that makes no names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// No text at all.
    #[error("the timestamp format is empty")]
    Empty,
}

impl TimestampFormat {
    /// The format of the C# tool unless told otherwise.
    pub const DEFAULT: &str = "yyMMddHHmmss";

    /// Understands a format.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        if text.is_empty() {
            Err(FormatError::Empty)
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// The format as it was typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The local time in this format.
    pub fn format(&self, now: &DateTime) -> String {
        let _ = now;
        unimplemented!("follows in the next commit")
    }

    /// Whether the text is a timestamp in this format.
    pub fn matches(&self, text: &str) -> bool {
        let _ = text;
        unimplemented!("follows in the next commit")
    }
}

impl Default for TimestampFormat {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}
