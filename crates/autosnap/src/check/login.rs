// SPDX-License-Identifier: GPL-3.0-only
//! The login of a `check`.

use pve_client::Credentials;

/// The user or token that `check` logs in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// `user@realm`.
    pub user: String,
    /// The token's ID without the user; `None` with a password.
    pub token: Option<String>,
}

impl Login {
    /// The login with these credentials.
    pub(super) fn new(credentials: &Credentials) -> Self {
        let identity = credentials.identity();
        match identity.split_once('!') {
            Some((user, token)) => Self {
                user: user.to_owned(),
                token: Some(token.to_owned()),
            },
            None => Self {
                user: identity,
                token: None,
            },
        }
    }
}
