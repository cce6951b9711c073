// SPDX-License-Identifier: GPL-3.0-only
//! One of the cluster's hosts: its address, its idle connections, the certificate it showed last,
//! and how a request addressed to it looks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use rustls::pki_types::ServerName;
use tokio::time::Instant;

use crate::call::Call;
use crate::certificate::PeerCertificate;
use crate::connection::{ConnectFailure, Reply};
use crate::dial::Dialer;
use crate::endpoint::Endpoint;
use crate::error::{Error, Method};
use crate::masking::FormSecret;
use crate::pool::Pool;
use crate::proxy::ProxyRules;

/// The headers that prove who we are.
pub(crate) type Signature = [(HeaderName, HeaderValue)];

const PRODUCT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// A host and what is known about it.
pub(crate) struct Host {
    pub(crate) endpoint: Endpoint,
    /// The name its certificate has to be made for, where names count.
    pub(crate) name: ServerName<'static>,
    pub(crate) pool: Pool,
    authority: HeaderValue,
    certificate: Mutex<Option<PeerCertificate>>,
    clock_difference: Mutex<Option<i64>>,
    small_rsa_key: AtomicBool,
    /// Opens connections to it.
    pub(crate) dialer: Dialer,
}

impl Host {
    pub(crate) fn new(endpoint: &Endpoint, proxy: &ProxyRules) -> Result<Self, Error> {
        let invalid = || Error::Configuration(format!("'{}' is not a host name", endpoint.host));
        let proxy = proxy.proxy_for(endpoint);
        Ok(Self {
            name: ServerName::try_from(endpoint.host_without_zone().to_owned())
                .map_err(|_| invalid())?,
            authority: HeaderValue::try_from(endpoint.authority()).map_err(|_| invalid())?,
            endpoint: endpoint.clone(),
            pool: Pool::default(),
            certificate: Mutex::new(None),
            clock_difference: Mutex::new(None),
            small_rsa_key: AtomicBool::new(false),
            dialer: Dialer::new(proxy.map_err(|error| Error::Configuration(error.to_string()))?),
        })
    }

    /// Whether its certificate has an RSA key with fewer than 2,048 bits.
    pub(crate) fn has_small_rsa_key(&self) -> bool {
        self.small_rsa_key.load(Ordering::Relaxed)
    }

    /// Remembers that the host has a small RSA key, so handshakes must offer the schemes for it.
    pub(crate) fn note_small_rsa_key(&self) {
        self.small_rsa_key.store(true, Ordering::Relaxed);
    }

    /// The certificate it showed last.
    pub(crate) fn certificate(&self) -> Option<PeerCertificate> {
        self.certificate
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set_certificate(&self, certificate: Option<PeerCertificate>) {
        *self
            .certificate
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = certificate;
    }

    /// How many seconds its clock is ahead of this machine's, as its last answer told.
    pub(crate) fn clock_difference(&self) -> Option<i64> {
        *self
            .clock_difference
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what an answer that has just come in tells about the host's clock.
    pub(crate) fn note_date(&self, date: Option<SystemTime>) {
        let difference = date.map(|date| difference(date, SystemTime::now()));
        *self
            .clock_difference
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = difference;
    }

    /// The request as it is written. The body has a known length, so hyper never chunks it, which
    /// PVE would refuse (501 `chunked transfer encoding not supported`).
    pub(crate) fn request(
        &self,
        call: &Call,
        signature: &Signature,
    ) -> Result<Request<Full<Bytes>>, Error> {
        let mut request = Request::builder()
            .method(match call.method {
                Method::Get => hyper::Method::GET,
                Method::Post => hyper::Method::POST,
                Method::Put => hyper::Method::PUT,
                Method::Delete => hyper::Method::DELETE,
            })
            .uri(call.target())
            .header(HOST, self.authority.clone())
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, PRODUCT)
            .extension(call.limit())
            .extension(FormSecret(call.password()));
        for (name, value) in signature {
            request = request.header(name, value);
        }
        let form = call.form();
        if form.is_some() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        request
            .body(form.map(Bytes::from).unwrap_or_default().into())
            .map_err(|error| Error::Configuration(format!("{call} cannot be sent: {error}")))
    }

    /// One line per answer. The query, the body and the headers are left out, as they may hold
    /// secrets.
    pub(crate) fn log_answer(&self, line: &str, reply: &Reply, started: Instant) {
        tracing::debug!(
            endpoint = %self.endpoint,
            request = line,
            status = reply.status,
            reason = reply.phrase,
            bytes = reply.body.len(),
            seconds = started.elapsed().as_secs_f64(),
            "answer"
        );
    }

    /// A host that is off is told once all are; one with a wrong certificate is worth a warning
    /// even if another takes over.
    pub(crate) fn log_passed_over(&self, failure: &ConnectFailure) {
        let endpoint = &self.endpoint;
        match failure {
            ConnectFailure::Certificate(reason, _) => {
                tracing::warn!(%endpoint, reason, "host passed over: its certificate is not trusted");
            }
            ConnectFailure::UnsupportedTls(reason) => {
                tracing::warn!(%endpoint, reason, "host passed over: no TLS connection");
            }
            ConnectFailure::OtherCluster(other) => {
                tracing::warn!(%endpoint, %other, "host passed over: it belongs to another cluster");
            }
            ConnectFailure::Unreachable(reason)
            | ConnectFailure::ProxyRefused(reason)
            | ConnectFailure::NotTls(reason) => {
                tracing::debug!(%endpoint, reason, "host passed over");
            }
        }
    }
}

/// How many whole seconds one time is ahead of another.
fn difference(theirs: SystemTime, ours: SystemTime) -> i64 {
    let whole = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    match theirs.duration_since(ours) {
        Ok(ahead) => whole(ahead),
        Err(behind) => -whole(behind.duration()),
    }
}
