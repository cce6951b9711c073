// SPDX-License-Identifier: GPL-3.0-only
//! TCP connections: to the addresses of a name side by side (RFC 8305), or through a proxy.
//!
//! A dead IPv6 route must not cost the time of a whole connection before IPv4 is tried. The address that
//! accepted last is tried first the next time.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::connection::ConnectFailure;
use crate::endpoint::Endpoint;
use crate::proxy::{Proxy, ProxyReply};

/// The delay before the next address is tried as well (RFC 8305, section 8).
const STAGGER: Duration = Duration::from_millis(250);

/// The largest head of a proxy's reply, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;

/// How many characters of a proxy's status text are shown at most.
const LONGEST_PHRASE: usize = 200;

/// Opens TCP connections to one host, and remembers the address that accepted last.
#[derive(Debug, Default)]
pub(crate) struct Dialer {
    proxy: Option<Proxy>,
    last: Mutex<Option<SocketAddr>>,
}

impl Dialer {
    /// Connects through the proxy, or directly if there is none.
    pub(crate) fn new(proxy: Option<Proxy>) -> Self {
        Self {
            proxy,
            last: Mutex::new(None),
        }
    }

    /// Connects to the host. The name lookup, each address and the reply of a proxy may each take up to `limit`.
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
        let mut socket = connected
            .map_err(|reason| unreachable(proxy, &format!("cannot be connected to: {reason}")))?;
        match timeout(limit, ask(&mut socket, proxy, endpoint)).await {
            Ok(Ok(reply)) => check(proxy, &reply).map(|()| socket),
            Ok(Err(reason)) => Err(unreachable(proxy, &reason)),
            Err(_elapsed) => {
                let limit = limit.as_secs_f32();
                Err(unreachable(
                    proxy,
                    &format!("did not answer within {limit} s"),
                ))
            }
        }
    }

    async fn connect_directly(
        &self,
        endpoint: &Endpoint,
        limit: Duration,
    ) -> Result<TcpStream, String> {
        let lookup = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port));
        let addresses = match timeout(limit, lookup).await {
            Ok(Ok(found)) => found.collect::<Vec<_>>(),
            Ok(Err(error)) => return Err(format!("host name not found ({error})")),
            Err(_elapsed) => {
                return Err("host name not found (the name server does not answer)".to_owned());
            }
        };
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let addresses = in_order(&addresses, last);
        let (socket, address) = race(addresses, limit, TcpStream::connect).await?;
        // Requests are written in one piece; waiting for more only costs time.
        let _ = socket.set_nodelay(true);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
        Ok(socket)
    }
}

/// The order in which addresses are tried: the one that accepted last, then the two families in turn,
/// beginning with the family that the system prefers; each address once.
fn in_order(found: &[SocketAddr], last: Option<SocketAddr>) -> Vec<SocketAddr> {
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

/// Connects to the addresses, each a little later than the one before or as soon as that one has failed;
/// the first that accepts wins. With none left the failures are named.
async fn race<S, F>(
    addresses: Vec<SocketAddr>,
    limit: Duration,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<(S, SocketAddr), String>
where
    S: Send + 'static,
    F: Future<Output = io::Result<S>> + Send + 'static,
{
    let mut attempts = JoinSet::new();
    let mut failures: Vec<(SocketAddr, String)> = Vec::new();
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
            match timeout(STAGGER, next).await {
                Ok(ended) => ended,
                Err(_elapsed) => continue,
            }
        };
        match ended {
            None => return Err(failures_text(failures)),
            Some(Ok((address, Ok(Ok(stream))))) => return Ok((stream, address)),
            Some(Ok((address, Ok(Err(error))))) => failures.push((address, connect_text(&error))),
            Some(Ok((address, Err(_elapsed)))) => {
                let text = format!("no answer within {} s", limit.as_secs_f32());
                failures.push((address, text));
            }
            // Nothing ends these tasks before they are done.
            Some(Err(error)) => tracing::debug!(%error, "an attempt to connect was lost"),
        }
    }
}

/// The reason if all addresses failed for the same one, otherwise the reason of each address.
fn failures_text(mut failures: Vec<(SocketAddr, String)>) -> String {
    let Some((_, first)) = failures.first().cloned() else {
        return "host name not found (it has no address)".to_owned();
    };
    if failures.iter().all(|(_, reason)| *reason == first) {
        return first;
    }
    failures.sort();
    let each = failures
        .iter()
        .map(|(address, reason)| format!("{}: {reason}", address.ip()));
    each.collect::<Vec<_>>().join(", ")
}

/// The usual name of an error, without the number of the operating system.
fn connect_text(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::HostUnreachable => "no route to host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "network unreachable".to_owned(),
        _ => error.to_string(),
    }
}

/// Sends a proxy the request for a connection and reads the head of its reply. Nothing after the head is read:
/// the host sends nothing before the handshake.
async fn ask(
    socket: &mut TcpStream,
    proxy: &Proxy,
    endpoint: &Endpoint,
) -> Result<ProxyReply, String> {
    let closed = |_| "closed the connection without an answer".to_owned();
    let request = proxy.request(endpoint);
    socket.write_all(request.as_bytes()).await.map_err(closed)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if head.len() == LONGEST_HEAD {
            return Err("does not answer as an HTTP proxy does".to_owned());
        }
        head.push(socket.read_u8().await.map_err(closed)?);
    }
    let reply = ProxyReply::parse(&head);
    reply.ok_or_else(|| "does not answer as an HTTP proxy does".to_owned())
}

/// Checks the status that the proxy replied: 2xx means that it has connected to the host.
fn check(proxy: &Proxy, reply: &ProxyReply) -> Result<(), ConnectFailure> {
    let phrase: String = reply.phrase.chars().take(LONGEST_PHRASE).collect();
    let status = format!("{} {}", reply.status, proxy.mask(&phrase));
    let status = status.trim_end();
    Err(match reply.status {
        200..=299 => return Ok(()),
        407 if proxy.has_login() => refused(
            proxy,
            &format!("does not accept the user and password in its variable ({status})"),
        ),
        407 => refused(
            proxy,
            &format!("asks for a login ({status}): http://USER:PASSWORD@HOST:PORT in its variable"),
        ),
        500.. => unreachable(proxy, &format!("cannot reach the host ({status})")),
        _ => refused(
            proxy,
            &format!("refuses to connect ({status}); many allow port 443 only"),
        ),
    })
}

/// A failure that may be transient.
fn unreachable(proxy: &Proxy, what: &str) -> ConnectFailure {
    ConnectFailure::Unreachable(proxy_text(proxy, what))
}

/// A failure that is not transient: the proxy refuses.
fn refused(proxy: &Proxy, what: &str) -> ConnectFailure {
    ConnectFailure::ProxyRefused(proxy_text(proxy, what))
}

fn proxy_text(proxy: &Proxy, what: &str) -> String {
    format!("{proxy} {what}; to connect without it: --no-proxy, or the host in NO_PROXY")
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

    /// W6: the families take turns, beginning with the one that the system prefers, but for the last winner.
    #[test]
    fn addresses_are_tried_in_turns() {
        let found = [
            "[::1]:1",
            "[::2]:1",
            "[::2]:1",
            "1.1.1.1:1",
            "2.2.2.2:1",
            "3.3.3.3:1",
        ];
        let order = |last: Option<&str>| {
            let ordered = in_order(&addresses(&found), last.map(|last| last.parse().unwrap()));
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
        assert_eq!(order(Some("9.9.9.9:1")), order(None), "it has moved");
        assert_eq!(in_order(&[], None), []);
    }

    /// W6: a silent address costs 250 ms, one that refuses costs nothing. Time is simulated.
    #[tokio::test(start_paused = true)]
    async fn a_silent_address_does_not_hold_up_the_next() {
        let answer = async |address: SocketAddr| match address.port() {
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
            let (_, address) = race(addresses(tried), HOUR, answer).await.unwrap();
            assert_eq!(address, winner.parse().unwrap());
            assert_eq!(
                started.elapsed(),
                Duration::from_millis(milliseconds),
                "{tried:?}"
            );
        }
    }

    /// W6: with no address left each is named with its reason, or one reason if all are the same.
    #[tokio::test(start_paused = true)]
    async fn failures_are_named() {
        let fail = async |address: SocketAddr| match address.port() {
            1 => future::pending().await,
            _ => io::Result::<()>::Err(io::ErrorKind::ConnectionRefused.into()),
        };
        for (tried, expected) in [
            (["[::1]:2", "1.1.1.1:2"].as_slice(), "connection refused"),
            (
                &["[::1]:1", "1.1.1.1:2"],
                "1.1.1.1: connection refused, ::1: no answer within 3600 s",
            ),
            (&[], "host name not found (it has no address)"),
        ] {
            let failure = race(addresses(tried), HOUR, fail).await.unwrap_err();
            assert_eq!(failure, expected);
        }
    }
}
