//! What can go wrong between a closure and its commit. All of it is temporary.

/// What a scope refuses: it is not there, or not for this actor to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not found")]
pub struct NotFound;

/// Why the store could not do what it was asked. The caller answers "try again later" (4xx,
/// `NO [UNAVAILABLE]`, 503); the cause was logged where it happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// More work waits than the bound allows, for this tenant or altogether.
    #[error("too much work is waiting")]
    Busy,
    /// The engine refused or failed: disk full, lost connection, damaged row.
    #[error("{label}: {cause}")]
    Failed {
        /// The label of the call.
        label: &'static str,
        /// What the engine said.
        cause: String,
    },
    /// COMMIT was sent and its answer never came: the change may stand or not.
    /// Only a call with a key of its own (a delivery key, an outbox id) may be repeated.
    #[error("{label}: the outcome is unknown: {cause}")]
    OutcomeUnknown {
        /// The label of the call.
        label: &'static str,
        /// What the engine said.
        cause: String,
    },
    /// The closure panicked; its changes were rolled back.
    #[error("{label}: internal error")]
    Panicked {
        /// The label of the call.
        label: &'static str,
    },
    /// The store is shutting down.
    #[error("the store is shutting down")]
    Closed,
}

/// How a statement failed, as the worker that runs the closure needs to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Two transactions met (PostgreSQL 40001, 40P01): run the closure again.
    Retry,
    /// The connection is gone: run the closure again on a new one.
    Connection,
    /// Anything else.
    Other,
}
