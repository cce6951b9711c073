// SPDX-License-Identifier: GPL-3.0-only
//! The way of a request to one of the cluster's hosts and back: which host, which connection,
//! how often.
//!
//! **Hosts.** All are equal: each can answer for the whole cluster. The one that answered last is
//! used until it cannot be connected or lets a request time out; then the next takes over, in
//! rounds, so that a host that is back is used again. Which one is current is kept here and
//! nowhere else.
//!
//! **Repetition.** A request that was provably not written may go to another host or be sent
//! later, whatever its method. One that may have been processed is sent again only if that does no
//! harm (GET, login). Everything else ends in [`Error::MaybeProcessed`] after one attempt.
//!
//! **Connections.** A request uses an idle connection or opens one, so there are never more than
//! requests in flight at one time.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use crate::call::Call;
use crate::certificate::PeerCertificate;
use crate::client::Statistics;
use crate::connection::{ConnectFailure, Connection, ExchangeFailure, Reply};
use crate::endpoint::Endpoint;
use crate::error::{Certainty, Error, Method};
use crate::host::{Host, Signature};
use crate::options::ClientOptions;
use crate::{reply, tls};

/// The cluster's hosts with their connections.
pub(crate) struct Transport {
    hosts: Vec<Host>,
    current: AtomicUsize,
    tls: TlsConnector,
    connect_timeout: Duration,
    request_timeout: Duration,
    repeat_pauses: Vec<Duration>,
    requests: AtomicU64,
    connections_opened: AtomicU64,
}

/// A good answer and who gave it.
pub(crate) struct Answer {
    pub(crate) body: Bytes,
    pub(crate) endpoint: Endpoint,
}

/// What a round is for.
#[derive(Clone, Copy)]
enum Step<'a> {
    /// Opens a connection and keeps it for the next request.
    Connect,
    /// Sends the request.
    Send(&'a Signature),
}

/// A round without an answer.
struct Missed {
    error: Error,
    /// Whether another round does no harm and may go better.
    may_repeat: bool,
}

/// Why one host gave no answer.
enum Failure {
    /// Nothing was written there: the next host may be asked.
    NotSent(ConnectFailure),
    /// The request was written and the host let it time out: the next request goes elsewhere.
    TimedOut(Error),
    /// The request ends here.
    Final(Error),
}

impl Transport {
    pub(crate) fn new(options: &ClientOptions) -> Result<Self, Error> {
        if options.endpoints.is_empty() {
            return Err(Error::Configuration("no host was given".to_owned()));
        }
        Ok(Self {
            hosts: options
                .endpoints
                .iter()
                .map(Host::new)
                .collect::<Result<_, _>>()?,
            current: AtomicUsize::new(0),
            tls: tls::client_config(&options.trust)?.into(),
            connect_timeout: options.connect_timeout,
            request_timeout: options.request_timeout,
            repeat_pauses: options.repeat_pauses.clone(),
            requests: AtomicU64::new(0),
            connections_opened: AtomicU64::new(0),
        })
    }

    pub(crate) fn statistics(&self) -> Statistics {
        Statistics {
            requests: self.requests.load(Ordering::Relaxed),
            connections_opened: self.connections_opened.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn current_endpoint(&self) -> Endpoint {
        self.current_host().endpoint.clone()
    }

    pub(crate) fn peer_certificate(&self) -> Option<PeerCertificate> {
        self.current_host().certificate()
    }

    pub(crate) fn clock_difference(&self) -> Option<i64> {
        self.current_host().clock_difference()
    }

    /// Opens the first connection: one round over the hosts, no repetition, so that a wrong host
    /// name is told at once.
    pub(crate) async fn reach(&self) -> Result<(), Error> {
        let call = Call::new(Method::Get, &["version"]);
        let connected = self.round(&call, Step::Connect).await;
        connected.map(drop).map_err(|missed| missed.error)
    }

    /// Sends a request until there is an answer or no further attempt is allowed.
    pub(crate) async fn send(&self, call: &Call, signature: &Signature) -> Result<Answer, Error> {
        let mut pauses = self.repeat_pauses.iter();
        loop {
            let Missed { error, may_repeat } = match self.round(call, Step::Send(signature)).await {
                Ok(answer) => return Ok(answer),
                Err(missed) => missed,
            };
            match pauses.next() {
                Some(pause) if may_repeat => {
                    tracing::debug!(%call, %error, ?pause, "will be repeated");
                    tokio::time::sleep(*pause).await;
                }
                Some(_) | None => return Err(error),
            }
        }
    }

    /// Asks the hosts one after the other, from the current one on, until one was reached.
    async fn round(&self, call: &Call, step: Step<'_>) -> Result<Answer, Missed> {
        let first = self.current.load(Ordering::Relaxed);
        let mut failures = Vec::new();
        for offset in 0..self.hosts.len() {
            let index = (first + offset) % self.hosts.len();
            let host = &self.hosts[index];
            let (outcome, current) = match self.step(host, call, step).await {
                Ok(answer) => (Ok(answer), index),
                Err(Failure::Final(error)) => (Err(error), index),
                Err(Failure::TimedOut(error)) => (Err(error), (index + 1) % self.hosts.len()),
                Err(Failure::NotSent(failure)) => {
                    host.pool.clear();
                    host.log_passed_over(&failure);
                    failures.push((&host.endpoint, failure));
                    continue;
                }
            };
            if current != first {
                let endpoint = &self.hosts[current].endpoint;
                tracing::debug!(%endpoint, "takes over");
                self.current.store(current, Ordering::Relaxed);
            }
            return outcome.map_err(|error| Missed {
                may_repeat: may_repeat(call, &error),
                error,
            });
        }
        // Nothing was written anywhere. A host that is off may be back in a moment; one with a
        // wrong certificate, or that is no PVE, will not change.
        let is_off = |(_, failure): &(_, _)| matches!(failure, ConnectFailure::Unreachable(_));
        Err(Missed {
            may_repeat: failures.iter().any(is_off),
            error: unreachable_error(call, failures),
        })
    }

    async fn step(&self, host: &Host, call: &Call, step: Step<'_>) -> Result<Answer, Failure> {
        match step {
            Step::Connect => {
                let connection = self.open(host).await.map_err(Failure::NotSent)?;
                host.pool.put(connection);
                Ok(Answer {
                    body: Bytes::new(),
                    endpoint: host.endpoint.clone(),
                })
            }
            Step::Send(signature) => self.attempt(host, call, signature).await,
        }
    }

    /// One attempt at one host. A kept connection that turns out dead before anything was written
    /// is replaced by another.
    async fn attempt(
        &self,
        host: &Host,
        call: &Call,
        signature: &Signature,
    ) -> Result<Answer, Failure> {
        loop {
            let (connection, is_new) = match host.pool.take().await {
                Some(connection) => (connection, false),
                None => (self.open(host).await.map_err(Failure::NotSent)?, true),
            };
            let request = host.request(call, signature).map_err(Failure::Final)?;
            return match self.exchange(host, connection, request).await {
                Ok(reply) => reply::check(call, &host.endpoint, reply).map_err(Failure::Final),
                Err(ExchangeFailure::NotWritten(_)) if !is_new => continue,
                Err(ExchangeFailure::NotWritten(reason)) => {
                    Err(Failure::NotSent(ConnectFailure::Unreachable(reason)))
                }
                Err(ExchangeFailure::TimedOut(reason)) => {
                    Err(Failure::TimedOut(lost(host, call, reason)))
                }
                Err(ExchangeFailure::Lost(reason)) => Err(Failure::Final(lost(host, call, reason))),
                Err(ExchangeFailure::NotHttp(what)) => {
                    let endpoint = &host.endpoint;
                    let certainty = Certainty::Unknown;
                    Err(Failure::Final(reply::not_understood(
                        call, endpoint, what, certainty,
                    )))
                }
            };
        }
    }

    /// Writes the request and reads the answer within the time-out; keeps the connection if it can
    /// be used again.
    async fn exchange(
        &self,
        host: &Host,
        mut connection: Connection,
        request: Request<Full<Bytes>>,
    ) -> Result<Reply, ExchangeFailure> {
        let started = Instant::now();
        let line = format!("{} {}", request.method(), request.uri().path());
        let flags = connection.exchange();
        let sent = timeout(self.request_timeout, connection.send(request)).await;
        if flags.was_written() {
            self.requests.fetch_add(1, Ordering::Relaxed);
        }
        match sent {
            Ok(Ok(reply)) => {
                host.pool.put(connection);
                host.note_date(reply.date);
                host.log_answer(&line, &reply, started);
                Ok(reply)
            }
            Ok(Err(failure)) => Err(failure),
            Err(_elapsed) if flags.was_written() => {
                host.pool.clear();
                let limit = self.request_timeout.as_secs_f32();
                Err(ExchangeFailure::TimedOut(format!(
                    "no complete answer within {limit} s"
                )))
            }
            Err(_elapsed) => Err(ExchangeFailure::NotWritten(
                "the connection hung".to_owned(),
            )),
        }
    }

    async fn open(&self, host: &Host) -> Result<Connection, ConnectFailure> {
        let limit = self.connect_timeout;
        let opening = Connection::open(&host.endpoint, host.name.clone(), &self.tls, limit);
        let (connection, certificate) = opening.await?;
        self.connections_opened.fetch_add(1, Ordering::Relaxed);
        host.set_certificate(certificate);
        Ok(connection)
    }

    fn current_host(&self) -> &Host {
        &self.hosts[self.current.load(Ordering::Relaxed) % self.hosts.len()]
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self
            .hosts
            .iter()
            .map(|host| host.endpoint.to_string())
            .collect();
        formatter
            .debug_struct("Transport")
            .field("hosts", &hosts)
            .finish_non_exhaustive()
    }
}

/// Whether a request that a host failed to serve may be sent again without harm, and may succeed
/// then.
///
/// PVE's 595 means that another node, or pvedaemon on the same one, did not accept a connection.
/// Only a refused one is worth a short wait: that is a daemon being restarted, while a node that
/// is off takes up to 30 s to say so and will not be back in a moment.
fn may_repeat(call: &Call, error: &Error) -> bool {
    match error {
        Error::MaybeProcessed { .. } => call.is_repeatable(),
        Error::Refused { status, reason, .. } => {
            let passing =
                matches!(status, 429 | 503) || (*status == 595 && reason == "Connection refused");
            passing && call.is_repeatable()
        }
        Error::NotSent { .. }
        | Error::NotUnderstood { .. }
        | Error::Authentication { .. }
        | Error::Certificate { .. }
        | Error::Intercepted { .. }
        | Error::NotListed { .. }
        | Error::Configuration(_) => false,
    }
}

/// No host was reached. A certificate that is not trusted, or a host that is no PVE, tells more
/// than one that is off, so it decides the kind of the error.
fn unreachable_error(call: &Call, failures: Vec<(&Endpoint, ConnectFailure)>) -> Error {
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
        if let ConnectFailure::NotTls(what) = failure {
            return reply::not_understood(call, endpoint, what.clone(), Certainty::NotSent);
        }
    }
    let attempts = failures
        .into_iter()
        .map(|(endpoint, failure)| match failure {
            ConnectFailure::Unreachable(reason)
            | ConnectFailure::NotTls(reason)
            | ConnectFailure::Certificate(reason, _) => (endpoint.clone(), reason),
        });
    let (method, path) = (call.method, call.path().to_owned());
    Error::NotSent {
        method,
        path,
        attempts: attempts.collect(),
    }
}

fn lost(host: &Host, call: &Call, reason: String) -> Error {
    tracing::debug!(endpoint = %host.endpoint, %call, reason, "no answer");
    Error::MaybeProcessed {
        method: call.method,
        path: call.path().to_owned(),
        endpoint: host.endpoint.clone(),
        status: None,
        reason,
    }
}
