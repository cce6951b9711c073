// SPDX-License-Identifier: GPL-3.0-only
//! One host of the cluster: its address, how connections to it are opened, its idle connections, and
//! how a request to it is built.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::client::TlsStream;

use crate::certificate::PeerCertificate;
use crate::connect_failure::{ConnectFailure, ConnectProblem, Unreachable};
use crate::connection::Connection;
use crate::dialer::Dialer;
use crate::endpoint::Endpoint;
use crate::error::{Error, Method};
use crate::handshake::{HandshakeFailure, SmallRsaKey};
use crate::key_kind::RENEW_HINT;
use crate::masking::FormSecret;
use crate::pool::Pool;
use crate::proxy::ProxyRules;
use crate::raw_reply::RawReply;
use crate::request::ApiRequest;
use crate::tls::Tls;

/// The header that PVE requires for everything but GET when a ticket is used.
pub(crate) const CSRF_TOKEN: HeaderName = HeaderName::from_static("csrfpreventiontoken");

/// The headers that authenticate a request.
pub(crate) type AuthHeaders = [(HeaderName, HeaderValue)];

const PRODUCT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// A host and what is known about it.
pub(crate) struct Host {
    pub(crate) endpoint: Endpoint,
    pub(crate) pool: Pool,
    /// The name that its certificate must be valid for, where an authority is trusted.
    name: ServerName<'static>,
    authority: HeaderValue,
    certificate: Mutex<Option<PeerCertificate>>,
    clock_difference: Mutex<Option<i64>>,
    small_rsa_key: AtomicBool,
    dialer: Dialer,
}

/// The result of a handshake that has not failed.
enum Handshake {
    Done(Box<TlsStream<TcpStream>>),
    /// Another handshake with fewer signature schemes is needed.
    SmallRsaKey,
}

impl Host {
    pub(crate) fn new(endpoint: &Endpoint, proxy: &ProxyRules) -> Result<Self, Error> {
        let invalid = || Error::Configuration(format!("invalid host name '{}'", endpoint.host));
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

    /// Opens a connection and stores the certificate of the host.
    pub(crate) async fn connect(
        &self,
        tls: &Tls,
        limit: Duration,
    ) -> Result<Connection, ConnectFailure> {
        let stream = match self.handshake(tls, limit).await? {
            Handshake::Done(stream) => stream,
            Handshake::SmallRsaKey => {
                self.small_rsa_key.store(true, Ordering::Relaxed);
                match self.handshake(tls, limit).await {
                    Ok(Handshake::Done(stream)) => stream,
                    Ok(Handshake::SmallRsaKey) | Err(ConnectFailure::UnsupportedTls(_)) => {
                        let text = format!("{SmallRsaKey}; {RENEW_HINT}");
                        return Err(ConnectFailure::UnsupportedTls(text));
                    }
                    Err(failure) => return Err(failure),
                }
            }
        };
        let chain = stream.get_ref().1.peer_certificates();
        let certificate = chain
            .and_then(<[_]>::first)
            .map(|certificate| PeerCertificate::from_der(certificate));
        let connection = Connection::new(stream).await;
        let connection = connection
            .map_err(|reason| Unreachable::new(ConnectProblem::ConnectionLost, reason))
            .map_err(ConnectFailure::Unreachable)?;
        *self
            .certificate
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = certificate;
        Ok(connection)
    }

    /// Opens a TCP connection and does the TLS handshake.
    async fn handshake(&self, tls: &Tls, limit: Duration) -> Result<Handshake, ConnectFailure> {
        let unreachable =
            |problem, text: String| ConnectFailure::Unreachable(Unreachable::new(problem, text));
        let socket = self.dialer.connect(&self.endpoint, limit).await?;
        let connector = if self.small_rsa_key.load(Ordering::Relaxed) {
            &tls.small_rsa
        } else {
            &tls.usual
        };
        match timeout(limit, connector.connect(self.name.clone(), socket)).await {
            Ok(Ok(stream)) => Ok(Handshake::Done(Box::new(stream))),
            Ok(Err(error)) => Err(match HandshakeFailure::from_error(&error) {
                HandshakeFailure::SmallRsaKey => return Ok(Handshake::SmallRsaKey),
                HandshakeFailure::Unsupported(reason) => ConnectFailure::UnsupportedTls(reason),
                HandshakeFailure::Certificate(reason, fingerprint) => {
                    ConnectFailure::Certificate(reason, fingerprint)
                }
                HandshakeFailure::NotTls(reason) => ConnectFailure::NotTls(reason),
                HandshakeFailure::Broken(reason) => {
                    unreachable(ConnectProblem::ConnectionLost, reason)
                }
            }),
            Err(_elapsed) => {
                let text = format!("no TLS handshake within {} s", limit.as_secs_f32());
                Err(unreachable(ConnectProblem::TimedOut, text))
            }
        }
    }

    /// The certificate of the last connection.
    pub(crate) fn certificate(&self) -> Option<PeerCertificate> {
        self.certificate
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How many seconds its clock is ahead of this machine's, by the `Date` of its last reply.
    pub(crate) fn clock_difference(&self) -> Option<i64> {
        *self
            .clock_difference
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the clock difference of a reply that has just been received.
    pub(crate) fn record_date(&self, date: Option<SystemTime>) {
        let difference = date.map(|date| difference(date, SystemTime::now()));
        *self
            .clock_difference
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = difference;
    }

    /// Builds the HTTP request. The length of the body is known, so hyper does not chunk it, which PVE
    /// would refuse (501 `chunked transfer encoding not supported`).
    pub(crate) fn http_request(
        &self,
        request: &ApiRequest,
        auth: &AuthHeaders,
    ) -> Result<Request<Full<Bytes>>, Error> {
        let mut builder = Request::builder()
            .method(match request.method {
                Method::Get => hyper::Method::GET,
                Method::Post => hyper::Method::POST,
                Method::Put => hyper::Method::PUT,
                Method::Delete => hyper::Method::DELETE,
            })
            .uri(request.target())
            .header(HOST, self.authority.clone())
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, PRODUCT)
            .extension(request.limit())
            .extension(FormSecret(request.password()));
        for (name, value) in auth {
            builder = builder.header(name, value);
        }
        let form = request.form();
        if form.is_some() {
            builder = builder.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        builder
            .body(form.map(Bytes::from).unwrap_or_default().into())
            .map_err(|error| Error::Configuration(format!("cannot send {request}: {error}")))
    }

    /// Logs a reply. Query, body and headers are left out because they may contain secrets.
    pub(crate) fn log_reply(&self, line: &str, reply: &RawReply, started: Instant) {
        tracing::debug!(
            endpoint = %self.endpoint,
            request = line,
            status = reply.status,
            reason = reply.phrase,
            bytes = reply.body.len(),
            seconds = started.elapsed().as_secs_f64(),
            "reply"
        );
    }

    /// Logs that the host is skipped: as a warning if it needs to be fixed, even if another host works.
    pub(crate) fn log_skipped(&self, failure: &ConnectFailure) {
        let endpoint = &self.endpoint;
        match failure {
            ConnectFailure::Certificate(reason, _) => {
                tracing::warn!(%endpoint, reason, "host skipped: its certificate is not trusted");
            }
            ConnectFailure::UnsupportedTls(reason) => {
                tracing::warn!(%endpoint, reason, "host skipped: no TLS connection");
            }
            ConnectFailure::OtherCluster(other) => {
                tracing::warn!(%endpoint, %other, "host skipped: it belongs to another cluster");
            }
            ConnectFailure::Unreachable(Unreachable {
                message: reason, ..
            })
            | ConnectFailure::ProxyRefused(reason)
            | ConnectFailure::NotTls(reason) => {
                tracing::debug!(%endpoint, reason, "host skipped");
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
