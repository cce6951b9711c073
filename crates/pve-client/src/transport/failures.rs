// SPDX-License-Identifier: GPL-3.0-only
//! Classification of failed attempts: whether another attempt may succeed, and which error is reported.

use std::time::Duration;

use crate::call::Call;
use crate::connection::ConnectFailure;
use crate::endpoint::Endpoint;
use crate::error::{Certainty, Error};
use crate::host::Host;
use crate::reply;

/// A daemon that is being restarted refuses connections faster than this; a node that is off takes
/// longer.
const QUICK_REFUSAL: Duration = Duration::from_secs(1);

/// Whether a request that a host failed to serve may be sent again without harm, and may succeed
/// then. `took` is how long the host took to reply.
///
/// PVE's 595 means that another node, or pvedaemon on the same one, did not accept a connection.
/// Only a quick one is worth a short wait: that is a daemon being restarted, while a node that
/// is off takes up to 30 s to fail and stays off.
pub(super) fn may_repeat(call: &Call, error: &Error, took: Duration) -> bool {
    if !call.is_repeatable() {
        return false;
    }
    match error {
        Error::MaybeProcessed { .. } => true,
        Error::Refused { status, .. } => match status {
            429 | 503 => true,
            595 => took < QUICK_REFUSAL,
            _ => error.is_transient_read_error(),
        },
        Error::NotSent { .. }
        | Error::NotUnderstood { .. }
        | Error::Authentication { .. }
        | Error::Certificate { .. }
        | Error::UnsupportedTls { .. }
        | Error::OtherCluster { .. }
        | Error::Intercepted { .. }
        | Error::NotListed { .. }
        | Error::Configuration(_) => false,
    }
}

/// The error if no host was reached. A host of another cluster, a certificate that is not trusted, or a
/// host that is not PVE is more informative than a host that is off, so it decides the kind of the error.
pub(super) fn unreachable_error(
    call: &Call,
    mut failures: Vec<(&Endpoint, ConnectFailure)>,
) -> Error {
    let foreign = |(_, failure): &(_, _)| matches!(failure, ConnectFailure::OtherCluster(_));
    if let Some(position) = failures.iter().position(foreign)
        && let (_, ConnectFailure::OtherCluster(other)) = failures.remove(position)
    {
        let attempts = failures.into_iter().map(attempt).collect();
        return Error::OtherCluster { other, attempts };
    }
    for (endpoint, failure) in &failures {
        if let ConnectFailure::Certificate(reason, fingerprint) = failure {
            let (reason, fingerprint) = (reason.clone(), *fingerprint);
            return Error::Certificate {
                endpoint: (*endpoint).clone(),
                reason,
                fingerprint,
            };
        }
    }
    for (endpoint, failure) in &failures {
        if let ConnectFailure::UnsupportedTls(reason) = failure {
            return Error::UnsupportedTls {
                endpoint: (*endpoint).clone(),
                reason: reason.clone(),
            };
        }
    }
    for (endpoint, failure) in &failures {
        if let ConnectFailure::NotTls(what) = failure {
            return reply::not_understood(call, endpoint, what.clone(), Certainty::NotSent);
        }
    }
    not_sent(call, failures.into_iter().map(attempt).collect())
}

/// A host with its failure.
fn attempt((endpoint, failure): (&Endpoint, ConnectFailure)) -> (Endpoint, String) {
    let reason = match failure {
        ConnectFailure::Unreachable(reason)
        | ConnectFailure::ProxyRefused(reason)
        | ConnectFailure::UnsupportedTls(reason)
        | ConnectFailure::NotTls(reason)
        | ConnectFailure::Certificate(reason, _) => reason,
        ConnectFailure::OtherCluster(other) => other.to_string(),
    };
    (endpoint.clone(), reason)
}

pub(super) fn not_sent(call: &Call, attempts: Vec<(Endpoint, String)>) -> Error {
    let (method, path) = (call.method, call.path().to_owned());
    Error::NotSent {
        method,
        path,
        attempts,
    }
}

pub(super) fn lost(host: &Host, call: &Call, reason: String) -> Error {
    tracing::debug!(endpoint = %host.endpoint, %call, reason, "no answer");
    Error::MaybeProcessed {
        method: call.method,
        path: call.path().to_owned(),
        endpoint: host.endpoint.clone(),
        status: None,
        reason,
    }
}
