// SPDX-License-Identifier: GPL-3.0-only
//! A bounded part of a hook's output.
//!
//! The beginning shows what the hook does and the end how it failed, so both are kept and the middle is dropped.
//! Memory is bounded by the limit.

use std::collections::VecDeque;

/// The first and the last bytes of a stream, and the number of bytes between them.
#[derive(Debug)]
pub struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    head_limit: usize,
    tail_limit: usize,
    cut: u64,
}

impl Capture {
    /// Keeps at most `limit` bytes, half of them from either end.
    pub fn new(limit: usize) -> Self {
        let head_limit = limit / 2;
        Self {
            head: Vec::new(),
            tail: VecDeque::new(),
            head_limit,
            tail_limit: limit - head_limit,
            cut: 0,
        }
    }

    /// Adds the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        let into_head = bytes.len().min(self.head_limit - self.head.len());
        let (head, rest) = bytes.split_at(into_head);
        self.head.extend_from_slice(head);
        // Only the end of a chunk larger than the tail is kept; the rest is not copied.
        let (skipped, rest) = rest.split_at(rest.len().saturating_sub(self.tail_limit));
        let overflow = (self.tail.len() + rest.len()).saturating_sub(self.tail_limit);
        self.tail.drain(..overflow);
        self.tail.extend(rest);
        self.cut += (skipped.len() + overflow) as u64;
    }

    /// The text, with a line in place of the dropped part. Invalid UTF-8 becomes `U+FFFD`.
    pub fn into_text(self) -> String {
        let Self {
            mut head,
            tail,
            cut,
            ..
        } = self;
        if cut > 0 {
            let line_end = if head.is_empty() || head.ends_with(b"\n") {
                ""
            } else {
                "\n"
            };
            head.extend_from_slice(
                format!("{line_end}[{cut} bytes of output left out]\n").as_bytes(),
            );
        }
        head.extend(tail);
        String::from_utf8_lossy(&head).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(limit: usize, chunks: &[&str], expected: &str) {
        let mut capture = Capture::new(limit);
        for chunk in chunks {
            capture.push(chunk.as_bytes());
        }
        assert_eq!(capture.into_text(), expected, "limit {limit}, {chunks:?}");
    }

    #[test]
    fn what_fits_is_kept_whole() {
        check(8, &[], "");
        check(8, &["abcd", "efgh"], "abcdefgh");
        check(8, &["abcdefgh"], "abcdefgh");
        check(7, &["a", "b", "cdefg"], "abcdefg");
    }

    #[test]
    fn the_middle_is_cut_and_counted() {
        check(4, &["abcdef"], "ab\n[2 bytes of output left out]\nef");
        check(
            4,
            &["a\n", "bc", "de", "f"],
            "a\n[3 bytes of output left out]\nef",
        );
        check(0, &["abc"], "[3 bytes of output left out]\n");
    }

    #[test]
    fn broken_utf8_is_replaced() {
        let mut capture = Capture::new(10);
        capture.push(b"a\xffb");
        assert_eq!(capture.into_text(), "a\u{fffd}b");
    }

    proptest! {
        #[test]
        fn every_byte_is_kept_or_counted(limit in 0_usize..40, chunks in prop::collection::vec("[a-z]{0,30}", 0..10)) {
            let mut capture = Capture::new(limit);
            for chunk in &chunks {
                capture.push(chunk.as_bytes());
            }
            let all = chunks.concat();
            prop_assert_eq!(capture.cut, all.len().saturating_sub(limit) as u64);
            prop_assert_eq!(capture.head.len() + capture.tail.len(), all.len().min(limit));
            prop_assert!(all.as_bytes().starts_with(&capture.head));
            let tail: Vec<u8> = capture.tail.into_iter().collect();
            prop_assert!(all.as_bytes().ends_with(&tail));
        }
    }
}
