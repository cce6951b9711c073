// SPDX-License-Identifier: GPL-3.0-only
//! TLS by rustls and ring: the ways to trust a certificate, and what a failed handshake means.
//!
//! Whatever the rule, the server has to prove that it holds the key of the certificate it shows
//! (`verify_tls12_signature`, `verify_tls13_signature`). No ALPN is offered, so that nothing in
//! between chooses HTTP/2, which has no reason phrase.
//!
//! Without a certificate authority only the key is read from a certificate, so that certificates of X.509
//! version 1, which rustls does not support, are accepted as well. So are RSA keys that are restricted to
//! PSS or have fewer than 2,048 bits; for the latter a second handshake offers only what ring verifies of
//! them. Kinds of keys without support are refused by name.

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
    UnsupportedKey, Untrusted, certificate_text, io_in_words, refusal_text, tls_text,
};
use crate::key_kind::{KeyKind, Voucher};
use crate::options::Trust;

/// What connections of a client need for their handshakes.
pub(crate) struct Tls {
    /// For all hosts.
    pub(crate) usual: TlsConnector,
    /// For hosts that have turned out to have a small RSA key.
    pub(crate) small_rsa: TlsConnector,
}

impl Tls {
    pub(crate) fn new(trust: &Trust) -> Result<Self, Error> {
        let usual = TlsConnector::from(client_config(trust, KeySize::Any)?);
        let small_rsa = match trust {
            Trust::AcceptAny | Trust::Fingerprints(_) => {
                client_config(trust, KeySize::SmallRsa)?.into()
            }
            // Such keys are refused before a second handshake.
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

/// The keys that a configuration is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeySize {
    /// All of the usual size.
    Any,
    /// RSA with fewer than 2,048 bits: only TLS 1.2 has signatures by PKCS #1.
    SmallRsa,
}

/// Builds the configuration all connections of a client share. Another provider than ring would
/// be chosen here, and nowhere else.
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
    const fn voucher(&self) -> Voucher {
        match self {
            Self::Any | Self::Pinned(_) => Voucher::Nobody,
            Self::Authorities(_) => Voucher::Authority,
        }
    }
}

fn rule(trust: &Trust, provider: &Arc<CryptoProvider>) -> Result<Rule, Error> {
    match trust {
        Trust::AcceptAny => Ok(Rule::Any),
        Trust::Fingerprints(fingerprints) if fingerprints.is_empty() => Err(Error::Configuration(
            "no fingerprint to trust was given".to_owned(),
        )),
        Trust::Fingerprints(fingerprints) => Ok(Rule::Pinned(fingerprints.clone())),
        Trust::SystemStore => authorities(system_store()?, "the system's store", provider),
        Trust::CaFile(path) => {
            authorities(authorities_of(path)?, &path.display().to_string(), provider)
        }
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

/// Single certificates of the store that cannot be read are passed over, as everywhere.
fn system_store() -> Result<RootCertStore, Error> {
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(loaded.certs);
    tracing::debug!(
        added,
        ignored,
        "loaded the system's certificate authorities"
    );
    if added > 0 {
        return Ok(roots);
    }
    let reasons: Vec<String> = loaded.errors.iter().map(ToString::to_string).collect();
    let reasons = if reasons.is_empty() {
        "it is empty".to_owned()
    } else {
        reasons.join("; ")
    };
    Err(Error::Configuration(format!(
        "the system's store of certificate authorities cannot be used: {reasons}; install the package ca-certificates"
    )))
}

/// The size limit of a CA file, in bytes.
const CA_FILE_LIMIT: u64 = 16 * 1024 * 1024;

/// Reads a file or a pipe of at most [`CA_FILE_LIMIT`] bytes; directories and devices are errors.
fn read_bounded(path: &Path) -> Result<Vec<u8>, String> {
    let in_words = |error: std::io::Error| io_in_words(&error);
    let kind = std::fs::metadata(path).map_err(in_words)?.file_type();
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
    let file = std::fs::File::open(path).map_err(in_words)?;
    let mut content = Vec::new();
    file.take(CA_FILE_LIMIT + 1)
        .read_to_end(&mut content)
        .map_err(in_words)?;
    if content.len() as u64 > CA_FILE_LIMIT {
        return Err("it is too large".to_owned());
    }
    Ok(content)
}

/// Every certificate of a file the administrator named must be readable.
fn authorities_of(path: &Path) -> Result<RootCertStore, Error> {
    let failed = |reason: String| {
        let path = path.display();
        Error::Configuration(format!(
            "cannot read certificate authorities from {path}: {reason}"
        ))
    };
    let unreadable = |error: pem::Error| {
        failed(match &error {
            pem::Error::Io(error) => io_in_words(error),
            pem::Error::MissingSectionEnd { .. } => "a certificate in it ends too early".to_owned(),
            pem::Error::IllegalSectionStart { .. } => "it is not in PEM form".to_owned(),
            pem::Error::Base64Decode(_) => "a certificate in it is not in Base64".to_owned(),
            _ => "it holds no certificate in PEM form".to_owned(),
        })
    };
    let pem = read_bounded(path).map_err(failed)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(unreadable)?;
        roots.add(certificate).map_err(|error| match error {
            rustls::Error::InvalidCertificate(reason) => failed(format!(
                "a certificate in it cannot be used: {}",
                certificate_text(&reason)
            )),
            other => failed(tls_text(&other)),
        })?;
    }
    if roots.is_empty() {
        return Err(failed("it holds no certificate in PEM form".to_owned()));
    }
    Ok(roots)
}

/// Applies the rule, and always checks that the server holds the key.
#[derive(Debug)]
struct Verifier {
    rule: Rule,
    size: KeySize,
}

impl Verifier {
    /// Whether the rule trusts the certificate.
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
            Rule::Pinned(_) => "its fingerprint is none of those trusted".to_owned(),
            Rule::Authorities(authorities) => {
                // The message about an unsupported key says more than the one about a signature.
                check_key(certificate, Voucher::Authority)?;
                match authorities.verify_server_cert(
                    certificate,
                    intermediates,
                    name,
                    ocsp_response,
                    now,
                ) {
                    Ok(_) => return Ok(()),
                    Err(error) => refusal_text(&error, certificate, name),
                }
            }
        };
        let untrusted = Arc::new(Untrusted {
            fingerprint,
            reason,
        });
        Err(CertificateError::Other(OtherError(untrusted)).into())
    }
}

/// An error that holds [`UnsupportedKey`] unless the kind of key is supported.
fn check_key(certificate: &[u8], voucher: Voucher) -> Result<(), rustls::Error> {
    let kind = KeyKind::from_certificate(certificate);
    match kind.and_then(|kind| kind.refusal(voucher)) {
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
        check_key(certificate, self.rule.voucher())?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match self.rule.voucher() {
            Voucher::Nobody => key_proof::verify_tls12(message, certificate, signature),
            Voucher::Authority => {
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
        match self.rule.voucher() {
            Voucher::Nobody => key_proof::verify_tls13(message, certificate, signature),
            Voucher::Authority => {
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
    fn an_unusable_rule_is_a_configuration_error() {
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
        assert!(
            error.to_string().contains("no certificate in PEM form"),
            "{error}"
        );
    }
}
