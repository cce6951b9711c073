// SPDX-License-Identifier: GPL-3.0-only
//! The severity of a finding or a notice.

/// How severe a finding or a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The run would fail or be incomplete: its dry run does not succeed.
    Problem,
    /// The run works, but there is a risk, or it will stop working soon.
    Warning,
    /// A note for information.
    Note,
}

impl Severity {
    /// The name in the report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}
