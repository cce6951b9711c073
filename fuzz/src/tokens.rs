// SPDX-License-Identifier: GPL-3.0-only
//! API tokens.

use pve_client::{ApiToken, Credentials, TokenError};

/// Two secrets of the right form that differ in every digit.
const SECRETS: [&str; 2] = [
    "01234567-89ab-cdef-0123-456789abcdef",
    "fedcba98-7654-3210-fedc-ba9876543210",
];

/// Parses a token; neither its output nor an error may depend on the secret.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    match ApiToken::parse(text) {
        Ok(token) => accepted(&token),
        Err(error) => refused(text, &error),
    }
}

/// Checks that another invalid secret gives the same message.
fn refused(text: &str, error: &TokenError) {
    let Some((id, secret)) = text.rsplit_once('=') else {
        return assert_eq!(*error, TokenError::NoSecret);
    };
    if !secret.trim().is_empty() {
        let other = ApiToken::parse(&format!("{id}=*")).expect_err("a star is not a UUID");
        assert_eq!(
            error.to_string(),
            other.to_string(),
            "the message depends on the secret"
        );
    }
}

fn accepted(token: &ApiToken) {
    let id = token.id();
    assert!(id.starts_with(token.user()) && id.contains('!') && id.contains('@'));
    for secret in SECRETS {
        let token = ApiToken::parse(&format!("{id}={secret}")).expect("the ID was accepted");
        assert_eq!(token.id(), id);
        let shown = format!("{:?}", Credentials::Token(token));
        assert!(!shown.replace(&id, "").contains(secret), "{shown}");
    }
}
