// SPDX-License-Identifier: GPL-3.0-only
//! Certificates that a host shows, in DER form.

use pve_client::{Fingerprint, PeerCertificate};

/// The last second of the year 9999 and the first of year one, by their distance from 1970.
const REPRESENTABLE: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_800;

/// Reads the certificate; what is shown of it must not disturb a terminal.
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
