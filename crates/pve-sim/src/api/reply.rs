// SPDX-License-Identifier: GPL-3.0-only
//! The result of a method, before it becomes an HTTP response.

use serde::Serialize;

use crate::clock::Seconds;
use crate::schema::ParameterErrors;

/// The `data` of a response, as JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The JSON text, or the content of a file (see [`Reply::file`]).
    pub json: String,
    /// `total`; PVE omits it when it is 0.
    pub total: Option<usize>,
    /// The file name, if the reply is a file instead of JSON.
    pub file: Option<String>,
    /// Delay before the response, for example until a worker has stopped.
    pub pause_milliseconds: u32,
}

impl Reply {
    /// A reply with this value as `data`.
    pub fn new(value: &impl Serialize) -> Self {
        Self {
            json: serde_json::to_string(value).expect("plain data has a JSON form"),
            total: None,
            file: None,
            pause_milliseconds: 0,
        }
    }

    /// A text file for download.
    pub fn file(name: String, text: String) -> Self {
        Self {
            json: text,
            file: Some(name),
            ..Self::null()
        }
    }

    /// `"data": null`.
    pub fn null() -> Self {
        Self::new(&())
    }

    /// Adds `total`.
    #[must_use]
    pub fn with_total(mut self, total: usize) -> Self {
        self.total = Some(total).filter(|total| *total > 0);
        self
    }
}

/// The error of a method.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// `die "text\n"`: status 500.
    Died(String),
    /// `raise_param_exc`: status 400 with `errors`.
    Parameters(ParameterErrors),
    /// `raise_perm_exc`: status 403.
    Forbidden(String),
    /// Status 401 with a body; only logins return it.
    Unauthorized(String),
    /// Status 501.
    NotImplemented {
        /// The error text.
        text: String,
        /// The path's template, if PVE has the method but the simulator does not.
        in_pve: Option<&'static str>,
    },
    /// Status 595: the other node does not respond.
    Unreachable {
        /// The reason phrase.
        reason: String,
        /// Seconds until pveproxy gives up.
        after: f64,
    },
    /// No result yet: call the method again at this time.
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
