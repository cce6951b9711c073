// SPDX-License-Identifier: GPL-3.0-only
//! The stream between hyper and TLS. It does two things that hyper does not do.
//!
//! **It detects whether a request was written.** [`RequestFlags::was_written`] becomes true with the first
//! attempt to write a byte of the request. Before that the request can be sent to another host;
//! afterwards it may have been processed, even if an error follows.
//!
//! **It keeps PVE's connections open.** Replies that pveproxy forwards from pvedaemon (every write, every
//! task, every snapshot listing) have two `Connection` headers: `close` from pvedaemon, then `Keep-Alive`
//! from pveproxy, which does keep the connection open. hyper closes the connection after any `close`, so
//! each of those requests would open a new connection (measured with hyper 1.12 against the test server
//! in `tests/client/connections.rs`). So the head of a reply is buffered until it is complete, and if the
//! last `Connection` header is `keep-alive`, the others are removed. All other bytes are passed on
//! unchanged.
//!
//! There may be one request at a time per connection, announced by [`RequestFlags::start_request`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The maximum size of a repaired head in bytes. A longer one is passed on unchanged; hyper has its own limit.
const MAX_HEAD: usize = 64 * 1024;

/// State shared by the owner of a connection and the stream below hyper.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestFlags(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    expects_head: AtomicBool,
    written: AtomicBool,
}

impl RequestFlags {
    /// Announces a request: the next bytes read are the head of its reply.
    pub(crate) fn start_request(&self) {
        self.0.written.store(false, Ordering::Release);
        self.0.expects_head.store(true, Ordering::Release);
    }

    /// Whether any byte of the request may have been sent.
    pub(crate) fn was_written(&self) -> bool {
        self.0.written.load(Ordering::Acquire)
    }
}

/// The stream that hyper reads from and writes to.
pub(crate) struct TrackedStream<S> {
    stream: S,
    flags: RequestFlags,
    head: HeadState,
}

/// What happens to the bytes that are read.
enum HeadState {
    /// They are passed on.
    PassThrough,
    /// They are buffered until the head is complete.
    Buffering(Vec<u8>),
    /// The buffered bytes are passed on, from this position.
    Draining(Vec<u8>, usize),
}

impl<S> TrackedStream<S> {
    pub(crate) fn new(stream: S, flags: RequestFlags) -> Self {
        Self {
            stream,
            flags,
            head: HeadState::PassThrough,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TrackedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.head {
                HeadState::PassThrough => {
                    if !this.flags.0.expects_head.swap(false, Ordering::AcqRel) {
                        return Pin::new(&mut this.stream).poll_read(context, buffer);
                    }
                    this.head = HeadState::Buffering(Vec::new());
                }
                HeadState::Buffering(buffered) => {
                    let is_over = ready!(read_once(
                        &mut this.stream,
                        context,
                        buffered,
                        buffer.remaining()
                    ))?;
                    if let Some(length) = head_length(buffered) {
                        let repaired = repair_head(&buffered[..length], &buffered[length..]);
                        this.head = HeadState::Draining(repaired, 0);
                    } else if is_over || buffered.len() > MAX_HEAD {
                        this.head = HeadState::Draining(std::mem::take(buffered), 0);
                    }
                }
                HeadState::Draining(bytes, position) => {
                    let rest = &bytes[*position..];
                    let count = rest.len().min(buffer.remaining());
                    buffer.put_slice(&rest[..count]);
                    *position += count;
                    if *position == bytes.len() {
                        this.head = HeadState::PassThrough;
                    }
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

/// Reads once into the buffer; returns whether the stream has ended.
fn read_once<S: AsyncRead + Unpin>(
    stream: &mut S,
    context: &mut Context<'_>,
    buffered: &mut Vec<u8>,
    wanted: usize,
) -> Poll<io::Result<bool>> {
    let mut chunk = [0; 8192];
    let size = wanted.clamp(1, chunk.len());
    let mut buffer = ReadBuf::new(&mut chunk[..size]);
    ready!(Pin::new(stream).poll_read(context, &mut buffer))?;
    buffered.extend_from_slice(buffer.filled());
    Poll::Ready(Ok(buffer.filled().is_empty()))
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TrackedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // The attempt counts, not its success: a TLS record may have been sent when the call fails.
        self.flags.0.written.store(true, Ordering::Release);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The length of the head with the empty line after it, if it is complete.
fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|position| position + 4)
}

/// Removes all `Connection` headers but the last, if that is `keep-alive`, and appends the rest.
pub(crate) fn repair_head(head: &[u8], rest: &[u8]) -> Vec<u8> {
    let lines: Vec<&[u8]> = head.split_inclusive(|byte| *byte == b'\n').collect();
    let values: Vec<&[u8]> = lines
        .iter()
        .filter_map(|line| connection_value(line))
        .collect();
    let keeps = values.len() > 1
        && values
            .last()
            .is_some_and(|value| value.eq_ignore_ascii_case(b"keep-alive"));
    let mut repaired = Vec::with_capacity(head.len() + rest.len());
    let mut superseded = if keeps { values.len() - 1 } else { 0 };
    for line in lines {
        if superseded > 0 && connection_value(line).is_some() {
            superseded -= 1;
        } else {
            repaired.extend_from_slice(line);
        }
    }
    repaired.extend_from_slice(rest);
    repaired
}

/// The value of a `Connection` header.
fn connection_value(line: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"connection:";
    let (name, value) = line.split_at_checked(NAME.len())?;
    name.eq_ignore_ascii_case(NAME).then(|| value.trim_ascii())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt;

    use super::*;

    fn check(head: &str, expected: &str) {
        let bytes = repair_head(head.as_bytes(), b"body");
        assert_eq!(String::from_utf8(bytes).unwrap(), format!("{expected}body"));
    }

    #[test]
    fn only_a_close_before_keep_alive_is_removed() {
        check(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nX: y\r\nconnection: Keep-Alive\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: y\r\nconnection: Keep-Alive\r\n\r\n",
        );
        for same in [
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 500 x\r\nConnection: close\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX-Connection: close\r\nConnection: Keep-Alive\r\n\r\n",
            "\r\n\r\n",
        ] {
            check(same, same);
        }
    }

    fn read_through(input: &[u8], begin: bool) -> Vec<u8> {
        let flags = RequestFlags::default();
        if begin {
            flags.start_request();
        }
        let mut wire = TrackedStream::new(input, flags);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let mut output = Vec::new();
        runtime.block_on(wire.read_to_end(&mut output)).unwrap();
        output
    }

    #[test]
    fn bodies_are_not_changed() {
        let text = b"a\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n";
        assert_eq!(read_through(text, false), text);
        let reply = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), text].concat();
        assert_eq!(read_through(&reply, true), reply);
    }

    #[tokio::test]
    async fn an_attempt_to_write_is_recorded() {
        use tokio::io::AsyncWriteExt;
        let flags = RequestFlags::default();
        flags.start_request();
        let mut wire = TrackedStream::new(tokio::io::empty(), flags.clone());
        assert!(!flags.was_written());
        wire.write_all(b"G").await.unwrap();
        assert!(flags.was_written());
        flags.start_request();
        assert!(!flags.was_written());
    }

    proptest! {
        #[test]
        fn other_bytes_are_passed_on_unchanged(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(&read_through(&bytes, true), &bytes);
        }
    }
}
