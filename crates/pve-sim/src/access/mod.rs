// SPDX-License-Identifier: GPL-3.0-only
//! Permissions: users, API tokens, roles and access control lists, based on `PVE/AccessControl.pm`
//! and `PVE/RPCEnvironment.pm`.
//!
//! Groups are not simulated.

pub mod permission;
pub mod roles;
pub mod ticket;
pub mod totp;

use std::collections::BTreeMap;
use std::fmt;

use crate::clock::Seconds;

/// A password or token secret; `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Compares with a presented secret. The comparison is not constant-time: these are test
    /// secrets.
    pub fn matches(&self, presented: &str) -> bool {
        self.0 == presented
    }

    /// The plain text.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("<hidden>")
    }
}

/// A user of the cluster.
#[derive(Debug, Clone, Default)]
pub struct User {
    /// Whether logins are disabled.
    pub disabled: bool,
    /// Expiry in seconds since the epoch; 0: never.
    pub expires: i64,
    /// The comment.
    pub comment: Option<String>,
    /// The password; `None`: no login with a password.
    pub password: Option<Secret>,
    /// The base32 TOTP secret.
    pub totp: Option<Secret>,
    /// API tokens by their short name.
    pub tokens: BTreeMap<String, Token>,
}

/// An API token of a user.
#[derive(Debug, Clone)]
pub struct Token {
    /// Whether the token has separate privileges (`privsep`).
    pub separated: bool,
    /// Expiry in seconds since the epoch; 0: never.
    pub expires: i64,
    /// The secret; `None`: the token cannot be used.
    pub secret: Option<Secret>,
}

/// An entry of the access control list.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The object's path, such as `/vms/100`.
    pub path: String,
    /// A user ID or a full token ID.
    pub who: String,
    /// The role.
    pub role: String,
    /// Whether it includes all paths below.
    pub propagate: bool,
}

/// Users, roles and grants.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Users by `name@realm`.
    pub users: BTreeMap<String, User>,
    /// Privileges by role, the built-in ones included.
    pub roles: BTreeMap<String, Vec<String>>,
    /// The access control list.
    pub grants: Vec<Grant>,
}

/// Splits `user@realm!token`.
pub fn split_token(full: &str) -> Option<(&str, &str)> {
    full.split_once('!')
        .filter(|(user, token)| user.contains('@') && !token.is_empty())
}

impl Access {
    /// The user, if it exists, is enabled and has not expired.
    pub fn active_user(&self, userid: &str, now: Seconds) -> Option<&User> {
        self.users
            .get(userid)
            .filter(|user| !user.disabled && !expired(user.expires, now))
    }

    /// Verifies `user@realm!token=secret` from an `Authorization` header and returns the full token
    /// ID (`verify_token`).
    pub fn verify_token<'a>(&self, presented: &'a str, now: Seconds) -> Option<&'a str> {
        let (full, secret) = presented.rsplit_once('=')?;
        let (userid, name) = split_token(full)?;
        let token = self.active_user(userid, now)?.tokens.get(name)?;
        let valid = !expired(token.expires, now)
            && token.secret.as_ref().is_some_and(|own| own.matches(secret));
        valid.then_some(full)
    }

    /// The token with this full ID.
    pub fn token(&self, full: &str) -> Option<&Token> {
        let (userid, name) = split_token(full)?;
        self.users.get(userid)?.tokens.get(name)
    }
}

fn expired(at: i64, now: Seconds) -> bool {
    at != 0 && at <= crate::clock::whole(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        let token = |expires| Token {
            separated: false,
            expires,
            secret: Some(Secret::new("s3cret")),
        };
        let user = User {
            tokens: [
                ("auto".to_owned(), token(0)),
                ("old".to_owned(), token(1_000)),
            ]
            .into(),
            ..User::default()
        };
        Access {
            users: [("backup@pve".to_owned(), user)].into(),
            ..Access::default()
        }
    }

    #[test]
    fn tokens_are_verified_exactly() {
        let access = access();
        let verify = |text: &'static str| access.verify_token(text, 2_000.0);
        assert_eq!(verify("backup@pve!auto=s3cret"), Some("backup@pve!auto"));
        for wrong in [
            "backup@pve!auto=S3CRET",
            "backup@pve!auto=s3cret ",
            "backup@pve!auto",
            "backup@pve=s3cret",
            "backup!auto=s3cret",
            "backup@pve!old=s3cret",
            "other@pve!auto=s3cret",
        ] {
            assert_eq!(verify(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn debug_output_contains_no_secrets() {
        assert!(!format!("{:?}", access()).contains("s3cret"));
    }
}
