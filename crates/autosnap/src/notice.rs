// SPDX-License-Identifier: GPL-3.0-only
//! Notices: problems with the options and files of this machine that do not stop a run.
//!
//! A notice goes to terminals, to the systemd journal and into `check`, never to the stderr of an
//! unattended run: cron sends a mail for any output there.

use crate::severity::Severity;

/// A notice about the options, the files that they name, or how they were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The kind as a stable identifier for programs; never changed once released.
    pub kind: &'static str,
    /// The message for the user, without secrets.
    pub message: String,
    /// Whether it is a note rather than a warning.
    pub minor: bool,
}

impl Notice {
    /// A warning.
    pub fn warning(kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            minor: false,
        }
    }

    /// Its severity in `check`.
    pub fn severity(&self) -> Severity {
        if self.minor {
            Severity::Note
        } else {
            Severity::Warning
        }
    }

    /// A note.
    pub fn note(kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            minor: true,
            ..Self::warning(kind, message)
        }
    }
}
