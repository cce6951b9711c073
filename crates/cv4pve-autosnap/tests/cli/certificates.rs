// SPDX-License-Identifier: GPL-3.0-only
//! Unusual certificates: X.509 version 1, issued for other names, issued by an authority.

use pve_sim::simulator::Options;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{SignatureScheme, SupportedProtocolVersion, version};

use crate::harness::{Lab, Output};
use crate::hosts::host_that_sends;
use crate::unusual_keys::{self, Proof};
use crate::world::{World, credentials, vm};

const P521: &str = include_str!("../../../pve-client/tests/fixtures/p521.pem");
const RSA_PSS: &str = include_str!("../../../pve-client/tests/fixtures/rsa-pss.pem");
const RSA_1024: &str = include_str!("../../../pve-client/tests/fixtures/rsa-1024.pem");
const ED448: &str = include_str!("../../../pve-client/tests/fixtures/ed448.pem");
const BRAINPOOL: &str = include_str!("../../../pve-client/tests/fixtures/brainpool.pem");

const TLS_1_2: &[&SupportedProtocolVersion] = &[&version::TLS12];
const TLS_1_3: &[&SupportedProtocolVersion] = &[&version::TLS13];
const BOTH: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

/// Certificates of X.509 version 1: `openssl x509 -req` writes this version by default.
const VERSION_1: [&str; 2] = [
    include_str!("../../../pve-client/tests/fixtures/x509-v1-ec.pem"),
    include_str!("../../../pve-client/tests/fixtures/x509-v1-rsa.pem"),
];

fn world() -> World {
    World::new([vm(100, "web01").taken("daily", &[1])])
}

/// A lab whose cluster presents this certificate, which is also in `shown.pem`.
fn lab_with(certificate: &str, key: &str) -> Lab {
    let lab = Lab::with(Options {
        identity: Some((certificate.to_owned(), key.to_owned())),
        ..Options::new(world().to_json(), credentials())
    });
    lab.file("shown.pem", certificate);
    lab
}

const SNAP: [&str; 4] = ["--vmid=100", "snap", "--label=daily", "--keep=1"];

fn snap(lab: &Lab, trust: &str) -> Output {
    let output = lab.call([trust].into_iter().chain(SNAP));
    for name in [
        "InvalidCertificate",
        "BadEncoding",
        "UnsupportedCertVersion",
        "CertNotValid",
        "Context",
    ] {
        output.assert_not_printed(name);
    }
    output
}

/// The version does not matter where any certificate is accepted, or this one by fingerprint.
#[test]
fn a_certificate_of_version_1_is_accepted_by_fingerprint_and_where_any_is() {
    for pem in VERSION_1 {
        let lab = lab_with(pem, pem);
        lab.run(&SNAP.join(" ")).assert_status(0);
        let pin = format!("--fingerprint={}", lab.simulator.fingerprint());
        lab.call([
            pin.as_str(),
            "--vmid=100",
            "clean",
            "--label=daily",
            "--keep=0",
        ])
        .assert_status(0);
        assert_eq!(lab.snapshots(100), [] as [&str; 0]);
        let host = format!("--host={}", lab.host());
        lab.bare([host.as_str(), "fingerprint"])
            .assert_status(0)
            .assert_out("<fingerprint>");
        let wrong = format!("--fingerprint={}", "00:".repeat(31) + "00");
        snap(&lab, &wrong)
            .assert_status(3)
            .assert_err("its fingerprint is not one of the trusted fingerprints");
    }
}

/// The message about a version 1 certificate explains that an authority cannot confirm it.
#[test]
fn a_certificate_of_version_1_is_refused_if_an_authority_must_confirm_it() {
    for pem in VERSION_1 {
        let lab = lab_with(pem, pem);
        snap(&lab, "--ca-file=shown.pem")
            .assert_status(3)
            .assert_err("it is an X.509 version 1 certificate, which names no host")
            .assert_err("--fingerprint=<fingerprint>");
        lab.assert_unchanged();
    }
}

/// A name mismatch lists the names in the certificate.
#[test]
fn a_name_mismatch_shows_the_names_in_the_certificate() {
    let names = ["pve1.example.com", "10.0.0.1"].map(str::to_owned);
    let certificate = rcgen::generate_simple_self_signed(names).unwrap();
    let lab = lab_with(
        &certificate.cert.pem(),
        &certificate.signing_key.serialize_pem(),
    );
    snap(&lab, "--ca-file=shown.pem")
        .assert_status(3)
        .assert_err("it is not valid for 127.0.0.1; it is valid for pve1.example.com, 10.0.0.1");
}

/// Other certificates that webpki refuses get a readable message, too.
#[test]
fn no_refusal_shows_the_name_of_a_type() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let lab = lab_with(&authority.pem(), &key.serialize_pem());
    snap(&lab, "--ca-file=shown.pem")
        .assert_status(3)
        .assert_err("it is the certificate of an authority, not of a host");
    for (content, message) in [
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "is invalid: it is damaged",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n",
            "a certificate in it is truncated",
        ),
        (
            "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
            "not valid Base64",
        ),
    ] {
        lab.file("broken.pem", content);
        snap(&lab, "--ca-file=broken.pem")
            .assert_status(2)
            .assert_err(message);
    }
}

/// Keys that rustls does not support are accepted where any certificate or this fingerprint is, but
/// the host must prove that it has the private key.
#[test]
fn keys_that_the_csharp_tool_accepts_are_accepted() {
    for (pem, proof, versions) in [
        (P521, Proof::P521, TLS_1_3),
        (RSA_PSS, Proof::RsaPss, TLS_1_3),
        (RSA_1024, Proof::Rsa1024, TLS_1_2),
        (RSA_1024, Proof::Rsa1024, BOTH),
    ] {
        let lab = Lab::new(&world());
        let host = format!("--host={}", unusual_keys::host(&lab, pem, proof, versions));
        let shown = lab.bare([host.as_str(), "fingerprint"]);
        shown.assert_status(0).assert_out("<fingerprint>");
        let pin = format!("--fingerprint={}", fingerprint(pem));
        for trust in [[].as_slice(), &[pin.as_str()]] {
            let args = [host.as_str(), "--api-token=file:token"]
                .into_iter()
                .chain(trust.iter().copied())
                .chain(SNAP);
            lab.bare(args).assert_status(0);
        }
        assert_eq!(lab.changes().len(), 4, "{:?}", lab.changes());
        let wrong = "--fingerprint=00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00";
        let args = [host.as_str(), "--api-token=file:token", wrong];
        lab.bare(args.into_iter().chain(SNAP))
            .assert_status(3)
            .assert_err("its fingerprint is not one of the trusted fingerprints");
    }
    for (pem, scheme, versions) in [
        (P521, SignatureScheme::ECDSA_NISTP521_SHA512, TLS_1_3),
        (RSA_PSS, SignatureScheme::Unknown(0x0809), TLS_1_3),
        (RSA_1024, SignatureScheme::RSA_PKCS1_SHA256, TLS_1_2),
    ] {
        refuse(pem, Proof::Wrong(scheme), versions, &[])
            .assert_err("the host did not prove that it has the private key");
    }
}

/// With an authority, P-521 is accepted, and a small or unusual RSA key is refused with its name.
#[test]
fn unusual_keys_with_an_authority() {
    let lab = Lab::new(&world());
    lab.file("shown.pem", P521);
    let host = unusual_keys::host(&lab, P521, Proof::P521, TLS_1_3);
    let host = format!("--host={host}");
    let args = [
        host.as_str(),
        "--api-token=file:token",
        "--ca-file=shown.pem",
    ];
    lab.bare(args.into_iter().chain(SNAP)).assert_status(0);
    for (pem, proof, message) in [
        (
            RSA_1024,
            Proof::Rsa1024,
            "its certificate has an RSA key of 1024 bits, but with a certificate authority RSA keys need 2,048 bits or more; trust the host by its fingerprint",
        ),
        (
            RSA_PSS,
            Proof::RsaPss,
            "its certificate has an RSA-PSS key of 2048 bits, but such keys are not supported with a certificate authority",
        ),
    ] {
        refuse(pem, proof, BOTH, &["--ca-file=shown.pem"]).assert_err(message);
    }
}

/// An unsupported key is named in runs, `check` and `fingerprint`, with a remedy.
#[test]
fn keys_without_support_are_named() {
    for (pem, scheme, kind) in [
        (ED448, SignatureScheme::ED448, "Ed448"),
        (
            BRAINPOOL,
            SignatureScheme::Unknown(0x081a),
            "ECDSA brainpoolP256r1",
        ),
    ] {
        let expected = format!(
            "its certificate has a key of kind {kind}, but such keys are not supported; give the host a certificate with an RSA key of 2,048 bits or more, or an ECDSA key; to renew Proxmox VE's own: pvecm updatecerts --force"
        );
        refuse(pem, Proof::Wrong(scheme), TLS_1_3, &[])
            .assert_err("ERROR: no TLS connection to 127.0.0.1:<port>: ")
            .assert_err(&expected);
        let lab = Lab::new(&world());
        let host = unusual_keys::host(&lab, pem, Proof::Wrong(scheme), TLS_1_3);
        let host = format!("--host={host}");
        let shown = lab.bare([host.as_str(), "fingerprint"]);
        assert!(shown.assert_status(3).to_string().contains(&expected));
        let check = [host.as_str(), "--api-token=file:token", "--vmid=100"];
        let check = lab.bare(check.into_iter().chain(["check"]));
        assert!(check.to_string().contains(&expected), "{check}");
    }
    // RSA-PSS in TLS 1.2, and a small RSA key in TLS 1.3 alone.
    refuse(RSA_1024, Proof::Rsa1024, TLS_1_3, &[]).assert_err(
        "its certificate has an RSA key of fewer than 2,048 bits, which is supported only with TLS 1.2",
    );
}

/// The message explains that a host is older than TLS 1.2, or has no cipher or key type in common.
#[test]
fn messages_name_what_old_hosts_lack() {
    // ServerHello of TLS 1.0: version, random, no session, a cipher, no compression.
    let server_hello: &[u8] = b"\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01\
        0123456789abcdef0123456789abcdef\x00\xc0\x13\x00";
    let old = "the host supports only TLS 1.1 or older, but TLS 1.2 or 1.3 is needed; update the host, or use a reverse proxy with TLS 1.2";
    let no_common = "no common cipher or kind of key; the host must support ECDHE with AES-GCM or ChaCha20-Poly1305";
    for (bytes, expected) in [
        (server_hello, old),
        (b"\x15\x03\x01\x00\x02\x02\x46", old),
        (b"\x15\x03\x03\x00\x02\x02\x28", no_common),
        (b"\x15\x03\x03\x00\x02\x02\x47", no_common),
    ] {
        let lab = Lab::new(&world());
        let host = format!("--host={}", host_that_sends(bytes));
        let args = [host.as_str(), "--api-token=file:token"];
        lab.bare(args.into_iter().chain(SNAP))
            .assert_status(3)
            .assert_err("ERROR: no TLS connection to 127.0.0.1:<port>: ")
            .assert_err(expected);
        let shown = lab.bare([host.as_str(), "fingerprint"]);
        assert!(shown.assert_status(3).to_string().contains(expected));
    }
}

/// Runs against a host with this key, which must be refused.
#[track_caller]
fn refuse(
    pem: &'static str,
    proof: Proof,
    versions: &'static [&SupportedProtocolVersion],
    options: &[&str],
) -> Output {
    let lab = Lab::new(&world());
    lab.file("shown.pem", pem);
    let host = unusual_keys::host(&lab, pem, proof, versions);
    let host = format!("--host={host}");
    let args = [host.as_str(), "--api-token=file:token"];
    let args = args.into_iter().chain(options.iter().copied()).chain(SNAP);
    let output = lab.bare(args);
    output.assert_status(3);
    lab.assert_unchanged();
    assert!(lab.simulator.journal().requests().is_empty());
    output
}

fn fingerprint(pem: &str) -> pve_client::Fingerprint {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    pve_client::Fingerprint::from_certificate(&certificate)
}
