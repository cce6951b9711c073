// SPDX-License-Identifier: GPL-3.0-only
//! Labels: the part of a snapshot's name that identifies its job.

use std::fmt;

use super::rules::is_name_character;

/// The label of a job, part of the names of its snapshots: letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

/// Why a text cannot be a label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// The text is empty.
    #[error("the label is empty: give the snapshots a name such as `daily`")]
    Empty,
    /// PVE refuses a character of it in names.
    #[error(
        "invalid label `{label}`: PVE refuses {character:?} in the name of a snapshot and accepts only \
         letters without accents, digits, `-` and `_`; `{proposal}` works"
    )]
    Character {
        /// The text.
        label: String,
        /// The first refused character.
        character: char,
        /// A label that works.
        proposal: String,
    },
}

impl Label {
    /// Parses a label. An error names the character that PVE would refuse.
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        if text.is_empty() {
            return Err(LabelError::Empty);
        }
        let refused = text
            .chars()
            .find(|&character| !is_name_character(character));
        match refused {
            None => Ok(Self(text.to_owned())),
            Some(character) => Err(LabelError::Character {
                label: text.to_owned(),
                character,
                proposal: proposal(text),
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

/// The label closest to a refused text.
fn proposal(text: &str) -> String {
    let replace = |character| {
        if is_name_character(character) {
            character
        } else {
            '_'
        }
    };
    let replaced: String = text.chars().map(replace).collect();
    match replaced.trim_matches('_') {
        "" => "daily".to_owned(),
        trimmed => trimmed.to_owned(),
    }
}
