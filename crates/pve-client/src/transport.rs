// SPDX-License-Identifier: GPL-3.0-only
//! Sends requests: chooses the host and the connection, fails over, and retries.
//!
//! **Hosts.** Each host can serve requests about the whole cluster. The current host is used until it
//! cannot be connected to or a request to it times out; then the next one becomes current, in rounds,
//! so that a host that works again is used again.
//!
//! **Retries.** A request of any method that was certainly not written may be sent to another host or
//! sent later. A request that may have been processed is sent again only if that does no harm
//! (GET, login). All others end with [`Error::MaybeProcessed`] after one attempt.
//!
//! **Outages.** All requests share the state of the hosts ([`crate::health`]), so that not every request
//! tries hosts that are unreachable or silent.
//!
//! **One cluster.** Before the first request to a host, the host must report its cluster
//! ([`crate::membership`]).
//!
//! **Connections.** A request uses an idle connection or opens a new one, so there are never more
//! connections than the highest number of concurrent requests.

mod classification;

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use tokio::time::{Instant, timeout};

use crate::certificate::PeerCertificate;
use crate::cluster_identity::{ClusterIdentity, OtherCluster};
use crate::connect_failure::{ConnectFailure, ConnectProblem, Unreachable};
use crate::connection::{Connection, SendFailure};
use crate::endpoint::Endpoint;
use crate::error::{Certainty, Error, Method};
use crate::health::{AttemptLimit, Health};
use crate::host::{AuthHeaders, CSRF_TOKEN, Host};
use crate::masking::Secrets;
use crate::membership::{self, Admission, Membership};
use crate::options::ClientOptions;
use crate::raw_reply::RawReply;
use crate::reply::{self, Reply};
use crate::request::ApiRequest;
use crate::tls::Tls;
use classification::{may_retry, not_sent, reply_lost, unreachable_error};

/// How long after its first attempt a request that got an error or no reply is still retried. A host
/// that forwards a request to another node times out after 30 s.
const RETRY_WINDOW: Duration = Duration::from_secs(35);
/// How often one request may time out before it fails.
const MAX_TIMEOUTS: usize = 2;

/// The cluster's hosts with their connections.
pub(crate) struct Transport {
    hosts: Vec<Host>,
    health: Health,
    membership: Membership,
    current: AtomicUsize,
    tls: Tls,
    connect_timeout: Duration,
    request_timeout: Duration,
    retry_pauses: Vec<Duration>,
    requests: AtomicU64,
    connections_opened: AtomicU64,
}

/// How many requests and connections a client has needed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Requests written to a connection, logins and retries included.
    pub requests: u64,
    /// Connections opened, each with its own TLS handshake.
    pub connections_opened: u64,
}

/// When a request fails at the latest; `None`: after its own timeout and retries.
pub(crate) type Deadline = Option<Instant>;

/// The purpose of a round over the hosts.
#[derive(Clone, Copy)]
enum Purpose<'a> {
    /// Open a connection for the next request.
    Connect,
    /// Send the request.
    Send(&'a AuthHeaders),
}

/// A round over the hosts without a reply.
struct FailedRound {
    error: Error,
    /// Whether another round does no harm and may succeed.
    may_retry: bool,
    /// Whether the request timed out.
    timed_out: bool,
}

/// Why one host gave no reply.
enum Failure {
    /// The request was not written: the next host may be tried.
    NotSent(ConnectFailure),
    /// The request was written and timed out: the next request goes to another host.
    TimedOut(Error),
    /// The request fails with this error.
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
                .map(|endpoint| Host::new(endpoint, &options.proxy))
                .collect::<Result<_, _>>()?,
            health: Health::new(options.endpoints.len()),
            membership: Membership::new(options.endpoints.len()),
            current: AtomicUsize::new(0),
            tls: Tls::new(&options.trust)?,
            connect_timeout: options.connect_timeout,
            request_timeout: options.request_timeout,
            retry_pauses: options.retry_pauses.clone(),
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

    /// Whether the hosts have stopped replying.
    pub(crate) fn is_silent(&self) -> bool {
        self.health.is_silent()
    }

    /// Records the cluster that a host has reported; an error if it is another one.
    pub(crate) fn record_cluster(
        &self,
        endpoint: &Endpoint,
        found: ClusterIdentity,
    ) -> Result<(), Error> {
        let host = self
            .hosts
            .iter()
            .position(|host| host.endpoint == *endpoint);
        let recorded = host.map_or(Ok(()), |host| self.membership.record(host, endpoint, found));
        recorded.map_err(|other| Error::OtherCluster {
            other,
            attempts: Vec::new(),
        })
    }

    /// How many hosts there are.
    pub(crate) fn host_count(&self) -> usize {
        self.hosts.len()
    }

    /// Opens the first connection: one round over the hosts without retries, so that a wrong host name
    /// is reported immediately.
    pub(crate) async fn connect(&self) -> Result<(), Error> {
        let request = ApiRequest::new(Method::Get, &["version"]);
        let connected = self.round(&request, Purpose::Connect, None).await;
        connected.map(drop).map_err(|failed| failed.error)
    }

    /// Sends a request until there is a reply or no further attempt is allowed.
    pub(crate) async fn send(
        &self,
        request: &ApiRequest,
        auth: &AuthHeaders,
        deadline: Deadline,
    ) -> Result<Reply, Error> {
        let limit = self
            .health
            .attempt_limit(request.is_retryable(), Instant::now());
        let pauses = match limit {
            AttemptLimit::Unlimited => self.retry_pauses.as_slice(),
            AttemptLimit::One => &[],
            AttemptLimit::None(attempts) => return Err(not_sent(request, attempts)),
        };
        let mut pauses = pauses.iter();
        let started = Instant::now();
        let mut timeouts = 0;
        loop {
            let failed = match self.round(request, Purpose::Send(auth), deadline).await {
                Ok(reply) => return Ok(reply),
                Err(failed) => failed,
            };
            timeouts += usize::from(failed.timed_out);
            let was_written = !matches!(failed.error, Error::NotSent { .. });
            let may_retry = failed.may_retry
                && self.health.allows_retry(request.is_retryable())
                && (!was_written || started.elapsed() < RETRY_WINDOW || failed.timed_out)
                && timeouts < MAX_TIMEOUTS.max(self.hosts.len());
            let error = failed.error;
            let pause = pauses.next().filter(|_| may_retry);
            let pause = pause.filter(|pause| is_before(Instant::now() + **pause, deadline));
            let Some(pause) = pause else {
                if let Error::NotSent { attempts, .. } = &error {
                    self.health.record_unreachable(attempts);
                }
                return Err(error);
            };
            tracing::debug!(%request, %error, ?pause, "retrying the request");
            tokio::time::sleep(*pause).await;
        }
    }

    /// Tries the hosts one after the other, beginning with the current one, until one is reached.
    async fn round(
        &self,
        request: &ApiRequest,
        purpose: Purpose<'_>,
        deadline: Deadline,
    ) -> Result<Reply, FailedRound> {
        let first = self.current.load(Ordering::Relaxed);
        let mut failures = Vec::new();
        for offset in 0..self.hosts.len() {
            let index = (first + offset) % self.hosts.len();
            let host = &self.hosts[index];
            let started = Instant::now();
            let result = self.try_host(index, request, purpose, deadline).await;
            let (outcome, current) = match result {
                Ok(reply) => (Ok(reply), index),
                Err(Failure::Final(error)) => (Err((error, false)), index),
                Err(Failure::TimedOut(error)) => {
                    (Err((error, true)), (index + 1) % self.hosts.len())
                }
                Err(Failure::NotSent(failure)) => {
                    host.pool.clear();
                    host.log_skipped(&failure);
                    self.health.record_connect_failure(index);
                    failures.push((&host.endpoint, failure));
                    continue;
                }
            };
            if current != first {
                let endpoint = &self.hosts[current].endpoint;
                tracing::debug!(%endpoint, "current host changed");
                self.current.store(current, Ordering::Relaxed);
            }
            return outcome.map_err(|(error, timed_out)| FailedRound {
                may_retry: may_retry(request, &error, started.elapsed()),
                timed_out,
                error,
            });
        }
        // Nothing was written. A host that is off may be back soon; an untrusted certificate, or a server
        // that is not PVE, will not change.
        let is_off = |(_, failure): &(_, _)| matches!(failure, ConnectFailure::Unreachable(_));
        Err(FailedRound {
            may_retry: failures.iter().any(is_off),
            timed_out: false,
            error: unreachable_error(request, failures),
        })
    }

    async fn try_host(
        &self,
        index: usize,
        request: &ApiRequest,
        purpose: Purpose<'_>,
        deadline: Deadline,
    ) -> Result<Reply, Failure> {
        match purpose {
            Purpose::Connect => {
                let host = &self.hosts[index];
                let connection = self.open(host).await.map_err(Failure::NotSent)?;
                host.pool.put(connection);
                Ok(Reply {
                    body: Bytes::new(),
                    endpoint: host.endpoint.clone(),
                })
            }
            Purpose::Send(auth) => {
                self.check_membership(index, request, auth, deadline)
                    .await?;
                self.attempt(index, request, auth, deadline).await
            }
        }
    }

    /// Allows the request if the host belongs to the cluster of the other hosts. A host that does not
    /// prove it gets no request.
    async fn check_membership(
        &self,
        index: usize,
        request: &ApiRequest,
        auth: &AuthHeaders,
        deadline: Deadline,
    ) -> Result<(), Failure> {
        match self.membership.admission(index, request) {
            Admission::Granted => Ok(()),
            Admission::Refused(other) => Err(other_cluster(other)),
            // Boxed, because it is rare and its future is large.
            Admission::Query(_) => {
                Box::pin(self.query_cluster(index, request, auth, deadline)).await
            }
        }
    }

    /// Queries the cluster of a host, unless another request has done so in the meantime.
    async fn query_cluster(
        &self,
        index: usize,
        request: &ApiRequest,
        auth: &AuthHeaders,
        deadline: Deadline,
    ) -> Result<(), Failure> {
        let _one_at_a_time = self.membership.query_lock.lock().await;
        let query = match self.membership.admission(index, request) {
            Admission::Granted => return Ok(()),
            Admission::Refused(other) => return Err(other_cluster(other)),
            Admission::Query(query) => query,
        };
        let unknown = |error: &Error| {
            let message = format!("cannot determine the cluster of this host: {error}");
            let failure = Unreachable::new(ConnectProblem::UnknownCluster, message);
            Failure::NotSent(ConnectFailure::Unreachable(failure))
        };
        let auth: Vec<_> = auth
            .iter()
            .filter(|(name, _)| *name != CSRF_TOKEN)
            .cloned()
            .collect();
        let found = match self.attempt(index, &query, &auth, deadline).await {
            Ok(reply) => {
                membership::parse_identity(&query, &reply).map_err(|error| unknown(&error))?
            }
            // A new login may help.
            Err(Failure::Final(error)) if error.status() == Some(401) => {
                return Err(Failure::Final(error));
            }
            Err(Failure::Final(error) | Failure::TimedOut(error)) => return Err(unknown(&error)),
            Err(not_sent @ Failure::NotSent(_)) => return Err(not_sent),
        };
        let endpoint = &self.hosts[index].endpoint;
        if found.nodes.is_empty() {
            let problem = "the reply names no node".to_owned();
            let certainty = Certainty::Unknown;
            let error = reply::unexpected_reply(&query, endpoint, problem, certainty);
            return Err(unknown(&error));
        }
        let recorded = self.membership.record(index, endpoint, found);
        recorded.map_err(other_cluster)
    }

    /// Makes one attempt at one host. An idle connection that turns out to be closed before anything was
    /// written is replaced by another.
    async fn attempt(
        &self,
        index: usize,
        request: &ApiRequest,
        auth: &AuthHeaders,
        deadline: Deadline,
    ) -> Result<Reply, Failure> {
        let host = &self.hosts[index];
        loop {
            let (connection, is_new) = match host.pool.take().await {
                Some(connection) => (connection, false),
                None => (self.open(host).await.map_err(Failure::NotSent)?, true),
            };
            let http_request = host.http_request(request, auth).map_err(Failure::Final)?;
            let sent = self.exchange(index, connection, http_request, deadline);
            return match sent.await {
                Ok(reply) => reply::check(request, &host.endpoint, reply).map_err(Failure::Final),
                Err(SendFailure::NotWritten(_)) if !is_new => continue,
                Err(SendFailure::NotWritten(reason)) => {
                    let failure = Unreachable::new(ConnectProblem::ConnectionLost, reason);
                    Err(Failure::NotSent(ConnectFailure::Unreachable(failure)))
                }
                Err(SendFailure::TimedOut(reason)) => {
                    Err(Failure::TimedOut(reply_lost(host, request, reason)))
                }
                Err(SendFailure::Lost(reason)) => {
                    Err(Failure::Final(reply_lost(host, request, reason)))
                }
                Err(SendFailure::NotHttp(problem)) => {
                    let endpoint = &host.endpoint;
                    let certainty = Certainty::Unknown;
                    Err(Failure::Final(reply::unexpected_reply(
                        request, endpoint, problem, certainty,
                    )))
                }
            };
        }
    }

    /// Writes the request and reads the reply within the timeout; keeps the connection if it can be used
    /// again.
    async fn exchange(
        &self,
        index: usize,
        mut connection: Connection,
        request: Request<Full<Bytes>>,
        deadline: Deadline,
    ) -> Result<RawReply, SendFailure> {
        let host = &self.hosts[index];
        let started = Instant::now();
        let line = format!("{} {}", request.method(), request.uri().path());
        let secrets = Secrets::from_request(&request);
        let flags = connection.flags();
        let left = deadline.map_or(Duration::MAX, |end| end.saturating_duration_since(started));
        let limit = self.request_timeout.min(left);
        let sent = timeout(limit, connection.send(request)).await;
        if flags.was_written() {
            self.requests.fetch_add(1, Ordering::Relaxed);
        }
        match sent {
            Ok(Ok(reply)) => {
                self.health.record_reply();
                host.pool.put(connection);
                host.record_date(reply.date);
                let reply = secrets.mask(reply);
                host.log_reply(&line, &reply, started);
                Ok(reply)
            }
            Ok(Err(failure)) => Err(failure),
            Err(_elapsed) if flags.was_written() => {
                host.pool.clear();
                // A request with a short deadline proves little about the host.
                if limit >= self.request_timeout / 2 {
                    let endpoints = self.hosts.iter().map(|host| host.endpoint.clone());
                    self.health.record_timeout(index, endpoints);
                }
                let limit = limit.as_secs_f32();
                Err(SendFailure::TimedOut(format!(
                    "no complete reply within {limit} s"
                )))
            }
            Err(_elapsed) => Err(SendFailure::NotWritten(
                "the request could not be written in time".to_owned(),
            )),
        }
    }

    async fn open(&self, host: &Host) -> Result<Connection, ConnectFailure> {
        let connection = host.connect(&self.tls, self.connect_timeout).await?;
        self.connections_opened.fetch_add(1, Ordering::Relaxed);
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

fn other_cluster(other: Box<OtherCluster>) -> Failure {
    Failure::NotSent(ConnectFailure::OtherCluster(other))
}

fn is_before(time: Instant, deadline: Deadline) -> bool {
    deadline.is_none_or(|deadline| time < deadline)
}
