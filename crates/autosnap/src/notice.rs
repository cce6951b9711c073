// SPDX-License-Identifier: GPL-3.0-only
//! Notices: problems with the options and files of this machine that do not stop a run.
//!
//! A notice goes to terminals, to the systemd journal and into `check`, never to the stderr of an
//! unattended run: cron sends a mail for any output there.

use crate::check::finding::Severity;

/// Something to know about the options, the files they name, or how they were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// A word for programs; never changed once released.
    pub kind: &'static str,
    /// A sentence for the user, without a secret in it.
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
