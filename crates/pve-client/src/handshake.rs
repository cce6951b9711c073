// SPDX-License-Identifier: GPL-3.0-only
//! Messages for failed TLS handshakes.
//!
//! rustls prints many of its errors as the names of its types (`BadEncoding`, `NoCipherSuitesInCommon`).
//! No such name reaches a user: frequent errors have messages of their own here, the names of all others
//! are split into words.

use std::fmt;
use std::io;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, OtherError, PeerIncompatible, PeerMisbehaved};

use crate::certificate::{PeerCertificate, is_version_1};
use crate::fingerprint::Fingerprint;
use crate::key_kind::RENEW;

/// Why a certificate was refused, and which one it was.
#[derive(Debug)]
pub(crate) struct Untrusted {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) reason: String,
}

impl fmt::Display for Untrusted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

impl std::error::Error for Untrusted {}

/// The certificate has a key of a kind that is not supported; holds the message.
#[derive(Debug)]
pub(crate) struct UnsupportedKey(pub(crate) String);

impl fmt::Display for UnsupportedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for UnsupportedKey {}

/// The RSA key is so small that another handshake with fewer schemes is needed.
#[derive(Debug)]
pub(crate) struct SmallRsaKey;

impl fmt::Display for SmallRsaKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "its certificate has an RSA key of fewer than 2,048 bits, with which it must speak TLS 1.2 and sign by PKCS #1",
        )
    }
}

impl std::error::Error for SmallRsaKey {}

/// What failed while agreeing on TLS.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HandshakeFailure {
    /// A handshake with the schemes for small RSA keys is needed.
    SmallRsaKey,
    /// The host has no TLS version, cipher or key that is supported here.
    Unsupported(String),
    /// The certificate is not trusted.
    Certificate(String, Option<Fingerprint>),
    /// The peer does not speak TLS.
    NotTls(String),
    /// The connection was lost.
    Broken(String),
}

impl HandshakeFailure {
    /// Classifies the error of a failed handshake.
    pub(crate) fn from_error(error: &io::Error) -> Self {
        let Some(tls) = tls_error(error) else {
            return Self::Broken(match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    "closed the connection during the TLS handshake; is this the HTTPS port of Proxmox VE?".to_owned()
                }
                _ => format!("TLS handshake: {error}"),
            });
        };
        match tls {
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner)))
                if let Some(untrusted) = inner.downcast_ref::<Untrusted>() =>
            {
                Self::Certificate(untrusted.reason.clone(), Some(untrusted.fingerprint))
            }
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner)))
                if inner.is::<SmallRsaKey>() =>
            {
                Self::SmallRsaKey
            }
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner)))
                if let Some(UnsupportedKey(reason)) = inner.downcast_ref() =>
            {
                Self::Unsupported(reason.clone())
            }
            // Trust is decided by our own rules: this can only be the proof of possession of the key.
            rustls::Error::InvalidCertificate(CertificateError::BadSignature) => Self::Certificate(
                "the host did not prove that it has the private key of the certificate".to_owned(),
                None,
            ),
            rustls::Error::InvalidCertificate(reason) => {
                Self::Certificate(certificate_text(reason), None)
            }
            rustls::Error::InvalidMessage(_) => Self::NotTls(
                "it does not speak TLS; plain HTTP on this port? Proxmox VE serves HTTPS, usually on port 8006"
                    .to_owned(),
            ),
            other => unsupported_text(other).map_or_else(
                || Self::Broken(format!("TLS handshake: {}", tls_text(other))),
                Self::Unsupported,
            ),
        }
    }
}

/// What the host lacks, if that is why the handshake failed.
fn unsupported_text(error: &rustls::Error) -> Option<String> {
    const OLD: &str = "the host speaks only TLS 1.1 or older, and this program TLS 1.2 and 1.3";
    const OLD_REMEDY: &str = "update the host, or put a reverse proxy with TLS 1.2 in front of it";
    const NO_COMMON: &str = "the host and this program share no cipher or kind of key";
    const NEEDED: &str =
        "needed is ECDHE with AES-GCM or ChaCha20-Poly1305, as OpenSSL has it since 1.0.1";
    let detail = spelled_out(&match error {
        rustls::Error::AlertReceived(alert) => format!("{alert:?}"),
        rustls::Error::PeerIncompatible(why) => format!("{why:?}"),
        _ => String::new(),
    });
    match error {
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
        | rustls::Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            Some(format!("{OLD}; {OLD_REMEDY} ({detail})"))
        }
        rustls::Error::AlertReceived(
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity,
        )
        | rustls::Error::PeerIncompatible(_) => {
            Some(format!("{NO_COMMON}; {NEEDED}; or {RENEW} ({detail})"))
        }
        // Other keys without support are refused by name before that.
        rustls::Error::PeerMisbehaved(PeerMisbehaved::SignedKxWithWrongAlgorithm) => Some(format!(
            "its certificate has an RSA-PSS key, and the host speaks only TLS 1.2, in which this program does not support such keys; {RENEW}"
        )),
        _ => None,
    }
}

/// What the system says, without its number.
pub(crate) fn io_in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "the file does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "the file may not be read".to_owned(),
        _ => error.to_string(),
    }
}

/// The rustls error inside an I/O error.
pub(crate) fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// The text of a rustls error, without the names of its types.
pub(crate) fn tls_text(error: &rustls::Error) -> String {
    match error {
        rustls::Error::AlertReceived(alert) => {
            format!(
                "the host aborted it ({})",
                spelled_out(&format!("{alert:?}"))
            )
        }
        rustls::Error::PeerIncompatible(why) => format!(
            "the host and this program share no TLS version, cipher or key type ({})",
            spelled_out(&format!("{why:?}"))
        ),
        rustls::Error::PeerMisbehaved(why) => format!(
            "the host violated the TLS protocol ({})",
            spelled_out(&format!("{why:?}"))
        ),
        rustls::Error::InvalidCertificate(reason) => certificate_text(reason),
        rustls::Error::InappropriateMessage { .. }
        | rustls::Error::InappropriateHandshakeMessage { .. } => {
            "the host sent an unexpected TLS message".to_owned()
        }
        rustls::Error::InvalidMessage(why) => format!(
            "the host sent data that is not TLS ({})",
            spelled_out(&format!("{why:?}"))
        ),
        rustls::Error::General(text) => text.clone(),
        other => spelled_out(&format!("{other:?}")),
    }
}

/// Why a certificate authority does not vouch for the certificate of a host with this name.
pub(crate) fn refusal_text(error: &rustls::Error, der: &[u8], name: &ServerName<'_>) -> String {
    if is_version_1(der) {
        return "it is a certificate of X.509 version 1, which names no host and cannot be checked against an authority; \
             make it anew as version 3 with the names of the host, or trust it by its fingerprint"
            .to_owned();
    }
    let rustls::Error::InvalidCertificate(reason) = error else {
        return tls_text(error);
    };
    match reason {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("it is not made for {}; {}", name.to_str(), names_text(der))
        }
        other => certificate_text(other),
    }
}

/// The names a certificate is made for.
fn names_text(der: &[u8]) -> String {
    let certificate = PeerCertificate::from_der(der);
    match (certificate.names.as_slice(), certificate.subject) {
        ([], Some(subject)) => {
            format!("it lists no name or address (subjectAltName), and its subject is {subject}")
        }
        ([], None) => "it lists no name or address (subjectAltName)".to_owned(),
        (names, _) => format!("the names in it are: {}", names.join(", ")),
    }
}

/// Why a certificate is refused, whatever host shows it.
pub(crate) fn certificate_text(reason: &CertificateError) -> String {
    let text = match reason {
        // A signature that does not match the named authority counts as an unknown issuer.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "none of the authorities that are trusted here has signed it"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet; do the clocks agree?"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is made for another host name or address"
        }
        CertificateError::Revoked => "its authority has revoked it",
        CertificateError::BadEncoding => "it is damaged, or not an X.509 certificate",
        CertificateError::UnhandledCriticalExtension => {
            "it has a critical extension that is not known here"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "it is not meant for servers (extended key usage)"
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "its key or signature is of a kind that is not supported here"
        }
        CertificateError::Other(OtherError(inner)) => return other_text(&inner.to_string()),
        other => return other_text(&format!("{other:?}")),
    };
    text.to_owned()
}

fn other_text(name: &str) -> String {
    match name {
        "CaUsedAsEndEntity" => "it is the certificate of an authority, not of a host".to_owned(),
        "UnsupportedCertVersion" => "it is not of X.509 version 3".to_owned(),
        other => format!(
            "it violates the rules for certificates ({})",
            spelled_out(other)
        ),
    }
}

/// Splits the name of a variant into words: `HandshakeFailure` becomes `handshake failure`.
fn spelled_out(name: &str) -> String {
    let end = name.find(|character: char| !character.is_ascii_alphanumeric());
    let mut text = String::new();
    for character in name[..end.unwrap_or(name.len())].chars() {
        if character.is_ascii_uppercase() && !text.is_empty() {
            text.push(' ');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(error: rustls::Error) -> String {
        match HandshakeFailure::from_error(&io::Error::other(error)) {
            HandshakeFailure::Broken(text)
            | HandshakeFailure::NotTls(text)
            | HandshakeFailure::Unsupported(text)
            | HandshakeFailure::Certificate(text, _) => text,
            HandshakeFailure::SmallRsaKey => SmallRsaKey.to_string(),
        }
    }

    #[test]
    fn no_error_shows_the_name_of_a_type() {
        let incompatible = PeerIncompatible::NoCipherSuitesInCommon;
        for (error, expected) in [
            (
                rustls::Error::AlertReceived(AlertDescription::HandshakeFailure),
                "(handshake failure)",
            ),
            (
                rustls::Error::PeerIncompatible(incompatible),
                "(no cipher suites in common)",
            ),
            (
                rustls::Error::AlertReceived(AlertDescription::InternalError),
                "TLS handshake: the host aborted it (internal error)",
            ),
            (
                rustls::Error::InvalidCertificate(CertificateError::BadEncoding),
                "it is damaged, or not an X.509 certificate",
            ),
            (
                rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure),
                "it violates the rules for certificates (application verification failure)",
            ),
            (rustls::Error::DecryptError, "TLS handshake: decrypt error"),
        ] {
            let text = broken(error);
            assert!(text.ends_with(expected), "{text}");
        }
    }
}
