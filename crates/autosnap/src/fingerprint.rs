// SPDX-License-Identifier: GPL-3.0-only
//! The SHA-256 fingerprint of each host's certificate, as PVE shows it under Node > System > Certificates.
//!
//! Only the TLS handshake is needed: no login, no request.

use std::time::Duration;

use pve_client::{
    Endpoint, Error, Fingerprint, HostList, PeerCertificate, ProxyRules, Trust, fetch_certificate,
};

use crate::concurrent::map_concurrent;
use crate::error::Error as LibraryError;

/// The timeout of the connection, and of the TLS handshake after it, as in the C# tool.
const TIMEOUT: Duration = Duration::from_secs(4);

/// How many hosts are connected to in parallel.
const PARALLEL_HOSTS: usize = 16;

/// The certificate of one host, or why it is unknown.
#[derive(Debug)]
pub struct HostCertificate {
    /// The host.
    pub endpoint: Endpoint,
    /// Its certificate, or what failed.
    pub result: Result<PeerCertificate, String>,
}

/// Reads the certificate of every host, in parallel.
pub async fn read(hosts: &str, proxy: &ProxyRules) -> Result<Vec<HostCertificate>, LibraryError> {
    let endpoints = hosts.parse::<HostList>()?.into_endpoints();
    let certificates = map_concurrent(PARALLEL_HOSTS, endpoints, async |endpoint: Endpoint| {
        let result = fetch_certificate(&endpoint, proxy, TIMEOUT)
            .await
            .map_err(|error| reason(&error));
        HostCertificate { endpoint, result }
    });
    Ok(certificates.await)
}

/// What failed, without the name of the host.
fn reason(error: &Error) -> String {
    match error {
        Error::NotSent { attempts, .. } => {
            let reasons = attempts.iter().map(|attempt| attempt.message.as_str());
            reasons.collect::<Vec<_>>().join("; ")
        }
        Error::UnexpectedReply { problem, .. } => {
            format!("does not reply like a Proxmox VE host: {problem}")
        }
        Error::MaybeProcessed { .. }
        | Error::Refused { .. }
        | Error::Authentication { .. }
        | Error::Certificate { .. }
        | Error::UnsupportedTls { .. }
        | Error::Intercepted { .. }
        | Error::InvalidListing { .. }
        | Error::OtherCluster { .. }
        | Error::Configuration(_) => error.to_string(),
    }
}

/// Whether the certificate of every host could be read.
pub fn is_complete(shown: &[HostCertificate]) -> bool {
    shown.iter().all(|host| host.result.is_ok())
}

/// The fingerprint to pin if any certificate is accepted.
pub fn to_pin(trust: &Trust, shown: Option<Fingerprint>) -> Option<Fingerprint> {
    match trust {
        Trust::AcceptAny => shown,
        Trust::SystemStore | Trust::Fingerprints(_) | Trust::CaFile(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_suggested_only_if_any_certificate_is_accepted() {
        let fingerprint = Fingerprint::from_certificate(b"x");
        let shown = Some(fingerprint);
        assert_eq!(to_pin(&Trust::AcceptAny, shown), shown);
        assert_eq!(to_pin(&Trust::AcceptAny, None), None);
        assert_eq!(to_pin(&Trust::SystemStore, shown), None);
        assert_eq!(to_pin(&Trust::Fingerprints(vec![fingerprint]), shown), None);
    }

    #[tokio::test]
    async fn a_host_that_does_not_reply_makes_the_result_incomplete() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let shown = read(&address.to_string(), &ProxyRules::default())
            .await
            .unwrap();
        let reason = shown[0].result.as_ref().unwrap_err();
        assert!(reason.contains("connection refused"), "{reason}");
        assert!(!is_complete(&shown));
        assert!(is_complete(&[]));
    }

    #[tokio::test]
    async fn an_invalid_host_is_an_error() {
        let error = read("https://pve1", &ProxyRules::default())
            .await
            .unwrap_err();
        assert!(matches!(error, LibraryError::Hosts(_)), "{error}");
    }
}
