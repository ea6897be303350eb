//! Imports: each message once, with its note in one transaction.

use hikyaku_mailstore::import::{import, imported};
use hikyaku_mailstore::{
    AppendError, AppendedEmail, Flags, ImportError, ImportKey, Keywords, MailboxPath, Quota, QuotaError,
    Threading, account, mailbox,
};
use hikyaku_store::{AccountHome, Scope, StoreError};
use hikyaku_testkit::{DELIVERY, TestStore, both_engines};
use hikyaku_types::{Clock, ContentId, EmailId};

both_engines! {
    a_message_comes_in_once
    what_does_not_fit_leaves_no_note
    what_is_removed_may_come_again
}

fn scope(home: AccountHome) -> hikyaku_store::AccountScope {
    Scope::account(&DELIVERY, home).unwrap()
}

fn message(mail: &TestStore, home: AccountHome, text: &str) -> (ImportKey, AppendedEmail) {
    let now = mail.clock.now();
    let content = mail
        .block_on(mail.content.prepare(
            &mail.store,
            home.shard,
            home.tenant,
            text.as_bytes(),
            true,
            now,
            &mail.random,
        ))
        .unwrap();
    let email = AppendedEmail {
        content,
        content_id: ContentId::from_i64(mail.ids.next(now)).unwrap(),
        email: EmailId::from_i64(mail.ids.next(now)).unwrap(),
        threading: Threading { own: None, parents: Vec::new() },
        received_at: now,
        flags: Flags::SEEN,
        keywords: Keywords::default(),
    };
    (ImportKey::new(&[text.as_bytes()]), email)
}

/// Imports into a mailbox two levels down.
fn put(mail: &TestStore, home: AccountHome, texts: &[&str], quota: Quota) -> Result<Vec<bool>, ImportError> {
    let messages: Vec<_> = texts.iter().map(|text| message(mail, home, text)).collect();
    let (path, now) = (MailboxPath::new(["Old", "見積"]).unwrap(), mail.clock.now());
    mail.block_on(
        mail.store.write(scope(home), "test.import", move |tx| {
            import(tx, &path, &messages, (quota, Quota(None)), now)
        }),
    )
}

/// How many messages each mailbox of a name has.
fn counts(mail: &TestStore, home: AccountHome) -> Vec<(String, u32, bool)> {
    let rows = mail.block_on(
        mail.store
            .read(scope(home), "test.list", |tx| mailbox::list(tx, hikyaku_mailstore::MailboxId::ROOT, 100)),
    );
    let rows = rows.unwrap().into_iter().filter(|row| ["Old", "見積"].contains(&row.name.as_str()));
    rows.map(|row| (row.name, row.messages, row.subscribed)).collect()
}

fn noted(mail: &TestStore, home: AccountHome, texts: &[&str]) -> Vec<bool> {
    let keys: Vec<_> = texts.iter().map(|text| ImportKey::new(&[text.as_bytes()])).collect();
    mail.block_on(mail.store.read(scope(home), "test.noted", move |tx| imported(tx, &keys))).unwrap()
}

fn a_message_comes_in_once(mail: TestStore) {
    let (home, other) = (TestStore::home(1, 10), TestStore::home(1, 11));
    assert_eq!(put(&mail, home, &["a", "b"], Quota(None)).unwrap(), [true, true]);
    assert_eq!(put(&mail, home, &["b", "c"], Quota(None)).unwrap(), [false, true]);
    assert_eq!(put(&mail, home, &["a", "c"], Quota(None)).unwrap(), [false, false]);
    assert_eq!(put(&mail, home, &["d", "d"], Quota(None)).unwrap(), [true, false]);
    let expected = [("Old".to_owned(), 0, true), ("見積".to_owned(), 4, true)];
    assert_eq!(counts(&mail, home), expected);
    assert_eq!(noted(&mail, home, &["a", "x"]), [true, false]);
    assert_eq!(noted(&mail, other, &["a"]), [false], "another account's notes are its own");
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn what_does_not_fit_leaves_no_note(mail: TestStore) {
    let home = TestStore::home(1, 10);
    put(&mail, home, &["a"], Quota(None)).unwrap();
    let full = put(&mail, home, &["b", "cccccccc"], Quota(Some(5))).unwrap_err();
    assert!(matches!(full, ImportError::Append(AppendError::Full(QuotaError::Account(_)))), "{full:?}");
    assert_eq!(noted(&mail, home, &["a", "b", "cccccccc"]), [true, false, false]);
    assert_eq!(put(&mail, home, &["b"], Quota(Some(5))).unwrap(), [true]);
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn what_is_removed_may_come_again(mail: TestStore) {
    let home = TestStore::home(1, 10);
    put(&mail, home, &["a"], Quota(None)).unwrap();
    let now = mail.clock.now();
    let step = || mail.store.write(scope(home), "test.remove", move |tx| account::remove(tx, now));
    while !mail.block_on(step()).map_err(|error: StoreError| error.to_string()).unwrap() {}
    assert_eq!(noted(&mail, home, &["a"]), [false]);
    assert_eq!(put(&mail, home, &["a"], Quota(None)).unwrap(), [true]);
    assert_eq!(mail.problems(), Vec::<String>::new());
}
