// SPDX-License-Identifier: GPL-3.0-only
//! Names of snapshots: `auto`, a label, and the local time in a .NET custom format.
//!
//! Labels and formats are checked once, when they are parsed, and [`check`] holds both together
//! against PVE's rules for every date there can be, before any request is sent. The time is an
//! argument and already local: this module knows no zones.

mod format;
mod label_search;
mod labelled;
mod parts;
mod series;
mod syntax;
mod token;
mod warning;

use std::fmt;

use jiff::civil::DateTime;

use crate::text::shell_word;

pub use format::TimestampFormat;
pub use label_search::{LabelSearch, LabelsFound};
pub use labelled::label_of;
pub use parts::TimestampParts;
pub use series::{AmbiguousNames, Collision, Membership, OtherLabels, Series};
pub use syntax::{FormatError, FormatFlaw};
pub use warning::{FormatIssue, FormatWarning, REPEATED_NAME_CAUSES};

/// What every name of ours begins with.
pub const PREFIX: &str = "auto";

/// The longest name that PVE takes, in characters (`pve-snapshot-name` in `PVE/JSONSchema.pm`).
pub const MAX_LENGTH: usize = 40;

/// Names that PVE keeps for itself (`snapshot` in `PVE/API2/Qemu.pm` and
/// `PVE/API2/LXC/Snapshot.pm`).
const RESERVED: [&str; 3] = ["current", "pending", "vzdump"];

/// The label of a job, part of the names of its snapshots: letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

/// A label that cannot be part of a snapshot's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// No text at all.
    #[error("the label is empty: give the snapshots a name such as `daily`")]
    Empty,
    /// A character that PVE refuses in names.
    #[error(
        "label `{label}`: PVE refuses {character:?} in the name of a snapshot and takes only \
         letters without accents, digits, `-` and `_`; `{proposal}` works"
    )]
    Character {
        /// The label.
        label: String,
        /// The first refused character.
        character: char,
        /// A label that works.
        proposal: String,
    },
}

/// A name of a snapshot that PVE accepts: a letter, then letters, digits, `-` and `_`, two to
/// forty characters in all (`pve-configid` in `PVE/JSONSchema.pm`), and not reserved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapName(String);

/// A name that PVE would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Longer than PVE allows.
    #[error(
        "snapshot name `{name}` has {length} characters, {excess} more than PVE allows: {way_out}",
        length = name.len()
    )]
    TooLong {
        /// The name, for a format the longest it can give.
        name: String,
        /// How many characters it has too many.
        excess: usize,
        /// What to do.
        way_out: String,
    },
    /// Shorter than PVE allows.
    #[error("snapshot name `{0}` is too short: PVE wants at least two characters")]
    TooShort(String),
    /// A character that PVE refuses there.
    #[error(
        "snapshot name `{name}`: PVE refuses {character:?}; a name begins with a letter and goes \
         on with letters without accents, digits, `-` and `_`"
    )]
    Character {
        /// The name.
        name: String,
        /// The refused character.
        character: char,
    },
    /// A name that PVE keeps for itself.
    #[error("snapshot name `{0}` is reserved by PVE: take another one")]
    Reserved(String),
}

impl Label {
    /// Takes a text for a label, or names the character that PVE would refuse.
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        if text.is_empty() {
            return Err(LabelError::Empty);
        }
        match text
            .chars()
            .find(|&character| !is_name_character(character))
        {
            None => Ok(Self(text.to_owned())),
            Some(character) => Err(LabelError::Character {
                label: text.to_owned(),
                character,
                proposal: mended_label(text),
            }),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl SnapName {
    /// The name of a snapshot taken at the given local time.
    ///
    /// Cannot fail for a label and a format that [`check`] accepted.
    pub fn new(label: &Label, format: &TimestampFormat, now: &DateTime) -> Result<Self, NameError> {
        let name = format!("{PREFIX}{label}{}", format.format(now));
        if name.len() > MAX_LENGTH {
            return Err(too_long(name, label, format));
        }
        Self::parse(&name)
    }

    /// Takes any text for a name, if PVE would.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        let letter_first = |(place, character): &(usize, char)| {
            !is_name_character(*character) || (*place == 0 && !character.is_ascii_alphabetic())
        };
        if let Some((_, character)) = name.char_indices().find(letter_first) {
            let name = name.to_owned();
            return Err(NameError::Character { name, character });
        }
        match name.len() {
            0 | 1 => Err(NameError::TooShort(name.to_owned())),
            2..=MAX_LENGTH => {
                if RESERVED
                    .iter()
                    .any(|reserved| name.eq_ignore_ascii_case(reserved))
                {
                    Err(NameError::Reserved(name.to_owned()))
                } else {
                    Ok(Self(name.to_owned()))
                }
            }
            length => Err(NameError::TooLong {
                name: name.to_owned(),
                excess: length - MAX_LENGTH,
                way_out: "take a shorter one".to_owned(),
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

/// Checks that a label and a format give valid names on every date, so that a run in September
/// does not fail where one in May did not.
///
/// ```
/// use autosnap_core::name::{Label, TimestampFormat, check};
///
/// let label = Label::parse("every_four_hours").unwrap();
/// let format = TimestampFormat::parse("yyyy_MMMM_dddd").unwrap();
/// let error = check(&label, &format).unwrap_err().to_string();
/// assert!(error.contains("_September_Wednesday` has 44 characters, 4 more than PVE allows"));
/// assert!(error.ends_with("use --timestamp-format=yyyyMMdd_HHmmss"));
/// ```
pub fn check(label: &Label, format: &TimestampFormat) -> Result<(), NameError> {
    let longest = format!("{PREFIX}{label}{}", format.longest());
    if longest.len() > MAX_LENGTH {
        return Err(too_long(longest, label, format));
    }
    SnapName::parse(&longest).map(|_| ())
}

/// Whether PVE takes the character in a name, after the first.
fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_')
}

fn too_long(name: String, label: &Label, format: &TimestampFormat) -> NameError {
    let room = MAX_LENGTH.saturating_sub(PREFIX.len() + label.as_str().len());
    let fitting = syntax::shorter_formats(format).find(|shorter| shorter.longest().len() <= room);
    let default_length = TimestampFormat::DEFAULT.len();
    let way_out = match fitting {
        Some(shorter) => format!(
            "shorten the label or use --timestamp-format={}",
            shell_word(shorter.as_str(), "FORMAT")
        ),
        // Another format is a way out only if it is shorter.
        None if format.longest().len() <= default_length => format!(
            "shorten the label to at most {} characters",
            MAX_LENGTH - PREFIX.len() - format.longest().len(),
        ),
        None => format!(
            "shorten the label to at most {} characters and use --timestamp-format={}",
            MAX_LENGTH - PREFIX.len() - default_length,
            TimestampFormat::DEFAULT,
        ),
    };
    NameError::TooLong {
        excess: name.len() - MAX_LENGTH,
        name,
        way_out,
    }
}

/// A label as near as possible to a refused one.
fn mended_label(text: &str) -> String {
    let replaced: String = text
        .chars()
        .map(|character| {
            if is_name_character(character) {
                character
            } else {
                '_'
            }
        })
        .collect();
    match replaced.trim_matches('_') {
        "" => "daily".to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
