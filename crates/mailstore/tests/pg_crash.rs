//! PostgreSQL that dies under load, and connections that break at every statement.
//!
//! The clients here do as SMTP clients do that lost a reply: they send again until they hear
//! an answer, and each try is a new delivery with the same key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hikyaku_mailstore::{DeliverError, MailboxId, Outcome, deliver, email, entry};
use hikyaku_store::{AccountHome, Location, Options, Scope, Store, StoreError};
use hikyaku_testkit::pgproxy::PgProxy;
use hikyaku_testkit::postgres::{Cluster, Options as ClusterOptions, PrivateCluster};
use hikyaku_testkit::{COMPONENTS, DELIVERY, SHARD, TestStore, scratch_dir};
use prometheus_client::registry::Registry;

const SENDERS: usize = 6;
/// What crashes: everything that PostgreSQL promises is switched on.
const DURABLE: ClusterOptions = ClusterOptions { fsync: true, synchronous_commit: true };

async fn carry_out(
    mail: &TestStore,
    store: &Store,
    content: &[u8],
    homes: &[AccountHome],
) -> Result<Vec<Outcome>, StoreError> {
    let delivery = mail.delivery_async(content, homes, true).await;
    let scope = Scope::service(&DELIVERY, SHARD, Some(homes[0].tenant)).expect("delivery is a service");
    match store.write(scope, "crash.deliver", move |tx| deliver(tx, &delivery)).await {
        Ok(outcomes) => Ok(outcomes),
        Err(DeliverError::Store(error)) => Err(error),
        Err(other) => panic!("a crash is no reason for this: {other}"),
    }
}

fn content(name: &str) -> Vec<u8> {
    format!("{name}\r\n\r\nbody\r\n").into_bytes()
}

/// How often each mail is in the INBOX of an account, by the first line of its content.
fn inbox(mail: &TestStore, home: AccountHome) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let mut after = 0;
    loop {
        let step = mail.read_as(home, move |tx| entry::entries(tx, MailboxId::INBOX, after, 200)).unwrap();
        let Some(last) = step.last() else { return found };
        after = last.uid;
        let ids: Vec<_> = step.iter().map(|entry| entry.email).collect();
        let emails = mail.read_as(home, move |tx| email::emails(tx, &ids)).unwrap();
        assert_eq!(emails.len(), step.len(), "each entry has its email");
        for email in emails {
            let content = mail.block_on(mail.content.read(email.placement)).unwrap();
            let name = String::from_utf8(content).unwrap().lines().next().unwrap().to_owned();
            *found.entry(name).or_default() += 1;
        }
    }
}

/// What the senders saw.
#[derive(Debug, Default)]
struct Seen {
    acknowledged: AtomicUsize,
    unknown: AtomicUsize,
    failed: AtomicUsize,
    duplicates: AtomicUsize,
}

/// One client: sends mail after mail until it is told to stop. Returns what was acknowledged.
async fn send(
    mail: Arc<TestStore>,
    sender: usize,
    seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
) -> Vec<(String, Vec<AccountHome>)> {
    let own = TestStore::home(1, 100 + sender as i64);
    let mut acknowledged = Vec::new();
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) {
        let name = format!("mail {number} of {sender}");
        // Every third goes to everybody's accounts too, in an order that differs.
        let mut homes = vec![own];
        if number % 3 == 0 {
            homes.extend([TestStore::home(1, 10), TestStore::home(1, 11), TestStore::home(2, 20)]);
            homes.rotate_left((sender + number) % 4);
        }
        until_acknowledged(&mail, &content(&name), &homes, &seen).await;
        acknowledged.push((name, homes));
        number += 1;
    }
    acknowledged
}

async fn until_acknowledged(mail: &TestStore, content: &[u8], homes: &[AccountHome], seen: &Seen) {
    let mut may_stand = false;
    for _ in 0..10_000 {
        match carry_out(mail, &mail.store, content, homes).await {
            Ok(outcomes) => {
                let duplicates =
                    outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Duplicate(_))).count();
                // All or nothing, and what failed left nothing: only an unknown outcome can
                // have left a copy, and then it left all of them.
                assert!(duplicates == 0 || (may_stand && duplicates == homes.len()), "{outcomes:?}");
                seen.duplicates.fetch_add(usize::from(duplicates > 0), Ordering::SeqCst);
                seen.acknowledged.fetch_add(1, Ordering::SeqCst);
                return;
            }
            Err(StoreError::OutcomeUnknown { .. }) => {
                may_stand = true;
                seen.unknown.fetch_add(1, Ordering::SeqCst);
            }
            Err(StoreError::Failed { .. }) => {
                seen.failed.fetch_add(1, Ordering::SeqCst);
            }
            Err(other) => panic!("not an error of a lost server: {other}"),
        }
        // The pause of a client before it tries again.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the store does not recover");
}

/// Waits until so many more deliveries were acknowledged.
fn wait_for_more(seen: &Seen, more: usize) {
    let wanted = seen.acknowledged.load(Ordering::SeqCst) + more;
    let patience = Instant::now() + Duration::from_secs(60);
    while seen.acknowledged.load(Ordering::SeqCst) < wanted {
        assert!(Instant::now() < patience, "no mail gets through any more: {seen:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn store_on(cluster: &PrivateCluster) -> TestStore {
    let database = cluster.create_database(None);
    let location = Location::Postgres { url: database.url().to_owned() };
    let options = Options { connections: 4, ..Options::default() };
    TestStore::migrated(location, scratch_dir(), Some(database), options)
}

#[expect(clippy::print_stderr, reason = "says how much it tried, to whoever asks for the output")]
fn crash_under_load(crashes: usize) {
    let cluster = Cluster::private(DURABLE);
    let mail = Arc::new(store_on(&cluster));
    let (seen, stop) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let sending = send(Arc::clone(&mail), sender, Arc::clone(&seen), Arc::clone(&stop));
            let mail = Arc::clone(&mail);
            std::thread::spawn(move || mail.block_on(sending))
        })
        .collect();
    for crash in 0..crashes {
        // Not always at the same distance from the last one.
        wait_for_more(&seen, 20 + 7 * (crash % 5));
        cluster.stop_immediate();
        cluster.start();
    }
    wait_for_more(&seen, 20);
    stop.store(true, Ordering::SeqCst);

    let mut expected: BTreeMap<AccountHomeKey, BTreeMap<String, usize>> = BTreeMap::new();
    for sender in senders {
        for (name, homes) in sender.join().unwrap() {
            for home in homes {
                expected.entry(key(home)).or_default().insert(name.clone(), 1);
            }
        }
    }
    eprintln!("{crashes} crashes, {seen:?}");
    for ((tenant, account), names) in expected {
        let found = inbox(&mail, TestStore::home(tenant, account));
        assert_eq!(found, names, "account {account} has each acknowledged mail once");
    }
    assert_eq!(mail.problems(), Vec::<String>::new());
    assert!(seen.failed.load(Ordering::SeqCst) > 0, "nobody noticed the crashes: {seen:?}");
}

type AccountHomeKey = (i64, i64);

fn key(home: AccountHome) -> AccountHomeKey {
    (home.tenant.as_i64(), home.account.as_i64())
}

#[test]
fn acknowledged_mail_survives_crashes_and_none_is_there_twice() {
    crash_under_load(6);
}

#[test]
#[ignore = "takes minutes: run by `make soak`"]
fn soak_acknowledged_mail_survives_many_crashes() {
    crash_under_load(100);
}

#[test]
fn a_restart_between_two_calls_is_not_noticed() {
    let cluster = Cluster::private(ClusterOptions::default());
    let mail = store_on(&cluster);
    let home = TestStore::home(1, 10);
    for round in 0..3 {
        // Enough at once that every connection is used.
        for n in 0..8 {
            mail.deliver(&content(&format!("mail {n} of {round}")), &[home]);
        }
        cluster.restart();
    }
    assert_eq!(mail.read_as(home, |tx| entry::entries(tx, MailboxId::INBOX, 0, 100)).unwrap().len(), 24);
}

#[test]
fn while_postgresql_is_down_calls_fail_and_afterwards_they_do_not() {
    let cluster = Cluster::private(DURABLE);
    let mail = store_on(&cluster);
    let home = TestStore::home(1, 10);
    mail.deliver(&content("before"), &[home]);
    cluster.stop_immediate();
    for _ in 0..8 {
        let error = mail.block_on(carry_out(&mail, &mail.store, &content("meanwhile"), &[home])).unwrap_err();
        assert!(matches!(error, StoreError::Failed { .. }), "{error}");
        let error = mail.read_as(home, |tx| entry::entries(tx, MailboxId::INBOX, 0, 100)).unwrap_err();
        assert!(matches!(error, StoreError::Failed { .. }), "{error}");
    }
    cluster.start();
    mail.deliver(&content("after"), &[home]);
    assert_eq!(inbox(&mail, home), BTreeMap::from([("before".into(), 1), ("after".into(), 1)]));
}

/// What is lost of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    Statement,
    Reply,
}

/// Breaks the connection at every statement of a delivery in turn. Before COMMIT the store
/// runs it again and nobody notices; at COMMIT nobody can know, and the next try tells.
fn break_at_every_statement(lost: Lost, accounts: i64) {
    let mail = TestStore::postgres();
    let Location::Postgres { url } = &mail.location else { panic!("this is PostgreSQL") };
    let proxy = PgProxy::to(url);
    let location = Location::Postgres { url: proxy.url().to_owned() };
    let options = Options { connections: 1, ..Options::default() };
    let store = Store::open(&location, &options, &COMPONENTS, &mut Registry::default()).unwrap();
    let mut unknown = 0;
    for number in 1.. {
        assert!(number < 200, "the delivery never ends");
        let homes: Vec<_> =
            (0..accounts).map(|n| TestStore::home(i64::from(number), i64::from(number) * 100 + n)).collect();
        let deliver = || mail.block_on(carry_out(&mail, &store, &content("mail"), &homes));
        match lost {
            Lost::Statement => proxy.lose_statement(number),
            Lost::Reply => proxy.lose_reply(number),
        }
        let first = deliver();
        // The transaction that ran again had fewer than so many statements altogether.
        let was_broken = proxy.release() >= number;
        let second = deliver().unwrap();
        let is_copy = |outcome: &Outcome| matches!(outcome, Outcome::Delivered(_));
        match first {
            Ok(outcomes) => {
                assert!(outcomes.iter().all(is_copy));
                assert!(!second.iter().any(is_copy), "{second:?}");
            }
            Err(StoreError::OutcomeUnknown { .. }) => {
                unknown += 1;
                assert!(
                    second.iter().all(|outcome| is_copy(outcome) == (lost == Lost::Statement)),
                    "{second:?}"
                );
            }
            Err(other) => panic!("statement {number}: {other}"),
        }
        for home in &homes {
            assert_eq!(inbox(&mail, *home), BTreeMap::from([("mail".into(), 1)]));
        }
        if !was_broken {
            break;
        }
    }
    assert_eq!(unknown, 1, "COMMIT alone is in doubt");
    assert_eq!(mail.problems(), Vec::<String>::new());
}

#[test]
fn a_statement_is_lost() {
    break_at_every_statement(Lost::Statement, 2);
}

#[test]
fn a_reply_is_lost() {
    break_at_every_statement(Lost::Reply, 1);
    break_at_every_statement(Lost::Reply, 2);
}
