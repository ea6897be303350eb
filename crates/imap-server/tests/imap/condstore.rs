//! CONDSTORE and QRESYNC, RFC 7162: modseqs are told, and a client that comes again hears
//! what happened meanwhile.

use std::time::Duration;

use hikyaku_mailstore::{MailboxId, entry};
use hikyaku_testkit::{TestStore, both_engines};
use hikyaku_types::Clock;

use crate::server::{Server, ann};

both_engines! {
    what_turns_condstore_on
    fetch_changedsince
    store_unchangedsince
    search_modseq
    expunge_with_qresync
    vanished_waits_while_numbers_are_spoken_of
    select_tells_what_happened_meanwhile
    who_was_away_too_long_is_told_everything
    fetch_vanished
    qresync_must_be_enabled
}

/// A client of ann's in INBOX with four messages, whose modseqs are 8 to 11.
const FOUR: &str = "C: o SELECT INBOX
    S: * FLAGS …
    S: * 4 EXISTS
    S: * 0 RECENT
    S: * OK [PERMANENTFLAGS …
    S: * OK [UNSEEN 1] …
    S: * OK [UIDVALIDITY …
    S: * OK [UIDNEXT 5] …
    S: * OK [HIGHESTMODSEQ 11] …
        S: * OK [MAILBOXID (F1)] …
    S: o OK …\n";

fn with_four(mail: TestStore) -> Server {
    let server = Server::new(mail);
    for number in 1..=4 {
        server.deliver(&format!("Subject: {number}\r\n\r\n{number}\r\n"));
    }
    server
}

fn check_four(mail: TestStore, transcript: &str) {
    with_four(mail).check(&format!("{FOUR}{transcript}"));
}

fn what_turns_condstore_on(mail: TestStore) {
    let server = with_four(mail);
    for (command, expected) in [
        ("FETCH 1 MODSEQ", "* OK [HIGHESTMODSEQ 11] Highest mod-sequence | * 1 FETCH (MODSEQ (8))"),
        ("FETCH 1 FLAGS (CHANGEDSINCE 11)", "* OK [HIGHESTMODSEQ 11] Highest mod-sequence"),
        (
            "STATUS Archive (HIGHESTMODSEQ)",
            "* OK [HIGHESTMODSEQ 11] Highest mod-sequence | * STATUS Archive (HIGHESTMODSEQ 5)",
        ),
        ("SEARCH MODSEQ 11", "* OK [HIGHESTMODSEQ 11] Highest mod-sequence | * SEARCH 4 (MODSEQ 11)"),
        ("STORE 4 (UNCHANGEDSINCE 3) +FLAGS (\\Seen)", "* OK [HIGHESTMODSEQ 11] Highest mod-sequence"),
        ("ENABLE CONDSTORE", "* ENABLED CONDSTORE | * OK [HIGHESTMODSEQ 11] Highest mod-sequence"),
        ("ENABLE QRESYNC", "* ENABLED CONDSTORE QRESYNC | * OK [HIGHESTMODSEQ 11] Highest mod-sequence"),
    ] {
        let mut client = server.sign_in();
        client.ok("EXAMINE INBOX");
        client.ok("FETCH 1 FLAGS");
        if command.starts_with("STORE") {
            client.ok("SELECT INBOX");
        }
        assert_eq!(client.ok(command).untagged_text(), expected, "{command}");
        // Once only.
        let again = client.ok("FETCH 1 MODSEQ").untagged_text();
        assert_eq!(again, "* 1 FETCH (MODSEQ (8))", "{command}");
    }
    let mut client = server.sign_in();
    client.ok("SELECT INBOX (CONDSTORE)");
    let stored = client.ok(r"STORE 1 +FLAGS (\Seen)").untagged_text();
    // The STORE that changed nothing has used 12.
    assert_eq!(stored, r"* 1 FETCH (FLAGS (\Seen) MODSEQ (13))");
}

fn fetch_changedsince(mail: TestStore) {
    check_four(
        mail,
        r"
        C: a STORE 2 +FLAGS (\Flagged)
        S: * 2 FETCH (FLAGS (\Flagged))
        S: a OK …
        C: b FETCH 1:* FLAGS (CHANGEDSINCE 9)
        S: * OK [HIGHESTMODSEQ 12] …
        S: * 2 FETCH (FLAGS (\Flagged) MODSEQ (12))
        S: * 3 FETCH (FLAGS () MODSEQ (10))
        S: * 4 FETCH (FLAGS () MODSEQ (11))
        S: b OK …
        C: c UID FETCH 1:3 (FLAGS) (CHANGEDSINCE 10)
        S: * 2 FETCH (UID 2 FLAGS (\Flagged) MODSEQ (12))
        S: c OK …
        C: d FETCH 1:* (MODSEQ) (CHANGEDSINCE 12)
        S: d OK …
        C: e FETCH 1 BODY[TEXT]
        S: * 1 FETCH (FLAGS (\Seen) BODY[TEXT] {#}
        S> 1
        S: )
        S: * 1 FETCH (FLAGS (\Seen) MODSEQ (13))
        S: e OK …
        C2: o EXAMINE INBOX (CONDSTORE)
        S2: * FLAGS …
        S2: * 4 EXISTS
        S2: * 0 RECENT
        S2: * OK [PERMANENTFLAGS …
        S2: * OK [UNSEEN 2] …
        S2: * OK [UIDVALIDITY …
        S2: * OK [UIDNEXT 5] …
        S2: * OK [HIGHESTMODSEQ 13] …
        S2: * OK [MAILBOXID (F1)] …
        S2: o OK …
        C: f STORE 3 +FLAGS.SILENT (\Draft)
        S: * 3 FETCH (MODSEQ (14))
        S: f OK …
        C2: a NOOP
        S2: * 3 FETCH (FLAGS (\Draft) MODSEQ (14))
        S2: a OK …
        ",
    );
}

fn store_unchangedsince(mail: TestStore) {
    check_four(
        mail,
        r"
        C: a STORE 1:4 (UNCHANGEDSINCE 9) +FLAGS.SILENT (\Deleted)
        S: * OK [HIGHESTMODSEQ 11] …
        S: * 1 FETCH (MODSEQ (12))
        S: * 2 FETCH (MODSEQ (12))
        S: a OK [MODIFIED 3:4] …
        C: b UID STORE 2,4 (UNCHANGEDSINCE 11) FLAGS (\Seen)
        S: * 4 FETCH (UID 4 FLAGS (\Seen) MODSEQ (13))
        S: b OK [MODIFIED 2] …
        C: c STORE 3 (UNCHANGEDSINCE 0) +FLAGS (\Seen)
        S: c OK [MODIFIED 3] …
        C: d STORE 3 (UNCHANGEDSINCE 10) +FLAGS (work)
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft work)
        S: * 3 FETCH (FLAGS (work) MODSEQ (15))
        S: d OK …
        ",
    );
}

fn search_modseq(mail: TestStore) {
    check_four(
        mail,
        r#"
        C: a SEARCH MODSEQ 10
        S: * OK [HIGHESTMODSEQ 11] …
        S: * SEARCH 3 4 (MODSEQ 11)
        S: a OK …
        C: b UID SEARCH MODSEQ "/flags/\\draft" all 9 NOT 4
        S: * SEARCH 2 3 (MODSEQ 10)
        S: b OK …
        C: c SEARCH MODSEQ 12
        S: * SEARCH
        S: c OK …
        C: d SEARCH 1
        S: * SEARCH 1
        S: d OK …
        "#,
    );
}

fn expunge_with_qresync(mail: TestStore) {
    check_four(
        mail,
        r"
        C: a ENABLE QRESYNC
        S: * ENABLED CONDSTORE QRESYNC
        S: * OK [HIGHESTMODSEQ 11] …
        S: a OK …
        C: b STORE 1,3:4 +FLAGS.SILENT (\Deleted)
        S: * 1 FETCH (UID 1 MODSEQ (12))
        S: * 3 FETCH (UID 3 MODSEQ (12))
        S: * 4 FETCH (UID 4 MODSEQ (12))
        S: b OK STORE completed
        C: c UID EXPUNGE 3
        S: * VANISHED 3
        S: c OK [HIGHESTMODSEQ 13] UID EXPUNGE completed
        C: d EXPUNGE
        S: * VANISHED 1,4
        S: d OK [HIGHESTMODSEQ 14] EXPUNGE completed
        C: e EXPUNGE
        S: e OK EXPUNGE completed
        C: f UID MOVE 2 Archive
        S: * OK [COPYUID … 2 1] …
        S: * VANISHED 2
        S: f OK [HIGHESTMODSEQ 15] UID MOVE completed
        C: g APPEND INBOX (\Deleted) {#+}
        C> x: y
        C>
        C:
        S: * 1 EXISTS
        S: * 0 RECENT
        S: g OK [APPENDUID … 5] …
        C: h CLOSE
        S: h OK [HIGHESTMODSEQ 16] CLOSE completed
        ",
    );
}

/// While an expunge waits, FETCH may tell a higher modseq: from that the client must not
/// conclude that it has heard of the expunge.
fn vanished_waits_while_numbers_are_spoken_of(mail: TestStore) {
    check_four(
        mail,
        r"
        C: a ENABLE QRESYNC
        S: * ENABLED CONDSTORE QRESYNC
        S: * OK [HIGHESTMODSEQ 11] …
        S: a OK …
        C2: a SELECT INBOX
        S2: * FLAGS …
        S2: * 4 EXISTS
        S2: * 0 RECENT
        S2: * OK [PERMANENTFLAGS …
        S2: * OK [UNSEEN 1] …
        S2: * OK [UIDVALIDITY …
        S2: * OK [UIDNEXT 5] …
        S2: * OK [HIGHESTMODSEQ 11] …
        S2: * OK [MAILBOXID (F1)] …
        S2: a OK …
        C2: b STORE 2 +FLAGS.SILENT (\Deleted)
        S2: b OK …
        C2: c EXPUNGE
        S2: * 2 EXPUNGE
        S2: c OK EXPUNGE completed
        C2: d STORE 1 +FLAGS.SILENT (\Seen)
        S2: d OK …
        C: b FETCH 1 (FLAGS MODSEQ)
        S: * 1 FETCH (FLAGS (\Seen) MODSEQ (14))
        S: * 1 FETCH (UID 1 FLAGS (\Seen) MODSEQ (14))
        S: b OK [HIGHESTMODSEQ 11] FETCH completed
        C: c NOOP
        S: * VANISHED 2
        S: c OK [HIGHESTMODSEQ 14] NOOP completed
        C: d NOOP
        S: d OK NOOP completed
        ",
    );
}

/// What a client does between two visits of another, and what the latter is told then.
fn select_tells_what_happened_meanwhile(mail: TestStore) {
    let server = with_four(mail);
    let validity = server.sign_in().uid_validity("INBOX");
    let mut client = server.sign_in();
    client.ok("SELECT INBOX");
    client.ok(r"STORE 2 +FLAGS.SILENT (\Flagged)");
    client.ok("UID MOVE 1,3 Trash");
    client.append("INBOX", "Subject: 5\r\n\r\n");
    let changed = r"* 1 FETCH (UID 2 FLAGS (\Flagged) MODSEQ (12))";
    let arrived = "* 3 FETCH (UID 5 FLAGS () MODSEQ (14))";
    for (known, expected) in [
        (format!("{validity} 11"), vec!["* VANISHED (EARLIER) 1,3", changed, arrived]),
        (format!("{validity} 12"), vec!["* VANISHED (EARLIER) 1,3", arrived]),
        (format!("{validity} 13"), vec![arrived]),
        (format!("{validity} 14"), vec![]),
        // Of what the client does not have it hears nothing.
        (format!("{validity} 11 2:3"), vec!["* VANISHED (EARLIER) 3", changed]),
        (format!("{validity} 11 1:4,900:1000"), vec!["* VANISHED (EARLIER) 1,3", changed]),
        (format!("{validity} 11 1:4 (1:2 1:2)"), vec!["* VANISHED (EARLIER) 1,3", changed]),
        // Before the mailbox was made: everything that is not there.
        (
            format!("{validity} 1"),
            vec!["* VANISHED (EARLIER) 1,3", changed, "* 2 FETCH (UID 4 FLAGS () MODSEQ (11))", arrived],
        ),
        // Another mailbox had this name.
        (format!("{} 11", validity + 1), vec![]),
    ] {
        let mut again = server.sign_in();
        again.ok("ENABLE QRESYNC");
        let answer = again.ok(format!("SELECT INBOX (QRESYNC ({known}))"));
        let told: Vec<String> = answer.lines().into_iter().skip(9).collect();
        assert_eq!(told, expected, "{known}");
        assert!(answer.lines()[7].contains("HIGHESTMODSEQ 14"), "{known}: {:?}", answer.lines());
    }
}

fn who_was_away_too_long_is_told_everything(mail: TestStore) {
    let server = with_four(mail);
    let validity = server.sign_in().uid_validity("INBOX");
    let mut client = server.sign_in();
    client.ok("SELECT INBOX");
    client.ok("UID MOVE 2 Trash");
    client.append("INBOX", "Subject: 5\r\n\r\n");
    client.ok("UID MOVE 4 Trash");
    let later = server.mail.clock.now().after(Duration::from_secs(60 * 24 * 3600));
    let all_gone = server
        .mail
        .write_as(ann(), move |tx| entry::forget_expunges(tx, MailboxId::INBOX, later))
        .expect("the store works");
    assert!(all_gone);
    for (known, expected) in [
        (format!("{validity} 11"), "* VANISHED (EARLIER) 2,4"),
        (format!("{validity} 11 1:4"), "* VANISHED (EARLIER) 2,4"),
        (format!("{validity} 11 3:4"), "* VANISHED (EARLIER) 4"),
        // As the numbers still mean these UIDs, nothing went below.
        (format!("{validity} 11 1:4 (1,2 1,3)"), "* VANISHED (EARLIER) 4"),
        (format!("{validity} 11 1:4 (1,2 1,2)"), "* VANISHED (EARLIER) 2,4"),
        (format!("{validity} 11 1:4 (1:4294967295 1:4294967295)"), "* VANISHED (EARLIER) 2,4"),
    ] {
        let mut again = server.sign_in();
        again.ok("ENABLE QRESYNC");
        let answer = again.ok(format!("SELECT INBOX (QRESYNC ({known}))"));
        assert_eq!(answer.lines()[9], expected, "{known}");
    }
}

fn fetch_vanished(mail: TestStore) {
    check_four(
        mail,
        r"
        C: a ENABLE QRESYNC
        S: * ENABLED CONDSTORE QRESYNC
        S: * OK [HIGHESTMODSEQ 11] …
        S: a OK …
        C: b UID MOVE 1,4 Trash
        S: * OK [COPYUID …
        S: * VANISHED 1,4
        S: b OK [HIGHESTMODSEQ 12] …
        C: c UID FETCH 1:* (FLAGS) (CHANGEDSINCE 9 VANISHED)
        S: * VANISHED (EARLIER) 1,4
        S: * 2 FETCH (UID 3 FLAGS () MODSEQ (10))
        S: c OK UID FETCH completed
        C: d UID FETCH 2:4 (UID) (CHANGEDSINCE 11 VANISHED)
        S: * VANISHED (EARLIER) 4
        S: d OK UID FETCH completed
        C: e UID FETCH 1:* (UID) (CHANGEDSINCE 12 VANISHED)
        S: e OK UID FETCH completed
        C: f FETCH 1:* (UID) (CHANGEDSINCE 12 VANISHED)
        S: f BAD …
        ",
    );
}

fn qresync_must_be_enabled(mail: TestStore) {
    check_four(
        mail,
        r"
        C: a UID FETCH 1:* (UID) (CHANGEDSINCE 12 VANISHED)
        S: * OK [HIGHESTMODSEQ 11] …
        S: a BAD ENABLE the extension first
        C: b SELECT INBOX (QRESYNC (1 1))
        S: b BAD ENABLE the extension first
        C: c NOOP
        S: c OK NOOP completed
        ",
    );
}
