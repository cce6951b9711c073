// SPDX-License-Identifier: GPL-3.0-only
//! Reads fingerprint, names, validity and public key from an X.509 certificate.
//!
//! The fields of RFC 5280 (section 4.1) are read one by one with the `der` crate, which `p521` needs
//! anyway. `x509-cert` and `x509-parser` decode the whole certificate or nothing: a certificate that is
//! trusted by its fingerprint must be accepted even if its serial number, names or extensions are
//! invalid, so only the key and the fields shown to an administrator are decoded here, and an invalid
//! field is left out. Trust never depends on these fields.

use std::net::{Ipv4Addr, Ipv6Addr};

use der::asn1::{AnyRef, BitStringRef, GeneralizedTime, ObjectIdentifier, UtcTime};
use der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};

use crate::fingerprint::Fingerprint;

/// The optional version before the serial number.
const VERSION: Tag = context_tag(0, true);
/// The optional extensions at the end.
const EXTENSIONS: Tag = context_tag(3, true);
/// A DNS name in `subjectAltName`.
const DNS_NAME: Tag = context_tag(2, false);
/// An IP address in `subjectAltName`.
const IP_ADDRESS: Tag = context_tag(7, false);
/// `id-ce-subjectAltName`.
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
/// `id-at-commonName`.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

const fn context_tag(number: u32, constructed: bool) -> Tag {
    Tag::ContextSpecific {
        constructed,
        number: TagNumber(number),
    }
}

/// The certificate that a host presents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Its SHA-256 fingerprint.
    pub fingerprint: Fingerprint,
    /// The common name of its subject, such as `pve1.example.com`.
    pub subject: Option<String>,
    /// The common name of its issuer, such as `Proxmox Virtual Environment`.
    pub issuer: Option<String>,
    /// The DNS names and IP addresses it is valid for, such as `pve1.example.com` and `10.0.0.1`.
    pub names: Vec<String>,
    /// The start of its validity, in seconds since 1970; absent if it is invalid or before 1970.
    pub not_before: Option<i64>,
    /// The end of its validity, in seconds since 1970; absent if it is invalid or before 1970.
    pub not_after: Option<i64>,
}

impl PeerCertificate {
    /// Reads a certificate in DER form. Fields that cannot be read are left out.
    pub fn from_der(der: &[u8]) -> Self {
        let fields = Fields::from_der(der).unwrap_or_default();
        Self {
            fingerprint: Fingerprint::from_certificate(der),
            subject: common_name(fields.subject),
            issuer: common_name(fields.issuer),
            names: alternative_names(fields.after_key),
            not_before: fields.not_before,
            not_after: fields.not_after,
        }
    }
}

/// The `SubjectPublicKeyInfo` of a certificate, in DER form.
pub(crate) fn public_key(der: &[u8]) -> Option<&[u8]> {
    Fields::from_der(der)?.public_key
}

/// The algorithm and the key of a `SubjectPublicKeyInfo`, both without tag and length.
pub(crate) fn algorithm_and_key(public_key: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = elements(value(elements(public_key).next()?, Tag::Sequence)?);
    let algorithm = value(parts.next()?, Tag::Sequence)?;
    let key: BitStringRef<'_> = parts.next()?.decode_as().ok()?;
    Some((algorithm, key.as_bytes()?))
}

/// Whether this is an X.509 version 1 certificate, which has no extensions and so names no host.
pub(crate) fn is_version_1(der: &[u8]) -> bool {
    Fields::from_der(der).is_some_and(|fields| fields.is_version_1)
}

#[derive(Default)]
struct Fields<'a> {
    is_version_1: bool,
    issuer: &'a [u8],
    subject: &'a [u8],
    not_before: Option<i64>,
    not_after: Option<i64>,
    public_key: Option<&'a [u8]>,
    /// Everything after the key.
    after_key: &'a [u8],
}

impl<'a> Fields<'a> {
    fn from_der(der: &'a [u8]) -> Option<Self> {
        let certificate = value(elements(der).next()?, Tag::Sequence)?;
        let signed_part = value(elements(certificate).next()?, Tag::Sequence)?;
        let mut fields = SliceReader::new(signed_part).ok()?;
        let mut next = || AnyRef::decode(&mut fields).ok();
        let mut serial_number = next()?;
        let is_version_1 = serial_number.tag() != VERSION;
        if !is_version_1 {
            serial_number = next()?;
        }
        value(serial_number, Tag::Integer)?;
        let _algorithm = value(next()?, Tag::Sequence)?;
        let issuer = value(next()?, Tag::Sequence)?;
        let mut validity = elements(value(next()?, Tag::Sequence)?);
        let subject = value(next()?, Tag::Sequence)?;
        let public_key = fields.tlv_bytes().ok();
        Some(Self {
            is_version_1,
            issuer,
            not_before: time(validity.next()?),
            not_after: time(validity.next()?),
            subject,
            public_key,
            after_key: fields.read_slice(fields.remaining_len()).ok()?,
        })
    }
}

/// The time in seconds since 1970, from one of the two types that RFC 5280 allows.
fn time(element: AnyRef<'_>) -> Option<i64> {
    let since_1970 = if element.tag() == Tag::UtcTime {
        element.decode_as::<UtcTime>().ok()?.to_unix_duration()
    } else {
        let time = element.decode_as::<GeneralizedTime>().ok()?;
        time.to_unix_duration()
    };
    i64::try_from(since_1970.as_secs()).ok()
}

/// The names and addresses of the extension `subjectAltName`, without control characters.
fn alternative_names(after_key: &[u8]) -> Vec<String> {
    let extensions = elements(after_key).find(|element| element.tag() == EXTENSIONS);
    let list = extensions.and_then(|list| value(elements(list.value()).next()?, Tag::Sequence));
    let names = elements(list.unwrap_or_default()).find_map(|extension| {
        let mut parts = elements(value(extension, Tag::Sequence)?);
        if object_identifier(parts.next()?)? != SUBJECT_ALT_NAME {
            return None;
        }
        // A critical extension has a boolean before the value.
        let names = parts.find(|part| part.tag() == Tag::OctetString)?;
        value(elements(names.value()).next()?, Tag::Sequence)
    });
    elements(names.unwrap_or_default())
        .filter_map(|name| {
            if name.tag() == DNS_NAME {
                return Some(printable(name.value()));
            }
            value(name, IP_ADDRESS).and_then(address)
        })
        .collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| Ipv4Addr::from(bytes).to_string());
    let v6 = <[u8; 16]>::try_from(bytes).map(|bytes| Ipv6Addr::from(bytes).to_string());
    v4.or(v6).ok()
}

/// The text without control characters, so that it is safe to print on a terminal.
fn printable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars()
        .filter(|character| !character.is_control())
        .collect()
}

/// The common name in a distinguished name, without control characters.
fn common_name(name: &[u8]) -> Option<String> {
    elements(name).find_map(|part| {
        let attribute = elements(value(part, Tag::Set)?).next()?;
        let mut pair = elements(value(attribute, Tag::Sequence)?);
        if object_identifier(pair.next()?)? != COMMON_NAME {
            return None;
        }
        Some(printable(pair.next()?.value()))
    })
}

/// The consecutive elements in a piece of DER, up to the first invalid one.
pub(crate) fn elements(mut der: &[u8]) -> impl Iterator<Item = AnyRef<'_>> {
    std::iter::from_fn(move || {
        let (element, rest) = AnyRef::from_der_partial(der).ok()?;
        der = rest;
        Some(element)
    })
}

/// The content of an element, if it has this tag.
pub(crate) fn value(element: AnyRef<'_>, expected: Tag) -> Option<&[u8]> {
    (element.tag() == expected).then(|| element.value())
}

/// The object identifier in an element, if it is one.
pub(crate) fn object_identifier(element: AnyRef<'_>) -> Option<ObjectIdentifier> {
    element.decode_as().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData};

    use super::*;

    fn self_signed(name: &str) -> Vec<u8> {
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
        let certificate = PeerCertificate::from_der(&self_signed("pve1.example.com"));
        assert_eq!(certificate.subject.as_deref(), Some("pve1.example.com"));
        assert_eq!(certificate.issuer.as_deref(), Some("pve1.example.com"));
        assert_eq!(certificate.names, ["pve1.example.com"]);
        assert_eq!(certificate.not_before, Some(1_795_392_000));
        assert_eq!(certificate.not_after, Some(2_524_608_000));
    }

    #[test]
    fn names_and_addresses_are_listed() {
        let names = ["pve1", "10.0.0.1", "fe80::1"].map(str::to_owned).to_vec();
        let generated = rcgen::generate_simple_self_signed(names.clone()).unwrap();
        assert_eq!(PeerCertificate::from_der(generated.cert.der()).names, names);
        assert!(!is_version_1(generated.cert.der()));
        let key = public_key(generated.cert.der()).unwrap();
        assert_eq!(key, generated.signing_key.subject_public_key_info());
        assert!(algorithm_and_key(key).is_some());
    }

    #[test]
    fn control_characters_are_removed_from_names() {
        let certificate = PeerCertificate::from_der(&self_signed("a\u{1b}[31mb\n"));
        assert_eq!(certificate.subject.as_deref(), Some("a[31mb"));
    }

    #[test]
    fn a_truncated_certificate_still_has_a_fingerprint() {
        let der = self_signed("pve1");
        for length in 0..der.len() {
            let certificate = PeerCertificate::from_der(&der[..length]);
            assert_eq!(certificate.subject, None, "{length}");
        }
    }

    fn time_of(tag: Tag, text: &str) -> Option<i64> {
        time(AnyRef::new(tag, text.as_bytes()).unwrap())
    }

    #[test]
    fn both_time_types_are_read_as_seconds_since_1970() {
        for (text, expected) in [
            ("700101000000Z", Some(0)),
            ("941106084937Z", Some(784_111_777)),
            ("000229120000Z", Some(951_825_600)),
            ("491231235959Z", Some(2_524_607_999)),
            ("", None),
            ("Z", None),
            ("261323014246Z", None),
            ("261123014246", None),
            ("2611230142-6Z", None),
        ] {
            assert_eq!(time_of(Tag::UtcTime, text), expected, "{text}");
        }
        for (text, expected) in [
            ("20000301000000Z", Some(951_868_800)),
            ("20261123014246Z", Some(1_795_398_166)),
            ("20491231235959Z", Some(2_524_607_999)),
            ("99991231235959Z", Some(253_402_300_799)),
            ("20261123014246+0100", None),
        ] {
            assert_eq!(time_of(Tag::GeneralizedTime, text), expected, "{text}");
        }
        assert_eq!(time_of(Tag::Utf8String, "700101000000Z"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = PeerCertificate::from_der(&bytes);
            let _ = public_key(&bytes).and_then(algorithm_and_key);
        }
    }
}
