//! How much may go on at once, and how patient the server is with those who guess.

use std::time::Duration;

/// The operator's figures for all SMTP listeners of a process. How much of them one source,
/// tenant or listener may have is the business of [`crate::Isolation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Mail transactions with an accepted recipient, at once; from 8 to 100,000. A transaction
    /// counts once for each tenant it has recipients of.
    pub transactions: usize,
    /// Recipients that are looked up at once; from 8 to 10,000.
    pub lookups: usize,
    /// Memory for content that is coming in, in bytes; at least 4 times the largest content.
    pub content_bytes: usize,
    /// Recipients refused to one source within ten minutes, from 10 up; each further one ends
    /// its connection.
    pub refused_each: u32,
    /// Recipients refused to one connection at once; the others have to wait.
    pub refused_at_once: u32,
    /// How long they wait; at most 60 s.
    pub refusal_delay: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            transactions: 1024,
            lookups: 256,
            content_bytes: 512 << 20,
            refused_each: 300,
            refused_at_once: 10,
            refusal_delay: Duration::from_secs(1),
        }
    }
}
