// SPDX-License-Identifier: GPL-3.0-only
//! The format of timestamps: .NET's custom date and time formats, as far as they make names that
//! PVE takes.
//!
//! What the letters mean is in [`super::token`], which formats are refused in [`super::syntax`],
//! how a timestamp is read back in [`super::parts`].

use std::fmt;
use std::ops::RangeInclusive;

use jiff::civil::DateTime;

use super::parts::{self, TimestampParts};
use super::syntax::{self, FormatError};
use super::token::Token;
use super::warning::{self, FormatWarning};

/// A .NET custom date and time format that makes valid parts of names.
///
/// Widths may vary (`yyyyMMdd_dddd`), and names need not sort by time, as retention goes by the
/// time PVE reports. The C# tool refuses both since 2.2.
///
/// ```
/// use autosnap_core::name::TimestampFormat;
/// use jiff::civil::date;
///
/// let format = TimestampFormat::parse("yyyyMMdd_dddd").unwrap();
/// let timestamp = format.format(&date(2026, 11, 23).at(17, 9, 58, 0));
/// assert_eq!(timestamp, "20261123_Monday");
/// assert!(format.matches(&timestamp));
/// assert!(!format.matches("20261123_Tuesday"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampFormat {
    text: String,
    tokens: Vec<Token>,
    /// The lengths of all timestamps in this format.
    widths: RangeInclusive<usize>,
}

impl TimestampFormat {
    /// The format that the C# tool uses unless told otherwise.
    pub const DEFAULT: &str = "yyMMddHHmmss";

    /// Understands a format, or says what is wrong with it and proposes one that works.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let tokens = syntax::tokens(text)?;
        let shortest = tokens.iter().map(|token| token.least_width()).sum();
        let longest = tokens.iter().map(|token| token.longest().len()).sum();
        Ok(Self {
            text: text.to_owned(),
            tokens,
            widths: shortest..=longest,
        })
    }

    /// The warning about a format with issues, although PVE accepts its names.
    pub fn warning(&self) -> Option<FormatWarning> {
        warning::warning(&self.text, &self.tokens)
    }

    /// The format as it was typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The given local time in this format.
    pub fn format(&self, now: &DateTime) -> String {
        let mut text = String::new();
        for token in &self.tokens {
            token.write(now, &mut text);
        }
        text
    }

    /// Whether the text is a timestamp in this format.
    pub fn matches(&self, text: &str) -> bool {
        self.parse_timestamp(text).is_some()
    }

    /// What a timestamp in this format says. Of several ways to read it (`111` as `Md`), the first.
    pub fn parse_timestamp(&self, text: &str) -> Option<TimestampParts> {
        self.all_parts(text).into_iter().next()
    }

    /// Every way to read a timestamp in this format.
    pub(super) fn all_parts(&self, text: &str) -> Vec<TimestampParts> {
        // Most texts that are asked about are cuts of a name that are too long or too short.
        if self.widths.contains(&text.len()) {
            parts::read(&self.tokens, text)
        } else {
            Vec::new()
        }
    }

    /// The longest timestamp that any date can give, such as `September_Wednesday`.
    pub(super) fn longest(&self) -> String {
        self.tokens.iter().map(|token| token.longest()).collect()
    }

    /// The same format with the names of months and weekdays abbreviated, if that makes it shorter. Literal text in
    /// quotes could hold the same letters.
    pub(super) fn abbreviated(&self) -> Option<Self> {
        if self.text.contains(['\'', '"', '\\']) {
            return None;
        }
        let text = self.text.replace("MMMM", "MMM").replace("dddd", "ddd");
        let shorter = Self::parse(&text).ok()?;
        (shorter.longest().len() < self.longest().len()).then_some(shorter)
    }
}

impl Default for TimestampFormat {
    fn default() -> Self {
        Self::parse(Self::DEFAULT).expect("the default format is valid")
    }
}

impl fmt::Display for TimestampFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.text)
    }
}

#[cfg(test)]
mod tests;
