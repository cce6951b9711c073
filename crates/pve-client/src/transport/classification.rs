// SPDX-License-Identifier: GPL-3.0-only
//! Classification of failed attempts: whether a retry may succeed, and which error is reported.

use std::time::Duration;

use crate::connect_failure::{ConnectFailure, FailedAttempt};
use crate::endpoint::Endpoint;
use crate::error::{Certainty, Error};
use crate::host::Host;
use crate::reply;
use crate::request::ApiRequest;

/// A daemon that is being restarted refuses connections faster than this; a node that is off takes
/// longer.
const QUICK_REFUSAL: Duration = Duration::from_secs(1);

/// Whether a request that has failed may be sent again without harm, and may then succeed. `took` is
/// how long the host took to reply.
///
/// PVE's 595 means that another node, or pvedaemon on the same node, did not accept a connection. Only
/// a quick 595 is worth a short wait: a daemon is being restarted. A node that is off takes up to 30 s
/// to fail and stays off.
pub(super) fn may_retry(request: &ApiRequest, error: &Error, took: Duration) -> bool {
    if !request.is_retryable() {
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
        | Error::UnexpectedReply { .. }
        | Error::Authentication { .. }
        | Error::Certificate { .. }
        | Error::UnsupportedTls { .. }
        | Error::OtherCluster { .. }
        | Error::Intercepted { .. }
        | Error::InvalidListing { .. }
        | Error::Configuration(_) => false,
    }
}

/// The error if no host was reached. Another cluster, an untrusted certificate or a server that is not
/// PVE is more informative than a host that is off, so it decides the kind of the error.
pub(super) fn unreachable_error(
    request: &ApiRequest,
    mut failures: Vec<(&Endpoint, ConnectFailure)>,
) -> Error {
    let is_other = |(_, failure): &(_, _)| matches!(failure, ConnectFailure::OtherCluster(_));
    if let Some(position) = failures.iter().position(is_other)
        && let (_, ConnectFailure::OtherCluster(other)) = failures.remove(position)
    {
        return Error::OtherCluster {
            other,
            attempts: attempts(failures),
        };
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
        if let ConnectFailure::NotTls(problem) = failure {
            let certainty = Certainty::NotSent;
            return reply::unexpected_reply(request, endpoint, problem.clone(), certainty);
        }
    }
    not_sent(request, attempts(failures))
}

fn attempts(failures: Vec<(&Endpoint, ConnectFailure)>) -> Vec<FailedAttempt> {
    let failures = failures.into_iter();
    failures
        .map(|(endpoint, failure)| failure.into_attempt(endpoint))
        .collect()
}

pub(super) fn not_sent(request: &ApiRequest, attempts: Vec<FailedAttempt>) -> Error {
    let (method, path) = (request.method, request.path().to_owned());
    Error::NotSent {
        method,
        path,
        attempts,
    }
}

/// The error if a request was written and has no reply.
pub(super) fn reply_lost(host: &Host, request: &ApiRequest, reason: String) -> Error {
    tracing::debug!(endpoint = %host.endpoint, %request, reason, "no reply");
    Error::MaybeProcessed {
        method: request.method,
        path: request.path().to_owned(),
        endpoint: host.endpoint.clone(),
        status: None,
        reason,
    }
}
