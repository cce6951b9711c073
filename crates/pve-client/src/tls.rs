// SPDX-License-Identifier: GPL-3.0-only
//! TLS with rustls and ring: configuration, and the rules that decide which certificates are trusted.
//!
//! With every rule the server must prove that it has the private key of its certificate
//! (`verify_tls12_signature`, `verify_tls13_signature`). No ALPN is offered, so that no proxy chooses
//! HTTP/2, which has no reason phrase.
//!
//! Without a certificate authority only the key of a certificate is read, so X.509 version 1 certificates,
//! which rustls does not support, are accepted too. So are RSA keys that are restricted to PSS or have
//! fewer than 2,048 bits; for the latter a second handshake offers only the signature schemes that ring
//! can verify. Errors about unsupported keys name the kind of key.

mod algorithms;
mod key_proof;

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{self, CryptoProvider};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DEFAULT_VERSIONS, DigitallySignedStruct, OtherError,
    RootCertStore, SignatureScheme, version,
};
use tokio_rustls::TlsConnector;

use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::handshake::{
    UnsupportedKey, UntrustedCertificate, certificate_text, io_error_text, tls_text, untrusted_text,
};
use crate::key_kind::{KeyKind, TrustBasis};
use crate::options::Trust;

/// The TLS configurations of a client.
pub(crate) struct Tls {
    /// The connector for all hosts.
    pub(crate) usual: TlsConnector,
    /// The connector for hosts with a small RSA key.
    pub(crate) small_rsa: TlsConnector,
}

impl Tls {
    pub(crate) fn new(trust: &Trust) -> Result<Self, Error> {
        let usual = TlsConnector::from(client_config(trust, KeySize::Any)?);
        let small_rsa = match trust {
            Trust::AcceptAny | Trust::Fingerprints(_) => {
                client_config(trust, KeySize::SmallRsa)?.into()
            }
            // With an authority such keys are rejected before a second handshake.
            Trust::SystemStore | Trust::CaFile(_) => usual.clone(),
        };
        Ok(Self { usual, small_rsa })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// The keys for which a configuration is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeySize {
    /// All but small RSA keys.
    Any,
    /// RSA with fewer than 2,048 bits: only TLS 1.2 has PKCS #1 signatures.
    SmallRsa,
}

/// Builds the configuration for all connections of a client. This is the only place that chooses the
/// crypto provider.
pub(crate) fn client_config(trust: &Trust, size: KeySize) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(CryptoProvider {
        signature_verification_algorithms: algorithms::SUPPORTED,
        ..crypto::ring::default_provider()
    });
    let verifier = Verifier {
        rule: rule(trust, &provider)?,
        size,
    };
    let versions = match size {
        KeySize::Any => DEFAULT_VERSIONS,
        KeySize::SmallRsa => &[&version::TLS12],
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| Error::Configuration(format!("cannot set up TLS: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[derive(Debug)]
enum Rule {
    Any,
    Pinned(Vec<Fingerprint>),
    Authorities(Arc<WebPkiServerVerifier>),
}

impl Rule {
    const fn basis(&self) -> TrustBasis {
        match self {
            Self::Any | Self::Pinned(_) => TrustBasis::CertificateAlone,
            Self::Authorities(_) => TrustBasis::Authority,
        }
    }
}

fn rule(trust: &Trust, provider: &Arc<CryptoProvider>) -> Result<Rule, Error> {
    match trust {
        Trust::AcceptAny => Ok(Rule::Any),
        Trust::Fingerprints(fingerprints) if fingerprints.is_empty() => {
            Err(Error::Configuration("no fingerprint given".to_owned()))
        }
        Trust::Fingerprints(fingerprints) => Ok(Rule::Pinned(fingerprints.clone())),
        Trust::SystemStore => authorities(system_store()?, "the system store", provider),
        Trust::CaFile(path) => authorities(
            authorities_from_file(path)?,
            &path.display().to_string(),
            provider,
        ),
    }
}

fn authorities(
    roots: RootCertStore,
    source: &str,
    provider: &Arc<CryptoProvider>,
) -> Result<Rule, Error> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map(Rule::Authorities)
        .map_err(|error| {
            Error::Configuration(format!(
                "no usable certificate authority in {source}: {error}"
            ))
        })
}

/// Loads the store of the operating system; certificates that cannot be read are skipped.
fn system_store() -> Result<RootCertStore, Error> {
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(loaded.certs);
    tracing::debug!(
        added,
        ignored,
        "loaded the certificate authorities of the system"
    );
    if added > 0 {
        return Ok(roots);
    }
    let reasons: Vec<String> = loaded.errors.iter().map(ToString::to_string).collect();
    let reasons = if reasons.is_empty() {
        "there are none".to_owned()
    } else {
        reasons.join("; ")
    };
    Err(Error::Configuration(format!(
        "cannot load the certificate authorities of the system: {reasons}; install the package ca-certificates"
    )))
}

/// The size limit of a CA file, in bytes.
const CA_FILE_LIMIT: u64 = 16 * 1024 * 1024;

/// Reads a file or a pipe of at most [`CA_FILE_LIMIT`] bytes; directories and devices are errors.
fn read_bounded(path: &Path) -> Result<Vec<u8>, String> {
    let text = |error: std::io::Error| io_error_text(&error);
    let kind = std::fs::metadata(path).map_err(text)?.file_type();
    if kind.is_dir() {
        return Err("it is a directory".to_owned());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_char_device() || kind.is_block_device() {
            return Err("it is a device".to_owned());
        }
    }
    let file = std::fs::File::open(path).map_err(text)?;
    let mut content = Vec::new();
    file.take(CA_FILE_LIMIT + 1)
        .read_to_end(&mut content)
        .map_err(text)?;
    if content.len() as u64 > CA_FILE_LIMIT {
        return Err("it is too large".to_owned());
    }
    Ok(content)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enums of rustls grow; the variants without a message get a general one"
)]
/// Loads a file of certificate authorities; every certificate in it must be valid.
fn authorities_from_file(path: &Path) -> Result<RootCertStore, Error> {
    let failed = |reason: String| {
        let path = path.display();
        Error::Configuration(format!(
            "cannot read certificate authorities from {path}: {reason}"
        ))
    };
    let unreadable = |error: pem::Error| {
        failed(match &error {
            pem::Error::Io(error) => io_error_text(error),
            pem::Error::MissingSectionEnd { .. } => "a certificate in it is truncated".to_owned(),
            pem::Error::IllegalSectionStart { .. } => "it is not a PEM file".to_owned(),
            pem::Error::Base64Decode(_) => "a certificate in it is not valid Base64".to_owned(),
            _ => "it contains no PEM certificate".to_owned(),
        })
    };
    let pem = read_bounded(path).map_err(failed)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(unreadable)?;
        roots.add(certificate).map_err(|error| match error {
            rustls::Error::InvalidCertificate(reason) => failed(format!(
                "a certificate in it is invalid: {}",
                certificate_text(&reason)
            )),
            other => failed(tls_text(&other)),
        })?;
    }
    if roots.is_empty() {
        return Err(failed("it contains no PEM certificate".to_owned()));
    }
    Ok(roots)
}

/// Applies a trust rule, and always verifies that the server has the private key.
#[derive(Debug)]
struct Verifier {
    rule: Rule,
    size: KeySize,
}

impl Verifier {
    /// Checks that the rule trusts the certificate.
    fn check_trust(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let fingerprint = Fingerprint::from_certificate(certificate);
        let reason = match &self.rule {
            Rule::Any => return Ok(()),
            Rule::Pinned(pins) if pins.contains(&fingerprint) => return Ok(()),
            Rule::Pinned(_) => "its fingerprint is not one of the trusted fingerprints".to_owned(),
            Rule::Authorities(authorities) => {
                // The message about an unsupported key is clearer than the one about a bad signature.
                check_key(certificate, TrustBasis::Authority)?;
                match authorities.verify_server_cert(
                    certificate,
                    intermediates,
                    name,
                    ocsp_response,
                    now,
                ) {
                    Ok(_) => return Ok(()),
                    Err(error) => untrusted_text(&error, certificate, name),
                }
            }
        };
        let untrusted = Arc::new(UntrustedCertificate {
            fingerprint,
            reason,
        });
        Err(CertificateError::Other(OtherError(untrusted)).into())
    }
}

/// Returns an error that contains [`UnsupportedKey`] if the kind of key is not supported.
fn check_key(certificate: &[u8], basis: TrustBasis) -> Result<(), rustls::Error> {
    let kind = KeyKind::from_certificate(certificate);
    match kind.and_then(|kind| kind.unsupported_reason(basis)) {
        None => Ok(()),
        Some(reason) => {
            let unsupported = OtherError(Arc::new(UnsupportedKey(reason)));
            Err(CertificateError::Other(unsupported).into())
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check_trust(certificate, intermediates, name, ocsp_response, now)?;
        check_key(certificate, self.rule.basis())?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match self.rule.basis() {
            TrustBasis::CertificateAlone => {
                key_proof::verify_tls12(message, certificate, signature)
            }
            TrustBasis::Authority => {
                let algorithms = &algorithms::SUPPORTED;
                crypto::verify_tls12_signature(message, certificate, signature, algorithms)
            }
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match self.rule.basis() {
            TrustBasis::CertificateAlone => {
                key_proof::verify_tls13(message, certificate, signature)
            }
            TrustBasis::Authority => {
                let algorithms = &algorithms::SUPPORTED;
                crypto::verify_tls13_signature(message, certificate, signature, algorithms)
            }
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        match self.size {
            KeySize::Any => algorithms::offered(),
            KeySize::SmallRsa => algorithms::SMALL_RSA.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_rule_is_a_configuration_error() {
        let missing = Trust::CaFile("no/such/file.pem".into());
        for (trust, part) in [
            (Trust::Fingerprints(Vec::new()), "no fingerprint"),
            (missing, "no/such/file.pem"),
        ] {
            let error = client_config(&trust, KeySize::Any).unwrap_err();
            assert!(matches!(error, Error::Configuration(_)), "{error:?}");
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let error = client_config(&Trust::CaFile(manifest), KeySize::Any).unwrap_err();
        assert!(error.to_string().contains("no PEM certificate"), "{error}");
    }
}
