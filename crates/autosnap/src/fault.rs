// SPDX-License-Identifier: GPL-3.0-only
//! What stops a run before or in the middle: the message for `ERROR: …`, a hint, an exit status.

use std::fmt::Display;

use autosnap_core::outcome::ExitStatus;
use autosnap_core::remedy::Remedy;

use crate::remedies;

/// Why the program ends without having done what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The status for the shell.
    pub exit: ExitStatus,
    /// What failed, in one sentence.
    pub message: String,
    /// The message has line breaks of our own, as those of the option parser. In all others a line
    /// break is text from outside and is escaped.
    pub has_lines: bool,
    /// What to do about it, in the words of the command line.
    pub hint: Option<String>,
    /// What to do about it, for a front end to render.
    pub remedy: Option<Box<Remedy>>,
    /// The option whose value is to blame, with its dashes: where it stands in a parameter file is added to the message.
    pub option: Option<&'static str>,
}

impl Fault {
    /// Something is wrong with the options or the files they name; nothing was tried.
    pub fn usage(message: impl Display) -> Self {
        Self {
            exit: ExitStatus::Usage,
            message: message.to_string(),
            has_lines: false,
            hint: None,
            remedy: None,
            option: None,
        }
    }

    /// Something that was to be done was not.
    pub fn failure(message: impl Display) -> Self {
        Self {
            exit: ExitStatus::Failure,
            message: message.to_string(),
            has_lines: false,
            hint: None,
            remedy: None,
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

    /// Names the option whose value is to blame.
    #[must_use]
    pub fn about(self, option: &'static str) -> Self {
        Self {
            option: Some(option),
            ..self
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(self, hint: impl Display) -> Self {
        Self {
            hint: Some(hint.to_string()),
            ..self
        }
    }

    /// Adds what to do about it, for a front end to render.
    #[must_use]
    pub fn remedy(self, remedy: Remedy) -> Self {
        Self {
            remedy: Some(Box::new(remedy)),
            ..self
        }
    }
}

impl From<pve_client::Error> for Fault {
    /// A call without which nothing can go on: no connection, no login or no permission for it; or
    /// options of which no client can be made.
    fn from(error: pve_client::Error) -> Self {
        let exit = match error {
            pve_client::Error::Configuration(_) => ExitStatus::Usage,
            pve_client::Error::NotSent { .. }
            | pve_client::Error::MaybeProcessed { .. }
            | pve_client::Error::Refused { .. }
            | pve_client::Error::UnexpectedReply { .. }
            | pve_client::Error::Intercepted { .. }
            | pve_client::Error::InvalidListing { .. }
            | pve_client::Error::Authentication { .. }
            | pve_client::Error::Certificate { .. }
            | pve_client::Error::UnsupportedTls { .. }
            | pve_client::Error::OtherCluster { .. } => ExitStatus::Connection,
        };
        Self {
            exit,
            hint: None,
            remedy: remedies::for_error(&error, None).map(Box::new),
            message: error.to_string(),
            has_lines: false,
            option: None,
        }
    }
}
