// SPDX-License-Identifier: GPL-3.0-only
//! SHA-256 fingerprints of certificates, in the notation of PVE's web interface.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// The SHA-256 digest of a certificate in DER form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

/// The text is not a SHA-256 fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid SHA-256 fingerprint '{0}': expected 64 hexadecimal digits such as AA:BB:CC:…, as PVE shows them under Node > System > Certificates"
)]
pub struct FingerprintError(String);

impl Fingerprint {
    /// Creates a fingerprint from a digest.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Computes the fingerprint of a certificate in DER form.
    pub fn from_certificate(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// The digest.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Parses 64 hexadecimal digits of either case; colons and spaces between bytes are optional,
    /// and so is the prefix `sha256:` or OpenSSL's `sha256 Fingerprint=`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || FingerprintError(text.to_owned());
        let digits: Vec<u8> = strip_prefix(text.trim())
            .bytes()
            .filter(|byte| !matches!(byte, b':' | b' '))
            .map(hexadecimal_value)
            .collect::<Option<_>>()
            .ok_or_else(error)?;
        let mut bytes = [0; 32];
        if digits.len() != 64 {
            return Err(error());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    /// `AA:BB:…`, 32 pairs of upper-case digits.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ":" };
            write!(formatter, "{separator}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Fingerprint({self})")
    }
}

/// Removes the prefix that tools print before the digits.
fn strip_prefix(text: &str) -> &str {
    for prefix in ["sha256 fingerprint=", "sha256:", "sha-256:"] {
        match text.get(..prefix.len()) {
            Some(start) if start.eq_ignore_ascii_case(prefix) => return &text[prefix.len()..],
            Some(_) | None => {}
        }
    }
    text
}

fn hexadecimal_value(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A fingerprint from `GET /nodes` of the recordings.
    const RECORDED: &str = "EB:82:14:A0:FE:F4:D6:ED:C3:EC:47:6B:4B:0E:51:B4:2D:15:2D:DA:E2:5F:91:55:88:8B:04:C4:29:C3:DF:DB";

    #[test]
    fn every_common_notation_is_parsed() {
        let expected: Fingerprint = RECORDED.parse().unwrap();
        assert_eq!(expected.to_string(), RECORDED);
        for text in [
            RECORDED.to_lowercase(),
            RECORDED.replace(':', ""),
            RECORDED.replace(':', " "),
            format!("sha256:{RECORDED}"),
            format!("SHA256 Fingerprint={RECORDED}"),
        ] {
            assert_eq!(text.parse::<Fingerprint>().unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn other_digests_are_refused() {
        for text in ["", "AA:BB", &RECORDED[3..], "zz", &format!("{RECORDED}:00")] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_digest_is_sha_256() {
        let digest = Fingerprint::from_certificate(b"abc").to_string();
        assert!(digest.starts_with("BA:78:16:BF:8F:01:CF:EA"), "{digest}");
    }

    proptest! {
        #[test]
        fn text_and_bytes_round_trip(bytes: [u8; 32]) {
            let fingerprint = Fingerprint::from_bytes(bytes);
            prop_assert_eq!(fingerprint.to_string().parse::<Fingerprint>().unwrap(), fingerprint);
        }

        #[test]
        fn any_text_is_refused_without_a_panic(text in ".{0,80}") {
            let _ = text.parse::<Fingerprint>();
        }
    }
}
