//! The life of content on both engines: live, dead, removed; uploads that nobody named.

use std::time::Duration;

use hikyaku_mailstore::{MailboxId, Outcome, entry};
use hikyaku_store::{AccountHome, Sql, StoreError};
use hikyaku_testkit::{Rng, SHARD, TestStore, both_engines};
use hikyaku_types::Clock;

both_engines! {
    the_last_reference_makes_content_dead_and_the_window_removes_it
    dead_content_is_never_revived
    a_sweep_that_was_broken_off_goes_on
    uploads_that_no_row_names_are_removed_by_day
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Bytes that do not compress: 200 KB of them are an object.
fn noise(seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; 200_000];
    Rng::new(seed).fill(&mut bytes);
    bytes
}

fn count(mail: &TestStore, sql: &'static str) -> i64 {
    let text = Sql::new(sql);
    mail.read::<_, StoreError, _>(move |tx| tx.row(text, &[], |row| row.get(0))).unwrap().unwrap()
}

fn expunge_all(mail: &TestStore, home: AccountHome) {
    let now = mail.clock.now();
    mail.write_as(home, move |tx| {
        let uids: Vec<u32> =
            entry::entries(tx, MailboxId::INBOX, 0, 100)?.iter().map(|entry| entry.uid).collect();
        entry::expunge(tx, MailboxId::INBOX, &uids, now)
    })
    .unwrap();
}

fn objects(mail: &TestStore) -> usize {
    let objects = mail.content.objects();
    mail.block_on(async {
        let mut count = 0;
        for day in objects.days().await.unwrap() {
            count += objects.uploaded_on(&day).await.unwrap().len();
        }
        count
    })
}

fn sweep(mail: &TestStore) -> usize {
    mail.block_on(mail.content.sweep(&mail.store, SHARD, mail.clock.now())).unwrap()
}

fn the_last_reference_makes_content_dead_and_the_window_removes_it(mail: TestStore) {
    let homes = [TestStore::home(1, 10), TestStore::home(1, 11)];
    mail.deliver(&noise(1), &homes);
    mail.deliver(b"Subject: small\r\n\r\nin a row\r\n", &homes[..1]);
    expunge_all(&mail, homes[0]);
    assert_eq!(
        count(&mail, "SELECT count(*) FROM content WHERE state = 0"),
        1,
        "the other account has the large one"
    );
    expunge_all(&mail, homes[1]);
    assert_eq!(count(&mail, "SELECT count(*) FROM content WHERE state = 1"), 2);
    mail.clock.advance(13 * DAY);
    assert_eq!(sweep(&mail), 0, "a backup of these days may need it");
    assert_eq!(objects(&mail), 1);
    mail.clock.advance(2 * DAY);
    assert_eq!(sweep(&mail), 2);
    assert_eq!(sweep(&mail), 0);
    assert_eq!((objects(&mail), count(&mail, "SELECT count(*) FROM content_bytes")), (0, 0));
    assert_eq!(count(&mail, "SELECT count(*) FROM content"), 0);
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn dead_content_is_never_revived(mail: TestStore) {
    let home = TestStore::home(1, 10);
    mail.deliver(&noise(1), &[home]);
    expunge_all(&mail, home);
    let mut delivery = mail.delivery(&noise(1), &[home]);
    delivery.parts[0].recipients[0].key = None;
    assert!(matches!(mail.carry_out(delivery).unwrap()[0], Outcome::Delivered(_)));
    assert_eq!(count(&mail, "SELECT count(*) FROM content WHERE state = 0"), 1);
    assert_eq!((count(&mail, "SELECT count(*) FROM content"), objects(&mail)), (2, 2));
    mail.clock.advance(15 * DAY);
    assert_eq!(sweep(&mail), 1);
    assert_eq!((count(&mail, "SELECT count(*) FROM content"), objects(&mail)), (1, 1));
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn a_sweep_that_was_broken_off_goes_on(mail: TestStore) {
    let home = TestStore::home(1, 10);
    mail.deliver(&noise(1), &[home]);
    expunge_all(&mail, home);
    mail.clock.advance(15 * DAY);
    // As after a crash between the removal of the object and that of its row.
    mail.write::<_, StoreError, _>(|tx| tx.execute(Sql::new("UPDATE content SET state = 2"), &[])).unwrap();
    std::fs::remove_dir_all(mail.folder().join("objects")).unwrap();
    std::fs::create_dir(mail.folder().join("objects")).unwrap();
    assert_eq!(sweep(&mail), 1);
    assert_eq!(count(&mail, "SELECT count(*) FROM content"), 0);
}

fn uploads_that_no_row_names_are_removed_by_day(mail: TestStore) {
    let home = TestStore::home(1, 10);
    mail.deliver(&noise(1), &[home]);
    // Prepared and never named: what a crash between upload and commit leaves.
    drop(mail.delivery(&noise(2), &[home]));
    assert_eq!(objects(&mail), 2);
    let sweep = || mail.block_on(mail.content.sweep_uploads(&mail.store, mail.clock.now())).unwrap();
    mail.clock.advance(DAY);
    assert_eq!(sweep(), 0, "its transaction may still be under way");
    mail.clock.advance(2 * DAY);
    assert_eq!(sweep(), 1);
    assert_eq!((sweep(), objects(&mail)), (0, 1));
    assert_eq!(mail.problems(), Vec::<String>::new());
}
