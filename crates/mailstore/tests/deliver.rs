//! Delivery on both engines: one copy, quota, sharing, threads, trace.

use hikyaku_mailstore::{
    DeliverError, Entry, IfFull, MailboxId, MessageHash, Outcome, Quota, QuotaError, Target, Threading,
    account, deliver, email, entry, mailbox,
};
use hikyaku_store::{AccountHome, Sql, StoreError};
use hikyaku_testkit::{SHARD, TestStore, both_engines};
use hikyaku_types::{RisingIds, Timestamp};

both_engines! {
    a_message_is_where_it_was_delivered
    a_repeated_delivery_makes_no_second_copy
    a_forgotten_key_admits_the_same_message_again
    keys_expire
    the_check_sees_counts_that_are_wrong
    many_accounts_share_one_content
    tenants_do_not_share_content
    a_large_content_is_an_object
    small_contents_are_not_shared
    a_full_account_refuses_for_all
    a_full_account_is_skipped
    a_full_pool_refuses
    replies_join_their_thread
    a_restart_keeps_everything
    a_deleted_mailbox_falls_back_to_inbox
}

fn mail(n: usize, size: usize) -> Vec<u8> {
    let mut content = format!("Message-ID: <{n}@example.com>\r\nSubject: {n}\r\n\r\n").into_bytes();
    let line = format!("line of mail {n} that compresses as lines of mail do\r\n");
    while content.len() < size {
        content.extend_from_slice(line.as_bytes());
    }
    content
}

/// Bytes that do not compress.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    hikyaku_testkit::Rng::new(seed).fill(&mut bytes);
    bytes
}

fn inbox(mail: &TestStore, home: AccountHome) -> Vec<Entry> {
    mail.read_as(home, |tx| entry::entries(tx, MailboxId::INBOX, 0, 500)).unwrap()
}

fn content_of(mail: &TestStore, home: AccountHome, entry: &Entry) -> Vec<u8> {
    let id = entry.email;
    let found = mail.read_as(home, move |tx| email::emails(tx, &[id])).unwrap().remove(0);
    let content = mail.block_on(mail.content.read(found.placement)).unwrap();
    found.prelude.assemble(&content)
}

fn count(mail: &TestStore, sql: &'static str) -> i64 {
    let text = Sql::new(sql);
    mail.read::<_, StoreError, _>(move |tx| tx.row(text, &[], |row| row.get(0))).unwrap().unwrap()
}

fn delivered(outcome: Outcome) -> hikyaku_mailstore::Delivered {
    match outcome {
        Outcome::Delivered(delivered) => delivered,
        other => panic!("{other:?}"),
    }
}

fn a_message_is_where_it_was_delivered(mail: TestStore) {
    let home = TestStore::home(1, 10);
    let content = self::mail(1, 3_000);
    let done = delivered(mail.deliver(&content, &[home])[0]);
    assert_eq!((done.mailbox, done.uid), (MailboxId::INBOX, 1));

    let entries = inbox(&mail, home);
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].email, done.email);
    let expected = [&b"Return-Path: <sender@example.com>\r\n"[..], &content].concat();
    assert_eq!(content_of(&mail, home, &entries[0]), expected);
    assert_eq!(entries[0].size, expected.len() as u64);

    let row = mail.read_as(home, |tx| mailbox::mailbox(tx, MailboxId::INBOX)).unwrap().unwrap();
    assert_eq!((row.messages, row.unseen, row.uidnext, row.bytes), (1, 1, 2, expected.len() as u64));
    assert_eq!(mail.read_as(home, account::usage).unwrap(), Some((1, expected.len() as u64)));

    let record =
        mail.read(move |tx| hikyaku_trace::find(&mut tx.tenant(home.tenant), done.trace)).unwrap().unwrap();
    assert_eq!((record.account, record.email), (Some(home.account), Some(done.email)));
    assert_eq!(
        (record.reverse_path.as_str(), record.peer.as_deref()),
        ("sender@example.com", Some("192.0.2.1"))
    );
    assert_eq!(record.at(), RisingIds::time_of(done.trace.as_i64()));
    let foreign = TestStore::home(2, 1).tenant;
    let unseen = mail.read(move |tx| hikyaku_trace::find(&mut tx.tenant(foreign), done.trace)).unwrap();
    assert_eq!(unseen, None, "another tenant's trace is not found");
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn a_repeated_delivery_makes_no_second_copy(mail: TestStore) {
    let homes = [TestStore::home(1, 10), TestStore::home(1, 11)];
    let first = delivered(mail.deliver(&self::mail(1, 3_000), &homes[..1])[0]);
    // The peer lost our reply and sends to both again.
    let again = mail.deliver(&self::mail(1, 3_000), &homes);
    assert_eq!(again[0], Outcome::Duplicate(first.trace));
    delivered(again[1]);
    assert_eq!(inbox(&mail, homes[0]).len(), 1);
    assert_eq!(inbox(&mail, homes[1]).len(), 1);
    let tenant = homes[0].tenant;
    let rows = mail.read(move |tx| hikyaku_trace::newest(&mut tx.tenant(tenant), None, 10)).unwrap();
    let repeated = rows.iter().filter(|row| row.event == hikyaku_trace::Event::Duplicate);
    assert_eq!(
        repeated.map(|row| (row.account, row.email)).collect::<Vec<_>>(),
        [(Some(homes[0].account), None)]
    );
    let other = mail.deliver(&self::mail(2, 3_000), &homes[..1]);
    delivered(other[0]);
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn a_forgotten_key_admits_the_same_message_again(mail: TestStore) {
    let home = TestStore::home(1, 10);
    let content = self::mail(1, 3_000);
    let delivery = mail.delivery(&content, &[home]);
    let key = delivery.parts[0].recipients[0].key.unwrap();
    delivered(mail.carry_out(delivery).unwrap()[0]);
    mail.write(move |tx| deliver::forget_keys(tx, &[key])).unwrap();
    delivered(mail.deliver(&content, &[home])[0]);
    assert_eq!(inbox(&mail, home).len(), 2);
}

fn keys_expire(mail: TestStore) {
    let home = TestStore::home(1, 10);
    mail.deliver(&self::mail(1, 100), &[home]);
    let now = mail.clock.advance(std::time::Duration::from_secs(25 * 3600));
    let before = now.before(std::time::Duration::from_secs(24 * 3600));
    assert_eq!(mail.write(move |tx| deliver::expire_keys(tx, before)).unwrap(), 1);
    delivered(mail.deliver(&self::mail(1, 100), &[home])[0]);
}

fn many_accounts_share_one_content(mail: TestStore) {
    let homes: Vec<AccountHome> = (10..40).map(|account| TestStore::home(1, account)).collect();
    let content = self::mail(1, 20_000);
    for outcome in mail.deliver(&content, &homes) {
        delivered(outcome);
    }
    assert_eq!(count(&mail, "SELECT count(*) FROM content"), 1);
    assert_eq!(count(&mail, "SELECT refs FROM content"), 30);
    // The same again in another transaction finds it.
    mail.deliver(&content, &[TestStore::home(1, 50)]);
    assert_eq!(count(&mail, "SELECT count(*) FROM content"), 1);
    assert_eq!(count(&mail, "SELECT refs FROM content"), 31);
    assert!(content_of(&mail, homes[7], &inbox(&mail, homes[7])[0]).ends_with(&content));
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn tenants_do_not_share_content(mail: TestStore) {
    let content = self::mail(1, 20_000);
    let homes = [TestStore::home(1, 10), TestStore::home(2, 20)];
    for outcome in mail.deliver(&content, &homes) {
        delivered(outcome);
    }
    assert_eq!(count(&mail, "SELECT count(*) FROM content"), 2);
    assert_eq!(count(&mail, "SELECT count(*) FROM usage"), 2);
    assert!(content_of(&mail, homes[1], &inbox(&mail, homes[1])[0]).ends_with(&content));
}

fn a_large_content_is_an_object(mail: TestStore) {
    let homes = [TestStore::home(1, 10), TestStore::home(1, 11)];
    let content = noise(3, 1 << 20);
    mail.deliver(&content, &homes[..1]);
    assert_eq!(count(&mail, "SELECT count(*) FROM content WHERE object IS NOT NULL"), 1);
    assert_eq!(count(&mail, "SELECT count(*) FROM content_bytes"), 0);
    mail.deliver(&content, &homes[1..]);
    assert_eq!(count(&mail, "SELECT refs FROM content"), 2);
    let days = mail.block_on(mail.content.objects().days()).unwrap();
    let uploads = mail.block_on(mail.content.objects().uploaded_on(&days[0])).unwrap();
    assert_eq!(uploads.len(), 1, "the second delivery found its twin before it uploaded");
    assert!(content_of(&mail, homes[1], &inbox(&mail, homes[1])[0]).ends_with(&content));
}

fn small_contents_are_not_shared(mail: TestStore) {
    let content = self::mail(1, 3_000);
    mail.deliver(&content, &[TestStore::home(1, 10)]);
    mail.deliver(&content, &[TestStore::home(1, 11)]);
    assert_eq!(count(&mail, "SELECT count(*) FROM content"), 2);
}

fn a_full_account_refuses_for_all(mail: TestStore) {
    let homes = [TestStore::home(1, 10), TestStore::home(1, 11)];
    let mut delivery = mail.delivery(&self::mail(1, 3_000), &homes);
    delivery.parts[0].recipients[1].quota = Quota(Some(3_000));
    let error = mail.carry_out(delivery).unwrap_err();
    assert!(
        matches!(error, DeliverError::Full(QuotaError::Account(account)) if account == homes[1].account),
        "{error}"
    );
    assert!(inbox(&mail, homes[0]).is_empty());
    assert_eq!(count(&mail, "SELECT count(*) FROM content"), 0);
    assert_eq!(count(&mail, "SELECT count(*) FROM delivery_key"), 0);
    // With a little more room all of it goes.
    let mut delivery = mail.delivery(&self::mail(1, 3_000), &homes);
    delivery.parts[0].recipients[1].quota = Quota(Some(4_000));
    mail.carry_out(delivery).unwrap();
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn a_full_account_is_skipped(mail: TestStore) {
    let homes = [TestStore::home(1, 10), TestStore::home(1, 11)];
    let skipping = |content: &[u8], quota| {
        let mut delivery = mail.delivery(content, &homes);
        delivery.parts[0].recipients[0].quota = quota;
        delivery.if_full = IfFull::SkipRecipient;
        mail.carry_out(delivery).unwrap()
    };
    let outcomes = skipping(&self::mail(1, 3_000), Quota(Some(100)));
    assert_eq!(outcomes[0], Outcome::Full(homes[0].account));
    delivered(outcomes[1]);
    // A full box claims no copy: the next try is delivered.
    let outcomes = skipping(&self::mail(1, 3_000), Quota(None));
    delivered(outcomes[0]);
    assert!(matches!(outcomes[1], Outcome::Duplicate(_)));
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn a_full_pool_refuses(mail: TestStore) {
    let homes = [TestStore::home(1, 10), TestStore::home(1, 11)];
    let with_pool = |n, pool| {
        let mut delivery = mail.delivery(&self::mail(n, 3_000), &homes);
        delivery.parts[0].pool = Quota(Some(pool));
        mail.carry_out(delivery)
    };
    with_pool(1, 7_000).unwrap();
    let error = with_pool(2, 7_000).unwrap_err();
    assert!(matches!(error, DeliverError::Full(QuotaError::Tenant)), "{error}");
    with_pool(2, 14_000).unwrap();
    assert_eq!(inbox(&mail, homes[0]).len(), 2);
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn replies_join_their_thread(mail: TestStore) {
    let home = TestStore::home(1, 10);
    let hash = |name: &str| MessageHash::of(name.as_bytes());
    let deliver = |n: usize, own: &str, parents: &[&str]| {
        let mut delivery = mail.delivery(&self::mail(n, 200), &[home]);
        delivery.threading =
            Threading { own: Some(hash(own)), parents: parents.iter().map(|parent| hash(parent)).collect() };
        let id = delivered(mail.carry_out(delivery).unwrap()[0]).email;
        mail.read_as(home, move |tx| email::emails(tx, &[id])).unwrap()[0].thread
    };
    let question = deliver(1, "q", &[]);
    assert_eq!(deliver(2, "a", &["q"]), question);
    assert_eq!(deliver(3, "b", &["unknown", "q", "a"]), question);
    assert_ne!(deliver(4, "other", &[]), question);
    // A reply that is faster than its parent.
    let early = deliver(5, "reply", &["late"]);
    assert_eq!(deliver(6, "late", &[]), early);
    // Two without a Message-ID have nothing in common.
    let lone = |n| {
        let id = delivered(mail.deliver(&self::mail(n, 200), &[home])[0]).email;
        mail.read_as(home, move |tx| email::emails(tx, &[id])).unwrap()[0].thread
    };
    assert_ne!(lone(7), lone(8));
}

fn a_restart_keeps_everything(mut mail: TestStore) {
    let home = TestStore::home(1, 10);
    for n in 0..20 {
        mail.deliver(&self::mail(n, 2_000 * n), &[home]);
    }
    let before = inbox(&mail, home);
    mail.reopen();
    assert_eq!(inbox(&mail, home), before);
    assert!(content_of(&mail, home, &before[19]).ends_with(&self::mail(19, 38_000)));
    let last = mail.read(account::last_ids).unwrap();
    assert_eq!(last, before.iter().map(|entry| entry.email.as_i64()).max().unwrap());
    // A clock that was set back makes no id that was used.
    mail.ids = RisingIds::new(hikyaku_types::NodeId::new(1).unwrap());
    mail.ids.start_above(last.max(mail.read(hikyaku_trace::last_id).unwrap()));
    mail.clock.set(Timestamp::from_secs(1_000));
    delivered(mail.deliver(&self::mail(99, 500), &[home])[0]);
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn a_deleted_mailbox_falls_back_to_inbox(mail: TestStore) {
    let home = TestStore::home(1, 10);
    mail.deliver(&self::mail(1, 100), &[home]);
    let path = hikyaku_mailstore::MailboxPath::new(["Shop"]).unwrap();
    let shop =
        mail.write_as(home, move |tx| mailbox::create(tx, &path, hikyaku_mailstore::Role::None)).unwrap().id;
    let into_shop = |n| {
        let mut delivery = mail.delivery(&self::mail(n, 100), &[home]);
        delivery.parts[0].recipients[0].target = Target::Mailbox(shop);
        delivered(mail.carry_out(delivery).unwrap()[0]).mailbox
    };
    assert_eq!(into_shop(2), shop);
    mail.write_as(home, move |tx| mailbox::delete(tx, shop)).unwrap();
    assert_eq!(into_shop(3), MailboxId::INBOX);
    assert_eq!(mail.read(mailbox::hidden).unwrap(), [(home.tenant, home.account, shop)]);
    let now = mail.clock.advance(std::time::Duration::ZERO);
    while !mail.write_as(home, move |tx| mailbox::purge(tx, shop, now)).unwrap() {}
    assert_eq!(mail.read(mailbox::hidden).unwrap(), []);
    assert_eq!(mail.problems(), Vec::<String>::new());
    let scope = hikyaku_store::Scope::tenant_mail(&hikyaku_testkit::DELIVERY, home.tenant, SHARD).unwrap();
    let used = mail.block_on(mail.store.read(scope, "test", account::tenant_usage)).unwrap();
    assert_eq!(used.0, 2);
}

fn the_check_sees_counts_that_are_wrong(mail: TestStore) {
    let home = TestStore::home(1, 10);
    mail.deliver(&self::mail(1, 3_000), &[home]);
    mail.deliver(&self::mail(2, 20_000), &[home]);
    assert_eq!(mail.problems(), Vec::<String>::new());
    for (damage, problem) in [
        ("UPDATE usage SET bytes = bytes + 1", "usage keeps"),
        ("UPDATE content SET refs = refs + 1 WHERE hash IS NOT NULL", "keeps 2 references, there are 1"),
        ("UPDATE mailbox SET unseen = unseen + 1 WHERE mailbox = 1", "mailbox 1 keeps"),
        ("UPDATE mailbox SET bytes = bytes - 1 WHERE mailbox = 0", "the account keeps"),
        ("UPDATE email SET entries = entries + 1 WHERE size < 10000", "keeps 2 entries, rows say 1"),
        ("DELETE FROM entry WHERE uid = 1", "its emails keep"),
    ] {
        let damage = Sql::new(damage);
        mail.write::<_, StoreError, _>(move |tx| tx.execute(damage, &[])).unwrap();
        let found = mail.problems();
        assert!(found.iter().any(|found| found.contains(problem)), "{problem} in {found:?}");
    }
}
