//! One call of [`crate::Store::write`] or [`crate::Store::read`], as a worker sees it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::StoreError;
use crate::scope::{Route, Scoped};
use crate::tx::Tx;

/// What the closure may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Sees one snapshot and cannot write.
    Read,
    Write,
}

/// What is to be done with the transaction after the closure ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Commit,
    /// The closure refused: its own error is the answer.
    Rollback,
    /// The closure panicked.
    Panicked,
}

/// A closure and the caller that waits for it.
pub(crate) trait Job: Send {
    /// Runs the closure and keeps its result.
    fn run(&mut self, tx: Tx<'_>) -> Verdict;
    /// Gives the caller the kept result, or `Err` instead of it.
    fn finish(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// A job in the queue.
pub(crate) struct Waiting {
    pub(crate) job: Box<dyn Job>,
    pub(crate) label: &'static str,
    pub(crate) route: Route,
    pub(crate) access: Access,
    pub(crate) since: Instant,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("label", &self.label).finish_non_exhaustive()
    }
}

pub(crate) struct Call<S, F, T, E> {
    pub(crate) scope: S,
    pub(crate) label: &'static str,
    pub(crate) closure: F,
    pub(crate) result: Option<Result<T, E>>,
    pub(crate) reply: oneshot::Sender<Result<T, E>>,
}

impl<S, F, T, E> Job for Call<S, F, T, E>
where
    S: Scoped,
    F: Fn(&mut S::Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: Tx<'_>) -> Verdict {
        let mut handle = self.scope.open(tx);
        // The closure sees only the transaction, which is rolled back, so nothing that it
        // left half done is ever seen.
        match catch_unwind(AssertUnwindSafe(|| (self.closure)(&mut handle))) {
            Ok(result) => {
                let verdict = if result.is_ok() { Verdict::Commit } else { Verdict::Rollback };
                self.result = Some(result);
                verdict
            }
            Err(_) => {
                tracing::error!(label = self.label, "a store closure panicked");
                Verdict::Panicked
            }
        }
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        let result = match (outcome, self.result) {
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(StoreError::Panicked { label: self.label }.into()),
            (Err(error), _) => Err(error.into()),
        };
        // A caller that went away (a dropped connection) does not need the answer.
        let _ = self.reply.send(result);
    }
}
