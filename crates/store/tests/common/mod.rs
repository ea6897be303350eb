//! What the tests of the store share: a gate to hold a closure, calls that are queued in a
//! known order, and a table to write to.

#![allow(dead_code, reason = "each test file uses its part")]

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hikyaku_store::{Scope, ServiceScope, ServiceTx, Sql, StoreError};
use hikyaku_testkit::{DELIVERY, SHARD, TestStore};
use hikyaku_types::TenantId;

/// Holds closures until it is opened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<Held>, Condvar)>);

#[derive(Debug, Default)]
struct Held {
    entered: usize,
    open: bool,
}

/// A test that waits longer than this hangs: it fails instead.
const PATIENCE: Duration = Duration::from_secs(30);

impl Gate {
    /// Waits inside a closure until the gate is opened.
    pub(crate) fn pass(&self) {
        let (held, changed) = &*self.0;
        let mut held = held.lock().unwrap();
        held.entered += 1;
        changed.notify_all();
        let (held, waited) = changed.wait_timeout_while(held, PATIENCE, |held| !held.open).unwrap();
        assert!(!waited.timed_out(), "nobody opened the gate");
        drop(held);
    }

    /// Waits inside a closure until another one is here too; it opens with the second.
    pub(crate) fn pass_when_two(&self) {
        let (held, changed) = &*self.0;
        let mut held = held.lock().unwrap();
        held.entered += 1;
        changed.notify_all();
        let (held, waited) = changed.wait_timeout_while(held, PATIENCE, |held| held.entered < 2).unwrap();
        assert!(!waited.timed_out(), "no second closure came to the gate");
        drop(held);
    }

    /// Waits until a closure is held (or was).
    pub(crate) fn wait_until_entered(&self) {
        let (held, changed) = &*self.0;
        let held = held.lock().unwrap();
        let (held, waited) = changed.wait_timeout_while(held, PATIENCE, |held| held.entered == 0).unwrap();
        assert!(!waited.timed_out(), "no closure came to the gate");
        drop(held);
    }

    /// Lets everybody through from now on.
    pub(crate) fn open(&self) {
        let (held, changed) = &*self.0;
        held.lock().unwrap().open = true;
        changed.notify_all();
    }
}

/// A call of the store that is in the queue.
pub(crate) type Queued<T> = Pin<Box<dyn Future<Output = T>>>;

/// Puts a call into the queue now, so that calls wait in the order in which they are made.
pub(crate) fn queue<T: 'static>(call: impl Future<Output = T> + 'static) -> Queued<T> {
    let mut call: Queued<T> = Box::pin(call);
    match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => call,
        Poll::Ready(answer) => Box::pin(std::future::ready(answer)),
    }
}

/// Has this future nothing to say yet?
pub(crate) fn is_pending<T>(call: Pin<&mut impl Future<Output = T>>) -> bool {
    call.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

/// The whole shard, on the turn of tenant `turn`.
pub(crate) fn service(turn: i64) -> ServiceScope {
    Scope::service(&DELIVERY, SHARD, TenantId::from_i64(turn)).expect("delivery is a service")
}

/// Makes the store run one closure at a time on both engines.
pub(crate) fn one_at_a_time(mail: &mut TestStore) {
    mail.options.connections = 1;
    mail.reopen();
}

/// Queues a closure that holds the only writer, and returns when it does.
pub(crate) fn hold_writer(mail: &TestStore) -> (Gate, Queued<Result<(), StoreError>>) {
    let gate = Gate::default();
    let held = gate.clone();
    let store = Arc::clone(&mail.store);
    let call = queue(async move {
        store
            .write(service(900), "test.hold", move |_| {
                held.pass();
                Ok(())
            })
            .await
    });
    gate.wait_until_entered();
    (gate, call)
}

const PUT: Sql = Sql::new("INSERT INTO usage (tenant, messages, bytes) VALUES ($1, 0, 0)");
const ALL: Sql = Sql::new("SELECT tenant FROM usage ORDER BY tenant");

/// Writes row `n` of a table that anything can be put into; a second one of it is refused.
pub(crate) fn put(tx: &mut ServiceTx<'_>, n: i64) -> Result<(), StoreError> {
    tx.execute(PUT, &[n.into()]).map(drop)
}

/// The rows that [`put`] wrote and that stand.
pub(crate) fn all(tx: &mut ServiceTx<'_>) -> Result<Vec<i64>, StoreError> {
    tx.rows(ALL, &[], |row| row.get(0))
}
