//! SMTP on sockets: sessions with TLS, deadlines and permits around them, and the delivery
//! of what they accept.
//!
//! ```text
//! net::Listener ── connection ──▶ shell ── bytes ──▶ smtp_proto::Session
//!                                   │ ◀── effects ──┘
//!                                   ├── Ask ──▶ answer   (directory: who exists, who signs in)
//!                                   └── Commit ▶ receive (mime, content, mailstore: one transaction)
//! ```
//!
//! Invariants:
//! - the reply to content is sent after the commit of the delivery, never before;
//! - what goes wrong on our side is a 4yz reply: the peer keeps the mail and comes again;
//! - content of all sessions together is bounded ([`Budget`]): a session waits for room.
//!
//! Known weaknesses, both of delivery keys: a client that sends QUIT together with its content
//! never shows that it had our reply, so its keys stay until they expire; and keys are
//! forgotten in the background, so the very same mail sent again within that moment counts
//! as a repeated one.

mod answer;
mod budget;
mod receive;
mod shell;

use std::sync::Arc;

use hikyaku_directory::Directory;
use hikyaku_mailstore::KeyCleaner;
use hikyaku_net::{Connection, TlsAcceptor};
use hikyaku_smtp_proto::Settings;
use hikyaku_store::{Content, Store};
use hikyaku_types::{Clock, Random, RisingIds};

pub use budget::Budget;

/// What sessions work with.
#[derive(Clone)]
pub struct Services {
    /// The databases.
    pub store: Arc<Store>,
    /// The bytes of messages.
    pub content: Arc<Content>,
    /// Who exists.
    pub directory: Arc<Directory>,
    /// Delivery keys that may be forgotten.
    pub keys: KeyCleaner,
    /// Ids of emails, content and trace rows.
    pub ids: Arc<RisingIds>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bits.
    pub random: Arc<dyn Random>,
    /// Room for content that is coming in.
    pub budget: Budget,
}

/// One listener's settings.
#[derive(Debug, Clone)]
pub struct Mode {
    /// What the listener is, offers and allows.
    pub settings: Arc<Settings>,
    /// Certificate and key; without them there is no TLS.
    pub tls: Option<TlsAcceptor>,
}

/// Serves one connection to its end.
pub async fn serve(connection: Connection, mode: Mode, services: Services) {
    shell::run(connection, mode, &services).await;
}
