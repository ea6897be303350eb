//! IMAP on sockets: sessions with TLS and deadlines around them, and the work of each
//! command on the mailstore.
//!
//! ```text
//! net::Listener ── connection ──▶ shell ── bytes ──▶ imap_proto::Framer ── table::request
//!                                   │                                          │
//!                                   │ ◀──── untagged data, tagged answer ──── cmd/*.rs
//!                                   └── sync: what others changed, told when the table allows it
//! ```
//!
//! Invariants:
//! - what a session tells its client of the open mailbox goes through one [`View`], so that
//!   sequence numbers are right at every step;
//! - EXPUNGE is told only when the command's row in the table allows it;
//! - a change is committed before it is told, to its own session and to others;
//! - each closure on the store is bounded: long work is done in steps, between which other
//!   accounts have their turn;
//! - the messages that sessions hold are bounded over all of them ([`Memory`]).
//!
//! Known weakness: `\Recent` is never set.
//!
//! [`View`]: hikyaku_imap_proto::View

mod batches;
mod cmd;
mod facts;
mod history;
mod mailboxes;
mod matching;
mod memory;
mod narrow;
mod packs;
mod selected;
mod session;
mod shell;
mod snapshots;
mod threads;
mod versions;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use hikyaku_directory::Directory;
use hikyaku_mailstore::search::Indexer;
use hikyaku_net::{Connection, TlsAcceptor};
use hikyaku_sign_in::Gate;
use hikyaku_store::{Content, Store};
use hikyaku_types::{Clock, Random, RisingIds};

pub use crate::memory::Memory;
pub use crate::packs::{Packer, Sizes, pack_mailbox};
pub use crate::snapshots::snapshot_mailbox;
pub use crate::versions::{Bounds, Versions};

/// What sessions work with.
#[derive(Clone)]
pub struct Services {
    /// The databases.
    pub store: Arc<Store>,
    /// The bytes of messages.
    pub content: Arc<Content>,
    /// Who exists.
    pub directory: Arc<Directory>,
    /// The way in.
    pub gate: Arc<Gate>,
    /// Indexes accounts that are searched.
    pub search: Indexer,
    /// Ids of emails and content.
    pub ids: Arc<RisingIds>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bits.
    pub random: Arc<dyn Random>,
    /// Entries of large mailboxes in memory.
    pub versions: Arc<Versions>,
    /// Makes packs of what was listed without them, and snapshots.
    pub packer: Packer,
    /// What messages may take of the memory.
    pub memory: Arc<Memory>,
}

/// When TLS begins on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Port 143: in clear, with STARTTLS.
    Clear,
    /// Port 993: with the first byte.
    Tls,
}

/// One listener's settings.
#[derive(Debug, Clone)]
pub struct Mode {
    /// When TLS begins.
    pub start: Start,
    /// Certificate and key; without them there is no TLS.
    pub tls: Option<TlsAcceptor>,
    /// Passwords are taken without TLS: for tests on loopback only.
    pub plain_sign_in_without_tls: bool,
    /// Largest message that APPEND takes, in bytes.
    pub message_bytes: u64,
    /// How long a client may be silent after it signed in (RFC 9051 section 5.4: at least
    /// 30 minutes), and before.
    pub silence: Duration,
    /// How long a client may be silent before it signs in, and a TLS handshake may take.
    pub silence_before_sign_in: Duration,
    /// How long a client may take nothing of an answer, or send nothing of an APPEND that it
    /// has begun: both hold memory.
    pub stalled: Duration,
    /// How long a command waits for memory before it is refused.
    pub memory_wait: Duration,
    /// Commands that were mistakes before the connection is closed.
    pub errors: u32,
}

impl Mode {
    /// The settings of a listener with every default.
    pub fn new(start: Start, tls: Option<TlsAcceptor>) -> Self {
        Self {
            start,
            tls,
            plain_sign_in_without_tls: false,
            message_bytes: 50 << 20,
            silence: Duration::from_secs(31 * 60),
            silence_before_sign_in: Duration::from_secs(60),
            stalled: Duration::from_secs(120),
            memory_wait: Duration::from_secs(20),
            errors: 50,
        }
    }
}

/// Serves one connection to its end.
pub async fn serve(connection: Connection, mode: Mode, services: Services) {
    shell::run(connection, &mode, &services).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, B, C, F>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// What a command needs is boxed while it runs: each of thousands of idle connections
    /// keeps this future.
    #[test]
    fn a_session_that_waits_is_small() {
        let size = size_of_future(serve);
        assert!(size <= 3_500, "{size} bytes");
    }
}
