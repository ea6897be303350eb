//! What SMTP listeners count.

use hikyaku_smtp_proto::Listener;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::pool::UsedUp;

/// Counters of all SMTP listeners of a process. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    messages: Family<Answered, Counter>,
    refused: Family<Refused, Counter>,
    content_waits: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    listener: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    listener: &'static str,
    reason: &'static str,
}

/// Why a recipient is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// No such mailbox, or not here.
    Unknown,
    /// Its mailbox is full.
    Full,
    /// The source was refused too often.
    Guessing,
    /// Too many mail transactions at once.
    Transactions(UsedUp),
    /// Too many look-ups at once.
    Lookups,
}

impl Reason {
    const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Full => "full",
            Self::Guessing => "guessing",
            Self::Transactions(UsedUp::Source) => "transactions_of_source",
            Self::Transactions(UsedUp::Tenant) => "transactions_of_tenant",
            Self::Transactions(UsedUp::Listener) => "transactions_of_listener",
            Self::Transactions(UsedUp::All) => "transactions",
            Self::Lookups => "lookups",
        }
    }
}

pub(crate) const fn name(listener: Listener) -> &'static str {
    match listener {
        Listener::Mx => "smtp",
        Listener::Submission => "submission",
        Listener::Submissions => "submissions",
        Listener::Lmtp => "lmtp",
    }
}

impl Metrics {
    /// Counters that `registry` shows.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("messages", "Contents answered, by listener and outcome", metrics.messages.clone());
        registry.register(
            "recipients_refused",
            "Recipients refused, by listener and reason",
            metrics.refused.clone(),
        );
        registry.register(
            "content_waits",
            "Times that content waited for memory",
            metrics.content_waits.clone(),
        );
        metrics
    }

    pub(crate) fn answered(&self, listener: Listener, is_accepted: bool) {
        let outcome = if is_accepted { "accepted" } else { "refused" };
        self.messages.get_or_create(&Answered { listener: name(listener), outcome }).inc();
    }

    pub(crate) fn refused(&self, listener: Listener, reason: Reason) {
        let label = Refused { listener: name(listener), reason: reason.name() };
        self.refused.get_or_create(&label).inc();
    }

    pub(crate) fn content_waited(&self) {
        self.content_waits.inc();
    }
}
