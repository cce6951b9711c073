// SPDX-License-Identifier: GPL-3.0-only
//! One HTTP/1.1 connection: opened over TCP and TLS, then used for one request after the other.
//!
//! This is hyper's connection without hyper-util's pool and client on top, because those cannot
//! say whether a request was written, how many connections were opened, or keep PVE's connections
//! open (see [`crate::wire`]).

use std::io;
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::ext::ReasonPhrase;
use hyper::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, WWW_AUTHENTICATE};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::call::BodyLimit;
use crate::certificate::PeerCertificate;
use crate::fingerprint::Fingerprint;
use crate::handshake::{HandshakeFailure, SmallRsaKey, tls_error, tls_text};
use crate::host::Host;
use crate::key_kind::RENEW;
use crate::membership::OtherCluster;
use crate::tls::Tls;
use crate::wire::{Exchange, Wire};

/// How many bytes are reserved for a body because of its announced length alone.
const LARGEST_RESERVATION: usize = 1024 * 1024;

/// A connection that was read to the end of an answer is ready at once, or never.
const READY_LIMIT: Duration = Duration::from_secs(1);

/// An open connection that no request is using.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    exchange: Exchange,
    served: u32,
}

/// A complete answer; cannot be printed as a whole, for that to a login holds a ticket.
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The text behind the status; PVE's error text.
    pub(crate) phrase: String,
    /// The media type, without parameters.
    pub(crate) media_type: String,
    /// Whether it has a `WWW-Authenticate` header, which PVE never sends.
    pub(crate) asks_for_login: bool,
    pub(crate) body: Bytes,
    /// When the host says it answered, to the second.
    pub(crate) date: Option<SystemTime>,
}

/// Why there is no connection. In every case no request was written.
#[derive(Debug)]
pub(crate) enum ConnectFailure {
    /// The host did not answer or the connection broke.
    Unreachable(String),
    /// The proxy refused to connect to it.
    ProxyRefused(String),
    /// It answered, but not with TLS.
    NotTls(String),
    /// It has no TLS version, cipher or key that is supported here.
    UnsupportedTls(String),
    /// Its certificate is not trusted.
    Certificate(String, Option<Fingerprint>),
    /// It belongs to another cluster.
    OtherCluster(Box<OtherCluster>),
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum ExchangeFailure {
    /// Nothing was written: the request can go elsewhere.
    NotWritten(String),
    /// Something was written and no complete answer came in time.
    TimedOut(String),
    /// Something was written and the connection ended before a complete answer.
    Lost(String),
    /// The reply is not HTTP, or larger than any reply of PVE to that request.
    NotHttp(String),
}

impl Connection {
    /// Opens a connection. Returns the certificate the host showed as well.
    pub(crate) async fn open(
        host: &Host,
        tls: &Tls,
        limit: Duration,
    ) -> Result<(Self, Option<PeerCertificate>), ConnectFailure> {
        let stream = match agree(host, tls, limit).await? {
            Agreed::Stream(stream) => stream,
            Agreed::SmallRsaKey => {
                host.note_small_rsa_key();
                match agree(host, tls, limit).await {
                    Ok(Agreed::Stream(stream)) => stream,
                    Ok(Agreed::SmallRsaKey) | Err(ConnectFailure::UnsupportedTls(_)) => {
                        let text = format!("{SmallRsaKey}; {RENEW}");
                        return Err(ConnectFailure::UnsupportedTls(text));
                    }
                    Err(failure) => return Err(failure),
                }
            }
        };
        let certificate = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(<[_]>::first)
            .map(|certificate| PeerCertificate::from_der(certificate));
        let exchange = Exchange::default();
        let wire = TokioIo::new(Wire::new(stream, exchange.clone()));
        let (sender, driver) = http1::handshake(wire)
            .await
            .map_err(|error| ConnectFailure::Unreachable(error.to_string()))?;
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::trace!(%error, "a connection ended");
            }
        });
        Ok((
            Self {
                sender,
                exchange,
                served: 0,
            },
            certificate,
        ))
    }

    /// The flags that tell whether the request under way was written.
    pub(crate) fn exchange(&self) -> Exchange {
        self.exchange.clone()
    }

    /// How many requests it has served.
    pub(crate) const fn served(&self) -> u32 {
        self.served
    }

    /// Waits until it can take a request; false if the server closed it meanwhile.
    pub(crate) async fn is_ready(&mut self) -> bool {
        // This lets Tokio's current-thread runtime look at its sockets first, so that hyper knows
        // of an end that has already arrived. On other runtimes it costs nothing.
        tokio::task::yield_now().await;
        matches!(timeout(READY_LIMIT, self.sender.ready()).await, Ok(Ok(())))
    }

    /// Sends one request and reads the whole answer.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Reply, ExchangeFailure> {
        let limit = request.extensions().get().copied();
        let limit: BodyLimit = limit.unwrap_or(BodyLimit::LIST);
        self.exchange.begin();
        self.served += 1;
        let response = match self.sender.try_send_request(request).await {
            Ok(response) => response,
            Err(failure) => return Err(self.failure(failure.error())),
        };
        read(response, limit).await
    }

    fn failure(&self, error: &hyper::Error) -> ExchangeFailure {
        if !self.exchange.was_written() {
            return ExchangeFailure::NotWritten(describe(error));
        }
        // hyper may find garbage or the end of the stream while it waits for a head.
        if error.is_parse() {
            return ExchangeFailure::NotHttp(format!("the answer is not HTTP ({error})"));
        }
        ExchangeFailure::Lost(describe(error))
    }
}

async fn read(response: Response<Incoming>, limit: BodyLimit) -> Result<Reply, ExchangeFailure> {
    let (head, body) = response.into_parts();
    // The beginning of an error reply, such as an HTML page, is enough.
    let bytes = if head.status.as_u16() < 400 {
        collect(body, limit)
            .await?
            .ok_or_else(|| ExchangeFailure::NotHttp(format!("the reply is larger than {limit}")))?
    } else {
        beginning(body).await?
    };
    let phrase = head.extensions.get::<ReasonPhrase>().map_or_else(
        || {
            head.status
                .canonical_reason()
                .unwrap_or_default()
                .to_owned()
        },
        |phrase| String::from_utf8_lossy(phrase.as_bytes()).into_owned(),
    );
    let media_type = header(&head.headers, CONTENT_TYPE)
        .split(';')
        .next()
        .unwrap_or_default();
    Ok(Reply {
        status: head.status.as_u16(),
        phrase,
        media_type: media_type.trim().to_ascii_lowercase(),
        asks_for_login: head.headers.contains_key(WWW_AUTHENTICATE),
        body: bytes.into(),
        date: httpdate::parse_http_date(header(&head.headers, DATE)).ok(),
    })
}

/// The whole body in one piece, whatever pieces it came in; `None` if it exceeds the limit.
async fn collect<B>(mut body: B, limit: BodyLimit) -> Result<Option<Vec<u8>>, ExchangeFailure>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + 'static,
{
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit.0 {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(announced.min(LARGEST_RESERVATION));
    while let Some(piece) = next_piece(&mut body).await? {
        if bytes.len() + piece.len() > limit.0 {
            return Ok(None);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Some(bytes))
}

/// The body up to [`BodyLimit::SINGLE`].
async fn beginning<B>(mut body: B) -> Result<Vec<u8>, ExchangeFailure>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + 'static,
{
    let BodyLimit(limit) = BodyLimit::SINGLE;
    let mut bytes = Vec::new();
    while bytes.len() < limit
        && let Some(piece) = next_piece(&mut body).await?
    {
        let count = piece.len().min(limit - bytes.len());
        bytes.extend_from_slice(&piece[..count]);
    }
    Ok(bytes)
}

/// The next bytes of a body; empty for trailers.
async fn next_piece<B>(body: &mut B) -> Result<Option<Bytes>, ExchangeFailure>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + 'static,
{
    match body.frame().await {
        None => Ok(None),
        Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
        Some(Err(error)) => Err(ExchangeFailure::Lost(format!(
            "the answer broke off: {}",
            innermost(&error)
        ))),
    }
}

/// The text of a header, empty if it is absent or no text.
fn header(headers: &HeaderMap, name: HeaderName) -> &str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// The end of a handshake that has not failed.
enum Agreed {
    Stream(Box<TlsStream<TcpStream>>),
    /// Another handshake is needed.
    SmallRsaKey,
}

/// Connects and agrees on TLS.
async fn agree(host: &Host, tls: &Tls, limit: Duration) -> Result<Agreed, ConnectFailure> {
    let socket = host.dialer.connect(&host.endpoint, limit).await?;
    let connector = if host.has_small_rsa_key() {
        &tls.small_rsa
    } else {
        &tls.usual
    };
    match timeout(limit, connector.connect(host.name.clone(), socket)).await {
        Ok(Ok(stream)) => Ok(Agreed::Stream(Box::new(stream))),
        Ok(Err(error)) => match HandshakeFailure::from_error(&error) {
            HandshakeFailure::SmallRsaKey => Ok(Agreed::SmallRsaKey),
            HandshakeFailure::Unsupported(reason) => Err(ConnectFailure::UnsupportedTls(reason)),
            HandshakeFailure::Certificate(reason, fingerprint) => {
                Err(ConnectFailure::Certificate(reason, fingerprint))
            }
            HandshakeFailure::NotTls(what) => Err(ConnectFailure::NotTls(what)),
            HandshakeFailure::Broken(reason) => Err(ConnectFailure::Unreachable(reason)),
        },
        Err(_elapsed) => {
            let text = format!("no TLS handshake within {} s", limit.as_secs_f32());
            Err(ConnectFailure::Unreachable(text))
        }
    }
}

fn describe(error: &hyper::Error) -> String {
    if error.is_incomplete_message()
        || error.is_closed()
        || error.is_canceled()
        || ends_early(error)
    {
        "the connection was closed before an answer came".to_owned()
    } else {
        format!("the connection broke: {}", innermost(error))
    }
}

/// Whether the host closed the connection without the closing words of TLS. What rustls says of that
/// is a link to its own manual.
fn ends_early(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let system = error.downcast_ref::<io::Error>();
        if system.is_some_and(|system| system.kind() == io::ErrorKind::UnexpectedEof) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The last cause says what the system said.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let system = cause.downcast_ref::<io::Error>();
    let tls = cause
        .downcast_ref::<rustls::Error>()
        .or_else(|| tls_error(system?));
    tls.map_or_else(|| cause.to_string(), tls_text)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    use super::*;

    /// A byte that counts how many of its kind there are.
    struct Counted(Arc<AtomicUsize>);

    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            b"x"
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A body in pieces of one byte; remembers how many pieces were alive at once.
    #[derive(Default)]
    struct Crumbs {
        left: usize,
        alive: Arc<AtomicUsize>,
        most: Arc<AtomicUsize>,
    }

    impl Body for Crumbs {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if self.left == 0 {
                return Poll::Ready(None);
            }
            self.left -= 1;
            let now = self.alive.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(now, Ordering::Relaxed);
            let piece = Bytes::from_owner(Counted(Arc::clone(&self.alive)));
            Poll::Ready(Some(Ok(Frame::data(piece))))
        }
    }

    fn crumbs(left: usize) -> (Crumbs, Arc<AtomicUsize>) {
        let body = Crumbs {
            left,
            ..Crumbs::default()
        };
        let most = Arc::clone(&body.most);
        (body, most)
    }

    /// D13: pieces are not kept: each would cost more than its byte.
    #[tokio::test]
    async fn a_body_is_collected_into_one_buffer() {
        let (body, most) = crumbs(10_000);
        let bytes = collect(body, BodyLimit::SINGLE).await.unwrap();
        assert_eq!(bytes.map(|bytes| bytes.len()), Some(10_000));
        assert_eq!(most.load(Ordering::Relaxed), 1);
    }

    /// D13: a body ends at the limit, whatever was announced.
    #[tokio::test]
    async fn a_body_ends_at_the_limit() {
        let limit = BodyLimit(100);
        for (length, is_read) in [(100, true), (101, false), (usize::MAX, false)] {
            let (body, _) = crumbs(length);
            assert_eq!(collect(body, limit).await.unwrap().is_some(), is_read);
        }
        let announced = Full::new(Bytes::from(vec![0; 101]));
        assert_eq!(collect(announced, limit).await.unwrap(), None);
        let (endless, _) = crumbs(usize::MAX);
        assert_eq!(beginning(endless).await.unwrap().len(), BodyLimit::SINGLE.0);
    }
}
