// SPDX-License-Identifier: GPL-3.0-only
//! Verifies that a server has the private key of its certificate, for certificates that are trusted
//! without a certificate authority.
//!
//! rustls parses a certificate as X.509 version 3 before it verifies the signature, so it rejects version 1
//! (plain `openssl x509 -req`). Here only the key is read from the certificate: its other fields do not
//! matter if any certificate, or exactly this one, is accepted.
//!
//! Two kinds of keys that rustls does not support are verified with ring directly: RSA keys restricted to
//! PSS, and RSA keys of 1,024 to 2,047 bits.

use std::sync::Arc;

use ring::signature::{
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    UnparsedPublicKey,
};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, PeerMisbehaved, SignatureScheme,
};

use super::algorithms::{RSA_PSS_KEY_SHA256, RSA_PSS_KEY_SHA384, RSA_PSS_KEY_SHA512, SUPPORTED};
use crate::certificate::{algorithm_and_key, public_key};
use crate::handshake::SmallRsaKey;
use crate::key_kind::KeyKind;

/// Verifies the signature of a TLS 1.3 handshake.
pub(super) fn verify_tls13(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    if let Some(parameters) = ring_parameters(certificate, signature)? {
        return verify_rsa(message, certificate, signature, parameters);
    }
    let key = public_key(certificate).ok_or(CertificateError::BadEncoding)?;
    let key = SubjectPublicKeyInfoDer::from(key);
    crypto::verify_tls13_signature_with_raw_key(message, &key, signature, &SUPPORTED)
}

/// Verifies the signature of a TLS 1.2 handshake. The scheme does not specify the curve, so each algorithm
/// that fits the key is tried.
pub(super) fn verify_tls12(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    if let Some(parameters) = ring_parameters(certificate, signature)? {
        return verify_rsa(message, certificate, signature, parameters);
    }
    let (key_algorithm, key) = public_key(certificate)
        .and_then(algorithm_and_key)
        .ok_or(CertificateError::BadEncoding)?;
    let mut schemes = SUPPORTED.mapping.iter();
    let (_, candidates) = schemes
        .find(|(scheme, _)| *scheme == signature.scheme)
        .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    let mut fitting = candidates
        .iter()
        .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == key_algorithm);
    let is_proof = fitting.any(|algorithm| {
        algorithm
            .verify_signature(key, message, signature.signature())
            .is_ok()
    });
    if is_proof {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(CertificateError::BadSignature.into())
    }
}

/// The parameters for keys that rustls does not support; `None` for all other keys. A small RSA key with a
/// scheme that ring cannot verify is an error that contains [`SmallRsaKey`].
fn ring_parameters(
    certificate: &[u8],
    signature: &DigitallySignedStruct,
) -> Result<Option<&'static RsaParameters>, Error> {
    let kind = KeyKind::from_certificate(certificate);
    Ok(match (kind, signature.scheme) {
        (Some(KeyKind::RsaPss(_)), RSA_PSS_KEY_SHA256) => Some(&RSA_PSS_2048_8192_SHA256),
        (Some(KeyKind::RsaPss(_)), RSA_PSS_KEY_SHA384) => Some(&RSA_PSS_2048_8192_SHA384),
        (Some(KeyKind::RsaPss(_)), RSA_PSS_KEY_SHA512) => Some(&RSA_PSS_2048_8192_SHA512),
        (Some(KeyKind::Rsa(..2_048)), SignatureScheme::RSA_PKCS1_SHA256) => {
            Some(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY)
        }
        (Some(KeyKind::Rsa(..2_048)), SignatureScheme::RSA_PKCS1_SHA512) => {
            Some(&RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY)
        }
        (Some(KeyKind::Rsa(..2_048)), _) => {
            let small = OtherError(Arc::new(SmallRsaKey));
            return Err(CertificateError::Other(small).into());
        }
        (
            None
            | Some(
                KeyKind::Rsa(_)
                | KeyKind::RsaPss(_)
                | KeyKind::Supported(_)
                | KeyKind::Unsupported(_),
            ),
            _,
        ) => None,
    })
}

fn verify_rsa(
    message: &[u8],
    certificate: &[u8],
    signature: &DigitallySignedStruct,
    parameters: &'static RsaParameters,
) -> Result<HandshakeSignatureValid, Error> {
    let (_, key) = public_key(certificate)
        .and_then(algorithm_and_key)
        .ok_or(CertificateError::BadEncoding)?;
    UnparsedPublicKey::new(parameters, key)
        .verify(message, signature.signature())
        .map(|()| HandshakeSignatureValid::assertion())
        .map_err(|_| CertificateError::BadSignature.into())
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::sign::{CertifiedKey, SingleCertAndKey};
    use rustls::{
        ClientConnection, ServerConfig, ServerConnection, SupportedProtocolVersion, version,
    };

    use super::*;
    use crate::fingerprint::Fingerprint;
    use crate::options::Trust;
    use crate::tls::{KeySize, client_config};

    const EC: &str = include_str!("../../tests/fixtures/x509-v1-ec.pem");
    const RSA: &str = include_str!("../../tests/fixtures/x509-v1-rsa.pem");

    /// Does a handshake in memory with a server that has this certificate and this key.
    fn handshake(
        certificate: &str,
        key: &str,
        protocol: &'static SupportedProtocolVersion,
        trust: &Trust,
    ) -> Result<(), Error> {
        let provider = crypto::ring::default_provider();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let key = provider.key_provider.load_private_key(key).unwrap();
        let certified = CertifiedKey::new(vec![der(certificate)], key);
        let config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[protocol])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        let mut server = ServerConnection::new(Arc::new(config)).unwrap();
        let name = "pve1.example.com".try_into().unwrap();
        let mut client =
            ClientConnection::new(client_config(trust, KeySize::Any).unwrap(), name).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut bytes = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut bytes).unwrap();
            }
            while server.wants_write() {
                let mut reply = Vec::new();
                server.write_tls(&mut reply).unwrap();
                client.read_tls(&mut reply.as_slice()).unwrap();
                client.process_new_packets()?;
            }
            if !bytes.is_empty() {
                server.read_tls(&mut bytes.as_slice()).unwrap();
                server.process_new_packets()?;
            }
        }
        Ok(())
    }

    fn der(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    const PROTOCOLS: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

    #[test]
    fn version_1_certificates_are_accepted_without_an_authority() {
        for protocol in PROTOCOLS {
            for pem in [EC, RSA] {
                let pin = Fingerprint::from_certificate(&der(pem));
                for trust in [Trust::AcceptAny, Trust::Fingerprints(vec![pin])] {
                    handshake(pem, pem, protocol, &trust).unwrap();
                }
                let other = Trust::Fingerprints(vec![Fingerprint::from_bytes([7; 32])]);
                handshake(pem, pem, protocol, &other).unwrap_err();
            }
        }
    }

    #[test]
    fn a_server_without_the_private_key_is_rejected() {
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let generated = rcgen::generate_simple_self_signed(vec!["pve1".to_owned()]).unwrap();
        for protocol in PROTOCOLS {
            for certificate in [EC, RSA, &generated.cert.pem()] {
                let error =
                    handshake(certificate, &other, protocol, &Trust::AcceptAny).unwrap_err();
                assert!(
                    matches!(
                        error,
                        Error::InvalidCertificate(_)
                            | Error::PeerIncompatible(_)
                            | Error::PeerMisbehaved(_)
                    ),
                    "{error:?}"
                );
            }
        }
    }

    #[test]
    fn version_3_certificates_are_accepted() {
        let generated = rcgen::generate_simple_self_signed(vec!["pve1".to_owned()]).unwrap();
        for protocol in PROTOCOLS {
            let (pem, key) = (generated.cert.pem(), generated.signing_key.serialize_pem());
            handshake(&pem, &key, protocol, &Trust::AcceptAny).unwrap();
        }
    }
}
