// SPDX-License-Identifier: GPL-3.0-only
//! Error messages for failed TLS handshakes.
//!
//! rustls prints many errors as type names (`BadEncoding`, `NoCipherSuitesInCommon`). Frequent errors have
//! a message of their own here; the names of all others are split into words.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enums of rustls and std grow; the variants without a message get a general one"
)]

use std::fmt;
use std::io;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, OtherError, PeerIncompatible, PeerMisbehaved};

use crate::certificate::{PeerCertificate, is_version_1};
use crate::fingerprint::Fingerprint;
use crate::key_kind::RENEW_HINT;

/// A certificate that is not trusted, and why.
#[derive(Debug)]
pub(crate) struct UntrustedCertificate {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) reason: String,
}

impl fmt::Display for UntrustedCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

impl std::error::Error for UntrustedCertificate {}

/// The certificate has a key of an unsupported kind; contains the message.
#[derive(Debug)]
pub(crate) struct UnsupportedKey(pub(crate) String);

impl fmt::Display for UnsupportedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for UnsupportedKey {}

/// The certificate has a small RSA key, so another handshake with fewer signature schemes is needed.
#[derive(Debug)]
pub(crate) struct SmallRsaKey;

impl fmt::Display for SmallRsaKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "its certificate has an RSA key of fewer than 2,048 bits, which is supported only with TLS 1.2 and PKCS #1 signatures",
        )
    }
}

impl std::error::Error for SmallRsaKey {}

/// Why a TLS handshake failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HandshakeFailure {
    /// A handshake with the schemes for small RSA keys is needed.
    SmallRsaKey,
    /// The host has no TLS version, cipher or key that is supported here.
    Unsupported(String),
    /// The certificate is not trusted.
    Certificate(String, Option<Fingerprint>),
    /// The peer does not use TLS.
    NotTls(String),
    /// The connection failed.
    Broken(String),
}

impl HandshakeFailure {
    /// Classifies the error of a failed handshake.
    pub(crate) fn from_error(error: &io::Error) -> Self {
        let Some(tls) = tls_error(error) else {
            return Self::Broken(match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    "connection closed during the TLS handshake; is this the HTTPS port of Proxmox VE?".to_owned()
                }
                _ => format!("TLS handshake failed: {error}"),
            });
        };
        match tls {
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner)))
                if let Some(untrusted) = inner.downcast_ref::<UntrustedCertificate>() =>
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
            // Errors of trust have their own types, so this is the proof that the host has the private key.
            rustls::Error::InvalidCertificate(CertificateError::BadSignature) => Self::Certificate(
                "the host did not prove that it has the private key of the certificate".to_owned(),
                None,
            ),
            rustls::Error::InvalidCertificate(reason) => {
                Self::Certificate(certificate_text(reason), None)
            }
            rustls::Error::InvalidMessage(_) => Self::NotTls(
                "it does not use TLS; is this the HTTPS port of Proxmox VE (usually 8006)?"
                    .to_owned(),
            ),
            other => unsupported_text(other).map_or_else(
                || Self::Broken(format!("TLS handshake failed: {}", tls_text(other))),
                Self::Unsupported,
            ),
        }
    }
}

/// What the host does not support, if that is why the handshake failed.
fn unsupported_text(error: &rustls::Error) -> Option<String> {
    const OLD: &str = "the host supports only TLS 1.1 or older, but TLS 1.2 or 1.3 is needed";
    const OLD_REMEDY: &str = "update the host, or use a reverse proxy with TLS 1.2";
    const NO_COMMON: &str = "no common cipher or kind of key";
    const NEEDED: &str =
        "the host must support ECDHE with AES-GCM or ChaCha20-Poly1305 (OpenSSL 1.0.1 or newer)";
    let detail = split_variant_name(&match error {
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
            Some(format!("{NO_COMMON}; {NEEDED}; or {RENEW_HINT} ({detail})"))
        }
        // Other unsupported keys are reported before that.
        rustls::Error::PeerMisbehaved(PeerMisbehaved::SignedKxWithWrongAlgorithm) => Some(format!(
            "its certificate has an RSA-PSS key, which is not supported with TLS 1.2, the only version of the host; {RENEW_HINT}"
        )),
        _ => None,
    }
}

/// The text of an I/O error on a file, without the number of the operating system.
pub(crate) fn io_error_text(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "file not found".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// The rustls error inside an I/O error.
pub(crate) fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// The text of a rustls error, without type names.
pub(crate) fn tls_text(error: &rustls::Error) -> String {
    match error {
        rustls::Error::AlertReceived(alert) => {
            format!(
                "aborted by the host ({})",
                split_variant_name(&format!("{alert:?}"))
            )
        }
        rustls::Error::PeerIncompatible(why) => format!(
            "no common TLS version, cipher or kind of key ({})",
            split_variant_name(&format!("{why:?}"))
        ),
        rustls::Error::PeerMisbehaved(why) => format!(
            "the host violated the TLS protocol ({})",
            split_variant_name(&format!("{why:?}"))
        ),
        rustls::Error::InvalidCertificate(reason) => certificate_text(reason),
        rustls::Error::InappropriateMessage { .. }
        | rustls::Error::InappropriateHandshakeMessage { .. } => {
            "the host sent an unexpected TLS message".to_owned()
        }
        rustls::Error::InvalidMessage(why) => format!(
            "the host sent data that is not TLS ({})",
            split_variant_name(&format!("{why:?}"))
        ),
        rustls::Error::General(text) => text.clone(),
        other => split_variant_name(&format!("{other:?}")),
    }
}

/// Why the certificate of a host with this name is not accepted from any authority.
pub(crate) fn untrusted_text(error: &rustls::Error, der: &[u8], name: &ServerName<'_>) -> String {
    if is_version_1(der) {
        return "it is an X.509 version 1 certificate, which names no host and cannot be checked against an authority; \
             replace it by one of version 3 with the names of the host, or trust it by its fingerprint"
            .to_owned();
    }
    let rustls::Error::InvalidCertificate(reason) = error else {
        return tls_text(error);
    };
    match reason {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("it is not valid for {}; {}", name.to_str(), names_text(der))
        }
        other => certificate_text(other),
    }
}

/// The names for which a certificate is valid.
fn names_text(der: &[u8]) -> String {
    let certificate = PeerCertificate::from_der(der);
    match (certificate.names.as_slice(), certificate.subject) {
        ([], Some(subject)) => {
            format!("it contains no name or address (subjectAltName), and its subject is {subject}")
        }
        ([], None) => "it contains no name or address (subjectAltName)".to_owned(),
        (names, _) => format!("it is valid for {}", names.join(", ")),
    }
}

/// Why a certificate is not accepted, without the name of the host.
pub(crate) fn certificate_text(reason: &CertificateError) -> String {
    let text = match reason {
        // A signature that does not match the named authority counts as an unknown issuer.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "it is not signed by a trusted authority"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet; check the clocks"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is valid for another host name or address"
        }
        CertificateError::Revoked => "it was revoked by its authority",
        CertificateError::BadEncoding => "it is damaged or not an X.509 certificate",
        CertificateError::UnhandledCriticalExtension => "it has an unknown critical extension",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "it is not meant for servers (extended key usage)"
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "the kind of its key or signature is not supported"
        }
        CertificateError::Other(OtherError(inner)) => return other_text(&inner.to_string()),
        other => return other_text(&format!("{other:?}")),
    };
    text.to_owned()
}

fn other_text(name: &str) -> String {
    match name {
        "CaUsedAsEndEntity" => "it is the certificate of an authority, not of a host".to_owned(),
        "UnsupportedCertVersion" => "it is not an X.509 version 3 certificate".to_owned(),
        other => format!("it is invalid ({})", split_variant_name(other)),
    }
}

/// Splits the name of an enum variant into words: `HandshakeFailure` becomes `handshake failure`.
fn split_variant_name(name: &str) -> String {
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

    fn message(error: rustls::Error) -> String {
        match HandshakeFailure::from_error(&io::Error::other(error)) {
            HandshakeFailure::Broken(text)
            | HandshakeFailure::NotTls(text)
            | HandshakeFailure::Unsupported(text)
            | HandshakeFailure::Certificate(text, _) => text,
            HandshakeFailure::SmallRsaKey => SmallRsaKey.to_string(),
        }
    }

    #[test]
    fn error_messages_contain_no_type_names() {
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
                "TLS handshake failed: aborted by the host (internal error)",
            ),
            (
                rustls::Error::InvalidCertificate(CertificateError::BadEncoding),
                "it is damaged or not an X.509 certificate",
            ),
            (
                rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure),
                "it is invalid (application verification failure)",
            ),
            (
                rustls::Error::DecryptError,
                "TLS handshake failed: decrypt error",
            ),
        ] {
            let text = message(error);
            assert!(text.ends_with(expected), "{text}");
        }
    }
}
