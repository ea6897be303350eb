//! The trace goes when its tenant's plan says so: not before, not later, whatever happens to
//! plans and processes in between.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use hikyaku_store::{Sql, StoreError};
use hikyaku_testkit::{SHARD, SeededRandom, TestStore, both_engines};
use hikyaku_trace::{Event, Record, RefusalLog, Refused, Terms, expire, make_partitions};
use hikyaku_types::{Clock, NodeId, Random, RisingIds, TenantId, TraceId};

both_engines! {
    each_tenants_rows_go_by_its_plan
    a_plan_that_changes_reaches_back
    what_is_left_of_a_tenant_goes_as_what_is_nobodys
    plans_and_ends_of_the_process_at_any_moment
    partitions_go_with_their_rows
}

const DAY: Duration = Duration::from_secs(24 * 3600);

const TRACE: Sql = Sql::new("SELECT id, tenant FROM trace ORDER BY id");
const REFUSAL: Sql = Sql::new("SELECT id, tenant FROM refusal ORDER BY id");
const PARTITIONS: Sql = Sql::new("SELECT COUNT(*) FROM pg_inherits WHERE inhparent = 'trace'::regclass");

fn tenant(number: i64) -> TenantId {
    TenantId::from_i64(number).unwrap()
}

fn terms(nobodys: u32, of: &[(i64, u32)]) -> Terms {
    let mut terms = Terms::new(nobodys);
    for (number, days) in of {
        terms.set(tenant(*number), *days);
    }
    terms
}

fn round(mail: &TestStore, terms: &Terms) -> u64 {
    mail.block_on(expire(&mail.store, SHARD, Arc::new(terms.clone()), mail.clock.now())).unwrap()
}

fn deliver(mail: &TestStore, number: i64, count: usize) {
    let now = mail.clock.now();
    let ids: Vec<i64> = (0..count).map(|_| mail.next_id()).collect();
    let write = move |tx: &mut hikyaku_store::ServiceTx<'_>| {
        make_partitions(tx, now)?;
        for id in &ids {
            let record = Record {
                id: TraceId::from_i64(*id).unwrap(),
                tenant: tenant(number),
                account: None,
                email: None,
                event: Event::Delivered,
                size: 1,
                reverse_path: "a@client.example".to_owned(),
                recipient: "ann@example.org".to_owned(),
                message_id: None,
                peer: None,
                note: None,
            };
            hikyaku_trace::record(&mut tx.tenant(tenant(number)), &record)?;
        }
        Ok::<_, StoreError>(())
    };
    mail.write(write).unwrap();
}

/// Of a tenant, or of nobody; each for a domain of its own.
fn refuse(mail: &TestStore, of: Option<i64>, count: usize) {
    // One for all: those of another would be the same at the same time.
    static IDS: LazyLock<Arc<RisingIds>> =
        LazyLock::new(|| Arc::new(RisingIds::new(NodeId::new(3).unwrap())));
    let log = RefusalLog::new(Arc::clone(&mail.store), Arc::clone(&IDS));
    for number in 0..count {
        let refused = Refused {
            home: of.map(|number| (tenant(number), SHARD)),
            source: "192.0.2.1".parse().unwrap(),
            listener: "smtp",
            reason: "550 5.1.1 No such mailbox",
            finding: None,
            reverse_path: "a@client.example",
            recipient: &format!("x@{number}.example"),
        };
        log.note(&refused, mail.clock.now());
    }
    mail.block_on(log.flush()).unwrap();
}

/// Its id, its table and whose it is.
type Row = (i64, &'static str, TenantId);

/// Every row of both tables.
fn rows(mail: &TestStore) -> Vec<Row> {
    let mut all = Vec::new();
    for (table, sql) in [("trace", TRACE), ("refusal", REFUSAL)] {
        let read = move |tx: &mut hikyaku_store::ServiceTx<'_>| {
            tx.rows(sql, &[], |row| Ok((row.get::<i64>(0)?, row.get::<TenantId>(1)?)))
        };
        let found = mail.read(read).unwrap();
        all.extend(found.into_iter().map(|(id, tenant)| (id, table, tenant)));
    }
    all
}

/// How many days old the oldest rows are, by tenant and table.
fn oldest(mail: &TestStore) -> BTreeMap<(i64, &'static str), i64> {
    let now = mail.clock.now();
    let mut oldest = BTreeMap::new();
    for (id, table, tenant) in rows(mail) {
        let age =
            (now.as_millis() - RisingIds::time_of(id).as_millis()) / i64::try_from(DAY.as_millis()).unwrap();
        let number = if tenant == TenantId::PLATFORM { 0 } else { tenant.as_i64() };
        let most = oldest.entry((number, table)).or_insert(age);
        *most = age.max(*most);
    }
    oldest
}

/// Rows of tenants 1 to 3 and of nobody on each of these days.
fn live_through(mail: &TestStore, days: u32) {
    for _ in 0..days {
        for number in 1..=3 {
            deliver(mail, number, 1);
            refuse(mail, Some(number), 1);
        }
        refuse(mail, None, 1);
        mail.clock.advance(DAY);
    }
}

fn each_tenants_rows_go_by_its_plan(mail: TestStore) {
    live_through(&mail, 50);
    let before = rows(&mail).len();
    let terms = terms(20, &[(1, 7), (2, 40), (3, 7)]);
    let removed = round(&mail, &terms);
    let expected = [
        ((0, "refusal"), 20),
        ((1, "refusal"), 7),
        ((1, "trace"), 7),
        ((2, "refusal"), 40),
        ((2, "trace"), 40),
        ((3, "refusal"), 7),
        ((3, "trace"), 7),
    ];
    assert_eq!(oldest(&mail), BTreeMap::from(expected));
    assert_eq!(rows(&mail).len() as u64, before as u64 - removed);
    assert_eq!(round(&mail, &terms), 0, "a second round finds nothing");
    // Two days later two days of each have gone.
    mail.clock.advance(2 * DAY);
    assert_eq!(round(&mail, &terms), 2 * 7);
    assert_eq!(oldest(&mail), BTreeMap::from(expected));
}

fn a_plan_that_changes_reaches_back(mail: TestStore) {
    live_through(&mail, 60);
    let trace_of = |number: i64| oldest(&mail).get(&(number, "trace")).copied();
    round(&mail, &terms(30, &[(1, 10), (2, 40), (3, 50)]));
    assert_eq!([1, 2, 3].map(trace_of), [Some(10), Some(40), Some(50)]);
    // Into a class that there is already, and has long passed its rows.
    round(&mail, &terms(30, &[(1, 10), (2, 10), (3, 50)]));
    assert_eq!([1, 2, 3].map(trace_of), [Some(10), Some(10), Some(50)]);
    // Into one that is new; and a longer plan brings nothing back.
    round(&mail, &terms(30, &[(1, 50), (2, 10), (3, 20)]));
    assert_eq!([1, 2, 3].map(trace_of), [Some(10), Some(10), Some(20)]);
    // What is kept for longer from now on goes at its new time.
    mail.clock.advance(30 * DAY);
    round(&mail, &terms(30, &[(1, 50), (2, 10), (3, 20)]));
    assert_eq!([1, 2, 3].map(trace_of), [Some(40), None, None]);
}

fn what_is_left_of_a_tenant_goes_as_what_is_nobodys(mail: TestStore) {
    live_through(&mail, 60);
    round(&mail, &terms(30, &[(1, 55), (2, 55), (3, 10)]));
    // 1 and 3 are gone. 3 has nothing that is older.
    round(&mail, &terms(30, &[(2, 55)]));
    let [first, second, third] = [1, 2, 3].map(|number| oldest(&mail).get(&(number, "trace")).copied());
    assert_eq!([first, second, third], [Some(30), Some(55), Some(10)]);
    // Nobody's are kept for a shorter time from now on, and so is what is left.
    round(&mail, &terms(5, &[(2, 55)]));
    let expected = [
        ((0, "refusal"), 5),
        ((1, "refusal"), 5),
        ((1, "trace"), 5),
        ((2, "refusal"), 55),
        ((2, "trace"), 55),
    ];
    let found: BTreeMap<_, _> = oldest(&mail).into_iter().filter(|((number, _), _)| *number != 3).collect();
    assert_eq!(found, BTreeMap::from(expected));
}

/// Runs a future until it has waited so many times.
struct Waits<F> {
    future: Pin<Box<F>>,
    left: u8,
}

impl<F: Future> Future for Waits<F> {
    /// `None`: it was ended.
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.future.as_mut().poll(context).map(Some)
    }
}

/// A model that only knows what each row's time is, beside a store whose process ends somewhere
/// in one round of three.
fn plans_and_ends_of_the_process_at_any_moment(mut mail: TestStore) {
    let random = SeededRandom::new(20_261_124);
    let below = |most: u8| -> u8 {
        let mut byte = [0u8];
        random.fill(&mut byte);
        byte[0] % most
    };
    const CLASSES: [u32; 5] = [1, 3, 8, 15, 40];
    let mut days = BTreeMap::from([(1, 3), (2, 15), (3, 8)]);
    let mut nobodys = 8;
    let mut expected: BTreeSet<Row> = BTreeSet::new();
    for step in 0..60 {
        // More than a step looks at, now and then.
        let many = if step % 20 == 3 { 450 } else { usize::from(below(3)) };
        deliver(&mail, 1 + i64::from(below(3)), many);
        refuse(&mail, Some(1 + i64::from(below(3))), many / 2 + 1);
        refuse(&mail, None, usize::from(below(3)));
        let before = mail.clock.now();
        expected.extend(rows(&mail).into_iter().filter(|(id, _, _)| RisingIds::time_of(*id) >= before));
        mail.clock.advance(DAY * u32::from(1 + below(3)) + Duration::from_secs(u64::from(below(200))));
        match below(4) {
            0 => drop(days.insert(1 + i64::from(below(3)), CLASSES[usize::from(below(5))])),
            1 => drop(days.remove(&(1 + i64::from(below(3))))),
            2 => nobodys = CLASSES[usize::from(below(5))],
            _ => {}
        }
        let of: Vec<_> = days.iter().map(|(number, days)| (*number, *days)).collect();
        let terms = terms(nobodys, &of);
        let now = mail.clock.now();
        let kept = |tenant: &TenantId| days.get(&tenant.as_i64()).copied().unwrap_or(nobodys);
        let stays = |(id, _, tenant): &Row| RisingIds::time_of(*id) >= now.before(DAY * kept(tenant));
        if below(3) == 0 {
            let terms = Arc::new(terms.clone());
            let future = Box::pin(expire(&mail.store, SHARD, terms, now));
            drop(mail.block_on(Waits { future, left: below(12) }));
            mail.reopen();
            // Some of what is to go has gone, and nothing else.
            let found: BTreeSet<_> = rows(&mail).into_iter().collect();
            expected.retain(|row| stays(row) || found.contains(row));
            assert!(expected.is_subset(&found), "step {step}");
            // Other terms hold when the process begins again, perhaps.
            if below(2) == 0 {
                continue;
            }
        }
        round(&mail, &terms);
        expected.retain(stays);
        let found: BTreeSet<_> = rows(&mail).into_iter().collect();
        let wrong: Vec<_> = found.symmetric_difference(&expected).collect();
        assert!(wrong.is_empty(), "step {step}: {} rows differ, the first is {:?}", wrong.len(), wrong[0]);
    }
}

fn partitions_go_with_their_rows(mail: TestStore) {
    let partitions = || {
        mail.read(|tx| match tx.dialect() {
            hikyaku_store::Dialect::Sqlite => Ok(None),
            _ => tx.row(PARTITIONS, &[], |row| row.get::<i64>(0)),
        })
        .unwrap()
    };
    live_through(&mail, 70);
    let before = partitions();
    round(&mail, &terms(7, &[(1, 7), (2, 7), (3, 35)]));
    // The week before the first row, made ahead; that of the first two rows, and four more.
    let gone = before.zip(partitions()).map(|(before, after)| before - after);
    assert_eq!(gone.unwrap_or(6), 6);
    // Mail goes on coming in.
    live_through(&mail, 2);
}
