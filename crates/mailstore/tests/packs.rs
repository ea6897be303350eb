//! Packs: made in order, counted when messages go, tidied, made anew, gone with their mailbox.

use hikyaku_mailstore::pack::{self, Listing, Pack, PackWriter, Place, TEXTS, Wanted};
use hikyaku_mailstore::{MailboxId, MailboxPath, Quota, Role, entry, mailbox};
use hikyaku_store::{AccountHome, StoreError};
use hikyaku_testkit::{TestStore, both_engines};
use hikyaku_types::{Clock, ThreadId};

both_engines! {
    packs_come_behind_each_other
    what_is_expunged_is_taken_out
    what_goes_while_a_pack_is_made_is_counted
    another_version_is_made_anew
    packs_go_with_their_mailbox
}

const INBOX: MailboxId = MailboxId::INBOX;

fn ann() -> AccountHome {
    TestStore::home(1, 1)
}

/// Delivers messages with these numbers: an equal one would count as a repeated delivery.
fn with_mail(mail: &TestStore, numbers: std::ops::Range<u32>) {
    for number in numbers {
        mail.deliver(format!("Subject: {number}\r\n\r\n").as_bytes(), &[ann()]);
    }
}

fn wanted(mail: &TestStore, version: i64) -> Option<Wanted> {
    mail.read_as::<_, StoreError, _>(ann(), move |tx| pack::wanted(tx, INBOX, version, 4)).unwrap()
}

/// Keeps a pack of what was wanted, whose texts say which message they are about.
fn keep(mail: &TestStore, wanted: &Wanted, version: i64) {
    let mut writer = PackWriter::default();
    for entry in &wanted.entries {
        let text = entry.uid.to_string();
        writer.push(&Listing {
            uid: entry.uid,
            email: entry.email,
            thread: ThreadId::from_i64(1).unwrap(),
            received_at: entry.saved_at,
            texts: [text.as_bytes(); TEXTS],
        });
    }
    let (new, wanted) = (writer.finish(), wanted.clone());
    mail.write_as::<_, StoreError, _>(ann(), move |tx| pack::keep(tx, INBOX, &wanted, &new, version))
        .unwrap();
}

fn make_all(mail: &TestStore, version: i64) {
    while let Some(wanted) = wanted(mail, version) {
        keep(mail, &wanted, version);
    }
}

/// The UIDs of each pack of a version.
fn packed(mail: &TestStore, version: i64) -> Vec<Vec<u32>> {
    let stored =
        mail.read_as::<_, StoreError, _>(ann(), move |tx| pack::packs_from(tx, INBOX, 1, version, 9));
    let uids = |(last, bytes): (u32, Vec<u8>)| {
        let pack = Pack::read(&bytes).unwrap();
        let uids: Vec<u32> = pack.listings().map(|listing| listing.uid).collect();
        assert!(uids.iter().all(|uid| *uid <= last));
        assert!(pack.listings().all(|listing| listing.texts[0] == listing.uid.to_string().as_bytes()));
        uids
    };
    stored.unwrap().into_iter().map(uids).collect()
}

fn expunge(mail: &TestStore, uids: &'static [u32]) {
    let now = mail.clock.now();
    mail.write_as(ann(), move |tx| entry::expunge(tx, INBOX, uids, now)).unwrap();
}

fn tidy(mail: &TestStore) -> Vec<u32> {
    let untidy: Vec<Place> = mail.read::<_, StoreError, _>(|tx| pack::untidy(tx, None)).unwrap();
    for place in untidy.clone() {
        mail.write_as::<_, StoreError, _>(ann(), move |tx| pack::tidy(tx, place.mailbox, place.last_uid))
            .unwrap();
    }
    untidy.into_iter().map(|place| place.last_uid).collect()
}

fn packs_come_behind_each_other(mail: TestStore) {
    with_mail(&mail, 0..11);
    let first = wanted(&mail, 1).unwrap();
    keep(&mail, &first, 1);
    keep(&mail, &first, 1);
    assert_eq!(packed(&mail, 1), [[1, 2, 3, 4]], "once is enough");
    make_all(&mail, 1);
    assert_eq!(packed(&mail, 1), [[1, 2, 3, 4], [5, 6, 7, 8]], "three are too few");
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn what_is_expunged_is_taken_out(mail: TestStore) {
    with_mail(&mail, 0..13);
    make_all(&mail, 1);
    assert_eq!(tidy(&mail), [0; 0]);
    expunge(&mail, &[2, 4, 9, 10, 11, 12, 13]);
    assert_eq!(tidy(&mail), [4, 12]);
    assert_eq!(packed(&mail, 1), [vec![1, 3], vec![5, 6, 7, 8]]);
    assert_eq!(tidy(&mail), [0; 0], "nothing is left to do");
    with_mail(&mail, 13..17);
    make_all(&mail, 1);
    assert_eq!(packed(&mail, 1), [vec![1, 3], vec![5, 6, 7, 8], vec![14, 15, 16, 17]]);
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn what_goes_while_a_pack_is_made_is_counted(mail: TestStore) {
    with_mail(&mail, 0..4);
    let made = wanted(&mail, 1).unwrap();
    expunge(&mail, &[3, 4]);
    keep(&mail, &made, 1);
    assert_eq!(packed(&mail, 1), [[1, 2, 3, 4]]);
    assert_eq!(tidy(&mail), [4]);
    assert_eq!(packed(&mail, 1), [[1, 2]]);
}

fn another_version_is_made_anew(mail: TestStore) {
    with_mail(&mail, 0..8);
    make_all(&mail, 1);
    expunge(&mail, &[4, 5, 6, 7, 8]);
    assert_eq!(packed(&mail, 2), [[0u32; 0]; 0]);
    let two = wanted(&mail, 2).unwrap();
    make_all(&mail, 2);
    keep(&mail, &two, 2);
    assert_eq!(packed(&mail, 2), [[1, 2, 3]], "the pack of what is gone goes, too");
    assert_eq!(packed(&mail, 1), [[0u32; 0]; 0]);
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn packs_go_with_their_mailbox(mail: TestStore) {
    with_mail(&mail, 0..8);
    let now = mail.clock.now();
    let id = mail
        .write_as(ann(), move |tx| {
            let path = MailboxPath::new(["Old"])?;
            mailbox::create(tx, &path, Role::None).map(|made| made.id)
        })
        .unwrap();
    mail.write_as(ann(), move |tx| {
        entry::copy(tx, INBOX, &[1, 2, 3, 4, 5, 6, 7, 8], id, (Quota(None), Quota(None)), now)
    })
    .unwrap();
    let made =
        mail.read_as::<_, StoreError, _>(ann(), move |tx| pack::wanted(tx, id, 1, 8)).unwrap().unwrap();
    mail.write_as::<_, StoreError, _>(ann(), move |tx| {
        pack::keep(tx, id, &made, &PackWriter::default().finish(), 1)
    })
    .unwrap();
    assert_eq!(
        mail.read_as::<_, StoreError, _>(ann(), move |tx| pack::packs_from(tx, id, 1, 1, 9)).unwrap().len(),
        1
    );
    mail.write_as(ann(), move |tx| mailbox::delete(tx, id)).unwrap();
    while !mail.write_as(ann(), move |tx| mailbox::purge(tx, id, now)).unwrap() {}
    let left = mail.read_as::<_, StoreError, _>(ann(), move |tx| pack::packs_from(tx, id, 1, 1, 9)).unwrap();
    assert_eq!(left, []);
    assert_eq!(mail.problems(), Vec::<String>::new());
}
