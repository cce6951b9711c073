// SPDX-License-Identifier: GPL-3.0-only
//! What a certificate says about itself, as far as an administrator wants to see it: fingerprint,
//! name and validity.
//!
//! Only the few fields at the beginning of a certificate are walked over (RFC 5280, section 4.1);
//! whatever cannot be understood is left out, as trust is decided elsewhere and never by these
//! fields.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::fingerprint::Fingerprint;
use crate::moment;

pub(crate) const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// The optional version in front of the serial number.
const VERSION: u8 = 0xa0;
/// The optional extensions at the end.
const EXTENSIONS: u8 = 0xa3;
/// A DNS name among the names of a certificate.
const DNS_NAME: u8 = 0x82;
/// An IP address among them.
const IP_ADDRESS: u8 = 0x87;
/// `id-ce-subjectAltName`, 2.5.29.17.
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];
/// `id-at-commonName`, 2.5.4.3.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

/// The certificate a host shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Its SHA-256 fingerprint.
    pub fingerprint: Fingerprint,
    /// The common name of its subject, such as `pve1.example.com`.
    pub subject: Option<String>,
    /// The common name of its issuer, such as `Proxmox Virtual Environment`.
    pub issuer: Option<String>,
    /// The DNS names and addresses it is made for, such as `pve1.example.com` and `10.0.0.1`.
    pub names: Vec<String>,
    /// From when it is valid, in seconds since the epoch.
    pub not_before: Option<i64>,
    /// Until when it is valid, in seconds since the epoch.
    pub not_after: Option<i64>,
}

impl PeerCertificate {
    /// Reads a certificate in DER form.
    pub fn from_der(der: &[u8]) -> Self {
        let fields = Fields::read(der).unwrap_or_default();
        Self {
            fingerprint: Fingerprint::of_certificate(der),
            subject: common_name(fields.subject),
            issuer: common_name(fields.issuer),
            names: alternative_names(fields.after_key),
            not_before: fields.not_before,
            not_after: fields.not_after,
        }
    }
}

/// The public key of a certificate in DER form (`SubjectPublicKeyInfo`), whatever else is in it.
pub(crate) fn public_key(der: &[u8]) -> Option<&[u8]> {
    Fields::read(der)?.public_key
}

/// The algorithm of a `SubjectPublicKeyInfo` and the key itself, both without tag and length.
pub(crate) fn algorithm_and_key(public_key: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = Elements(Elements(public_key).of(SEQUENCE)?);
    let algorithm = parts.of(SEQUENCE)?;
    // A key is a whole number of bytes: no bit of the last one is unused.
    let (0, key) = parts.of(BIT_STRING)?.split_first()? else {
        return None;
    };
    Some((algorithm, key))
}

/// Whether it is a certificate of X.509 version 1, which has no extensions and so names no host.
pub(crate) fn is_version_1(der: &[u8]) -> bool {
    Fields::read(der).is_some_and(|fields| fields.is_version_1)
}

#[derive(Default)]
struct Fields<'a> {
    is_version_1: bool,
    issuer: &'a [u8],
    subject: &'a [u8],
    not_before: Option<i64>,
    not_after: Option<i64>,
    public_key: Option<&'a [u8]>,
    /// What follows the key.
    after_key: &'a [u8],
}

impl<'a> Fields<'a> {
    fn read(der: &'a [u8]) -> Option<Self> {
        let certificate = Elements(der).of(SEQUENCE)?;
        let mut fields = Elements(Elements(certificate).of(SEQUENCE)?);
        let (first, _) = fields.next()?;
        if first == VERSION {
            fields.of(INTEGER)?;
        }
        let _algorithm = fields.of(SEQUENCE)?;
        let issuer = fields.of(SEQUENCE)?;
        let mut validity = Elements(fields.of(SEQUENCE)?);
        let subject = fields.of(SEQUENCE)?;
        Some(Self {
            is_version_1: first != VERSION,
            issuer,
            not_before: time(validity.next()?),
            not_after: time(validity.next()?),
            subject,
            public_key: fields.whole(SEQUENCE),
            after_key: fields.0,
        })
    }
}

fn time((tag, content): (u8, &[u8])) -> Option<i64> {
    match tag {
        UTC_TIME | GENERALIZED_TIME => moment::of_certificate(str::from_utf8(content).ok()?),
        _ => None,
    }
}

/// The names and addresses in the extension `subjectAltName`, without what would disturb a terminal.
fn alternative_names(after_key: &[u8]) -> Vec<String> {
    let extensions = Elements(after_key).find(|(tag, _)| *tag == EXTENSIONS);
    let list = extensions.and_then(|(_, content)| Elements(content).of(SEQUENCE));
    let names = Elements(list.unwrap_or_default()).find_map(|(_, extension)| {
        let mut parts = Elements(extension);
        if parts.of(OBJECT_IDENTIFIER)? != SUBJECT_ALT_NAME {
            return None;
        }
        // A critical extension has a boolean before the value.
        let (_, value) = parts.find(|(tag, _)| *tag == OCTET_STRING)?;
        Elements(value).of(SEQUENCE)
    });
    Elements(names.unwrap_or_default())
        .filter_map(|(tag, value)| match tag {
            DNS_NAME => Some(printable(value)),
            IP_ADDRESS => address(value),
            _ => None,
        })
        .collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| Ipv4Addr::from(bytes).to_string());
    let v6 = <[u8; 16]>::try_from(bytes).map(|bytes| Ipv6Addr::from(bytes).to_string());
    v4.or(v6).ok()
}

fn printable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars()
        .filter(|character| !character.is_control())
        .collect()
}

/// The common name among the parts of a name, without what would disturb a terminal.
fn common_name(name: &[u8]) -> Option<String> {
    Elements(name).find_map(|(tag, part)| {
        if tag != SET {
            return None;
        }
        let mut pair = Elements(Elements(part).of(SEQUENCE)?);
        if pair.of(OBJECT_IDENTIFIER)? != COMMON_NAME {
            return None;
        }
        let (_, text) = pair.next()?;
        Some(printable(text))
    })
}

/// The elements of a piece of DER, one after the other; ends at the first that is broken.
pub(crate) struct Elements<'a>(pub(crate) &'a [u8]);

impl<'a> Elements<'a> {
    /// The next element with its tag and length, if it has this tag.
    fn whole(&mut self, expected: u8) -> Option<&'a [u8]> {
        let before = self.0;
        self.of(expected)?;
        before.get(..before.len() - self.0.len())
    }

    /// The content of the next element, if it has this tag.
    pub(crate) fn of(&mut self, expected: u8) -> Option<&'a [u8]> {
        let (tag, content) = self.next()?;
        (tag == expected).then_some(content)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            // The long form: how many bytes the length has, at most four of which make sense.
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if bytes.len() > 4 {
                return None;
            }
            let length = bytes
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData};

    use super::*;

    fn certificate(name: &str) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["pve1.example.com".to_owned()]).unwrap();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "PVE Cluster Node");
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2026, 11, 23);
        params.not_after = rcgen::date_time_ymd(2050, 1, 1);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn names_and_validity_are_read() {
        let read = PeerCertificate::from_der(&certificate("pve1.example.com"));
        assert_eq!(read.subject.as_deref(), Some("pve1.example.com"));
        assert_eq!(read.issuer.as_deref(), Some("pve1.example.com"));
        assert_eq!(read.names, ["pve1.example.com"]);
        assert_eq!(read.not_before, Some(1_795_392_000));
        assert_eq!(read.not_after, Some(2_524_608_000));
    }

    #[test]
    fn names_and_addresses_are_listed() {
        let names = ["pve1", "10.0.0.1", "fe80::1"].map(str::to_owned).to_vec();
        let made = rcgen::generate_simple_self_signed(names.clone()).unwrap();
        assert_eq!(PeerCertificate::from_der(made.cert.der()).names, names);
        assert!(!is_version_1(made.cert.der()));
        let key = public_key(made.cert.der()).unwrap();
        assert_eq!(key, made.signing_key.subject_public_key_info());
        assert!(algorithm_and_key(key).is_some());
    }

    #[test]
    fn a_name_cannot_disturb_the_terminal() {
        let read = PeerCertificate::from_der(&certificate("a\u{1b}[31mb\n"));
        assert_eq!(read.subject.as_deref(), Some("a[31mb"));
    }

    #[test]
    fn a_cut_certificate_still_has_a_fingerprint() {
        let der = certificate("pve1");
        for length in 0..der.len() {
            let read = PeerCertificate::from_der(&der[..length]);
            assert_eq!(read.subject, None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = PeerCertificate::from_der(&bytes);
            let _ = public_key(&bytes).and_then(algorithm_and_key);
        }
    }
}
