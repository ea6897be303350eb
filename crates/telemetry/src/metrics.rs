//! Metrics: one registry, made by the binary, read by the page that Prometheus fetches.
//!
//! A metric of the crate `imap-server` is called `hikyaku_imap_server_…`. Labels are bounded
//! sets (a reason, a kind of work): never an address, a tenant or a host name, of which
//! strangers could make any number.

use prometheus_client::registry::Registry;

/// Upper bounds in seconds for histograms of durations: from a read in memory to a slow
/// peer. The same everywhere, so that their charts can be laid over each other.
pub const DURATION_BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0, 60.0];

/// All metrics of the process.
#[derive(Debug, Default)]
pub struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// The media type of [`Metrics::encode`]'s text.
    pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// No metrics yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the crate `name` registers its metrics: `imap-server`, without `hikyaku-`.
    pub fn of_crate(&mut self, name: &str) -> &mut Registry {
        self.registry.sub_registry_with_prefix(format!("hikyaku_{}", name.replace('-', "_")))
    }

    /// The present values as OpenMetrics text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).expect("a String takes all");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::histogram::Histogram;

    #[test]
    fn metrics_carry_the_name_of_their_crate() {
        let mut metrics = Metrics::new();
        let (sessions, waits) = (Counter::<u64>::default(), Histogram::new(DURATION_BUCKETS));
        metrics.of_crate("imap-server").register("sessions", "Sessions begun", sessions.clone());
        metrics.of_crate("store").register("commit_seconds", "Time to commit", waits.clone());
        sessions.inc_by(3);
        waits.observe(0.004);
        let text = metrics.encode();
        for line in [
            "# HELP hikyaku_imap_server_sessions Sessions begun.",
            "hikyaku_imap_server_sessions_total 3",
            "hikyaku_store_commit_seconds_bucket{le=\"0.0025\"} 0",
            "hikyaku_store_commit_seconds_bucket{le=\"0.005\"} 1",
            "hikyaku_store_commit_seconds_count 1",
        ] {
            assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn buckets_rise() {
        assert!(DURATION_BUCKETS.is_sorted_by(|a, b| a < b));
    }
}
