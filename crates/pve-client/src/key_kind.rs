// SPDX-License-Identifier: GPL-3.0-only
//! The kind of key in a certificate, and whether it is supported.
//!
//! The error for an unsupported key names its kind; without this check the handshake would fail with a
//! message about a bad signature.

use std::fmt;

use der::Tag;

use crate::certificate::{self, elements, object_identifier, value};

/// What to do about an unsupported key.
pub(crate) const RENEW_HINT: &str = "give the host a certificate with an RSA key of 2,048 bits or more, or an ECDSA key; \
     to renew Proxmox VE's own: pvecm updatecerts --force";

/// The kind of a public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// RSA, with the length of the modulus in bits.
    Rsa(usize),
    /// RSA restricted to PSS signatures, with the length of the modulus in bits.
    RsaPss(usize),
    /// A supported kind: P-256, P-384, P-521, Ed25519.
    Supported(&'static str),
    /// An unsupported kind, by its name or object identifier.
    Unsupported(String),
}

/// What the trust in a certificate is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrustBasis {
    /// A certificate authority.
    Authority,
    /// The certificate alone: any certificate is accepted, or its fingerprint is known.
    CertificateAlone,
}

impl KeyKind {
    /// Reads the kind of key of a certificate in DER form; `None` if the key cannot be read.
    pub(crate) fn from_certificate(der: &[u8]) -> Option<Self> {
        let (algorithm, key) = certificate::algorithm_and_key(certificate::public_key(der)?)?;
        let mut algorithm = elements(algorithm);
        let kind = object_identifier(algorithm.next()?)?;
        Some(match kind.to_string().as_str() {
            "1.2.840.113549.1.1.1" => Self::Rsa(modulus_bits(key)?),
            "1.2.840.113549.1.1.10" => Self::RsaPss(modulus_bits(key)?),
            "1.2.840.10045.2.1" => from_curve(&object_identifier(algorithm.next()?)?.to_string()),
            "1.3.101.112" => Self::Supported("Ed25519"),
            "1.3.101.113" => Self::Unsupported("Ed448".to_owned()),
            "1.2.840.10040.4.1" => Self::Unsupported("DSA".to_owned()),
            "2.16.840.1.101.3.4.3.17" | "2.16.840.1.101.3.4.3.18" | "2.16.840.1.101.3.4.3.19" => {
                Self::Unsupported("ML-DSA".to_owned())
            }
            other => Self::Unsupported(other.to_owned()),
        })
    }

    /// Why a certificate with this key cannot be used; `None` if it can.
    pub(crate) fn unsupported_reason(&self, basis: TrustBasis) -> Option<String> {
        let problem = match (self, basis) {
            (Self::Rsa(2_048..=8_192) | Self::Supported(_), _)
            | (
                Self::Rsa(1_024..=2_047) | Self::RsaPss(2_048..=8_192),
                TrustBasis::CertificateAlone,
            ) => {
                return None;
            }
            (Self::Rsa(1_024..=2_047), TrustBasis::Authority) => {
                "with a certificate authority RSA keys need 2,048 bits or more; trust the host by its fingerprint, or"
            }
            (Self::RsaPss(2_048..=8_192), TrustBasis::Authority) => {
                "such keys are not supported with a certificate authority; trust the host by its fingerprint, or"
            }
            (Self::Rsa(_) | Self::RsaPss(_) | Self::Unsupported(_), _) => {
                "such keys are not supported;"
            }
        };
        Some(format!(
            "its certificate has {self}, but {problem} {RENEW_HINT}"
        ))
    }
}

impl fmt::Display for KeyKind {
    /// `an RSA key of 1024 bits`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(formatter, "an RSA key of {bits} bits"),
            Self::RsaPss(bits) => write!(formatter, "an RSA-PSS key of {bits} bits"),
            Self::Supported(name) => write!(formatter, "a key of kind {name}"),
            Self::Unsupported(name) => write!(formatter, "a key of kind {name}"),
        }
    }
}

/// The kind of an ECDSA key, by the object identifier of its curve.
fn from_curve(identifier: &str) -> KeyKind {
    let name = match identifier {
        "1.2.840.10045.3.1.7" => return KeyKind::Supported("ECDSA P-256"),
        "1.3.132.0.34" => return KeyKind::Supported("ECDSA P-384"),
        "1.3.132.0.35" => return KeyKind::Supported("ECDSA P-521"),
        "1.2.840.10045.3.1.1" => "P-192",
        "1.3.132.0.33" => "P-224",
        "1.3.132.0.10" => "secp256k1",
        "1.3.36.3.3.2.8.1.1.7" => "brainpoolP256r1",
        "1.3.36.3.3.2.8.1.1.11" => "brainpoolP384r1",
        "1.3.36.3.3.2.8.1.1.13" => "brainpoolP512r1",
        "1.2.156.10197.1.301" => "SM2",
        other => other,
    };
    KeyKind::Unsupported(format!("ECDSA {name}"))
}

/// The length of the modulus of an RSA key (RFC 8017, appendix A.1.1).
fn modulus_bits(key: &[u8]) -> Option<usize> {
    let numbers = value(elements(key).next()?, Tag::Sequence)?;
    let modulus = value(elements(numbers).next()?, Tag::Integer)?;
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let first = modulus.get(zeros)?;
    Some((modulus.len() - zeros) * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn curves_are_named_by_their_object_identifier() {
        assert_eq!(
            from_curve("1.3.132.0.10"),
            KeyKind::Unsupported("ECDSA secp256k1".to_owned())
        );
        assert_eq!(
            from_curve("1.3.132.0.35").unsupported_reason(TrustBasis::Authority),
            None
        );
    }

    /// Small RSA keys are accepted without an authority; other unsupported keys never.
    #[test]
    fn support_depends_on_the_length_of_an_rsa_key() {
        let key = |bits: usize| {
            let mut modulus = vec![0xff; bits / 8];
            modulus.insert(0, 0);
            modulus_bits(&[[0x30, 0x81, 0xff, 0x02, 0x81, 0x81].as_slice(), &modulus].concat())
        };
        // The encoded lengths are those of a key of 1,024 bits.
        assert_eq!(key(1_024), None, "the sequence is truncated");
        for (kind, authority, alone) in [
            (KeyKind::Rsa(512), false, false),
            (KeyKind::Rsa(1_024), false, true),
            (KeyKind::Rsa(2_048), true, true),
            (KeyKind::Rsa(16_384), false, false),
            (KeyKind::RsaPss(1_024), false, false),
            (KeyKind::RsaPss(3_072), false, true),
            (KeyKind::Unsupported("Ed448".to_owned()), false, false),
        ] {
            let accepted = |basis| kind.unsupported_reason(basis).is_none();
            assert_eq!(accepted(TrustBasis::Authority), authority, "{kind}");
            assert_eq!(accepted(TrustBasis::CertificateAlone), alone, "{kind}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = KeyKind::from_certificate(&bytes);
            let _ = modulus_bits(&bytes);
        }
    }
}
