// SPDX-License-Identifier: GPL-3.0-only
//! Who may do what: users, API tokens, roles and access control lists, after
//! `PVE/AccessControl.pm` and `PVE/RPCEnvironment.pm`.
//!
//! Groups are left out: the worlds served here grant to users and tokens.

pub mod permission;
pub mod roles;
pub mod ticket;
pub mod totp;

use std::collections::BTreeMap;
use std::fmt;

use crate::clock::Seconds;

/// A text that must not be shown: a password or the value of a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Compares with what somebody presented. The secrets of a simulator need
    /// no protection against clocks.
    pub fn matches(&self, presented: &str) -> bool {
        self.0 == presented
    }

    /// The text itself, for computing with it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("<hidden>")
    }
}

/// A user of the cluster.
#[derive(Debug, Clone, Default)]
pub struct User {
    /// Not enabled: no sign-on succeeds.
    pub disabled: bool,
    /// Expiry in seconds since the epoch; 0: never.
    pub expires: i64,
    /// Who or what it is.
    pub comment: Option<String>,
    /// The password; without one nobody can sign on with it.
    pub password: Option<Hidden>,
    /// The base32 secret of the second factor.
    pub totp: Option<Hidden>,
    /// API tokens by their short name.
    pub tokens: BTreeMap<String, Token>,
}

/// An API token of a user.
#[derive(Debug, Clone)]
pub struct Token {
    /// Privilege separation: the token needs permissions of its own.
    pub separated: bool,
    /// Expiry in seconds since the epoch; 0: never.
    pub expires: i64,
    /// The value; without one the token cannot be used.
    pub secret: Option<Hidden>,
}

/// One line of the access control list.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The object's path, such as `/vms/100`.
    pub path: String,
    /// A user or a full token name.
    pub who: String,
    /// The role.
    pub role: String,
    /// Also for everything below.
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

    /// Checks `user@realm!token=secret` as an `Authorization` header carries
    /// it and gives back the full token name (`verify_token`).
    pub fn verify_token<'a>(&self, presented: &'a str, now: Seconds) -> Option<&'a str> {
        let (full, secret) = presented.rsplit_once('=')?;
        let (userid, name) = split_token(full)?;
        let token = self.active_user(userid, now)?.tokens.get(name)?;
        let valid = !expired(token.expires, now)
            && token.secret.as_ref().is_some_and(|own| own.matches(secret));
        valid.then_some(full)
    }

    /// The token behind a full name.
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
            secret: Some(Hidden::new("s3cret")),
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
    fn tokens_are_verified_to_the_letter() {
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
    fn secrets_do_not_show() {
        assert!(!format!("{:?}", access()).contains("s3cret"));
    }
}
