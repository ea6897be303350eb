//! A range of bytes within the content of a message.

/// Octets `start..end` of a content.
///
/// A span is only a place; [`Span::of`] gives the bytes. Spans made by this crate always
/// lie within the content that they were made from, in order (`start <= end`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// First octet.
    pub start: usize,
    /// Octet behind the last.
    pub end: usize,
}

impl Span {
    /// Octets `start..end`; empty at `start` if `end` lies before it.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end: end.max(start) }
    }

    /// Number of octets.
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// No octets?
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The bytes at this place; empty if `content` is shorter than what the span was made for.
    pub fn of(self, content: &[u8]) -> &[u8] {
        content.get(self.start..self.end).unwrap_or_default()
    }
}
