//! What listeners count.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counters of all listeners of a process, by their names. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    accepted: Family<Door, Counter>,
    refused: Family<Refused, Counter>,
    open: Family<Door, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Door {
    pub(crate) listener: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    listener: &'static str,
    reason: Refusal,
}

/// Why a connection is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Refusal {
    /// The listener has as many as it may.
    All,
    /// The source has as many as it may.
    Source,
    /// A proxy did not say in time who the client is.
    Header,
}

impl prometheus_client::encoding::EncodeLabelValue for Refusal {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        let name = match self {
            Self::All => "all",
            Self::Source => "source",
            Self::Header => "proxy_header",
        };
        prometheus_client::encoding::EncodeLabelValue::encode(&name, encoder)
    }
}

impl Metrics {
    /// Counters that `registry` shows.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("accepted", "Connections served, by listener", metrics.accepted.clone());
        registry.register("refused", "Connections not served, by reason", metrics.refused.clone());
        registry.register("open", "Connections open now, by listener", metrics.open.clone());
        metrics
    }

    pub(crate) fn refused(&self, listener: &'static str, reason: Refusal) {
        self.refused.get_or_create(&Refused { listener, reason }).inc();
    }

    /// Counts one connection as open until the returned value is dropped.
    pub(crate) fn opened(&self, listener: &'static str) -> Open {
        self.accepted.get_or_create(&Door { listener }).inc();
        let open = self.open.get_or_create(&Door { listener }).clone();
        open.inc();
        Open(open)
    }
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
