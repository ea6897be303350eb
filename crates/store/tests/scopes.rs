//! A scope's transaction never sees or changes rows of another account or tenant.

use hikyaku_mailstore::{
    Change, Delivered, Flags, Keywords, MailboxId, Outcome, account, email, entry, mailbox,
};
use hikyaku_store::{
    AccountHome, AccountSql, Placement, Scope, Sql, StoreError, TenantSql, TenantTx, placement, release,
    share,
};
use hikyaku_testkit::{DELIVERY, SHARD, TestStore, both_engines};
use hikyaku_types::{Actor, ContentId};

both_engines! {
    an_account_sees_no_mail_of_another
    an_account_changes_no_mail_of_another
    a_tenant_sees_nothing_of_another
    a_tenant_changes_nothing_of_another
}

/// Mail for two accounts of one tenant and one of another.
struct Neighbours {
    mail: TestStore,
    ours: AccountHome,
    theirs: [AccountHome; 2],
    /// What each of `theirs` got.
    delivered: Vec<Delivered>,
}

fn neighbours(mail: TestStore) -> Neighbours {
    let ours = TestStore::home(1, 10);
    let theirs = [TestStore::home(1, 11), TestStore::home(2, 20)];
    mail.deliver(b"Subject: ours\r\n\r\nours", &[ours]);
    let delivered = mail
        .deliver(b"Subject: theirs\r\n\r\ntheirs", &theirs)
        .into_iter()
        .map(|outcome| match outcome {
            Outcome::Delivered(delivered) => delivered,
            other => panic!("{other:?}"),
        })
        .collect();
    Neighbours { mail, ours, theirs, delivered }
}

fn contents_of(mail: &TestStore, home: AccountHome) -> Vec<ContentId> {
    const CONTENTS: Sql = Sql::new("SELECT content FROM email WHERE account = $1 ORDER BY id");
    mail.read::<_, StoreError, _>(move |tx| tx.rows(CONTENTS, &[home.account.into()], |row| row.get(0)))
        .unwrap()
}

fn an_account_sees_no_mail_of_another(mail: TestStore) {
    let Neighbours { mail, ours, delivered, .. } = neighbours(mail);
    let mine = mail.read_as(ours, |tx| entry::entries(tx, MailboxId::INBOX, 0, 500)).unwrap();
    assert_eq!(mine.len(), 1);
    for foreign in delivered {
        let emails = mail.read_as(ours, move |tx| email::emails(tx, &[foreign.email])).unwrap();
        assert_eq!(emails, []);
    }
    // The compiler cannot see that this forgets its account; on PostgreSQL the policy does.
    const FORGETS: AccountSql = AccountSql::new("SELECT account FROM mailbox WHERE $1 > 0 AND mailbox = 0");
    if matches!(mail.location, hikyaku_store::Location::Postgres { .. }) {
        let seen =
            mail.read_as::<Vec<i64>, StoreError, _>(ours, |tx| tx.rows(FORGETS, &[], |row| row.get(0)));
        assert_eq!(seen.unwrap(), [ours.account.as_i64()]);
    }
}

fn an_account_changes_no_mail_of_another(mail: TestStore) {
    let Neighbours { mail, ours, theirs, delivered } = neighbours(mail);
    let state = |home| {
        mail.read_as::<_, StoreError, _>(home, |tx| {
            Ok((mailbox::list(tx, MailboxId::ROOT, 100)?, entry::entries(tx, MailboxId::INBOX, 0, 500)?))
        })
        .unwrap()
    };
    let before = theirs.map(state);
    let now = mail.clock.advance(std::time::Duration::from_secs(1));
    mail.write_as::<_, entry::FlagsError, _>(ours, move |tx| {
        let all: Vec<u32> = (1..50).collect();
        let change = Change::Add(Flags::SEEN.with(Flags::DELETED), Keywords::new(["mine"]));
        entry::store_flags(tx, MailboxId::INBOX, &all, &change, None)?;
        Ok(entry::expunge(tx, MailboxId::INBOX, &all, now).map(drop)?)
    })
    .unwrap();
    mail.write_as::<_, hikyaku_mailstore::MailboxError, _>(ours, |tx| {
        let list = mailbox::list(tx, MailboxId::ROOT, 100)?;
        for old in list.iter().filter(|mailbox| mailbox.id != MailboxId::INBOX) {
            mailbox::delete(tx, old.id)?;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(theirs.map(state), before);
    for (home, foreign) in theirs.into_iter().zip(delivered) {
        let found = mail.read_as(home, move |tx| email::emails(tx, &[foreign.email])).unwrap();
        assert_eq!(found.len(), 1);
    }
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn as_tenant<T: Send + 'static>(
    mail: &TestStore,
    tenant: i64,
    closure: impl Fn(&mut TenantTx<'_>) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let tenant = TestStore::home(tenant, 1).tenant;
    let scope = Scope::tenant_mail(&Actor::Administrator { tenant }, tenant, SHARD).unwrap();
    mail.block_on(mail.store.write(scope, "test.as_tenant", closure))
}

fn a_tenant_sees_nothing_of_another(mail: TestStore) {
    let Neighbours { mail, theirs, delivered, .. } = neighbours(mail);
    let content = contents_of(&mail, theirs[1])[0];
    let (trace, email) = (delivered[1].trace, delivered[1].email);
    assert!(matches!(as_tenant(&mail, 2, move |tx| placement(tx, content)), Ok(Some(Placement::Inline(_)))));
    assert_eq!(as_tenant(&mail, 1, move |tx| placement(tx, content)), Ok(None));
    assert_eq!(as_tenant(&mail, 2, account::tenant_usage).unwrap().0, 1);
    assert_eq!(as_tenant(&mail, 1, account::tenant_usage).unwrap().0, 2);
    assert_eq!(as_tenant(&mail, 3, account::tenant_usage), Ok((0, 0)));
    let found = as_tenant(&mail, 2, move |tx| hikyaku_trace::find(tx, trace)).unwrap();
    assert_eq!(found.unwrap().email, Some(email));
    assert_eq!(as_tenant(&mail, 1, move |tx| hikyaku_trace::find(tx, trace)), Ok(None));
    assert_eq!(as_tenant(&mail, 1, |tx| hikyaku_trace::newest(tx, None, 100)).unwrap().len(), 2);
    const FORGETS: TenantSql = TenantSql::new("SELECT tenant FROM usage WHERE $1 > 0");
    if matches!(mail.location, hikyaku_store::Location::Postgres { .. }) {
        let seen = as_tenant::<Vec<i64>>(&mail, 2, |tx| tx.rows(FORGETS, &[], |row| row.get(0)));
        assert_eq!(seen, Ok(vec![2]));
        // A tenant's scope is none of an account's: it reads no mail at all.
        const MAIL: TenantSql = TenantSql::new("SELECT account FROM mailbox WHERE $1 > 0");
        assert_eq!(as_tenant::<Vec<i64>>(&mail, 2, |tx| tx.rows(MAIL, &[], |row| row.get(0))), Ok(vec![]));
    }
}

fn a_tenant_changes_nothing_of_another(mail: TestStore) {
    let Neighbours { mail, theirs, .. } = neighbours(mail);
    let content = contents_of(&mail, theirs[1])[0];
    let now = mail.clock.advance(std::time::Duration::ZERO);
    assert_eq!(as_tenant(&mail, 1, move |tx| share(tx, content, 1)), Ok(false));
    assert!(as_tenant(&mail, 1, move |tx| release(tx, content, 1, now)).is_err());
    assert_eq!(mail.problems(), Vec::<String>::new());
    // The service names a tenant for each part of its work, and is held to it.
    let scope = Scope::service(&DELIVERY, SHARD, None).unwrap();
    let tenant = TestStore::home(1, 1).tenant;
    let shared = mail.store.write(scope, "test.service", move |tx| share(&mut tx.tenant(tenant), content, 1));
    assert_eq!(mail.block_on(shared), Ok(false));
}
