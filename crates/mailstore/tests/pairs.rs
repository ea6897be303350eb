//! Pairs of transactions on PostgreSQL, met at every point: A stops after each of its
//! statements in turn, B runs to its end or until it waits for a lock of A, A goes on.
//!
//! Whatever the point, both callers get an answer that makes sense, the books agree, and no
//! quota is exceeded. A deadlock is the store's to solve: no caller sees one.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hikyaku_mailstore::{
    Change, CopyError, DeliverError, Delivery, Entry, Flags, IfFull, Keywords, MailboxError, MailboxId,
    MailboxPath, Outcome, Quota, QuotaError, Role, Target, check, deliver, entry, mailbox,
};
use hikyaku_store::{AccountHome, Location, Options, Scope, Sql, Store, StoreError};
use hikyaku_testkit::pgproxy::{PgProxy, connect, somebody_waits_for_a_lock};
use hikyaku_testkit::{COMPONENTS, DELIVERY, Rng, SHARD, TestStore, owner};
use hikyaku_types::Timestamp;
use prometheus_client::registry::Registry;

/// Mailbox 4 of every account.
const ARCHIVE: MailboxId = MailboxId::from_i64(4);

/// One of the two transactions.
#[derive(Debug, Clone)]
enum Call {
    Deliver(Delivery),
    Expunge(AccountHome, Vec<u32>, Timestamp),
    Copy(AccountHome, Vec<u32>, (Quota, Quota), Timestamp),
    Move(AccountHome, Vec<u32>, Timestamp),
    Flag(AccountHome, Vec<u32>),
    DeleteMailbox(AccountHome, MailboxId),
}

#[derive(Debug)]
enum Answer {
    Outcomes(Vec<Outcome>),
    Uids(Vec<u32>),
    Done,
}

#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error(transparent)]
    Deliver(#[from] DeliverError),
    #[error(transparent)]
    Copy(#[from] CopyError),
    #[error(transparent)]
    Flags(#[from] entry::FlagsError),
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CallError {
    fn is_full(&self) -> Option<QuotaError> {
        match self {
            Self::Deliver(DeliverError::Full(full)) | Self::Copy(CopyError::Full(full)) => Some(*full),
            _ => None,
        }
    }
}

async fn run(store: Arc<Store>, call: Call) -> Result<Answer, CallError> {
    let service = Scope::service(&DELIVERY, SHARD, None).expect("delivery is a service");
    let own = |home| Scope::account(&owner(home), home).expect("the owner");
    match call {
        Call::Deliver(delivery) => {
            let closure = move |tx: &mut hikyaku_store::ServiceTx<'_>| deliver(tx, &delivery);
            Ok(Answer::Outcomes(store.write(service, "pair.deliver", closure).await?))
        }
        Call::Expunge(home, uids, now) => {
            let gone = store
                .write(own(home), "pair.expunge", move |tx| entry::expunge(tx, MailboxId::INBOX, &uids, now))
                .await?;
            Ok(Answer::Uids(gone.uids))
        }
        Call::Copy(home, uids, quotas, now) => {
            let copied = store
                .write(own(home), "pair.copy", move |tx| {
                    entry::copy(tx, MailboxId::INBOX, &uids, ARCHIVE, quotas, now)
                })
                .await?;
            Ok(Answer::Uids(copied.uids.into_iter().map(|(source, _)| source).collect()))
        }
        Call::Move(home, uids, now) => {
            let moved = store
                .write(own(home), "pair.move", move |tx| {
                    entry::move_entries(tx, MailboxId::INBOX, &uids, ARCHIVE, now)
                })
                .await?;
            Ok(Answer::Uids(moved.uids.into_iter().map(|(source, _)| source).collect()))
        }
        Call::Flag(home, uids) => {
            let change = Change::Add(Flags::SEEN, Keywords::default());
            let stored = store
                .write(own(home), "pair.flag", move |tx| {
                    entry::store_flags(tx, MailboxId::INBOX, &uids, &change, None)
                })
                .await?;
            Ok(Answer::Uids(stored.entries.into_iter().map(|entry| entry.uid).collect()))
        }
        Call::DeleteMailbox(home, id) => {
            store.write(own(home), "pair.delete", move |tx| mailbox::delete(tx, id)).await?;
            Ok(Answer::Done)
        }
    }
}

type Answers = [Result<Answer, CallError>; 2];

type Holds = Box<dyn FnOnce(&Rig, Answers)>;

/// Two calls, and what must hold when both have answered.
struct Pair {
    calls: [Call; 2],
    homes: Vec<AccountHome>,
    /// Gets the answers in the order of `calls`, whichever of them was A.
    holds: Holds,
}

/// A database with two stores on it: A's goes through the proxy.
struct Rig {
    mail: TestStore,
    proxy: PgProxy,
    a: Arc<Store>,
    /// What the two stores count.
    registries: [Registry; 2],
    watcher: RefCell<postgres::Client>,
    /// Makes each pair's tenant and accounts new.
    fresh: Cell<i64>,
}

impl Rig {
    fn new() -> Self {
        let mut mail = TestStore::postgres();
        let Location::Postgres { url } = mail.location.clone() else { panic!("this is PostgreSQL") };
        let mut watcher = connect(&url);
        // A deadlock should take milliseconds here, not its usual second.
        let name: String = watcher.query_one("SELECT current_database()::text", &[]).unwrap().get(0);
        watcher.batch_execute(&format!("ALTER DATABASE \"{name}\" SET deadlock_timeout = '20ms'")).unwrap();
        mail.store.close();
        let proxy = PgProxy::to(&url);
        let options = Options { connections: 1, ..Options::default() };
        let mut registries = [Registry::default(), Registry::default()];
        let [a, b] = [proxy.url(), &url].map(|url| Location::Postgres { url: url.to_owned() });
        let a =
            Arc::new(Store::open(&a, &options, &COMPONENTS, &mut registries[0]).expect("the store opens"));
        mail.store =
            Arc::new(Store::open(&b, &options, &COMPONENTS, &mut registries[1]).expect("the store opens"));
        Self { mail, proxy, a, registries, watcher: RefCell::new(watcher), fresh: Cell::new(0) }
    }

    /// Accounts that exist, of a tenant that nobody used.
    fn homes(&self, count: i64) -> Vec<AccountHome> {
        let homes = self.unmade_homes(count);
        let now = self.mail.clock.advance(Duration::ZERO);
        for home in &homes {
            let made =
                self.mail.write_as(*home, move |tx| hikyaku_mailstore::account::create_account(tx, now));
            made.unwrap();
        }
        homes
    }

    /// The same, not made yet: their first mail makes them.
    fn unmade_homes(&self, count: i64) -> Vec<AccountHome> {
        let tenant = self.fresh.get() + 1;
        self.fresh.set(tenant);
        (0..count).map(|n| TestStore::home(tenant, tenant * 100 + n)).collect()
    }

    fn inbox(&self, home: AccountHome) -> Vec<Entry> {
        self.entries(home, MailboxId::INBOX)
    }

    fn entries(&self, home: AccountHome, id: MailboxId) -> Vec<Entry> {
        self.mail.read_as(home, move |tx| entry::entries(tx, id, 0, 500)).unwrap()
    }

    fn number(&self, sql: &'static str, tenant: i64) -> i64 {
        let sql = Sql::new(sql);
        let found =
            self.mail.read::<_, StoreError, _>(move |tx| tx.row(sql, &[tenant.into()], |row| row.get(0)));
        found.unwrap().unwrap_or(0)
    }

    fn live_contents(&self, home: AccountHome) -> i64 {
        self.number("SELECT count(*) FROM content WHERE tenant = $1 AND state = 0", home.tenant.as_i64())
    }

    /// Runs the pair with A stopped after its statement number `stop`. `turned`: the second
    /// call is A. False if A ended before that.
    fn meet(&self, pair: Pair, stop: u32, turned: bool) -> bool {
        let [first, second] = pair.calls;
        let (call_a, call_b) = if turned { (second, first) } else { (first, second) };
        self.proxy.hold_after(stop);
        let (mail, proxy, store_a) = (&self.mail, &self.proxy, &self.a);
        let watcher = &mut *self.watcher.borrow_mut();
        let (answer_a, answer_b, stopped) = std::thread::scope(|scope| {
            let a = scope.spawn(|| mail.block_on(run(Arc::clone(store_a), call_a)));
            until(|| proxy.is_holding() || a.is_finished());
            let stopped = proxy.is_holding();
            let b = scope.spawn(|| mail.block_on(run(Arc::clone(&mail.store), call_b)));
            until(|| b.is_finished() || somebody_waits_for_a_lock(watcher));
            proxy.release();
            (a.join().expect("A does not panic"), b.join().expect("B does not panic"), stopped)
        });
        let answers = if turned { [answer_b, answer_a] } else { [answer_a, answer_b] };
        (pair.holds)(self, answers);
        self.check(&pair.homes);
        stopped
    }

    fn check(&self, homes: &[AccountHome]) {
        assert_eq!(self.mail.read(check::check_shard).unwrap(), Vec::<String>::new());
        for home in homes.iter().copied() {
            assert_eq!(self.mail.read_as(home, check::check_account).unwrap(), []);
            let used = self.number("SELECT bytes FROM usage WHERE tenant = $1", home.tenant.as_i64());
            let stored = self.number(
                "SELECT CAST(COALESCE(sum(e.size), 0) AS BIGINT) FROM entry e
                 JOIN email m ON m.account = e.account AND m.id = e.email
                 JOIN content c ON c.id = m.content WHERE c.tenant = $1",
                home.tenant.as_i64(),
            );
            assert_eq!(used, stored, "the tenant's usage is what its mail says");
        }
    }

    /// How often a transaction of A and B ran again because the two had met.
    fn retries(&self) -> u64 {
        let of = |registry: &Registry| {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
            let count = text.lines().find_map(|line| line.strip_prefix("retries_total "));
            count.expect("the store counts retries").parse::<u64>().unwrap()
        };
        self.registries.iter().map(of).sum()
    }
}

/// Asks again and again until it is so; a test that hangs fails.
fn until(mut is_so: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < patience, "nothing happens any more");
        std::thread::sleep(Duration::from_micros(300));
    }
}

/// Runs a pair both ways round, for every statement after which A can stop. Rows are locked
/// in one order, so the two never wait for each other.
fn at_every_stop(pair: impl Fn(&Rig) -> Pair) {
    let rig = at_every_stop_with_deadlocks(pair);
    assert_eq!(rig.retries(), 0, "they waited for each other");
}

/// The same where the two may wait for each other: then the store runs one of them again.
#[expect(clippy::print_stderr, reason = "says how much it tried, to whoever asks for the output")]
fn at_every_stop_with_deadlocks(pair: impl Fn(&Rig) -> Pair) -> Rig {
    let rig = Rig::new();
    let mut stops = [0, 0];
    for turned in [false, true] {
        while rig.meet(pair(&rig), stops[usize::from(turned)] + 1, turned) {
            stops[usize::from(turned)] += 1;
        }
    }
    assert!(stops.iter().all(|stops| *stops >= 3), "A was stopped at {stops:?} places only");
    eprintln!("A was stopped after {stops:?} statements, {} ran again", rig.retries());
    rig
}

fn content(name: &str, size: usize) -> Vec<u8> {
    let mut content = format!("Subject: {name}\r\n\r\n").into_bytes();
    content.resize(size, b'x');
    content
}

/// Too large for a row, and does not compress.
fn noise(seed: i64) -> Vec<u8> {
    let mut bytes = vec![0; 70_000];
    Rng::new(seed as u64).fill(&mut bytes);
    bytes
}

/// Deliveries of both calls as outcomes.
fn outcomes(answers: Answers) -> [Vec<Outcome>; 2] {
    answers.map(|answer| match answer.expect("deliveries succeed") {
        Answer::Outcomes(outcomes) => outcomes,
        other => panic!("{other:?}"),
    })
}

fn is_delivered(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Delivered(_))
}

/// One of the two delivered it, the other found that copy.
fn is_one_copy(a: &Outcome, b: &Outcome) -> bool {
    match (a, b) {
        (Outcome::Delivered(copy), Outcome::Duplicate(trace))
        | (Outcome::Duplicate(trace), Outcome::Delivered(copy)) => copy.trace == *trace,
        _ => false,
    }
}

/// The same mail twice to these accounts, the second time in the opposite order.
fn same_mail(rig: &Rig, homes: Vec<AccountHome>, content: &[u8]) -> Pair {
    let backwards: Vec<AccountHome> = homes.iter().rev().copied().collect();
    let calls = [&homes, &backwards].map(|homes| Call::Deliver(rig.mail.delivery(content, homes)));
    let of = homes.clone();
    let holds = move |rig: &Rig, answers: Answers| {
        let [forwards, mut backwards] = outcomes(answers);
        backwards.reverse();
        for ((one, two), home) in forwards.iter().zip(&backwards).zip(&of) {
            assert!(is_one_copy(one, two), "{one:?} {two:?}");
            assert_eq!(rig.inbox(*home).len(), 1);
        }
    };
    Pair { calls, homes, holds: Box::new(holds) }
}

#[test]
fn the_same_mail_twice_to_one_account() {
    at_every_stop(|rig| same_mail(rig, rig.homes(1), &content("twice", 3_000)));
}

#[test]
fn the_same_mail_twice_to_an_account_that_is_new() {
    at_every_stop(|rig| same_mail(rig, rig.unmade_homes(1), &content("twice", 3_000)));
}

#[test]
fn the_same_mail_twice_to_several_accounts() {
    at_every_stop(|rig| same_mail(rig, rig.homes(3), &content("twice", 20_000)));
}

#[test]
fn the_same_mail_twice_to_several_new_accounts() {
    // What is not there cannot be locked in order.
    at_every_stop_with_deadlocks(|rig| same_mail(rig, rig.unmade_homes(2), &content("twice", 3_000)));
}

#[test]
fn the_same_mail_to_two_tenants_in_opposite_order() {
    at_every_stop(|rig| {
        let homes = [rig.homes(1), rig.homes(1)].concat();
        same_mail(rig, homes, &content("two tenants", 20_000))
    });
}

/// Two mails to the same accounts in opposite order: everybody gets both.
fn two_mails(rig: &Rig, homes: Vec<AccountHome>, size: usize) -> Pair {
    let backwards: Vec<AccountHome> = homes.iter().rev().copied().collect();
    let calls = [
        Call::Deliver(rig.mail.delivery(&content("one", size), &homes)),
        Call::Deliver(rig.mail.delivery(&content("two", size), &backwards)),
    ];
    let of = homes.clone();
    let holds = move |rig: &Rig, answers: Answers| {
        assert!(outcomes(answers).iter().flatten().all(is_delivered));
        for home in of {
            let uids: Vec<u32> = rig.inbox(home).iter().map(|entry| entry.uid).collect();
            assert_eq!(uids, [1, 2]);
        }
    };
    Pair { calls, homes, holds: Box::new(holds) }
}

#[test]
fn two_mails_to_one_account() {
    at_every_stop(|rig| two_mails(rig, rig.homes(1), 3_000));
}

/// The account is made by the other while one of them looks for it: that is no full mailbox.
#[test]
fn two_mails_to_an_account_that_is_new() {
    at_every_stop(|rig| two_mails(rig, rig.unmade_homes(1), 3_000));
}

#[test]
fn two_mails_to_several_accounts() {
    at_every_stop(|rig| two_mails(rig, rig.homes(3), 3_000));
}

#[test]
fn two_mails_to_two_tenants_in_opposite_order() {
    at_every_stop(|rig| two_mails(rig, [rig.homes(1), rig.homes(1)].concat(), 3_000));
}

/// To other accounts of the same two tenants, in opposite order: what they share are rows of
/// the tenants.
#[test]
fn two_mails_to_accounts_of_two_tenants_in_opposite_order() {
    for size in [3_000, 20_000] {
        at_every_stop(|rig| {
            let (one, other) = (rig.homes(2), rig.homes(2));
            let orders = [[one[0], other[0]], [other[1], one[1]]];
            let calls = orders.map(|homes| Call::Deliver(rig.mail.delivery(&content("news", size), &homes)));
            let homes = [one, other].concat();
            let of = homes.clone();
            let holds = move |rig: &Rig, answers: Answers| {
                assert!(outcomes(answers).iter().flatten().all(is_delivered));
                assert!(of.iter().all(|home| rig.inbox(*home).len() == 1));
            };
            Pair { calls, homes, holds: Box::new(holds) }
        });
    }
}

#[test]
fn equal_contents_to_different_accounts_become_one() {
    for noisy in [false, true] {
        at_every_stop(|rig| {
            let homes = rig.homes(2);
            let content = if noisy { noise(rig.fresh.get()) } else { content("newsletter", 20_000) };
            let calls = [0, 1].map(|n| Call::Deliver(rig.mail.delivery(&content, &homes[n..=n])));
            let home = homes[0];
            let holds = move |rig: &Rig, answers: Answers| {
                assert!(outcomes(answers).iter().flatten().all(is_delivered));
                assert_eq!(rig.live_contents(home), 1);
            };
            Pair { calls, homes, holds: Box::new(holds) }
        });
    }
}

/// An account with three messages in its INBOX.
fn with_three(rig: &Rig) -> AccountHome {
    let home = rig.homes(1)[0];
    for n in 0..3 {
        rig.mail.deliver(&content(&format!("old {n}"), 2_000), &[home]);
    }
    home
}

#[test]
fn a_delivery_and_an_expunge_in_one_account() {
    at_every_stop(|rig| {
        let home = with_three(rig);
        let now = rig.mail.clock.advance(Duration::from_millis(1));
        let calls = [
            Call::Deliver(rig.mail.delivery(&content("new", 3_000), &[home])),
            Call::Expunge(home, vec![1, 2, 3, 4], now),
        ];
        let holds = move |rig: &Rig, answers: Answers| {
            let [Ok(Answer::Outcomes(outcomes)), Ok(Answer::Uids(gone))] = answers else {
                panic!("{answers:?}")
            };
            assert!(is_delivered(&outcomes[0]));
            // UID 4 is the new one: it is gone if the expunge came second.
            let expected = if gone.contains(&4) { vec![] } else { vec![4] };
            assert_eq!(gone[..3], [1, 2, 3]);
            assert_eq!(rig.inbox(home).iter().map(|entry| entry.uid).collect::<Vec<_>>(), expected);
        };
        Pair { calls, homes: vec![home], holds: Box::new(holds) }
    });
}

#[test]
fn a_delivery_and_an_expunge_in_two_accounts_of_a_tenant() {
    at_every_stop(|rig| {
        let homes = rig.homes(2);
        rig.mail.deliver(&content("old", 2_000), &homes[1..]);
        let now = rig.mail.clock.advance(Duration::from_millis(1));
        let calls = [
            Call::Deliver(rig.mail.delivery(&content("new", 3_000), &homes[..1])),
            Call::Expunge(homes[1], vec![1], now),
        ];
        let of = homes.clone();
        let holds = move |rig: &Rig, answers: Answers| {
            let [Ok(Answer::Outcomes(outcomes)), Ok(Answer::Uids(gone))] = answers else {
                panic!("{answers:?}")
            };
            assert!(is_delivered(&outcomes[0]));
            assert_eq!(gone, [1]);
            assert_eq!((rig.inbox(of[0]).len(), rig.inbox(of[1]).len()), (1, 0));
        };
        Pair { calls, homes, holds: Box::new(holds) }
    });
}

/// A content loses its last reference while an equal one arrives for another account.
fn hit_and_death(rig: &Rig, content: &[u8]) -> Pair {
    let homes = rig.homes(2);
    rig.mail.deliver(content, &homes[1..]);
    let now = rig.mail.clock.advance(Duration::from_millis(1));
    let calls =
        [Call::Deliver(rig.mail.delivery(content, &homes[..1])), Call::Expunge(homes[1], vec![1], now)];
    let (of, content) = (homes.clone(), content.to_vec());
    let holds = move |rig: &Rig, [delivers, expunges]: Answers| {
        assert!(matches!(expunges, Ok(Answer::Uids(gone)) if gone == [1]));
        match delivers {
            Ok(Answer::Outcomes(outcomes)) => assert!(is_delivered(&outcomes[0])),
            // It looked for its twin before that died: the caller stores it anew.
            Err(CallError::Deliver(DeliverError::TwinGone(tenant))) => {
                assert_eq!((tenant, rig.live_contents(of[0])), (of[0].tenant, 0));
                let again = rig.mail.block_on(rig.mail.delivery_async(&content, &of[..1], false));
                assert!(is_delivered(&rig.mail.carry_out(again).unwrap()[0]));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!((rig.inbox(of[0]).len(), rig.inbox(of[1]).len()), (1, 0));
        assert_eq!(rig.live_contents(of[0]), 1);
        let id = rig.inbox(of[0])[0].email;
        let email = rig.mail.read_as(of[0], move |tx| hikyaku_mailstore::email::emails(tx, &[id])).unwrap();
        let read = rig.mail.block_on(rig.mail.content.read(email[0].placement.clone())).unwrap();
        assert!(read == content, "the content can be read");
    };
    Pair { calls, homes, holds: Box::new(holds) }
}

#[test]
fn a_content_in_a_row_dies_while_it_is_hit() {
    at_every_stop(|rig| hit_and_death(rig, &content("newsletter", 20_000)));
}

#[test]
fn a_content_in_an_object_dies_while_it_is_hit() {
    at_every_stop(|rig| hit_and_death(rig, &noise(rig.fresh.get())));
}

/// Two mails of about 3,000 octets, delivered under these limits of (account, pool).
fn under_limits(rig: &Rig, homes: &[AccountHome], limits: [(Quota, Quota); 2], if_full: IfFull) -> [Call; 2] {
    let call = |n: usize| {
        let home = homes[n % homes.len()];
        let mut delivery = rig.mail.delivery(&content(&format!("mail {n}"), 3_000), &[home]);
        (delivery.parts[0].recipients[0].quota, delivery.parts[0].pool) = limits[n];
        delivery.if_full = if_full;
        Call::Deliver(delivery)
    };
    [call(0), call(1)]
}

/// How many were delivered; all others were refused as full.
fn delivered_or_full(answers: &Answers) -> usize {
    let count = |answer: &Result<Answer, CallError>| match answer {
        Ok(Answer::Outcomes(outcomes)) if is_delivered(&outcomes[0]) => 1,
        Ok(Answer::Outcomes(outcomes)) if matches!(outcomes[0], Outcome::Full(_)) => 0,
        Err(error) if error.is_full().is_some() => 0,
        other => panic!("{other:?}"),
    };
    answers.iter().map(count).sum()
}

const ONE_MAIL: Quota = Quota(Some(4_000));
const TWO_MAILS: Quota = Quota(Some(8_000));

#[test]
fn a_quota_that_has_room_for_one_of_two() {
    for if_full in [IfFull::RefuseAll, IfFull::SkipRecipient] {
        at_every_stop(|rig| {
            let homes = rig.homes(1);
            let calls = under_limits(rig, &homes, [(ONE_MAIL, Quota(None)); 2], if_full);
            let again = calls.clone();
            let home = homes[0];
            let holds = move |rig: &Rig, answers: Answers| {
                assert_eq!(delivered_or_full(&answers), 1);
                assert_eq!(rig.inbox(home).len(), 1);
                // What was refused claimed nothing: with more room it is delivered.
                let repeated = again.map(|call| {
                    let Call::Deliver(mut delivery) = call else { panic!("both deliver") };
                    delivery.parts[0].recipients[0].quota = Quota(None);
                    rig.mail.carry_out(delivery).unwrap()[0]
                });
                assert_eq!(
                    repeated.iter().filter(|outcome| is_delivered(outcome)).count(),
                    1,
                    "{repeated:?}"
                );
                assert_eq!(rig.inbox(home).len(), 2);
            };
            Pair { calls, homes, holds: Box::new(holds) }
        });
    }
}

#[test]
fn a_quota_that_is_lowered_meanwhile() {
    at_every_stop(|rig| {
        let homes = rig.homes(1);
        let calls =
            under_limits(rig, &homes, [(TWO_MAILS, Quota(None)), (ONE_MAIL, Quota(None))], IfFull::RefuseAll);
        let home = homes[0];
        let holds = move |rig: &Rig, answers: Answers| {
            let count = delivered_or_full(&answers);
            assert!(is_delivered_answer(&answers[0]), "there was room for both: {answers:?}");
            // The second saw the lower limit: it is in only if it came first.
            if let [Ok(Answer::Outcomes(one)), Ok(Answer::Outcomes(two))] = &answers {
                assert!(uid_of(&two[0]) < uid_of(&one[0]), "{answers:?}");
            }
            assert_eq!(rig.inbox(home).len(), count);
        };
        Pair { calls, homes, holds: Box::new(holds) }
    });
}

fn is_delivered_answer(answer: &Result<Answer, CallError>) -> bool {
    matches!(answer, Ok(Answer::Outcomes(outcomes)) if is_delivered(&outcomes[0]))
}

fn uid_of(outcome: &Outcome) -> u32 {
    match outcome {
        Outcome::Delivered(delivered) => delivered.uid,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pool_that_has_room_for_one_of_two() {
    for accounts in [1, 2] {
        at_every_stop(|rig| {
            let homes = rig.homes(accounts);
            let calls = under_limits(rig, &homes, [(Quota(None), ONE_MAIL); 2], IfFull::RefuseAll);
            let of = homes.clone();
            let holds = move |rig: &Rig, answers: Answers| {
                assert_eq!(delivered_or_full(&answers), 1);
                assert_eq!(of.iter().map(|home| rig.inbox(*home).len()).sum::<usize>(), 1);
            };
            Pair { calls, homes, holds: Box::new(holds) }
        });
    }
}

#[test]
fn a_pool_that_is_lowered_meanwhile() {
    at_every_stop(|rig| {
        let homes = rig.homes(2);
        let calls =
            under_limits(rig, &homes, [(Quota(None), TWO_MAILS), (Quota(None), ONE_MAIL)], IfFull::RefuseAll);
        let home = homes[0];
        let holds = move |rig: &Rig, answers: Answers| {
            let count = delivered_or_full(&answers);
            assert!(is_delivered_answer(&answers[0]), "{answers:?}");
            let used = rig.number("SELECT bytes FROM usage WHERE tenant = $1", home.tenant.as_i64());
            assert!(used <= 8_000 && used >= 3_000 * i64::try_from(count).unwrap());
        };
        Pair { calls, homes, holds: Box::new(holds) }
    });
}

#[test]
fn a_copy_and_an_expunge_of_the_same_messages() {
    at_every_stop(|rig| {
        let home = with_three(rig);
        let now = rig.mail.clock.advance(Duration::from_millis(1));
        let calls = [
            Call::Copy(home, vec![1, 2, 3], (Quota(None), Quota(None)), now),
            Call::Expunge(home, vec![1, 2, 3], now),
        ];
        let holds = move |rig: &Rig, answers: Answers| {
            let [Ok(Answer::Uids(copied)), Ok(Answer::Uids(gone))] = answers else { panic!("{answers:?}") };
            assert_eq!(gone, [1, 2, 3]);
            // All or none: none if the expunge came first.
            assert!(copied == [1, 2, 3] || copied.is_empty(), "{copied:?}");
            assert_eq!(rig.entries(home, ARCHIVE).len(), copied.len());
            assert!(rig.inbox(home).is_empty());
            assert_eq!(rig.live_contents(home), i64::try_from(copied.len()).unwrap());
        };
        Pair { calls, homes: vec![home], holds: Box::new(holds) }
    });
}

#[test]
fn a_copy_and_a_delivery_with_room_for_one() {
    at_every_stop(|rig| {
        let home = rig.homes(1)[0];
        rig.mail.deliver(&content("old", 3_000), &[home]);
        let now = rig.mail.clock.advance(Duration::from_millis(1));
        let mut delivery = rig.mail.delivery(&content("new", 3_000), &[home]);
        delivery.parts[0].recipients[0].quota = TWO_MAILS;
        let calls = [Call::Copy(home, vec![1], (TWO_MAILS, Quota(None)), now), Call::Deliver(delivery)];
        let holds = move |rig: &Rig, [copies, delivers]: Answers| {
            let full = |error: &CallError| matches!(error.is_full(), Some(QuotaError::Account(_)));
            match (&copies, &delivers) {
                (Ok(_), Err(error)) | (Err(error), Ok(_)) => assert!(full(error), "{error}"),
                other => panic!("{other:?}"),
            }
            assert_eq!(rig.inbox(home).len() + rig.entries(home, ARCHIVE).len(), 2);
        };
        Pair { calls, homes: vec![home], holds: Box::new(holds) }
    });
}

#[test]
fn a_move_and_an_expunge_of_the_same_messages() {
    at_every_stop(|rig| {
        let home = with_three(rig);
        let now = rig.mail.clock.advance(Duration::from_millis(1));
        let calls = [Call::Move(home, vec![1, 2, 3], now), Call::Expunge(home, vec![2, 3], now)];
        let holds = move |rig: &Rig, answers: Answers| {
            let [Ok(Answer::Uids(moved)), Ok(Answer::Uids(gone))] = answers else { panic!("{answers:?}") };
            assert_eq!(moved.len() + gone.len(), 3, "each message went one way: {moved:?} {gone:?}");
            assert!(rig.inbox(home).is_empty());
            assert_eq!(rig.entries(home, ARCHIVE).len(), moved.len());
        };
        Pair { calls, homes: vec![home], holds: Box::new(holds) }
    });
}

#[test]
fn two_expunges_of_the_same_messages() {
    at_every_stop(|rig| {
        let home = with_three(rig);
        let now = rig.mail.clock.advance(Duration::from_millis(1));
        let calls = [Call::Expunge(home, vec![1, 2, 3], now), Call::Expunge(home, vec![3, 2, 1], now)];
        let holds = move |rig: &Rig, answers: Answers| {
            let [Ok(Answer::Uids(one)), Ok(Answer::Uids(two))] = answers else { panic!("{answers:?}") };
            assert_eq!(one.len() + two.len(), 3, "{one:?} {two:?}");
            assert!(rig.inbox(home).is_empty());
            assert_eq!(rig.live_contents(home), 0);
        };
        Pair { calls, homes: vec![home], holds: Box::new(holds) }
    });
}

#[test]
fn flags_and_an_expunge_of_the_same_messages() {
    at_every_stop(|rig| {
        let home = with_three(rig);
        let now = rig.mail.clock.advance(Duration::from_millis(1));
        let calls = [Call::Flag(home, vec![1, 2, 3]), Call::Expunge(home, vec![2], now)];
        let holds = move |rig: &Rig, answers: Answers| {
            let [Ok(Answer::Uids(flagged)), Ok(Answer::Uids(gone))] = answers else { panic!("{answers:?}") };
            assert_eq!(gone, [2]);
            assert!(flagged == [1, 2, 3] || flagged == [1, 3], "{flagged:?}");
            assert!(rig.inbox(home).iter().all(|entry| entry.flags.has(Flags::SEEN)));
        };
        Pair { calls, homes: vec![home], holds: Box::new(holds) }
    });
}

#[test]
fn a_delivery_into_a_mailbox_that_is_deleted() {
    at_every_stop(|rig| {
        let home = rig.homes(1)[0];
        let path = MailboxPath::new(["Shop"]).unwrap();
        let shop = rig.mail.write_as(home, move |tx| mailbox::create(tx, &path, Role::None)).unwrap().id;
        let mut delivery = rig.mail.delivery(&content("new", 3_000), &[home]);
        delivery.parts[0].recipients[0].target = Target::Mailbox(shop);
        let calls = [Call::Deliver(delivery), Call::DeleteMailbox(home, shop)];
        let now = rig.mail.clock.advance(Duration::from_millis(1));
        let holds = move |rig: &Rig, answers: Answers| {
            let [Ok(Answer::Outcomes(outcomes)), Ok(Answer::Done)] = answers else { panic!("{answers:?}") };
            let Outcome::Delivered(delivered) = outcomes[0] else { panic!("{outcomes:?}") };
            // Into the mailbox before it went, or into INBOX after.
            assert_eq!(rig.entries(home, delivered.mailbox).len(), 1);
            assert!([shop, MailboxId::INBOX].contains(&delivered.mailbox));
            while !rig.mail.write_as(home, move |tx| mailbox::purge(tx, shop, now)).unwrap() {}
            assert_eq!(rig.inbox(home).len(), usize::from(delivered.mailbox == MailboxId::INBOX));
        };
        Pair { calls, homes: vec![home], holds: Box::new(holds) }
    });
}
