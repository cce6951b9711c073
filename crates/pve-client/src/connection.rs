// SPDX-License-Identifier: GPL-3.0-only
//! One HTTP/1.1 connection over TLS, used for one request after the other.
//!
//! This uses hyper's connection without the pool and client of hyper-util, because those cannot report
//! whether a request was written or how many connections were opened, and cannot keep PVE's
//! connections open (see [`crate::tracked_stream`]).

use std::io;
use std::time::Duration;

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

use crate::handshake::{tls_error, tls_text};
use crate::raw_reply::RawReply;
use crate::request::BodyLimit;
use crate::tracked_stream::{RequestFlags, TrackedStream};

/// The maximum number of bytes allocated in advance for a body.
const MAX_PREALLOCATION: usize = 1024 * 1024;

/// How long to wait for a connection to become ready after its last reply was read. A broken one never does.
const READY_TIMEOUT: Duration = Duration::from_secs(1);

/// An open connection that no request is using.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    flags: RequestFlags,
    served: u32,
}

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum SendFailure {
    /// The request was not written: it can be sent to another host.
    NotWritten(String),
    /// Something was written, and the reply was not complete in time.
    TimedOut(String),
    /// Something was written, and the connection ended before the reply was complete.
    Lost(String),
    /// The reply is not HTTP, or larger than any reply of PVE to that request.
    NotHttp(String),
}

impl Connection {
    /// Starts HTTP on a TLS stream.
    pub(crate) async fn new(stream: Box<TlsStream<TcpStream>>) -> Result<Self, String> {
        let flags = RequestFlags::default();
        let stream = TokioIo::new(TrackedStream::new(stream, flags.clone()));
        let (sender, driver) = http1::handshake(stream)
            .await
            .map_err(|error| lost_text(&error))?;
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::trace!(%error, "connection ended with an error");
            }
        });
        Ok(Self {
            sender,
            flags,
            served: 0,
        })
    }

    /// The flags that show whether the current request was written.
    pub(crate) fn flags(&self) -> RequestFlags {
        self.flags.clone()
    }

    /// How many requests it has served.
    pub(crate) const fn served(&self) -> u32 {
        self.served
    }

    /// Waits until it can take a request; false if the server has closed it.
    pub(crate) async fn is_ready(&mut self) -> bool {
        // Lets Tokio's current-thread runtime poll its sockets first, so that hyper sees an end of
        // the connection that has already arrived. On other runtimes it costs nothing.
        tokio::task::yield_now().await;
        matches!(
            timeout(READY_TIMEOUT, self.sender.ready()).await,
            Ok(Ok(()))
        )
    }

    /// Sends one request and reads the complete reply.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<RawReply, SendFailure> {
        let limit = request.extensions().get().copied();
        let limit: BodyLimit = limit.unwrap_or(BodyLimit::LIST);
        self.flags.start_request();
        self.served += 1;
        let response = match self.sender.try_send_request(request).await {
            Ok(response) => response,
            Err(failure) => return Err(self.failure(failure.error())),
        };
        read(response, limit).await
    }

    fn failure(&self, error: &hyper::Error) -> SendFailure {
        if !self.flags.was_written() {
            return SendFailure::NotWritten(lost_text(error));
        }
        // hyper finds bytes that are not HTTP while it waits for a head.
        if error.is_parse() {
            tracing::debug!(%error, "the reply is not HTTP");
            return SendFailure::NotHttp("the reply is not HTTP".to_owned());
        }
        SendFailure::Lost(lost_text(error))
    }
}

async fn read(response: Response<Incoming>, limit: BodyLimit) -> Result<RawReply, SendFailure> {
    let (head, body) = response.into_parts();
    // The beginning of an error reply, such as an HTML page, is enough.
    let bytes = if head.status.as_u16() < 400 {
        collect(body, limit)
            .await?
            .ok_or_else(|| SendFailure::NotHttp(format!("the reply is larger than {limit}")))?
    } else {
        read_prefix(body).await?
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
    Ok(RawReply {
        status: head.status.as_u16(),
        phrase,
        media_type: media_type.trim().to_ascii_lowercase(),
        has_login_challenge: head.headers.contains_key(WWW_AUTHENTICATE),
        body: bytes.into(),
        date: httpdate::parse_http_date(header(&head.headers, DATE)).ok(),
    })
}

/// Reads the body into one buffer; `None` if it exceeds the limit.
async fn collect<B>(mut body: B, limit: BodyLimit) -> Result<Option<Vec<u8>>, SendFailure>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + 'static,
{
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit.0 {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(announced.min(MAX_PREALLOCATION));
    while let Some(chunk) = next_chunk(&mut body).await? {
        if bytes.len() + chunk.len() > limit.0 {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

/// Reads at most [`BodyLimit::SINGLE`] bytes of the body.
async fn read_prefix<B>(mut body: B) -> Result<Vec<u8>, SendFailure>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + 'static,
{
    let BodyLimit(limit) = BodyLimit::SINGLE;
    let mut bytes = Vec::new();
    while bytes.len() < limit
        && let Some(chunk) = next_chunk(&mut body).await?
    {
        let count = chunk.len().min(limit - bytes.len());
        bytes.extend_from_slice(&chunk[..count]);
    }
    Ok(bytes)
}

/// The next bytes of a body; empty for trailers.
async fn next_chunk<B>(body: &mut B) -> Result<Option<Bytes>, SendFailure>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + 'static,
{
    match body.frame().await {
        None => Ok(None),
        Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
        Some(Err(error)) => {
            tracing::debug!(%error, "the reply was cut off");
            Err(SendFailure::Lost("the reply was cut off".to_owned()))
        }
    }
}

/// The text of a header; empty if it is absent or not text.
fn header(headers: &HeaderMap, name: HeaderName) -> &str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn lost_text(error: &hyper::Error) -> String {
    if error.is_incomplete_message()
        || error.is_closed()
        || error.is_canceled()
        || is_closed_by_host(error)
    {
        "the connection was closed before the reply".to_owned()
    } else {
        format!("the connection failed: {}", root_cause_text(error))
    }
}

/// Whether the host closed or reset the connection, perhaps without a TLS `close_notify`, which rustls
/// describes by a link to its own manual.
fn is_closed_by_host(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let system = error.downcast_ref::<io::Error>();
        if system.is_some_and(|system| {
            matches!(
                system.kind(),
                io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
            )
        }) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The text of the last cause, which is the error of the operating system or of TLS.
fn root_cause_text(error: &(dyn std::error::Error + 'static)) -> String {
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

    /// One byte that decrements a counter when it is dropped.
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

    /// A body in chunks of one byte; records how many chunks existed at the same time.
    #[derive(Default)]
    struct OneByteChunks {
        left: usize,
        alive: Arc<AtomicUsize>,
        most: Arc<AtomicUsize>,
    }

    impl Body for OneByteChunks {
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
            let chunk = Bytes::from_owner(Counted(Arc::clone(&self.alive)));
            Poll::Ready(Some(Ok(Frame::data(chunk))))
        }
    }

    fn one_byte_chunks(left: usize) -> (OneByteChunks, Arc<AtomicUsize>) {
        let body = OneByteChunks {
            left,
            ..OneByteChunks::default()
        };
        let most = Arc::clone(&body.most);
        (body, most)
    }

    /// Chunks are not kept: each would cost more memory than its byte.
    #[tokio::test]
    async fn a_body_is_collected_into_one_buffer() {
        let (body, most) = one_byte_chunks(10_000);
        let bytes = collect(body, BodyLimit::SINGLE).await.unwrap();
        assert_eq!(bytes.map(|bytes| bytes.len()), Some(10_000));
        assert_eq!(most.load(Ordering::Relaxed), 1);
    }

    /// The limit holds for any announced length.
    #[tokio::test]
    async fn a_body_ends_at_the_limit() {
        let limit = BodyLimit(100);
        for (length, is_read) in [(100, true), (101, false), (usize::MAX, false)] {
            let (body, _) = one_byte_chunks(length);
            assert_eq!(collect(body, limit).await.unwrap().is_some(), is_read);
        }
        let announced = Full::new(Bytes::from(vec![0; 101]));
        assert_eq!(collect(announced, limit).await.unwrap(), None);
        let (endless, _) = one_byte_chunks(usize::MAX);
        assert_eq!(
            read_prefix(endless).await.unwrap().len(),
            BodyLimit::SINGLE.0
        );
    }
}
