// SPDX-License-Identifier: GPL-3.0-only
//! A client's connection: TLS detection, requests, and how it ends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::clock::whole;
use crate::journal::{Entry, Moment, Request as JournalRequest};

use super::Shared;
use super::handler::{Body, ConnectionEnd, HandledRequest, ReceivedRequest, handle};
use super::params::split_target;
use super::reader::{Head, HeadError, IDLE, Reader};
use super::response::Response;

/// Maximum number of requests per connection.
const REQUESTS: u32 = 100;
/// Maximum length of a body, since http-server 5.2.1.
const BODY_LIMIT: usize = 512 * 1024;
/// The first byte of every TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// Serves a connection until it is closed.
pub(super) async fn serve(
    shared: Arc<Shared>,
    node: Arc<str>,
    socket: TcpStream,
    peer: SocketAddr,
) {
    let number = shared.next_connection();
    let mut first = [0];
    let is_tls = match timeout(IDLE, socket.peek(&mut first)).await {
        Ok(Ok(1)) => first[0] == TLS_HANDSHAKE,
        Ok(Ok(_) | Err(_)) | Err(_) => return,
    };
    // Disables Nagle's algorithm: small responses must not wait for acknowledgements.
    if socket.set_nodelay(true).is_err() {
        return;
    }
    if !is_tls {
        redirect(socket).await;
        return;
    }
    let pause = shared.latency.for_connection();
    if !pause.is_zero() {
        sleep(pause).await;
    }
    let acceptor = TlsAcceptor::from(Arc::clone(&shared.identity.server));
    if let Ok(Ok(stream)) = timeout(IDLE, acceptor.accept(socket)).await {
        let client = Client {
            shared,
            node,
            peer,
            number,
        };
        client.serve(stream).await;
    }
}

struct Client {
    shared: Arc<Shared>,
    node: Arc<str>,
    peer: SocketAddr,
    number: u64,
}

impl Client {
    async fn serve(&self, stream: TlsStream<TcpStream>) {
        let mut reader = Reader::new(stream);
        for left in (0..REQUESTS).rev() {
            let request = match self.read(&mut reader).await {
                Ok(request) => request,
                Err(HeadError::Ended) => break,
                Err(HeadError::Silent) => {
                    sleep(IDLE).await;
                    break;
                }
                Err(HeadError::Refused {
                    status,
                    text,
                    minor,
                }) => {
                    let bytes =
                        Response::error(status, &text).bytes(minor, false, false, self.date());
                    close(&mut reader, &bytes).await;
                    return;
                }
            };
            let received = (self.moment(), Instant::now());
            let handled = handle(&self.shared, &self.node, &request).await;
            self.record(&request, &handled, received);
            if !send_response(&mut reader, &request, &handled, left > 0, self.date()).await {
                return;
            }
        }
        close(&mut reader, b"").await;
    }

    async fn read<S: AsyncRead + Unpin>(
        &self,
        reader: &mut Reader<S>,
    ) -> Result<ReceivedRequest, HeadError> {
        let head = reader.head().await?;
        let length = head.content_length();
        let body = if length == 0 || head.header("Transfer-Encoding").is_some() {
            Body::Read(Vec::new())
        } else if !matches!(head.method.as_str(), "POST" | "PUT") {
            Body::Unexpected
        } else if length > BODY_LIMIT {
            Body::TooLarge
        } else {
            Body::Read(reader.exactly(length).await?)
        };
        let (path, query) = split_target(&head.target);
        let query = query.to_owned();
        Ok(ReceivedRequest {
            head,
            path,
            query,
            body,
            local: self.peer.ip().is_loopback(),
        })
    }

    /// The time on this node's clock.
    fn date(&self) -> SystemTime {
        let world = self.shared.world();
        let time = world.node_time(&self.node, world.now());
        let since = Duration::try_from_secs_f64(time).unwrap_or_default();
        SystemTime::UNIX_EPOCH
            .checked_add(since)
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }

    fn moment(&self) -> Moment {
        let world = self.shared.world();
        let now = world.now();
        Moment {
            at: now - world.clock.start(),
            epoch: whole(now),
        }
    }

    fn record(
        &self,
        request: &ReceivedRequest,
        handled: &HandledRequest,
        (moment, received): (Moment, Instant),
    ) {
        let sent = matches!(handled.ending, ConnectionEnd::Answered | ConnectionEnd::Cut);
        let response = handled.response.as_ref().filter(|_| sent);
        let missing = response.and_then(|response| response.in_pve);
        let note = missing
            .map(|template| format!("in PVE, not simulated: {} {template}", request.head.method));
        if let Some(note) = &note {
            self.shared.report_once(note);
        }
        let entry = JournalRequest {
            moment,
            client: self.peer.to_string(),
            connection: self.number,
            node: Some(self.node.to_string()),
            method: request.head.method.clone(),
            path: request.head.target.clone(),
            user: handled.user.clone(),
            status: response.map(|response| response.status),
            reason: response
                .map(|response| response.reason.clone())
                .unwrap_or_default(),
            fault: handled.fault.clone(),
            note,
            seconds: received.elapsed().as_secs_f64(),
        };
        let journal = Arc::clone(&self.shared.world().journal);
        journal.record(Entry::Request(entry));
    }
}

/// Sends the response; returns whether the connection stays open.
async fn send_response(
    reader: &mut Reader<TlsStream<TcpStream>>,
    request: &ReceivedRequest,
    handled: &HandledRequest,
    may_keep_alive: bool,
    date: SystemTime,
) -> bool {
    let Some(response) = handled.response.as_ref() else {
        end_abruptly(reader, handled.ending).await;
        return false;
    };
    let head = &request.head;
    let keep_alive = may_keep_alive && response.status < 400 && wants_keep_alive(head);
    let gzip = head
        .header("Accept-Encoding")
        .is_some_and(|codings| codings.contains("gzip"));
    let bytes = response.bytes(head.minor, keep_alive, gzip, date);
    match handled.ending {
        ConnectionEnd::Answered if keep_alive => send(&mut reader.stream, &bytes).await.is_ok(),
        ConnectionEnd::Answered => {
            close(reader, &bytes).await;
            false
        }
        ConnectionEnd::Cut => {
            // An error does not matter: the response is incomplete anyway.
            let _ = send(&mut reader.stream, &bytes[..bytes.len() / 2]).await;
            end_abruptly(reader, ConnectionEnd::Cut).await;
            false
        }
        ConnectionEnd::Dropped | ConnectionEnd::Reset => {
            end_abruptly(reader, handled.ending).await;
            false
        }
    }
}

/// `Connection: close` closes it, and so does HTTP/1.0 without a `Connection` header.
fn wants_keep_alive(head: &Head) -> bool {
    match head.header("Connection") {
        Some(line) => !line.to_ascii_lowercase().contains("close"),
        None => head.minor >= 1,
    }
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Sends the last bytes and closes the connection. Reads what the client still sends; otherwise its
/// system would discard the response.
async fn close<S: AsyncRead + AsyncWrite + Unpin>(reader: &mut Reader<S>, last: &[u8]) {
    let sent = async {
        send(&mut reader.stream, last).await?;
        reader.stream.shutdown().await
    };
    if sent.await.is_ok() {
        // Stop reading after one second, even if the client keeps the connection open.
        let _ = timeout(Duration::from_secs(1), reader.drain()).await;
    }
}

async fn end_abruptly(reader: &mut Reader<TlsStream<TcpStream>>, ending: ConnectionEnd) {
    let socket = reader.stream.get_mut().0;
    match ending {
        ConnectionEnd::Reset => {
            // The socket is reset when it is dropped.
            let _ = socket.set_zero_linger();
        }
        ConnectionEnd::Answered | ConnectionEnd::Cut | ConnectionEnd::Dropped => {
            let _ = socket.shutdown().await;
        }
    }
}

/// Plain HTTP on the TLS port: redirects the client to https.
async fn redirect(socket: TcpStream) {
    let mut reader = Reader::new(socket);
    let Ok(head) = reader.head().await else {
        return;
    };
    let host = head.header("Host").unwrap_or("localhost");
    let mut response = Response::error(301, "Moved Permanently");
    response.location = Some(format!("https://{host}{}", head.target).into());
    let bytes = response.bytes(head.minor, true, false, SystemTime::now());
    close(&mut reader, &bytes).await;
}
