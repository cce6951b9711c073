// SPDX-License-Identifier: GPL-3.0-only
//! The severity of a finding.

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The run would fail or do less than was asked for: its dry run exits with another status
    /// than 0.
    Problem,
    /// It works, but not as safely as it could, or not for long.
    Warning,
    /// Good to know.
    Note,
}

impl Severity {
    /// The word for the report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}
