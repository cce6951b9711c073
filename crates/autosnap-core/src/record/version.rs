// SPDX-License-Identifier: GPL-3.0-only
//! The version of the schema of a run record.

use serde::{Deserialize, Serialize};

/// The version of the schema of a run record.
///
/// Within a version fields are only added: a reader ignores the ones it does not know, and takes the
/// ones that an older writer has not written as empty. A record of a newer version is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct RecordVersion(u32);

/// A record has a version that this program does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "run record of version {0}: this program reads versions up to {current}; update it",
    current = RecordVersion::CURRENT.0
)]
pub struct RecordVersionError(u32);

impl RecordVersion {
    /// The version that this program writes.
    pub const CURRENT: Self = Self(1);

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for RecordVersion {
    type Error = RecordVersionError;

    fn try_from(number: u32) -> Result<Self, RecordVersionError> {
        if (1..=Self::CURRENT.0).contains(&number) {
            Ok(Self(number))
        } else {
            Err(RecordVersionError(number))
        }
    }
}

impl From<RecordVersion> for u32 {
    fn from(version: RecordVersion) -> Self {
        version.0
    }
}
