//! The prelude: our own lines in front of what was received, kept apart from it.
//!
//! Content is exactly what the peer sent, so that its DKIM signatures stay verifiable and
//! that one newsletter to many accounts is one object. What we add (Return-Path,
//! Delivered-To, Received, Authentication-Results) and which of the peer's bytes are left
//! out (Authentication-Results that carry our name) belong to the email.

use std::ops::Range;

/// Our lines, and what is left out of the content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prelude {
    /// Whole header fields with their CRLF.
    pub lines: Vec<u8>,
    /// Ranges of the content, in order, that readers do not see.
    pub leave_out: Vec<Range<u32>>,
}

/// First byte of the stored form: a count (2 bytes), so many starts and ends (4 bytes each),
/// then the lines.
pub(crate) const VERSION: u8 = 1;

impl Prelude {
    /// Only lines.
    pub fn of_lines(lines: Vec<u8>) -> Self {
        Self { lines, leave_out: Vec::new() }
    }

    /// The size of the message that readers see, for content of `size` bytes.
    pub fn message_size(&self, size: u64) -> u64 {
        let left_out: u64 =
            self.leave_out.iter().map(|range| u64::from(range.end.saturating_sub(range.start))).sum();
        (self.lines.len() as u64 + size).saturating_sub(left_out)
    }

    /// The message that readers see.
    pub fn assemble(&self, content: &[u8]) -> Vec<u8> {
        let mut message = Vec::with_capacity(self.lines.len() + content.len());
        message.extend_from_slice(&self.lines);
        let mut at = 0;
        for range in &self.leave_out {
            let (start, end) = (range.start as usize, range.end as usize);
            message.extend_from_slice(content.get(at..start).unwrap_or_default());
            at = end.max(at);
        }
        message.extend_from_slice(content.get(at..).unwrap_or_default());
        message
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let count = u16::try_from(self.leave_out.len()).unwrap_or(u16::MAX);
        let mut stored = Vec::with_capacity(3 + 8 * usize::from(count) + self.lines.len());
        stored.push(VERSION);
        stored.extend_from_slice(&count.to_le_bytes());
        for range in self.leave_out.iter().take(usize::from(count)) {
            stored.extend_from_slice(&range.start.to_le_bytes());
            stored.extend_from_slice(&range.end.to_le_bytes());
        }
        stored.extend_from_slice(&self.lines);
        stored
    }

    /// `None` if it is not what [`Prelude::encode`] wrote.
    pub fn decode(stored: &[u8]) -> Option<Self> {
        let (&version, rest) = stored.split_first()?;
        if version != VERSION {
            return None;
        }
        let (count, mut rest) = rest.split_first_chunk::<2>()?;
        let mut leave_out = Vec::new();
        for _ in 0..u16::from_le_bytes(*count) {
            let (start, after) = rest.split_first_chunk::<4>()?;
            let (end, after) = after.split_first_chunk::<4>()?;
            leave_out.push(u32::from_le_bytes(*start)..u32::from_le_bytes(*end));
            rest = after;
        }
        Some(Self { lines: rest.to_vec(), leave_out })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_see_our_lines_and_not_what_is_left_out() {
        let prelude = Prelude { lines: b"Received: x\r\n".to_vec(), leave_out: vec![0..6, 9..12] };
        let content = b"AR: 1\nTo: b\nSubject: c\n";
        assert_eq!(prelude.assemble(content), b"Received: x\r\nTo:Subject: c\n");
        assert_eq!(prelude.message_size(content.len() as u64), prelude.assemble(content).len() as u64);
        assert_eq!(Prelude::decode(&prelude.encode()), Some(prelude));
    }

    #[test]
    fn damage_is_no_prelude() {
        for stored in [&[][..], &[2, 0, 0], &[1, 1, 0, 4]] {
            assert_eq!(Prelude::decode(stored), None);
        }
    }
}
