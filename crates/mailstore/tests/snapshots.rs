//! Snapshots: what they have, what replaces them, and when they go. What happens in between is
//! for the simulation (`entries_simulation.rs`).

use std::time::Duration;

use hikyaku_mailstore::snapshot::{self, NewPart, Part, Snapshot};
use hikyaku_mailstore::{
    Change, Entry, Flags, Keywords, MailboxId, MailboxPath, Quota, Role, entry, mailbox,
};
use hikyaku_store::{AccountHome, AccountSql, StoreError};
use hikyaku_testkit::{TestStore, both_engines};
use hikyaku_types::Clock;

both_engines! {
    parts_have_what_was_there
    what_came_after_is_counted
    the_last_part_replaces_all_behind_it
    a_part_that_overlaps_is_not_used
    an_older_part_that_comes_late_is_another
    snapshots_go_with_forgotten_expunges
    snapshots_go_with_their_mailbox
    what_is_wrong_is_found
}

const INBOX: MailboxId = MailboxId::INBOX;
const PART: u16 = 4;

fn ann() -> AccountHome {
    TestStore::home(1, 1)
}

/// Delivers messages with these numbers: an equal one would count as a repeated delivery.
fn with_mail(mail: &TestStore, numbers: std::ops::Range<u32>) {
    for number in numbers {
        mail.deliver(format!("Subject: {number}\r\n\r\n").as_bytes(), &[ann()]);
    }
}

fn made(mail: &TestStore, id: MailboxId, first: u32) -> (NewPart, Option<u32>) {
    let wanted = mail
        .read_as::<_, StoreError, _>(ann(), move |tx| snapshot::wanted(tx, id, first, PART))
        .unwrap()
        .expect("the mailbox is there");
    let next = wanted.entries.last().filter(|_| !wanted.is_last).map(|last| last.uid + 1);
    (NewPart::of(&wanted), next)
}

fn keep(mail: &TestStore, id: MailboxId, new: NewPart) {
    mail.write_as::<_, StoreError, _>(ann(), move |tx| snapshot::keep(tx, id, &new)).unwrap();
}

fn make(mail: &TestStore, id: MailboxId) {
    let mut next = Some(1);
    while let Some(first) = next {
        let (new, behind) = made(mail, id, first);
        keep(mail, id, new);
        next = behind;
    }
}

fn found(mail: &TestStore, most: u16) -> Option<Snapshot> {
    mail.read_as::<_, StoreError, _>(ann(), move |tx| {
        let row = mailbox::mailbox(tx, INBOX)?.expect("INBOX is there");
        snapshot::snapshot(tx, &row, most)
    })
    .unwrap()
}

/// First and last UID of each part.
fn ranges(mail: &TestStore) -> Vec<(u32, u32)> {
    let parts = found(mail, 9).map(|snapshot| snapshot.parts).unwrap_or_default();
    parts.iter().map(|part| (part.first, part.last)).collect()
}

fn read(mail: &TestStore, part: Part) -> Option<Vec<Entry>> {
    mail.read_as::<_, StoreError, _>(ann(), move |tx| snapshot::read(tx, INBOX, &part)).unwrap()
}

fn expunge(mail: &TestStore, uids: &'static [u32]) {
    let now = mail.clock.now();
    mail.write_as(ann(), move |tx| entry::expunge(tx, INBOX, uids, now)).unwrap();
}

fn mark(mail: &TestStore, uids: &'static [u32]) {
    let change = Change::Add(Flags::FLAGGED, Keywords::new(["later"]));
    mail.write_as(ann(), move |tx| entry::store_flags(tx, INBOX, uids, &change, None)).unwrap();
}

/// Changes rows behind everybody's back.
fn tamper(mail: &TestStore, sql: &'static str) {
    let rows = mail.write_as::<_, StoreError, _>(ann(), move |tx| tx.execute(AccountSql::new(sql), &[]));
    assert!(rows.unwrap() > 0);
}

fn parts_have_what_was_there(mail: TestStore) {
    with_mail(&mail, 0..10);
    expunge(&mail, &[3, 9]);
    mark(&mail, &[2, 8]);
    assert_eq!(found(&mail, 9), None);
    make(&mail, INBOX);
    let snapshot = found(&mail, 9).unwrap();
    assert_eq!(ranges(&mail), [(1, 5), (6, 10)]);
    assert_eq!(snapshot.changes, 0);
    let entries = mail.read_as(ann(), |tx| entry::entries(tx, INBOX, 0, 99)).unwrap();
    let kept: Vec<Entry> = snapshot.parts.iter().flat_map(|part| read(&mail, *part).unwrap()).collect();
    assert_eq!(kept, entries);
    assert_eq!(read(&mail, Part { first: 2, ..snapshot.parts[0] }), None, "another part");
}

fn what_came_after_is_counted(mail: TestStore) {
    with_mail(&mail, 0..8);
    make(&mail, INBOX);
    mark(&mail, &[1, 2, 5]);
    expunge(&mail, &[7, 8]);
    with_mail(&mail, 8..10);
    assert_eq!(found(&mail, 9).unwrap().changes, 5, "what arrived is not among them");
    assert_eq!(found(&mail, 2).unwrap().changes, 4, "two of each kind");
    make(&mail, INBOX);
    assert_eq!(found(&mail, 9).unwrap().changes, 0);
    assert_eq!(ranges(&mail), [(1, 4), (5, 10)]);
}

fn the_last_part_replaces_all_behind_it(mail: TestStore) {
    with_mail(&mail, 0..12);
    make(&mail, INBOX);
    assert_eq!(ranges(&mail), [(1, 4), (5, 8), (9, 12)]);
    expunge(&mail, &[9, 10, 11, 12]);
    make(&mail, INBOX);
    assert_eq!(ranges(&mail), [(1, 4), (5, 8)], "the step behind them was empty");
    expunge(&mail, &[1, 2, 3, 4, 5, 6, 7]);
    make(&mail, INBOX);
    assert_eq!(ranges(&mail), [(1, 8)]);
    expunge(&mail, &[8]);
    make(&mail, INBOX);
    assert_eq!(found(&mail, 9), None);
}

/// Two nodes may make a snapshot at once.
fn a_part_that_overlaps_is_not_used(mail: TestStore) {
    with_mail(&mail, 0..12);
    make(&mail, INBOX);
    tamper(&mail, "UPDATE snapshot SET first_uid = 3 WHERE account = $1 AND last_uid = 8");
    assert_eq!(ranges(&mail), [(1, 4), (9, 12)]);
    make(&mail, INBOX);
    assert_eq!(ranges(&mail), [(1, 4), (5, 8), (9, 12)]);
}

/// Between the look at the parts and the reading of one.
fn an_older_part_that_comes_late_is_another(mail: TestStore) {
    with_mail(&mail, 0..4);
    let (old, _) = made(&mail, INBOX, 1);
    mark(&mail, &[2]);
    make(&mail, INBOX);
    let newer = found(&mail, 9).unwrap();
    keep(&mail, INBOX, old);
    assert_eq!(read(&mail, newer.parts[0]), None);
    let older = found(&mail, 9).unwrap();
    assert_eq!((older.parts.len(), older.changes), (1, 1));
    assert!(read(&mail, older.parts[0]).is_some());
}

fn snapshots_go_with_forgotten_expunges(mail: TestStore) {
    with_mail(&mail, 0..8);
    let (early, _) = made(&mail, INBOX, 1);
    make(&mail, INBOX);
    expunge(&mail, &[1]);
    let (late, _) = made(&mail, INBOX, 5);
    keep(&mail, INBOX, late);
    assert_eq!(ranges(&mail), [(1, 4), (5, 8)]);
    let before = mail.clock.now().after(Duration::from_secs(1));
    assert!(mail.write_as(ann(), move |tx| entry::forget_expunges(tx, INBOX, before)).unwrap());
    assert_eq!(ranges(&mail), [(5, 8)], "the other part still has what was expunged");
    keep(&mail, INBOX, early);
    assert_eq!(ranges(&mail), [(5, 8)], "too late");
}

fn snapshots_go_with_their_mailbox(mail: TestStore) {
    mail.deliver(b"\r\n", &[ann()]);
    let old = mail
        .write_as(ann(), |tx| mailbox::create(tx, &MailboxPath::new(["Old"]).unwrap(), Role::None))
        .unwrap()
        .id;
    let now = mail.clock.now();
    mail.write_as(ann(), move |tx| {
        entry::copy(tx, INBOX, &[1, 1], old, (Quota(None), Quota(None)), now).map(drop)
    })
    .unwrap();
    make(&mail, old);
    let (late, _) = made(&mail, old, 1);
    let kept = |mail: &TestStore| {
        const COUNT: AccountSql = AccountSql::new("SELECT count(*) FROM snapshot WHERE account = $1");
        mail.read_as::<_, StoreError, _>(ann(), |tx| tx.row(COUNT, &[], |row| row.get::<i64>(0))).unwrap()
    };
    assert_eq!(kept(&mail), Some(1));
    mail.write_as(ann(), move |tx| mailbox::delete(tx, old)).unwrap();
    while !mail.write_as(ann(), move |tx| mailbox::purge(tx, old, now)).unwrap() {}
    assert_eq!(kept(&mail), Some(0));
    keep(&mail, old, late);
    assert_eq!(kept(&mail), Some(0), "nothing comes behind its mailbox");
}

fn what_is_wrong_is_found(mail: TestStore) {
    with_mail(&mail, 0..6);
    make(&mail, INBOX);
    mark(&mail, &[1]);
    assert_eq!(mail.problems(), Vec::<String>::new());
    tamper(&mail, "UPDATE entry SET size = 5 WHERE account = $1 AND uid = 6");
    let wrong = "mailbox 1 has a snapshot from 5 to 6, which is wrong about UID 6";
    assert!(mail.problems().iter().any(|problem| problem.ends_with(wrong)), "{:?}", mail.problems());
    tamper(&mail, "UPDATE snapshot SET bytes = substr(bytes, 1, 9) WHERE account = $1 AND first_uid = 1");
    let unreadable = "mailbox 1 has a snapshot from 1 to 4 that cannot be read";
    assert!(mail.problems().iter().any(|problem| problem.ends_with(unreadable)), "{:?}", mail.problems());
    assert_eq!(read(&mail, found(&mail, 9).unwrap().parts[0]), None);
}
