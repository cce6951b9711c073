// SPDX-License-Identifier: GPL-3.0-only
//! Digests in PVE's formats.

use ring::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

/// SHA-1 as 40 lowercase hex digits: the `digest` of a configuration.
pub(crate) fn sha1(text: &str) -> String {
    hex_pairs(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes())
        .concat()
        .to_lowercase()
}

/// SHA-256 as `AA:BB:…`: the fingerprint of a certificate.
pub(crate) fn fingerprint(bytes: &[u8]) -> String {
    hex_pairs(&SHA256, bytes).join(":")
}

fn hex_pairs(algorithm: &'static Algorithm, bytes: &[u8]) -> Vec<String> {
    digest(algorithm, bytes)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_have_the_formats_of_pve() {
        // RFC 3174, first test: the digest of `abc`.
        assert_eq!(sha1("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert!(fingerprint(b"abc").starts_with("BA:78:16:BF:"));
    }
}
