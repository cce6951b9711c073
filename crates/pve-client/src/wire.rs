// SPDX-License-Identifier: GPL-3.0-only
//! The layer between hyper and TLS. It does two things hyper cannot do for us.
//!
//! **It knows whether a request was handed over.** [`Exchange::was_written`] turns true with the
//! first attempt to write a byte of it. Until then the request can be sent elsewhere; afterwards,
//! whatever error follows, it may have been processed.
//!
//! **It keeps PVE's connections open.** Answers that pveproxy passes on from pvedaemon (every
//! write, every task, every snapshot listing) carry two `Connection` lines: `close` from
//! pvedaemon, then `Keep-Alive` from pveproxy, which does keep the connection open. hyper, rightly
//! in general, lets any `close` win and would open a new connection for each of those requests:
//! measured with hyper 1.12 against the test server in `tests/client/wire.rs`. So the head of an answer
//! is held back until it is complete, and all but the last `Connection` line are cut out when the
//! last one says `keep-alive`. Everything else passes untouched.
//!
//! Limits: one request at a time per connection, announced by [`Exchange::begin`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A head longer than this is passed on as it is; hyper has its own limit.
const LONGEST_HEAD: usize = 64 * 1024;

/// What the owner of a connection and the wire below hyper tell each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exchange(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    head_expected: AtomicBool,
    written: AtomicBool,
}

impl Exchange {
    /// Announces a request: what is read next starts with the head of its answer.
    pub(crate) fn begin(&self) {
        self.0.written.store(false, Ordering::Release);
        self.0.head_expected.store(true, Ordering::Release);
    }

    /// Whether any byte of the request may have left.
    pub(crate) fn was_written(&self) -> bool {
        self.0.written.load(Ordering::Acquire)
    }
}

/// The stream hyper reads from and writes to.
pub(crate) struct Wire<S> {
    stream: S,
    exchange: Exchange,
    head: Head,
}

/// What happens to the bytes read.
enum Head {
    /// They pass.
    Through,
    /// They are collected until the head is complete.
    Collecting(Vec<u8>),
    /// What was collected is handed on, from this position.
    Handing(Vec<u8>, usize),
}

impl<S> Wire<S> {
    pub(crate) fn new(stream: S, exchange: Exchange) -> Self {
        Self {
            stream,
            exchange,
            head: Head::Through,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.head {
                Head::Through => {
                    if !this.exchange.0.head_expected.swap(false, Ordering::AcqRel) {
                        return Pin::new(&mut this.stream).poll_read(context, buffer);
                    }
                    this.head = Head::Collecting(Vec::new());
                }
                Head::Collecting(collected) => {
                    let is_over = ready!(collect(
                        &mut this.stream,
                        context,
                        collected,
                        buffer.remaining()
                    ))?;
                    if let Some(length) = head_length(collected) {
                        let repaired = repair(&collected[..length], &collected[length..]);
                        this.head = Head::Handing(repaired, 0);
                    } else if is_over || collected.len() > LONGEST_HEAD {
                        this.head = Head::Handing(std::mem::take(collected), 0);
                    }
                }
                Head::Handing(bytes, given) => {
                    let rest = &bytes[*given..];
                    let count = rest.len().min(buffer.remaining());
                    buffer.put_slice(&rest[..count]);
                    *given += count;
                    if *given == bytes.len() {
                        this.head = Head::Through;
                    }
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

/// Reads once, and says whether the stream is at its end.
fn collect<S: AsyncRead + Unpin>(
    stream: &mut S,
    context: &mut Context<'_>,
    collected: &mut Vec<u8>,
    wanted: usize,
) -> Poll<io::Result<bool>> {
    let mut chunk = [0; 8192];
    let size = wanted.clamp(1, chunk.len());
    let mut buffer = ReadBuf::new(&mut chunk[..size]);
    ready!(Pin::new(stream).poll_read(context, &mut buffer))?;
    collected.extend_from_slice(buffer.filled());
    Poll::Ready(Ok(buffer.filled().is_empty()))
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // The attempt counts, not its success: a record may be out when the call fails.
        self.exchange.0.written.store(true, Ordering::Release);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The length of the head including the empty line behind it, once that is there.
fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|position| position + 4)
}

/// The head with one `Connection` line where the last of several says keep-alive, then the rest.
pub(crate) fn repair(head: &[u8], rest: &[u8]) -> Vec<u8> {
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
    let mut superfluous = if keeps { values.len() - 1 } else { 0 };
    for line in lines {
        if superfluous > 0 && connection_value(line).is_some() {
            superfluous -= 1;
        } else {
            repaired.extend_from_slice(line);
        }
    }
    repaired.extend_from_slice(rest);
    repaired
}

/// The value of a `Connection` line.
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
        let bytes = repair(head.as_bytes(), b"body");
        assert_eq!(String::from_utf8(bytes).unwrap(), format!("{expected}body"));
    }

    #[test]
    fn only_a_close_that_keep_alive_overrules_is_cut_out() {
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
        let exchange = Exchange::default();
        if begin {
            exchange.begin();
        }
        let mut wire = Wire::new(input, exchange);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let mut output = Vec::new();
        runtime.block_on(wire.read_to_end(&mut output)).unwrap();
        output
    }

    #[test]
    fn bodies_are_not_heads() {
        let text = b"a\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n";
        assert_eq!(read_through(text, false), text);
        let answer = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), text].concat();
        assert_eq!(read_through(&answer, true), answer);
    }

    #[tokio::test]
    async fn an_attempt_to_write_is_noticed() {
        use tokio::io::AsyncWriteExt;
        let exchange = Exchange::default();
        exchange.begin();
        let mut wire = Wire::new(tokio::io::empty(), exchange.clone());
        assert!(!exchange.was_written());
        wire.write_all(b"G").await.unwrap();
        assert!(exchange.was_written());
        exchange.begin();
        assert!(!exchange.was_written());
    }

    proptest! {
        #[test]
        fn whatever_comes_nothing_else_is_lost(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(&read_through(&bytes, true), &bytes);
        }
    }
}
