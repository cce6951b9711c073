// SPDX-License-Identifier: GPL-3.0-only
//! API tokens.

use pve_client::{ApiToken, Credentials};

/// Two secrets of the right form that differ in every digit.
const SECRETS: [&str; 2] = [
    "01234567-89ab-cdef-0123-456789abcdef",
    "fedcba98-7654-3210-fedc-ba9876543210",
];

/// Reads a token; neither it nor what is said about a bad one may depend on the secret.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    match ApiToken::parse(text) {
        Ok(token) => accepted(&token),
        Err(error) => {
            // The same with another secret that is as wrong must lead to the same words.
            if let Some((id, secret)) = text.rsplit_once('=') {
                let others = SECRETS
                    .into_iter()
                    .chain(["x"])
                    .filter(|other| secret != *other);
                for other in others {
                    let message = ApiToken::parse(&format!("{id}={other}"))
                        .map_or_else(|other| other.to_string(), |token| format!("{token:?}"));
                    assert!(!message.contains(other) || other == "x", "{message}");
                }
            }
            let blanked: String = match text.rsplit_once('=') {
                Some((id, secret)) if !secret.trim().is_empty() => format!("{id}=*"),
                Some(_) | None => return,
            };
            let message =
                ApiToken::parse(&blanked).map_or_else(|error| error.to_string(), |_| String::new());
            assert_eq!(error.to_string(), message, "the secret shows");
        }
    }
}

fn accepted(token: &ApiToken) {
    let id = token.id();
    assert!(id.starts_with(token.user()) && id.contains('!') && id.contains('@'));
    for secret in SECRETS {
        let token = ApiToken::parse(&format!("{id}={secret}")).expect("the ID was accepted");
        assert_eq!(token.id(), id);
        let shown = format!("{token:?} {:?}", Credentials::Token(token.clone()));
        assert!(!shown.contains(secret), "{shown}");
    }
}
