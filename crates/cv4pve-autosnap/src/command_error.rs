// SPDX-License-Identifier: GPL-3.0-only
//! The error that ends a command: the message for `ERROR: …`, a hint and the exit status.

use std::fmt::Display;

use crate::exit_status::ExitStatus;
use crate::report::remedies;

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandError {
    /// The exit status of the program.
    pub exit: ExitStatus,
    /// What failed, in one sentence.
    pub message: String,
    /// Whether the line breaks of the message are printed: only messages of the option parser have any. In all
    /// other messages a line break comes from outside and is escaped.
    pub has_lines: bool,
    /// What to do about it.
    pub hint: Option<String>,
    /// The option with the wrong value, with its dashes. If a parameter file sets it, the message names the line.
    pub option: Option<&'static str>,
}

impl CommandError {
    /// Creates an error about the options or the files they name; nothing was tried.
    pub fn usage(message: impl Display) -> Self {
        Self::new(ExitStatus::Usage, message)
    }

    /// Creates an error about work that was not done.
    pub fn failure(message: impl Display) -> Self {
        Self::new(ExitStatus::Failure, message)
    }

    fn new(exit: ExitStatus, message: impl Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
            has_lines: false,
            hint: None,
            option: None,
        }
    }

    /// Keeps the line breaks of the message.
    #[must_use]
    pub fn with_lines(self) -> Self {
        Self {
            has_lines: true,
            ..self
        }
    }

    /// Names the option with the wrong value.
    #[must_use]
    pub fn about(self, option: &'static str) -> Self {
        Self {
            option: Some(option),
            ..self
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(self, hint: impl Display) -> Self {
        Self {
            hint: Some(hint.to_string()),
            ..self
        }
    }
}

impl From<autosnap::Error> for CommandError {
    fn from(error: autosnap::Error) -> Self {
        Self {
            hint: error.remedy().as_ref().map(remedies::hint),
            ..Self::new(error.kind().into(), error)
        }
    }
}

impl From<pve_client::Error> for CommandError {
    fn from(error: pve_client::Error) -> Self {
        autosnap::Error::from(error).into()
    }
}
