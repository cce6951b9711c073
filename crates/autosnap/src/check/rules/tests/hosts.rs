// SPDX-License-Identifier: GPL-3.0-only
//! Hosts and their certificates.

use pve_client::{Fingerprint, PeerCertificate};

use super::*;

fn host(state: HostState, ends_in_days: i64) -> HostReading {
    HostReading {
        endpoint: "pve1".parse().unwrap(),
        certificate: Some(PeerCertificate {
            fingerprint: Fingerprint::from_certificate(b"x"),
            subject: None,
            issuer: None,
            names: Vec::new(),
            not_before: None,
            not_after: Some(NOW + ends_in_days * 86_400),
        }),
        state,
        cluster: None,
    }
}

#[test]
fn host_states_and_expiring_certificates_give_findings() {
    let ok = |lead| HostState::Ok {
        version: "8.4.21".to_owned(),
        clock_lead: Some(lead),
    };
    for (state, days, expected) in [
        (ok(2), 400, &[][..]),
        (ok(-30), 400, &["clock-differs"]),
        (ok(0), 9, &["certificate-ends"]),
        (ok(0), -1, &["certificate-ends"]),
        (
            HostState::Unreachable("off".to_owned()),
            400,
            &["host-unreachable"],
        ),
        (HostState::Refused("401".to_owned()), 400, &["host-refuses"]),
    ] {
        let found = check_host(&host(state.clone(), days), true, NOW);
        let kinds: Vec<&str> = found.iter().map(Finding::kind).collect();
        assert_eq!(kinds, expected, "{state:?} {days}");
    }
}

#[test]
fn each_fingerprint_to_pin_is_listed_once() {
    let state = HostState::Unreachable(String::new());
    let hosts = [host(state.clone(), 400), host(state, 400)];
    let pin = Fingerprint::from_certificate(b"x").to_string();
    for (hosts, expected) in [(&hosts[..], &[pin][..]), (&[], &[])] {
        let Finding::AnyCertificate { pins } = any_certificate(hosts) else {
            panic!("another finding");
        };
        assert_eq!(pins, expected);
    }
}
