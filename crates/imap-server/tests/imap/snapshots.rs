//! Mailboxes that are not in memory come from their snapshot. The server of these tests keeps
//! no mailbox of more than 40 messages in memory, and makes snapshots from 4 on.
//!
//! That an answer comes from a snapshot shows in a row that is changed behind everybody's back.

use std::time::{Duration, Instant};

use hikyaku_mailstore::{MailboxId, mailbox, snapshot};
use hikyaku_store::{AccountSql, StoreError};
use hikyaku_testkit::{TestStore, both_engines};

use crate::client::Client;
use crate::server::{Server, ann};

both_engines! {
    a_large_mailbox_comes_from_its_snapshot
    what_came_after_is_told
    too_many_changes_make_a_new_one
    a_damaged_part_is_read_from_the_entries
}

const HIDE: &str = "UPDATE entry SET flags = 2 WHERE account = $1 AND uid = 5";
const UNHIDE: &str = "UPDATE entry SET flags = 0 WHERE account = $1 AND uid = 5";
const PATIENCE: Duration = Duration::from_secs(60);

fn with_mail(mail: TestStore, messages: u32) -> Server {
    let server = Server::new(mail);
    for number in 0..messages {
        server.deliver(&format!("Subject: {number}\r\n\r\n"));
    }
    server
}

fn tamper(server: &Server, sql: &'static str) {
    let write = move |tx: &mut hikyaku_store::AccountTx<'_>| tx.execute(AccountSql::new(sql), &[]);
    let rows = server.mail.write_as::<_, StoreError, _>(ann(), write);
    assert!(rows.expect("the store works") > 0);
}

/// Opens the mailbox, and waits until there is a snapshot that lacks nothing.
fn look(server: &Server) {
    server.sign_in().ok("SELECT INBOX");
    let begun = Instant::now();
    loop {
        let found = server.mail.read_as::<_, StoreError, _>(ann(), |tx| {
            let row = mailbox::mailbox(tx, MailboxId::INBOX)?.expect("INBOX is there");
            let found = snapshot::snapshot(tx, &row, 1)?;
            Ok(found.is_some_and(|found| {
                let last = found.parts.last().map_or(0, |part| part.last);
                found.changes == 0 && last + 1 == row.uidnext
            }))
        });
        if found.expect("the store works") {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "no snapshot after a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a new session is told of all flags.
fn flags(server: &Server) -> Vec<String> {
    let mut client = server.sign_in();
    client.ok("SELECT INBOX");
    client.ok("UID FETCH 1:* (FLAGS)").lines()
}

fn line(number: u32, uid: u32, flags: &str) -> String {
    format!("* {number} FETCH (UID {uid} FLAGS ({flags}))")
}

fn unseen(uids: impl IntoIterator<Item = u32>) -> Vec<String> {
    (1..).zip(uids).map(|(number, uid)| line(number, uid, "")).collect()
}

fn a_large_mailbox_comes_from_its_snapshot(mail: TestStore) {
    let server = with_mail(mail, 70);
    look(&server);
    tamper(&server, HIDE);
    assert_eq!(flags(&server), unseen(1..=70));
    tamper(&server, UNHIDE);
}

fn what_came_after_is_told(mail: TestStore) {
    let server = with_mail(mail, 70);
    look(&server);
    tamper(&server, HIDE);
    let mut other: Client = server.sign_in();
    other.ok("SELECT INBOX");
    other.ok(r"STORE 2,69 +FLAGS (\Flagged work)");
    other.ok(r"STORE 1,10:19,70 +FLAGS.SILENT (\Deleted)");
    other.ok("EXPUNGE");
    server.deliver("Subject: new\r\n\r\n");
    let mut expected = unseen((2..10).chain(20..70).chain([71]));
    expected[0] = line(1, 2, r"\Flagged work");
    expected[57] = line(58, 69, r"\Flagged work");
    assert_eq!(flags(&server), expected);
    // A message that moves in has flags, too.
    other.append("Trash", "Subject: moved\r\n\r\n");
    other.ok("SELECT Trash");
    other.ok(r"STORE 1 +FLAGS (\Draft)");
    other.ok("MOVE 1 INBOX");
    expected.push(line(60, 72, r"\Draft"));
    assert_eq!(flags(&server), expected);
    tamper(&server, UNHIDE);
}

fn too_many_changes_make_a_new_one(mail: TestStore) {
    let server = with_mail(mail, 520);
    look(&server);
    let mut other = server.sign_in();
    other.ok("SELECT INBOX");
    other.ok(r"STORE 1:520 +FLAGS.SILENT (\Seen)");
    let both = "UPDATE entry SET flags = 3 WHERE account = $1 AND uid = 5";
    tamper(&server, both);
    look(&server);
    tamper(&server, "UPDATE entry SET flags = 1 WHERE account = $1 AND uid = 5");
    let of = |uid| if uid == 5 { r"\Answered \Seen" } else { r"\Seen" };
    let expected: Vec<String> = (1..=520).map(|uid| line(uid, uid, of(uid))).collect();
    assert_eq!(flags(&server), expected, "from the new one");
    tamper(&server, both);
}

fn a_damaged_part_is_read_from_the_entries(mail: TestStore) {
    let server = with_mail(mail, 70);
    look(&server);
    tamper(&server, "UPDATE snapshot SET bytes = substr(bytes, 1, 9) WHERE account = $1 AND first_uid = 1");
    assert_ne!(server.mail.problems(), Vec::<String>::new());
    assert_eq!(flags(&server), unseen(1..=70));
    // It is made anew.
    let begun = Instant::now();
    while !server.mail.problems().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "{:?}", server.mail.problems());
        std::thread::sleep(Duration::from_millis(5));
    }
}
