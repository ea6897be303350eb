//! Where patience ends: the bounds of all listeners.

use std::time::Duration;

use hikyaku_imap_server::{Mode as ImapMode, Start};
use hikyaku_net::Limits;
use hikyaku_smtp_proto::settings::{Deadlines, Limits as SmtpLimits};
use hikyaku_smtp_server::Limits as Shared;

/// The bounds of connections and sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Of each listener.
    pub(crate) connections: Limits,
    pub(crate) smtp: SmtpLimits,
    pub(crate) deadlines: Deadlines,
    pub(crate) imap: ImapBounds,
    /// What SMTP sessions do at once.
    pub(crate) shared: Shared,
}

/// What [`ImapMode`] has of them, and what its sessions share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ImapBounds {
    pub(crate) message_bytes: u64,
    /// Of all sessions, for messages.
    pub(crate) memory_bytes: u64,
    pub(crate) silence: Duration,
    pub(crate) silence_before_sign_in: Duration,
    pub(crate) errors: u32,
}

impl Default for ImapBounds {
    fn default() -> Self {
        let ImapMode { message_bytes, silence, silence_before_sign_in, errors, .. } =
            ImapMode::new(Start::Clear, None);
        Self { message_bytes, memory_bytes: 512 << 20, silence, silence_before_sign_in, errors }
    }
}

impl Bounds {
    /// For test suites, which do much from one address.
    pub(crate) fn of_suites() -> Self {
        let mut bounds = Self::default();
        bounds.connections.connections_each = bounds.connections.connections;
        bounds.smtp.transactions = u32::MAX;
        bounds.smtp.idle_commands = u32::MAX;
        bounds
    }
}
