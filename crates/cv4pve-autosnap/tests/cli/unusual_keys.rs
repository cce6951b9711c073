// SPDX-License-Identifier: GPL-3.0-only
//! A host whose certificate has a key that rustls and ring cannot sign with: it ends TLS and
//! forwards everything to a simulated cluster.

use std::io;
use std::sync::Arc;

use p521::ecdsa::signature::Signer as _;
use p521::elliptic_curve::bigint::modular::{FixedMontyForm, FixedMontyParams};
use p521::elliptic_curve::bigint::{Odd, U1024};
use p521::pkcs8::DecodePrivateKey;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PSS_SHA256;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{
    ClientConfig, Error, RootCertStore, ServerConfig, SignatureAlgorithm, SignatureScheme,
    SupportedProtocolVersion,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::harness::Lab;

/// The modulus and the private exponent of `rsa-1024.pem`.
const RSA_1024: [&str; 2] = [
    "c8ef3c57a6bb1a274401cf5eb4fa71afd4433c21c40598cd56e2a752aed51932b49b5fce907db6a7a14abef4e2276dfe13fcda927bc38caacf2b2a5182abb81818b4f539e0d1581e70a58e030de987abf746ea0358728245674d0181c144f4efe0f00c80e0c7d875e4f8ea0601a1b9a5b112ad27beb47d45f479f217351b401b",
    "1a91d7eed733428012b41291b968ac83cd939e6df097b4dee2305263d28e8728774d5c5bda2b656dc11c3b27f287b839b2b6eac817e981be4c6aaecbdc758c80172b158847e1c19048cf64f1f1b36af8a69a496ca93f25175e5553e5768543c4ed9fa2743768c84f0765053127d94db1d0358fbb28210af16286ec002ad75091",
];
/// The prefix of a SHA-256 digest in a PKCS #1 signature (RFC 8017, section 9.2).
const SHA256_PREFIX: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];
/// `rsa_pss_pss_sha256`.
const RSA_PSS_KEY: SignatureScheme = SignatureScheme::Unknown(0x0809);

/// How the host signs the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    P521,
    RsaPss,
    /// With PKCS #1, which is not offered together with PSS, as an RSA key of 1,024 bits in TLS
    /// 1.2.
    Rsa1024,
    /// With an invalid signature in this scheme.
    Wrong(SignatureScheme),
}

/// Starts a host with a certificate from `pve-client/tests/fixtures`; returns its address for
/// `--host`.
pub(crate) fn host(
    lab: &Lab,
    pem: &'static str,
    proof: Proof,
    versions: &'static [&SupportedProtocolVersion],
) -> String {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let key = CertifiedKey::new(vec![certificate], Arc::new(Key(pem, proof)));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    let mut roots = RootCertStore::empty();
    let authority = lab.simulator.certificate_pem();
    let authority = CertificateDer::from_pem_slice(authority.as_bytes()).unwrap();
    roots.add(authority).unwrap();
    let inner = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let cluster = lab.host();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let acceptor = TlsAcceptor::from(Arc::new(config.clone()));
                let connector = TlsConnector::from(Arc::new(inner.clone()));
                // Some tests expect the client to abort the handshake.
                tokio::spawn(forward(socket, acceptor, connector, cluster.clone()));
            }
        });
    });
    address
}

async fn forward(
    socket: TcpStream,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    cluster: String,
) -> io::Result<()> {
    let mut outer = acceptor.accept(socket).await?;
    let name = "127.0.0.1".try_into().map_err(io::Error::other)?;
    let socket = TcpStream::connect(cluster).await?;
    let mut inner = connector.connect(name, socket).await?;
    tokio::io::copy_bidirectional(&mut outer, &mut inner).await?;
    Ok(())
}

#[derive(Debug)]
struct Key(&'static str, Proof);

impl SigningKey for Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let Self(pem, proof) = *self;
        let scheme = match proof {
            Proof::P521 => SignatureScheme::ECDSA_NISTP521_SHA512,
            Proof::RsaPss => RSA_PSS_KEY,
            Proof::Rsa1024 if offered.contains(&SignatureScheme::RSA_PSS_SHA256) => {
                SignatureScheme::RSA_PSS_SHA256
            }
            Proof::Rsa1024 => SignatureScheme::RSA_PKCS1_SHA256,
            Proof::Wrong(scheme) => scheme,
        };
        let signer = Signature { pem, proof, scheme };
        offered
            .contains(&scheme)
            .then(|| Box::new(signer) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.1 {
            Proof::P521 => SignatureAlgorithm::ECDSA,
            Proof::RsaPss | Proof::Rsa1024 | Proof::Wrong(SignatureScheme::RSA_PKCS1_SHA256) => {
                SignatureAlgorithm::RSA
            }
            Proof::Wrong(_) => SignatureAlgorithm::ED448,
        }
    }
}

#[derive(Debug)]
struct Signature {
    pem: &'static str,
    proof: Proof,
    scheme: SignatureScheme,
}

impl Signer for Signature {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(match self.proof {
            Proof::P521 => {
                let key = PrivatePkcs8KeyDer::from_pem_slice(self.pem.as_bytes()).unwrap();
                let key = p521::SecretKey::from_pkcs8_der(key.secret_pkcs8_der()).unwrap();
                let signature: p521::ecdsa::Signature =
                    p521::ecdsa::SigningKey::from(key).sign(message);
                signature.to_der().as_bytes().to_vec()
            }
            Proof::RsaPss => {
                let key = PrivatePkcs1KeyDer::from_pem_slice(self.pem.as_bytes()).unwrap();
                let key = KeyPair::from_der(key.secret_pkcs1_der()).unwrap();
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(
                    &RSA_PSS_SHA256,
                    &SystemRandom::new(),
                    message,
                    &mut signature,
                )
                .unwrap();
                signature
            }
            Proof::Rsa1024 if self.scheme == SignatureScheme::RSA_PKCS1_SHA256 => {
                sign_by_pkcs1(message)
            }
            Proof::Rsa1024 | Proof::Wrong(_) => vec![7; 114],
        })
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

/// A signature with the 1,024-bit key (RFC 8017, section 8.2.1).
fn sign_by_pkcs1(message: &[u8]) -> Vec<u8> {
    let digest = ring::digest::digest(&ring::digest::SHA256, message);
    let end = [[0].as_slice(), &SHA256_PREFIX, digest.as_ref()].concat();
    let padding = vec![0xff; 126 - end.len()];
    let encoded = [[0, 1].as_slice(), &padding, &end].concat();
    let [modulus, exponent] = RSA_1024.map(U1024::from_be_hex);
    let parameters = FixedMontyParams::new(Odd::new(modulus).unwrap());
    let number = FixedMontyForm::new(&U1024::from_be_slice(&encoded), &parameters);
    number.pow(&exponent).retrieve().to_be_bytes().to_vec()
}
