// SPDX-License-Identifier: GPL-3.0-only
//! Opens TCP connections: to the addresses of a name in parallel (RFC 8305), or through a proxy.
//!
//! A broken IPv6 route must not delay IPv4 by a whole connect timeout. The address that accepted the last
//! connection is tried first the next time.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::connect_failure::{ConnectFailure, ConnectProblem, Unreachable};
use crate::endpoint::Endpoint;
use crate::proxy::{Proxy, ProxyReply};

/// The delay before the next address is tried as well (RFC 8305, section 8).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The largest head of a proxy's reply, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// The maximum number of characters of a proxy's status text in a message.
const MAX_PHRASE: usize = 200;

/// Opens TCP connections to one host, and remembers the address that accepted last.
#[derive(Debug, Default)]
pub(crate) struct Dialer {
    proxy: Option<Proxy>,
    last: Mutex<Option<SocketAddr>>,
}

impl Dialer {
    /// Creates a dialer that uses the proxy, if there is one.
    pub(crate) fn new(proxy: Option<Proxy>) -> Self {
        Self {
            proxy,
            last: Mutex::new(None),
        }
    }

    /// Connects to the host. The name lookup, each address and the reply of a proxy may each take up to
    /// `limit`.
    pub(crate) async fn connect(
        &self,
        endpoint: &Endpoint,
        limit: Duration,
    ) -> Result<TcpStream, ConnectFailure> {
        let Some(proxy) = &self.proxy else {
            let connected = self.connect_directly(endpoint, limit).await;
            return connected.map_err(ConnectFailure::Unreachable);
        };
        tracing::debug!(%endpoint, %proxy, "connecting through a proxy");
        let connected = self.connect_directly(&proxy.address, limit).await;
        let mut socket = connected.map_err(|failure| {
            unreachable(proxy, &format!("cannot be reached: {}", failure.message))
        })?;
        match timeout(limit, request_tunnel(&mut socket, proxy, endpoint)).await {
            Ok(Ok(reply)) => check_proxy_reply(proxy, &reply).map(|()| socket),
            Ok(Err(reason)) => Err(unreachable(proxy, &reason)),
            Err(_elapsed) => {
                let limit = limit.as_secs_f32();
                Err(unreachable(
                    proxy,
                    &format!("did not reply within {limit} s"),
                ))
            }
        }
    }

    async fn connect_directly(
        &self,
        endpoint: &Endpoint,
        limit: Duration,
    ) -> Result<TcpStream, Unreachable> {
        let not_found = |text| Unreachable::new(ConnectProblem::NameNotFound, text);
        let lookup = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port));
        let addresses = match timeout(limit, lookup).await {
            Ok(Ok(found)) => found.collect::<Vec<_>>(),
            Ok(Err(error)) => {
                tracing::debug!(host = endpoint.host, %error, "host name not found");
                return Err(not_found("host name not found"));
            }
            Err(_elapsed) => {
                return Err(not_found(
                    "host name not found: the name server does not reply",
                ));
            }
        };
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let addresses = interleave(&addresses, last);
        let (socket, address) = race(addresses, limit, TcpStream::connect).await?;
        // Each request is written immediately; waiting for more data only adds latency.
        let _ = socket.set_nodelay(true);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
        Ok(socket)
    }
}

/// Orders the addresses: the one that accepted last, then IPv6 and IPv4 in turn, beginning with the
/// family that the system prefers; each address once.
fn interleave(found: &[SocketAddr], last: Option<SocketAddr>) -> Vec<SocketAddr> {
    let mut preferred = Vec::new();
    let mut other = Vec::new();
    for address in found {
        let is_preferred = found.first().map(SocketAddr::is_ipv6) == Some(address.is_ipv6());
        let family = if is_preferred {
            &mut preferred
        } else {
            &mut other
        };
        if !family.contains(address) {
            family.push(*address);
        }
    }
    let mut ordered: Vec<SocketAddr> = last
        .filter(|last| found.contains(last))
        .into_iter()
        .collect();
    let (mut preferred, mut other) = (preferred.into_iter(), other.into_iter());
    loop {
        let pair = [preferred.next(), other.next()];
        if pair == [None, None] {
            return ordered;
        }
        let new = pair
            .into_iter()
            .flatten()
            .filter(|next| Some(*next) != last);
        ordered.extend(new);
    }
}

/// Connects to the addresses, each after [`ATTEMPT_DELAY`] or as soon as the one before has failed;
/// returns the first that accepts, or the reasons of all.
async fn race<S, F>(
    addresses: Vec<SocketAddr>,
    limit: Duration,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<(S, SocketAddr), Unreachable>
where
    S: Send + 'static,
    F: Future<Output = io::Result<S>> + Send + 'static,
{
    let mut attempts = JoinSet::new();
    let mut failures: Vec<(SocketAddr, Unreachable)> = Vec::new();
    let mut waiting = addresses.into_iter();
    loop {
        if let Some(address) = waiting.next() {
            let attempt = timeout(limit, connect(address));
            attempts.spawn(async move { (address, attempt.await) });
        }
        let next = attempts.join_next();
        let ended = if waiting.len() == 0 {
            next.await
        } else {
            match timeout(ATTEMPT_DELAY, next).await {
                Ok(ended) => ended,
                Err(_elapsed) => continue,
            }
        };
        match ended {
            None => return Err(merge(failures)),
            Some(Ok((address, Ok(Ok(stream))))) => return Ok((stream, address)),
            Some(Ok((address, Ok(Err(error))))) => {
                failures.push((address, connect_failure(&error)));
            }
            Some(Ok((address, Err(_elapsed)))) => {
                let text = format!("no reply within {} s", limit.as_secs_f32());
                failures.push((address, Unreachable::new(ConnectProblem::TimedOut, text)));
            }
            // Nothing aborts these tasks before they end.
            Some(Err(error)) => tracing::debug!(%error, "an attempt to connect was lost"),
        }
    }
}

/// Merges the failures of all addresses: one reason if they are equal, otherwise one per address.
fn merge(mut failures: Vec<(SocketAddr, Unreachable)>) -> Unreachable {
    failures.sort_by_key(|(address, _)| *address);
    let Some((_, first)) = failures.first().cloned() else {
        let text = "host name not found: it has no address";
        return Unreachable::new(ConnectProblem::NameNotFound, text);
    };
    if failures.iter().all(|(_, failure)| *failure == first) {
        return first;
    }
    let each = failures
        .iter()
        .map(|(address, failure)| format!("{}: {}", address.ip(), failure.message));
    Unreachable::new(first.problem, each.collect::<Vec<_>>().join(", "))
}

/// The usual name of an error, without the number of the operating system.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the system has many more errors; their own text is shown"
)]
fn connect_failure(error: &io::Error) -> Unreachable {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            Unreachable::new(ConnectProblem::ConnectionRefused, "connection refused")
        }
        io::ErrorKind::HostUnreachable => {
            Unreachable::new(ConnectProblem::NoRoute, "no route to host")
        }
        io::ErrorKind::NetworkUnreachable => {
            Unreachable::new(ConnectProblem::NoRoute, "network unreachable")
        }
        _ => Unreachable::new(ConnectProblem::ConnectionLost, error.to_string()),
    }
}

/// Requests a tunnel to the host from a proxy and reads the head of the reply. Nothing after the head is
/// read: the host sends nothing before the handshake.
async fn request_tunnel(
    socket: &mut TcpStream,
    proxy: &Proxy,
    endpoint: &Endpoint,
) -> Result<ProxyReply, String> {
    let closed = |_| "closed the connection without a reply".to_owned();
    let request = proxy.request(endpoint);
    socket.write_all(request.as_bytes()).await.map_err(closed)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if head.len() == MAX_HEAD {
            return Err("is not an HTTP proxy".to_owned());
        }
        head.push(socket.read_u8().await.map_err(closed)?);
    }
    ProxyReply::parse(&head).ok_or_else(|| "is not an HTTP proxy".to_owned())
}

/// Checks the status in the reply of a proxy: 2xx means that it has connected to the host.
fn check_proxy_reply(proxy: &Proxy, reply: &ProxyReply) -> Result<(), ConnectFailure> {
    let phrase: String = reply.phrase.chars().take(MAX_PHRASE).collect();
    let status = format!("{} {}", reply.status, proxy.mask(&phrase));
    let status = status.trim_end();
    Err(match reply.status {
        200..=299 => return Ok(()),
        407 if proxy.has_login() => refused(
            proxy,
            &format!("rejected its user and password ({status}); correct them in the variable"),
        ),
        407 => refused(
            proxy,
            &format!(
                "requires a login ({status}); write http://USER:PASSWORD@HOST:PORT in the variable"
            ),
        ),
        500.. => unreachable(proxy, &format!("cannot connect to the host ({status})")),
        _ => refused(
            proxy,
            &format!("refused to connect ({status}); many proxies allow only port 443"),
        ),
    })
}

/// A failure that may be transient.
fn unreachable(proxy: &Proxy, what: &str) -> ConnectFailure {
    ConnectFailure::Unreachable(Unreachable::new(
        ConnectProblem::Proxy,
        format!("{proxy} {what}"),
    ))
}

/// A failure that is not transient: the proxy refuses.
fn refused(proxy: &Proxy, what: &str) -> ConnectFailure {
    ConnectFailure::ProxyRefused(format!("{proxy} {what}"))
}

#[cfg(test)]
mod tests {
    use std::future;

    use tokio::time::Instant;

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    const HOUR: Duration = Duration::from_secs(3600);

    /// The address that accepted last is first; the families follow in turn.
    #[test]
    fn address_families_are_interleaved() {
        let found = [
            "[::1]:1",
            "[::2]:1",
            "[::2]:1",
            "1.1.1.1:1",
            "2.2.2.2:1",
            "3.3.3.3:1",
        ];
        let order = |last: Option<&str>| {
            let ordered = interleave(&addresses(&found), last.map(|last| last.parse().unwrap()));
            ordered
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(order(None), "[::1]:1 1.1.1.1:1 [::2]:1 2.2.2.2:1 3.3.3.3:1");
        assert_eq!(
            order(Some("2.2.2.2:1")),
            "2.2.2.2:1 [::1]:1 1.1.1.1:1 [::2]:1 3.3.3.3:1"
        );
        assert_eq!(
            order(Some("9.9.9.9:1")),
            order(None),
            "the address is not listed any more"
        );
        assert_eq!(interleave(&[], None), []);
    }

    /// An address that does not reply costs 250 ms, one that refuses costs nothing. Time is simulated.
    #[tokio::test(start_paused = true)]
    async fn an_address_without_reply_does_not_delay_the_next() {
        let connect = async |address: SocketAddr| match address.port() {
            1 => future::pending().await,
            2 => Err(io::ErrorKind::ConnectionRefused.into()),
            port => Ok(port),
        };
        for (tried, winner, milliseconds) in [
            (
                ["[::1]:1", "1.1.1.1:3", "[::2]:4"].as_slice(),
                "1.1.1.1:3",
                250,
            ),
            (&["[::1]:1", "1.1.1.1:1", "[::2]:4"], "[::2]:4", 500),
            (&["[::1]:2", "1.1.1.1:2", "[::2]:4"], "[::2]:4", 0),
            (&["[::1]:1", "1.1.1.1:2", "[::2]:4"], "[::2]:4", 250),
        ] {
            let started = Instant::now();
            let (_, address) = race(addresses(tried), HOUR, connect).await.unwrap();
            assert_eq!(address, winner.parse().unwrap());
            assert_eq!(
                started.elapsed(),
                Duration::from_millis(milliseconds),
                "{tried:?}"
            );
        }
    }

    /// If all addresses fail, each is named with its reason, or one reason if all are equal.
    #[tokio::test(start_paused = true)]
    async fn failures_of_addresses_are_merged() {
        let fail = async |address: SocketAddr| match address.port() {
            1 => future::pending().await,
            _ => io::Result::<()>::Err(io::ErrorKind::ConnectionRefused.into()),
        };
        for (tried, expected) in [
            (["[::1]:2", "1.1.1.1:2"].as_slice(), "connection refused"),
            (
                &["[::1]:1", "1.1.1.1:2"],
                "1.1.1.1: connection refused, ::1: no reply within 3600 s",
            ),
            (&[], "host name not found: it has no address"),
        ] {
            let failure = race(addresses(tried), HOUR, fail).await.unwrap_err();
            assert_eq!(failure.message, expected);
        }
    }
}
