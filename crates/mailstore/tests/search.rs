//! The search index, on both engines: what is in it, what leaves it, and whose it is. That
//! it changes no answer of SEARCH is shown by the tests of `imap-server`.

use std::collections::BTreeMap;

use hikyaku_mailstore::search::{self, Indexer, Query, Step};
use hikyaku_mailstore::{MailboxId, Quota, account, entry};
use hikyaku_mime::search::Place;
use hikyaku_store::{AccountHome, Sql, StoreError};
use hikyaku_testkit::{SHARD, TestStore, both_engines};
use hikyaku_types::{Clock, EmailId, Timestamp};

both_engines! {
    each_email_is_listed_once
    small_segments_become_one
    gone_emails_leave_after_a_day
    nothing_of_an_account_is_left
    an_index_is_its_accounts_own
}

const TABLES: [(&str, Sql); 5] = [
    ("search_account", Sql::new("SELECT count(*) FROM search_account")),
    ("search_mailbox", Sql::new("SELECT count(*) FROM search_mailbox")),
    ("search_segment", Sql::new("SELECT count(*) FROM search_segment")),
    ("search_block", Sql::new("SELECT count(*) FROM search_block")),
    ("search_gone", Sql::new("SELECT count(*) FROM search_gone")),
];

const ARCHIVE: MailboxId = MailboxId::from_i64(4);

fn ann() -> AccountHome {
    TestStore::home(1, 1)
}

fn bob() -> AccountHome {
    TestStore::home(1, 2)
}

/// Makes the accounts, and an indexer that does nothing by itself.
fn with_accounts(mail: &TestStore) -> Indexer {
    let now = mail.clock.now();
    for home in [ann(), bob()] {
        mail.write_as(home, move |tx| account::create_account(tx, now)).expect("an account");
    }
    Indexer::new(mail.store.clone(), mail.content.clone())
}

fn deliver(mail: &TestStore, home: AccountHome, words: &str) {
    // Equal mails would be one that was sent again.
    let id = mail.next_id();
    mail.deliver(format!("Message-ID: <{id}@example.com>\r\n\r\n{words}\r\n").as_bytes(), &[home]);
}

async fn index(indexer: &Indexer, home: AccountHome) {
    while indexer.step(home).await.expect("the store answers") == Step::Some {}
}

/// How often each email is listed, and whether it may have the word.
fn asked(mail: &TestStore, home: AccountHome, word: &str) -> BTreeMap<EmailId, (u32, bool)> {
    let query = Query::text(vec![Place::Body], word).expect("it is long enough");
    mail.read_as::<_, StoreError, _>(home, move |tx| {
        let mut all = BTreeMap::new();
        for segment in search::segments(tx)? {
            for (email, may) in search::ask(tx, segment, &query)? {
                let (times, found) = all.entry(email).or_insert((0, false));
                (*times, *found) = (*times + 1, *found || may);
            }
        }
        Ok(all)
    })
    .expect("the store answers")
}

fn rows(mail: &TestStore) -> Vec<(&'static str, i64)> {
    mail.read::<_, StoreError, _>(|tx| {
        let count = |(name, sql)| Ok((name, tx.row(sql, &[], |row| row.get(0))?.unwrap_or(0)));
        TABLES.into_iter().map(count).collect()
    })
    .expect("the store answers")
}

/// Two that index at once do not disturb each other, and what is copied or moved is known.
fn each_email_is_listed_once(mail: TestStore) {
    let indexer = with_accounts(&mail);
    for number in 0..300 {
        deliver(&mail, ann(), if number % 100 == 7 { "the needle" } else { "hay" });
    }
    mail.block_on(async { tokio::join!(index(&indexer, ann()), index(&indexer, ann())) });
    let listed = asked(&mail, ann(), "needle");
    assert_eq!(listed.len(), 300);
    assert!(listed.values().all(|(times, _)| *times == 1));
    assert_eq!(listed.values().filter(|(_, may)| *may).count(), 3);

    let now = mail.clock.now();
    let copied = mail.write_as(ann(), move |tx| {
        entry::copy(tx, MailboxId::INBOX, &[1, 2], ARCHIVE, (Quota(None), Quota(None)), now)?;
        entry::move_entries(tx, MailboxId::INBOX, &[3, 4], ARCHIVE, now).map(|_| ())
    });
    copied.expect("they are copied");
    mail.block_on(index(&indexer, ann()));
    assert_eq!(asked(&mail, ann(), "needle"), listed);
}

fn small_segments_become_one(mail: TestStore) {
    let indexer = with_accounts(&mail);
    for number in 0..20 {
        deliver(&mail, ann(), &format!("number{number:02}"));
        mail.block_on(index(&indexer, ann()));
    }
    let segments = mail.read_as(ann(), search::segments).expect("the store answers");
    assert_eq!(segments.len(), 5, "16 became one, and 4 came since");
    for number in 0..20 {
        let listed = asked(&mail, ann(), &format!("number{number:02}"));
        assert!(listed.values().all(|(times, _)| *times == 1));
        assert_eq!(listed.len(), 20);
        assert!(listed.values().filter(|(_, may)| *may).count() >= 1);
    }
}

fn gone_emails_leave_after_a_day(mail: TestStore) {
    let indexer = with_accounts(&mail);
    for number in 0..10 {
        deliver(&mail, ann(), if number < 3 { "secret" } else { "other" });
    }
    mail.block_on(index(&indexer, ann()));
    let now = mail.clock.now();
    let expunged = mail.write_as(ann(), move |tx| entry::expunge(tx, MailboxId::INBOX, &[1, 2, 9], now));
    assert_eq!(expunged.expect("they are expunged").uids.len(), 3);
    let round = |hours: i64| {
        let at = Timestamp::from_secs(now.as_secs() + hours * 3600);
        mail.block_on(indexer.round(SHARD, at)).expect("the store answers");
    };
    round(23);
    assert_eq!(asked(&mail, ann(), "secret").values().filter(|(_, may)| *may).count(), 3);
    round(25);
    let listed = asked(&mail, ann(), "secret");
    assert_eq!(listed.len(), 7);
    assert_eq!(listed.values().filter(|(_, may)| *may).count(), 1);
    assert_eq!(rows(&mail)[4], ("search_gone", 0));
}

fn nothing_of_an_account_is_left(mail: TestStore) {
    let indexer = with_accounts(&mail);
    for home in [ann(), bob()] {
        for _ in 0..5 {
            deliver(&mail, home, "words");
        }
        mail.block_on(index(&indexer, home));
    }
    let now = mail.clock.now();
    mail.write_as(ann(), move |tx| entry::expunge(tx, MailboxId::INBOX, &[1], now)).expect("it is expunged");
    let both = rows(&mail);
    while !mail.write_as(ann(), move |tx| account::remove(tx, now)).expect("a step of removal") {}
    let left = rows(&mail);
    for ((name, both), (_, left)) in both.into_iter().zip(left).take(4) {
        assert_eq!(left * 2, both, "{name}: bob's are left");
        assert!(left > 0, "{name}");
    }
    assert_eq!(rows(&mail)[4], ("search_gone", 0));
    // Somebody may have wanted it before: it is not begun again.
    mail.block_on(index(&indexer, ann()));
    assert_eq!(rows(&mail)[0], ("search_account", 1));
    assert_eq!(asked(&mail, bob(), "words").len(), 5);
}

fn an_index_is_its_accounts_own(mail: TestStore) {
    let indexer = with_accounts(&mail);
    deliver(&mail, ann(), "private");
    mail.block_on(index(&indexer, ann()));
    // PostgreSQL does not let bob's scope see the row; on both engines the statement names
    // the account.
    assert_eq!(asked(&mail, bob(), "private"), BTreeMap::new());
    let query = Query::text(vec![Place::Body], "private").expect("it is long enough");
    let segment = mail.read_as(ann(), search::segments).expect("the store answers")[0];
    let stolen = mail.read_as(bob(), move |tx| search::ask(tx, segment, &query));
    assert_eq!(stolen.expect("the store answers"), []);
}
