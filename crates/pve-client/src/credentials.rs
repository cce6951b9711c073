// SPDX-License-Identifier: GPL-3.0-only
//! The login: an API token, or a user with a password. Secrets are stored in a type that is never printed
//! and is overwritten when it is dropped.

use std::fmt;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};

/// The login of a client.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// An API token, which needs neither a ticket nor a CSRF token.
    Token(ApiToken),
    /// A user and a password, which are exchanged for a ticket.
    Password {
        /// `user@realm`.
        username: String,
        /// The password.
        password: SecretString,
    },
}

impl Credentials {
    /// The user or token ID without its secret: `root@pam`, `root@pam!backup`.
    pub fn identity(&self) -> String {
        match self {
            Self::Token(token) => token.id(),
            Self::Password { username, .. } => username.clone(),
        }
    }
}

/// An API token `USER@REALM!TOKENID=UUID`; `pveum user token add` prints its parts.
#[derive(Clone)]
pub struct ApiToken {
    user: String,
    name: String,
    secret: SecretString,
}

/// A part of a token is missing or invalid. The text never contains the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is no `=`.
    #[error("the API token has no secret; expected USER@REALM!TOKENID=UUID")]
    NoSecret,
    /// There is no user name before `@`.
    #[error("the API token has no user name before '@'; expected USER@REALM!TOKENID=UUID")]
    NoUser,
    /// There is no `@` before `!`, or no text after it.
    #[error(
        "the API token has no realm, such as '@pam' or '@pve'; expected USER@REALM!TOKENID=UUID"
    )]
    NoRealm,
    /// There is no `!`, or no text after it.
    #[error("the API token has no token ID after '!'; expected USER@REALM!TOKENID=UUID")]
    NoTokenId,
    /// A part contains a character that PVE does not allow there.
    #[error(
        "invalid character '{character}' in the {part} of the API token; expected USER@REALM!TOKENID=UUID"
    )]
    Character {
        /// The part.
        part: &'static str,
        /// The first invalid character.
        character: char,
    },
    /// The secret is not a UUID.
    #[error(
        "the secret of the API token is not a UUID (8-4-4-4-12 hexadecimal digits); copy it again from the output of 'pveum user token add'"
    )]
    SecretNotUuid,
}

impl ApiToken {
    /// Parses `USER@REALM!TOKENID=UUID`. White space around it is ignored, and so is the prefix
    /// `PVEAPIToken=` of the HTTP header, with which tokens are often stored.
    ///
    /// The rules for each part are those of `PVE/AccessControl.pm`: the user may contain `@` (LDAP
    /// logins); realm and token ID start with a letter.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        // Repeated prefixes too: the rest must not be another token when it is printed and parsed again.
        let text = text.trim_start_matches("PVEAPIToken=");
        // From the end: a login may contain these characters, the other parts may not.
        let (id, secret) = text.rsplit_once('=').ok_or(TokenError::NoSecret)?;
        let (user, name) = id.rsplit_once('!').ok_or(TokenError::NoTokenId)?;
        let (login, realm) = user.rsplit_once('@').ok_or(TokenError::NoRealm)?;
        if login.is_empty() {
            return Err(TokenError::NoUser);
        }
        check_login(login)?;
        if realm.is_empty() {
            return Err(TokenError::NoRealm);
        }
        check_identifier("realm", realm)?;
        if name.is_empty() {
            return Err(TokenError::NoTokenId);
        }
        check_identifier("token ID", name)?;
        if secret.is_empty() {
            return Err(TokenError::NoSecret);
        }
        if !is_uuid(secret) {
            return Err(TokenError::SecretNotUuid);
        }
        Ok(Self {
            user: user.to_owned(),
            name: name.to_owned(),
            secret: secret.into(),
        })
    }

    /// The token ID `USER@REALM!TOKENID`, which is not secret.
    pub fn id(&self) -> String {
        format!("{}!{}", self.user, self.name)
    }

    /// The owner of the token, `USER@REALM`.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The value of the header `Authorization`.
    pub(crate) fn authorization(&self) -> SecretString {
        format!("PVEAPIToken={}={}", self.id(), self.secret.expose_secret()).into()
    }
}

impl FromStr for ApiToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ApiToken({}=…)", self.id())
    }
}

/// Checks that a login has no white space, slashes or colons (`PVE::Auth::Plugin`), and no control
/// characters, which are invalid in a header.
fn check_login(login: &str) -> Result<(), TokenError> {
    let allowed = |character: &char| {
        !character.is_whitespace() && !character.is_control() && !matches!(character, ':' | '/')
    };
    check_characters("user", login, allowed)
}

/// Checks a realm or a token ID: a letter, then letters, digits, `.`, `_`, `-`.
fn check_identifier(part: &'static str, text: &str) -> Result<(), TokenError> {
    if let Some(first) = text
        .chars()
        .next()
        .filter(|first| !first.is_ascii_alphabetic())
    {
        return Err(TokenError::Character {
            part,
            character: first,
        });
    }
    check_characters(part, text, |character| {
        character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
    })
}

fn check_characters(
    part: &'static str,
    text: &str,
    allowed: impl Fn(&char) -> bool,
) -> Result<(), TokenError> {
    match text.chars().find(|character| !allowed(character)) {
        None => Ok(()),
        Some(character) => Err(TokenError::Character { part, character }),
    }
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12])
        && text
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "12345678-abcd-ef01-2345-6789abcdef01";

    fn check(text: &str, expected: &TokenError) {
        let error = ApiToken::parse(text).unwrap_err();
        assert_eq!(&error, expected, "{text}");
        assert!(!error.to_string().contains("12345678"), "{error}");
    }

    #[test]
    fn the_parts_of_a_token_are_parsed() {
        let token = ApiToken::parse(&format!(" backup@pve!auto={SECRET}\n")).unwrap();
        assert_eq!(
            (token.id().as_str(), token.user()),
            ("backup@pve!auto", "backup@pve")
        );
        let header = token.authorization();
        assert_eq!(
            header.expose_secret(),
            format!("PVEAPIToken=backup@pve!auto={SECRET}")
        );
        let mail = ApiToken::parse(&format!("a@b.c@ldap!x-1={SECRET}")).unwrap();
        assert_eq!(mail.user(), "a@b.c@ldap");
        let odd = ApiToken::parse(&format!("PVEAPIToken=a=b!c@pve!x={SECRET}")).unwrap();
        assert_eq!(odd.user(), "a=b!c@pve");
    }

    /// Found by fuzzing: one of two prefixes was removed, and the other became part of the user.
    #[test]
    fn a_repeated_prefix_is_not_part_of_the_user() {
        let token = ApiToken::parse(&format!("PVEAPIToken=PVEAPIToken=root@pam!x={SECRET}"));
        assert_eq!(token.unwrap().id(), "root@pam!x");
    }

    #[test]
    fn each_invalid_part_is_named() {
        check("backup@pve!auto", &TokenError::NoSecret);
        check("backup@pve!auto=", &TokenError::NoSecret);
        check(&format!("backup@pve={SECRET}"), &TokenError::NoTokenId);
        check(&format!("backup@pve!={SECRET}"), &TokenError::NoTokenId);
        check(&format!("backup!auto={SECRET}"), &TokenError::NoRealm);
        check(&format!("backup@!auto={SECRET}"), &TokenError::NoRealm);
        check(&format!("@pve!auto={SECRET}"), &TokenError::NoUser);
        check("backup@pve!auto=12345678", &TokenError::SecretNotUuid);
        check(
            &format!("backup@pve!auto={SECRET}0"),
            &TokenError::SecretNotUuid,
        );
        let realm = TokenError::Character {
            part: "realm",
            character: '1',
        };
        check(&format!("backup@1ve!auto={SECRET}"), &realm);
        let two_ids = TokenError::Character {
            part: "realm",
            character: '!',
        };
        check(&format!("backup@pve!auto!x={SECRET}"), &two_ids);
        let token_id = TokenError::Character {
            part: "token ID",
            character: '+',
        };
        check(&format!("backup@pve!a+b={SECRET}"), &token_id);
        check(
            &format!("a:b@pve!t={SECRET}"),
            &TokenError::Character {
                part: "user",
                character: ':',
            },
        );
    }

    #[test]
    fn debug_output_hides_secrets() {
        let token = ApiToken::parse(&format!("backup@pve!auto={SECRET}")).unwrap();
        let shown = format!("{:?}", Credentials::Token(token));
        assert!(
            shown.contains("backup@pve!auto") && !shown.contains("12345678"),
            "{shown}"
        );
        let password = Credentials::Password {
            username: "root@pam".into(),
            password: "hunter2".into(),
        };
        assert!(!format!("{password:?}").contains("hunter2"));
        assert_eq!(password.identity(), "root@pam");
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_a_panic(text in ".{0,60}") {
            let _ = ApiToken::parse(&text);
        }
    }
}
