// SPDX-License-Identifier: GPL-3.0-only
//! The supported signature algorithms: those of rustls with ring, and ECDSA on P-521, which ring lacks.

use p521::ecdsa::signature::hazmat::PrehashVerifier;
use p521::ecdsa::{Signature, VerifyingKey};
use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use sha2::{Digest, Sha256, Sha384, Sha512};
use webpki::ring::{
    ECDSA_P256_SHA256, ECDSA_P256_SHA384, ECDSA_P384_SHA256, ECDSA_P384_SHA384, ED25519,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
    RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    RSA_PSS_2048_8192_SHA256_LEGACY_KEY, RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
};

const P521_SHA256: &dyn SignatureVerificationAlgorithm = &EcdsaP521(Hash::Sha256);
const P521_SHA384: &dyn SignatureVerificationAlgorithm = &EcdsaP521(Hash::Sha384);
const P521_SHA512: &dyn SignatureVerificationAlgorithm = &EcdsaP521(Hash::Sha512);

/// The algorithms of rustls with ring, in its order of preference, and those for P-521.
pub(super) static SUPPORTED: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        ECDSA_P256_SHA256,
        ECDSA_P256_SHA384,
        ECDSA_P384_SHA256,
        ECDSA_P384_SHA384,
        P521_SHA256,
        P521_SHA384,
        P521_SHA512,
        ED25519,
        RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        RSA_PKCS1_2048_8192_SHA256,
        RSA_PKCS1_2048_8192_SHA384,
        RSA_PKCS1_2048_8192_SHA512,
        RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
        RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
        RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    ],
    mapping: &[
        // In TLS 1.2 a scheme specifies only the hash, not the curve. TLS 1.3 uses the first algorithm.
        (
            SignatureScheme::ECDSA_NISTP384_SHA384,
            &[ECDSA_P384_SHA384, ECDSA_P256_SHA384, P521_SHA384],
        ),
        (
            SignatureScheme::ECDSA_NISTP256_SHA256,
            &[ECDSA_P256_SHA256, ECDSA_P384_SHA256, P521_SHA256],
        ),
        (SignatureScheme::ED25519, &[ED25519]),
        (
            SignatureScheme::RSA_PSS_SHA512,
            &[RSA_PSS_2048_8192_SHA512_LEGACY_KEY],
        ),
        (
            SignatureScheme::RSA_PSS_SHA384,
            &[RSA_PSS_2048_8192_SHA384_LEGACY_KEY],
        ),
        (
            SignatureScheme::RSA_PSS_SHA256,
            &[RSA_PSS_2048_8192_SHA256_LEGACY_KEY],
        ),
        (
            SignatureScheme::RSA_PKCS1_SHA512,
            &[RSA_PKCS1_2048_8192_SHA512],
        ),
        (
            SignatureScheme::RSA_PKCS1_SHA384,
            &[RSA_PKCS1_2048_8192_SHA384],
        ),
        (
            SignatureScheme::RSA_PKCS1_SHA256,
            &[RSA_PKCS1_2048_8192_SHA256],
        ),
        (SignatureScheme::ECDSA_NISTP521_SHA512, &[P521_SHA512]),
    ],
};

/// `rsa_pss_pss_sha256` and so on (RFC 8446, 4.2.3): signatures by keys that are restricted to PSS. rustls
/// has no names for them.
pub(super) const RSA_PSS_KEY_SHA256: SignatureScheme = SignatureScheme::Unknown(0x0809);
pub(super) const RSA_PSS_KEY_SHA384: SignatureScheme = SignatureScheme::Unknown(0x080a);
pub(super) const RSA_PSS_KEY_SHA512: SignatureScheme = SignatureScheme::Unknown(0x080b);

/// Unsupported schemes that are offered so that a host with only such a key sends its certificate, and the
/// error can name the kind of key. Otherwise the host would end the handshake without a reason.
const OFFERED_FOR_ERRORS: [SignatureScheme; 4] = [
    SignatureScheme::ED448,
    // Brainpool curves in TLS 1.3 (RFC 8734).
    SignatureScheme::Unknown(0x081a),
    SignatureScheme::Unknown(0x081b),
    SignatureScheme::Unknown(0x081c),
];

/// The schemes for an RSA key of fewer than 2,048 bits: with such a key ring verifies only PKCS #1
/// signatures.
pub(super) const SMALL_RSA: [SignatureScheme; 2] = [
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA512,
];

/// All schemes that are offered, the preferred first.
pub(super) fn offered() -> Vec<SignatureScheme> {
    let mut schemes = SUPPORTED.supported_schemes();
    schemes.extend([RSA_PSS_KEY_SHA512, RSA_PSS_KEY_SHA384, RSA_PSS_KEY_SHA256]);
    schemes.extend(OFFERED_FOR_ERRORS);
    schemes
}

/// ECDSA on P-521 with this hash function.
#[derive(Debug)]
struct EcdsaP521(Hash);

#[derive(Debug)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl SignatureVerificationAlgorithm for EcdsaP521 {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        match self.0 {
            Hash::Sha256 => alg_id::ECDSA_SHA256,
            Hash::Sha384 => alg_id::ECDSA_SHA384,
            Hash::Sha512 => alg_id::ECDSA_SHA512,
        }
    }

    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        // Leading zeros do not change the number; a digest shorter than half of the field size is refused.
        let mut digest = [0; 64];
        match self.0 {
            Hash::Sha256 => digest[32..].copy_from_slice(&Sha256::digest(message)),
            Hash::Sha384 => digest[16..].copy_from_slice(&Sha384::digest(message)),
            Hash::Sha512 => digest.copy_from_slice(&Sha512::digest(message)),
        }
        let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| InvalidSignature)?;
        let signature = Signature::from_der(signature).map_err(|_| InvalidSignature)?;
        key.verify_prehash(&digest, &signature)
            .map_err(|_| InvalidSignature)
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;
    use crate::certificate::{algorithm_and_key, public_key};

    /// Created with `openssl dgst -sha256 -sign`, `-sha384` and `-sha512`, and the key of `p521.pem`.
    const SIGNATURES: [&str; 3] = [
        "308188024201ea6cba1288c4c030e8cbea0f61d2ed6155a5acaea992d665cc76bae1f1e7809b02d353e408f9ef1abe6f8a3fb9875eba08f18651333c96f4f5ed05ae14644439780242008a845d81032758f56437d0b02183c864bc787094ed8145f9f92044712b49fdd8e795f12ef0fbc3b119246ec3c03c7d00184125d1279abe19bc6bac24133cfe4be5",
        "308187024201a2b9e998e247b595ae8387d06483fca997bc28625321cc5f438902ab2d4537d551ba26a33913869f505deee46aab3f483ff3eeb8fcb6e3ae11fb2e5f078f02e82f0241589cd61fbcf11dabfdabe0261cbe3a2c1d2a92d177aabf9190b96267fb50099a70312b58b67fa4dbfce6342086061490ece838984ca1e3a9b571d3e77a468c22b7",
        "308188024201133c2d0a4aa453aeadce1b12024b87f26744a913f07cab09922a2c2b64ee405acadd3bfd13c8d62c194596281a94000628586a8381adc885c3ff25c2d42cc8646c0242010b17a9741ead7ce259ac81a82f44bd6ec113a49bf584b39e52bb6a6254352e3bc29708da8c50f8283335449cf78aedcb26870a32ddfba4c7f3c6fbe96925cc48b7",
    ];

    /// In TLS 1.2 a host may sign with a P-521 key and any of the three hashes.
    #[test]
    fn signatures_on_p521_are_verified_with_each_hash() {
        let pem = include_str!("../../tests/fixtures/p521.pem");
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let key = public_key(&certificate).unwrap();
        let (algorithm, key) = algorithm_and_key(key).unwrap();
        for (verifier, signature) in [P521_SHA256, P521_SHA384, P521_SHA512]
            .into_iter()
            .zip(SIGNATURES)
        {
            let digits: Vec<char> = signature.chars().collect();
            let bytes: Vec<u8> = digits
                .chunks(2)
                .map(|pair| u8::from_str_radix(&String::from_iter(pair), 16).unwrap())
                .collect();
            assert_eq!(verifier.public_key_alg_id().as_ref(), algorithm);
            let check = |message: &[u8]| verifier.verify_signature(key, message, &bytes);
            assert!(check(b"a message").is_ok(), "{verifier:?}");
            assert!(check(b"a massage").is_err(), "{verifier:?}");
            assert!(verifier.verify_signature(&key[1..], b"", &bytes).is_err());
            assert!(
                verifier
                    .verify_signature(key, b"a message", &bytes[1..])
                    .is_err()
            );
        }
    }
}
