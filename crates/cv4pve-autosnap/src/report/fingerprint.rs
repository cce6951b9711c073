// SPDX-License-Identifier: GPL-3.0-only
//! The output of `fingerprint`: the certificates of the hosts.

use std::fmt::Write;

use jiff::Timestamp;
use pve_client::PeerCertificate;

use super::{Console, Lines};
use autosnap::fingerprint::HostCertificate;

/// Prints a line for every host: `HOST:PORT FINGERPRINT`, which scripts can cut, then name and validity. Hosts
/// without a certificate are reported on stderr.
pub fn print(console: &Console, shown: &[HostCertificate]) {
    for host in shown {
        match &host.result {
            Ok(certificate) => {
                let about = describe(certificate);
                let fingerprint = certificate.fingerprint;
                let mut lines = Lines::default();
                lines.line(format_args!("{} {fingerprint}{about}", host.endpoint));
                console.out(&lines);
            }
            Err(reason) => console.error(&format!("ERROR: {}: {reason}", host.endpoint)),
        }
    }
}

/// `  (pve1.example.com, issued by …, valid 2026-11-23 to 2028-11-22)`, without the unknown parts.
pub(super) fn describe(certificate: &PeerCertificate) -> String {
    let mut text = String::new();
    let mut add = |part: &str| {
        let separator = if text.is_empty() { "" } else { ", " };
        write!(text, "{separator}{part}").expect("a string takes every text");
    };
    if let Some(subject) = &certificate.subject {
        add(subject);
    }
    if let Some(issuer) = &certificate.issuer {
        add(&format!("issued by {issuer}"));
    }
    if let (Some(from), Some(to)) = (day(certificate.not_before), day(certificate.not_after)) {
        add(&format!("valid {from} to {to}"));
    }
    if text.is_empty() {
        text
    } else {
        format!("  ({text})")
    }
}

/// The day, in UTC.
fn day(second: Option<i64>) -> Option<String> {
    let instant = Timestamp::from_second(second?).ok()?;
    Some(instant.strftime("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use pve_client::Fingerprint;

    use super::*;

    #[test]
    fn only_known_fields_are_printed() {
        let mut certificate = PeerCertificate {
            fingerprint: Fingerprint::from_certificate(b"x"),
            subject: None,
            issuer: None,
            names: Vec::new(),
            not_before: Some(1_795_392_000),
            not_after: None,
        };
        assert_eq!(describe(&certificate), "");
        certificate.subject = Some("pve1".to_owned());
        certificate.not_after = Some(2_524_608_000);
        assert_eq!(
            describe(&certificate),
            "  (pve1, valid 2026-11-23 to 2050-01-01)"
        );
    }
}
