// SPDX-License-Identifier: GPL-3.0-only
//! The server's certificate, and a client for control commands that accepts any certificate.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};

use crate::hash;

const DAY: Duration = Duration::from_secs(86_400);

/// The certificate could not be created or used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The certificate could not be created.
    #[error("cannot create a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// The files do not contain a certificate and a key.
    #[error("cannot read the certificate or its key: {0}")]
    Read(#[from] rustls::pki_types::pem::Error),
    /// Certificate and key do not match.
    #[error("the certificate cannot be used: {0}")]
    Use(#[from] rustls::Error),
}

/// Certificate and key of the server.
#[derive(Clone)]
pub struct Identity {
    certificate: CertificateDer<'static>,
    pem: String,
    pub(super) server: Arc<ServerConfig>,
}

impl Identity {
    /// Creates a self-signed certificate for these names. Subject, usage and two years of validity
    /// are those of the node's certificate in PVE (`gen_pve_ssl_cert` in `PVE/Cluster/Setup.pm`).
    /// It is valid from yesterday, for clients with a slow clock.
    pub fn self_signed(node: &str, names: &[String]) -> Result<Self, IdentityError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.to_vec())?;
        let subject = &mut params.distinguished_name;
        *subject = rcgen::DistinguishedName::new();
        subject.push(DnType::OrganizationalUnitName, "PVE Cluster Node");
        subject.push(DnType::OrganizationName, "Proxmox Virtual Environment");
        subject.push(DnType::CommonName, node);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Before 1970 the exact time does not matter: no client would accept the certificate.
        let since_epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(since_epoch.as_secs());
        params.not_before = now - DAY;
        params.not_after = now + DAY * 729;
        let certificate = params.self_signed(&key)?;
        Self::from_pem(&certificate.pem(), &key.serialize_pem())
    }

    /// Uses a certificate and its key in PEM format. A certificate that rustls does not understand,
    /// such as X.509 version 1, is used as it is, because clients may encounter one.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, IdentityError> {
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
            .collect::<Result<Vec<_>, _>>()?;
        let first = chain
            .first()
            .cloned()
            .ok_or(rustls::pki_types::pem::Error::NoItemsFound)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
        let provider = provider();
        let certified = CertifiedKey::new(chain, provider.key_provider.load_private_key(key)?);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InvalidCertificate(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        Ok(Self {
            certificate: first,
            pem: certificate.to_owned(),
            server: Arc::new(server),
        })
    }

    /// SHA-256 fingerprint in PVE's format: `AA:BB:…`.
    pub fn fingerprint(&self) -> String {
        hash::fingerprint(&self.certificate)
    }

    /// The certificate in PEM format.
    pub fn pem(&self) -> &str {
        &self.pem
    }
}

/// The fingerprint of a node that is only listed and has no listener.
pub(crate) fn placeholder_fingerprint(name: &str) -> String {
    hash::fingerprint(name.as_bytes())
}

/// The names in the certificate: addresses, nodes, and loopback as in PVE.
pub(crate) fn names_for(addresses: &[IpAddr], nodes: &[String]) -> Vec<String> {
    let loopback = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    ];
    let mut names = vec!["localhost".to_owned()];
    names.extend(loopback.iter().map(ToString::to_string));
    names.extend(addresses.iter().map(ToString::to_string));
    names.extend(nodes.iter().cloned());
    names.sort();
    names.dedup();
    names
}

/// TLS configuration of a client that accepts any certificate.
pub fn insecure_client_config() -> Result<ClientConfig, rustls::Error> {
    let provider = provider();
    let verifier = Arc::new(AcceptAnyCertificate(Arc::clone(&provider)));
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Accepts every certificate: control commands only use loopback.
#[derive(Debug)]
struct AcceptAnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_self_signed_certificate_can_be_reused() {
        let names = names_for(&[IpAddr::from([127, 0, 0, 1])], &["pve1".to_owned()]);
        let identity = Identity::self_signed("pve1", &names).expect("a certificate");
        assert_eq!(identity.fingerprint().len(), 32 * 3 - 1);
        assert!(identity.pem().starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(Identity::from_pem(identity.pem(), "no key").is_err());
    }

    /// Names, usage and validity match those of a node's certificate, so that a client that trusts
    /// it accepts it under each of its names today, but not in three years.
    #[test]
    fn a_self_signed_certificate_matches_that_of_a_node() {
        let names = names_for(&[IpAddr::from([10, 99, 0, 1])], &["pve2".to_owned()]);
        let identity = Identity::self_signed("pve2", &names).expect("a certificate");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(identity.certificate.clone()).expect("a root");
        let verifier =
            rustls::client::WebPkiServerVerifier::builder_with_provider(roots.into(), provider())
                .build()
                .expect("a verifier");
        let accepts = |name: &str, days: u32| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            let at = UnixTime::since_unix_epoch(now.expect("a time after 1970") + DAY * days);
            let name = ServerName::try_from(name.to_owned()).expect("a name");
            let result = verifier.verify_server_cert(&identity.certificate, &[], &name, &[], at);
            result.is_ok()
        };
        for name in ["localhost", "127.0.0.1", "::1", "pve2", "10.99.0.1"] {
            assert!(accepts(name, 0) && accepts(name, 728), "{name}");
            assert!(!accepts(name, 3 * 365), "{name}");
        }
        assert!(!accepts("pve3", 0));
        let contains = |pattern: &[u8]| {
            let mut parts = identity.certificate.windows(pattern.len());
            parts.any(|part| part == pattern)
        };
        assert!(contains(b"PVE Cluster Node") && contains(b"Proxmox Virtual Environment"));
        // The extended key usage, with server authentication.
        assert!(contains(&[0x55, 0x1d, 0x25]));
        assert!(contains(&[0x2b, 6, 1, 5, 5, 7, 3, 1]));
    }
}
