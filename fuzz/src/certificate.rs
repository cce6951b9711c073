// SPDX-License-Identifier: GPL-3.0-only
//! Certificates of hosts, in DER form.

use pve_client::{Fingerprint, PeerCertificate};

/// The seconds since 1970 of the years 1 to 9999.
const REPRESENTABLE: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_800;

/// Parses the certificate; its names must not contain control characters.
pub fn run(input: &[u8]) {
    let certificate = PeerCertificate::from_der(input);
    assert_eq!(
        certificate.fingerprint,
        Fingerprint::from_certificate(input)
    );
    for name in [&certificate.subject, &certificate.issuer]
        .into_iter()
        .flatten()
    {
        assert!(!name.contains(char::is_control), "{name:?}");
    }
    for time in [certificate.not_before, certificate.not_after]
        .into_iter()
        .flatten()
    {
        assert!(REPRESENTABLE.contains(&time), "{time}");
    }
}
