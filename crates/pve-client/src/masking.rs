// SPDX-License-Identifier: GPL-3.0-only
//! Masks the client's own secrets in replies, so that a server that echoes a token or a password
//! cannot put it into a message, a log or a report.
//!
//! Every reply is masked. Tokens, tickets and CSRF tokens are masked everywhere; a password may be an
//! ordinary word, so it is masked only in the reason phrase and in the bodies of error replies.

use form_urlencoded::byte_serialize;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, COOKIE};
use percent_encoding::percent_decode_str;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use crate::raw_reply::RawReply;

/// The text that replaces a secret.
const MASK: &str = "***";
/// The length of the shortest secret that is masked, in bytes; shorter ones occur in many texts by chance.
const MIN_SECRET_LENGTH: usize = 4;

/// The password in the form of a request, if there is one.
#[derive(Clone)]
pub(crate) struct FormSecret(pub(crate) Option<SecretString>);

/// The secrets of one request.
pub(crate) struct Secrets {
    /// Secrets in its headers.
    headers: Vec<Zeroizing<String>>,
    /// The password in its form, plain and encoded.
    form: Vec<Zeroizing<String>>,
}

impl Secrets {
    pub(crate) fn from_request<B>(request: &Request<B>) -> Self {
        let mut headers = Vec::new();
        for (name, value) in request.headers() {
            let Ok(value) = value.to_str() else { continue };
            let secret = match name {
                &AUTHORIZATION | &COOKIE => {
                    value.rsplit_once('=').map_or(value, |(_, secret)| secret)
                }
                name if name.as_str() == "csrfpreventiontoken" => value,
                _ => continue,
            };
            headers.push(Zeroizing::new(secret.to_owned()));
            let decoded = percent_decode_str(secret).decode_utf8_lossy();
            headers.push(Zeroizing::new(decoded.into_owned()));
        }
        let password = request.extensions().get::<FormSecret>();
        let password = password.and_then(|secret| secret.0.as_ref());
        let form = password.map(|password| {
            let plain = password.expose_secret();
            let encoded: String = byte_serialize(plain.as_bytes()).collect();
            vec![Zeroizing::new(plain.to_owned()), Zeroizing::new(encoded)]
        });
        Self {
            headers,
            form: form.unwrap_or_default(),
        }
    }

    /// The reply without the secrets.
    pub(crate) fn mask(&self, mut reply: RawReply) -> RawReply {
        let in_body = if (200..300).contains(&reply.status) {
            &[]
        } else {
            self.form.as_slice()
        };
        for secret in self.headers.iter().chain(&self.form) {
            if secret.len() >= MIN_SECRET_LENGTH {
                reply.phrase = reply.phrase.replace(secret.as_str(), MASK);
            }
        }
        for secret in self.headers.iter().chain(in_body) {
            reply.body = masked(reply.body, secret.as_bytes());
        }
        reply
    }
}

/// Masks every occurrence of the secret. A body without one, the usual case, is not copied.
fn masked(body: Bytes, secret: &[u8]) -> Bytes {
    if secret.len() < MIN_SECRET_LENGTH || find(&body, secret).is_none() {
        return body;
    }
    let mut result = Vec::with_capacity(body.len());
    let mut rest = &body[..];
    while let Some(position) = find(rest, secret) {
        result.extend_from_slice(&rest[..position]);
        result.extend_from_slice(MASK.as_bytes());
        rest = &rest[position + secret.len()..];
    }
    result.extend_from_slice(rest);
    result.into()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    let first = *part.first()?;
    let mut start = 0;
    while let Some(offset) = text[start..].iter().position(|byte| *byte == first) {
        let position = start + offset;
        if text[position..].starts_with(part) {
            return Some(position);
        }
        start = position + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_occurrence_is_masked_and_the_rest_kept() {
        let mask = |body: &'static str| masked(Bytes::from(body), b"secret");
        assert_eq!(mask("a secret, secretsecret!"), "a ***, ******!");
        assert_eq!(mask("a secre"), "a secre");
        assert_eq!(mask("sesecret"), "se***");
        assert_eq!(masked(Bytes::from("aaa"), b"a"), "aaa", "too short");
    }
}
