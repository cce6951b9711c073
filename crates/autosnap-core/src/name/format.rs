// SPDX-License-Identifier: GPL-3.0-only
//! Timestamp formats: .NET's custom date and time formats that give names which PVE accepts.
//!
//! [`super::token`] defines the letters, [`super::syntax`] the valid formats, and [`super::parts`] how
//! a timestamp is read back.

use std::fmt;
use std::ops::RangeInclusive;

use jiff::civil::DateTime;

use super::parts::{self, TimestampParts};
use super::proposal::proposal;
use super::syntax::{self, FormatFlaw};
use super::token::Token;
use super::warning::{self, FormatWarning};

/// A .NET custom date and time format whose timestamps are valid in names.
///
/// Widths may vary (`yyyyMMdd_dddd`), and names need not sort by time, as retention uses the time that
/// PVE reports. The C# tool refuses both since 2.2.
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

/// An invalid timestamp format, with one that works.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid timestamp format `{format}`: {flaw}; `{proposal}` works")]
pub struct FormatError {
    format: String,
    flaw: FormatFlaw,
    proposal: String,
}

impl FormatError {
    /// What is wrong with the format.
    pub fn flaw(&self) -> &FormatFlaw {
        &self.flaw
    }

    /// The valid format closest to the invalid one.
    pub fn proposal(&self) -> &str {
        &self.proposal
    }
}

impl TimestampFormat {
    /// The default format, also of the C# tool.
    pub const DEFAULT: &str = "yyMMddHHmmss";

    /// Parses a format. An error proposes a format that works.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let tokens = syntax::parse(text).map_err(|flaw| FormatError {
            format: text.to_owned(),
            flaw,
            proposal: proposal(text),
        })?;
        let shortest = tokens.iter().map(|token| token.least_width()).sum();
        let longest = tokens.iter().map(|token| token.longest().len()).sum();
        Ok(Self {
            text: text.to_owned(),
            tokens,
            widths: shortest..=longest,
        })
    }

    /// The warning about the issues of the format, if it has any.
    pub fn warning(&self) -> Option<FormatWarning> {
        warning::warning(&self.text, &self.tokens)
    }

    /// The text of the format.
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

    /// Parses a timestamp in this format. Of several ways to read it (`111` as `Md`), the first counts.
    pub fn parse_timestamp(&self, text: &str) -> Option<TimestampParts> {
        self.all_parts(text).into_iter().next()
    }

    /// Every way to read a timestamp in this format.
    pub(super) fn all_parts(&self, text: &str) -> Vec<TimestampParts> {
        // Most texts are parts of a name that are too long or too short.
        if self.widths.contains(&text.len()) {
            parts::read(&self.tokens, text)
        } else {
            Vec::new()
        }
    }

    /// The longest timestamp of any date, such as `September_Wednesday`.
    pub(super) fn longest(&self) -> String {
        self.tokens.iter().map(|token| token.longest()).collect()
    }

    /// Formats for shorter names that do not repeat, in order of preference.
    pub(super) fn shorter_formats(&self) -> impl Iterator<Item = Self> {
        let well_known = ["yyyyMMdd_HHmmss", "yyyyMMddHHmmss", Self::DEFAULT];
        let well_known =
            well_known.map(|text| Self::parse(text).expect("well-known formats are valid"));
        let abbreviated = self.abbreviated();
        let abbreviated = abbreviated.filter(|shorter| shorter.warning().is_none());
        abbreviated.into_iter().chain(well_known)
    }

    /// The same format with abbreviated names of months and weekdays, if that is shorter.
    ///
    /// Quoted text may contain the same letters, so that a format with quotes has none.
    fn abbreviated(&self) -> Option<Self> {
        if self.text.contains(['\'', '"', '\\']) {
            return None;
        }
        let text = self.text.replace("MMMM", "MMM").replace("dddd", "ddd");
        (text != self.text).then(|| Self::parse(&text).ok())?
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
