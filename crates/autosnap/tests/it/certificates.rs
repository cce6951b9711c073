// SPDX-License-Identifier: GPL-3.0-only
//! Certificates that are out of the ordinary: of X.509 version 1, made for other names, of an authority.

use pve_sim::simulator::Options;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

use crate::harness::{Lab, Output};
use crate::world::{World, credentials, vm};

/// Made by plain `openssl x509 -req`, which gives version 1.
const VERSION_1: [&str; 2] = [
    include_str!("../../../pve-client/tests/fixtures/x509-v1-ec.pem"),
    include_str!("../../../pve-client/tests/fixtures/x509-v1-rsa.pem"),
];

/// A lab whose cluster shows that certificate, which is in `shown.pem` as well.
fn lab_with(certificate: &str, key: &str) -> Lab {
    let world = World::of([vm(100, "web01").taken("daily", &[1])]);
    let lab = Lab::with(Options {
        identity: Some((certificate.to_owned(), key.to_owned())),
        ..Options::new(world.to_json(), credentials())
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
        output.assert_not_said(name);
    }
    output
}

/// B2: where any certificate or this very one is accepted, its version does not matter.
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
            .assert_err("its fingerprint is none of those trusted");
    }
}

/// B2: an authority cannot vouch for one, and that is said in words.
#[test]
fn a_certificate_of_version_1_is_refused_in_words_where_an_authority_is_asked() {
    for pem in VERSION_1 {
        let lab = lab_with(pem, pem);
        snap(&lab, "--ca-file=shown.pem")
            .assert_status(3)
            .assert_err("it is a certificate of X.509 version 1, which names no host")
            .assert_err("--fingerprint=<fingerprint>");
        lab.assert_unchanged();
    }
}

/// B9: who is asked by another name is told the names in the certificate.
#[test]
fn a_name_mismatch_shows_the_names_in_the_certificate() {
    let names = ["pve1.example.com", "10.0.0.1"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let lab = lab_with(&made.cert.pem(), &made.signing_key.serialize_pem());
    snap(&lab, "--ca-file=shown.pem")
        .assert_status(3)
        .assert_err(
            "it is not made for 127.0.0.1; the names in it are: pve1.example.com, 10.0.0.1",
        );
}

/// B2: other certificates that an authority's rules refuse are refused in words, too.
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
    for (content, words) in [
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "cannot be used: it is damaged",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n",
            "a certificate in it ends too early",
        ),
        (
            "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
            "not in Base64",
        ),
    ] {
        lab.file("broken.pem", content);
        snap(&lab, "--ca-file=broken.pem")
            .assert_status(2)
            .assert_err(words);
    }
}
