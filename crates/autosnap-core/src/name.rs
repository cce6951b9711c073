// SPDX-License-Identifier: GPL-3.0-only
//! Names of snapshots: `auto`, a label, and the local time in a .NET custom format.

mod format;

use std::fmt;

use jiff::civil::DateTime;

pub use format::{FormatError, TimestampFormat};

/// What every name of ours begins with.
pub const PREFIX: &str = "auto";

/// The longest name that PVE takes (`maxLength` of `pve-snapshot-name`).
pub const MAX_LENGTH: usize = 40;

/// The label of a job, part of the name of its snapshots.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

/// A label that cannot be part of a snapshot's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// No text at all.
    #[error("the label is empty")]
    Empty,
}

/// A name of a snapshot that PVE accepts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapName(String);

/// A name that PVE would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Longer than 40 characters.
    #[error("too long")]
    TooLong,
}

impl Label {
    /// Takes a text for a label.
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        if text.is_empty() {
            Err(LabelError::Empty)
        } else {
            Ok(Self(text.to_owned()))
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
    /// The name of a snapshot taken now.
    pub fn new(label: &Label, format: &TimestampFormat, now: &DateTime) -> Result<Self, NameError> {
        let _ = (label, format, now);
        unimplemented!("follows in the next commit")
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

/// Checks label and format for every date.
pub fn check(label: &Label, format: &TimestampFormat) -> Result<(), NameError> {
    let _ = (label, format);
    unimplemented!("follows in the next commit")
}

/// Whether the name is made of the label and a timestamp.
pub fn has_label(name: &str, label: &Label, format: &TimestampFormat) -> bool {
    let _ = (name, label, format);
    unimplemented!("follows in the next commit")
}

/// The label in the name of one of our snapshots.
pub fn label_of<'a>(name: &'a str, formats: &[&TimestampFormat]) -> Option<&'a str> {
    let _ = (name, formats);
    unimplemented!("follows in the next commit")
}
