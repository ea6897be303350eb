//! What a transaction promises to its closure, its neighbours and its caller, on both engines.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{Gate, Queued, all, hold_writer, is_pending, one_at_a_time, put, queue, service};
use hikyaku_store::{Scope, ServiceTx, Sql, Store, StoreError};
use hikyaku_testkit::{COMPONENTS, TestStore, both_engines, owner};
use hikyaku_types::ShardId;
use prometheus_client::registry::Registry;

both_engines! {
    failures_leave_nothing_and_spare_their_neighbours
    a_panic_is_a_temporary_error_and_the_store_goes_on
    an_error_that_is_swallowed_is_not_believed
    a_read_that_swallows_an_error_is_not_believed
    a_damaged_column_is_an_error_of_its_call
    a_read_cannot_write
    a_read_sees_one_snapshot
    too_many_rows_fail_in_debug_builds
    a_long_scope_may_do_more
    hints_come_after_the_commit
    what_is_rolled_back_gives_no_hint
    a_caller_that_goes_away_changes_nothing
    a_closed_store_says_so
    a_shard_that_is_not_here_is_a_temporary_error
    values_come_back_as_they_were_written
    a_wrong_count_of_parameters_is_refused
}

/// The test clusters have `synchronous_commit = off`, as a careless administrator might.
#[test]
fn a_commit_waits_for_its_flush_whatever_the_server_has_set() {
    const SETTING: Sql = Sql::new("SELECT current_setting('synchronous_commit')");
    let mail = TestStore::postgres();
    let setting =
        mail.store.write(service(1), "test.setting", |tx| tx.rows(SETTING, &[], |row| row.get::<String>(0)));
    assert_eq!(mail.block_on(setting).unwrap(), ["on"]);
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum TestError {
    #[error("refused")]
    Refused,
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn write<F>(mail: &TestStore, label: &'static str, closure: F) -> Queued<Result<(), TestError>>
where
    F: Fn(&mut ServiceTx<'_>) -> Result<(), TestError> + Send + 'static,
{
    let store = Arc::clone(&mail.store);
    queue(async move { store.write(service(1), label, closure).await })
}

fn failures_leave_nothing_and_spare_their_neighbours(mut mail: TestStore) {
    one_at_a_time(&mut mail);
    // On SQLite these five are one group commit.
    let (gate, held) = hold_writer(&mail);
    let calls = [
        write(&mail, "test.first", |tx| Ok(put(tx, 1)?)),
        write(&mail, "test.panics", |tx| {
            put(tx, 2)?;
            panic!("this panic is part of the test");
        }),
        write(&mail, "test.refuses", |tx| {
            put(tx, 3)?;
            Err(TestError::Refused)
        }),
        write(&mail, "test.fails", |tx| {
            put(tx, 4)?;
            Ok(put(tx, 1)?)
        }),
        write(&mail, "test.last", |tx| Ok(put(tx, 5)?)),
    ];
    gate.open();
    mail.block_on(held).unwrap();
    let [first, panics, refuses, fails, last] = calls.map(|call| mail.block_on(call));
    assert_eq!((first, last), (Ok(()), Ok(())));
    assert_eq!(panics, Err(StoreError::Panicked { label: "test.panics" }.into()));
    assert_eq!(refuses, Err(TestError::Refused));
    assert!(
        matches!(fails, Err(TestError::Store(StoreError::Failed { label: "test.fails", .. }))),
        "{fails:?}"
    );
    assert_eq!(mail.read(all).unwrap(), [1, 5]);
}

fn a_panic_is_a_temporary_error_and_the_store_goes_on(mail: TestStore) {
    // More often than there are connections: a panic costs none.
    for n in 0..10 {
        let panics = mail.write::<(), StoreError, _>(move |tx| {
            put(tx, n + 100)?;
            panic!("this panic is part of the test");
        });
        assert_eq!(panics, Err(StoreError::Panicked { label: "test.write" }));
        mail.write(move |tx| put(tx, n + 1)).unwrap();
    }
    assert_eq!(mail.read(all).unwrap(), (1..=10).collect::<Vec<_>>());
    let in_a_read = mail.read::<(), StoreError, _>(|_| panic!("this panic is part of the test"));
    assert_eq!(in_a_read, Err(StoreError::Panicked { label: "test.read" }));
    assert_eq!(mail.read(all).unwrap().len(), 10);
}

fn an_error_that_is_swallowed_is_not_believed(mail: TestStore) {
    mail.write(|tx| put(tx, 1)).unwrap();
    let swallows = mail.write::<_, StoreError, _>(|tx| {
        put(tx, 2)?;
        let _ = put(tx, 1);
        Ok("all is well")
    });
    assert!(matches!(swallows, Err(StoreError::Failed { .. })), "{swallows:?}");
    assert_eq!(mail.read(all).unwrap(), [1]);
}

fn a_read_that_swallows_an_error_is_not_believed(mail: TestStore) {
    let swallows = mail.read::<_, StoreError, _>(|tx| {
        let _ = tx.rows(Sql::new("SELECT nothing FROM nowhere"), &[], |_| Ok(()));
        Ok("all is well")
    });
    assert!(matches!(swallows, Err(StoreError::Failed { .. })), "{swallows:?}");
}

fn a_damaged_column_is_an_error_of_its_call(mail: TestStore) {
    let wrong =
        mail.read::<_, StoreError, _>(|tx| tx.row(Sql::new("SELECT 'text'"), &[], |row| row.get::<i64>(0)));
    let Err(StoreError::Failed { cause, .. }) = wrong else { panic!("{wrong:?}") };
    assert_eq!(cause, "damaged column 0");
    mail.write(|tx| put(tx, 1)).unwrap();
}

fn a_read_cannot_write(mail: TestStore) {
    let writes = mail.read(|tx| put(tx, 1));
    assert!(matches!(writes, Err(StoreError::Failed { .. })), "{writes:?}");
    assert!(mail.read(all).unwrap().is_empty());
    mail.write(|tx| put(tx, 1)).unwrap();
}

fn a_read_sees_one_snapshot(mail: TestStore) {
    mail.write(|tx| put(tx, 1)).unwrap();
    let gate = Gate::default();
    let held = gate.clone();
    let store = Arc::clone(&mail.store);
    let reads = queue(async move {
        store
            .read::<_, _, StoreError, _>(service(1), "test.reads", move |tx| {
                let before = all(tx)?;
                held.pass();
                Ok((before, all(tx)?))
            })
            .await
    });
    gate.wait_until_entered();
    mail.write(|tx| put(tx, 2)).unwrap();
    gate.open();
    assert_eq!(mail.block_on(reads).unwrap(), (vec![1], vec![1]));
    assert_eq!(mail.read(all).unwrap(), [1, 2]);
}

const NUMBERS: Sql = Sql::new(
    "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < $1)
     SELECT n FROM number",
);

fn too_many_rows_fail_in_debug_builds(mail: TestStore) {
    let rows = |count: i64| {
        mail.block_on(mail.store.write(service(1), "test.rows", move |tx| {
            put(tx, count)?;
            tx.rows(NUMBERS, &[count.into()], |_| Ok(())).map(drop)
        }))
    };
    assert_eq!(rows(900), Ok(()));
    let expected =
        if cfg!(debug_assertions) { Err(StoreError::Panicked { label: "test.rows" }) } else { Ok(()) };
    assert_eq!(rows(1_001), expected);
}

fn a_long_scope_may_do_more(mail: TestStore) {
    let rows = |count: i64| {
        let closure = move |tx: &mut ServiceTx<'_>| tx.rows(NUMBERS, &[count.into()], |_| Ok(())).map(drop);
        mail.block_on(mail.store.write::<_, _, StoreError, _>(service(1).long(), "test.rows", closure))
    };
    assert_eq!(rows(9_000), Ok(()));
    assert_eq!(rows(10_001).is_err(), cfg!(debug_assertions));
}

fn hints_come_after_the_commit(mail: TestStore) {
    let home = TestStore::home(1, 10);
    let mut watch = mail.store.hints().watch(home.account);
    let gate = Gate::default();
    let held = gate.clone();
    let store = Arc::clone(&mail.store);
    let call = queue(async move {
        let scope = Scope::account(&owner(home), home).unwrap();
        store
            .write::<_, _, StoreError, _>(scope, "test.announces", move |tx| {
                tx.announce(5);
                held.pass();
                Ok(())
            })
            .await
    });
    gate.wait_until_entered();
    assert!(is_pending(std::pin::pin!(watch.changed())), "a hint came before its commit");
    gate.open();
    mail.block_on(call).unwrap();
    assert_eq!(mail.block_on(watch.changed()), 5);
}

fn what_is_rolled_back_gives_no_hint(mail: TestStore) {
    let home = TestStore::home(1, 10);
    let mut watch = mail.store.hints().watch(home.account);
    let refused = mail.write_as::<(), _, _>(home, |tx| {
        tx.announce(99);
        Err(TestError::Refused)
    });
    assert_eq!(refused, Err(TestError::Refused));
    let panicked = mail.write_as::<(), StoreError, _>(home, |tx| {
        tx.announce(98);
        panic!("this panic is part of the test");
    });
    assert!(panicked.is_err());
    let swallowed = mail.write::<_, StoreError, _>(move |tx| {
        tx.account(home.tenant, home.account).announce(97);
        let _ = tx.execute(Sql::new("DELETE FROM nowhere"), &[]);
        Ok(())
    });
    assert!(swallowed.is_err());
    mail.write_as::<_, StoreError, _>(home, |tx| {
        tx.announce(5);
        Ok(())
    })
    .unwrap();
    assert_eq!(mail.block_on(watch.changed()), 5);
}

fn a_caller_that_goes_away_changes_nothing(mut mail: TestStore) {
    one_at_a_time(&mut mail);
    let (gate, held) = hold_writer(&mail);
    let call = write(&mail, "test.orphan", |tx| Ok(put(tx, 1)?));
    drop(call);
    let next = write(&mail, "test.next", |tx| Ok(put(tx, 2)?));
    gate.open();
    mail.block_on(held).unwrap();
    mail.block_on(next).unwrap();
    // It was in the queue, so it is carried out.
    assert_eq!(mail.read(all).unwrap(), [1, 2]);
}

fn a_closed_store_says_so(mail: TestStore) {
    mail.write(|tx| put(tx, 1)).unwrap();
    mail.store.close();
    assert_eq!(mail.write(|tx| put(tx, 2)), Err(StoreError::Closed));
    assert_eq!(mail.read(all), Err(StoreError::Closed));
    mail.store.close();
}

fn a_shard_that_is_not_here_is_a_temporary_error(mail: TestStore) {
    let scope = Scope::service(&hikyaku_testkit::DELIVERY, ShardId(7), None).unwrap();
    let nowhere = mail.block_on(mail.store.write(scope, "test.nowhere", |tx| put(tx, 1)));
    let cause = "no database shard_7".to_owned();
    assert_eq!(nowhere, Err(StoreError::Failed { label: "test.nowhere", cause }));
}

fn values_come_back_as_they_were_written(mail: TestStore) {
    const WRITE: Sql = Sql::new(
        "INSERT INTO content (id, tenant, state, refs, size, changed_at, hash, object)
         VALUES ($1, $2, 0, 0, $3, $4, $5, $6)",
    );
    const READ: Sql = Sql::new("SELECT size, changed_at, hash, object FROM content WHERE id = $1");
    type Values = (i64, i64, Option<Vec<u8>>, Option<String>);
    let table: [Values; 3] = [
        (i64::MAX, i64::MIN, None, None),
        (0, -1, Some(vec![]), Some(String::new())),
        (1, 2, Some((0..=255).collect()), Some("'; -- \"\\ 田 \u{1f4ee}\n".into())),
    ];
    for (n, values) in (1i64..).zip(table) {
        let written = values.clone();
        mail.write(move |tx| {
            let (size, at, hash, object) = &written;
            let params = [
                n.into(),
                n.into(),
                (*size).into(),
                (*at).into(),
                hash.as_ref().into(),
                object.as_ref().into(),
            ];
            tx.execute(WRITE, &params).map(drop)
        })
        .unwrap();
        let read = mail.read::<Option<Values>, StoreError, _>(move |tx| {
            tx.row(READ, &[n.into()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        });
        assert_eq!(read.unwrap().unwrap(), values);
    }
}

fn a_wrong_count_of_parameters_is_refused(mail: TestStore) {
    const ONE: Sql = Sql::new("SELECT tenant FROM usage WHERE tenant = $1");
    for params in [&[][..], &[1i64.into(), 2i64.into()]] {
        let params = params.to_vec();
        let refused = mail.read::<_, StoreError, _>(move |tx| tx.rows(ONE, &params, |row| row.get::<i64>(0)));
        assert!(refused.is_err(), "{refused:?}");
    }
    // Whatever was refused, the connection is of use.
    assert_eq!(mail.read(all).unwrap(), Vec::<i64>::new());
}

/// The value of a metric in the text that Prometheus reads.
fn metric(registry: &Registry, name: &str) -> f64 {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    let line = line.unwrap_or_else(|| panic!("no {name} in\n{text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn what_waits_shares_one_commit() {
    const WRITES: i64 = 100;
    let mut mail = TestStore::sqlite();
    mail.store.close();
    let mut registry = Registry::default();
    let store = Store::open(&mail.location, &mail.options, &COMPONENTS, &mut registry).unwrap();
    mail.store = Arc::new(store);
    let before = (metric(&registry, "batch_count"), metric(&registry, "batch_sum"));
    let (gate, held) = hold_writer(&mail);
    let calls: Vec<_> = (1..=WRITES).map(|n| write(&mail, "test.put", move |tx| Ok(put(tx, n)?))).collect();
    gate.open();
    mail.block_on(held).unwrap();
    for call in calls {
        mail.block_on(call).unwrap();
    }
    let commits = metric(&registry, "batch_count") - before.0;
    let closures = metric(&registry, "batch_sum") - before.1;
    assert_eq!((commits, closures), (2.0, 101.0), "one commit for the gate, one for all that waited");
    assert_eq!(metric(&registry, "calls_total{label=\"test.put\",outcome=\"committed\"}"), 100.0);
    assert_eq!(mail.read(all).unwrap().len(), 100);
}

#[test]
fn two_transactions_that_wait_for_each_other_run_again() {
    let mail = TestStore::postgres();
    mail.write(|tx| {
        put(tx, 1)?;
        put(tx, 2)
    })
    .unwrap();
    const LOCK: Sql = Sql::new("UPDATE usage SET messages = messages + 1 WHERE tenant = $1");
    let gate = Gate::default();
    let runs = Arc::new(AtomicU32::new(0));
    let crossing = |first: i64, second: i64| {
        let (gate, runs, store) = (gate.clone(), Arc::clone(&runs), Arc::clone(&mail.store));
        queue(async move {
            store
                .write::<_, _, StoreError, _>(service(first), "test.crosses", move |tx| {
                    runs.fetch_add(1, Ordering::SeqCst);
                    tx.execute(LOCK, &[first.into()])?;
                    gate.pass_when_two();
                    tx.execute(LOCK, &[second.into()]).map(drop)
                })
                .await
        })
    };
    let (one, two) = (crossing(1, 2), crossing(2, 1));
    assert_eq!((mail.block_on(one), mail.block_on(two)), (Ok(()), Ok(())));
    assert_eq!(runs.load(Ordering::SeqCst), 3, "one of the two ran again");
    const SUM: Sql = Sql::new("SELECT CAST(sum(messages) AS BIGINT) FROM usage");
    let sum = mail.read::<_, StoreError, _>(|tx| tx.row(SUM, &[], |row| row.get::<i64>(0)));
    assert_eq!(sum, Ok(Some(4)), "each change was made once");
}
