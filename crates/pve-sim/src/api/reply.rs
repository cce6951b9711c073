// SPDX-License-Identifier: GPL-3.0-only
//! What a method gives back, before it becomes HTTP.

use serde::Serialize;

use crate::clock::Seconds;
use crate::schema::ParameterErrors;

/// The `data` of an answer, as JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The JSON text, or that of [`Reply::file`].
    pub json: String,
    /// `total`, which PVE leaves out when it is 0.
    pub total: Option<usize>,
    /// The name of a file that the text is, instead of JSON.
    pub file: Option<String>,
    /// How long to wait before the answer, such as for a worker to stop.
    pub pause_milliseconds: u32,
}

impl Reply {
    /// Any value as data.
    pub fn of(value: &impl Serialize) -> Self {
        Self {
            json: serde_json::to_string(value).expect("plain data has a JSON form"),
            total: None,
            file: None,
            pause_milliseconds: 0,
        }
    }

    /// A text for download.
    pub fn file(name: String, text: String) -> Self {
        Self {
            json: text,
            file: Some(name),
            ..Self::null()
        }
    }

    /// `"data": null`.
    pub fn null() -> Self {
        Self::of(&())
    }

    /// Adds `total`.
    #[must_use]
    pub fn with_total(mut self, total: usize) -> Self {
        self.total = Some(total).filter(|total| *total > 0);
        self
    }
}

/// Why a method gives nothing back.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// `die "text\n"`: status 500.
    Died(String),
    /// `raise_param_exc`: status 400 with `errors`.
    Parameters(ParameterErrors),
    /// `raise_perm_exc`: status 403.
    Forbidden(String),
    /// Status 401 with a body, as only the login gives it.
    Unauthorized(String),
    /// Status 501.
    NotImplemented {
        /// The text.
        text: String,
        /// The path's template, when PVE has the method and only the simulator does not.
        in_pve: Option<&'static str>,
    },
    /// Status 595: the other node does not answer.
    Unreachable {
        /// The reason phrase.
        reason: String,
        /// Seconds until pveproxy gave up.
        after: f64,
    },
    /// No answer yet: the same call has to be tried again at that time.
    NotBefore(Seconds),
}

impl Failure {
    /// `Permission check failed (…)`.
    pub fn forbidden(what: &str) -> Self {
        Self::Forbidden(format!("Permission check failed ({what})"))
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Died(text)
    }
}
