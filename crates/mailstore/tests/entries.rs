//! What IMAP does to messages and mailboxes, rule by rule, on both engines.
//!
//! Standards: RFC 9051 section 6.3 (mailboxes) and 6.4 (STORE, COPY, MOVE, EXPUNGE), RFC 7162
//! (modseq, UNCHANGEDSINCE).

use std::time::Duration;

use hikyaku_mailstore::email::{AppendError, AppendedEmail};
use hikyaku_mailstore::entry::{Copied, Point};
use hikyaku_mailstore::{
    Change, CopyError, Entry, Flags, Keywords, Mailbox, MailboxError, MailboxId, MailboxPath, Outcome, Quota,
    QuotaError, Role, Target, Threading, account, append, email, entry, mailbox, subscription,
};
use hikyaku_store::{AccountHome, Sql, StoreError};
use hikyaku_testkit::{Rng, SHARD, TestStore, both_engines};
use hikyaku_types::{Clock, ContentId, EmailId, Timestamp};

both_engines! {
    what_lost_its_mark_meanwhile_is_not_expunged
    more_keywords_than_a_message_may_have_are_refused
    flags_are_replaced_added_and_removed
    a_change_that_changes_nothing_leaves_the_modseq
    unchangedsince_protects_what_changed_later
    neighbours_that_are_not_meant_stay_as_they_are
    copies_are_entries_of_the_same_email
    a_copy_that_does_not_fit_copies_nothing
    a_copy_into_its_own_mailbox_gets_new_uids
    a_move_keeps_flags_and_leaves_tombstones
    a_uid_named_twice_is_meant_once
    an_email_goes_with_its_last_entry
    appended_messages_have_consecutive_uids
    equal_appends_are_two_messages
    an_append_that_does_not_fit_appends_nothing
    an_append_whose_twin_died_is_stored_again
    mailboxes_are_made_with_those_above_them
    a_rename_takes_children_along
    a_rename_that_cannot_be
    a_deleted_mailbox_is_gone_at_once
    uidvalidity_is_never_given_again
    subscriptions
    names_stay_subscribed_without_their_mailboxes
    subscribed_names_are_bounded
    the_root_and_what_is_deleted_are_no_mailboxes
    changes_are_found_since_a_modseq
    the_newest_entries_are_found_by_their_modseq
    old_expunges_are_forgotten
    expunges_are_found_in_steps
    an_account_that_is_not_here
    an_account_is_removed_with_all_that_it_has
}

const INBOX: MailboxId = MailboxId::INBOX;
const ARCHIVE: MailboxId = MailboxId::from_i64(4);
const NO_LIMIT: (Quota, Quota) = (Quota(None), Quota(None));
const ALL: Point = Point { modseq: 0, uid: u32::MAX };

fn home() -> AccountHome {
    TestStore::home(1, 10)
}

/// An account with so many messages of 100 octets content in its INBOX.
fn with_mail(mail: &TestStore, count: usize) -> AccountHome {
    for n in 0..count {
        mail.deliver(&content(n, 100), &[home()]);
    }
    home()
}

fn content(n: usize, size: usize) -> Vec<u8> {
    let mut content = format!("Subject: {n}\r\n\r\n").into_bytes();
    content.resize(size, b'x');
    content
}

fn entries(mail: &TestStore, id: MailboxId) -> Vec<Entry> {
    mail.read_as(home(), move |tx| entry::entries(tx, id, 0, 500)).unwrap()
}

fn uids(mail: &TestStore, id: MailboxId) -> Vec<u32> {
    entries(mail, id).iter().map(|entry| entry.uid).collect()
}

fn row(mail: &TestStore, id: MailboxId) -> Mailbox {
    mail.read_as(home(), move |tx| mailbox::mailbox(tx, id)).unwrap().expect("the mailbox is there")
}

fn now(mail: &TestStore) -> Timestamp {
    mail.clock.advance(Duration::from_secs(1))
}

fn count(mail: &TestStore, sql: &'static str) -> i64 {
    let sql = Sql::new(sql);
    mail.read::<_, StoreError, _>(move |tx| tx.row(sql, &[], |row| row.get(0))).unwrap().unwrap()
}

fn store_flags(
    mail: &TestStore,
    uids: &[u32],
    change: Change,
    unchanged_since: Option<i64>,
) -> entry::Stored {
    let uids = uids.to_vec();
    mail.write_as(home(), move |tx| entry::store_flags(tx, INBOX, &uids, &change, unchanged_since)).unwrap()
}

fn copy(mail: &TestStore, uids: &[u32], to: MailboxId, limits: (Quota, Quota)) -> Result<Copied, CopyError> {
    let (uids, now) = (uids.to_vec(), now(mail));
    mail.write_as(home(), move |tx| entry::copy(tx, INBOX, &uids, to, limits, now))
}

fn move_to(mail: &TestStore, uids: &[u32], to: MailboxId) -> Result<Copied, CopyError> {
    let (uids, now) = (uids.to_vec(), now(mail));
    mail.write_as(home(), move |tx| entry::move_entries(tx, INBOX, &uids, to, now))
}

fn expunge(mail: &TestStore, from: MailboxId, uids: &[u32]) -> entry::Expunged {
    let (uids, now) = (uids.to_vec(), now(mail));
    mail.write_as(home(), move |tx| entry::expunge(tx, from, &uids, now)).unwrap()
}

fn path(text: &str) -> MailboxPath {
    MailboxPath::new(text.split('/')).unwrap()
}

fn create(mail: &TestStore, text: &str) -> Result<Mailbox, MailboxError> {
    let path = path(text);
    mail.write_as(home(), move |tx| mailbox::create(tx, &path, Role::None))
}

fn rename(mail: &TestStore, id: MailboxId, text: &str) -> Result<(), MailboxError> {
    let path = path(text);
    mail.write_as(home(), move |tx| mailbox::rename(tx, id, &path))
}

fn delete(mail: &TestStore, id: MailboxId) -> Result<(), MailboxError> {
    mail.write_as(home(), move |tx| mailbox::delete(tx, id))
}

fn purge(mail: &TestStore, id: MailboxId) {
    let now = now(mail);
    while !mail.write_as(home(), move |tx| mailbox::purge(tx, id, now)).unwrap() {}
}

/// The account's mailboxes as paths, in the order of their names.
fn tree(mail: &TestStore) -> Vec<String> {
    let list = mail.read_as(home(), |tx| mailbox::list(tx, MailboxId::ROOT, 500)).unwrap();
    let path_of = |mailbox: &Mailbox| {
        let mut path = mailbox.name.clone();
        let mut parent = mailbox.parent;
        while let Some(above) = list.iter().find(|other| other.id == parent) {
            path = format!("{}/{path}", above.name);
            parent = above.parent;
        }
        path
    };
    let mut paths: Vec<String> = list.iter().filter(|one| one.role == Role::None).map(path_of).collect();
    paths.sort_unstable();
    paths
}

fn message(mail: &TestStore, bytes: &[u8], share: bool) -> AppendedEmail {
    let now = mail.clock.now();
    let prepared = mail.content.prepare(&mail.store, SHARD, home().tenant, bytes, share, now, &mail.random);
    AppendedEmail {
        content: mail.block_on(prepared).unwrap(),
        content_id: ContentId::from_i64(mail.next_id()).unwrap(),
        email: EmailId::from_i64(mail.next_id()).unwrap(),
        threading: Threading::default(),
        received_at: Timestamp::from_secs(1_000_000_000),
        flags: Flags::SEEN,
        keywords: Keywords::new(["$Forwarded"]),
    }
}

fn append_to(
    mail: &TestStore,
    id: MailboxId,
    messages: Vec<AppendedEmail>,
    (quota, pool): (Quota, Quota),
) -> Result<(u32, Vec<u32>), AppendError> {
    let now = mail.clock.now();
    mail.write_as(home(), move |tx| append(tx, id, &messages, (quota, pool), now))
}

fn no_problems(mail: &TestStore) {
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn words<const N: usize>(words: [&str; N]) -> Keywords {
    Keywords::new(words)
}

fn flags_are_replaced_added_and_removed(mail: TestStore) {
    with_mail(&mail, 3);
    let seen_and_draft = Flags::SEEN.with(Flags::DRAFT);
    // change, flags after, keywords after, unseen after
    let table = [
        (Change::Add(Flags::SEEN, words(["Work"])), Flags::SEEN, words(["work"]), 2),
        (
            Change::Add(Flags::DRAFT, words(["$MDNSent", "WORK"])),
            seen_and_draft,
            words(["$mdnsent", "work"]),
            2,
        ),
        (Change::Remove(Flags::SEEN, words(["wOrK"])), Flags::DRAFT, words(["$mdnsent"]), 3),
        (Change::Replace(Flags::SEEN, words([])), Flags::SEEN, words([]), 2),
        (Change::Replace(Flags::NONE, words(["last"])), Flags::NONE, words(["last"]), 3),
    ];
    let mut modseq = row(&mail, INBOX).modseq;
    for (change, flags, keywords, unseen) in table {
        // UID 9 is not there: it is left out.
        let stored = store_flags(&mail, &[2, 9], change.clone(), None);
        let [changed] = &stored.entries[..] else { panic!("{stored:?}") };
        assert_eq!((changed.uid, changed.flags, &changed.keywords), (2, flags, &keywords), "{change:?}");
        assert!(changed.modseq > modseq, "{change:?}");
        modseq = changed.modseq;
        assert_eq!(entries(&mail, INBOX)[1], *changed);
        let row = row(&mail, INBOX);
        assert_eq!((row.unseen, row.modseq), (unseen, modseq), "{change:?}");
    }
    no_problems(&mail);
}

fn a_change_that_changes_nothing_leaves_the_modseq(mail: TestStore) {
    with_mail(&mail, 1);
    store_flags(&mail, &[1], Change::Add(Flags::SEEN, words(["work"])), None);
    let before = (entries(&mail, INBOX), row(&mail, INBOX));
    for change in [
        Change::Add(Flags::SEEN, words(["WORK"])),
        Change::Remove(Flags::FLAGGED, words(["other"])),
        Change::Replace(Flags::SEEN, words(["work"])),
    ] {
        let stored = store_flags(&mail, &[1], change, None);
        assert_eq!(stored.entries, before.0);
    }
    assert_eq!((entries(&mail, INBOX), row(&mail, INBOX)), before);
}

fn unchangedsince_protects_what_changed_later(mail: TestStore) {
    with_mail(&mail, 3);
    let since = row(&mail, INBOX).modseq;
    store_flags(&mail, &[2], Change::Add(Flags::FLAGGED, words([])), None);
    let add = Change::Add(Flags::SEEN, words([]));
    let before: Vec<i64> = [0, 2].map(|at: usize| entries(&mail, INBOX)[at].modseq).to_vec();
    let stored = store_flags(&mail, &[1, 2, 3], add.clone(), Some(since));
    assert_eq!(stored.modseqs_before, before);
    assert_eq!(stored.modified, [2]);
    assert_eq!(stored.entries.iter().map(|entry| entry.uid).collect::<Vec<_>>(), [1, 3]);
    assert!(!entries(&mail, INBOX)[1].flags.has(Flags::SEEN));
    // Now all of them are newer than that, also where the change would change nothing.
    assert_eq!(store_flags(&mail, &[1, 2, 3], add.clone(), Some(since)).modified, [1, 2, 3]);
    // A modseq of the present protects nothing, and 0 protects everything.
    let present = row(&mail, INBOX).modseq;
    assert_eq!(store_flags(&mail, &[1, 2, 3], add.clone(), Some(present)).modified, Vec::<u32>::new());
    assert_eq!(store_flags(&mail, &[1, 2, 3], add, Some(0)).modified, [1, 2, 3]);
    no_problems(&mail);
}

fn neighbours_that_are_not_meant_stay_as_they_are(mail: TestStore) {
    // Those that follow each other and become alike are written together.
    with_mail(&mail, 12);
    let change = |uids: &[u32], change| store_flags(&mail, uids, change, None);
    change(&[3, 7], Change::Add(Flags::DRAFT, words(["work"])));
    change(&[5], Change::Add(Flags::FLAGGED, words([])));
    let at = now(&mail);
    mail.write_as(home(), move |tx| entry::expunge(tx, INBOX, &[6], at)).unwrap();
    let (before, unseen) = (entries(&mail, INBOX), row(&mail, INBOX).unseen);
    let meant = [2, 3, 4, 5, 6, 7, 8, 10, 11];
    let stored =
        change(&[11, 2, 3, 4, 5, 6, 7, 8, 10], Change::Add(Flags::SEEN.with(Flags::FLAGGED), words([])));
    let after = entries(&mail, INBOX);
    for (before, after) in before.iter().zip(&after) {
        let is_meant = meant.contains(&before.uid);
        let flags = if is_meant { before.flags.with(Flags::SEEN).with(Flags::FLAGGED) } else { before.flags };
        assert_eq!((after.uid, after.flags, &after.keywords), (before.uid, flags, &before.keywords));
        assert_eq!(after.modseq > before.modseq, is_meant, "{}", after.uid);
    }
    let told: Vec<Entry> = after.into_iter().filter(|entry| meant.contains(&entry.uid)).collect();
    assert_eq!(stored.entries, told);
    assert_eq!(row(&mail, INBOX).unseen, unseen - 8);
    no_problems(&mail);
}

fn copies_are_entries_of_the_same_email(mail: TestStore) {
    with_mail(&mail, 3);
    store_flags(&mail, &[3], Change::Add(Flags::SEEN.with(Flags::DELETED), words(["work"])), None);
    let sources = entries(&mail, INBOX);
    let copied = copy(&mail, &[3, 1, 9], ARCHIVE, NO_LIMIT).unwrap();
    assert_eq!(copied.uids, [(3, 1), (1, 2)], "in the order that was asked for; what is gone is left out");
    assert_eq!(copied.uidvalidity, row(&mail, ARCHIVE).uidvalidity);
    let copies = entries(&mail, ARCHIVE);
    for (copy, source) in copies.iter().zip([&sources[2], &sources[0]]) {
        assert_eq!((copy.email, copy.flags, copy.size), (source.email, source.flags, source.size));
        assert_eq!((&copy.keywords, copy.modseq), (&source.keywords, copied.modseq));
        assert_eq!(copy.saved_at, mail.clock.now(), "SAVEDATE is the time of the copy");
    }
    let row = row(&mail, ARCHIVE);
    assert_eq!((row.messages, row.unseen, row.uidnext, row.modseq), (2, 1, 3, copied.modseq));
    assert_eq!(entries(&mail, INBOX), sources);
    let used = mail.read_as(home(), account::usage).unwrap().unwrap();
    assert_eq!(used, (5, 5 * sources[0].size));
    let nowhere = copy(&mail, &[1], MailboxId::from_i64(99), NO_LIMIT);
    assert!(matches!(nowhere, Err(CopyError::NoTarget)));
    no_problems(&mail);
}

fn a_copy_that_does_not_fit_copies_nothing(mail: TestStore) {
    with_mail(&mail, 3);
    let size = entries(&mail, INBOX)[0].size;
    let room_for = |messages| Quota(Some(size * messages));
    let before = (entries(&mail, INBOX), row(&mail, ARCHIVE));
    let full = copy(&mail, &[1, 2], ARCHIVE, (room_for(4), Quota(None)));
    assert!(matches!(full, Err(CopyError::Full(QuotaError::Account(account))) if account == home().account));
    let full = copy(&mail, &[1, 2], ARCHIVE, (Quota(None), room_for(4)));
    assert!(matches!(full, Err(CopyError::Full(QuotaError::Tenant))));
    assert_eq!((entries(&mail, INBOX), row(&mail, ARCHIVE)), before);
    copy(&mail, &[1, 2], ARCHIVE, (room_for(5), room_for(5))).unwrap();
    // An account that is over its quota already can still move and expunge.
    move_to(&mail, &[3], ARCHIVE).unwrap();
    assert_eq!(expunge(&mail, ARCHIVE, &[1]).uids, [1]);
    no_problems(&mail);
}

fn a_copy_into_its_own_mailbox_gets_new_uids(mail: TestStore) {
    with_mail(&mail, 2);
    assert_eq!(copy(&mail, &[1, 2], INBOX, NO_LIMIT).unwrap().uids, [(1, 3), (2, 4)]);
    assert_eq!(move_to(&mail, &[1], INBOX).unwrap().uids, [(1, 5)]);
    assert_eq!(uids(&mail, INBOX), [2, 3, 4, 5]);
    assert_eq!(count(&mail, "SELECT count(*) FROM email"), 2);
    no_problems(&mail);
}

fn a_move_keeps_flags_and_leaves_tombstones(mail: TestStore) {
    with_mail(&mail, 3);
    store_flags(&mail, &[2], Change::Add(Flags::ANSWERED, words(["work"])), None);
    let sources = entries(&mail, INBOX);
    let moved = move_to(&mail, &[2, 3, 9], ARCHIVE).unwrap();
    assert_eq!(moved.uids, [(2, 1), (3, 2)]);
    assert_eq!(uids(&mail, INBOX), [1]);
    let there = entries(&mail, ARCHIVE);
    assert_eq!((there[0].email, there[0].flags), (sources[1].email, Flags::ANSWERED));
    assert_eq!((&there[0].keywords, there[0].modseq), (&words(["work"]), moved.modseq));
    let tombstones = mail.read_as(home(), |tx| entry::expunged_since(tx, INBOX, ALL, 100)).unwrap();
    assert_eq!(tombstones, [2, 3].map(|uid| Point { modseq: moved.modseq, uid }));
    let (inbox, archive) = (row(&mail, INBOX), row(&mail, ARCHIVE));
    assert_eq!((inbox.messages, inbox.uidnext, inbox.modseq), (1, 4, moved.modseq));
    assert_eq!((archive.messages, archive.unseen, archive.modseq), (2, 2, moved.modseq));
    assert!(matches!(move_to(&mail, &[1], MailboxId::from_i64(99)), Err(CopyError::NoTarget)));
    assert_eq!(uids(&mail, INBOX), [1]);
    no_problems(&mail);
}

fn a_uid_named_twice_is_meant_once(mail: TestStore) {
    with_mail(&mail, 2);
    let add = Change::Add(Flags::SEEN, words([]));
    let since = row(&mail, INBOX).modseq;
    let stored = store_flags(&mail, &[1, 1], add, Some(since));
    assert_eq!((stored.entries.len(), stored.modified), (1, vec![]));
    assert_eq!(copy(&mail, &[1, 2, 1], ARCHIVE, NO_LIMIT).unwrap().uids, [(1, 1), (2, 2)]);
    assert_eq!(move_to(&mail, &[2, 2], ARCHIVE).unwrap().uids, [(2, 3)]);
    assert_eq!(expunge(&mail, INBOX, &[1, 1]).uids, [1]);
    no_problems(&mail);
}

fn an_email_goes_with_its_last_entry(mail: TestStore) {
    with_mail(&mail, 2);
    copy(&mail, &[1], ARCHIVE, NO_LIMIT).unwrap();
    let id = entries(&mail, INBOX)[0].email;
    let is_there = || mail.read_as(home(), move |tx| email::emails(tx, &[id])).unwrap().len() == 1;
    let gone = expunge(&mail, INBOX, &[2, 1, 7]);
    assert_eq!(gone.uids, [2, 1]);
    assert!(is_there(), "the copy still names it");
    assert_eq!(count(&mail, "SELECT count(*) FROM content WHERE state = 0"), 1);
    // Again: nothing is there to be expunged, and nothing happens.
    let before = row(&mail, INBOX);
    assert_eq!(expunge(&mail, INBOX, &[2, 1]).uids, Vec::<u32>::new());
    assert_eq!(row(&mail, INBOX), before);
    expunge(&mail, ARCHIVE, &[1]);
    assert!(!is_there());
    assert_eq!(count(&mail, "SELECT count(*) FROM content WHERE state = 0"), 0);
    assert_eq!(mail.read_as(home(), account::usage).unwrap(), Some((0, 0)));
    assert_eq!(row(&mail, INBOX).uidnext, 3, "a UID is given once");
    no_problems(&mail);
}

fn appended_messages_have_consecutive_uids(mail: TestStore) {
    with_mail(&mail, 1);
    let messages: Vec<_> = (0..3).map(|n| message(&mail, &content(n, 200), true)).collect();
    let ids: Vec<EmailId> = messages.iter().map(|message| message.email).collect();
    let (uidvalidity, given) = append_to(&mail, INBOX, messages, NO_LIMIT).unwrap();
    assert_eq!((uidvalidity, &given[..]), (row(&mail, INBOX).uidvalidity, &[2, 3, 4][..]));
    let appended = entries(&mail, INBOX);
    for (entry, id) in appended[1..].iter().zip(ids) {
        assert_eq!((entry.email, entry.size), (id, 200));
        assert_eq!((entry.flags, &entry.keywords), (Flags::SEEN, &words(["$forwarded"])));
        assert_eq!(entry.modseq, appended[1].modseq, "all of them came at once");
        let found = mail.read_as(home(), move |tx| email::emails(tx, &[id])).unwrap();
        assert_eq!(found[0].received_at, Timestamp::from_secs(1_000_000_000));
    }
    let row = row(&mail, INBOX);
    assert_eq!((row.messages, row.unseen, row.uidnext), (4, 1, 5));
    assert!(matches!(
        append_to(&mail, MailboxId::from_i64(99), vec![message(&mail, b"x", true)], NO_LIMIT),
        Err(AppendError::NoMailbox)
    ));
    assert_eq!(append_to(&mail, INBOX, vec![], NO_LIMIT).unwrap(), (uidvalidity, vec![]));
    no_problems(&mail);
}

fn equal_appends_are_two_messages(mail: TestStore) {
    with_mail(&mail, 1);
    let equal = content(7, 20_000);
    for _ in 0..2 {
        append_to(&mail, ARCHIVE, vec![message(&mail, &equal, true), message(&mail, &equal, true)], NO_LIMIT)
            .unwrap();
    }
    assert_eq!(uids(&mail, ARCHIVE), [1, 2, 3, 4]);
    assert_eq!(count(&mail, "SELECT refs FROM content WHERE size = 20000"), 4);
    no_problems(&mail);
}

fn an_append_that_does_not_fit_appends_nothing(mail: TestStore) {
    with_mail(&mail, 1);
    let used = entries(&mail, INBOX)[0].size;
    let two = || vec![message(&mail, &content(1, 200), true), message(&mail, &content(2, 200), true)];
    let before = (uids(&mail, INBOX), row(&mail, INBOX), count(&mail, "SELECT count(*) FROM content"));
    let one_too_few = Quota(Some(used + 399));
    let full = append_to(&mail, INBOX, two(), (one_too_few, Quota(None)));
    assert!(matches!(full, Err(AppendError::Full(QuotaError::Account(_)))));
    let full = append_to(&mail, INBOX, two(), (Quota(None), one_too_few));
    assert!(matches!(full, Err(AppendError::Full(QuotaError::Tenant))));
    let after = (uids(&mail, INBOX), row(&mail, INBOX), count(&mail, "SELECT count(*) FROM content"));
    assert_eq!(after, before);
    let exact = Quota(Some(used + 400));
    append_to(&mail, INBOX, two(), (exact, exact)).unwrap();
    no_problems(&mail);
}

fn an_append_whose_twin_died_is_stored_again(mail: TestStore) {
    let mut large = vec![0; 70_000];
    Rng::new(5).fill(&mut large);
    mail.deliver(&large, &[home()]);
    let waits = message(&mail, &large, true);
    expunge(&mail, INBOX, &[1]);
    let gone = append_to(&mail, INBOX, vec![waits], NO_LIMIT);
    assert!(matches!(gone, Err(AppendError::TwinGone)));
    append_to(&mail, INBOX, vec![message(&mail, &large, false)], NO_LIMIT).unwrap();
    assert_eq!(uids(&mail, INBOX), [2], "the append that failed took no UID");
    no_problems(&mail);
}

fn mailboxes_are_made_with_those_above_them(mail: TestStore) {
    with_mail(&mail, 1);
    let made = create(&mail, "Projects/2026/Autumn").unwrap();
    assert_eq!((made.name.as_str(), made.messages, made.uidnext, made.subscribed), ("Autumn", 0, 1, false));
    create(&mail, "Projects/2025").unwrap();
    create(&mail, "inbox/Below").unwrap();
    create(&mail, "projects").unwrap();
    let all =
        ["INBOX/Below", "Projects", "Projects/2025", "Projects/2026", "Projects/2026/Autumn", "projects"];
    assert_eq!(tree(&mail), all, "INBOX alone is compared without regard to case");
    for taken in ["Projects", "Projects/2026/Autumn", "INBOX", "Inbox", "Archive"] {
        assert!(matches!(create(&mail, taken), Err(MailboxError::Exists)), "{taken}");
    }
    assert_eq!(tree(&mail), all);
    no_problems(&mail);
}

fn a_rename_takes_children_along(mail: TestStore) {
    with_mail(&mail, 1);
    let autumn = create(&mail, "Projects/2026/Autumn").unwrap();
    let year = autumn.parent;
    move_to(&mail, &[1], autumn.id).unwrap();
    rename(&mail, year, "Old/Years/Last").unwrap();
    assert_eq!(tree(&mail), ["Old", "Old/Years", "Old/Years/Last", "Old/Years/Last/Autumn", "Projects"]);
    let after = row(&mail, autumn.id);
    assert_eq!((after.uidvalidity, after.messages), (autumn.uidvalidity, 1));
    // Up to the top, under INBOX, and by case alone.
    rename(&mail, autumn.id, "Autumn").unwrap();
    rename(&mail, autumn.id, "INBOX/autumn").unwrap();
    rename(&mail, autumn.id, "INBOX/Autumn").unwrap();
    assert_eq!(tree(&mail), ["INBOX/Autumn", "Old", "Old/Years", "Old/Years/Last", "Projects"]);
    no_problems(&mail);
}

fn a_rename_that_cannot_be(mail: TestStore) {
    with_mail(&mail, 1);
    let a = create(&mail, "A").unwrap().id;
    let c = create(&mail, "A/B/C").unwrap().id;
    let before = tree(&mail);
    assert!(matches!(rename(&mail, INBOX, "Other"), Err(MailboxError::Cannot)));
    assert!(matches!(rename(&mail, a, "A/B/D"), Err(MailboxError::Cannot)), "into itself");
    assert!(matches!(rename(&mail, a, "A/New/D"), Err(MailboxError::Cannot)), "into its own new child");
    assert!(matches!(rename(&mail, c, "A"), Err(MailboxError::Exists)));
    assert!(matches!(rename(&mail, c, "A/B/C"), Err(MailboxError::Exists)), "onto itself");
    assert!(matches!(rename(&mail, c, "iNbOx"), Err(MailboxError::Exists)));
    assert!(matches!(rename(&mail, MailboxId::from_i64(99), "X"), Err(MailboxError::NotFound)));
    assert_eq!(tree(&mail), before);
    for name in ["", "a//b", "tab\t", &"x".repeat(256)] {
        assert!(matches!(MailboxPath::new(name.split('/')), Err(MailboxError::Name)), "{name:?}");
    }
    assert!(matches!(MailboxPath::new(vec!["x"; 51]), Err(MailboxError::Name)));
}

fn a_deleted_mailbox_is_gone_at_once(mail: TestStore) {
    with_mail(&mail, 150);
    let shop = create(&mail, "Shop").unwrap().id;
    let below = create(&mail, "Shop/Below").unwrap().id;
    let (first, rest): (Vec<u32>, Vec<u32>) = ((1..=100).collect(), (101..=150).collect());
    move_to(&mail, &first, shop).unwrap();
    copy(&mail, &rest, shop, NO_LIMIT).unwrap();
    expunge(&mail, shop, &[1, 2, 3]);
    assert!(matches!(delete(&mail, INBOX), Err(MailboxError::Cannot)));
    assert!(matches!(delete(&mail, shop), Err(MailboxError::HasChildren)));
    delete(&mail, below).unwrap();
    delete(&mail, shop).unwrap();
    assert_eq!(tree(&mail), Vec::<String>::new());
    assert_eq!(mail.read_as(home(), move |tx| mailbox::mailbox(tx, shop)).unwrap(), None);
    assert!(matches!(delete(&mail, shop), Err(MailboxError::NotFound)));
    // Its name is free before it is emptied.
    let again = create(&mail, "Shop").unwrap();
    assert_ne!(again.id, shop);
    delete(&mail, again.id).unwrap();
    no_problems(&mail);
    for id in [shop, below, again.id] {
        purge(&mail, id);
    }
    assert_eq!(count(&mail, "SELECT count(*) FROM mailbox WHERE parent = -2"), 0);
    assert_eq!(count(&mail, "SELECT count(*) FROM entry"), 50);
    assert_eq!(count(&mail, "SELECT count(*) FROM email"), 50, "what was copied there is still in INBOX");
    assert_eq!(count(&mail, "SELECT count(*) FROM tombstone WHERE mailbox > 6"), 0);
    // Not deleted: purging does nothing.
    purge(&mail, INBOX);
    assert_eq!(uids(&mail, INBOX), rest);
    no_problems(&mail);
}

fn uidvalidity_is_never_given_again(mail: TestStore) {
    with_mail(&mail, 1);
    let mut given: Vec<u32> = mail
        .read_as(home(), |tx| mailbox::list(tx, MailboxId::ROOT, 100))
        .unwrap()
        .iter()
        .map(|mailbox| mailbox.uidvalidity)
        .collect();
    let mut ids = Vec::new();
    for _ in 0..5 {
        let made = create(&mail, "Again").unwrap();
        delete(&mail, made.id).unwrap();
        purge(&mail, made.id);
        given.push(made.uidvalidity);
        ids.push(made.id);
    }
    let before = (given.len(), ids.len());
    given.sort_unstable();
    given.dedup();
    ids.dedup();
    assert_eq!((given.len(), ids.len()), before);
    assert!(given.iter().all(|number| *number > 0));
}

fn subscriptions(mail: TestStore) {
    with_mail(&mail, 1);
    let shop = create(&mail, "Shop").unwrap().id;
    let subscribe = |id, yes| mail.write_as(home(), move |tx| mailbox::subscribe(tx, id, yes)).unwrap();
    assert!(row(&mail, INBOX).subscribed && !row(&mail, shop).subscribed);
    assert!(subscribe(shop, true) && subscribe(shop, true));
    assert!(row(&mail, shop).subscribed);
    assert!(subscribe(shop, false));
    assert!(!row(&mail, shop).subscribed);
    assert!(!subscribe(MailboxId::from_i64(99), true));
    delete(&mail, shop).unwrap();
    assert!(!subscribe(shop, true));
    assert_eq!(subscribed_names(&mail), Vec::<String>::new());
}

/// The names that are subscribed besides those of mailboxes, read one by one.
fn subscribed_names(mail: &TestStore) -> Vec<String> {
    let mut names: Vec<MailboxPath> = Vec::new();
    loop {
        let after = names.last().cloned();
        let step = mail.read_as(home(), move |tx| subscription::names(tx, after.as_ref(), 1)).unwrap();
        if step.is_empty() {
            return names.iter().map(|name| name.levels().join("/")).collect();
        }
        names.extend(step);
    }
}

fn names_stay_subscribed_without_their_mailboxes(mail: TestStore) {
    with_mail(&mail, 1);
    let subscribe = |name: &str, yes| {
        let path = path(name);
        mail.write_as(home(), move |tx| subscription::subscribe(tx, &path, yes))
    };
    let is_subscribed = |id| row(&mail, id).subscribed;
    // Before there is a mailbox, and what is not one: INBOX.
    subscribe("Shop/2026", true).unwrap();
    subscribe("Later", true).unwrap();
    subscribe("inbox", true).unwrap();
    assert_eq!(subscribed_names(&mail), ["Later", "Shop/2026"]);
    // When there is one, and when it is gone.
    let year = create(&mail, "Shop/2026").unwrap().id;
    assert!(is_subscribed(year));
    assert_eq!(subscribed_names(&mail), ["Later"]);
    delete(&mail, year).unwrap();
    assert_eq!(subscribed_names(&mail), ["Later", "Shop/2026"]);
    subscribe("Shop/2026", false).unwrap();
    subscribe("Shop/2026", false).unwrap();
    assert_eq!(subscribed_names(&mail), ["Later"]);
    // A name of a level that was made on the way belongs to both; RENAME takes both along.
    let below = create(&mail, "Later/below").unwrap().id;
    let later = row(&mail, below).parent;
    assert!(!is_subscribed(later));
    subscribe("Mine", true).unwrap();
    rename(&mail, later, "Mine").unwrap();
    assert!(is_subscribed(later) && !is_subscribed(below));
    assert_eq!(subscribed_names(&mail), Vec::<String>::new());
    delete(&mail, below).unwrap();
    delete(&mail, later).unwrap();
    assert_eq!(subscribed_names(&mail), ["Mine"]);
    let again = create(&mail, "Mine").unwrap().id;
    subscribe("Mine", false).unwrap();
    assert!(!is_subscribed(again));
    assert_eq!(subscribed_names(&mail), Vec::<String>::new());
    // Longer than a key of PostgreSQL's index may be: it is forgotten.
    let long = [&*"長".repeat(80); 12].join("/");
    let long_one = create(&mail, &long).unwrap().id;
    subscribe(&long, true).unwrap();
    assert!(is_subscribed(long_one));
    delete(&mail, long_one).unwrap();
    assert!(matches!(subscribe(&long, true), Err(MailboxError::TooMany)));
    assert_eq!(subscribed_names(&mail), Vec::<String>::new());
    no_problems(&mail);
}

/// Whoever subscribes to anything fills no database.
fn subscribed_names_are_bounded(mail: TestStore) {
    with_mail(&mail, 1);
    // One by one they would be counted as often.
    const MANY: Sql = Sql::new(
        "WITH RECURSIVE n (i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < CAST($1 AS BIGINT) + 499)
         INSERT INTO subscription (account, name) SELECT 10, 'n' || i FROM n",
    );
    for first in (0..subscription::MOST_NAMES).step_by(500) {
        mail.write::<_, StoreError, _>(move |tx| tx.execute(MANY, &[first.into()])).unwrap();
    }
    let subscribe =
        |name: &'static str| mail.write_as(home(), move |tx| subscription::subscribe(tx, &path(name), true));
    assert!(matches!(subscribe("one more"), Err(MailboxError::TooMany)));
    subscribe("n7").unwrap();
    let made = create(&mail, "one more").unwrap().id;
    subscribe("one more").unwrap();
    delete(&mail, made).unwrap();
    assert!(matches!(subscribe("one more"), Err(MailboxError::TooMany)));
}

fn the_root_and_what_is_deleted_are_no_mailboxes(mail: TestStore) {
    with_mail(&mail, 1);
    let deleted = create(&mail, "Deleted").unwrap().id;
    delete(&mail, deleted).unwrap();
    for id in [MailboxId::ROOT, deleted, MailboxId::from_i64(-1), MailboxId::from_i64(-2)] {
        assert!(matches!(copy(&mail, &[1], id, NO_LIMIT), Err(CopyError::NoTarget)), "{id:?}");
        assert!(matches!(move_to(&mail, &[1], id), Err(CopyError::NoTarget)), "{id:?}");
        let appended = append_to(&mail, id, vec![message(&mail, b"x", true)], NO_LIMIT);
        assert!(matches!(appended, Err(AppendError::NoMailbox)), "{id:?}");
        assert!(!mail.write_as(home(), move |tx| mailbox::subscribe(tx, id, true)).unwrap(), "{id:?}");
        assert!(matches!(rename(&mail, id, "New"), Err(MailboxError::NotFound)), "{id:?}");
        assert!(matches!(delete(&mail, id), Err(MailboxError::NotFound)), "{id:?}");
        let mut delivery = mail.delivery(&content(id.as_i64().unsigned_abs() as usize + 100, 100), &[home()]);
        delivery.parts[0].recipients[0].target = Target::Mailbox(id);
        let Outcome::Delivered(delivered) = mail.carry_out(delivery).unwrap()[0] else { panic!("it is new") };
        assert_eq!(delivered.mailbox, INBOX, "{id:?}");
    }
    no_problems(&mail);
}

fn changes_are_found_since_a_modseq(mail: TestStore) {
    with_mail(&mail, 5);
    let changed = |since, limit| {
        let since = Point::after(since);
        let found = mail.read_as(home(), move |tx| entry::changed_since(tx, INBOX, since, limit)).unwrap();
        found.into_iter().map(|entry| entry.uid).collect::<Vec<_>>()
    };
    assert_eq!(changed(0, 100), Vec::<u32>::new(), "new mail is found by its UIDs");
    let add = |uids: &[u32], flag| store_flags(&mail, uids, Change::Add(flag, words([])), None);
    add(&[4], Flags::SEEN);
    let since = row(&mail, INBOX).modseq;
    add(&[2], Flags::SEEN);
    add(&[1, 3], Flags::SEEN);
    assert_eq!(changed(0, 100), [4, 2, 1, 3], "oldest change first");
    assert_eq!(changed(since, 100), [2, 1, 3]);
    assert_eq!(changed(since, 1), [2]);
    add(&[4], Flags::FLAGGED);
    assert_eq!(changed(since, 100), [2, 1, 3, 4]);
    assert_eq!(changed(row(&mail, INBOX).modseq, 100), Vec::<u32>::new());
    // In steps of one the same, though one change spans several.
    let mut steps = Vec::new();
    let mut at = Point::after(since);
    while let Some(next) =
        mail.read_as(home(), move |tx| entry::changed_since(tx, INBOX, at, 1)).unwrap().pop()
    {
        at = Point { modseq: next.modseq, uid: next.uid };
        steps.push(next.uid);
    }
    assert_eq!(steps, [2, 1, 3, 4]);
    expunge(&mail, INBOX, &[1]);
    assert_eq!(changed(since, 100), [2, 3, 4]);
}

fn the_newest_entries_are_found_by_their_modseq(mail: TestStore) {
    with_mail(&mail, 3);
    let since = row(&mail, INBOX).modseq;
    store_flags(&mail, &[1], Change::Add(Flags::SEEN, words([])), None);
    let newest = |since, before, limit| {
        let found = mail.read_as(home(), move |tx| entry::newest(tx, INBOX, since, before, limit)).unwrap();
        found.into_iter().map(|entry| entry.uid).collect::<Vec<_>>()
    };
    assert_eq!(newest(since, u32::MAX, 100), Vec::<u32>::new(), "a change is no arrival");
    for n in 10..12 {
        mail.deliver(&content(n, 100), &[home()]);
    }
    store_flags(&mail, &[4], Change::Add(Flags::SEEN, words([])), None);
    assert_eq!(newest(since, u32::MAX, 100), [5, 4]);
    assert_eq!(newest(since, u32::MAX, 1), [5]);
    assert_eq!(newest(since, 5, 100), [4]);
    assert_eq!(newest(0, u32::MAX, 100), [5, 4, 3, 2, 1]);
}

fn old_expunges_are_forgotten(mail: TestStore) {
    with_mail(&mail, 6);
    let forget = |after_secs: i64| {
        let before = Timestamp::from_secs(mail.clock.now().as_secs() + after_secs);
        mail.write_as(home(), move |tx| entry::forget_expunges(tx, INBOX, before)).unwrap()
    };
    let known = || {
        let found = mail.read_as(home(), move |tx| entry::expunged_since(tx, INBOX, ALL, 100)).unwrap();
        found.into_iter().map(|point| point.uid).collect::<Vec<_>>()
    };
    let first = expunge(&mail, INBOX, &[5, 6]);
    assert!(forget(0), "nothing is older than now");
    assert_eq!(known(), [5, 6]);
    assert!(row(&mail, INBOX).tombstones_from < first.modseq);
    mail.clock.advance(Duration::from_secs(100));
    expunge(&mail, INBOX, &[1]);
    // Which mailboxes have something to forget, seen from the start and from behind this one.
    let old = |after_secs: i64, behind| {
        let before = Timestamp::from_secs(mail.clock.now().as_secs() + after_secs);
        mail.read(move |tx| entry::old_expunges(tx, before, behind)).unwrap()
    };
    assert_eq!(old(-101, (0, INBOX)), []);
    assert_eq!(old(0, (0, INBOX)), [(home().account, INBOX)]);
    assert_eq!(old(0, (home().account.as_i64(), INBOX)), []);
    assert!(forget(0));
    assert_eq!(known(), [1]);
    assert_eq!(old(0, (0, INBOX)), []);
    assert_eq!(row(&mail, INBOX).tombstones_from, first.modseq);
    no_problems(&mail);
}

fn expunges_are_found_in_steps(mail: TestStore) {
    with_mail(&mail, 6);
    let first = expunge(&mail, INBOX, &[5]);
    let second = expunge(&mail, INBOX, &[1, 4, 3, 2]);
    assert!(first.modseq < second.modseq && second.modseq == row(&mail, INBOX).modseq);
    let expunged = |since, limit| {
        mail.read_as(home(), move |tx| entry::expunged_since(tx, INBOX, since, limit)).unwrap()
    };
    let all = expunged(ALL, 100);
    assert_eq!(all.iter().map(|tombstone| tombstone.uid).collect::<Vec<_>>(), [5, 1, 2, 3, 4]);
    // In steps of two the same, though one expunge spans several.
    let mut steps = Vec::new();
    let mut since = ALL;
    loop {
        let step = expunged(since, 2);
        let Some(last) = step.last() else { break };
        since = *last;
        steps.extend(step);
    }
    assert_eq!(steps, all);
    assert_eq!(expunged(Point { modseq: first.modseq, uid: u32::MAX }, 100), all[1..]);
    assert_eq!(expunged(Point { modseq: second.modseq, uid: u32::MAX }, 100), []);
}

fn an_account_that_is_not_here(mail: TestStore) {
    assert_eq!(entries(&mail, INBOX), []);
    assert_eq!(mail.read_as(home(), account::usage).unwrap(), None);
    assert_eq!(store_flags(&mail, &[1], Change::Add(Flags::SEEN, words([])), None).entries, []);
    assert_eq!(expunge(&mail, INBOX, &[1]).uids, Vec::<u32>::new());
    assert!(matches!(copy(&mail, &[1], ARCHIVE, NO_LIMIT), Err(CopyError::NoTarget)));
    assert!(matches!(create(&mail, "New"), Err(MailboxError::NoAccount)));
    let appended = append_to(&mail, INBOX, vec![message(&mail, b"x", true)], NO_LIMIT);
    assert!(matches!(appended, Err(AppendError::NoMailbox)));
    let now = now(&mail);
    for _ in 0..2 {
        mail.write_as(home(), move |tx| account::create_account(tx, now)).unwrap();
    }
    assert_eq!(mail.read_as(home(), |tx| mailbox::list(tx, MailboxId::ROOT, 100)).unwrap().len(), 6);
    no_problems(&mail);
}

fn what_lost_its_mark_meanwhile_is_not_expunged(mail: TestStore) {
    for n in 0..2 {
        mail.deliver(format!("Subject: {n}\r\n\r\n").as_bytes(), &[home()]);
    }
    let store = |uids: &'static [u32], change: Change| {
        mail.write_as(home(), move |tx| entry::store_flags(tx, INBOX, uids, &change, None)).unwrap();
    };
    store(&[1, 2], Change::Add(Flags::DELETED, Keywords::default()));
    // Between the look and the deed somebody takes the mark away.
    store(&[2], Change::Remove(Flags::DELETED, Keywords::default()));
    let now = mail.clock.now();
    let gone = mail.write_as(home(), move |tx| entry::expunge_deleted(tx, INBOX, &[1, 2], now)).unwrap();
    assert_eq!(gone.uids, [1]);
    assert_eq!(mail.problems(), Vec::<String>::new());
}

fn more_keywords_than_a_message_may_have_are_refused(mail: TestStore) {
    mail.deliver(b"Subject: x\r\n\r\n", &[home()]);
    let add = |from: usize, to: usize| {
        let words: Vec<String> = (from..to).map(|n| format!("k{n}")).collect();
        let change = Change::Add(Flags::NONE, Keywords::new(words.iter().map(String::as_str)));
        mail.write_as(home(), move |tx| entry::store_flags(tx, INBOX, &[1], &change, None))
    };
    add(0, Keywords::MOST).unwrap();
    assert!(matches!(add(Keywords::MOST, Keywords::MOST + 1), Err(entry::FlagsError::TooManyKeywords)));
    add(0, 5).unwrap();
}

fn an_account_is_removed_with_all_that_it_has(mail: TestStore) {
    with_mail(&mail, 250);
    let other = TestStore::home(1, 999);
    // One content of both, and a mailbox in a mailbox.
    mail.deliver(&content(1, 20_000), &[home(), other]);
    create(&mail, "Projects").unwrap();
    create(&mail, "Projects/2026").unwrap();
    mail.write_as(home(), |tx| subscription::subscribe(tx, &path("Later"), true)).unwrap();
    copy(&mail, &[1, 2], MailboxId::INBOX, (Quota(None), Quota(None))).unwrap();
    expunge(&mail, INBOX, &[3]);
    let mut steps = 0;
    loop {
        let at = now(&mail);
        if mail.write_as(home(), move |tx| account::remove(tx, at)).unwrap() {
            break;
        }
        steps += 1;
        assert!(steps < 100);
    }
    for left in [
        "SELECT COUNT(*) FROM mailbox WHERE account = 10",
        "SELECT COUNT(*) FROM entry WHERE account = 10",
        "SELECT COUNT(*) FROM email WHERE account = 10",
        "SELECT COUNT(*) FROM thread WHERE account = 10",
        "SELECT COUNT(*) FROM tombstone WHERE account = 10",
        "SELECT COUNT(*) FROM subscription WHERE account = 10",
    ] {
        assert_eq!(count(&mail, left), 0, "{left}");
    }
    // What the other has stays, and the tenant's usage is its.
    let left = mail.read_as(other, |tx| entry::entries(tx, INBOX, 0, 10)).unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(count(&mail, "SELECT messages FROM usage WHERE tenant = 1"), 1);
    no_problems(&mail);
    let at = now(&mail);
    assert!(mail.write_as(home(), move |tx| account::remove(tx, at)).unwrap(), "again");
}
