// SPDX-License-Identifier: GPL-3.0-only
//! What is not as it should be on this machine, and keeps no run from working.
//!
//! A notice goes to terminals, to the systemd journal and into `check`, never to the stderr of an
//! unattended run: cron mails whatever stands there.

use crate::check::finding::Severity;

/// Something to know about the options, the files they name, or how they were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// A word for programs; never changed once released.
    pub kind: &'static str,
    /// A sentence for the user, without a secret in it.
    pub message: String,
    /// Whether it is only good to know.
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

    /// What it weighs in `check`.
    pub fn severity(&self) -> Severity {
        if self.minor {
            Severity::Note
        } else {
            Severity::Warning
        }
    }

    /// Something that is good to know.
    pub fn note(kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            minor: true,
            ..Self::warning(kind, message)
        }
    }
}
