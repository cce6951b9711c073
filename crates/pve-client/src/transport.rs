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
//! **Outages.** All requests share what one of them finds out ([`crate::health`]): hosts that cannot be
//! reached, or on which request after request times out, are not tried again by every request.
//!
//! **One cluster.** Before the first request goes to a host, the host is asked for its cluster
//! ([`crate::membership`]).
//!
//! **Connections.** A request uses an idle connection or opens one, so there are never more than
//! requests in flight at one time.

mod failures;

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use tokio::time::{Instant, timeout};

use crate::call::Call;
use crate::certificate::PeerCertificate;
use crate::client::Statistics;
use crate::connection::{ConnectFailure, Connection, ExchangeFailure, Reply};
use crate::endpoint::Endpoint;
use crate::error::{Certainty, Error, Method};
use crate::health::{Health, Permit};
use crate::host::{Host, Signature};
use crate::masking::Secrets;
use crate::membership::{self, Admission, ClusterIdentity, Membership, OtherCluster};
use crate::options::ClientOptions;
use crate::reply;
use crate::session::CSRF_TOKEN;
use crate::tls::Tls;
use failures::{lost, may_repeat, not_sent, unreachable_error};

/// How long after its first attempt a request that got an error or no answer is still repeated. A
/// host that proxies a request to another node gives up after 30 s.
const REPEAT_WITHIN: Duration = Duration::from_secs(35);
/// How often one request may time out.
const TIMEOUTS_PER_REQUEST: usize = 2;

/// The cluster's hosts with their connections.
pub(crate) struct Transport {
    hosts: Vec<Host>,
    health: Health,
    membership: Membership,
    current: AtomicUsize,
    tls: Tls,
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

/// When a request gives up; `None`: after its own time-out and repetitions.
pub(crate) type Deadline = Option<Instant>;

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
    /// The request timed out.
    timed_out: bool,
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
                .map(|endpoint| Host::new(endpoint, &options.proxy))
                .collect::<Result<_, _>>()?,
            health: Health::new(options.endpoints.len()),
            membership: Membership::new(options.endpoints.len()),
            current: AtomicUsize::new(0),
            tls: Tls::new(&options.trust)?,
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

    /// Whether the hosts have stopped answering.
    pub(crate) fn is_silent(&self) -> bool {
        self.health.is_silent()
    }

    /// Records the cluster that a host has reported.
    pub(crate) fn learn(&self, endpoint: &Endpoint, found: ClusterIdentity) -> Result<(), Error> {
        let host = self
            .hosts
            .iter()
            .position(|host| host.endpoint == *endpoint);
        let learned = host.map_or(Ok(()), |host| self.membership.learn(host, endpoint, found));
        learned.map_err(|other| Error::OtherCluster {
            other,
            attempts: Vec::new(),
        })
    }

    /// How many hosts there are.
    pub(crate) fn host_count(&self) -> usize {
        self.hosts.len()
    }

    /// Opens the first connection: one round over the hosts, no repetition, so that a wrong host
    /// name is told at once.
    pub(crate) async fn reach(&self) -> Result<(), Error> {
        let call = Call::new(Method::Get, &["version"]);
        let connected = self.round(&call, Step::Connect, None).await;
        connected.map(drop).map_err(|missed| missed.error)
    }

    /// Sends a request until there is an answer or no further attempt is allowed.
    pub(crate) async fn send(
        &self,
        call: &Call,
        signature: &Signature,
        deadline: Deadline,
    ) -> Result<Answer, Error> {
        let pauses = match self.health.permit(call.is_repeatable(), Instant::now()) {
            Permit::Go => self.repeat_pauses.as_slice(),
            Permit::Once => &[],
            Permit::Fail(attempts) => return Err(not_sent(call, attempts)),
        };
        let mut pauses = pauses.iter();
        let started = Instant::now();
        let mut timeouts = 0;
        loop {
            let round = self.round(call, Step::Send(signature), deadline).await;
            let missed = match round {
                Ok(answer) => return Ok(answer),
                Err(missed) => missed,
            };
            timeouts += usize::from(missed.timed_out);
            let was_written = !matches!(missed.error, Error::NotSent { .. });
            let may_repeat = missed.may_repeat
                && self.health.allows_repeat(call.is_repeatable())
                && (!was_written || started.elapsed() < REPEAT_WITHIN || missed.timed_out)
                && timeouts < TIMEOUTS_PER_REQUEST.max(self.hosts.len());
            let error = missed.error;
            let pause = pauses.next().filter(|_| may_repeat);
            let pause = pause.filter(|pause| is_before(Instant::now() + **pause, deadline));
            let Some(pause) = pause else {
                if let Error::NotSent { attempts, .. } = &error {
                    self.health.unreachable(attempts);
                }
                return Err(error);
            };
            tracing::debug!(%call, %error, ?pause, "will be repeated");
            tokio::time::sleep(*pause).await;
        }
    }

    /// Asks the hosts one after the other, from the current one on, until one was reached.
    async fn round(
        &self,
        call: &Call,
        step: Step<'_>,
        deadline: Deadline,
    ) -> Result<Answer, Missed> {
        let first = self.current.load(Ordering::Relaxed);
        let mut failures = Vec::new();
        for offset in 0..self.hosts.len() {
            let index = (first + offset) % self.hosts.len();
            let host = &self.hosts[index];
            let started = Instant::now();
            let (outcome, current) = match self.step(index, call, step, deadline).await {
                Ok(answer) => (Ok(answer), index),
                Err(Failure::Final(error)) => (Err((error, false)), index),
                Err(Failure::TimedOut(error)) => {
                    (Err((error, true)), (index + 1) % self.hosts.len())
                }
                Err(Failure::NotSent(failure)) => {
                    host.pool.clear();
                    host.log_passed_over(&failure);
                    self.health.not_connected(index);
                    failures.push((&host.endpoint, failure));
                    continue;
                }
            };
            if current != first {
                let endpoint = &self.hosts[current].endpoint;
                tracing::debug!(%endpoint, "takes over");
                self.current.store(current, Ordering::Relaxed);
            }
            return outcome.map_err(|(error, timed_out)| Missed {
                may_repeat: may_repeat(call, &error, started.elapsed()),
                timed_out,
                error,
            });
        }
        // Nothing was written anywhere. A host that is off may be back in a moment; one with a
        // wrong certificate, or that is no PVE, will not change.
        let is_off = |(_, failure): &(_, _)| matches!(failure, ConnectFailure::Unreachable(_));
        Err(Missed {
            may_repeat: failures.iter().any(is_off),
            timed_out: false,
            error: unreachable_error(call, failures),
        })
    }

    async fn step(
        &self,
        index: usize,
        call: &Call,
        step: Step<'_>,
        deadline: Deadline,
    ) -> Result<Answer, Failure> {
        match step {
            Step::Connect => {
                let host = &self.hosts[index];
                let connection = self.open(host).await.map_err(Failure::NotSent)?;
                host.pool.put(connection);
                Ok(Answer {
                    body: Bytes::new(),
                    endpoint: host.endpoint.clone(),
                })
            }
            Step::Send(signature) => {
                self.admit(index, call, signature, deadline).await?;
                self.attempt(index, call, signature, deadline).await
            }
        }
    }

    /// Lets the request pass if the host belongs to the cluster of the other hosts. A host that does
    /// not prove it gets no request.
    async fn admit(
        &self,
        index: usize,
        call: &Call,
        signature: &Signature,
        deadline: Deadline,
    ) -> Result<(), Failure> {
        match self.membership.admission(index, call) {
            Admission::Granted => Ok(()),
            Admission::Refused(other) => Err(foreign(other)),
            // Boxed, as it is rare and its future is large.
            Admission::Ask(_) => {
                Box::pin(self.ask_for_cluster(index, call, signature, deadline)).await
            }
        }
    }

    /// Asks a host which cluster it belongs to, unless another request has done so meanwhile.
    async fn ask_for_cluster(
        &self,
        index: usize,
        call: &Call,
        signature: &Signature,
        deadline: Deadline,
    ) -> Result<(), Failure> {
        let _one_at_a_time = self.membership.asking.lock().await;
        let question = match self.membership.admission(index, call) {
            Admission::Granted => return Ok(()),
            Admission::Refused(other) => return Err(foreign(other)),
            Admission::Ask(question) => question,
        };
        let unknown = |error: &Error| {
            let reason = format!("cannot find out which cluster the host belongs to: {error}");
            Failure::NotSent(ConnectFailure::Unreachable(reason))
        };
        let signature: Vec<_> = signature
            .iter()
            .filter(|(name, _)| *name != CSRF_TOKEN)
            .cloned()
            .collect();
        let found = match self.attempt(index, &question, &signature, deadline).await {
            Ok(answer) => {
                membership::identity(&question, &answer).map_err(|error| unknown(&error))?
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
            let what = "it names no node".to_owned();
            let certainty = Certainty::Unknown;
            let error = reply::not_understood(&question, endpoint, what, certainty);
            return Err(unknown(&error));
        }
        let learned = self.membership.learn(index, endpoint, found);
        learned.map_err(foreign)
    }

    /// One attempt at one host. A kept connection that turns out dead before anything was written
    /// is replaced by another.
    async fn attempt(
        &self,
        index: usize,
        call: &Call,
        signature: &Signature,
        deadline: Deadline,
    ) -> Result<Answer, Failure> {
        let host = &self.hosts[index];
        loop {
            let (connection, is_new) = match host.pool.take().await {
                Some(connection) => (connection, false),
                None => (self.open(host).await.map_err(Failure::NotSent)?, true),
            };
            let request = host.request(call, signature).map_err(Failure::Final)?;
            return match self.exchange(index, connection, request, deadline).await {
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
        index: usize,
        mut connection: Connection,
        request: Request<Full<Bytes>>,
        deadline: Deadline,
    ) -> Result<Reply, ExchangeFailure> {
        let host = &self.hosts[index];
        let started = Instant::now();
        let line = format!("{} {}", request.method(), request.uri().path());
        let secrets = Secrets::from_request(&request);
        let flags = connection.exchange();
        let left = deadline.map_or(Duration::MAX, |end| end.saturating_duration_since(started));
        let limit = self.request_timeout.min(left);
        let sent = timeout(limit, connection.send(request)).await;
        if flags.was_written() {
            self.requests.fetch_add(1, Ordering::Relaxed);
        }
        match sent {
            Ok(Ok(reply)) => {
                self.health.replied();
                host.pool.put(connection);
                host.note_date(reply.date);
                let reply = secrets.mask(reply);
                host.log_answer(&line, &reply, started);
                Ok(reply)
            }
            Ok(Err(failure)) => Err(failure),
            Err(_elapsed) if flags.was_written() => {
                host.pool.clear();
                // A request with a short deadline proves little about the host.
                if limit >= self.request_timeout / 2 {
                    let endpoints = self.hosts.iter().map(|host| host.endpoint.clone());
                    self.health.timed_out(index, endpoints);
                }
                let limit = limit.as_secs_f32();
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
        let opening = Connection::open(host, &self.tls, self.connect_timeout);
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

fn foreign(other: Box<OtherCluster>) -> Failure {
    Failure::NotSent(ConnectFailure::OtherCluster(other))
}

fn is_before(moment: Instant, deadline: Deadline) -> bool {
    deadline.is_none_or(|deadline| moment < deadline)
}
