// SPDX-License-Identifier: GPL-3.0-only
//! `fingerprint`: the SHA-256 fingerprint of each host's certificate, as PVE shows it under
//! Node > System > Certificates, to be compared there and then given to `--fingerprint`.
//!
//! Nobody signs on and no request is sent. Here is also the notice about runs that accept any
//! certificate, as the C# tool does by default.

use std::time::Duration;

use autosnap_core::outcome::ExitStatus;
use pve_client::{
    Endpoint, Error, Fingerprint, HostList, PeerCertificate, ProxyRules, Trust, fetch_certificate,
};

use crate::concurrent::map_concurrent;
use crate::error::Error as LibraryError;

/// How long connecting and agreeing on TLS may take each, as in the C# tool.
const LIMIT: Duration = Duration::from_secs(4);

/// How many hosts are asked at once.
const AT_ONCE: usize = 16;

/// What one host showed, or why it showed nothing.
#[derive(Debug)]
pub struct Shown {
    /// The host.
    pub endpoint: Endpoint,
    /// Its certificate, or what went wrong in an administrator's words.
    pub result: Result<PeerCertificate, String>,
}

/// Asks every host, all at once.
pub async fn ask(hosts: &str, proxy: &ProxyRules) -> Result<Vec<Shown>, LibraryError> {
    let endpoints = hosts.parse::<HostList>()?.into_endpoints();
    let asked = map_concurrent(AT_ONCE, endpoints, async |endpoint: Endpoint| {
        let result = fetch_certificate(&endpoint, proxy, LIMIT)
            .await
            .map_err(|error| reason(&error));
        Shown { endpoint, result }
    });
    Ok(asked.await)
}

/// What went wrong, without the host, which is told beside it.
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

/// 0 if every host showed a certificate, 3 if any did not.
pub fn exit_status(shown: &[Shown]) -> ExitStatus {
    if shown.iter().all(|host| host.result.is_ok()) {
        ExitStatus::Success
    } else {
        ExitStatus::Connection
    }
}

/// What a run that accepts any certificate says, if anybody is there to read it.
///
/// Only on a terminal or with `--debug`: those who switch from the C# tool must not find a new line
/// in the mail of every cron job.
pub fn notice(
    trust: &Trust,
    shown: Option<Fingerprint>,
    endpoint: &Endpoint,
    somebody_reads: bool,
) -> Option<String> {
    let accepts_any = match trust {
        Trust::AcceptAny => true,
        Trust::SystemStore | Trust::Fingerprints(_) | Trust::CaFile(_) => false,
    };
    let fingerprint = shown.filter(|_| accepts_any && somebody_reads)?;
    Some(format!(
        "any certificate is accepted, so whoever answers in place of {endpoint} gets the password or token; after comparing it with PVE's, pin it: --fingerprint={fingerprint}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notice_is_for_people_who_accept_any_certificate() {
        let fingerprint = Fingerprint::from_certificate(b"x");
        let shown = Some(fingerprint);
        let endpoint: Endpoint = "pve1".parse().unwrap();
        let say = |trust: &Trust, somebody| notice(trust, shown, &endpoint, somebody);
        let text = say(&Trust::AcceptAny, true).unwrap();
        let option = format!("--fingerprint={fingerprint}");
        assert!(text.ends_with(&option), "{text}");
        assert_eq!(say(&Trust::AcceptAny, false), None);
        assert_eq!(say(&Trust::SystemStore, true), None);
        assert_eq!(say(&Trust::Fingerprints(vec![fingerprint]), true), None);
        assert_eq!(notice(&Trust::AcceptAny, None, &endpoint, true), None);
    }

    #[tokio::test]
    async fn a_host_that_is_off_is_told_and_decides_the_exit_status() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let shown = ask(&address.to_string(), &ProxyRules::default())
            .await
            .unwrap();
        let reason = shown[0].result.as_ref().unwrap_err();
        assert!(reason.contains("connection refused"), "{reason}");
        assert_eq!(exit_status(&shown), ExitStatus::Connection);
        assert_eq!(exit_status(&[]), ExitStatus::Success);
    }

    #[tokio::test]
    async fn what_is_no_host_is_wrong_usage() {
        let error = ask("https://pve1", &ProxyRules::default())
            .await
            .unwrap_err();
        assert!(matches!(error, LibraryError::Hosts(_)), "{error}");
    }
}
