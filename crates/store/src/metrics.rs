//! What the store counts, by label of the call.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::job::{Verdict, Waiting};
use crate::tx::Frame;

/// A closure that runs longer than this counts as over its budget.
const TIME_BUDGET: Duration = Duration::from_millis(5);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    label: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallOutcome {
    label: &'static str,
    outcome: &'static str,
}

/// The families of all databases of a store.
#[derive(Debug, Clone)]
pub(crate) struct DatabaseMetrics {
    calls: Family<CallOutcome, Counter>,
    run_seconds: Family<Call, Histogram, fn() -> Histogram>,
    over_budget: Family<Call, Counter>,
    wait_seconds: Histogram,
    pub(crate) batch: Histogram,
    pub(crate) wal_pages: Counter,
    pub(crate) checkpoints: Counter,
    pub(crate) retries: Counter,
    pub(crate) reconnects: Counter,
}

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.000_02, 4.0, 9))
}

impl DatabaseMetrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            calls: Family::default(),
            run_seconds: Family::new_with_constructor(seconds),
            over_budget: Family::default(),
            wait_seconds: seconds(),
            batch: Histogram::new(exponential_buckets(1.0, 2.0, 8)),
            wal_pages: Counter::default(),
            checkpoints: Counter::default(),
            retries: Counter::default(),
            reconnects: Counter::default(),
        };
        registry.register("calls", "Calls of the store, by label and outcome", metrics.calls.clone());
        registry.register("run_seconds", "Time inside the closure", metrics.run_seconds.clone());
        registry.register(
            "over_budget",
            "Closures over their row or time budget",
            metrics.over_budget.clone(),
        );
        registry.register(
            "wait_seconds",
            "Time in the queue before the closure",
            metrics.wait_seconds.clone(),
        );
        registry.register("batch", "Closures in one SQLite group commit", metrics.batch.clone());
        registry.register("wal_pages", "Pages written to SQLite's log", metrics.wal_pages.clone());
        registry.register("checkpoints", "Times SQLite's log was copied back", metrics.checkpoints.clone());
        registry.register(
            "retries",
            "PostgreSQL transactions run again after a conflict",
            metrics.retries.clone(),
        );
        registry.register("reconnects", "PostgreSQL connections opened anew", metrics.reconnects.clone());
        metrics
    }

    pub(crate) fn started(&self, waiting: &Waiting) {
        self.wait_seconds.observe(waiting.since.elapsed().as_secs_f64());
    }

    pub(crate) fn ran(&self, frame: &Frame, time: Duration) {
        let call = Call { label: frame.label };
        self.run_seconds.get_or_create(&call).observe(time.as_secs_f64());
        if frame.is_over_budget() || (time > TIME_BUDGET && !frame.long) {
            self.over_budget.get_or_create(&call).inc();
        }
    }

    pub(crate) fn ended(&self, label: &'static str, verdict: Verdict) {
        let outcome = match verdict {
            Verdict::Commit => "committed",
            Verdict::Rollback => "refused",
            Verdict::Panicked => "panicked",
        };
        self.calls.get_or_create(&CallOutcome { label, outcome }).inc();
    }

    pub(crate) fn failed(&self, label: &'static str) {
        self.calls.get_or_create(&CallOutcome { label, outcome: "failed" }).inc();
    }
}
