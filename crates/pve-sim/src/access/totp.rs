// SPDX-License-Identifier: GPL-3.0-only
//! Time-based one-time passwords: RFC 6238 with SHA-1, six digits, 30 seconds.

use ring::hmac;

use crate::clock::{Seconds, whole};

/// Whether `code` is valid now, or one step before or after.
pub fn verify(secret: &str, code: &str, now: Seconds) -> bool {
    let Some(key) = base32(secret) else {
        return false;
    };
    let step = whole(now) / 30;
    (step - 1..=step + 1).any(|at| one_time_code(&key, at.unsigned_abs()) == code)
}

fn one_time_code(key: &[u8], step: u64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[tag.len() - 1] & 15);
    let number = tag[offset..offset + 4]
        .iter()
        .fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    format!("{:06}", (number & 0x7FFF_FFFF) % 1_000_000)
}

fn base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut buffer, mut bits) = (0_u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter.to_ascii_uppercase() {
            upper @ b'A'..=b'Z' => upper - b'A',
            digit @ b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        buffer = (buffer << 5 | u32::from(value)) & 0xFFF;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(buffer >> bits & 0xFF).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_in_the_rfc_are_accepted() {
        // RFC 6238, appendix B: the last six of the eight digits.
        let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        for (at, code) in [
            (59.0, "287082"),
            (1_111_111_109.0, "081804"),
            (20_000_000_000.0, "353130"),
        ] {
            assert!(verify(secret, code, at), "{code}");
            assert!(verify(secret, code, at + 30.0), "one step late is fine");
            assert!(!verify(secret, code, at + 90.0));
        }
        assert!(!verify("1", "287082", 59.0), "no base32");
    }
}
