// SPDX-License-Identifier: GPL-3.0-only
//! Names of snapshots: `auto`, a label, and the local time in a .NET custom format.
//!
//! Labels and formats are checked once, when they are parsed. [`check`] checks both together against
//! PVE's rules for all dates, before any request is sent. The time is an argument and already local:
//! this module does not use time zones.

mod format;
mod issue;
mod label;
mod label_search;
mod parts;
mod pieces;
mod proposal;
mod rules;
mod series;
mod splits;
mod syntax;
mod token;
mod warning;

use std::fmt;

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use rules::{RESERVED, is_name_character};

pub use format::{FormatError, TimestampFormat};
pub use issue::{FormatIssue, TimePart};
pub use label::{Label, LabelError};
pub use label_search::{LabelSearch, LabelsFound};
pub use parts::TimestampParts;
pub use rules::{MAX_LENGTH, PREFIX};
pub use series::{AmbiguousNames, Collision, Membership, OtherLabels, Series};
pub use splits::label_of;
pub use syntax::FormatFlaw;
pub use warning::FormatWarning;

/// A name of a snapshot that PVE accepts: a letter, then letters, digits, `-` and `_`, 2 to 40
/// characters (`pve-configid` in `PVE/JSONSchema.pm`), and not reserved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapName(String);

/// Why PVE refuses a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is longer than PVE allows.
    #[error(
        "snapshot name `{name}` has {length} characters, {excess} more than PVE allows",
        length = name.len()
    )]
    TooLong {
        /// The name; for a format, its longest one.
        name: String,
        /// How many characters it has too many.
        excess: usize,
        /// How to make it shorter.
        remedy: Shortening,
    },
    /// It is shorter than PVE allows.
    #[error("snapshot name `{0}` is too short: PVE requires at least two characters")]
    TooShort(String),
    /// PVE refuses a character of it.
    #[error(
        "snapshot name `{name}`: PVE refuses {character:?}; a name must begin with a letter, followed \
         by letters without accents, digits, `-` and `_`"
    )]
    Character {
        /// The name.
        name: String,
        /// The refused character.
        character: char,
    },
    /// PVE reserves it.
    #[error("snapshot name `{0}` is reserved by PVE: choose another one")]
    Reserved(String),
}

/// How to make names shorter that are too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortening {
    /// Choose another name.
    OtherName,
    /// Use a label of at most this many characters.
    Label {
        /// The most characters of the label.
        longest: usize,
    },
    /// Use a shorter label, or this format with the same label.
    LabelOrFormat {
        /// The format.
        format: TimestampFormat,
    },
    /// Use a label of at most this many characters and the default format.
    LabelAndDefaultFormat {
        /// The most characters of the label.
        longest: usize,
    },
}

impl TryFrom<String> for SnapName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        Self::parse(&name)
    }
}

impl From<SnapName> for String {
    fn from(name: SnapName) -> Self {
        name.0
    }
}

impl SnapName {
    /// The name of a snapshot that is taken at the given local time.
    ///
    /// Cannot fail for a label and a format that [`check`] accepts.
    pub fn new(label: &Label, format: &TimestampFormat, now: &DateTime) -> Result<Self, NameError> {
        let name = format!("{PREFIX}{label}{}", format.format(now));
        if name.len() > MAX_LENGTH {
            return Err(too_long(name, label, format));
        }
        Self::parse(&name)
    }

    /// Parses a name that PVE accepts.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        let is_refused = |(index, character): &(usize, char)| {
            !is_name_character(*character) || (*index == 0 && !character.is_ascii_alphabetic())
        };
        if let Some((_, character)) = name.char_indices().find(is_refused) {
            let name = name.to_owned();
            return Err(NameError::Character { name, character });
        }
        let is_reserved = RESERVED
            .iter()
            .any(|reserved| name.eq_ignore_ascii_case(reserved));
        match name.len() {
            0 | 1 => Err(NameError::TooShort(name.to_owned())),
            2..=MAX_LENGTH if is_reserved => Err(NameError::Reserved(name.to_owned())),
            2..=MAX_LENGTH => Ok(Self(name.to_owned())),
            length => Err(NameError::TooLong {
                name: name.to_owned(),
                excess: length - MAX_LENGTH,
                remedy: Shortening::OtherName,
            }),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SnapName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// Checks that a label and a format give valid names on all dates, so that a run in September does not
/// fail if one in May did not.
///
/// ```
/// use autosnap_core::name::{Label, NameError, Shortening, TimestampFormat, check};
///
/// let label = Label::parse("every_four_hours").unwrap();
/// let format = TimestampFormat::parse("yyyy_MMMM_dddd").unwrap();
/// let error = check(&label, &format).unwrap_err();
/// assert!(error.to_string().ends_with("_September_Wednesday` has 44 characters, 4 more than PVE allows"));
/// let NameError::TooLong { remedy: Shortening::LabelOrFormat { format }, .. } = error else { panic!() };
/// assert_eq!(format.as_str(), "yyyyMMdd_HHmmss");
/// ```
pub fn check(label: &Label, format: &TimestampFormat) -> Result<(), NameError> {
    let longest = format!("{PREFIX}{label}{}", format.longest());
    if longest.len() > MAX_LENGTH {
        return Err(too_long(longest, label, format));
    }
    SnapName::parse(&longest).map(|_| ())
}

fn too_long(name: String, label: &Label, format: &TimestampFormat) -> NameError {
    let longest_format = MAX_LENGTH.saturating_sub(PREFIX.len() + label.as_str().len());
    let mut shorter = format.shorter_formats();
    let fitting = shorter.find(|shorter| shorter.longest().len() <= longest_format);
    let longest_label = |timestamp: usize| MAX_LENGTH - PREFIX.len() - timestamp;
    let (length, default_length) = (format.longest().len(), TimestampFormat::DEFAULT.len());
    let remedy = match fitting {
        Some(format) => Shortening::LabelOrFormat { format },
        // The default format helps only if it is shorter.
        None if length <= default_length => Shortening::Label {
            longest: longest_label(length),
        },
        None => Shortening::LabelAndDefaultFormat {
            longest: longest_label(default_length),
        },
    };
    NameError::TooLong {
        excess: name.len() - MAX_LENGTH,
        name,
        remedy,
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
