//! SMTP on sockets: sessions with TLS, deadlines and permits around them, and the delivery
//! of what they accept.
//!
//! ```text
//! net::Listener ── connection ──▶ shell ── bytes ──▶ smtp_proto::Session
//!                                   │ ◀── effects ──┘
//!                                   ├── Ask ──▶ answer   (directory: who exists, who signs in)
//!                                   ├── Ask ──▶ isolation (is it this tenant's turn?)
//!                                   ├── Commit ▶ submission (whose it is, missing fields)
//!                                   ├── Commit ▶ judge   (sender-auth: who really sent it?)
//!                                   └── Commit ▶ receive (mime, content, mailstore, queue: one transaction)
//! ```
//!
//! Invariants:
//! - the reply to content is sent after the commit of the delivery, never before;
//! - what goes wrong on our side is a 4yz reply: the peer keeps the mail and comes again;
//! - what sessions hold is bounded over all of them, and one source, tenant or listener alone
//!   cannot have all of it ([`Isolation`]).
//!
//! Known weaknesses, both of delivery keys: a client that sends QUIT together with its content
//! never shows that it had our reply, so its keys stay until they expire; and keys are
//! forgotten in the background, so the very same mail sent again within that moment counts
//! as a repeated one.

mod answer;
mod budget;
mod isolation;
mod judge;
mod leaving;
mod limits;
mod loops;
mod metrics;
mod pool;
mod receive;
mod refusals;
mod refused;
mod report;
mod scram;
mod shell;
mod submission;

use std::sync::Arc;

use hikyaku_directory::Directory;
use hikyaku_mailstore::KeyCleaner;
use hikyaku_net::{Connection, TlsAcceptor};
use hikyaku_sign_in::Gate;
use hikyaku_smtp_proto::settings::Offers;
use hikyaku_smtp_proto::{Listener, Settings};
use hikyaku_store::{Content, Store};
use hikyaku_trace::RefusalLog;
use hikyaku_types::{Clock, Domain, Random, RisingIds};

pub use isolation::Isolation;
pub use judge::Judge;
pub use limits::Limits;
pub use metrics::Metrics;

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
    /// Delivery keys that may be forgotten.
    pub keys: KeyCleaner,
    /// Ids of emails, content and trace rows.
    pub ids: Arc<RisingIds>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bits.
    pub random: Arc<dyn Random>,
    /// What all sessions share.
    pub isolation: Arc<Isolation>,
    /// Asks who sent mail that comes from other servers; without it nobody asks.
    pub judge: Option<Arc<Judge>>,
    /// What is refused, for whoever asks where a mail is.
    pub refusals: RefusalLog,
}

/// One listener's settings.
#[derive(Debug, Clone)]
pub struct Mode {
    /// What the listener is, offers and allows.
    pub settings: Arc<Settings>,
    /// Certificates; without them there is no TLS.
    pub tls: Option<TlsAcceptor>,
}

/// Mail transactions of one LMTP connection: our own relay keeps its connections open.
const LMTP_TRANSACTIONS: u32 = 10_000;

/// The settings of a listener that offers all that this server does.
pub fn settings(host_name: Domain, listener: Listener, has_tls: bool) -> Settings {
    let mut settings = Settings::new(host_name, listener);
    settings.offers = Offers {
        start_tls: has_tls,
        plain_sign_in_without_tls: false,
        // Known when a client connects: see `shell`.
        scram: false,
        chunking: true,
        binary_mime: true,
        // Of a recipient whose mailbox is full nothing can be told, and in LMTP that does not
        // refuse the others.
        dsn: listener != Listener::Lmtp,
        limits: true,
        require_tls: true,
    };
    if listener == Listener::Lmtp {
        settings.limits.transactions = LMTP_TRANSACTIONS;
    }
    settings
}

/// Serves one connection to its end.
pub async fn serve(connection: Connection, mode: Mode, services: Services) {
    shell::run(connection, mode, &services).await;
}
