//! The framer: received bytes in, command lines and raw bytes out, always in step.
//!
//! Standards: RFC 5321 sections 2.3.8 (lines end with CRLF, nothing else does) and
//! 4.5.3.1.4 (length).
//! Invariants:
//! - only CRLF ends a line. A bare CR or LF is part of the line, which is then refused as
//!   a whole: two programs that disagree about line ends would see different commands;
//! - a line that is too long is swallowed to its CRLF and reported once, so that its tail
//!   is never taken for a command;
//! - between calls at most one line of the limit stays, beside what is not asked for yet.

use memchr::memmem;

/// Bytes received and not yet used.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// What lies before was used.
    start: usize,
    /// From `start` to here there is no CRLF.
    scanned: usize,
    /// The line under way is too long; its bytes are dropped.
    is_swallowing: bool,
}

/// One line, without its CRLF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its octets; bare CR and LF may be among them.
    Text(&'a [u8]),
    /// It had more octets than allowed.
    TooLong,
}

/// An empty buffer above this size is given back, so that idle connections stay small.
const KEPT_OCTETS: usize = 4096;

impl Framer {
    /// An empty framer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.is_empty() {
            self.clear_buffer();
        } else if self.start > 0 {
            self.buffer.drain(..self.start);
            self.scanned = self.scanned.saturating_sub(self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next line, if it is complete; `limit` counts its octets without CRLF.
    pub fn line(&mut self, limit: usize) -> Option<Line<'_>> {
        let from = self.scanned.max(self.start);
        let Some(found) = memmem::find(self.buffer.get(from..)?, b"\r\n") else {
            self.wait_for_more(limit);
            return None;
        };
        let (begin, end) = (self.start, from + found);
        self.start = end + 2;
        self.scanned = self.start;
        let was_swallowing = std::mem::take(&mut self.is_swallowing);
        if was_swallowing || end - begin > limit {
            return Some(Line::TooLong);
        }
        self.buffer.get(begin..end).map(Line::Text)
    }

    /// No CRLF yet: remembers how far was searched, and drops what is too long.
    fn wait_for_more(&mut self, limit: usize) {
        // A CR at the end may be half of the CRLF.
        let half = usize::from(self.pending().last() == Some(&b'\r'));
        let keep_from = self.buffer.len() - half;
        if self.pending().len() - half > limit {
            self.is_swallowing = true;
            self.consume(keep_from - self.start);
        }
        self.scanned = self.buffer.len().saturating_sub(half);
    }

    /// Everything received and not yet used.
    pub fn pending(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Marks the first `count` pending bytes as used.
    pub fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.buffer.len());
        if self.start == self.buffer.len() {
            self.clear_buffer();
        }
    }

    /// Is nothing pending?
    pub fn is_empty(&self) -> bool {
        self.pending().is_empty()
    }

    /// Forgets everything: after STARTTLS nothing that came in clear may count
    /// (RFC 3207 section 6; CVE-2011-0411 was this line missing).
    pub fn clear(&mut self) {
        self.clear_buffer();
        self.is_swallowing = false;
    }

    fn clear_buffer(&mut self) {
        self.buffer.clear();
        if self.buffer.capacity() > KEPT_OCTETS {
            self.buffer = Vec::new();
        }
        self.start = 0;
        self.scanned = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All lines of `parts`, pushed one after the other; `#` stands for a line too long.
    fn lines(parts: &[&[u8]], limit: usize) -> Vec<String> {
        let mut framer = Framer::new();
        let mut lines = Vec::new();
        for part in parts {
            framer.push(part);
            while let Some(line) = framer.line(limit) {
                lines.push(match line {
                    Line::Text(text) => String::from_utf8_lossy(text).into_owned(),
                    Line::TooLong => "#".into(),
                });
            }
            assert!(framer.pending().len() <= limit + 1, "{} octets kept", framer.pending().len());
        }
        lines
    }

    #[test]
    fn only_crlf_ends_a_line() {
        for (wire, expected) in [
            ("", &[][..]),
            ("NOOP", &[]),
            ("NOOP\r\n", &["NOOP"]),
            ("\r\n\r\n", &["", ""]),
            ("a\r\nb\r\nc", &["a", "b"]),
            ("a\nb\r\n", &["a\nb"]),
            ("a\rb\r\n", &["a\rb"]),
            ("a\r\r\n", &["a\r"]),
            ("a\n\r\n", &["a\n"]),
            ("a\n\rb\r\n", &["a\n\rb"]),
        ] {
            assert_eq!(lines(&[wire.as_bytes()], 100), expected, "{wire:?}");
        }
    }

    #[test]
    fn a_line_too_long_is_one_error_and_the_next_line_counts() {
        for (wire, expected) in [
            ("12345\r\nok\r\n", &["12345", "ok"][..]),
            ("123456\r\nok\r\n", &["#", "ok"]),
            ("123456\nRSET\r\nok\r\n", &["#", "ok"]),
            ("123456\r\r\nok\r\n", &["#", "ok"]),
            ("1234567890123456\r\nok\r\n123456\r\n", &["#", "ok", "#"]),
        ] {
            assert_eq!(lines(&[wire.as_bytes()], 5), expected, "{wire:?}");
            let bytes: Vec<&[u8]> = wire.as_bytes().chunks(1).collect();
            assert_eq!(lines(&bytes, 5), expected, "{wire:?} byte by byte");
        }
    }

    #[test]
    fn clearing_forgets_pending_and_half_lines() {
        let mut framer = Framer::new();
        framer.push(b"STARTTLS\r\nMAIL FROM:<a@b.example>\r\nRC");
        assert_eq!(framer.line(100), Some(Line::Text(b"STARTTLS")));
        framer.clear();
        assert!(framer.is_empty());
        framer.push(b"EHLO a\r\n");
        assert_eq!(framer.line(100), Some(Line::Text(b"EHLO a")));
    }

    #[test]
    fn raw_bytes_lie_between_lines() {
        let mut framer = Framer::new();
        framer.push(b"BDAT 3\r\n\r\nxNOOP\r\n");
        assert_eq!(framer.line(100), Some(Line::Text(b"BDAT 3")));
        assert_eq!(framer.pending().get(..3), Some(&b"\r\nx"[..]));
        framer.consume(3);
        assert_eq!(framer.line(100), Some(Line::Text(b"NOOP")));
        framer.consume(100);
        assert!(framer.is_empty());
    }

    proptest! {
        #[test]
        fn splits_change_nothing(
            wire in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'a')], 0..60),
            limit in 0usize..9,
            size in 1usize..9,
        ) {
            let whole = lines(&[&wire, b"\r\n"], limit);
            let mut parts: Vec<&[u8]> = wire.chunks(size).collect();
            parts.push(b"\r\n");
            prop_assert_eq!(lines(&parts, limit), whole);
        }
    }
}
