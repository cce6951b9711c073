// SPDX-License-Identifier: GPL-3.0-only
//! Host addresses, host lists and certificate fingerprints.

use pve_client::{Endpoint, Fingerprint, HostList};

/// Parses the text as each of them; an accepted value must be the same after it is displayed and parsed again.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(endpoint) = text.parse::<Endpoint>() {
        assert!(!endpoint.host.is_empty() && endpoint.port > 0, "{endpoint}");
        assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
    }
    if let Ok(hosts) = text.parse::<HostList>() {
        let endpoints = hosts.endpoints();
        assert!(!endpoints.is_empty());
        for (index, endpoint) in endpoints.iter().enumerate() {
            assert!(!endpoints[..index].contains(endpoint), "{endpoint} twice");
        }
        assert_eq!(hosts.to_string().parse(), Ok(hosts));
    }
    if let Ok(fingerprint) = text.parse::<Fingerprint>() {
        let shown = fingerprint.to_string();
        for spelling in [&shown, &shown.to_lowercase(), &shown.replace(':', "")] {
            assert_eq!(spelling.parse(), Ok(fingerprint));
        }
    }
}
