//! Who waits for whom in front of a database, and how many may.

mod common;

use std::sync::{Arc, Mutex};

use common::{Queued, hold_writer, put, queue, service};
use hikyaku_store::StoreError;
use hikyaku_testkit::{TestStore, both_engines};

both_engines! {
    a_tenant_with_many_calls_delays_another_by_one
    calls_of_one_tenant_keep_their_order
    too_many_calls_of_one_tenant_are_refused_and_others_are_not
    too_many_calls_are_refused
    closing_finishes_what_waits
}

/// Which calls ran, in order.
#[derive(Debug, Clone, Default)]
struct Ran(Arc<Mutex<Vec<i64>>>);

impl Ran {
    /// Queues a call of tenant `turn` that notes `number` when it runs.
    fn queue(&self, mail: &TestStore, turn: i64, number: i64) -> Queued<Result<(), StoreError>> {
        let (ran, store) = (Arc::clone(&self.0), Arc::clone(&mail.store));
        queue(async move {
            store
                .write(service(turn), "test.notes", move |tx| {
                    ran.lock().unwrap().push(number);
                    put(tx, number)
                })
                .await
        })
    }

    fn numbers(&self) -> Vec<i64> {
        self.0.lock().unwrap().clone()
    }
}

fn a_tenant_with_many_calls_delays_another_by_one(mut mail: TestStore) {
    common::one_at_a_time(&mut mail);
    let ran = Ran::default();
    let (gate, held) = hold_writer(&mail);
    let mut calls: Vec<_> = (1..=500).map(|n| ran.queue(&mail, 1, n)).collect();
    calls.push(ran.queue(&mail, 2, 1_001));
    calls.push(ran.queue(&mail, 2, 1_002));
    calls.push(ran.queue(&mail, 3, 2_001));
    gate.open();
    mail.block_on(held).unwrap();
    for call in calls {
        mail.block_on(call).unwrap();
    }
    assert_eq!(ran.numbers()[..7], [1, 1_001, 2_001, 2, 1_002, 3, 4]);
    assert_eq!(ran.numbers().len(), 503);
    assert_eq!(mail.store.waiting(), 0);
}

fn calls_of_one_tenant_keep_their_order(mut mail: TestStore) {
    common::one_at_a_time(&mut mail);
    let ran = Ran::default();
    let (gate, held) = hold_writer(&mail);
    // More than one group commit takes.
    let calls: Vec<_> = (1..=300).map(|n| ran.queue(&mail, 1, n)).collect();
    gate.open();
    mail.block_on(held).unwrap();
    for call in calls {
        mail.block_on(call).unwrap();
    }
    assert_eq!(ran.numbers(), (1..=300).collect::<Vec<_>>());
}

fn too_many_calls_of_one_tenant_are_refused_and_others_are_not(mut mail: TestStore) {
    mail.options.waiting_each = 3;
    common::one_at_a_time(&mut mail);
    let ran = Ran::default();
    let (gate, held) = hold_writer(&mail);
    let calls: Vec<_> = (1..=5).map(|n| ran.queue(&mail, 1, n)).collect();
    let other = ran.queue(&mail, 2, 100);
    assert_eq!(mail.store.waiting(), 4);
    gate.open();
    mail.block_on(held).unwrap();
    let answers: Vec<_> = calls.into_iter().map(|call| mail.block_on(call)).collect();
    assert_eq!(answers[..3], [Ok(()), Ok(()), Ok(())]);
    assert_eq!(answers[3..], [Err(StoreError::Busy), Err(StoreError::Busy)]);
    assert_eq!(mail.block_on(other), Ok(()));
    // There is room again.
    assert_eq!(mail.block_on(ran.queue(&mail, 1, 6)), Ok(()));
}

fn too_many_calls_are_refused(mut mail: TestStore) {
    mail.options.waiting = 4;
    common::one_at_a_time(&mut mail);
    let ran = Ran::default();
    let (gate, held) = hold_writer(&mail);
    let calls: Vec<_> = (1..=6).map(|n| ran.queue(&mail, n, n)).collect();
    gate.open();
    mail.block_on(held).unwrap();
    let refused: Vec<_> =
        calls.into_iter().map(|call| mail.block_on(call) == Err(StoreError::Busy)).collect();
    assert_eq!(refused, [false, false, false, false, true, true]);
}

fn closing_finishes_what_waits(mut mail: TestStore) {
    common::one_at_a_time(&mut mail);
    let ran = Ran::default();
    let (gate, held) = hold_writer(&mail);
    let calls: Vec<_> = (1..=200).map(|n| ran.queue(&mail, 1, n)).collect();
    gate.open();
    mail.store.close();
    mail.block_on(held).unwrap();
    for call in calls {
        mail.block_on(call).unwrap();
    }
    mail.reopen();
    assert_eq!(mail.read(common::all).unwrap().len(), 200);
}
